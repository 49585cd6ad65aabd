//! Parses the messages that matter, and writes commands, as JSON bytes without their terminating NUL.
//!
//! A message is read in two passes: its head says whether it matters, and only then are its fields taken. Most of
//! what a busy page causes (console, subresources) ends after the first, which allocates nothing.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, json};

/// Writes one command.
#[must_use]
pub fn command(id: u32, session: Option<&str>, method: &str, params: &Value) -> Vec<u8> {
    let mut message = json!({ "id": id, "method": method, "params": params });
    if let Some(session) = session {
        message["sessionId"] = Value::from(session);
    }
    message.to_string().into_bytes()
}

/// What a message is about, before its fields are taken.
#[derive(Deserialize)]
pub struct Head<'a> {
    /// Set on answers.
    pub id: Option<u32>,
    /// Set on events.
    #[serde(borrow)]
    pub method: Option<Cow<'a, str>>,
    /// The page session it belongs to; none for the browser itself.
    #[serde(borrow, rename = "sessionId")]
    pub session: Option<Cow<'a, str>>,
}

/// An event's fields.
#[derive(Deserialize)]
struct Event<P> {
    params: P,
}

/// The head of a message, if it is one at all.
#[must_use]
pub fn head(message: &[u8]) -> Option<Head<'_>> {
    serde_json::from_slice(message).ok()
}

/// The fields of an event, if they are as expected.
#[must_use]
pub fn params<'a, P: Deserialize<'a>>(message: &'a [u8]) -> Option<P> {
    serde_json::from_slice::<Event<P>>(message).ok().map(|event| event.params)
}

/// An answer to a command: all the results that are ever looked at, or the browser's refusal.
#[derive(Debug, Default, Deserialize)]
pub struct Answer {
    /// Empty if it was refused.
    #[serde(default)]
    pub result: AnswerResult,
    /// Set if it was refused.
    pub error: Option<AnswerError>,
}

/// The result fields of the commands that are sent.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerResult {
    /// Of `Browser.getVersion`.
    pub product: Option<String>,
    /// Of `Target.createTarget`.
    pub target_id: Option<String>,
    /// Of `Target.getTargets`.
    pub target_infos: Option<Vec<TargetInfo>>,
    /// Of `Target.getTargetInfo`.
    pub target_info: Option<TargetInfo>,
    /// Of `Page.getFrameTree`.
    pub frame_tree: Option<FrameTree>,
    /// Of `Target.createBrowserContext`.
    pub browser_context_id: Option<String>,
    /// Of `Target.getBrowserContexts`.
    pub browser_context_ids: Option<Vec<String>>,
    /// Of `Target.attachToBrowserTarget` and `Target.attachToTarget`.
    pub session_id: Option<String>,
}

/// The browser's refusal of a command.
#[derive(Debug, Deserialize)]
pub struct AnswerError {
    /// JSON-RPC code.
    pub code: i64,
    /// For people.
    #[serde(default)]
    pub message: String,
}

/// The code of a refusal because the session is gone.
pub const SESSION_NOT_FOUND: i64 = -32001;

/// The answer in a message.
#[must_use]
pub fn answer(message: &[u8]) -> Answer {
    serde_json::from_slice(message).unwrap_or_default()
}

/// The result of a command alone, by its own fields.
///
/// # Errors
/// The browser's refusal; also when the result is not as expected.
pub fn result<'a, R: Deserialize<'a>>(message: &'a [u8]) -> Result<R, AnswerError> {
    #[derive(Deserialize)]
    #[serde(bound(deserialize = "R: Deserialize<'de>"))]
    struct Outcome<R> {
        result: Option<R>,
        error: Option<AnswerError>,
    }
    let unexpected = |words: String| AnswerError { code: 0, message: words };
    match serde_json::from_slice::<Outcome<R>>(message) {
        Ok(Outcome { error: Some(error), .. }) => Err(error),
        Ok(Outcome { result: Some(result), .. }) => Ok(result),
        Ok(Outcome { result: None, error: None }) => Err(unexpected("the answer is empty".to_owned())),
        Err(error) => Err(unexpected(format!("the answer is not as expected: {error}"))),
    }
}

/// A page, worker or the like.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetInfo {
    /// The browser's id of it.
    pub target_id: String,
    /// "page" for tabs.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its address.
    #[serde(default)]
    pub url: String,
    /// Its title.
    #[serde(default)]
    pub title: String,
    /// Set on popups.
    pub opener_id: Option<String>,
    /// The context that it lies in.
    pub browser_context_id: Option<String>,
}

/// `Target.attachedToTarget`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attached {
    /// The session through which the target is now spoken to.
    pub session_id: String,
    /// The target.
    pub target_info: TargetInfo,
    /// Whether it stands still until told to run.
    #[serde(default)]
    pub waiting_for_debugger: bool,
}

/// `Target.detachedFromTarget`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detached {
    /// The session that is gone.
    pub session_id: String,
}

/// `Fetch.requestPaused`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Paused {
    /// By which it is let go.
    pub request_id: String,
    /// The frame that the document is for.
    pub frame_id: Option<String>,
}

/// `Target.targetInfoChanged` and `Target.targetCreated`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InfoChanged {
    /// The target as it is now.
    pub target_info: TargetInfo,
}

