//! What each path is for, and so by which rules a request for it is judged.

use http::Method;

use crate::api;

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A call of the contract: gRPC, grpc-web or JSON.
    Call(Credential),
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
    /// The API token or a session token.
    Needed,
    /// None: it tells nothing of any job, or looks for another token itself.
    Open,
}

/// The one call that may carry another token in its message.
const CALLBACK_CALL: &str = "/comet.taskrunner.v1.TaskRunner/Callback";
/// What every call of the contract begins with.
const CONTRACT: &str = "/comet.taskrunner.v1.TaskRunner/";
/// Where the page's scripts and styles lie.
const ASSETS: &str = "/assets/";
/// Old route: how one job stands.
const OLD_STATUS: &str = "/status/";

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
            "/execute" | "/jobs" if legacy => Some(Self::Legacy),
            _ if legacy && path.starts_with(OLD_STATUS) => Some(Self::Legacy),
            _ if path.starts_with(ASSETS) => Some(Self::Page),
            _ if path.starts_with(CONTRACT) => Some(Self::Call(Credential::Needed)),
            _ if api::is_open(path) => Some(Self::Call(Credential::Open)),
            _ => None,
        }
    }

    /// Whether the path takes this method.
    pub(super) fn takes(self, method: &Method, path: &str) -> bool {
        match self {
            Self::Call(_) | Self::Session => method == Method::POST,
            Self::Callback => method == Method::POST || method == Method::OPTIONS,
            Self::Page | Self::Probe | Self::Metrics => method == Method::GET || method == Method::HEAD,
            Self::Legacy if path == "/execute" => method == Method::POST,
            Self::Legacy => method == Method::GET || method == Method::HEAD,
        }
    }
}
