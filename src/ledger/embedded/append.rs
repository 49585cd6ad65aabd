//! Appending one change: what is checked, what is written, what is shown.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

use super::{
    list,
    read::{self, signed, unsigned},
    writer::{Batch, Memory, Work},
};
use crate::{
    job::{EventId, Job, TaskId},
    ledger::{Append, Appended, Fault, JobLog, Position, ReadError, TailEntry},
};

/// An append on its way. The job is put into words by the caller's thread, not by the writer.
pub(super) struct AppendWork {
    append: Append,
    body: String,
    decision: Decision,
    answer: oneshot::Sender<Appended>,
}

enum Decision {
    Open,
    Stored(Position),
    Shown(Arc<JobLog>),
    Refused(Appended),
}

impl AppendWork {
    pub(super) fn new(append: Append, answer: oneshot::Sender<Appended>) -> Self {
        let body = serde_json::to_string(&*append.job).expect("a job has no part that JSON cannot say");
        Self { append, body, decision: Decision::Open, answer }
    }

    fn check(&self, store: &Connection) -> Result<Option<Appended>, ReadError> {
        let Append { job, event_id, expected_revision, request_key } = &self.append;
        let head = head_revision(store, job.id)?;
        if head > 0 && has_event(store, job.id, *event_id)? {
            let latest = read::latest(store, job.id)?;
            return Ok(latest.map(Appended::Known));
        }
        if head != *expected_revision {
            return Ok(Some(Appended::Conflict(read::latest(store, job.id)?)));
        }
        let Some(key) = request_key else { return Ok(None) };
        let known = read::find_request(store, key.id)?;
        Ok(known.map(|(job, hash)| Appended::RequestKnown { job, hash }))
    }

    fn write(&self, store: &Connection, position: Position) -> rusqlite::Result<()> {
        const CHANGE: &str =
            "INSERT INTO changes (position, task_id, revision, event_id, body) VALUES (?1, ?2, ?3, ?4, ?5)";
        const NEXT: &str = "UPDATE jobs SET revision = ?2, position = ?3, expires_at = ?4, status = ?5, \
            finished_at = ?6 WHERE task_id = ?1";
        let job = &self.append.job;
        let (task, event) = (job.id.uuid(), self.append.event_id.uuid());
        let (revision, position) = (signed(job.revision), signed(position.number()));
        store.prepare_cached(CHANGE)?.execute(params![
            position,
            task.as_bytes(),
            revision,
            event.as_bytes(),
            self.body
        ])?;
        if self.append.expected_revision == 0 {
            return self.write_first(store, position);
        }
        let status = list::status_name(job.status);
        let finished = job.finished_at.map(|at| signed(at.micros()));
        store.prepare_cached(NEXT)?.execute(params![
            task.as_bytes(),
            revision,
            position,
            expiry(job),
            status,
            finished
        ])?;
        Ok(())
    }

    /// The job's place in the list. A job without labels has no row among those.
    fn write_first(&self, store: &Connection, position: i64) -> rusqlite::Result<()> {
        const FIRST: &str = "INSERT INTO jobs (task_id, revision, position, created_at, expires_at, request_id, \
            request_hash, status, finished_at, url) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        const LABEL: &str = "INSERT INTO labels (task_id, key, value) VALUES (?1, ?2, ?3)";
        let job = &self.append.job;
        let task = job.id.uuid();
        let request = self.append.request_key.as_ref().map(|key| (key.id.as_bytes(), key.hash.as_slice()));
        let (id, hash) = request.unzip();
        store.prepare_cached(FIRST)?.execute(params![
            task.as_bytes(),
            signed(job.revision),
            position,
            signed(job.created_at.micros()),
            expiry(job),
            id,
            hash,
            list::status_name(job.status),
            job.finished_at.map(|at| signed(at.micros())),
            job.spec.url.as_str()
        ])?;
        for (key, value) in &job.spec.labels {
            store.prepare_cached(LABEL)?.execute(params![task.as_bytes(), key, value])?;
        }
        Ok(())
    }
}

