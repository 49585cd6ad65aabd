//! The one door through which a job changes.

mod download;
mod exit;
mod page;

use std::{ops::Deref, sync::Arc};

use serde::{Deserialize, Serialize};

use super::policy::Verdict;
use super::record::{Answer, Cancel, Process, Record, Report};
use super::{
    BootTime, Event, Fact, Isolation, LaunchFailure, LostCause, Now, Phase, Reason, ReportStatus, Spec, Status, TaskId,
    Tier, Timeout,
};

/// The record of a task's execution at one revision. Read it as a [`Record`]; change it through [`Job::apply`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Job(Record);

/// What is known when a job is accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its name.
    pub id: TaskId,
    /// What was asked for.
    pub spec: Spec,
    /// The machine that will run it.
    pub host: String,
    /// That machine's boot.
    pub boot_id: String,
}

/// What an event did.
#[expect(clippy::large_enum_variant, reason = "moved once, out of here into the caller's Arc")]
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// The job after it, one revision on.
    Changed(Job),
    /// Nothing: it was known, or it no longer matters.
    Unchanged,
    /// It cannot be true of this job.
    Refused(Refusal),
}

/// Why an event cannot be true of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its browser has not been started.
    #[error("the task's browser has not been started yet")]
    NotLaunched,
    /// Its browser has been started.
    #[error("the task's browser has been started already")]
    AlreadyLaunched,
    /// Another report was given.
    #[error("another report was already given")]
    AnotherReport,
    /// The job ended before.
    #[error("the task has ended before this could happen")]
    Over,
}

impl Deref for Job {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.0
    }
}

impl Job {
    /// The first revision: CREATED.
    #[must_use]
    pub fn accept(accepted: Accepted, now: Now) -> Self {
        Self(Record {
            id: accepted.id,
            spec: Arc::new(accepted.spec),
            host: accepted.host,
            boot_id: accepted.boot_id,
            revision: 1,
            status: Status::Created,
            reason: Reason::Accepted,
            message: String::new(),
            created_at: now.wall,
            queued_at: now.boot,
            updated_at: now.wall,
            started_at: None,
            finished_at: None,
            attempt: 1,
            process: None,
            answer: None,
            page: None,
            net_error: None,
            page_end: None,
            report: None,
            matched_rule: None,
            cancel: None,
            exit: None,
            tree_end: None,
            download: None,
            files: Vec::new(),
            tree_lost: false,
            handed_off: false,
        })
    }

    /// Applies one event. Pure: the job itself stays as it is; `now` is when the fact was learnt.
    #[must_use]
    pub fn apply(&self, event: &Event, now: Now) -> Applied {
        let step = Step { job: &self.0, now, phase: self.status.phase() };
        match &event.fact {
            Fact::Requeued => step.requeued(),
            Fact::Launched(process) => step.launched(process),
            Fact::LaunchFailed { failure, message } => step.launch_failed(*failure, message),
            Fact::BrowserAnswered { version } => step.browser_answered(version),
            Fact::PageCommitted { url, http_status } => step.page_committed(url, *http_status),
            Fact::NavigationFailed { net_error } => step.navigation_failed(net_error),
            Fact::PageClosed => step.page_closed(),
            Fact::PageCrashed { status, out_of_memory } => step.page_crashed(status, *out_of_memory),
            Fact::DownloadBegan { name } => step.download_began(name),
            Fact::DownloadDone { name } => step.download_done(name),
            Fact::DownloadFailed { name, why } => step.download_failed(name, why),
            Fact::Reported { status, message, result } => step.reported(*status, message, result.as_deref()),
            Fact::RuleMatched { rule, success } => step.rule_matched(rule, *success),
            Fact::Exited { status, output_tail, out_of_memory, tree, lived } => {
                step.exited(*status, output_tail, *out_of_memory, tree.as_ref(), *lived)
            }
            Fact::TreeEmptied(tree) => step.tree_emptied(tree),
            Fact::FileKept { name, kind, size_bytes } => step.file_kept(name, *kind, *size_bytes),
            Fact::CancelAsked { launched } => step.cancel_asked(*launched),
            Fact::DeadlinePassed { timeout, launched } => step.deadline_passed(*timeout, *launched),
            Fact::Lost(cause) => step.lost(*cause),
        }
    }
}

/// One event meeting one job. Each method lists all four phases, so every pair is decided on purpose.
struct Step<'a> {
    job: &'a Record,
    now: Now,
    phase: Phase,
}

