//! One call, made inside the service: JSON in, a gRPC frame to the inner router, and what comes back.

use std::convert::Infallible;

use axum::{Router, body::Body, extract::Request, response::Response};
use http::{Extensions, HeaderValue, Method as HttpMethod, StatusCode, Version, header, request::Parts};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::Instant;
use tower::{Service, ServiceExt};

use super::{
    frame::{Frames, framed},
    invalid,
};
use crate::api::{Failure, json::Method};

/// What answers gRPC.
pub(super) trait Inner:
    Service<Request, Response = Response, Error = Infallible, Future: Send> + Send + 'static
{
}

impl<S> Inner for S where S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Send + 'static {}

/// The calls, for routes beside them that make one on behalf of their own callers. Cheap to clone.
#[derive(Clone)]
pub(in crate::web) struct Calls(Router);

impl Calls {
    /// Takes the router that answers gRPC.
    pub(in crate::web) fn new(router: Router) -> Self {
        Self(router)
    }

    /// Makes one call of the contract by its name. `extensions` tell who calls.
    pub(in crate::web) async fn call(
        &self,
        name: &str,
        request: &Value,
        extensions: Extensions,
    ) -> Result<Value, Failure> {
        let path = format!("/comet.taskrunner.v1.TaskRunner/{name}");
        let method = Method::at(&path).expect("routes make calls that the contract has");
        let mut parts = Request::new(Body::empty()).into_parts().0;
        parts.method = HttpMethod::POST;
        parts.uri = path.parse().expect("the names of calls make paths");
        parts.extensions = extensions;
        let request = request.to_string();
        let sent = Sent { method, deadline: None, json: request.as_bytes() };
        let json = sent.unary(self.0.clone(), parts).await?;
        Ok(serde_json::from_str(&json).expect("the answer was just written as JSON"))
    }
}

/// A call on its way.
pub(super) struct Sent<'a> {
    pub(super) method: Method,
    /// When the caller has had enough.
    pub(super) deadline: Option<Instant>,
    /// What it asks.
    pub(super) json: &'a [u8],
}

impl Sent<'_> {
    /// The one answer, as JSON.
    pub(super) async fn unary(self, inner: impl Inner, parts: Parts) -> Result<String, Failure> {
        let body = self.begin(inner, parts).await?;
        // Bounded where it is made.
        let collected = within(self.deadline, body.collect()).await?.map_err(|error| cut(&error.to_string()))?;
        if let Some(failure) = collected.trailers().and_then(Failure::read) {
            return Err(failure);
        }
        let mut frames = Frames::default();
        frames.push(&collected.to_bytes());
        let message = frames.next_message()?.ok_or_else(|| cut("there is no message in it"))?;
        self.method.answer(&message).map_err(|error| cut(&error.to_string()))
    }

    /// The stream of answers, once it has begun.
    pub(super) async fn stream(self, inner: impl Inner, parts: Parts) -> Result<(Method, Body), Failure> {
        let body = self.begin(inner, parts).await?;
        Ok((self.method, body))
    }

    async fn begin(&self, inner: impl Inner, parts: Parts) -> Result<Body, Failure> {
        let message = self.method.request(self.json).map_err(|error| invalid(&error))?;
        let answered = within(self.deadline, inner.oneshot(as_grpc(parts, &message))).await?;
        let response = answered.unwrap_or_else(|never| match never {});
        // A call that is refused at once says so in its headers.
        match Failure::read(response.headers()) {
            Some(failure) => Err(failure),
            None => Ok(response.into_body()),
        }
    }
}

/// The request as gRPC has it. What tells who calls is kept.
fn as_grpc(mut parts: Parts, message: &[u8]) -> Request {
    for of_the_body in [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::TRANSFER_ENCODING] {
        parts.headers.remove(of_the_body);
    }
    for of_grpc in ["grpc-encoding", "grpc-accept-encoding"] {
        parts.headers.remove(of_grpc);
    }
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    parts.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    // Only so is it taken for gRPC; nothing of the version is left to be seen at this point.
    parts.version = Version::HTTP_2;
    Request::from_parts(parts, Body::from(framed(message)))
}

/// What is waited for no longer than the caller wants.
pub(super) async fn within<T>(deadline: Option<Instant>, future: impl Future<Output = T>) -> Result<T, Failure> {
    let Some(deadline) = deadline else { return Ok(future.await) };
    tokio::time::timeout_at(deadline, future).await.map_err(|_| {
        let text = "the time that connect-timeout-ms gave is over; what was begun may have been done";
        Failure::unsure(StatusCode::GATEWAY_TIMEOUT, text)
    })
}

/// The answer is not what this service makes.
pub(super) fn cut(why: &str) -> Failure {
    let text = format!("the answer was cut: {why}");
    Failure::unsure(StatusCode::INTERNAL_SERVER_ERROR, text)
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use super::*;

    #[tokio::test]
    async fn a_call_is_waited_for_as_long_as_its_caller_wants() {
        let late = within(Some(Instant::now() + Duration::from_millis(1)), pending::<()>()).await.unwrap_err();
        assert_eq!((late.code, late.details), ("deadline_exceeded", Vec::new()), "it may have made a job");
        assert_eq!(within(Some(Instant::now() + Duration::from_secs(60)), async { 7 }).await, Ok(7));
        assert_eq!(within(None, async { 7 }).await, Ok(7));
    }

    #[test]
    fn a_request_inside_keeps_who_calls_and_nothing_of_its_old_body() {
        let outer = Request::builder()
            .version(Version::HTTP_11)
            .header("authorization", "Bearer x")
            .header("content-length", "2")
            .header("grpc-encoding", "gzip")
            .extension(7_u8)
            .body(())
            .unwrap();
        let inner = as_grpc(outer.into_parts().0, b"abc");
        let mut names: Vec<_> = inner.headers().keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["authorization", "content-type", "te"]);
        assert_eq!((inner.extensions().get::<u8>(), inner.version()), (Some(&7), Version::HTTP_2));
    }
}
