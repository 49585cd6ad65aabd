//! `POST /callback`: a page reports on its task over HTTP, from whatever origin its job allows.
//!
//! It is the contract's Callback, for those that a page's script can reach it from: the same checks, the same first
//! report that wins. Added is what only a page has, its origin. Three wrongs get one answer, which no page can read:
//! a wrong token, a foreign origin, an unknown task. So nobody learns which tasks there are.
//!
//! ```text
//!   OPTIONS  any well-formed origin may ask; it is told nothing but that it may try
//!   POST     {"task_id": "...", "callback_token": "...", "status": "DONE", "result": {"any": "JSON"}}
//! ```

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{MethodRouter, options},
};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::{guard::Way, json, legacy};
use crate::{
    api::{Caller, Failure, RequestId},
    job::TaskUrl,
    runner::Runner,
};

/// Where pages report.
pub(super) const PATH: &str = "/callback";
/// How long a browser may remember that it may try, in seconds: the rule never changes, a service's address does.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("600");
/// A browser asks whether a page of the wide world may reach this machine.
const PRIVATE_ASKED: HeaderName = HeaderName::from_static("access-control-request-private-network");
/// And is told.
const PRIVATE_ALLOWED: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// What reports are judged by, and where they go.
#[derive(Clone)]
pub(super) struct Reports {
    pub(super) calls: json::Calls,
    pub(super) runner: Runner,
    /// Whether a report needs no token when no page sent it.
    pub(super) legacy: bool,
}

/// The route.
pub(super) fn route(reports: Reports) -> MethodRouter {
    options(preflight).post(report).with_state(reports)
}

/// A page may try: what it sends is judged when it comes.
async fn preflight(request: Request) -> Response {
    let headers = request.headers();
    let Some(origin) = headers.get(header::ORIGIN).filter(|origin| is_origin(origin)) else {
        return refusal(&json::Asked::of(request.extensions())).into_response();
    };
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type"));
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
    answer.insert(header::VARY, HeaderValue::from_static("origin"));
    if headers.get(PRIVATE_ASKED).is_some_and(|asked| asked == "true") {
        answer.insert(PRIVATE_ALLOWED, HeaderValue::from_static("true"));
    }
    response
}

async fn report(State(reports): State<Reports>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let asked = json::Asked::of(&parts.extensions);
    let sent = match Sent::read(&parts.headers, &parts.extensions, body).await {
        Ok(sent) => sent,
        Err(failure) => return json::refusal(&asked.tell(failure)).into_response(),
    };
    if reports.legacy && sent.is_of_old_caller() {
        return legacy::report(&reports.calls, &sent.fields).await;
    }
    if !reports.permits(&sent).await {
        return refusal(&asked).into_response();
    }
    let mut response = match reports.pass_on(&sent, asked.id()).await {
        Ok(answer) => json::response(StatusCode::OK, answer.to_string()),
        Err(failure) if failure.reason() == "CALLBACK_TOKEN_INVALID" => return refusal(&asked).into_response(),
        Err(failure) => json::refusal(&asked.tell(failure)),
    };
    if let Some(origin) = sent.origin {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("origin"));
    response.into_response()
}

/// One answer to a wrong token, a foreign origin and an unknown task.
fn refusal(asked: &json::Asked) -> http::Response<String> {
    let text = "callback_token is not this task's, or the page's origin is not one that may report on it: it takes \
                the token that Execute answered with, and an origin of the task's callback_origins";
    let failure = Failure::refused(StatusCode::FORBIDDEN, "CALLBACK_REFUSED", text);
    let mut response = json::refusal(&asked.tell(failure));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("origin"));
    response
}

/// A report as it came.
struct Sent {
    origin: Option<HeaderValue>,
    way: Way,
    caller: Option<Caller>,
    fields: Map<String, Value>,
}

impl Sent {
    async fn read(headers: &HeaderMap, extensions: &Extensions, body: Body) -> Result<Self, Failure> {
        let origin = headers.get(header::ORIGIN).cloned();
        let way = *extensions.get::<Way>().expect("the guard tells it of every report");
        let fields = serde_json::from_slice(&json::whole(body).await?).map_err(|error| json::invalid(&error))?;
        Ok(Self { origin, way, caller: extensions.get::<Caller>().cloned(), fields })
    }

    /// A field under its name in the contract or in JSON.
    fn text(&self, name: &str, json_name: &str) -> &str {
        self.fields.get(name).or_else(|| self.fields.get(json_name)).and_then(Value::as_str).unwrap_or_default()
    }

    fn token(&self) -> &str {
        self.text("callback_token", "callbackToken")
    }

    /// On this machine, no page, and no token of any kind.
    fn is_of_old_caller(&self) -> bool {
        self.way.from_near && !self.way.from_page && self.caller.is_none() && self.token().is_empty()
    }
}

impl Reports {
    /// Whether the page that sent it may report on this task. What no page sent, and what ours did, needs its token
    /// alone, which the call itself looks at.
    async fn permits(&self, sent: &Sent) -> bool {
        let Some(origin) = &sent.origin else { return true };
        if sent.way.from_us {
            return true;
        }
        let Ok(id) = sent.text("task_id", "taskId").parse() else { return false };
        // The token first: without it not even the time of the answer tells whether there is such a task.
        if !self.runner.accepts_callback(id, sent.token()) {
            return false;
        }
        let Ok((job, _)) = self.runner.status(id).await else { return false };
        job.spec.callback_origins.iter().any(|allowed| origin == allowed.as_str())
    }

    async fn pass_on(&self, sent: &Sent, id: &RequestId) -> Result<Value, Failure> {
        let mut fields = sent.fields.clone();
        if let Some(result) = fields.remove("result").and_then(result_text) {
            fields.insert("result".to_owned(), result.into());
        }
        let mut extensions = Extensions::new();
        extensions.insert(id.clone());
        if let Some(caller) = sent.caller.clone() {
            extensions.insert(caller);
        }
        self.calls.call("Callback", &Value::Object(fields), extensions).await
    }
}

/// A result as JSON text: given as such, or as the value itself. None when there is none.
pub(super) fn result_text(result: Value) -> Option<String> {
    match result {
        Value::Null => None,
        Value::String(text) if text.is_empty() || serde_json::from_str::<IgnoredAny>(&text).is_ok() => Some(text),
        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
            Some(other.to_string())
        }
    }
}

/// An http or https origin in the one spelling that browsers send.
fn is_origin(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    TaskUrl::parse(text).is_ok_and(|url| url.origin() == text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        for good in ["http://a.test", "https://a.test:8443", "http://127.0.0.1:1", "http://[::1]:8080"] {
            assert!(is_origin(&HeaderValue::from_str(good).unwrap()), "{good}");
        }
        for bad in
            ["null", "", "*", "a.test", "http://a.test/", "HTTP://a.test", "http://a.test:80", "file://", "http://u@a"]
        {
            assert!(!is_origin(&HeaderValue::from_str(bad).unwrap()), "{bad}");
        }
    }

    #[test]
    fn a_result_is_json_text_or_the_value_itself() {
        assert_eq!(result_text(json!(null)), None);
        assert_eq!(result_text(json!({ "n": 1 })).unwrap(), r#"{"n":1}"#);
        assert_eq!(result_text(json!(7)).unwrap(), "7");
        assert_eq!(result_text(json!(r#"{"n": 1}"#)).unwrap(), r#"{"n": 1}"#, "text of JSON stays as it is");
        assert_eq!(result_text(json!("well done")).unwrap(), r#""well done""#);
        assert_eq!(result_text(json!("")).unwrap(), "");
    }
}
