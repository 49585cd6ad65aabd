//! The guard's judgement: which requests get in, decided from what they show before anything of a body is read.
//!
//! A loopback port can be reached by every web page that the user opens. So each request must name this very host,
//! come from our own page or from no page at all, be what its path is for by method and content type, and carry a
//! token.

use std::{net::SocketAddr, sync::Arc};

use http::{HeaderMap, HeaderName, Method, Version, header};
use subtle::ConstantTimeEq;

use super::{
    host::{Host, HostName, hosts},
    route::{Credential, Route},
    session::Sessions,
};
use crate::{
    api::{HEADER_BYTES_MAX, Speech},
    job::WallTime,
};

/// What a guard goes by.
pub struct GuardParts {
    /// Where the service listens.
    pub address: SocketAddr,
    /// Further names by which it may be called.
    pub hosts: Vec<HostName>,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// The API token.
    pub token: String,
    /// The page's sessions, whose tokens are as good.
    pub sessions: Arc<Sessions>,
    /// Whether the old routes are served.
    pub legacy: bool,
}

/// What the guard lets in.
pub struct Guard {
    hosts: Vec<Host>,
    token: String,
    sessions: Arc<Sessions>,
    legacy: bool,
}

/// What a request shows of itself before its body is read.
pub(super) struct Shown<'a> {
    pub(super) method: &'a Method,
    pub(super) version: Version,
    pub(super) path: &'a str,
    pub(super) authority: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
    /// When it came.
    pub(super) now: WallTime,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It passes, with a token of ours.
    Authenticated(Route),
    /// It passes, without one.
    Open(Route),
    /// It does not pass.
    Refused(Why),
}

/// Why a request does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Its headers are longer than any that we have use for.
    HeadersTooLong,
    /// It names another host: a rebound name, or a forged header.
    ForeignHost,
    /// Its path is for nothing.
    UnknownPath,
    /// Its path takes other methods.
    WrongMethod,
    /// A page of another origin sent it.
    ForeignOrigin,
    /// Its content is of a kind that its path does not take.
    WrongContentType,
    /// A gRPC call over HTTP/1.
    WrongVersion,
    /// No token.
    TokenMissing,
    /// Not a token of this service.
    TokenInvalid,
}

/// Set by browsers alone, and by no script.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The same.
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// The same.
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// What HTTP/2 counts for each header beside its text.
const HEADER_BYTES_MORE: usize = 32;

impl Guard {
    /// Lets in who names this service by one of its names, and has a token of it.
    #[must_use]
    pub fn new(parts: GuardParts) -> Self {
        let hosts = hosts(parts.address, &parts.hosts, parts.tls);
        Self { hosts, token: parts.token, sessions: parts.sessions, legacy: parts.legacy }
    }

    /// Pure: the same request is always judged the same.
    pub(super) fn judge(&self, shown: &Shown<'_>) -> Verdict {
        self.pass(shown).unwrap_or_else(Verdict::Refused)
    }

    fn pass(&self, shown: &Shown<'_>) -> Result<Verdict, Why> {
        // HTTP/2 keeps to that bound by itself; HTTP/1 is read up to one of its own.
        let length = shown.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_BYTES_MORE);
        if length.sum::<usize>() > HEADER_BYTES_MAX as usize {
            return Err(Why::HeadersTooLong);
        }
        let host = self.host_named(shown).ok_or(Why::ForeignHost)?;
        let route = Route::of(shown.path, self.legacy).ok_or(Why::UnknownPath)?;
        if !route.methods(shown.path).contains(shown.method) {
            return Err(Why::WrongMethod);
        }
        if !comes_from_us(route, host, shown.headers) {
            return Err(Why::ForeignOrigin);
        }
        if !route.takes_content(shown.method, content(shown.headers)) {
            return Err(Why::WrongContentType);
        }
        if content(shown.headers) == Some(Speech::Grpc) && shown.version != Version::HTTP_2 {
            return Err(Why::WrongVersion);
        }
        match (self.token_shown(shown), route.credential()) {
            (Some(true), _) => Ok(Verdict::Authenticated(route)),
            (Some(false), _) => Err(Why::TokenInvalid),
            (None, Credential::Open) => Ok(Verdict::Open(route)),
            (None, Credential::Needed) => Err(Why::TokenMissing),
        }
    }

    /// The host it names, in one place or the same in both, if it is one of ours.
    fn host_named(&self, shown: &Shown<'_>) -> Option<&Host> {
        let host = single(shown.headers, header::HOST).ok()?;
        let named = match (shown.authority, host) {
            (None, None) => return None,
            (Some(authority), Some(host)) if authority != host => return None,
            (Some(name), _) | (None, Some(name)) => name,
        };
        self.hosts.iter().find(|host| host.name == named)
    }

    /// Whether the token is right; none when none was shown.
    fn token_shown(&self, shown: &Shown<'_>) -> Option<bool> {
        let Ok(shown_token) = single(shown.headers, header::AUTHORIZATION) else { return Some(false) };
        let (kind, token) = shown_token?.split_once(' ').unwrap_or_default();
        let ours: bool = token.as_bytes().ct_eq(self.token.as_bytes()).into();
        let right = ours || self.sessions.accepts(token, shown.now);
        Some(kind.eq_ignore_ascii_case("bearer") && right)
    }
}

/// No page sent it, or our own page did. Two routes are meant for others: a page may be opened by a link from
/// anywhere, and a report comes from the origin that its job allows, which is judged with the job.
fn comes_from_us(route: Route, host: &Host, headers: &HeaderMap) -> bool {
    let text = |name| single(headers, name);
    let (Ok(origin), Ok(site), Ok(mode), Ok(dest)) =
        (text(header::ORIGIN), text(SEC_FETCH_SITE), text(SEC_FETCH_MODE), text(SEC_FETCH_DEST))
    else {
        return false;
    };
    let ours = |origin: &str| {
        let parts = origin.split_once("://");
        parts.is_some_and(|(scheme, name)| host.schemes.contains(&scheme) && name == host.name)
    };
    let from_no_other = origin.is_none_or(ours) && matches!(site, None | Some("same-origin" | "none"));
    match route {
        Route::Callback => true,
        // A link, but no frame: those are documents too, of kinds of their own.
        Route::Page => from_no_other || (origin.is_none() && (mode, dest) == (Some("navigate"), Some("document"))),
        Route::Legacy => origin.is_none() && site.is_none(),
        Route::Call(_) | Route::About | Route::Session | Route::Probe | Route::Metrics => from_no_other,
    }
}

/// A header that is there twice, or is no text.
struct Unclear;

/// A header that may be there once.
fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Unclear> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Unclear),
        (Some(_), Some(_)) => Err(Unclear),
    }
}

/// The kind of its content; none for what forms and simple requests of pages can send.
fn content(headers: &HeaderMap) -> Option<Speech> {
    single(headers, header::CONTENT_TYPE).ok().flatten().and_then(Speech::of_content)
}
