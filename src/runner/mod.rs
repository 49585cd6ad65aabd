//! The host side: takes orders, runs each job from its queue to the end of its process tree, and remembers.
//!
//! ```text
//!   execute ──> ledger ──> queue ──> attend (one linear async fn per job) ──> ledger
//!                                     ^            ^
//!                       asks: cancel, report     the shim's relay: facts in, commands out
//! ```
//!
//! Invariants:
//! * A reply, and the word that lets a browser start, come only after the commit.
//! * While a job is attended, its attendant alone decides what happens to it; others ask.
//! * Whoever asks may vanish: what was begun for them goes on.
//! * Every task spawned here ends on the `leaving` token and is joined by [`Runner::leave`].
//!
//! What this module does not know: the wire, SQL, what a process or a browser is made of.

mod about;
mod admission;
mod adopt;
mod ask;
mod attend;
mod attendant;
mod capture;
mod evidence;
mod execute;
mod files;
mod host;
mod launch;
mod live;
mod log;
mod meters;
mod order;
mod peaks;
mod profile_lock;
mod profiles;
mod reach;
mod reconcile;
mod recorder;
mod retention;
mod sampler;
mod samples;
#[cfg(test)]
mod tests;
mod token;
#[cfg(feature = "otel")]
mod traces;
#[cfg(not(feature = "otel"))]
#[path = "untraced.rs"]
mod traces;
mod warm;
mod windows;

use std::{sync::Arc, time::Duration};

pub use about::{About, KnownBrowser, Problem};
pub use admission::{Limits, Load, QueueReason, Queued};
pub use capture::{Area, CaptureError, CaptureOrder, CaptureSource, Encoding, Screenshot, Source, Unavailable, What};
pub use files::{FileError, FileReader, Piece};
pub use host::{Host, HostParts};
pub use log::{BrowserLog, LogBatch, LogEntry, LogLevel, LogSource, LogStage, LogToRead};
pub use order::{CallerTrace, Mode, Order, profile};
pub use profiles::{KnownProfile, ProfileError, ProfileKey, ProfilePage};
pub use samples::{AllSamples, Samples};
pub use token::{Purpose, StateKey};
use tokio_util::sync::CancellationToken;
pub use windows::{JobWindow, Tiled, WindowFocus, WindowRole, WindowsError};

pub use crate::browser::{Dialog, DialogKind};
use crate::{
    job::{Capability, Job, Now, Refusal, ReportStatus, TaskId, Tier},
    ledger::{Fault, JobLog, Ledger, ReadError},
    process::TreeReading,
};
use about::{BROWSER_NOT_FOUND, DRAINING, SANDBOX_NEEDS_USER};
use ask::Reply;
use host::in_thread;
use live::{Ask, Live};
use recorder::Recorded;

/// A handle on the host side. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    host: Arc<Host>,
}

/// A job that was made, or the one that the same request made before.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The job as it stands.
    pub job: Arc<Job>,
    /// With this token a page may report on it.
    pub callback_token: String,
}