impl Step<'_> {
    fn requeued(&self) -> Applied {
        match self.phase {
            Phase::Waiting if self.job.attempt == 1 => self.change(|job| {
                job.attempt = 2;
                job.reason = Reason::Requeued;
                job.message = "the service restarted before the browser was let go; starting it anew".to_owned();
                job.queued_at = self.now.boot;
            }),
            Phase::Waiting => Applied::Unchanged,
            Phase::Running | Phase::Stopping => Applied::Refused(Refusal::AlreadyLaunched),
            Phase::Over => Applied::Refused(Refusal::Over),
        }
    }

    fn launched(&self, process: &Process) -> Applied {
        match self.phase {
            Phase::Waiting => self.change(|job| {
                job.status = Status::Running;
                job.reason = Reason::Launched;
                job.message = match job.spec.isolation {
                    Isolation::Process => format!("{} is up", job.spec.browser),
                    Isolation::Context => format!("has a context in a {} that other tasks share", job.spec.browser),
                };
                job.started_at = Some(self.wall());
                job.process = Some(process.clone());
            }),
            Phase::Running | Phase::Stopping | Phase::Over if self.job.process.as_ref() == Some(process) => {
                Applied::Unchanged
            }
            Phase::Stopping if self.job.process.is_none() => self.change(|job| {
                job.started_at = Some(self.wall());
                job.process = Some(process.clone());
                if self.leaves_browser() {
                    job.message = LEFT_AS_IT_IS.to_owned();
                    self.end_stopped(job);
                }
            }),
            Phase::Running | Phase::Stopping => Applied::Refused(Refusal::AlreadyLaunched),
            Phase::Over => Applied::Refused(Refusal::Over),
        }
    }

    fn launch_failed(&self, failure: LaunchFailure, message: &str) -> Applied {
        let reason = match failure {
            LaunchFailure::Refused => Reason::LaunchFailed,
            LaunchFailure::ProfileHeld => Reason::ProfileInUse,
        };
        match self.phase {
            Phase::Waiting => self.change(|job| self.end(job, Verdict::failed(reason, message))),
            // Told to stop while the launch was under way: nothing came of it, so nothing is left.
            Phase::Stopping if self.job.process.is_none() => self.change(|job| self.end_stopped(job)),
            Phase::Running | Phase::Stopping => Applied::Refused(Refusal::AlreadyLaunched),
            Phase::Over => Applied::Unchanged,
        }
    }

    fn browser_answered(&self, version: &str) -> Applied {
        match self.phase {
            Phase::Waiting => Applied::Refused(Refusal::NotLaunched),
            Phase::Running | Phase::Stopping if self.job.answer.is_none() => self.change(|job| {
                job.message = format!("{version} answers");
                job.answer = Some(Answer { version: version.to_owned(), at: self.boot() });
            }),
            Phase::Running | Phase::Stopping | Phase::Over => Applied::Unchanged,
        }
    }

    fn reported(&self, status: ReportStatus, message: &str, result: Option<&str>) -> Applied {
        if let Some(known) = &self.job.report {
            let same = known.status == status && known.message == message && known.result.as_deref() == result;
            return if same { Applied::Unchanged } else { Applied::Refused(Refusal::AnotherReport) };
        }
        let report = Report { status, message: message.to_owned(), result: result.map(str::to_owned), at: self.wall() };
        match self.phase {
            Phase::Waiting => Applied::Refused(Refusal::NotLaunched),
            Phase::Running => self.change(|job| {
                self.decide(job, self.job.report_verdict(status, message));
                job.report = Some(report);
            }),
            Phase::Stopping | Phase::Over => self.change(|job| job.report = Some(report)),
        }
    }

    fn cancel_asked(&self, launched: bool) -> Applied {
        let cancel = Cancel { at: self.wall() };
        match self.phase {
            Phase::Waiting if launched => self.change(|job| {
                job.status = Status::Stopping;
                job.reason = Reason::CancelRequested;
                job.message = "cancelled while the browser was starting".to_owned();
                job.cancel = Some(cancel);
            }),
            Phase::Waiting => self.change(|job| {
                job.cancel = Some(cancel);
                self.end(
                    job,
                    Verdict {
                        status: Status::Cancelled,
                        reason: Reason::CancelRequested,
                        message: "cancelled before its browser was started".to_owned(),
                    },
                );
            }),
            Phase::Running if self.leaves_browser() => self.change(|job| {
                let message = format!("cancelled; {LEFT_AS_IT_IS}");
                self.end(job, Verdict { status: Status::Cancelled, reason: Reason::CancelRequested, message });
                job.cancel = Some(cancel);
            }),
            Phase::Running => self.change(|job| {
                job.status = Status::Stopping;
                job.reason = Reason::CancelRequested;
                job.message = "cancelled; ending its browser".to_owned();
                job.cancel = Some(cancel);
            }),
            Phase::Stopping if self.job.cancel.is_none() => self.change(|job| job.cancel = Some(cancel)),
            Phase::Stopping | Phase::Over => Applied::Unchanged,
        }
    }

    fn deadline_passed(&self, timeout: Timeout, launched: bool) -> Applied {
        match self.phase {
            Phase::Waiting if launched => self.change(|job| {
                job.status = Status::Stopping;
                job.reason = timeout.reason();
                job.message = "timed out; ending its browser".to_owned();
            }),
            Phase::Waiting => self.change(|job| {
                self.end(
                    job,
                    Verdict { status: Status::TimedOut, reason: timeout.reason(), message: timeout_message(timeout) },
                );
            }),
            Phase::Running if self.leaves_browser() => self.change(|job| {
                let message = format!("{}; {LEFT_AS_IT_IS}", timeout_message(timeout));
                self.end(job, Verdict { status: Status::TimedOut, reason: timeout.reason(), message });
            }),
            Phase::Running => self.change(|job| {
                job.status = Status::Stopping;
                job.reason = timeout.reason();
                job.message = timeout_message(timeout);
            }),
            Phase::Stopping | Phase::Over => Applied::Unchanged,
        }
    }

    fn lost(&self, cause: LostCause) -> Applied {
        let (reason, message) = match cause {
            LostCause::ServiceRestarted => {
                (Reason::ServiceRestarted, "the service restarted, and no process can be proven to be this task's")
            }
            LostCause::HostRestarted => (Reason::HostRestarted, "the machine restarted meanwhile"),
            LostCause::ShimDied => (Reason::ShimDied, "the process that watched the browser died without leaving word"),
        };
        match self.phase {
            Phase::Waiting | Phase::Running | Phase::Stopping => self.change(|job| {
                self.end(job, Verdict { status: Status::Lost, reason, message: message.to_owned() });
                job.tree_lost = true;
            }),
            // The end was known already; what is lost is only the word that its tree is gone.
            Phase::Over if !self.job.is_settled() => self.change(|job| job.tree_lost = true),
            Phase::Over => Applied::Unchanged,
        }
    }

    /// Makes the next revision. The only place that counts it and moves `updated_at`.
    fn change(&self, edit: impl FnOnce(&mut Record)) -> Applied {
        let mut next = self.job.clone();
        edit(&mut next);
        next.revision += 1;
        next.updated_at = self.wall();
        Applied::Changed(Job(next))
    }

    fn decide(&self, job: &mut Record, verdict: Option<Verdict>) {
        if let Some(verdict) = verdict {
            self.end(job, verdict);
        }
    }

    fn end(&self, job: &mut Record, verdict: Verdict) {
        job.status = verdict.status;
        job.reason = verdict.reason;
        job.message = verdict.message;
        job.finished_at = Some(self.wall());
    }

    /// The person's own browser outlives its tasks: there is nothing to stop, and nothing to wait for.
    fn leaves_browser(&self) -> bool {
        self.job.spec.tier == Tier::UserBrowser
    }

    /// STOPPING becomes what it was stopped for; its reason stays.
    fn end_stopped(&self, job: &mut Record) {
        let cancelled = job.reason == Reason::CancelRequested;
        job.status = if cancelled { Status::Cancelled } else { Status::TimedOut };
        job.finished_at = Some(self.wall());
    }

    /// Wall time never runs backwards within a job, whatever the clock does.
    fn wall(&self) -> super::WallTime {
        self.now.wall.max(self.job.updated_at)
    }

    fn boot(&self) -> BootTime {
        self.now.boot
    }
}

/// What is said of a browser that is not ours to end.
const LEFT_AS_IT_IS: &str = "the person's own browser was left as it is";

fn timeout_message(timeout: Timeout) -> String {
    match timeout {
        Timeout::Queue => "no slot came free within its queue timeout",
        Timeout::Launch => "the browser did not come up within its launch timeout",
        Timeout::Navigation => "the document did not arrive within its navigation timeout",
        Timeout::Run => "the task ran longer than its run timeout",
        Timeout::Idle => "the page gave no sign of life within its idle timeout",
        Timeout::ServiceAway => "the browser was left without a service for too long",
    }
    .to_owned()
}
