//! The one writer: a thread that turns what waits into one commit, then shows it, then answers.

use std::{sync::Arc, time::Instant};

use metrics::{Histogram, histogram};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, watch};

use super::schema;
use crate::ledger::{Fault, Health, Position, recent::Recent, shelf::Shelf};

/// Work that waits for the writer. When it is full the caller waits, which slows those who write and nobody else.
pub(super) const QUEUE_LEN_MAX: usize = 1024;

/// Work per commit: a sync costs as much as hundreds of inserts, and this many still commit within milliseconds.
const BATCH_LEN_MAX: usize = 256;

/// Something for the writer to do. Who waits for its answer may be gone; it is done all the same.
pub(super) trait Work: Send {
    /// Does it within the transaction, seeing what came before it in the same one. A fault undoes the whole batch.
    fn decide(&mut self, batch: &mut Batch<'_>) -> Result<(), Fault>;

    /// Shows what is now durable, before anybody is answered.
    fn publish(&mut self, store: &Connection, memory: &Memory);

    /// Tells who waits: what was decided, or the fault that undid it. The store is between two transactions.
    fn answer(self: Box<Self>, store: &Connection, committed: Result<(), Fault>);
}

/// The transaction that a batch of work shares.
pub(super) struct Batch<'a> {
    transaction: Transaction<'a>,
    position: Position,
    wrote: bool,
}

/// A commit that took effect.
#[derive(Clone, Copy)]
struct Committed {
    position: Position,
    /// False when there was nothing to write, which proves nothing of the disk.
    wrote: bool,
}

impl Batch<'_> {
    pub(super) fn store(&self) -> &Connection {
        &self.transaction
    }

    /// The next position of the tail. It is the writer's to count, since nothing else appends.
    pub(super) fn next_position(&mut self) -> Position {
        self.position = Position::new(self.position.number() + 1);
        self.wrote = true;
        self.position
    }

    /// Says that something was written that has no position.
    pub(super) fn mark_written(&mut self) {
        self.wrote = true;
    }
}

/// What the writer grows after each commit.
pub(super) struct Memory {
    pub(super) shelf: Arc<Shelf>,
    pub(super) recent: Recent,
}

/// Owns the write connection.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) memory: Arc<Memory>,
    pub(super) tail: watch::Sender<Position>,
    pub(super) health: watch::Sender<Health>,
    pub(super) meters: Meters,
}

/// What is counted of commits. Looked up once: it lies on the path of every change.
pub(super) struct Meters {
    seconds: Histogram,
    batch_size: Histogram,
}

impl Meters {
    pub(super) fn new() -> Self {
        Self {
            seconds: histogram!("comet_task_runner_commit_seconds"),
            batch_size: histogram!("comet_task_runner_commit_batch_size"),
        }
    }
}

impl Writer {
    /// Works until every sender of the queue is gone and all that they sent is decided.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Box<dyn Work>>) {
        let mut waiting = Vec::with_capacity(BATCH_LEN_MAX);
        while queue.blocking_recv_many(&mut waiting, BATCH_LEN_MAX) > 0 {
            self.settle(&mut waiting);
        }
        self.let_go();
    }

    fn settle(&mut self, waiting: &mut Vec<Box<dyn Work>>) {
        let begun_at = Instant::now();
        let committed = match self.broken() {
            Some(broken) => Err(broken),
            None => self.commit(waiting).map_err(|fault| self.distrust(fault)),
        };
        self.meters.seconds.record(begun_at.elapsed());
        self.meters.batch_size.record(u32::try_from(waiting.len()).unwrap_or(u32::MAX));
        self.note(committed.as_ref());
        if let Ok(Committed { position, .. }) = committed {
            for work in waiting.iter_mut() {
                work.publish(&self.connection, &self.memory);
            }
            self.tail.send_if_modified(|rung| std::mem::replace(rung, position) != position);
        }
        let outcome = committed.map(|_committed| ());
        for work in waiting.drain(..) {
            work.answer(&self.connection, outcome.clone());
        }
    }

    fn commit(&mut self, waiting: &mut [Box<dyn Work>]) -> Result<Committed, Fault> {
        let position = *self.tail.borrow();
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let mut batch = Batch { transaction: begun?, position, wrote: false };
        for work in waiting {
            // Leaving early rolls back.
            work.decide(&mut batch)?;
        }
        let Batch { transaction, position, wrote } = batch;
        transaction.commit()?;
        Ok(Committed { position, wrote })
    }

    /// A commit that failed must not have taken effect. If it did, what is in memory no longer is what is stored.
    fn distrust(&self, fault: Fault) -> Fault {
        match schema::last_position(&self.connection) {
            Ok(stored) if stored != *self.tail.borrow() => {
                Fault::Broken(format!("a commit took effect although it failed: {fault}"))
            }
            Ok(_) | Err(_) => fault,
        }
    }

    fn broken(&self) -> Option<Fault> {
        match &*self.health.borrow() {
            Health::Refusing(fault @ Fault::Broken(_)) => Some(fault.clone()),
            Health::Refusing(Fault::Full | Fault::Closed | Fault::Failed(_)) | Health::Writable => None,
        }
    }

    fn note(&self, committed: Result<&Committed, &Fault>) {
        let health = match committed {
            Ok(Committed { wrote: false, .. }) => return,
            Ok(Committed { wrote: true, .. }) => Health::Writable,
            Err(fault) => Health::Refusing(fault.clone()),
        };
        self.health.send_if_modified(|noted| {
            let changed = *noted != health;
            *noted = health;
            changed
        });
    }

    fn let_go(self) {
        // Leaves one file behind instead of three. If it fails, the next start reads the WAL instead.
        let checkpointed = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()));
        if let Err(error) = checkpointed {
            tracing::warn!(%error, "the store was closed without a checkpoint");
        }
        self.health.send_replace(Health::Refusing(Fault::Closed));
    }
}