/// Why no job was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// No browser of that name.
    #[error("no browser named {name:?} is known here; there are: {}", .known.join(", "))]
    BrowserUnknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The browser cannot do in its tier what a field asks for.
    #[error(
        "{field} takes {}, which {browser:?} does not have in the tier {}; leave it out, or use a browser in the tier {}",
        .capability.name(), .tier.name(), .capability.tier().name()
    )]
    TierCannot {
        /// The field.
        field: &'static str,
        /// What it takes.
        capability: Capability,
        /// The browser.
        browser: String,
        /// What was to be asked of it.
        tier: Tier,
    },
    /// The browser has no such tier.
    #[error(
        "{browser:?} cannot be asked for the tier {}; it has: {}", .tier.name(), tier_names(.offered)
    )]
    TierNotOffered {
        /// What was asked for.
        tier: Tier,
        /// The browser.
        browser: String,
        /// What it has.
        offered: &'static [Tier],
    },
    /// A task that shares its browser cannot have what a field asks for.
    #[error(
        "isolation CONTEXT shares one browser, its profile and its process with other tasks, so {field} cannot be honoured; leave {field} out or choose isolation PROCESS"
    )]
    ContextCannot {
        /// The field.
        field: &'static str,
    },
    /// No browser at all.
    #[error("{BROWSER_NOT_FOUND}")]
    BrowserNotFound,
    /// Chromium's sandbox does not run as root.
    #[error("{SANDBOX_NEEDS_USER}")]
    SandboxNeedsUser,
    /// A window was asked for, and there is no display.
    #[error(
        "mode HEADED needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set for the service; use HEADLESS or start the service in a session with one"
    )]
    NoDisplay,
    /// The person's own browser has windows, and there is no display.
    #[error(
        "the tier USER_BROWSER needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set for the service; start the service in the person's session"
    )]
    UserBrowserNeedsDisplay,
    /// Too many jobs wait already.
    #[error("{queue_max} jobs are waiting already, which is this runner's limit; try again later")]
    QueueFull {
        /// The bound.
        queue_max: usize,
    },
    /// The request id made another job.
    #[error("request_id was used before with other content, and made task {0}; use a new one for a new request")]
    RequestReused(TaskId),
    /// The service is leaving.
    #[error("{DRAINING}")]
    Draining,
    /// The job could not be remembered, so it was not made.
    #[error("the job could not be remembered ({0}); try again with the same request_id")]
    Ledger(Fault),
}

fn tier_names(tiers: &[Tier]) -> String {
    tiers.iter().map(|tier| tier.name()).collect::<Vec<_>>().join(", ")
}

/// Why a call about a job was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No such job.
    #[error("no task {0} is known here")]
    Unknown(TaskId),
    /// It cannot be true of this job.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The service is leaving.
    #[error("{DRAINING}")]
    Draining,
    /// It could not be read or remembered.
    #[error("the job cannot be read or written now: {0}")]
    Ledger(#[from] ReadError),
}

/// What a page says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageReport {
    /// It came to an end.
    End {
        /// Which.
        status: ReportStatus,
        /// What it says to people.
        message: String,
        /// JSON text.
        result: Option<String>,
    },
    /// It lives.
    Alive {
        /// Percent.
        progress: Option<u8>,
        /// What it says to people.
        message: String,
    },
}

/// What became of a report.
#[derive(Clone, Debug)]
pub struct Reported {
    /// The job after it.
    pub job: Arc<Job>,
    /// False when it was known before, or came too late to mean anything.
    pub applied: bool,
}

/// A wish to end a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// How long the browser may take to leave by itself; none for what the order said.
    pub grace: Option<Duration>,
}

/// A reading that is not a change: the latest only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Where it stands in the queue; none when it does not queue.
    pub queued: Option<Queued>,
    /// Percent, as the page last said.
    pub progress: Option<u8>,
    /// What it said with it.
    pub progress_message: String,
    /// The page's title.
    pub page_title: String,
    /// Where the page is now.
    pub page_url: String,
    /// A dialog that is left to a person.
    pub dialog: Option<Dialog>,
    /// How many pages that the task's page opened, and those opened in turn, are open.
    pub popup_count: usize,
    /// The browser's processes; none when they are gone, and before anybody looked at them.
    pub process: Option<ProcessReading>,
}

/// A reading of a browser's process tree.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessReading {
    /// What was read.
    pub tree: TreeReading,
    /// When.
    pub at: Now,
    /// It is of a browser that other tasks share: not the task's alone.
    pub shared: bool,
}

/// What a watcher needs.
pub struct Watched {
    /// The job's changes, which grow while this is held.
    pub log: Arc<JobLog>,
    /// Its readings; none when it is not attended.
    pub samples: Option<Samples>,
    /// Fires when the service is about to leave.
    pub leaving: CancellationToken,
}

