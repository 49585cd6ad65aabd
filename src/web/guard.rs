//! The guard: every request passes here first, or gets no further.
//!
//! A loopback port can be reached by every web page that the user opens. So each request must name this very host,
//! come from our own page or from no page at all, be what its path is for by method and content type, and carry a
//! token. What the guard decides, it decides before anything of the body is read.

use std::{
    convert::Infallible,
    future::{Future, ready},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Version, header};
use subtle::ConstantTimeEq;
use tower::{Layer, Service};

use super::route::{Credential, Route};
use crate::api::{self, Body, Caller};

/// What a guard goes by.
pub struct GuardParts {
    /// Where the service listens.
    pub address: SocketAddr,
    /// Further names by which it may be called, each `NAME` or `NAME:PORT`.
    pub hosts: Vec<String>,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// The API token.
    pub token: String,
    /// Whether the old routes are served.
    pub legacy: bool,
}

/// What the guard lets in.
pub struct Guard {
    hosts: Vec<String>,
    scheme: &'static str,
    token: String,
    legacy: bool,
}

/// What a request shows of itself before its body is read.
struct Shown<'a> {
    method: &'a Method,
    version: Version,
    path: &'a str,
    authority: Option<&'a str>,
    headers: &'a HeaderMap,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It passes, with a token of ours.
    Authenticated,
    /// It passes, without one.
    Open,
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

/// In which form a call comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Grpc,
    GrpcWeb,
    Json,
}

impl Guard {
    /// Lets in who names this service by one of its names, and has a token of it.
    #[must_use]
    pub fn new(parts: GuardParts) -> Self {
        let port = parts.address.port();
        let mut hosts = vec![format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("[::1]:{port}")];
        hosts.push(parts.address.to_string());
        hosts.extend(parts.hosts);
        let scheme = if parts.tls { "https" } else { "http" };
        Self { hosts, scheme, token: parts.token, legacy: parts.legacy }
    }

    /// Pure: the same request is always judged the same.
    fn judge(&self, shown: &Shown<'_>) -> Verdict {
        let Some(host) = self.host_named(shown) else { return Verdict::ForeignHost };
        let Some(route) = Route::of(shown.path, self.legacy) else { return Verdict::UnknownPath };
        if !route.takes(shown.method, shown.path) {
            return Verdict::WrongMethod;
        }
        if !self.comes_from_us(route, host, shown.headers) {
            return Verdict::ForeignOrigin;
        }
        match route {
            Route::Call(credential) => match form(shown.headers) {
                None => Verdict::WrongContentType,
                Some(Form::Grpc) if shown.version != Version::HTTP_2 => Verdict::WrongVersion,
                Some(Form::Grpc | Form::GrpcWeb | Form::Json) => self.judge_token(credential, shown.headers),
            },
            Route::Metrics => self.judge_token(Credential::Needed, shown.headers),
            Route::Callback if shown.method == Method::OPTIONS => Verdict::Open,
            Route::Callback => match form(shown.headers) {
                Some(Form::Json) => self.judge_token(Credential::Open, shown.headers),
                Some(Form::Grpc | Form::GrpcWeb) | None => Verdict::WrongContentType,
            },
            Route::Session => match form(shown.headers) {
                Some(Form::Json) => Verdict::Open,
                Some(Form::Grpc | Form::GrpcWeb) | None => Verdict::WrongContentType,
            },
            Route::Legacy if shown.method == Method::POST && form(shown.headers) != Some(Form::Json) => {
                Verdict::WrongContentType
            }
            Route::Page | Route::Probe | Route::Legacy => Verdict::Open,
        }
    }

    fn judge_token(&self, credential: Credential, headers: &HeaderMap) -> Verdict {
        match (self.token_shown(headers), credential) {
            (Some(true), _) => Verdict::Authenticated,
            (Some(false), _) => Verdict::TokenInvalid,
            (None, Credential::Open) => Verdict::Open,
            (None, Credential::Needed) => Verdict::TokenMissing,
        }
    }

