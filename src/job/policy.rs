//! What decides: completion and deadlines.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{BootTime, Completion, Exit, ExitStatus, Isolation, Phase, Reason, Record, ReportStatus, Status, Tier};

/// What ran out of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Timeout {
    /// Waiting for a slot.
    Queue,
    /// Waiting for the browser to come up.
    Launch,
    /// Waiting for the document.
    Navigation,
    /// The task as a whole.
    Run,
    /// Waiting for a sign of life of the page.
    Idle,
    /// The browser was left without a service for too long.
    ServiceAway,
}

impl Timeout {
    /// The reason that this timeout gives to a job.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Queue => Reason::QueueTimeout,
            Self::Launch => Reason::LaunchTimeout,
            Self::Navigation => Reason::NavigationTimeout,
            Self::Run => Reason::RunTimeout,
            Self::Idle => Reason::IdleTimeout,
            Self::ServiceAway => Reason::ServiceAway,
        }
    }
}

/// The next moment at which a job runs out of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// When.
    pub at: BootTime,
    /// Of what.
    pub timeout: Timeout,
}

/// The exit code by which Chromium says that another process holds its profile.
const EXIT_PROFILE_IN_USE: i32 = 21;

/// How soon after its start the exit of the person's own browser is taken for a hand-off to one that was running: it was
/// seen to take 0.3 s, a machine that is out of breath may need thirty times that, and a person who opens a browser to
/// quit it again at once has not looked at the page.
const HAND_OFF_MAX: Duration = Duration::from_secs(10);

/// What the exit of a browser process does to its task.
pub(super) enum Ended {
    /// It ends it.
    With(Verdict),
    /// The page is in a browser that was running already; the task goes on.
    HandedOff,
}

/// A terminal status with its reason and what to tell a person.
pub(super) struct Verdict {
    pub(super) status: Status,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Verdict {
    pub(super) fn done(reason: Reason, message: impl Into<String>) -> Self {
        Self { status: Status::Done, reason, message: message.into() }
    }

    pub(super) fn failed(reason: Reason, message: impl Into<String>) -> Self {
        Self { status: Status::Failed, reason, message: message.into() }
    }
}

impl Record {
    /// The earliest deadline of a job; `heard_at` is the page's last sign of life.
    ///
    /// The launch timeout before RUNNING is not here: until then only the runner knows when the job left the queue.
    #[must_use]
    pub fn deadline(&self, heard_at: BootTime) -> Option<Deadline> {
        let limits = &self.spec.timeouts;
        let after = |from: Option<BootTime>, span: Option<Duration>, timeout| {
            Some(Deadline { at: from?.saturating_add(span?), timeout })
        };
        match self.status.phase() {
            Phase::Waiting => after(Some(self.queued_at), limits.queue, Timeout::Queue),
            Phase::Running => {
                let process = self.process.as_ref()?;
                let unanswered = self.spec.tier == Tier::Managed && self.answer.is_none();
                let without_document = self.page.is_none() && self.net_error.is_none() && self.download.is_none();
                let answered_at = self.answer.as_ref().map(|answer| answer.at);
                [
                    after(unanswered.then_some(process.dequeued_at), limits.launch, Timeout::Launch),
                    after(answered_at.filter(|_| without_document), limits.navigation, Timeout::Navigation),
                    after(Some(process.up_at), limits.run, Timeout::Run),
                    after(Some(heard_at.max(process.up_at)), limits.idle, Timeout::Idle),
                ]
                .into_iter()
                .flatten()
                .min_by_key(|deadline| deadline.at)
            }
            Phase::Stopping | Phase::Over => None,
        }
    }

    /// What a page's end other than by report means for the task; none when it does not decide.
    pub(super) fn page_verdict(&self, success: Verdict) -> Option<Verdict> {
        match self.spec.completion {
            Completion::Any => Some(success),
            Completion::RequireReport => {
                Some(Verdict::failed(Reason::NoReport, "the page was closed without the report that was required"))
            }
            Completion::ProcessExit => None,
        }
    }

    /// What a file that came whole means for a task whose URL leads to it.
    pub(super) fn download_verdict(&self, name: &str) -> Option<Verdict> {
        match self.spec.completion {
            Completion::Any => Some(Verdict::done(Reason::Downloaded, format!("{name} was downloaded"))),
            Completion::RequireReport => {
                let message = format!("{name} was downloaded without the report that was required");
                Some(Verdict::failed(Reason::NoReport, message))
            }
            Completion::ProcessExit => None,
        }
    }

    /// A failure of the page decides, unless only the exit does.
    pub(super) fn page_failure(&self, failure: Verdict) -> Option<Verdict> {
        match self.spec.completion {
            Completion::Any | Completion::RequireReport => Some(failure),
            Completion::ProcessExit => None,
        }
    }

