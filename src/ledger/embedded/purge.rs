//! Forgetting jobs, so that the store keeps its size.

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    read::{signed, unsigned},
    writer::{Batch, Memory, Work},
};
use crate::{
    job::{TaskId, WallTime},
    ledger::{Fault, Position, Purged, TailEntry},
};

/// Jobs forgotten per transaction, so that an append that comes meanwhile waits for about ten milliseconds.
pub(super) const REMOVED_MAX: usize = 50;

/// Removals that the tail keeps: whoever was away for longer begins with a snapshot.
const REMOVALS_KEPT: u64 = 100_000;

/// What a removal takes at rest: its position and the id.
const REMOVAL_BYTES: usize = 24;

/// One step of a purge: at most [`REMOVED_MAX`] jobs.
pub(super) struct PurgeWork {
    now: WallTime,
    /// As many go although they have not expired.
    excess: u64,
    purged: Purged,
    /// Where the removals stand in the tail.
    positions: Vec<Position>,
    answer: oneshot::Sender<Result<Purged, Fault>>,
}

impl PurgeWork {
    pub(super) fn new(now: WallTime, excess: u64, answer: oneshot::Sender<Result<Purged, Fault>>) -> Self {
        Self { now, excess, purged: Purged::default(), positions: Vec::new(), answer }
    }

    fn purge(&mut self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        let removed = self.choose(batch.store())?;
        for task in &removed {
            let position = batch.next_position();
            remove(batch.store(), *task, signed(position.number()))?;
            self.positions.push(position);
        }
        if !removed.is_empty() {
            forget_old_removals(batch.store())?;
        }
        self.purged = Purged { removed, next_expiry: next_expiry(batch.store())? };
        Ok(())
    }

    /// The expired ones, and as many more as there are too many jobs. Unsettled ones have no expiry and stay.
    fn choose(&self, store: &Connection) -> rusqlite::Result<Vec<TaskId>> {
        const SETTLED: &str = "SELECT task_id, expires_at FROM jobs WHERE expires_at IS NOT NULL
            ORDER BY expires_at, task_id LIMIT ?1";
        let now = signed(self.now.micros());
        let limit = i64::try_from(REMOVED_MAX).unwrap_or(i64::MAX);
        let mut statement = store.prepare_cached(SETTLED)?;
        let settled = statement.query_map([limit], |row| Ok((Uuid::from_bytes(row.get(0)?), row.get::<_, i64>(1)?)))?;
        let chosen = (0_u64..).zip(settled).take_while(|(nth, job)| {
            // An error is taken along, so that it is seen.
            job.as_ref().map_or(true, |(_, expires_at)| *nth < self.excess || *expires_at <= now)
        });
        chosen.map(|(_, job)| job.map(|(uuid, _)| TaskId::new(uuid))).collect()
    }
}

impl Work for PurgeWork {
    fn decide(&mut self, batch: &mut Batch<'_>) -> Result<(), Fault> {
        Ok(self.purge(batch)?)
    }

    fn publish(&mut self, _store: &Connection, memory: &Memory) {
        memory.recent.forget(&self.purged.removed);
        for (task, position) in self.purged.removed.iter().zip(&self.positions) {
            memory.recent.push(*position, TailEntry::Removed(*task), REMOVAL_BYTES);
            memory.shelf.remove(*task);
        }
    }

    fn answer(self: Box<Self>, _store: &Connection, committed: Result<(), Fault>) {
        let Self { purged, answer, .. } = *self;
        // Whoever asked may be gone.
        let _ = answer.send(committed.map(|()| purged));
    }
}

fn remove(store: &Connection, task: TaskId, position: i64) -> rusqlite::Result<()> {
    let uuid = task.uuid();
    store.prepare_cached("DELETE FROM changes WHERE task_id = ?1")?.execute([uuid.as_bytes()])?;
    store.prepare_cached("DELETE FROM labels WHERE task_id = ?1")?.execute([uuid.as_bytes()])?;
    store.prepare_cached("DELETE FROM jobs WHERE task_id = ?1")?.execute([uuid.as_bytes()])?;
    store
        .prepare_cached("INSERT INTO removals (position, task_id) VALUES (?1, ?2)")?
        .execute(params![position, uuid.as_bytes()])?;
    Ok(())
}

fn forget_old_removals(store: &Connection) -> rusqlite::Result<()> {
    const OLDEST_TOO_MANY: &str = "SELECT position FROM removals ORDER BY position DESC LIMIT 1 OFFSET ?1";
    let up_to: Option<i64> =
        store.prepare_cached(OLDEST_TOO_MANY)?.query_row([signed(REMOVALS_KEPT)], |row| row.get(0)).optional()?;
    if let Some(up_to) = up_to {
        store.prepare_cached("DELETE FROM removals WHERE position <= ?1")?.execute([up_to])?;
        store.prepare_cached("UPDATE store SET forgotten_up_to = ?1")?.execute([up_to])?;
    }
    Ok(())
}

fn next_expiry(store: &Connection) -> rusqlite::Result<Option<WallTime>> {
    const NEXT: &str = "SELECT min(expires_at) FROM jobs WHERE expires_at IS NOT NULL";
    let next: Option<i64> = store.prepare_cached(NEXT)?.query_row([], |row| row.get(0))?;
    Ok(next.map(|micros| WallTime::from_micros(unsigned(micros))))
}
