//! How a page reports about its task: the script that is injected into it, and the check of what comes back.

use serde::Deserialize;
use serde::de::IgnoredAny;
use subtle::ConstantTimeEq;

use crate::job::{REPORT_MESSAGE_BYTES_MAX, REPORT_RESULT_BYTES_MAX};

/// What a page says about its task, through the binding or over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How the task stands.
    pub status: ReportStatus,
    /// Prose of at most [`REPORT_MESSAGE_BYTES_MAX`] bytes; may be empty.
    pub message: String,
    /// JSON text of at most [`REPORT_RESULT_BYTES_MAX`] bytes.
    pub result: Option<String>,
    /// Percent, 0 to 100.
    pub progress: Option<u8>,
}

/// The three things that a page can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ReportStatus {
    /// It did what it was for.
    Done,
    /// It did not.
    Failed,
    /// It is still at it.
    Running,
}

/// Longest payload that is looked at, in bytes: the result doubles when its quotes and backslashes are escaped,
/// a message grows at most sixfold, and the frame around them is small.
const PAYLOAD_BYTES_MAX: usize = 2 * REPORT_RESULT_BYTES_MAX + 6 * REPORT_MESSAGE_BYTES_MAX + 1024;

/// The global that carries reports out of the page, until the script hides it in a closure.
pub const BINDING: &str = "__cometTaskReport";

/// A function expression; see the file.
const SCRIPT: &str = include_str!("report.js");

/// Why something that came through the binding is not a report of this task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than any report can be.
    #[error("report is longer than {PAYLOAD_BYTES_MAX} bytes")]
    TooLong,
    /// Not the JSON of a report.
    #[error("report is not the expected JSON")]
    Malformed,
    /// Not this task's token.
    #[error("report carries a wrong token")]
    Token,
    /// From a frame that is not the top one, or from a document that is gone.
    #[error("report comes from a frame that is not the page's own")]
    Frame,
    /// From a document of an origin that is not allowed.
    #[error("report comes from an origin that is not allowed")]
    Origin,
    /// The result is longer than [`REPORT_RESULT_BYTES_MAX`].
    #[error("result is longer than {REPORT_RESULT_BYTES_MAX} bytes")]
    ResultTooLong,
    /// The result is not JSON text.
    #[error("result is not JSON")]
    ResultNotJson,
    /// The message is longer than [`REPORT_MESSAGE_BYTES_MAX`].
    #[error("message is longer than {REPORT_MESSAGE_BYTES_MAX} bytes")]
    MessageTooLong,
    /// The progress is above 100.
    #[error("progress is above 100")]
    ProgressOutOfRange,
}

/// The script to be evaluated in every new document of the page.
#[must_use]
pub fn script(token: &str, allowed_origins: &[String]) -> String {
    let token = json_text(token);
    let binding = json_text(BINDING);
    let origins = allowed_origins.iter().map(|origin| json_text(origin)).collect::<Vec<_>>().join(",");
    format!(
        "{}({token},[{origins}],{binding},{REPORT_RESULT_BYTES_MAX},{REPORT_MESSAGE_BYTES_MAX});",
        SCRIPT.trim_end()
    )
}

/// A JSON string, which is also a JavaScript string.
fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[derive(Deserialize)]
struct Payload {
    token: String,
    status: ReportStatus,
    #[serde(default)]
    message: String,
    result: Option<String>,
    progress: Option<u8>,
}

/// Takes the payload of a binding call for a report of the task that has this token.
///
/// # Errors
/// Says why it is none.
pub fn check(payload: &str, token: &str) -> Result<Report, Refusal> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    let payload: Payload = serde_json::from_str(payload).map_err(|_| Refusal::Malformed)?;
    if !bool::from(payload.token.as_bytes().ct_eq(token.as_bytes())) {
        return Err(Refusal::Token);
    }
    let report =
        Report { status: payload.status, message: payload.message, result: payload.result, progress: payload.progress };
    report.check_bounds()?;
    Ok(report)
}