    /// A report decides, unless only the exit does.
    pub(super) fn report_verdict(&self, status: ReportStatus, message: &str) -> Option<Verdict> {
        match (self.spec.completion, status) {
            (Completion::Any | Completion::RequireReport, ReportStatus::Done) => {
                Some(Verdict::done(Reason::Callback, message))
            }
            (Completion::Any | Completion::RequireReport, ReportStatus::Failed) => {
                Some(Verdict::failed(Reason::Callback, message))
            }
            (Completion::ProcessExit, ReportStatus::Done | ReportStatus::Failed) => None,
        }
    }

    /// What the exit of the browser process means for a task that nothing else has ended.
    pub(super) fn exit_verdict(&self, exit: &Exit, output_tail: &str, lived: Option<Duration>) -> Ended {
        let is_short = lived.is_some_and(|lived| lived <= HAND_OFF_MAX);
        match (self.spec.tier, exit.status) {
            (Tier::UserBrowser, ExitStatus::Code(0)) if is_short => Ended::HandedOff,
            (Tier::Managed | Tier::ExitOnly | Tier::UserBrowser, _) => Ended::With(self.verdict(exit, output_tail)),
        }
    }

    fn verdict(&self, exit: &Exit, output_tail: &str) -> Verdict {
        let verdict = self.own_exit_verdict(exit, output_tail);
        match self.spec.isolation {
            Isolation::Process => verdict,
            Isolation::Context => Verdict {
                message: format!("the browser that it shared with other tasks ended: {}", verdict.message),
                ..verdict
            },
        }
    }

    fn own_exit_verdict(&self, exit: &Exit, output_tail: &str) -> Verdict {
        // A shared browser has answered long ago, and has a profile that nobody else knows.
        let unanswered =
            self.spec.tier == Tier::Managed && self.answer.is_none() && self.spec.isolation == Isolation::Process;
        match exit.status {
            ExitStatus::Code(EXIT_PROFILE_IN_USE) if unanswered => Verdict::failed(
                Reason::ProfileInUse,
                "another browser holds the profile; close it or use another profile",
            ),
            ExitStatus::Code(0) if unanswered => Verdict::failed(
                Reason::HandedOver,
                "the browser gave the URL to one that was already running on this profile, and left",
            ),
            ExitStatus::Code(0) => self.clean_exit_verdict(),
            ExitStatus::Code(code) => {
                Verdict::failed(Reason::ProcessFailed, with_tail(format!("exit code {code}"), output_tail))
            }
            ExitStatus::Signal(signal) => {
                Verdict::failed(Reason::ProcessFailed, with_tail(format!("ended by signal {signal}"), output_tail))
            }
        }
    }

    /// Whatever was to decide: nobody meant the kernel to end it.
    pub(super) fn out_of_memory_verdict(&self) -> Verdict {
        Verdict::failed(
            Reason::OutOfMemory,
            format!("the kernel ended {}, as there was no memory left for it", self.spec.browser),
        )
    }

    fn clean_exit_verdict(&self) -> Verdict {
        match (self.spec.completion, self.spec.tier) {
            (Completion::ProcessExit, Tier::Managed | Tier::ExitOnly | Tier::UserBrowser)
            | (Completion::Any, Tier::ExitOnly) => Verdict::done(Reason::ProcessExited, "exit code 0"),
            (Completion::RequireReport, Tier::ExitOnly) => Verdict::failed(
                Reason::NoReport,
                "the browser ended with exit code 0 but without the report that was required",
            ),
            (Completion::Any | Completion::RequireReport, Tier::Managed) if self.is_downloading() => Verdict::failed(
                Reason::DownloadFailed,
                "the browser ended with exit code 0 before its download was complete",
            ),
            (Completion::Any | Completion::RequireReport, Tier::Managed) => Verdict::failed(
                Reason::BrowserTerminated,
                "the browser ended with exit code 0 while its page was open, as when it is told to quit",
            ),
            (Completion::Any | Completion::RequireReport, Tier::UserBrowser) => Verdict::failed(
                Reason::BrowserTerminated,
                "the person's own browser, which was started for this, was quit without a report",
            ),
        }
    }
}

/// How much of the browser's last words goes into a message: the line or two that say what was wrong.
const TAIL_CHARS_MAX: usize = 600;

fn with_tail(message: String, tail: &str) -> String {
    let tail = tail.trim();
    if tail.is_empty() {
        return message;
    }
    let skip = tail.chars().count().saturating_sub(TAIL_CHARS_MAX);
    format!("{message}; it last printed: {}", tail.chars().skip(skip).collect::<String>())
}
