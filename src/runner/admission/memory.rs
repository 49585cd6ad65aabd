//! How much memory is left for browsers, looked at when somebody wants some, and again while jobs wait for it alone.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::Admission;
use crate::process::SpareMemory;

/// How long a look holds: a browser that was let go meanwhile has not taken its memory yet anyway, and a crowd of short
/// tasks is not slowed down.
const LOOK_HOLDS: Duration = Duration::from_millis(100);
/// Between two looks while jobs wait for memory alone: there is no event for it, and a person waits that long gladly.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Reads how much is available.
type Read = Box<dyn Fn() -> Option<u64> + Send + Sync>;

/// The memory that browsers could have.
pub(in crate::runner) struct Memory {
    read: Read,
    /// When it was looked at, and what there was.
    looked: Mutex<Option<(Instant, Option<u64>)>>,
}

/// Whether there is enough for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Enough,
    TooLittle,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("looked", &self.looked).finish_non_exhaustive()
    }
}

impl Memory {
    /// This machine's, or of it what our control group may have.
    pub(in crate::runner) fn of_machine() -> Self {
        let spare = SpareMemory::find();
        Self::read_by(move || spare.read())
    }

    pub(super) fn read_by(read: impl Fn() -> Option<u64> + Send + Sync + 'static) -> Self {
        Self { read: Box::new(read), looked: Mutex::default() }
    }

    /// How much is available now; none where the system does not tell.
    pub(super) fn available(&self) -> Option<u64> {
        (self.read)()
    }

    /// Whether as much is available as is to stay free. Where the system does not tell, memory is no bound.
    pub(super) fn room(&self, floor_bytes: u64) -> Room {
        if floor_bytes == 0 {
            return Room::Enough;
        }
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let available = match *looked {
            Some((at, available)) if at.elapsed() < LOOK_HOLDS => available,
            Some(_) | None => {
                let available = self.available();
                *looked = Some((Instant::now(), available));
                available
            }
        };
        if available.is_none_or(|available| available >= floor_bytes) { Room::Enough } else { Room::TooLittle }
    }
}

impl Admission {
    /// While jobs wait for memory alone, sees every two seconds whether there is enough, until the service leaves.
    pub(in crate::runner) async fn watch_memory(self: Arc<Self>, leaving: CancellationToken) {
        let mut short = self.short.subscribe();
        let watching = async {
            // The sender lives in what waits here.
            while short.wait_for(|short| *short).await.is_ok() {
                tracing::warn!(available_bytes = self.memory.available(), "too little memory; jobs wait for it");
                while *short.borrow() {
                    tokio::time::sleep(LOOK_AGAIN).await;
                    self.release(|_| {});
                }
                tracing::info!("nothing waits for memory any more");
            }
        };
        leaving.run_until_cancelled(watching).await;
    }
}