/// A job that something can still happen to never expires.
fn expiry(job: &Job) -> Option<i64> {
    job.expires_at().filter(|_| job.is_settled()).map(|at| signed(at.micros()))
}

impl Work for AppendWork {
    fn decide(&mut self, batch: &mut Batch<'_>) -> Result<(), Fault> {
        self.decision = match self.check(batch.store()) {
            Ok(Some(refused)) => Decision::Refused(refused),
            Ok(None) => {
                let position = batch.next_position();
                self.write(batch.store(), position)?;
                Decision::Stored(position)
            }
            Err(ReadError::Store(fault)) => return Err(fault),
            // This job's own trouble, not that of the others in the batch.
            Err(error @ (ReadError::Damaged(_) | ReadError::PositionForgotten(_) | ReadError::PositionAhead(_))) => {
                Decision::Refused(Appended::Unknown(error.into()))
            }
        };
        Ok(())
    }

    fn publish(&mut self, store: &Connection, memory: &Memory) {
        let Decision::Stored(position) = self.decision else { return };
        let job = &self.append.job;
        memory.recent.push(position, TailEntry::Change(Arc::clone(job)), self.body.len());
        let log = memory.shelf.claim(job.id);
        if job.revision == 1 || log.is_whole() {
            log.grow(Arc::clone(job));
        } else {
            // Nobody held it. What is read includes this change, and perhaps later ones of the same commit.
            match read::history(store, job.id, 0) {
                Ok(history) => log.fill(history),
                Err(error) => {
                    self.decision = Decision::Refused(Appended::Unknown(error.into()));
                    return;
                }
            }
        }
        self.decision = Decision::Shown(log);
    }

    fn answer(self: Box<Self>, _store: &Connection, committed: Result<(), Fault>) {
        let appended = match (committed, self.decision) {
            (Err(fault), _) => Appended::Unknown(fault),
            (Ok(()), Decision::Shown(log)) => Appended::Committed(log),
            (Ok(()), Decision::Refused(appended)) => appended,
            (Ok(()), Decision::Open | Decision::Stored(_)) => unreachable!("a commit shows what it stored"),
        };
        // Whoever asked may be gone.
        let _ = self.answer.send(appended);
    }
}

/// Looks for the change of an event, in turn with the appends but outside their transaction: it is true whatever
/// became of that.
pub(super) struct FindEventWork {
    pub(super) task: TaskId,
    pub(super) event: EventId,
    pub(super) answer: oneshot::Sender<Result<Option<Arc<Job>>, ReadError>>,
}

impl Work for FindEventWork {
    fn decide(&mut self, _batch: &mut Batch<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn publish(&mut self, _store: &Connection, _memory: &Memory) {}

    fn answer(self: Box<Self>, store: &Connection, committed: Result<(), Fault>) {
        let found = match committed {
            // What is read now may be another after the next start.
            Err(broken @ Fault::Broken(_)) => Err(broken.into()),
            Ok(()) | Err(Fault::Full | Fault::Closed | Fault::Failed(_)) => {
                read::find_event(store, self.task, self.event)
            }
        };
        let _ = self.answer.send(found);
    }
}

fn head_revision(store: &Connection, task: TaskId) -> Result<u64, ReadError> {
    const HEAD: &str = "SELECT revision FROM jobs WHERE task_id = ?1";
    let mut statement = store.prepare_cached(HEAD)?;
    let head = statement.query_row([task.uuid().as_bytes()], |row| row.get(0)).optional();
    Ok(head?.map_or(0, unsigned))
}

/// Goes through the job's few changes, which costs less than an index over all events.
fn has_event(store: &Connection, task: TaskId, event: EventId) -> Result<bool, ReadError> {
    const HAS: &str = "SELECT 1 FROM changes WHERE task_id = ?1 AND event_id = ?2";
    let mut statement = store.prepare_cached(HAS)?;
    Ok(statement.exists([task.uuid().as_bytes(), event.uuid().as_bytes()])?)
}
