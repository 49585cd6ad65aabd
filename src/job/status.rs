//! Where a job stands, and why.

use serde::{Deserialize, Serialize};

/// Where a job stands. The last five are terminal, and a terminal status is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Accepted and remembered; its browser has not been started.
    Created,
    /// Its browser process is up.
    Running,
    /// Told to end; parts of its process tree may still live.
    Stopping,
    /// The task came to its intended end.
    Done,
    /// The task came to another end.
    Failed,
    /// Ended because somebody asked, and nothing of it runs any more.
    Cancelled,
    /// Ended because a timeout passed, and nothing of it runs any more.
    TimedOut,
    /// Nobody can say how it ended.
    Lost,
}

/// The four stretches of a job's life that a fact can fall into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before its browser runs.
    Waiting,
    /// While it runs.
    Running,
    /// While it is being stopped.
    Stopping,
    /// After its end.
    Over,
}

impl Status {
    /// Every status, in the order of a life.
    pub const ALL: [Self; 8] = [
        Self::Created,
        Self::Running,
        Self::Stopping,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
        Self::TimedOut,
        Self::Lost,
    ];

    /// The stretch of life that this status belongs to.
    #[must_use]
    pub const fn phase(self) -> Phase {
        match self {
            Self::Created => Phase::Waiting,
            Self::Running => Phase::Running,
            Self::Stopping => Phase::Stopping,
            Self::Done | Self::Failed | Self::Cancelled | Self::TimedOut | Self::Lost => Phase::Over,
        }
    }

    /// True for the five final ones.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self.phase(), Phase::Over)
    }
}

/// Why the status is what it is. What a person should read beside it is the job's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// CREATED: accepted, waiting for its turn.
    Accepted,
    /// CREATED: waiting again, since the service restarted before its browser was let go.
    Requeued,
    /// RUNNING: the browser process is up.
    Launched,
    /// STOPPING, CANCELLED: somebody asked.
    CancelRequested,
    /// TIMED_OUT: no slot came free in time.
    QueueTimeout,
    /// STOPPING, TIMED_OUT: the browser did not come up in time.
    LaunchTimeout,
    /// STOPPING, TIMED_OUT: the document did not arrive in time.
    NavigationTimeout,
    /// STOPPING, TIMED_OUT: the task ran too long.
    RunTimeout,
    /// STOPPING, TIMED_OUT: the page was silent too long.
    IdleTimeout,
    /// STOPPING, TIMED_OUT: no service came back to look after the browser.
    ServiceAway,
    /// DONE, FAILED: the page, or a service on its behalf, reported it.
    Callback,
    /// DONE: a person or a script closed the task's page.
    PageClosed,
    /// DONE, FAILED: a completion rule matched.
    RuleMatched,
    /// DONE: the process ended with exit code 0, and that is what was asked to decide.
    ProcessExited,
    /// FAILED: the process ended with another exit code or by a signal.
    ProcessFailed,
    /// FAILED: the browser ended cleanly while its page was still open, as when it is told to quit.
    BrowserTerminated,
    /// FAILED: the page's renderer died.
    PageCrashed,
    /// FAILED: the page ran out of memory.
    OutOfMemory,
    /// FAILED: the document could not be fetched.
    NavigationFailed,
    /// FAILED: the document came with an HTTP error, and that was asked to count.
    HttpError,
    /// FAILED: another browser holds the profile.
    ProfileInUse,
    /// FAILED: the process gave its URL to a browser that was already running, and left.
    HandedOver,
    /// FAILED: ended without the report that was required.
    NoReport,
    /// FAILED: the browser process could not be started.
    LaunchFailed,
    /// DONE: the URL leads to a file, and it is there.
    Downloaded,
    /// FAILED: the URL leads to a file, and it did not come whole.
    DownloadFailed,
    /// LOST: the service restarted and the process cannot be proven to be this job's.
    ServiceRestarted,
    /// LOST: the machine restarted meanwhile.
    HostRestarted,
    /// LOST: the process that watches the browser died without leaving word.
    ShimDied,
    /// RUNNING: the process gave its URL to the person's own browser, and left.
    HandedOff,
}
