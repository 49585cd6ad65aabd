//! What is asked of the store, and the read connections on which it is asked.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, Row, ToSql};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::schema;
use crate::{
    job::{EventId, Job, TaskId},
    ledger::{Fault, Position, ReadError, RequestHash, Requested, TailEntry},
};

/// Reads that run at once: more would only queue for the processor, since most reads are answered from its cache.
/// A caller waits for its turn.
const READERS_MAX: usize = 4;

/// Read connections, opened when first needed.
pub(super) struct Readers {
    path: PathBuf,
    turns: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Arc<Self> {
        Arc::new(Self { path: path.to_owned(), turns: Arc::new(Semaphore::new(READERS_MAX)), idle: Mutex::default() })
    }

    /// Runs a read on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_closed| Fault::Closed)?;
        let readers = Arc::clone(self);
        let ran = tokio::task::spawn_blocking(move || {
            // Until the read is over: a caller that vanishes does not end it.
            let _turn = turn;
            let connection = readers.take()?;
            let answer = query(&connection)?;
            // One that failed is not used again: whatever state it is in goes with it.
            readers.give_back(connection);
            Ok(answer)
        });
        ran.await.unwrap_or_else(|gone| Err(Fault::Failed(format!("a read was broken off: {gone}")).into()))
    }

    /// Lets every connection go; who asks from now on is told that the store is closed.
    pub(super) fn close(&self) {
        self.turns.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn take(&self) -> Result<Connection, ReadError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| Ok(schema::open_reader(&self.path)?), Ok)
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.turns.is_closed() {
            idle.push(connection);
        }
    }
}

pub(super) fn latest(connection: &Connection, id: TaskId) -> Result<Option<Arc<Job>>, ReadError> {
    const LATEST: &str = "SELECT body FROM changes JOIN jobs USING (position) WHERE jobs.task_id = ?1";
    one(connection, LATEST, &[&id.uuid().as_bytes()])
}

pub(super) fn history(connection: &Connection, id: TaskId, after: u64) -> Result<Vec<Arc<Job>>, ReadError> {
    const HISTORY: &str = "SELECT body FROM changes WHERE task_id = ?1 AND revision > ?2 ORDER BY revision";
    all(connection, HISTORY, &[&id.uuid().as_bytes(), &signed(after)])
}

pub(super) fn find_event(connection: &Connection, id: TaskId, event: EventId) -> Result<Option<Arc<Job>>, ReadError> {
    const FIND: &str = "SELECT body FROM changes WHERE task_id = ?1 AND event_id = ?2";
    one(connection, FIND, &[&id.uuid().as_bytes(), &event.uuid().as_bytes()])
}

pub(super) fn find_request(connection: &Connection, request_id: Uuid) -> Result<Option<Requested>, ReadError> {
    const FIND: &str = "SELECT body, request_hash FROM changes JOIN jobs USING (position) WHERE request_id = ?1";
    let mut statement = connection.prepare_cached(FIND)?;
    let found = statement
        .query_row([request_id.as_bytes()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, RequestHash>(1)?)))
        .optional()?;
    found.map(|(body, hash)| Ok((decode(&body)?, hash))).transpose()
}

pub(super) fn unsettled(connection: &Connection) -> Result<Vec<Arc<Job>>, ReadError> {
    const UNSETTLED: &str = "SELECT body FROM jobs JOIN changes USING (position)
        WHERE expires_at IS NULL ORDER BY created_at, jobs.task_id";
    all(connection, UNSETTLED, &[])
}

pub(super) fn count_jobs(connection: &Connection) -> Result<u64, ReadError> {
    const COUNT: &str = "SELECT count(*) FROM jobs";
    Ok(connection.prepare_cached(COUNT)?.query_row([], |row| row.get(0)).map(unsigned)?)
}

pub(super) fn tail(
    connection: &Connection,
    after: Position,
    up_to: Position,
    limit: usize,
) -> Result<Vec<(Position, TailEntry)>, ReadError> {
    const FORGOTTEN: &str = "SELECT forgotten_up_to FROM store";
    const TAIL: &str = "SELECT position, task_id, body FROM changes WHERE position > ?1 AND position <= ?2
        UNION ALL SELECT position, task_id, NULL FROM removals WHERE position > ?1 AND position <= ?2
        ORDER BY position LIMIT ?3";
    // One transaction, so that nothing is forgotten between the two reads.
    let snapshot = connection.unchecked_transaction()?;
    let forgotten: i64 =
        snapshot.prepare_cached(FORGOTTEN).and_then(|mut statement| statement.query_row([], |row| row.get(0)))?;
    if signed(after.number()) < forgotten {
        return Err(ReadError::PositionForgotten(after));
    }
    let mut statement = snapshot.prepare_cached(TAIL)?;
    let rows = statement.query_map([signed(after.number()), signed(up_to.number()), count(limit)], tail_row)?;
    rows.map(|row| {
        let (position, task, body) = row?;
        let entry = match body {
            Some(body) => TailEntry::Change(decode(&body)?),
            None => TailEntry::Removed(TaskId::new(Uuid::from_bytes(task))),
        };
        Ok((Position::new(unsigned(position)), entry))
    })
    .collect()
}

fn tail_row(row: &Row<'_>) -> rusqlite::Result<(i64, [u8; 16], Option<String>)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn one(connection: &Connection, query: &str, values: &[&dyn ToSql]) -> Result<Option<Arc<Job>>, ReadError> {
    let mut statement = connection.prepare_cached(query)?;
    let body = statement.query_row(values, |row| row.get::<_, String>(0)).optional()?;
    body.map(|body| decode(&body)).transpose()
}

fn all(connection: &Connection, query: &str, values: &[&dyn ToSql]) -> Result<Vec<Arc<Job>>, ReadError> {
    let mut statement = connection.prepare_cached(query)?;
    let bodies = statement.query_map(values, |row| row.get::<_, String>(0))?;
    bodies.map(|body| decode(&body?)).collect()
}

pub(super) fn decode(body: &str) -> Result<Arc<Job>, ReadError> {
    serde_json::from_str(body).map(Arc::new).map_err(|error| ReadError::Damaged(error.to_string()))
}

/// SQLite counts in signed numbers; none of ours gets near the end of either.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

pub(super) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        sync::mpsc,
        task::{Context, Waker},
    };

    use super::*;

    #[tokio::test]
    async fn callers_that_vanish_start_no_more_reads_than_those_that_wait() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        drop(schema::open(&path).unwrap());
        let readers = Readers::new(&path);
        let (go, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        for _ in 0..3 * READERS_MAX {
            let wait = Arc::clone(&wait);
            let read = readers.read(move |_| {
                let _ = wait.lock().unwrap().recv();
                Ok(())
            });
            // Begun, if it has its turn, and left alone.
            assert!(pin!(read).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let turns = Arc::clone(&readers.turns);
        assert_eq!(turns.available_permits(), 0, "the reads go on");
        drop(go);
        let all = u32::try_from(READERS_MAX).unwrap();
        drop(tokio::time::timeout(std::time::Duration::from_secs(60), turns.acquire_many(all)).await.unwrap().unwrap());
        assert!(readers.idle.lock().unwrap().len() <= READERS_MAX);
    }
}
