//! The one writer: a thread that turns what waits into one commit, then shows it, then answers.

use std::sync::Arc;

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
}

impl Batch<'_> {
    pub(super) fn store(&self) -> &Connection {
        &self.transaction
    }

    /// The next position of the tail. It is the writer's to count, since nothing else appends.
    pub(super) fn next_position(&mut self) -> Position {
        self.position = Position::new(self.position.number() + 1);
        self.position
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
        let committed = match self.broken() {
            Some(broken) => Err(broken),
            None => self.commit(waiting).map_err(|fault| self.distrust(fault)),
        };
        self.note(committed.as_ref().err());
        if let Ok(position) = committed {
            for work in waiting.iter_mut() {
                work.publish(&self.connection, &self.memory);
            }
            self.tail.send_if_modified(|rung| std::mem::replace(rung, position) != position);
        }
        let outcome = committed.map(|_position| ());
        for work in waiting.drain(..) {
            work.answer(&self.connection, outcome.clone());
        }
    }

    fn commit(&mut self, waiting: &mut [Box<dyn Work>]) -> Result<Position, Fault> {
        let position = *self.tail.borrow();
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let mut batch = Batch { transaction: begun?, position };
        for work in waiting {
            // Leaving early rolls back.
            work.decide(&mut batch)?;
        }
        let Batch { transaction, position } = batch;
        transaction.commit()?;
        Ok(position)
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

    fn note(&self, fault: Option<&Fault>) {
        let health = fault.map_or(Health::Writable, |fault| Health::Refusing(fault.clone()));
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
