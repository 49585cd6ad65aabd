//! The only table from what went wrong to what a caller is told.

use std::{collections::HashMap, time::Duration};

use http::{HeaderMap, Response};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::Scope;
use crate::{
    job::{Refusal, TaskId},
    ledger::Fault,
    runner::{CallError, CaptureError, ExecuteError, FileError, ProfileError, WindowsError},
};

/// The domain of every ErrorInfo of this service.
pub(super) const DOMAIN: &str = "taskrunner.comet";
/// When a full queue is worth another try: about one short task later.
const QUEUE_RETRY: Duration = Duration::from_secs(5);
/// When a picture is worth another try while too many are taken: each takes a tenth of it.
const CAPTURE_RETRY: Duration = Duration::from_secs(1);
/// When a service that is leaving may be back.
pub(super) const DRAINING_RETRY: Duration = Duration::from_secs(1);

/// What a caller without a token is told.
pub const TOKEN_MISSING: &str = "this call needs the API token as \"authorization: Bearer <token>\"; `comet-task-runner token` prints it, and `comet-task-runner token --link` opens the page";

/// One field that is at fault, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) field: String,
    pub(super) reason: &'static str,
    pub(super) description: String,
}

impl Violation {
    pub(super) fn new(field: impl Into<String>, reason: &'static str, description: impl Into<String>) -> Self {
        Self { field: field.into(), reason, description: description.into() }
    }
}

fn status(code: Code, reason: &str, message: impl Into<String>, details: ErrorDetails) -> Status {
    metadata_status(code, reason, message, details, HashMap::new())
}

fn metadata_status(
    code: Code,
    reason: &str,
    message: impl Into<String>,
    mut details: ErrorDetails,
    metadata: HashMap<String, String>,
) -> Status {
    details.set_error_info(reason, DOMAIN, metadata);
    Status::with_error_details(code, message, details)
}

/// All the fields at fault in one answer; the first one gives the reason.
pub(super) fn invalid(violations: &[Violation]) -> Status {
    let mut details = ErrorDetails::new();
    for violation in violations {
        details.add_bad_request_violation(&violation.field, &violation.description);
    }
    let reason = violations.first().map_or("FIELD_INVALID", |violation| violation.reason);
    let message = violations
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.description))
        .collect::<Vec<_>>()
        .join("; ");
    status(Code::InvalidArgument, reason, message, details)
}

pub(super) fn execute(error: &ExecuteError) -> Status {
    let message = error.to_string();
    match error {
        ExecuteError::BrowserUnknown { .. } => invalid(&[Violation::new("browser", "BROWSER_UNKNOWN", message)]),
        ExecuteError::ContextCannot { field } => invalid(&[Violation::new(*field, "CONTEXT_CANNOT", message)]),
        ExecuteError::TierCannot { field, .. } => invalid(&[Violation::new(*field, "TIER_CANNOT", message)]),
        ExecuteError::TierNotOffered { .. } => invalid(&[Violation::new("tier", "TIER_CANNOT", message)]),
        ExecuteError::BrowserNotFound => precondition("BROWSER_NOT_FOUND", message),
        ExecuteError::SandboxNeedsUser => precondition("SANDBOX_NEEDS_USER", message),
        ExecuteError::NoDisplay | ExecuteError::UserBrowserNeedsDisplay => precondition("NO_DISPLAY", message),
        ExecuteError::QueueFull { .. } => {
            let mut details = ErrorDetails::new();
            details.set_retry_info(Some(QUEUE_RETRY));
            status(Code::ResourceExhausted, "QUEUE_FULL", message, details)
        }
        ExecuteError::RequestReused(id) => metadata_status(
            Code::AlreadyExists,
            "REQUEST_ID_REUSED",
            message,
            ErrorDetails::new(),
            HashMap::from([("task_id".to_owned(), id.to_string())]),
        ),
        ExecuteError::Draining => draining(),
        ExecuteError::Ledger(Fault::Full) => {
            let mut details = ErrorDetails::new();
            details.set_retry_info(Some(QUEUE_RETRY));
            status(Code::ResourceExhausted, "LEDGER_FULL", message, details)
        }
        ExecuteError::Ledger(Fault::Closed | Fault::Failed(_) | Fault::Broken(_)) => ledger(message),
    }
}

