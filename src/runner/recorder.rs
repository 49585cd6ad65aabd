//! Writes facts down: apply, append, and settle every doubt before going on.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use super::{CallError, Reported, host::now, meters, retention::Retention, traces::Traces};
use crate::{
    job::{Applied, Event, EventId, Fact, Job, Refusal},
    ledger::{Append, Appended, JobLog, Ledger, ReadError},
};

/// First pause after the store failed; doubled up to the longest one.
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// Longest pause: a disk that got room again is noticed within it.
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Writes down what happens to one job.
pub(super) struct Recorder<'a> {
    pub(super) ledger: &'a dyn Ledger,
    pub(super) log: &'a JobLog,
    pub(super) retention: &'a Retention,
    pub(super) traces: &'a Traces,
    pub(super) leaving: &'a CancellationToken,
}

/// What became of a fact.
#[derive(Clone, Debug)]
pub(super) enum Recorded {
    /// It made this change, which is durable.
    Changed(Arc<Job>),
    /// It was known, or no longer matters.
    Unchanged,
    /// It cannot be true.
    Refused(Refusal),
    /// The service is leaving, or the store is closed, before it could be made durable.
    Interrupted,
}

impl Recorder<'_> {
    /// Records a fact under a new id.
    pub(super) async fn record(&self, fact: Fact) -> Recorded {
        self.record_as(EventId::new(Uuid::now_v7()), fact).await
    }

    /// Records a fact under its own id. Goes on until the store has decided, through a full disk if need be.
    pub(super) async fn record_as(&self, id: EventId, fact: Fact) -> Recorded {
        let event = Event { id, fact };
        let mut pause = RETRY_FIRST;
        let mut job = self.log.latest();
        loop {
            let next = match job.apply(&event, now()) {
                Applied::Changed(next) => Arc::new(next),
                Applied::Unchanged => return Recorded::Unchanged,
                Applied::Refused(refusal) => return Recorded::Refused(refusal),
            };
            let append =
                Append { job: Arc::clone(&next), event_id: id, expected_revision: job.revision, request_key: None };
            match self.ledger.append(append).await {
                Appended::Committed(_) => {
                    self.tell(&job, &next);
                    return Recorded::Changed(next);
                }
                Appended::Known(_) => return Recorded::Unchanged,
                // Somebody else's fact came first: what this one means is decided anew.
                Appended::Conflict(Some(latest)) => job = latest,
                // Only settled jobs are forgotten, and nobody records facts of those but late reports.
                Appended::Conflict(None) | Appended::RequestKnown { .. } => return Recorded::Unchanged,
                Appended::Unknown(fault) => {
                    warn!(task_id = %job.id, %fault, "the ledger did not take a change; trying again");
                    match self.settle(id, &mut pause).await {
                        Some(change) => {
                            self.tell(&job, &change);
                            return Recorded::Changed(change);
                        }
                        None if self.leaving.is_cancelled() => return Recorded::Interrupted,
                        None => job = self.log.latest(),
                    }
                }
            }
        }
    }

    /// Records a report, and says what became of it.
    pub(super) async fn report(&self, fact: Fact) -> Result<Reported, CallError> {
        match self.record(fact).await {
            Recorded::Changed(job) => Ok(Reported { job, applied: true }),
            Recorded::Unchanged => Ok(Reported { job: self.log.latest(), applied: false }),
            Recorded::Refused(refusal) => Err(CallError::Refused(refusal)),
            Recorded::Interrupted => Err(CallError::Draining),
        }
    }

    /// Reads back whether an append in doubt was made, after a pause; none when it was not, or cannot be told now.
    async fn settle(&self, id: EventId, pause: &mut Duration) -> Option<Arc<Job>> {
        tokio::select! {
            () = tokio::time::sleep(*pause) => {}
            () = self.leaving.cancelled() => {}
        }
        *pause = (*pause * 2).min(RETRY_MAX);
        let found: Result<Option<Arc<Job>>, ReadError> = self.ledger.find_event(self.log.id(), id).await;
        found.ok().flatten()
    }

    /// One line for each change, where it was caused.
    fn tell(&self, before: &Job, after: &Job) {
        meters::changed(before, after);
        self.traces.changed(before, after);
        let (task_id, revision) = (after.id, after.revision);
        let pid = after.process.as_ref().map(|process| process.pid);
        if before.status == after.status {
            tracing::debug!(%task_id, revision, status = ?after.status, "learnt more");
        } else {
            info!(%task_id, revision, status = ?after.status, reason = ?after.reason, pid, "status changed");
        }
        if after.is_settled() {
            self.retention.settled(after.expires_at());
        }
    }
}
