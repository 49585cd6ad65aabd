//! Jobs that no service attends, for unit tests of those who look at them.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    host::now,
    live::{Attended, Live, LiveJobs},
};
use crate::{
    job::{Accepted, Applied, Event, EventId, Fact, Job, Spec, TaskId, Tier, tests::sample},
    ledger::{Append, Appended, EmbeddedLedger, JobLog, Ledger},
    process::boot_id,
};

/// Jobs of this process, the first of which most tests look at.
pub(super) struct Kept {
    pub(super) ledger: EmbeddedLedger,
    pub(super) attended: Vec<Attended>,
    pub(super) jobs: Arc<LiveJobs>,
    _dir: tempfile::TempDir,
}

impl Kept {
    pub(super) async fn of(count: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ledger = EmbeddedLedger::open(&dir.path().join("ledger")).unwrap();
        let jobs = Arc::new(LiveJobs::default());
        let mut attended = Vec::new();
        for _ in 0..count {
            let id = TaskId::new(Uuid::now_v7());
            let job = Job::accept(Accepted { id, spec: spec(), host: String::new(), boot_id: boot_id() }, now());
            attended.push(jobs.attend(append(&ledger, job, 0).await));
        }
        Self { ledger, attended, jobs, _dir: dir }
    }

    pub(super) async fn becomes(&self, fact: Fact) {
        let (job, event) = (self.live().log.latest(), Event { id: EventId::new(Uuid::now_v7()), fact });
        let Applied::Changed(changed) = job.apply(&event, now()) else { panic!("{event:?} on {job:?}") };
        append(&self.ledger, changed, job.revision).await;
    }

    pub(super) fn live(&self) -> &Live {
        &self.attended[0].live
    }
}

async fn append(ledger: &EmbeddedLedger, job: Job, expected_revision: u64) -> Arc<JobLog> {
    let (job, event_id) = (Arc::new(job), EventId::new(Uuid::now_v7()));
    match ledger.append(Append { job, event_id, expected_revision, request_key: None }).await {
        Appended::Committed(log) => log,
        other => panic!("{other:?}"),
    }
}

fn spec() -> Spec {
    Spec { tier: Tier::ExitOnly, retention: Duration::ZERO, ..sample::spec() }
}
