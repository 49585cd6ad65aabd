//! What is counted of jobs: how they start, how they end, what is reported of them.

use std::{
    fmt::Debug,
    sync::LazyLock,
    time::{Duration, Instant},
};

use metrics::{Histogram, counter, histogram};

use super::{CallError, Recorded, Reported, Runner};
use crate::job::{Job, Reason, Refusal, Status};

/// From the word to RUNNING. Looked up once: it lies on the path of every launch.
static LAUNCH_SECONDS: LazyLock<Histogram> = LazyLock::new(|| histogram!("comet_task_runner_launch_seconds"));

/// From the queue's entrance to its end; as often looked up as the other.
static QUEUE_SECONDS: LazyLock<Histogram> = LazyLock::new(|| histogram!("comet_task_runner_queue_seconds"));

/// One change of a job, as it was recorded.
pub(super) fn changed(before: &Job, after: &Job) {
    if before.status == after.status {
        return;
    }
    if let Some(outcome) = launch_outcome(before.status, after.status, after.reason) {
        counter!("comet_task_runner_launches_total", "outcome" => outcome).increment(1);
    }
    if after.status.is_terminal() {
        let (status, reason) = (word(after.status), word(after.reason));
        counter!("comet_task_runner_jobs_finished_total", "status" => status, "reason" => reason).increment(1);
    }
}

/// What came of a launch, where this change tells it.
fn launch_outcome(before: Status, after: Status, reason: Reason) -> Option<&'static str> {
    match (before, after) {
        (Status::Created, Status::Running) => Some("running"),
        (Status::Created, Status::Failed) => Some("failed"),
        (Status::Created, Status::Stopping | Status::TimedOut) if reason == Reason::LaunchTimeout => Some("timed_out"),
        (_, _) => None,
    }
}

/// A job is RUNNING that got its word then.
pub(super) fn launched(word_at: Instant) {
    LAUNCH_SECONDS.record(word_at.elapsed());
}

/// A job was let go after so long in the queue.
pub(super) fn queued(waited: Duration) {
    QUEUE_SECONDS.record(waited);
}

/// A job was not taken, since the queue was full.
pub(super) fn queue_refused() {
    counter!("comet_task_runner_limit_refusals_total", "limit" => "queue").increment(1);
}

/// What came of a report over a call.
pub(super) fn called_back(answer: &Result<Reported, CallError>) {
    count_report(match answer {
        Ok(Reported { applied: true, .. }) => "applied",
        Ok(Reported { applied: false, .. }) => "known",
        Err(CallError::Refused(_) | CallError::Unknown(_)) => "refused",
        Err(CallError::Draining | CallError::Ledger(_)) => "unavailable",
    });
}

/// What came of a report of the end through the page's binding.
pub(super) fn page_reported(recorded: &Recorded) {
    count_report(match recorded {
        Recorded::Changed(_) => "applied",
        Recorded::Unchanged => "known",
        Recorded::Refused(_) => "refused",
        Recorded::Interrupted => "unavailable",
    });
}

/// What came of a sign of life through the page's binding.
pub(super) fn page_lives(answer: &Result<Reported, Refusal>) {
    count_report(match answer {
        Ok(Reported { applied: true, .. }) => "applied",
        Ok(Reported { applied: false, .. }) => "known",
        Err(_) => "refused",
    });
}

fn count_report(outcome: &'static str) {
    counter!("comet_task_runner_callbacks_total", "outcome" => outcome).increment(1);
}

/// The contract's word for one of our enums: `TimedOut` is TIMED_OUT there.
pub(super) fn word(name: impl Debug) -> String {
    let mut word = String::new();
    for letter in format!("{name:?}").chars() {
        if letter.is_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_uppercase());
    }
    word
}

impl Runner {
    /// How many jobs are looked after, by the contract's word for their status; every status is there.
    #[must_use]
    pub fn jobs_by_status(&self) -> Vec<(String, usize)> {
        let mut counts = Status::ALL.map(|status| (status, 0));
        for live in self.host.live.all() {
            let status = live.log.latest().status;
            counts.iter_mut().filter(|(other, _)| *other == status).for_each(|(_, count)| *count += 1);
        }
        counts.map(|(status, count)| (word(status), count)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_reasons_are_called_as_in_the_contract() {
        assert_eq!(Status::ALL.map(word).last().map(String::as_str), Some("LOST"));
        assert_eq!((word(Status::TimedOut).as_str(), word(Reason::HttpError).as_str()), ("TIMED_OUT", "HTTP_ERROR"));
    }

    #[test]
    fn a_launch_is_counted_once_whatever_comes_of_it() {
        let outcome = launch_outcome;
        assert_eq!(outcome(Status::Created, Status::Running, Reason::Launched), Some("running"));
        assert_eq!(outcome(Status::Created, Status::Failed, Reason::LaunchFailed), Some("failed"));
        assert_eq!(outcome(Status::Created, Status::Stopping, Reason::LaunchTimeout), Some("timed_out"));
        for (before, after, reason) in [
            (Status::Created, Status::Cancelled, Reason::CancelRequested),
            (Status::Created, Status::TimedOut, Reason::QueueTimeout),
            (Status::Running, Status::Failed, Reason::ProcessFailed),
            (Status::Stopping, Status::TimedOut, Reason::LaunchTimeout),
        ] {
            assert_eq!(outcome(before, after, reason), None);
        }
    }
}
