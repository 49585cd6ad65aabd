//! What went wrong, in words that say what to do, and what the shell is told.

use std::io;

use tonic::{Code, Status};

use super::{Exit, print::plain};
use crate::{
    client::{Error, Refused},
    server::{StartError, StateDirError},
};

/// Why a verb could not be carried out.
#[derive(Debug)]
pub enum Problem {
    /// The arguments are at fault.
    Usage(String),
    /// No service could be reached or started.
    NoService(String),
    /// The service refused the call.
    Refused(Box<Refused>),
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
            Self::Usage(text) | Self::NoService(text) | Self::Interrupted(text) => Some(plain_lines(text)),
            Self::Refused(refused) => {
                let next = next_step(&refused.reason).map(|step| format!("\n  {step}")).unwrap_or_default();
                Some(plain_lines(&refused.to_string()) + &next)
            }
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
            Self::Refused(refused) => match refused.code {
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
            | StartError::Tokens(_)
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
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Argument(text) => Self::Usage(text),
            Error::Away(text) => Self::NoService(text),
            Error::Refused(refused) => Self::Refused(refused),
        }
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        Error::from(status).into()
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// What a person can do next, where the service cannot know that this program asked.
fn next_step(reason: &str) -> Option<&'static str> {
    match reason {
        "TASK_NOT_FOUND" => Some("`comet-task-runner list` shows the tasks that there are"),
        "QUEUE_FULL" => Some("`comet-task-runner list --status CREATED` shows what waits"),
        "BROWSER_NOT_FOUND" | "NO_DISPLAY" | "SANDBOX_NEEDS_USER" => {
            Some("`comet-task-runner doctor` tells what there is, on the service's machine")
        }
        "TOKEN_INVALID" => Some("give the file with the service's own token: --token-file"),
        _ => None,
    }
}

/// Each line without what could command a terminal: a service's words may be those of whoever called it.
fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    #[test]
    fn a_reader_that_left_is_no_news() {
        let problem = Problem::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((problem.text(), problem.exit().code()), (None, 141));
    }

    #[test]
    fn what_a_service_says_cannot_command_the_terminal() {
        let status = Status::not_found("no task is called \u{1b}[2J\u{202e}");
        let text = Problem::from(status).text().unwrap();
        assert_eq!(text, "no task is called \u{fffd}[2J\u{fffd}");
        let two = Problem::Usage("a\u{7}\n  b".to_owned()).text().unwrap();
        assert_eq!(two, "a\u{fffd}\n  b");
    }

    #[test]
    fn a_refusal_that_the_program_can_help_with_says_how() {
        let details = ErrorDetails::with_error_info("TASK_NOT_FOUND", "taskrunner.comet", []);
        let status = Status::with_error_details(Code::NotFound, "no task is called 7", details);
        assert_eq!(
            Problem::from(status).text().unwrap(),
            "no task is called 7 (TASK_NOT_FOUND)\n  `comet-task-runner list` shows the tasks that there are"
        );
    }

    #[test]
    fn a_call_that_asks_for_the_wrong_thing_is_told_from_one_that_nobody_takes() {
        for (status, exit) in [
            (Status::not_found("no"), Exit::Usage),
            (Status::invalid_argument("no"), Exit::Usage),
            (Status::resource_exhausted("full"), Exit::NoService),
            (Status::unauthenticated("who"), Exit::NoService),
        ] {
            assert_eq!(Problem::from(status).exit(), exit);
        }
    }
}
