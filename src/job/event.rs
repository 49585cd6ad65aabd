//! What comes in: facts, each with an id.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ExitStatus, FileKind, Process, ReportStatus, Timeout, TreeEnd};

/// Names one event, so that the ledger can tell a repetition from a second event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

impl EventId {
    /// Takes a UUID that the caller made for this event.
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The id of a numbered message of one source: the same message gives the same id whenever it is replayed.
    #[must_use]
    pub fn numbered(source: u64, number: u64) -> Self {
        Self(Uuid::from_u64_pair(source, number))
    }

    /// The UUID itself, for storage.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

/// A fact that happened once, under its id.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Which event this is.
    pub id: EventId,
    /// What happened.
    pub fact: Fact,
}

/// What can happen to a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The service restarted before the browser was let go; it waits for another attempt.
    Requeued,
    /// The browser process is up.
    Launched(Process),
    /// The browser process could not be started.
    LaunchFailed {
        /// What kind of failure.
        failure: LaunchFailure,
        /// What failed, for a person.
        message: String,
    },
    /// The browser gave its first answer.
    BrowserAnswered {
        /// Its product and version, as it says itself.
        version: String,
    },
    /// The task's document arrived.
    PageCommitted {
        /// Where it came from, after redirects.
        url: String,
        /// Its HTTP status; none when it did not come over HTTP.
        http_status: Option<u16>,
    },
    /// The task's document could not be fetched.
    NavigationFailed {
        /// The browser's name for the failure, such as "net::ERR_CONNECTION_REFUSED".
        net_error: String,
    },
    /// A person or a script closed the task's page.
    PageClosed,
    /// The page's renderer died.
    PageCrashed {
        /// The browser's word for how.
        status: String,
        /// It ran out of memory.
        out_of_memory: bool,
    },
    /// What the task's URL leads to is a file, and it has begun to come.
    DownloadBegan {
        /// What it is to be called.
        name: String,
    },
    /// That file is there, whole.
    DownloadDone {
        /// What it is called.
        name: String,
    },
    /// That file is not coming.
    DownloadFailed {
        /// What it was to be called.
        name: String,
        /// Why, for a person.
        why: String,
    },
    /// The page, or a service on its behalf, reported an end.
    Reported {
        /// Whether it is done or failed.
        status: ReportStatus,
        /// What it says to people.
        message: String,
        /// JSON text; none when it gave none.
        result: Option<String>,
    },
    /// A completion rule matched.
    RuleMatched {
        /// The caller's name for the rule.
        rule: String,
        /// Whether it stands for success.
        success: bool,
    },
    /// The browser process ended.
    Exited {
        /// How.
        status: ExitStatus,
        /// The last of what it printed; empty when it printed nothing.
        output_tail: String,
        /// The kernel ended it, as there was no memory left for it.
        out_of_memory: bool,
        /// Set when nothing of its tree was left at that moment.
        tree: Option<TreeEnd>,
        /// How long it lived, where that is known.
        lived: Option<Duration>,
    },
    /// Nothing of the process tree is left.
    TreeEmptied(TreeEnd),
    /// A file of the job is complete.
    FileKept {
        /// Names it within its job.
        name: String,
        /// What kind of file.
        kind: FileKind,
        /// How many bytes it has.
        size_bytes: u64,
    },
    /// Somebody asked to cancel.
    CancelAsked {
        /// The browser had been let go by then.
        launched: bool,
    },
    /// A timeout passed.
    DeadlinePassed {
        /// Which.
        timeout: Timeout,
        /// The browser had been let go by then.
        launched: bool,
    },
    /// The process can no longer be proven to be this job's.
    Lost(LostCause),
}

/// Why a browser process could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaunchFailure {
    /// The system refused to run it.
    Refused,
    /// Another browser of this service holds the profile.
    ProfileHeld,
}

/// Why nobody can say how a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostCause {
    /// The service restarted, and nothing proves the process to be ours.
    ServiceRestarted,
    /// The machine restarted.
    HostRestarted,
    /// The process that watches the browser died without leaving word.
    ShimDied,
}
