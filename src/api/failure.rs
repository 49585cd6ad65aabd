//! What a call was refused with, for those who speak no gRPC: a name, an HTTP status, and details that can be read.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::{ErrorDetail, StatusExt};

use super::{RequestId, status::DOMAIN};

/// A refusal in plain data.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The code in small letters, such as "not_found".
    pub code: &'static str,
    /// What HTTP calls it.
    pub http_status: StatusCode,
    /// What to do about it, for a person.
    pub message: String,
    /// The details by their proto JSON, each with its type in "@type".
    pub details: Vec<Value>,
    /// When the call is worth another try; none when nothing is known of that.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// Reads the headers, or the trailers, of an answer; none when they tell of no refusal.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let status = Status::from_header_map(headers)?;
        (status.code() != Code::Ok).then(|| Self::from(&status))
    }

    /// A refusal of the HTTP edge's own, before anything was done. The code follows from the HTTP status.
    #[must_use]
    pub fn refused(http_status: StatusCode, reason: &str, message: impl Into<String>) -> Self {
        let details = vec![error_info(reason, DOMAIN, &json!({}))];
        Self { details, ..Self::unsure(http_status, message) }
    }

    /// The end of a call of which nobody can say here what it did. It has no ErrorInfo, which would say: nothing.
    #[must_use]
    pub fn unsure(http_status: StatusCode, message: impl Into<String>) -> Self {
        let (code, _) = names(code(http_status));
        Self { code, http_status, message: message.into(), details: Vec::new(), retry_after: None }
    }

    /// The same with the id of the request, unless it has one from further inside.
    #[must_use]
    pub fn with_request_id(mut self, id: &RequestId) -> Self {
        if self.request_id().is_none() {
            self.details.push(request_info(id.as_str()));
        }
        self
    }

    /// The id of the request, where it is told.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        let type_url = type_url("RequestInfo");
        let info = self.details.iter().find(|detail| detail["@type"] == type_url.as_str())?;
        info["requestId"].as_str()
    }

    /// The reason of its ErrorInfo; empty when it has none.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.details.iter().find_map(|detail| detail["reason"].as_str()).unwrap_or_default()
    }

    /// As it is written to a caller.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "code": self.code, "message": self.message, "details": self.details })
    }
}

impl From<&Status> for Failure {
    fn from(status: &Status) -> Self {
        let (code, http_status) = names(status.code());
        let details = status.get_error_details_vec();
        let retry_after = status.get_details_retry_info().and_then(|retry| retry.retry_delay);
        let details = details.into_iter().filter_map(detail).collect();
        Self { code, http_status, message: status.message().to_owned(), details, retry_after }
    }
}

/// A detail of a kind that this service sends.
fn detail(detail: ErrorDetail) -> Option<Value> {
    match detail {
        ErrorDetail::ErrorInfo(info) => Some(error_info(&info.reason, &info.domain, &json!(info.metadata))),
        ErrorDetail::BadRequest(bad) => {
            let violations = bad.field_violations.into_iter();
            let violations: Vec<_> = violations
                .map(|violation| json!({ "field": violation.field, "description": violation.description }))
                .collect();
            Some(json!({ "@type": type_url("BadRequest"), "fieldViolations": violations }))
        }
        ErrorDetail::RetryInfo(retry) => {
            let delay = retry.retry_delay.unwrap_or_default();
            Some(json!({ "@type": type_url("RetryInfo"), "retryDelay": format!("{}s", delay.as_secs_f64()) }))
        }
        ErrorDetail::RequestInfo(info) => Some(request_info(&info.request_id)),
        _ => None,
    }
}

/// The gRPC code of an HTTP status that the edge answers with.
pub(super) fn code(http_status: StatusCode) -> Code {
    match http_status {
        StatusCode::BAD_REQUEST | StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::InvalidArgument,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => {
            Code::Unimplemented
        }
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::TOO_MANY_REQUESTS => {
            Code::ResourceExhausted
        }
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        StatusCode::GATEWAY_TIMEOUT => Code::DeadlineExceeded,
        _ => Code::Internal,
    }
}

fn error_info(reason: &str, domain: &str, metadata: &Value) -> Value {
    json!({ "@type": type_url("ErrorInfo"), "reason": reason, "domain": domain, "metadata": metadata })
}

fn request_info(id: &str) -> Value {
    json!({ "@type": type_url("RequestInfo"), "requestId": id })
}

fn type_url(name: &str) -> String {
    format!("type.googleapis.com/google.rpc.{name}")
}

