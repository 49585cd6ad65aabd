//! What each path is for, and so by which rules a request for it is judged.

use http::Method;

use crate::api::{self, Scope, Speech};

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A call of the contract: gRPC, grpc-web or JSON.
    Call(Credential),
    /// Health and reflection: what kind of service this is, and nothing of any job.
    About,
    /// A report of a page, over HTTP, from an origin that its job allows.
    Callback,
    /// Exchanges a one-time code for a session token.
    Session,
    /// A file of the page: no secrets, no effects.
    Page,
    /// Whether the service lives, and whether it takes tasks.
    Probe,
    /// The metrics.
    Metrics,
    /// One of the old routes, for callers that cannot carry a token.
    Legacy,
}

/// What a caller has to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    /// A token that lets its bearer do this.
    Needed(Scope),
    /// None: it tells nothing of any job, or looks for another token itself.
    Open,
}

/// The one call that may carry another token in its message.
const CALLBACK_CALL: &str = "/comet.taskrunner.v1.TaskRunner/Callback";
/// What every call of the contract begins with.
const CONTRACT: &str = "/comet.taskrunner.v1.TaskRunner/";
/// Where the page's scripts and styles lie.
const ASSETS: &str = "/assets/";
/// Old route: one task by its id.
const OLD_STATUS: &str = "/status/";
/// Old route: opens a URL.
const OLD_EXECUTE: &str = "/execute";

impl Route {
    /// What the path is for; none when it is for nothing. The old routes are there only when they were asked for.
    pub(super) fn of(path: &str, legacy: bool) -> Option<Self> {
        match path {
            CALLBACK_CALL => Some(Self::Call(Credential::Open)),
            "/callback" => Some(Self::Callback),
            "/session" => Some(Self::Session),
            "/" | "/favicon.svg" => Some(Self::Page),
            "/healthz" | "/readyz" => Some(Self::Probe),
            "/metrics" => Some(Self::Metrics),
            OLD_EXECUTE | "/jobs" if legacy => Some(Self::Legacy),
            _ if legacy && path.starts_with(OLD_STATUS) => Some(Self::Legacy),
            _ if path.starts_with(ASSETS) => Some(Self::Page),
            _ if path.starts_with(CONTRACT) => Some(Self::Call(Credential::Needed(needed(path)))),
            _ if api::is_open(path) => Some(Self::About),
            _ => None,
        }
    }

    /// The methods that the path takes.
    pub(super) fn methods(self, path: &str) -> &'static [Method] {
        match self {
            Self::Call(_) | Self::About | Self::Session => &[Method::POST],
            Self::Callback => &[Method::POST, Method::OPTIONS],
            Self::Page | Self::Probe | Self::Metrics => &[Method::GET, Method::HEAD],
            Self::Legacy if path == OLD_EXECUTE => &[Method::POST],
            Self::Legacy => &[Method::GET, Method::HEAD],
        }
    }

    /// Whether a request may have such content. What has effects takes only what no page can send by itself.
    pub(super) fn takes_content(self, method: &Method, content: Option<Speech>) -> bool {
        match self {
            Self::Call(_) | Self::About => content.is_some(),
            Self::Session | Self::Callback | Self::Legacy => method != Method::POST || content == Some(Speech::Json),
            Self::Page | Self::Probe | Self::Metrics => true,
        }
    }

    /// What its caller has to show.
    pub(super) fn credential(self) -> Credential {
        match self {
            Self::Call(credential) => credential,
            Self::Metrics => Credential::Needed(Scope::Observe),
            Self::About | Self::Callback | Self::Session | Self::Page | Self::Probe | Self::Legacy => Credential::Open,
        }
    }
}

/// What a call needs. What is no call is answered so by the api, to whoever may call anything at all.
fn needed(path: &str) -> Scope {
    path.strip_prefix(CONTRACT).and_then(Scope::needed_by).unwrap_or(Scope::Observe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_the_contract_and_the_metrics_need_their_scope() {
        let mut calls = api::json::calls();
        assert!(calls.remove("Callback"), "it may carry another token, and is judged with that");
        for call in &calls {
            let route = Route::of(&format!("{CONTRACT}{call}"), false).unwrap();
            assert_eq!(route.credential(), Credential::Needed(Scope::needed_by(call).unwrap()), "{call}");
        }
        assert_eq!(Route::of("/metrics", false).unwrap().credential(), Credential::Needed(Scope::Observe));
        for open in ["/", "/callback", "/session", "/healthz", "/readyz", "/jobs", "/execute", CALLBACK_CALL] {
            assert_eq!(Route::of(open, true).unwrap().credential(), Credential::Open, "{open}");
        }
    }
}