    /// The host it names, in one place or the same in both, if it is one of ours.
    fn host_named<'a>(&self, shown: &Shown<'a>) -> Option<&'a str> {
        let host = single(shown.headers, header::HOST).ok()?;
        let named = match (shown.authority, host) {
            (None, None) => return None,
            (Some(authority), Some(host)) if authority != host => return None,
            (Some(name), _) | (None, Some(name)) => name,
        };
        self.hosts.iter().any(|host| host == named).then_some(named)
    }

    /// No page sent it, or our own page did. Two routes are meant for others: a page may be opened by a link from
    /// anywhere, and a report comes from the origin that its job allows, which is judged with the job.
    fn comes_from_us(&self, route: Route, host: &str, headers: &HeaderMap) -> bool {
        let (Ok(origin), Ok(site), Ok(mode)) =
            (single(headers, header::ORIGIN), single(headers, SEC_FETCH_SITE), single(headers, SEC_FETCH_MODE))
        else {
            return false;
        };
        let ours = |origin: &str| origin.split_once("://") == Some((self.scheme, host));
        let from_no_other = origin.is_none_or(ours) && matches!(site, None | Some("same-origin" | "none"));
        match route {
            Route::Callback => true,
            Route::Page => from_no_other || (origin.is_none() && mode == Some("navigate")),
            Route::Legacy => origin.is_none() && site.is_none(),
            Route::Call(_) | Route::Session | Route::Probe | Route::Metrics => from_no_other,
        }
    }

    /// Whether the token is right; none when none was shown.
    fn token_shown(&self, headers: &HeaderMap) -> Option<bool> {
        let shown = match single(headers, header::AUTHORIZATION) {
            Ok(shown) => shown?,
            Err(Unclear) => return Some(false),
        };
        let token = shown.strip_prefix("Bearer ").unwrap_or_default();
        Some(token.as_bytes().ct_eq(self.token.as_bytes()).into())
    }
}

/// Set by browsers alone, and by no script.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The same.
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

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

/// What forms and simple requests of pages cannot send.
fn form(headers: &HeaderMap) -> Option<Form> {
    match single(headers, header::CONTENT_TYPE).ok().flatten()? {
        "application/grpc" | "application/grpc+proto" => Some(Form::Grpc),
        "application/grpc-web"
        | "application/grpc-web+proto"
        | "application/grpc-web-text"
        | "application/grpc-web-text+proto" => Some(Form::GrpcWeb),
        "application/json" | "application/json; charset=utf-8" | "application/json;charset=utf-8" => Some(Form::Json),
        _ => None,
    }
}

/// The answer to a request that does not pass.
fn refusal(verdict: Verdict) -> Option<Response<Body>> {
    match verdict {
        Verdict::Authenticated | Verdict::Open => None,
        Verdict::ForeignHost => Some(api::plain(
            StatusCode::MISDIRECTED_REQUEST,
            "this service answers only to the address it listens on, and to localhost with its port\n",
        )),
        Verdict::UnknownPath => Some(api::plain(StatusCode::NOT_FOUND, "there is nothing here\n")),
        Verdict::WrongMethod => Some(api::plain(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method\n")),
        Verdict::ForeignOrigin => {
            Some(api::plain(StatusCode::FORBIDDEN, "pages of other origins have no business here\n"))
        }
        Verdict::WrongContentType => Some(api::plain(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content-type application/json, or application/grpc over HTTP/2; try curl --json, or grpcurl -plaintext\n",
        )),
        Verdict::WrongVersion => {
            Some(api::plain(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "gRPC needs HTTP/2: use prior knowledge (h2c)\n"))
        }
        Verdict::TokenMissing => Some(api::unauthenticated(true)),
        Verdict::TokenInvalid => Some(api::unauthenticated(false)),
    }
}

/// Puts the guard before a service.
#[derive(Clone)]
pub struct GuardLayer(Arc<Guard>);

impl GuardLayer {
    /// One guard for every connection.
    #[must_use]
    pub fn new(guard: Guard) -> Self {
        Self(Arc::new(guard))
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { guard: Arc::clone(&self.0), inner }
    }
}

/// A service behind the guard.
#[derive(Clone)]
pub struct Guarded<S> {
    guard: Arc<Guard>,
    inner: S,
}

/// The inner service's answer, or the guard's.
type Answered = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answered;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let verdict = self.guard.judge(&Shown {
            method: request.method(),
            version: request.version(),
            path: request.uri().path(),
            authority: request.uri().authority().map(http::uri::Authority::as_str),
            headers: request.headers(),
        });
        match refusal(verdict) {
            Some(mut response) => {
                // The answer to a HEAD has no body, whatever it would say.
                if request.method() == Method::HEAD {
                    *response.body_mut() = Body::empty();
                }
                // The path only: the rest of a request can hold tokens.
                tracing::warn!(?verdict, path = request.uri().path(), "refused a request");
                Box::pin(ready(Ok(response)))
            }
            None => {
                if verdict == Verdict::Authenticated {
                    request.extensions_mut().insert(Caller::Api);
                }
                Box::pin(self.inner.call(request))
            }
        }
    }
}
