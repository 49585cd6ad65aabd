//! Puts the guard before a service, and on every answer what browsers are to keep to.

use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Instant, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use tower::{Layer, Service};
use tracing::Instrument;

use super::{
    guard::{Guard, Shown, Verdict, Why},
    refusal::Refusals,
    route::Route,
};
use crate::api::{self, Body, REQUEST_ID, RequestId, Speech};

/// Puts the guard before a service.
#[derive(Clone)]
pub struct GuardLayer(Arc<Watch>);

/// The guard, and what it remembers.
struct Watch {
    guard: Guard,
    refusals: Refusals,
}

impl GuardLayer {
    /// One guard for every connection.
    #[must_use]
    pub fn new(guard: Guard) -> Self {
        Self(Arc::new(Watch { guard, refusals: Refusals::default() }))
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { watch: Arc::clone(&self.0), inner }
    }
}

/// A service behind the guard.
#[derive(Clone)]
pub struct Guarded<S> {
    watch: Arc<Watch>,
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
        let shown = Shown {
            method: request.method(),
            version: request.version(),
            path: request.uri().path(),
            authority: request.uri().authority().map(http::uri::Authority::as_str),
            headers: request.headers(),
            now: SystemTime::now().into(),
        };
        let id = RequestId::of(request.headers());
        // At the level that every filter lets through, so that whatever is logged of it has its id.
        let span = tracing::error_span!("request", request_id = %id);
        let verdict = self.watch.guard.judge(&shown);
        let reports = verdict.route() == Some(Route::Callback);
        let way = if reports { self.watch.guard.way(&shown) } else { None };
        let route = match verdict {
            Verdict::Refused(why) => {
                span.in_scope(|| self.watch.refusals.note(why, request.uri().path(), Instant::now()));
                return Box::pin(ready(Ok(refused(why, &request, &id))));
            }
            Verdict::Authenticated(route, caller) => {
                request.extensions_mut().insert(caller);
                route
            }
            Verdict::Open(route) => route,
        };
        request.extensions_mut().insert(id.clone());
        if let Some(way) = way {
            request.extensions_mut().insert(way);
        }
        // Reflection alone takes a stream of questions, for as long as its caller likes.
        let request = if route == Route::About { request } else { request.map(api::bounded) };
        let answer = span.in_scope(|| self.inner.call(request));
        let answered = async move {
            let mut answer = answer.await?;
            harden(answer.headers_mut(), route);
            answer.headers_mut().insert(REQUEST_ID, id.header());
            Ok(answer)
        };
        Box::pin(answered.instrument(span))
    }
}

fn refused(why: Why, request: &Request<Body>, id: &RequestId) -> Response<Body> {
    let speech = Speech::of(request.method(), request.version(), request.headers());
    let mut answer = why.refusal().answer(speech, id);
    if why == Why::WrongMethod
        && let Some(route) = Route::of(request.uri().path(), true)
    {
        let methods = route.methods(request.uri().path()).iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        answer.headers_mut().extend(HeaderValue::from_str(&methods).ok().map(|methods| (header::ALLOW, methods)));
    }
    // The answer to a HEAD has no body, whatever it would say.
    if request.method() == Method::HEAD {
        *answer.body_mut() = Body::empty();
    }
    secure(answer.headers_mut());
    answer
}

/// What a browser is to do with an answer, unless the answer says it itself.
fn harden(headers: &mut HeaderMap, route: Route) {
    secure(headers);
    // The page's files say themselves how long they keep.
    if route != Route::Page {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
}

/// It is what it says it is, and no other origin's page may embed it.
fn secure(headers: &mut HeaderMap) {
    const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(CROSS_ORIGIN_RESOURCE_POLICY).or_insert(HeaderValue::from_static("same-origin"));
}