/// `Target.targetDestroyed`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Destroyed {
    /// The target that is gone.
    pub target_id: String,
}

/// `Target.targetCrashed`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Crashed {
    /// The target whose process died.
    pub target_id: String,
    /// How it died.
    #[serde(default)]
    pub status: String,
}

/// `Page.frameStartedNavigating`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartedNavigating {
    /// The frame.
    pub frame_id: String,
    /// The document to come.
    pub loader_id: String,
    /// Where it leads.
    #[serde(default)]
    pub url: String,
}

/// `Network.requestWillBeSent` and `Network.responseReceived`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Equals the loader's id for a document.
    pub request_id: String,
    /// "Document" for a document.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// The frame it is for.
    pub frame_id: Option<String>,
    /// Set when it answers.
    pub response: Option<Response>,
    /// Set when it is asked.
    pub request: Option<RequestBody>,
}

/// The address of a request.
#[derive(Deserialize)]
pub struct RequestBody {
    /// Without its fragment.
    #[serde(default)]
    pub url: String,
}

/// The part of an HTTP answer that matters.
#[derive(Deserialize)]
pub struct Response {
    /// The HTTP status; 0 for schemes without one.
    #[serde(default)]
    pub status: i64,
}

/// `Network.loadingFailed`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadingFailed {
    /// The request.
    pub request_id: String,
    /// "Document" for a document.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// For instance "net::ERR_CONNECTION_REFUSED".
    #[serde(default)]
    pub error_text: String,
}

/// `Page.frameNavigated`.
#[derive(Deserialize)]
pub struct FrameNavigated {
    /// The frame with its new document.
    pub frame: Frame,
}

/// The answer of `Page.getFrameTree`.
#[derive(Debug, Deserialize)]
pub struct FrameTree {
    /// The top frame.
    pub frame: Frame,
}

/// A frame and its document.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Frame {
    /// The frame.
    pub id: String,
    /// Set on frames inside others.
    pub parent_id: Option<String>,
    /// The document.
    #[serde(default)]
    pub loader_id: String,
    /// Its address.
    #[serde(default)]
    pub url: String,
    /// Set on error pages: what was wanted.
    pub unreachable_url: Option<String>,
}

/// `Runtime.executionContextCreated`.
#[derive(Deserialize)]
pub struct ContextCreated {
    /// The context.
    pub context: Context,
}

/// A place where scripts run.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Context {
    /// Its number in the page.
    pub id: i64,
    /// Whose scripts run there; "://" for an opaque origin.
    #[serde(default)]
    pub origin: String,
    /// Which frame and world it is.
    pub aux_data: Option<ContextAux>,
}

/// Which frame and world a context is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContextAux {
    /// The frame.
    pub frame_id: Option<String>,
    /// Whether it is the page's own world, not an extension's.
    #[serde(default)]
    pub is_default: bool,
}

/// `Runtime.executionContextDestroyed`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContextDestroyed {
    /// Its number in the page.
    pub execution_context_id: i64,
}

/// `Runtime.bindingCalled`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BindingCalled {
    /// Which binding.
    pub name: String,
    /// What the script gave it.
    pub payload: String,
    /// From where.
    pub execution_context_id: i64,
}

/// `Page.javascriptDialogOpening`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DialogOpening {
    /// "alert", "confirm", "prompt" or "beforeunload".
    #[serde(rename = "type")]
    pub kind: String,
    /// What a prompt suggests as its answer.
    pub default_prompt: Option<String>,
    /// What the page asks.
    #[serde(default)]
    pub message: String,
}

/// `Browser.downloadWillBegin`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DownloadBegan {
    /// What the browser calls it.
    pub guid: String,
    /// The frame that asked for it.
    #[serde(default)]
    pub frame_id: String,
    /// What the server or the page calls it.
    #[serde(default)]
    pub suggested_filename: String,
}

/// `Browser.downloadProgress`. Numbers of bytes are written as JSON numbers with or without a fraction.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DownloadProgress {
    /// What the browser calls it.
    pub guid: String,
    /// 0 when nobody said.
    #[serde(default)]
    pub total_bytes: f64,
    /// What is there; 0 again once it was cancelled.
    #[serde(default)]
    pub received_bytes: f64,
    /// "inProgress", "completed" or "canceled".
    #[serde(default)]
    pub state: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_json_with_a_session_only_where_there_is_one() {
        let text = String::from_utf8(command(7, None, "Browser.close", &json!({}))).unwrap();
        assert_eq!(text, r#"{"id":7,"method":"Browser.close","params":{}}"#);
        let text = String::from_utf8(command(8, Some("S"), "Page.enable", &json!({}))).unwrap();
        assert_eq!(text, r#"{"id":8,"method":"Page.enable","params":{},"sessionId":"S"}"#);
    }

    #[test]
    fn a_head_is_found_wherever_the_browser_puts_it() {
        let head = head(br#"{"params":{"id":"x","method":"no"},"sessionId":"S","method":"A.b"}"#).unwrap();
        assert_eq!((head.id, head.method.as_deref(), head.session.as_deref()), (None, Some("A.b"), Some("S")));
    }
}