impl Report {
    fn check_bounds(&self) -> Result<(), Refusal> {
        if self.message.len() > REPORT_MESSAGE_BYTES_MAX {
            return Err(Refusal::MessageTooLong);
        }
        if self.progress.is_some_and(|percent| percent > 100) {
            return Err(Refusal::ProgressOutOfRange);
        }
        match &self.result {
            Some(result) if result.len() > REPORT_RESULT_BYTES_MAX => Err(Refusal::ResultTooLong),
            // Ignored values are checked without recursion, however deep they are.
            Some(result) if serde_json::from_str::<IgnoredAny>(result).is_err() => Err(Refusal::ResultNotJson),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: &str = "t0ken";

    fn payload(fields: &str) -> String {
        format!(r#"{{"token":"{TOKEN}",{fields}}}"#)
    }

    #[test]
    fn a_report_is_taken_with_all_its_fields() {
        let report = check(&payload(r#""status":"DONE","result":"{\"a\":1}""#), TOKEN).unwrap();
        assert_eq!(report.status, ReportStatus::Done);
        assert_eq!(report.result.as_deref(), Some(r#"{"a":1}"#));
        let report = check(&payload(r#""status":"RUNNING","progress":40,"message":"half""#), TOKEN).unwrap();
        assert_eq!((report.progress, report.message.as_str()), (Some(40), "half"));
    }

    #[test]
    fn each_kind_of_bad_payload_is_refused_by_name() {
        let long = "x".repeat(REPORT_RESULT_BYTES_MAX);
        let deep = "[".repeat(60_000);
        for (text, refusal) in [
            (String::new(), Refusal::Malformed),
            ("null".to_owned(), Refusal::Malformed),
            (payload(r#""status":"LOST""#), Refusal::Malformed),
            (payload(r#""status":"RUNNING","progress":-1"#), Refusal::Malformed),
            (payload(r#""status":"RUNNING","progress":101"#), Refusal::ProgressOutOfRange),
            (r#"{"token":"other","status":"DONE"}"#.to_owned(), Refusal::Token),
            (r#"{"token":"","status":"DONE"}"#.to_owned(), Refusal::Token),
            (r#"{"token":"t0kenx","status":"DONE"}"#.to_owned(), Refusal::Token),
            (payload(r#""status":"DONE","result":"{""#), Refusal::ResultNotJson),
            (payload(&format!(r#""status":"DONE","result":"{deep}""#)), Refusal::ResultNotJson),
            (payload(&format!(r#""status":"DONE","result":"\"{long}\"""#)), Refusal::ResultTooLong),
            (payload(&format!(r#""status":"FAILED","message":"{}""#, &long[..=4096])), Refusal::MessageTooLong),
            ("x".repeat(PAYLOAD_BYTES_MAX + 1), Refusal::TooLong),
        ] {
            assert_eq!(check(&text, TOKEN), Err(refusal), "{text:.80}");
        }
    }

    #[test]
    fn a_result_of_exactly_the_limit_passes_even_when_every_byte_is_escaped() {
        let result = format!("\"{}\"", r"\\".repeat((REPORT_RESULT_BYTES_MAX - 2) / 2));
        assert_eq!(result.len(), REPORT_RESULT_BYTES_MAX);
        let text = payload(&format!(r#""status":"DONE","result":{}"#, json_text(&result)));
        assert_eq!(check(&text, TOKEN).unwrap().result, Some(result));
    }

    #[test]
    fn a_lone_surrogate_in_a_result_is_json_all_the_same() {
        let text = payload(r#""status":"DONE","result":"\"\\ud800\"""#);
        assert_eq!(check(&text, TOKEN).unwrap().result.as_deref(), Some(r#""\ud800""#));
    }

    #[test]
    fn the_script_quotes_what_it_is_given() {
        let text = script("a\"b", &["http://x\\".to_owned(), "https://y".to_owned()]);
        assert!(text.ends_with(r#"})("a\"b",["http://x\\","https://y"],"__cometTaskReport",65536,4096);"#));
    }

    proptest! {
        #[test]
        fn no_payload_panics(text in ".{0,200}") {
            let _ = check(&text, TOKEN);
        }
    }
}
