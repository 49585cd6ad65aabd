//! The JSON entrance: every call of the contract with a JSON body, for callers that speak no gRPC.
//!
//! ```text
//!   POST /comet.taskrunner.v1.TaskRunner/GetStatus      content-type: application/json
//!   {"taskId": "..."}  ->  one gRPC frame  ->  the same router that gRPC callers reach  ->  {"job": {...}}
//! ```
//!
//! There is no code per call: names and types are the contract's descriptors. A stream of answers comes as lines, one
//! message each. A refusal has the HTTP status of its code, and its details as JSON.
//!
//! What this module does not know: who may call (the guard's), what a call does (the api's), any field of any message.

mod call;
mod frame;
mod lines;

use std::time::Duration;

use axum::{
    body::Body,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::Instant;
use tracing::Span;

use crate::api::{Caller, Failure, REQUEST_BYTES_MAX, RequestId, Speech, json::Method};

pub(super) use call::Calls;
use call::{Inner, Sent, within};

/// What answers are.
const JSON: &str = "application/json";
/// A caller's patience, in milliseconds: as the Connect protocol has it.
const TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");
/// Longest patience that can be written: ten digits, as the Connect protocol has it.
const TIMEOUT_DIGITS_MAX: usize = 10;

/// Turns a request with JSON into one of gRPC, and its answer back. Everything else passes as it is.
pub(super) async fn entrance(request: Request, next: Next) -> Response {
    if !is_json(request.headers()) {
        return next.run(request).await;
    }
    let asked = Asked::of(request.extensions());
    match answer(next, request).await {
        Ok(response) => response,
        Err(failure) => refusal(&asked.tell(failure)).into_response(),
    }
}

/// What is said of a request in a refusal and in the log.
#[derive(Clone)]
pub(super) struct Asked {
    id: RequestId,
    /// Its caller showed a token.
    known: bool,
    span: Span,
}

impl Asked {
    /// As the edge found it.
    pub(super) fn of(extensions: &Extensions) -> Self {
        let id = extensions.get::<RequestId>().cloned().unwrap_or_default();
        Self { id, known: extensions.get::<Caller>().is_some(), span: Span::current() }
    }

    pub(super) fn id(&self) -> &RequestId {
        &self.id
    }

    /// A failure with the id of its request; what no call inside has logged is logged here.
    pub(super) fn tell(&self, failure: Failure) -> Failure {
        if failure.request_id().is_none() {
            let _in = self.span.enter();
            let (code, reason) = (failure.code, failure.reason());
            // Everybody may try, so that a line for each would be a flood.
            if self.known {
                tracing::info!(code, reason, "refused a request");
            } else {
                tracing::debug!(code, reason, "refused a request");
            }
        }
        failure.with_request_id(&self.id)
    }
}

/// The answer to a refused caller that speaks JSON.
pub(super) fn refusal(failure: &Failure) -> http::Response<String> {
    let mut response = response(failure.http_status, failure.to_json().to_string());
    if let Some(after) = failure.retry_after {
        // Whole seconds are all that the header can say; sooner would be too soon.
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// An answer in JSON.
pub(super) fn response(status: StatusCode, json: String) -> http::Response<String> {
    let mut response = http::Response::new(json);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}

/// The whole body of a request, if it is not too large.
pub(super) async fn whole(body: Body) -> Result<Vec<u8>, Failure> {
    match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes().to_vec()),
        Err(error) if error.is::<LengthLimitError>() => {
            let text = format!("the body is larger than {REQUEST_BYTES_MAX} bytes, which is the most that is taken");
            Err(Failure::refused(StatusCode::PAYLOAD_TOO_LARGE, "REQUEST_TOO_LARGE", text))
        }
        Err(error) => {
            let text = format!("the body did not come whole: {error}");
            Err(Failure::refused(StatusCode::BAD_REQUEST, "REQUEST_CUT", text))
        }
    }
}

/// For a body that is not the JSON that its path takes.
pub(super) fn invalid(error: &serde_json::Error) -> Failure {
    let text = format!("the body is not the JSON of a request for this path: {error}");
    Failure::refused(StatusCode::BAD_REQUEST, "JSON_INVALID", text)
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.and_then(Speech::of_content) == Some(Speech::Json)
}

async fn answer(inner: impl Inner, request: Request) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let Some(method) = Method::at(parts.uri.path()) else {
        let text = format!("{} is no call that can be made with JSON", parts.uri.path());
        return Err(Failure::refused(StatusCode::NOT_IMPLEMENTED, "CALL_UNKNOWN", text));
    };
    let deadline = deadline(&parts.headers)?;
    let json = within(deadline, whole(body)).await??;
    let sent = Sent { method, deadline, json: &json };
    if sent.method.is_stream() {
        let asked = Asked::of(&parts.extensions);
        let (method, body) = sent.stream(inner, parts).await?;
        Ok(lines::response(method, body, deadline, asked))
    } else {
        let json = sent.unary(inner, parts).await?;
        Ok(response(StatusCode::OK, json).into_response())
    }
}

/// When the caller has had enough.
fn deadline(headers: &HeaderMap) -> Result<Option<Instant>, Failure> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    match text.parse().map(Duration::from_millis) {
        Ok(patience) if text.len() <= TIMEOUT_DIGITS_MAX => Ok(Some(Instant::now() + patience)),
        Ok(_) | Err(_) => {
            let text = format!("connect-timeout-ms {text:?} is not a number of milliseconds; give one such as 5000");
            Err(Failure::refused(StatusCode::BAD_REQUEST, "TIMEOUT_INVALID", text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience(text: &str) -> Result<Option<Instant>, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(TIMEOUT, HeaderValue::from_str(text).unwrap());
        deadline(&headers)
    }

    #[test]
    fn a_callers_patience_is_a_number_of_milliseconds() {
        assert!(deadline(&HeaderMap::new()).unwrap().is_none());
        assert!(patience("0").unwrap().unwrap() <= Instant::now());
        assert!(patience("9999999999").unwrap().unwrap() > Instant::now());
        for wrong in ["", "-1", "1s", "99999999999", "1.5"] {
            assert_eq!(patience(wrong).unwrap_err().reason(), "TIMEOUT_INVALID", "{wrong:?}");
        }
    }

    #[test]
    fn a_refusal_says_in_whole_seconds_when_to_come_again() {
        let mut failure = Failure::refused(StatusCode::SERVICE_UNAVAILABLE, "DRAINING", "later");
        assert!(!refusal(&failure).headers().contains_key(header::RETRY_AFTER));
        failure.retry_after = Some(Duration::from_millis(1001));
        let response = refusal(&failure);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(response.headers()[header::CONTENT_TYPE], JSON);
        assert_eq!(response.body(), &failure.to_json().to_string());
    }
}