pub(super) fn call(error: &CallError) -> Status {
    match error {
        CallError::Unknown(id) => not_found(*id),
        CallError::Refused(Refusal::AnotherReport) => precondition("REPORT_CONFLICT", error.to_string()),
        CallError::Refused(Refusal::NotLaunched) => precondition("TASK_NOT_RUNNING", error.to_string()),
        CallError::Refused(Refusal::AlreadyLaunched | Refusal::Over) => precondition("TASK_OVER", error.to_string()),
        CallError::Draining => draining(),
        CallError::Ledger(_) => ledger(error.to_string()),
    }
}

pub(super) fn profile(error: &ProfileError) -> Status {
    let message = error.to_string();
    match error {
        ProfileError::Unknown(_) => status(Code::NotFound, "PROFILE_NOT_FOUND", message, ErrorDetails::new()),
        ProfileError::BrowserNeeded { .. } => invalid(&[Violation::new("browser", "BROWSER_NEEDED", message)]),
        ProfileError::Busy(_) | ProfileError::Held(_) => precondition("PROFILE_BUSY", message),
        ProfileError::Io(_) => status(Code::Internal, "PROFILES_UNREADABLE", message, ErrorDetails::new()),
    }
}

pub(super) fn capture(error: &CaptureError) -> Status {
    let message = error.to_string();
    let later = |reason, retry_in| {
        let mut details = ErrorDetails::new();
        details.set_retry_info(Some(retry_in));
        status(Code::ResourceExhausted, reason, message.clone(), details)
    };
    match error {
        CaptureError::Call(error) => call(error),
        CaptureError::Unavailable(unavailable) => metadata_status(
            Code::FailedPrecondition,
            "CAPTURE_UNAVAILABLE",
            message,
            ErrorDetails::new(),
            HashMap::from([("state".to_owned(), unavailable.state().to_owned())]),
        ),
        CaptureError::Rate { retry_in } => later("SCREENSHOT_RATE", *retry_in),
        CaptureError::Busy => later("SCREENSHOTS_BUSY", CAPTURE_RETRY),
        CaptureError::TooLarge(_) => precondition("SCREENSHOT_TOO_LARGE", message),
        CaptureError::NotASelector(_) => invalid(&[Violation::new("selector", "SELECTOR_INVALID", message)]),
        CaptureError::NotFound(_) => precondition("SELECTOR_NOT_FOUND", message),
        CaptureError::Outside { .. } => precondition("REGION_OUTSIDE", message),
    }
}

pub(super) fn windows(error: &WindowsError) -> Status {
    let message = error.to_string();
    match error {
        WindowsError::Call(error) => call(error),
        WindowsError::Headless(_) | WindowsError::NotItsOwn(_) | WindowsError::NoWindow(_) => {
            precondition("NO_WINDOW", message)
        }
        WindowsError::NotItsWindow { .. } | WindowsError::Gone(_) => {
            status(Code::NotFound, "WINDOW_NOT_FOUND", message, ErrorDetails::new())
        }
        WindowsError::Unsupported(_) => precondition("WINDOWS_UNSUPPORTED", message),
        WindowsError::NotSeen(_) => precondition("WINDOW_NOT_SHOWN", message),
        WindowsError::Unavailable(_) => {
            let mut details = ErrorDetails::new();
            details.set_retry_info(Some(DRAINING_RETRY));
            status(Code::Unavailable, "DISPLAY_UNAVAILABLE", message, details)
        }
    }
}

pub(super) fn file(error: &FileError) -> Status {
    let message = error.to_string();
    match error {
        FileError::Job(error) => call(error),
        FileError::Unknown { .. } | FileError::Gone { .. } => {
            status(Code::NotFound, "FILE_NOT_FOUND", message, ErrorDetails::new())
        }
        FileError::BehindEnd { .. } => invalid(&[Violation::new("offset", "OFFSET_INVALID", message)]),
        FileError::Cut { .. } => status(Code::DataLoss, "FILE_CUT", message, ErrorDetails::new()),
        FileError::Unreadable { .. } => status(Code::Internal, "FILE_UNREADABLE", message, ErrorDetails::new()),
    }
}

