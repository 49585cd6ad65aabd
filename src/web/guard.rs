//! The guard: every request passes here first, or gets no further.
//!
//! A loopback port can be reached by every web page that the user opens. So each request must name
//! this very host, be a gRPC call by method and content type, and carry the API token.

use std::{
    convert::Infallible,
    future::{Future, ready},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header};
use subtle::ConstantTimeEq;
use tower::{Layer, Service};

use crate::api::{self, Body, Caller};

/// The one call that may carry another token in its message.
const CALLBACK_PATH: &str = "/comet.taskrunner.v1.TaskRunner/Callback";

/// What the guard lets in.
#[derive(Debug)]
pub struct Guard {
    hosts: Vec<String>,
    token: String,
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
    /// It passes, with the API token.
    Authenticated,
    /// It passes, without one.
    Open,
    /// It names another host: a rebound name, or a forged header.
    ForeignHost,
    /// Not a POST.
    WrongMethod,
    /// Not a gRPC call.
    WrongContentType,
    /// A gRPC call over HTTP/1.
    WrongVersion,
    /// No API token.
    TokenMissing,
    /// Not this service's API token.
    TokenInvalid,
}

impl Guard {
    /// Lets in who names this address or its usual names, and has the token.
    #[must_use]
    pub fn new(address: SocketAddr, token: String) -> Self {
        let port = address.port();
        let mut hosts = vec![format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("[::1]:{port}")];
        if !hosts.contains(&address.to_string()) {
            hosts.push(address.to_string());
        }
        Self { hosts, token }
    }

    /// Pure: the same request is always judged the same.
    fn judge(&self, shown: &Shown<'_>) -> Verdict {
        if !self.names_us(shown) {
            return Verdict::ForeignHost;
        }
        if shown.method != Method::POST {
            return Verdict::WrongMethod;
        }
        if !is_grpc(shown.headers) {
            return Verdict::WrongContentType;
        }
        if shown.version != Version::HTTP_2 {
            return Verdict::WrongVersion;
        }
        match self.token_shown(shown.headers) {
            Some(true) => Verdict::Authenticated,
            Some(false) => Verdict::TokenInvalid,
            None if api::is_open(shown.path) || shown.path == CALLBACK_PATH => Verdict::Open,
            None => Verdict::TokenMissing,
        }
    }

    /// The host it names, in one place or the same in both, is one of ours.
    fn names_us(&self, shown: &Shown<'_>) -> bool {
        let mut hosts = shown.headers.get_all(header::HOST).iter();
        let (host, second) = (hosts.next(), hosts.next());
        let host = match host.map(|host| host.to_str()) {
            Some(Err(_)) => return false,
            Some(Ok(host)) => Some(host),
            None => None,
        };
        let ours = |name: &str| self.hosts.iter().any(|host| host == name);
        second.is_none()
            && match (shown.authority, host) {
                (None, None) => false,
                (Some(authority), Some(host)) => authority == host && ours(authority),
                (Some(name), None) | (None, Some(name)) => ours(name),
            }
    }

    /// Whether the token is right; none when no single one was shown.
    fn token_shown(&self, headers: &HeaderMap) -> Option<bool> {
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        let first = shown.next()?;
        if shown.next().is_some() {
            return Some(false);
        }
        let token = first.to_str().ok().and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        Some(token.as_bytes().ct_eq(self.token.as_bytes()).into())
    }
}

/// `application/grpc`, alone or with the proto message format: what forms and simple requests of pages cannot send.
fn is_grpc(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (Some(one), None) => matches!(one.as_bytes(), b"application/grpc" | b"application/grpc+proto"),
        (_, _) => false,
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
        Verdict::WrongMethod => Some(api::plain(StatusCode::METHOD_NOT_ALLOWED, "this port speaks gRPC: POST only\n")),
        Verdict::WrongContentType => Some(api::plain(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "this port speaks gRPC over HTTP/2: content-type application/grpc only; try grpcurl -plaintext\n",
        )),
        Verdict::WrongVersion => {
            Some(api::plain(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "gRPC needs HTTP/2: use prior knowledge (h2c)\n"))
        }
        Verdict::TokenMissing => Some(api::unauthenticated(true)),
        Verdict::TokenInvalid => Some(api::unauthenticated(false)),
    }
}

/// Puts the guard before a service.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
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
