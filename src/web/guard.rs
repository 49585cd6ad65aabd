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
    tokens::{TokenHash, Tokens, own_caller, token_hash},
};
use crate::{
    api::{Caller, HEADER_BYTES_MAX, Scope, Speech},
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
    /// Those of the tokens file.
    pub tokens: Arc<Tokens>,
    /// The page's sessions.
    pub sessions: Arc<Sessions>,
    /// Whether the old routes are served.
    pub legacy: bool,
}

/// What the guard lets in.
pub struct Guard {
    hosts: Vec<Host>,
    token: TokenHash,
    tokens: Arc<Tokens>,
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
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// It passes, with a token of ours that is enough for it.
    Authenticated(Route, Caller),
    /// It passes, without one.
    Open(Route),
    /// It does not pass.
    Refused(Why),
}

impl Verdict {
    /// Where it goes, if it passes.
    pub(super) fn route(&self) -> Option<Route> {
        match self {
            Self::Authenticated(route, _) | Self::Open(route) => Some(*route),
            Self::Refused(_) => None,
        }
    }
}

/// What is asked of a report beside its token, which is judged with its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Our own page sent it.
    pub(super) from_us: bool,
    /// A page sent it, whosever.
    pub(super) from_page: bool,
    /// It calls this machine by a name that only this machine's callers have.
    pub(super) from_near: bool,
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
    /// A token that does not let its bearer do this; it takes that scope.
    ScopeInsufficient(Scope),
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
        let GuardParts { token, tokens, sessions, legacy, .. } = parts;
        Self { hosts, token: token_hash(&token), tokens, sessions, legacy }
    }

    /// Pure: the same request is always judged the same.
    pub(super) fn judge(&self, shown: &Shown<'_>) -> Verdict {
        self.pass(shown).unwrap_or_else(Verdict::Refused)
    }

    /// How a request that passed got here.
    pub(super) fn way(&self, shown: &Shown<'_>) -> Option<Way> {
        let host = self.host_named(shown)?;
        let origin = single(shown.headers, header::ORIGIN).ok()?;
        Some(Way {
            from_us: origin.is_some_and(|origin| host.is_origin(origin)),
            from_page: origin.is_some() || shown.headers.contains_key(SEC_FETCH_SITE),
            from_near: host.is_near,
        })
    }

    fn pass(&self, shown: &Shown<'_>) -> Result<Verdict, Why> {
        // HTTP/2 keeps to that bound by itself; HTTP/1 is read up to one of its own.
        let length = shown.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_BYTES_MORE);
        if length.sum::<usize>() > HEADER_BYTES_MAX as usize {
            return Err(Why::HeadersTooLong);
        }
        let host = self.host_named(shown).ok_or(Why::ForeignHost)?;
        // Who calls by another name is not on this machine, or speaks for somebody who is not.
        let route = Route::of(shown.path, self.legacy && host.is_near).ok_or(Why::UnknownPath)?;
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
        match (self.caller(shown)?, route.credential()) {
            (Some(caller), Credential::Needed(scope)) if caller.scope < scope => Err(Why::ScopeInsufficient(scope)),
            (Some(caller), Credential::Needed(_) | Credential::Open) => Ok(Verdict::Authenticated(route, caller)),
            (None, Credential::Open) => Ok(Verdict::Open(route)),
            (None, Credential::Needed(_)) => Err(Why::TokenMissing),
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

    /// Who calls; none when no token was shown.
    fn caller(&self, shown: &Shown<'_>) -> Result<Option<Caller>, Why> {
        let text = single(shown.headers, header::AUTHORIZATION).map_err(|_| Why::TokenInvalid)?;
        let Some(text) = text else { return Ok(None) };
        let (kind, token) = text.split_once(' ').unwrap_or_default();
        if !kind.eq_ignore_ascii_case("bearer") {
            return Err(Why::TokenInvalid);
        }
        let hash = token_hash(token);
        let ours: bool = hash.ct_eq(&self.token).into();
        let own = ours.then(own_caller);
        let found = own.or_else(|| self.tokens.find(&hash, shown.now));
        found.or_else(|| self.sessions.find(token, shown.now)).map(Some).ok_or(Why::TokenInvalid)
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
    let from_no_other =
        origin.is_none_or(|origin| host.is_origin(origin)) && matches!(site, None | Some("same-origin" | "none"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        runner::StateKey,
        web::{session, tokens::TokenEntry},
    };

    const NOW: WallTime = WallTime::from_micros(1_000_000);

    /// A verdict, of which the caller's scope is what matters.
    #[derive(Debug, PartialEq, Eq)]
    enum Judged {
        Authenticated(Route, Scope),
        Open(Route),
        Refused(Why),
    }

    impl From<Verdict> for Judged {
        fn from(verdict: Verdict) -> Self {
            match verdict {
                Verdict::Authenticated(route, caller) => Self::Authenticated(route, caller.scope),
                Verdict::Open(route) => Self::Open(route),
                Verdict::Refused(why) => Self::Refused(why),
            }
        }
    }

    fn guard(legacy: bool) -> (Guard, String) {
        let key = StateKey::new([7; 32]);
        let sessions = Arc::new(Sessions::new(key.clone(), NOW));
        let session = sessions.begin(&session::code(&key, Scope::Operate, [1; 12], NOW), [2; 12], NOW).unwrap();
        let address = "127.0.0.1:50051".parse().unwrap();
        let observer = TokenEntry {
            name: "observer".to_owned(),
            scope: Scope::Observe,
            hash: token_hash("observing"),
            expires_at: None,
        };
        let (token, tokens) = ("secret".to_owned(), Arc::new(Tokens::new(vec![observer])));
        let parts = GuardParts { address, hosts: Vec::new(), tls: false, token, tokens, sessions, legacy };
        (Guard::new(parts), session.token)
    }

    /// A request as text: method, path, then headers.
    fn judge(guard: &Guard, request: &str, now: WallTime) -> Judged {
        let mut lines = request.lines().map(str::trim);
        let (method, path) = lines.next().unwrap().split_once(' ').unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("host", "127.0.0.1:50051".parse().unwrap());
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            headers.append(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        let method = &method.parse().unwrap();
        guard.judge(&Shown { method, version: Version::HTTP_11, path, authority: None, headers: &headers, now }).into()
    }

    #[test]
    fn a_link_opens_the_page_and_a_frame_does_not() {
        let (guard, _) = guard(false);
        let followed = "GET /\nsec-fetch-site: cross-site\nsec-fetch-mode: navigate\nsec-fetch-dest: ";
        let judged = |dest: &str| judge(&guard, &format!("{followed}{dest}"), NOW);
        assert_eq!(judged("document"), Judged::Open(Route::Page));
        for dest in ["iframe", "frame", "object", "embed", "fencedframe"] {
            assert_eq!(judged(dest), Judged::Refused(Why::ForeignOrigin), "{dest}");
        }
        let opened = format!("{followed}document").replace("GET /", "GET /metrics");
        assert_eq!(judge(&guard, &opened, NOW), Judged::Refused(Why::ForeignOrigin), "the page alone is linked to");
    }

    #[test]
    fn a_sessions_token_is_as_good_as_the_services_own_until_its_end() {
        let (guard, token) = guard(false);
        let call = |token: &str| {
            format!("POST /comet.taskrunner.v1.TaskRunner/X\ncontent-type: application/json\nauthorization: {token}")
        };
        let route = Route::Call(Credential::Needed(Scope::Observe));
        let session = call(&format!("Bearer {token}"));
        assert_eq!(judge(&guard, &call("Bearer secret"), NOW), Judged::Authenticated(route, Scope::Admin));
        assert_eq!(judge(&guard, &call("bearer secret"), NOW), Judged::Authenticated(route, Scope::Admin));
        assert_eq!(judge(&guard, &session, NOW), Judged::Authenticated(route, Scope::Operate));
        let end = NOW.saturating_add(session::SESSION_LIFE);
        assert_eq!(judge(&guard, &session, end), Judged::Refused(Why::TokenInvalid));
        for wrong in ["secret", "Bearer", "Bearer ", "Bearer  secret", "Basic secret"] {
            assert_eq!(judge(&guard, &call(wrong), NOW), Judged::Refused(Why::TokenInvalid), "{wrong:?}");
        }
    }

    #[test]
    fn a_token_opens_what_its_scope_allows_and_says_what_the_rest_takes() {
        let (guard, session) = guard(true);
        let judged = |name: &str, token: &str| {
            let path = format!("POST /comet.taskrunner.v1.TaskRunner/{name}");
            let text = format!("{path}\ncontent-type: application/json\nauthorization: Bearer {token}");
            judge(&guard, &text, NOW)
        };
        for (call, needed) in
            [("GetStatus", Scope::Observe), ("Execute", Scope::Operate), ("RemoveProfile", Scope::Admin)]
        {
            let tokens = [("observing", Scope::Observe), (&session, Scope::Operate), ("secret", Scope::Admin)];
            for (token, scope) in tokens {
                let passed = Judged::Authenticated(Route::Call(Credential::Needed(needed)), scope);
                let refused = Judged::Refused(Why::ScopeInsufficient(needed));
                assert_eq!(judged(call, token), if scope >= needed { passed } else { refused }, "{call} by {scope}");
            }
        }
        let open = Judged::Authenticated(Route::Call(Credential::Open), Scope::Observe);
        assert_eq!(judged("Callback", "observing"), open, "it may carry its task's token");
        let metrics = judge(&guard, "GET /metrics\nauthorization: Bearer observing", NOW);
        assert_eq!(metrics, Judged::Authenticated(Route::Metrics, Scope::Observe));
    }

    #[test]
    fn a_header_that_is_there_twice_is_none_that_can_be_trusted() {
        let (guard, _) = guard(false);
        let judged = |headers: &str| judge(&guard, &format!("GET /healthz\n{headers}"), NOW);
        assert_eq!(judged(""), Judged::Open(Route::Probe));
        let (origin, site) = ("origin: http://127.0.0.1:50051", "sec-fetch-site: none");
        for (twice, why) in [
            ("host: 127.0.0.1:50051".to_owned(), Why::ForeignHost),
            (format!("{origin}\n{origin}"), Why::ForeignOrigin),
            (format!("{site}\n{site}"), Why::ForeignOrigin),
            ("authorization: Bearer secret\nauthorization: Bearer secret".to_owned(), Why::TokenInvalid),
        ] {
            assert_eq!(judged(&twice), Judged::Refused(why), "{twice}");
        }
    }

    /// On port 443, over TLS, and with a name for others.
    fn widely() -> Guard {
        let sessions = Arc::new(Sessions::new(StateKey::new([7; 32]), NOW));
        let (address, hosts) = ("127.0.0.1:443".parse().unwrap(), vec!["tasks.example.org".parse().unwrap()]);
        Guard::new(GuardParts {
            address,
            hosts,
            tls: true,
            token: "secret".to_owned(),
            tokens: Arc::default(),
            sessions,
            legacy: true,
        })
    }

    #[test]
    fn the_old_routes_are_there_for_those_alone_who_call_this_machine() {
        let shown = |authority| -> Judged {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, "application/json".parse().unwrap())]);
            let (method, version, path) = (&Method::POST, Version::HTTP_2, "/execute");
            widely()
                .judge(&Shown { method, version, path, authority: Some(authority), headers: &headers, now: NOW })
                .into()
        };
        assert_eq!(shown("localhost"), Judged::Open(Route::Legacy));
        for name in ["tasks.example.org", "tasks.example.org:443"] {
            assert_eq!(shown(name), Judged::Refused(Why::UnknownPath), "{name} may be a proxy's");
        }
    }

    #[test]
    fn our_own_page_is_one_of_our_own_scheme() {
        let way = |name: &str, origin: &str| {
            let headers = HeaderMap::from_iter([(header::ORIGIN, origin.parse().unwrap())]);
            let (method, version, path, authority) = (&Method::POST, Version::HTTP_2, "/callback", Some(name));
            widely().way(&Shown { method, version, path, authority, headers: &headers, now: NOW }).unwrap()
        };
        for (name, origin, from_us, from_near) in [
            ("localhost", "https://localhost", true, true),
            // Another server of this machine, on the port that http has.
            ("localhost", "http://localhost", false, true),
            ("localhost:443", "https://localhost", false, true),
            ("tasks.example.org", "http://tasks.example.org", true, false),
            ("tasks.example.org", "https://evil.test", false, false),
        ] {
            let from_page = true;
            assert_eq!(way(name, origin), Way { from_us, from_page, from_near }, "{origin} to {name}");
        }
    }

    #[test]
    fn a_page_gives_itself_away_by_its_origin_or_by_where_its_browser_says_it_is() {
        let from_page = |headers: HeaderMap| {
            let (method, version, path, authority) = (&Method::POST, Version::HTTP_2, "/callback", Some("localhost"));
            let shown = Shown { method, version, path, authority, headers: &headers, now: NOW };
            widely().way(&shown).unwrap().from_page
        };
        assert!(!from_page(HeaderMap::new()));
        for (name, value) in [(header::ORIGIN, "null"), (SEC_FETCH_SITE, "none"), (SEC_FETCH_SITE, "cross-site")] {
            assert!(from_page(HeaderMap::from_iter([(name, value.parse().unwrap())])), "{value}");
        }
    }

    #[test]
    fn the_old_routes_are_there_when_asked_for_and_for_no_page() {
        let old = "POST /execute\ncontent-type: application/json";
        assert_eq!(judge(&guard(false).0, old, NOW), Judged::Refused(Why::UnknownPath));
        let (guard, _) = guard(true);
        assert_eq!(judge(&guard, old, NOW), Judged::Open(Route::Legacy));
        for page in ["origin: http://127.0.0.1:50051", "sec-fetch-site: same-origin", "sec-fetch-site: none"] {
            let judged = judge(&guard, &format!("{old}\n{page}"), NOW);
            assert_eq!(judged, Judged::Refused(Why::ForeignOrigin), "{page}");
        }
    }
}
