//! What can go wrong between a client and a service, in words that say what to do.

use std::{fmt, time::Duration};

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The reason of a service that is about to leave.
const DRAINING: &str = "DRAINING";

/// Why a call did not go through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What this side was told is at fault: an address, a token, a file of certificates.
    #[error("{0}")]
    Argument(String),
    /// No service could be reached, or it left before it had answered.
    #[error("{0}")]
    Away(String),
    /// The service, or the connection to it, refused the call.
    #[error("{0}")]
    Refused(Box<Refused>),
}

/// What a service answered instead of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The code of gRPC.
    pub code: Code,
    /// The reason in its ErrorInfo, such as "TASK_NOT_FOUND". Empty when the connection spoke, not the service.
    pub reason: String,
    /// What it says to people.
    pub message: String,
    /// The fields at fault, each with what is wrong about it.
    pub fields: Vec<(String, String)>,
    /// When another try may go through.
    pub retry_delay: Option<Duration>,
}

impl Error {
    /// The reason that the service gave, such as "TASK_NOT_FOUND"; none when it was not the service that spoke.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Refused(refused) => Some(refused.reason.as_str()).filter(|reason| !reason.is_empty()),
            Self::Argument(_) | Self::Away(_) => None,
        }
    }

    /// The code of gRPC that the call ended with; none when it never got that far.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(refused) => Some(refused.code),
            Self::Argument(_) | Self::Away(_) => None,
        }
    }

    /// True when the connection is of no more use: it was cut, or its service leaves.
    pub(super) fn ends_connection(&self) -> bool {
        match self {
            Self::Refused(refused) => self.passes() && (refused.reason.is_empty() || refused.reason == DRAINING),
            Self::Away(_) => true,
            Self::Argument(_) => false,
        }
    }

    /// True when the same call may well go through a moment later: the service restarts, or the connection was cut.
    ///
    /// The service signs every answer of its own with a reason, so one without comes from the connection.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Refused(refused) => match refused.code {
                Code::Unavailable => true,
                Code::Unknown | Code::Internal | Code::Cancelled | Code::DeadlineExceeded => refused.reason.is_empty(),
                _ => false,
            },
            Self::Away(_) => true,
            Self::Argument(_) => false,
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let violations = details.bad_request().map(|request| request.field_violations.as_slice()).unwrap_or_default();
        Self::Refused(Box::new(Refused {
            code: status.code(),
            reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
            message: status.message().to_owned(),
            fields: violations.iter().map(|at| (at.field.clone(), at.description.clone())).collect(),
            retry_delay: details.retry_info().and_then(|retry| retry.retry_delay),
        }))
    }
}

/// The service's message and reason, a line for each field at fault, and what to do where the service cannot know.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            write!(f, "{}", self.code)?;
        } else {
            f.write_str(&self.message)?;
        }
        if !self.reason.is_empty() {
            write!(f, " ({})", self.reason)?;
        }
        for (field, description) in &self.fields {
            let line = format!("{field}: {description}");
            // One field at fault is the whole message already.
            if line != self.message {
                write!(f, "\n  {line}")?;
            }
        }
        if let Some(delay) = self.retry_delay {
            write!(f, "\n  try again in {delay:?}")?;
        }
        if self.code == Code::Unimplemented {
            f.write_str("\n  the service is older than this program; restart it with this one")?;
        }
        Ok(())
    }
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
        let error = Error::from(Status::with_error_details(Code::InvalidArgument, "two fields are at fault", details));
        assert_eq!(
            error.to_string(),
            "two fields are at fault (URL_INVALID)\n  url: scheme \"file\" is not allowed\n  timeouts.run: at most 366 days"
        );
        assert_eq!((error.reason(), error.code()), (Some("URL_INVALID"), Some(Code::InvalidArgument)));
    }

    #[test]
    fn one_field_at_fault_is_named_once() {
        let mut details = ErrorDetails::with_error_info("URL_INVALID", "taskrunner.comet", []);
        details.add_bad_request_violation("url", "is empty");
        let error = Error::from(Status::with_error_details(Code::InvalidArgument, "url: is empty", details));
        assert_eq!(error.to_string(), "url: is empty (URL_INVALID)");
    }

    #[test]
    fn only_what_the_connection_says_is_worth_another_try() {
        let signed = |code| {
            let details = ErrorDetails::with_error_info("X", "taskrunner.comet", []);
            Error::from(Status::with_error_details(code, "no", details))
        };
        assert!(Error::from(Status::unknown("h2 protocol error")).passes());
        assert!(signed(Code::Unavailable).passes());
        assert!(!signed(Code::Internal).passes());
        assert!(!signed(Code::NotFound).passes());
        assert!(!Error::from(Status::unauthenticated("who")).passes());
        assert_eq!(Error::from(Status::unauthenticated("who")).reason(), None);
    }

    #[test]
    fn a_connection_is_left_when_it_was_cut_or_its_service_leaves_and_not_for_a_full_disk() {
        let signed = |reason: &str| {
            let details = ErrorDetails::with_error_info(reason, "taskrunner.comet", []);
            Error::from(Status::with_error_details(Code::Unavailable, "no", details))
        };
        for (error, passes, ends) in [
            (signed("DRAINING"), true, true),
            (signed("LEDGER_UNAVAILABLE"), true, false),
            (Error::from(Status::unavailable("connection reset")), true, true),
            (Error::from(Status::internal("h2 protocol error")), true, true),
            (Error::Away("nobody listens".to_owned()), true, true),
            (Error::from(Status::not_found("x")), false, false),
            (Error::Argument("x".to_owned()), false, false),
        ] {
            assert_eq!((error.passes(), error.ends_connection()), (passes, ends), "{error:?}");
        }
    }
}
