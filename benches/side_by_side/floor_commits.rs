//! The floor's memory: one SQLite writer thread with group commit, and nothing else.

use std::{path::Path, thread};

use anyhow::Result;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

/// Where changes are made durable.
#[derive(Clone)]
pub(crate) struct Commits(mpsc::Sender<Change>);

struct Change {
    task_id: uuid::Uuid,
    revision: u32,
    body: Vec<u8>,
    committed: oneshot::Sender<()>,
}

/// More than are ever in flight here; full means that the caller waits.
const QUEUE_LEN: usize = 1024;
/// Bounds one transaction; more than are ever in flight here.
const BATCH_LEN_MAX: usize = 512;

impl Commits {
    /// Opens a fresh store and starts its writer, which ends with the last handle.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let store = Connection::open(directory.join("floor.sqlite3"))?;
        store.pragma_update(None, "journal_mode", "WAL")?;
        store.pragma_update(None, "synchronous", "FULL")?;
        store.execute_batch(
            "CREATE TABLE changes (position INTEGER PRIMARY KEY, task_id BLOB NOT NULL, revision INTEGER NOT NULL, \
             body BLOB NOT NULL)",
        )?;
        let (sender, receiver) = mpsc::channel(QUEUE_LEN);
        thread::Builder::new().name("commits".to_owned()).spawn(move || {
            if let Err(error) = write(&store, receiver) {
                eprintln!("the floor's writer stopped: {error}");
            }
        })?;
        Ok(Self(sender))
    }

    /// Returns once the change is on disk.
    pub(crate) async fn commit(&self, task_id: uuid::Uuid, revision: u32, body: Vec<u8>) -> Result<()> {
        let (committed, done) = oneshot::channel();
        self.0.send(Change { task_id, revision, body, committed }).await?;
        Ok(done.await?)
    }
}

fn write(store: &Connection, mut queue: mpsc::Receiver<Change>) -> rusqlite::Result<()> {
    let mut insert = store.prepare("INSERT INTO changes (task_id, revision, body) VALUES (?1, ?2, ?3)")?;
    let mut begin = store.prepare("BEGIN IMMEDIATE")?;
    let mut commit = store.prepare("COMMIT")?;
    let mut waiting = Vec::with_capacity(BATCH_LEN_MAX);
    while let Some(first) = queue.blocking_recv() {
        begin.execute([])?;
        let mut next = Some(first);
        while let Some(change) = next {
            insert.execute((change.task_id.as_bytes(), change.revision, &change.body))?;
            waiting.push(change.committed);
            next = (waiting.len() < BATCH_LEN_MAX).then(|| queue.try_recv().ok()).flatten();
        }
        commit.execute([])?;
        for committed in waiting.drain(..) {
            // A caller that no longer waits needs no answer.
            let _ = committed.send(());
        }
    }
    Ok(())
}