/// What each code is called over HTTP: the table of the Connect protocol, which is widely understood.
fn names(code: Code) -> (&'static str, StatusCode) {
    match code {
        Code::Ok => ("ok", StatusCode::OK),
        Code::Cancelled => ("canceled", client_left()),
        Code::Unknown => ("unknown", StatusCode::INTERNAL_SERVER_ERROR),
        Code::InvalidArgument => ("invalid_argument", StatusCode::BAD_REQUEST),
        Code::DeadlineExceeded => ("deadline_exceeded", StatusCode::GATEWAY_TIMEOUT),
        Code::NotFound => ("not_found", StatusCode::NOT_FOUND),
        Code::AlreadyExists => ("already_exists", StatusCode::CONFLICT),
        Code::PermissionDenied => ("permission_denied", StatusCode::FORBIDDEN),
        Code::ResourceExhausted => ("resource_exhausted", StatusCode::TOO_MANY_REQUESTS),
        Code::FailedPrecondition => ("failed_precondition", StatusCode::BAD_REQUEST),
        Code::Aborted => ("aborted", StatusCode::CONFLICT),
        Code::OutOfRange => ("out_of_range", StatusCode::BAD_REQUEST),
        Code::Unimplemented => ("unimplemented", StatusCode::NOT_IMPLEMENTED),
        Code::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
        Code::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
        Code::DataLoss => ("data_loss", StatusCode::INTERNAL_SERVER_ERROR),
        Code::Unauthenticated => ("unauthenticated", StatusCode::UNAUTHORIZED),
    }
}

/// Without a name in the standard: the caller is gone, and nobody reads it.
fn client_left() -> StatusCode {
    StatusCode::from_u16(499).expect("499 is a number that HTTP can say")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::status::{self, Violation},
        job::TaskId,
    };

    /// As a caller over HTTP sees it.
    fn seen(status: Status) -> Failure {
        Failure::read(status.into_http::<tonic::body::Body>().headers()).expect("it is a refusal")
    }

    #[test]
    fn a_refusal_keeps_its_words_and_its_details_in_readable_json() {
        let failure = seen(status::invalid(&[Violation::new("url", "URL_INVALID", "is 100 % wrong: é")]));
        assert_eq!((failure.code, failure.http_status), ("invalid_argument", StatusCode::BAD_REQUEST));
        assert_eq!(failure.message, "url: is 100 % wrong: é");
        assert_eq!(failure.reason(), "URL_INVALID");
        let details = &failure.to_json()["details"];
        let of_type = |name: &str| {
            let found = details.as_array().unwrap().iter().find(|detail| detail["@type"] == type_url(name));
            found.unwrap_or_else(|| panic!("{details} has a {name}")).clone()
        };
        let info = of_type("ErrorInfo");
        assert_eq!((&info["reason"], &info["domain"]), (&json!("URL_INVALID"), &json!("taskrunner.comet")));
        let violation = json!([{ "field": "url", "description": "is 100 % wrong: é" }]);
        assert_eq!(of_type("BadRequest")["fieldViolations"], violation);
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let failure = seen(status::draining());
        assert_eq!((failure.code, failure.http_status), ("unavailable", StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(failure.retry_after, Some(Duration::from_secs(1)));
        assert!(failure.details.iter().any(|detail| detail["retryDelay"] == "1s"), "{:?}", failure.details);
    }

    #[test]
    fn what_went_well_is_no_refusal() {
        let mut headers = HeaderMap::new();
        assert_eq!(Failure::read(&headers), None);
        headers.insert("grpc-status", http::HeaderValue::from_static("0"));
        assert_eq!(Failure::read(&headers), None);
        let failure = seen(status::not_found(TaskId::new(uuid::Uuid::nil())));
        assert_eq!((failure.code, failure.http_status), ("not_found", StatusCode::NOT_FOUND));
    }

    #[test]
    fn a_refusal_of_the_edge_looks_like_every_other() {
        let failure = Failure::refused(StatusCode::PAYLOAD_TOO_LARGE, "REQUEST_TOO_LARGE", "too much");
        assert_eq!((failure.code, failure.reason()), ("resource_exhausted", "REQUEST_TOO_LARGE"));
        assert_eq!(failure.to_json()["details"][0]["domain"], "taskrunner.comet");
    }

    #[test]
    fn a_refusal_has_the_id_of_its_request_once() {
        let (inner, outer) = (RequestId::new(), RequestId::new());
        let refused = Failure::refused(StatusCode::FORBIDDEN, "WHY", "x").with_request_id(&inner);
        assert_eq!(refused.details[1], request_info(inner.as_str()));
        assert_eq!(refused.clone().with_request_id(&outer), refused);
        let passed_on = seen(status::with_request_id(&status::draining(), inner.as_str()));
        assert_eq!(passed_on.clone().with_request_id(&outer), passed_on);
        assert_eq!(passed_on.reason(), "DRAINING");
    }
}