pub(super) fn reader_limit(readers_max: usize) -> Status {
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(QUEUE_RETRY));
    let message = format!("{readers_max} files are being read already, which is this runner's limit; try again later");
    status(Code::ResourceExhausted, "READER_LIMIT", message, details)
}

pub(super) fn not_found(id: TaskId) -> Status {
    let message = format!("no task {id} is known here; it was never made on this runner, or is past its retention");
    status(Code::NotFound, "TASK_NOT_FOUND", message, ErrorDetails::new())
}

/// The same words for a wrong token and an unknown task, so that ids cannot be guessed.
pub(super) fn callback_token_invalid() -> Status {
    let message = "callback_token is not this task's; use the one that Execute answered with";
    status(Code::PermissionDenied, "CALLBACK_TOKEN_INVALID", message, ErrorDetails::new())
}

pub(super) fn watcher_limit(watchers_max: usize) -> Status {
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(QUEUE_RETRY));
    let message = format!("{watchers_max} streams are watching already, which is this runner's limit; end one");
    status(Code::ResourceExhausted, "WATCHER_LIMIT", message, details)
}

pub(super) fn draining() -> Status {
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(DRAINING_RETRY));
    status(Code::Unavailable, "DRAINING", "the service is about to leave; call again shortly", details)
}

fn precondition(reason: &str, message: String) -> Status {
    status(Code::FailedPrecondition, reason, message, ErrorDetails::new())
}

fn ledger(message: String) -> Status {
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(DRAINING_RETRY));
    status(Code::Unavailable, "LEDGER_UNAVAILABLE", message, details)
}

/// For a caller of the service's own calls who showed no token at all.
pub(super) fn token_missing() -> Status {
    edge(Code::Unauthenticated, "TOKEN_MISSING", TOKEN_MISSING)
}

/// For a caller whose token is good, but not for this.
pub(super) fn scope_insufficient(needed: Scope) -> Status {
    edge(Code::PermissionDenied, "SCOPE_INSUFFICIENT", needed.wanted())
}

/// For a stream whose caller's token was removed, changed, or has expired.
pub(super) fn token_over() -> Status {
    let message = "the token with which this stream was begun was removed or changed, or has expired";
    edge(Code::Unauthenticated, "TOKEN_INVALID", message)
}

/// The refusal that these headers or trailers tell of.
pub(super) fn refusal_in(headers: &HeaderMap) -> Option<Status> {
    Status::from_header_map(headers).filter(|status| status.code() != Code::Ok)
}

/// The same refusal, for whoever asks what became of the request.
pub(super) fn with_request_id(refusal: &Status, id: &str) -> Status {
    let mut details = refusal.get_error_details();
    details.set_request_info(id, "");
    Status::with_error_details(refusal.code(), refusal.message(), details)
}

/// For what the edge refuses.
pub(super) fn edge(code: Code, reason: &str, message: &str) -> Status {
    status(code, reason, message, ErrorDetails::new())
}

/// Signs what the library refused before any call was made: a request that is none, or one for a call that is not
/// there. What it says of a call that was begun, as that its time is over, stays without an ErrorInfo, since there may
/// be a job.
pub(super) fn signed<B>(mut response: Response<B>) -> Response<B> {
    if let Some(status) = unsigned(response.headers()).and_then(|status| named(&status, response.headers())) {
        status.add_header(response.headers_mut()).expect("the library's words make headers");
    }
    response
}

/// A refusal in the headers that says for no program why.
fn unsigned(headers: &HeaderMap) -> Option<Status> {
    refusal_in(headers).filter(|status| status.details().is_empty())
}

fn named(status: &Status, headers: &HeaderMap) -> Option<Status> {
    let told = status.message();
    match status.code() {
        Code::Unimplemented if headers.contains_key("grpc-accept-encoding") => {
            Some(edge(Code::Unimplemented, "ENCODING_UNKNOWN", told))
        }
        Code::Unimplemented => Some(edge(Code::Unimplemented, "CALL_UNKNOWN", "there is no such call")),
        Code::OutOfRange => Some(edge(Code::OutOfRange, "REQUEST_TOO_LARGE", told)),
        // Whose fault the library does not say: there is no call yet that could have failed.
        Code::Internal | Code::Unknown => Some(edge(Code::InvalidArgument, "REQUEST_INVALID", told)),
        _ => None,
    }
}