/// How long a new job may take to be attended: thousands of times what it takes, and still an answer.
const REACH_MAX: Duration = Duration::from_secs(10);

impl Runner {
    /// Starts the host side: looks after what an earlier service left, then takes orders.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn start(parts: HostParts) -> Result<Self, ReadError> {
        let runner = Self { host: Host::new(parts) };
        // Before anything is written there.
        let host = Arc::clone(&runner.host);
        let found = in_thread(move || host.logs.sweep()).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the logs of browsers could not be looked through");
            Vec::new()
        });
        runner.reconcile().await?;
        let host = &runner.host;
        if let Err(error) = host.files.prepare() {
            tracing::warn!(%error, "no downloads can be kept: their directory in the state directory cannot be made");
        }
        host.tasks.spawn(files::sweep(Arc::clone(host)));
        host.tasks.spawn(retention::sweep_logs(Arc::clone(host), found));
        host.tasks.spawn(retention::keep(Arc::clone(host)));
        host.tasks.spawn(admission::tell(Arc::clone(host)));
        host.tasks.spawn(Arc::clone(&host.admission).watch_memory(host.leaving.clone()));
        host.tasks.spawn(Arc::clone(&host.sampler).run(Arc::clone(&host.live), host.leaving.clone()));
        Ok(runner)
    }

    /// The job as it stands, with its latest reading; waits a moment, and no longer, when there is none of its processes
    /// that speaks of now.
    ///
    /// # Errors
    /// When it is unknown or cannot be read.
    pub async fn status(&self, id: TaskId) -> Result<(Arc<Job>, Option<Sample>), CallError> {
        if let Some(live) = self.host.live.get(id) {
            if live.tree().is_some() {
                self.host.sampler.look(&live).await;
            }
            let job = live.log.latest();
            // It is attended a moment longer than there is anything to read of it.
            let sample = (!job.is_settled()).then(|| live.sample());
            return Ok((job, sample));
        }
        let job = self.host.ledger.latest(id).await?.ok_or(CallError::Unknown(id))?;
        Ok((job, None))
    }

    /// What a watcher of this job needs.
    ///
    /// # Errors
    /// When it is unknown or cannot be read.
    pub async fn watch(&self, id: TaskId) -> Result<Watched, CallError> {
        let leaving = self.host.leaving.clone();
        if let Some(live) = self.reach(id).await? {
            let log = Arc::clone(&live.log);
            let samples = Samples::new(live, self.host.sampler.watching());
            return Ok(Watched { log, samples: Some(samples), leaving });
        }
        let log = self.host.ledger.open(id).await?.ok_or(CallError::Unknown(id))?;
        Ok(Watched { log, samples: None, leaving })
    }

    /// What a task's browser said.
    ///
    /// # Errors
    /// When the job is unknown or cannot be read.
    pub async fn read_log(&self, id: TaskId) -> Result<LogToRead, CallError> {
        let leaving = self.host.leaving.clone();
        if let Some(live) = self.reach(id).await? {
            return Ok(LogToRead { log: Arc::clone(&live.browser_log), leaving });
        }
        self.host.ledger.latest(id).await?.ok_or(CallError::Unknown(id))?;
        let host = Arc::clone(&self.host);
        let opened = tokio::task::spawn_blocking(move || host.logs.open(id)).await;
        let log = opened.unwrap_or_else(|error| {
            tracing::warn!(task_id = %id, %error, "a browser's log cannot be read");
            Arc::new(BrowserLog::of_the_past(None))
        });
        Ok(LogToRead { log, leaving })
    }

    /// The readings of every live job.
    #[must_use]
    pub fn all_samples(&self) -> AllSamples {
        let (jobs, admission) = (Arc::clone(&self.host.live), Arc::clone(&self.host.admission));
        AllSamples::new(jobs, admission, self.host.sampler.watching())
    }

    /// Fires when the service is about to leave.
    #[must_use]
    pub fn leaving(&self) -> CancellationToken {
        self.host.leaving.clone()
    }

    /// Takes a report of a page.
    ///
    /// # Errors
    /// When the job is unknown, the report cannot be true of it, or it cannot be remembered.
    pub async fn report(&self, id: TaskId, report: PageReport) -> Result<Reported, CallError> {
        let answer = self.take_report(id, report).await;
        meters::called_back(&answer);
        answer
    }

    /// Asks to end a task, and answers when the wish is recorded.
    ///
    /// # Errors
    /// When the job is unknown or the wish cannot be remembered.
    pub async fn cancel(&self, id: TaskId, cancellation: Cancellation) -> Result<Arc<Job>, CallError> {
        match self.ask(id, |reply| Ask::Cancel(cancellation, reply)).await? {
            Some(job) => Ok(job),
            // Nobody attends it, so there is nothing left to end.
            None => self.host.ledger.latest(id).await?.ok_or(CallError::Unknown(id)),
        }
    }

    /// The token with which a page may report on this task.
    #[must_use]
    pub fn callback_token(&self, id: TaskId) -> String {
        self.host.key.callback_token(id)
    }

    /// Compares a callback token in constant time.
    #[must_use]
    pub fn accepts_callback(&self, id: TaskId, token: &str) -> bool {
        self.host.key.accepts_callback(id, token)
    }

    /// The store that everything is remembered in.
    #[must_use]
    pub fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.host.ledger
    }

    /// Tells every watcher and attendant that the service is leaving. Jobs go on without it.
    pub fn drain(&self) {
        self.host.leaving.cancel();
    }

    /// Waits until no job is attended: each has ended and nothing of its browser is left.
    pub async fn idle(&self) {
        self.host.live.idle().await;
    }

    /// Drains, and waits until nothing of the host side runs any more.
    pub async fn leave(self) {
        self.drain();
        self.host.tasks.close();
        self.host.tasks.wait().await;
        // Now nothing changes any more.
        self.host.traces.leave();
    }

    /// The job's attendant; none when there is none and will be none.
    async fn reach(&self, id: TaskId) -> Result<Option<Arc<Live>>, CallError> {
        let reached = tokio::time::timeout(REACH_MAX, self.host.live.reach(id, &*self.host.ledger));
        match self.host.leaving.run_until_cancelled(reached).await {
            Some(Ok(reached)) => Ok(reached?),
            Some(Err(_elapsed)) => {
                tracing::error!(task_id = %id, "nobody looks after a live job; the next start does");
                Ok(None)
            }
            // Nobody is attended from here on.
            None => Ok(self.host.live.get(id)),
        }
    }

    /// Asks the job's attendant; none when nobody attends it, or it left before it answered.
    async fn ask<T>(&self, id: TaskId, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<Option<T>, CallError> {
        let Some(live) = self.reach(id).await? else { return Ok(None) };
        match live.ask(ask).await {
            None if self.host.leaving.is_cancelled() => Err(CallError::Draining),
            answered => Ok(answered),
        }
    }

    async fn take_report(&self, id: TaskId, report: PageReport) -> Result<Reported, CallError> {
        let asked = self.ask(id, |reply| Ask::Report(report.clone(), reply)).await?;
        match asked {
            Some(answer) => Ok(answer?),
            None => self.report_on_finished(id, report).await,
        }
    }

    async fn report_on_finished(&self, id: TaskId, report: PageReport) -> Result<Reported, CallError> {
        let log = self.host.ledger.open(id).await?.ok_or(CallError::Unknown(id))?;
        match report {
            PageReport::Alive { .. } => Ok(Reported { job: log.latest(), applied: false }),
            PageReport::End { status, message, result } => {
                let fact = crate::job::Fact::Reported { status, message, result };
                Ok(self.host.recorder(&log).report(fact).await?)
            }
        }
    }
}
