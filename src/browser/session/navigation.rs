//! Decides how the task's own navigation went: the first one of the page, and no later one.

use serde::{Deserialize, Serialize};

use crate::browser::cdp::message::{Frame, LoadingFailed};

/// How far the task's own navigation is. Measured: the request of the first document is often not announced,
/// because it starts before the page can be listened to; so whatever names its loader first is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Navigation {
    /// Nothing is known.
    #[default]
    Pending,
    /// The document to come is known by its loader, whose id is also the id of its request, across redirects.
    Started {
        /// The loader.
        loader: String,
        /// Where it leads, as far as known.
        url: String,
        /// The status of the HTTP answer, once there is one.
        http_status: Option<u16>,
    },
    /// It has arrived or failed; what comes later is the page's own affair.
    Decided,
}

/// How the task's own navigation ended.
pub(super) enum Outcome {
    /// Its document is there.
    Committed { url: String, http_status: Option<u16> },
    /// It is not.
    Failed { url: String, net_error: String },
}

/// An HTTP error without a body: the browser then shows its own page. It is an answer nevertheless.
const EMPTY_HTTP_ERROR: &str = "net::ERR_HTTP_RESPONSE_CODE_FAILURE";

/// What comes instead of a document: a download, or nothing at all.
const ABORTED: &str = "net::ERR_ABORTED";

/// HTTP answers that say that there is no document.
const NO_DOCUMENT: [u16; 2] = [204, 205];

/// When an error page is shown and its cause was not seen.
const UNKNOWN_ERROR: &str = "net::ERR_FAILED";

impl Navigation {
    /// Whether it has arrived or failed.
    pub(super) fn is_decided(&self) -> bool {
        match self {
            Self::Pending | Self::Started { .. } => false,
            Self::Decided => true,
        }
    }

    /// A document of the top frame was asked for; says whether that was news.
    pub(super) fn start(&mut self, loader: &str, to: &str) -> bool {
        match self {
            Self::Pending => {
                *self = Self::Started { loader: loader.to_owned(), url: to.to_owned(), http_status: None };
                true
            }
            Self::Started { loader: first, url, .. } if first == loader && url != to && !to.is_empty() => {
                *url = to.to_owned();
                true
            }
            Self::Started { .. } | Self::Decided => false,
        }
    }

    /// A document of the top frame was answered; says whether that was news.
    pub(super) fn respond(&mut self, loader: &str, status: i64) -> bool {
        self.start(loader, "");
        match self {
            Self::Started { loader: first, http_status, .. } if first == loader => {
                // 0 means a scheme without a status.
                let status = u16::try_from(status).ok().filter(|status| *status != 0);
                std::mem::replace(http_status, status) != status
            }
            Self::Pending | Self::Started { .. } | Self::Decided => false,
        }
    }

    /// A request ended without its document.
    pub(super) fn fail(&mut self, failed: &LoadingFailed) -> Option<Outcome> {
        let (url, http_status) = match self {
            // Before the first document there is no other frame that could ask for one.
            Self::Pending if failed.kind == "Document" => (String::new(), None),
            // Measured: the word that it is a download comes up to 100 ms after this one.
            Self::Started { loader, http_status: Some(status), .. }
                if *loader == failed.request_id && failed.error_text == ABORTED && !NO_DOCUMENT.contains(status) =>
            {
                return None;
            }
            Self::Started { loader, url, http_status } if *loader == failed.request_id => {
                (std::mem::take(url), *http_status)
            }
            Self::Pending | Self::Started { .. } | Self::Decided => return None,
        };
        *self = Self::Decided;
        Some(match http_status {
            Some(status) if failed.error_text == EMPTY_HTTP_ERROR => {
                Outcome::Committed { url, http_status: Some(status) }
            }
            Some(_) | None => Outcome::Failed { url, net_error: failed.error_text.clone() },
        })
    }

    /// It leads to a file; says whether that was news.
    pub(super) fn is_a_download(&mut self) -> bool {
        let news = !self.is_decided();
        *self = Self::Decided;
        news
    }

    /// The top frame has a new document.
    pub(super) fn arrive(&mut self, frame: &Frame) -> Option<Outcome> {
        let seen_status = match self {
            Self::Pending => None,
            Self::Started { loader, http_status, .. } if *loader == frame.loader_id => *http_status,
            Self::Started { .. } => None,
            Self::Decided => return None,
        };
        let outcome = if let Some(unreachable) = &frame.unreachable_url {
            Outcome::Failed { url: unreachable.clone(), net_error: UNKNOWN_ERROR.to_owned() }
        } else if frame.url.starts_with("http") {
            Outcome::Committed { url: frame.url.clone(), http_status: seen_status }
        } else {
            // The empty document that every page begins with.
            return None;
        };
        *self = Self::Decided;
        Some(outcome)
    }
}
