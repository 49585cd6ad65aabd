//! What went wrong, in words that say what to do, and what the shell is told.

use std::{fmt::Write as _, io};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::Exit;
use crate::server::{StartError, StateDirError};

/// Why a verb could not be carried out.
#[derive(Debug)]
pub enum Problem {
    /// The arguments are at fault.
    Usage(String),
    /// No service could be reached or started.
    NoService(String),
    /// The service refused the call.
    Refused(Box<Status>),
    /// A person had no more patience.
    Interrupted(String),
    /// Standard output does not take what is written.
    Output(io::Error),
}

impl Problem {
    /// What to tell a person; nothing when the reader has simply left.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Usage(text) | Self::NoService(text) | Self::Interrupted(text) => Some(text.clone()),
            Self::Refused(status) => Some(refusal(status)),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Self::Output(error) => Some(format!("standard output cannot be written: {error}")),
        }
    }

    /// What to tell the shell.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::NoService(_) => Exit::NoService,
            Self::Interrupted(_) => Exit::Stopped,
            Self::Refused(status) => match status.code() {
                Code::InvalidArgument | Code::NotFound | Code::AlreadyExists => Exit::Usage,
                _ => Exit::NoService,
            },
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::PipeClosed,
            Self::Output(_) => Exit::NoService,
        }
    }

    /// A service that could not start: either what it was told is at fault, or the machine.
    pub(super) fn from_start(error: &StartError) -> Self {
        match error {
            StartError::Listen(address, cause) if cause.kind() == io::ErrorKind::AddrInUse => Self::Usage(format!(
                "port {} is in use; give another with --listen, or 0 to let the system choose",
                address.port()
            )),
            StartError::NotLoopback(_)
            | StartError::LegacyNotLoopback(_)
            | StartError::Tls(_)
            | StartError::Host(_)
            | StartError::Webhook(_)
            | StartError::WebhookSecret(_)
            | StartError::Socket(_)
            | StartError::Export(_)
            | StartError::Browser(..)
            | StartError::Listen(..) => Self::Usage(error.to_string()),
            StartError::StateDir(cause) => match cause {
                StateDirError::InUse(_) | StateDirError::Exposed(..) | StateDirError::NotASecret(_) => {
                    Self::Usage(error.to_string())
                }
                StateDirError::Io(..) => Self::NoService(error.to_string()),
            },
            StartError::Ledger(_) | StartError::Read(_) | StartError::RunDirs(_) | StartError::Launcher(_) => {
                Self::NoService(error.to_string())
            }
        }
    }

    /// True when the same call may well go through a moment later: the service restarts, or the connection was cut.
    ///
    /// The service signs every answer of its own with an ErrorInfo, so one without comes from the connection.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Refused(status) => match status.code() {
                Code::Unavailable => true,
                Code::Unknown | Code::Internal | Code::Cancelled | Code::DeadlineExceeded => {
                    status.get_details_error_info().is_none()
                }
                _ => false,
            },
            Self::NoService(_) => true,
            Self::Usage(_) | Self::Interrupted(_) | Self::Output(_) => false,
        }
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// The service's message and reason, a line for each field at fault, and what to do where the service cannot know.
fn refusal(status: &Status) -> String {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone());
    let mut text = if status.message().is_empty() { status.code().to_string() } else { status.message().to_owned() };
    if let Some(reason) = &reason {
        let _ = write!(text, " ({reason})");
    }
    for violation in details.bad_request().map(|request| request.field_violations.as_slice()).unwrap_or_default() {
        let line = format!("{}: {}", violation.field, violation.description);
        // One field at fault is the whole message already.
        if line != status.message() {
            let _ = write!(text, "\n  {line}");
        }
    }
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        let _ = write!(text, "\n  try again in {delay:?}");
    }
    if status.code() == Code::Unimplemented {
        text.push_str("\n  the service is older than this program; restart it with this one");
    }
    text
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_refusal_names_its_reason_and_every_field_at_fault() {
        let mut details = ErrorDetails::with_error_info("URL_INVALID", "taskrunner.comet", []);
        details.add_bad_request_violation("url", "scheme \"file\" is not allowed");
        details.add_bad_request_violation("timeouts.run", "at most 366 days");
        let problem =
            Problem::from(Status::with_error_details(Code::InvalidArgument, "two fields are at fault", details));

        let text = problem.text().unwrap();
        assert_eq!(
            text,
            "two fields are at fault (URL_INVALID)\n  url: scheme \"file\" is not allowed\n  timeouts.run: at most 366 days"
        );
        assert_eq!(problem.exit(), Exit::Usage);
    }

    #[test]
    fn one_field_at_fault_is_named_once() {
        let mut details = ErrorDetails::with_error_info("URL_INVALID", "taskrunner.comet", []);
        details.add_bad_request_violation("url", "is empty");
        let problem = Problem::from(Status::with_error_details(Code::InvalidArgument, "url: is empty", details));
        assert_eq!(problem.text().unwrap(), "url: is empty (URL_INVALID)");
    }

    #[test]
    fn only_what_the_connection_says_is_worth_another_try() {
        let signed = |code| {
            Problem::from(Status::with_error_details(
                code,
                "no",
                ErrorDetails::with_error_info("X", "taskrunner.comet", []),
            ))
        };
        assert!(Problem::from(Status::unknown("h2 protocol error")).passes());
        assert!(signed(Code::Unavailable).passes());
        assert!(!signed(Code::Internal).passes());
        assert!(!signed(Code::NotFound).passes());
        assert!(!Problem::from(Status::unauthenticated("who")).passes());
    }

    #[test]
    fn a_reader_that_left_is_no_news() {
        let problem = Problem::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((problem.text(), problem.exit().code()), (None, 141));
    }
}
