//! How a verb ended, as the shell sees it.

use std::process::ExitCode;

use crate::api::v1::{Job, job::Status};

/// How a verb ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The task is DONE, or the call went well.
    Done,
    /// The task FAILED.
    Failed,
    /// The arguments, or what was asked for, are at fault.
    Usage,
    /// No service could be reached or started.
    NoService,
    /// The task was CANCELLED, TIMED_OUT or LOST.
    Stopped,
    /// Whoever read standard output has left.
    PipeClosed,
    /// A second signal, of this number, ended it at once.
    Signal(u8),
}

/// What a shell adds to a signal's number to say that it ended a process.
const SIGNAL_BASE: u8 = 128;
/// The signal that ends other programs whose reader has left.
const SIGPIPE: u8 = 13;

impl Exit {
    /// How a task that has come to its end lets its verb end.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        match job.status() {
            Status::Done => Self::Done,
            Status::Failed => Self::Failed,
            Status::Cancelled | Status::TimedOut | Status::Lost => Self::Stopped,
            // A status made after this program: it is over, and not known to be well.
            Status::Unspecified | Status::Created | Status::Running | Status::Stopping => Self::Stopped,
        }
    }

    /// The worse of two: the one with the higher number.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if other.code() > self.code() { other } else { self }
    }

    /// The number that the shell gets.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoService => 3,
            Self::Stopped => 4,
            Self::PipeClosed => SIGNAL_BASE + SIGPIPE,
            Self::Signal(number) => SIGNAL_BASE.saturating_add(number),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
