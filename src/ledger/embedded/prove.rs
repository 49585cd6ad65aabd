//! Finding out whether a store that refused goes on: a full disk rings no bell when it has room again.

use std::path::Path;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::writer::{Batch, Memory, Work};
use crate::ledger::Fault;

/// Room that is asked for: what a job with a long report writes. The few bytes that a refused append left free in the
/// write-ahead log would be enough for a page, and for nothing that matters.
const ROOM_BYTES_MIN: u64 = 128 * 1024;

/// Commits a change that changes nothing, if the disk says that it has room.
pub(super) struct ProveWork {
    pub(super) answer: oneshot::Sender<Result<(), Fault>>,
}

impl Work for ProveWork {
    fn decide(&mut self, batch: &mut Batch<'_>) -> Result<(), Fault> {
        const SAME: &str = "UPDATE store SET forgotten_up_to = forgotten_up_to";
        if room(batch.store()).is_some_and(|bytes| bytes < ROOM_BYTES_MIN) {
            return Err(Fault::Full);
        }
        batch.store().prepare_cached(SAME)?.execute([])?;
        batch.mark_written();
        Ok(())
    }

    fn publish(&mut self, _store: &Connection, _memory: &Memory) {}

    fn answer(self: Box<Self>, _store: &Connection, committed: Result<(), Fault>) {
        // Whoever asked may be gone.
        let _ = self.answer.send(committed);
    }
}

/// What the disk of the store has left for us; none when it does not say.
fn room(store: &Connection) -> Option<u64> {
    let directory = Path::new(store.path()?).parent()?;
    let about = rustix::fs::statvfs(directory).ok()?;
    Some(about.f_bavail.saturating_mul(about.f_frsize))
}
