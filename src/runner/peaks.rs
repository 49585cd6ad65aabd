//! The highest of all readings of one job's process tree.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::process::TreeReading;

/// What was read highest so far, by this service: another one's readings ended with it.
#[derive(Debug, Default)]
pub(super) struct Peaks {
    /// 0 for no reading: a tree that lives takes something.
    memory_bytes: AtomicU64,
    /// The same of processes.
    process_count: AtomicU32,
}

impl Peaks {
    pub(super) fn take_in(&self, tree: &TreeReading) {
        self.memory_bytes.fetch_max(tree.memory_bytes, Ordering::Relaxed);
        self.process_count.fetch_max(tree.process_count, Ordering::Relaxed);
    }

    /// None when nothing was read.
    pub(super) fn memory_bytes(&self) -> Option<u64> {
        Some(self.memory_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }

    /// None when nothing was read.
    pub(super) fn process_count(&self) -> Option<u32> {
        Some(self.process_count.load(Ordering::Relaxed)).filter(|count| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_of_each_is_kept_and_nothing_is_made_up() {
        let peaks = Peaks::default();
        assert_eq!((peaks.memory_bytes(), peaks.process_count()), (None, None));
        for (memory_bytes, process_count) in [(5, 2), (9, 1), (3, 3)] {
            peaks.take_in(&TreeReading {
                pid: 7,
                name: String::new(),
                status: "idle",
                cpu_percent: None,
                memory_bytes,
                resident_bytes: 100,
                is_share_known: true,
                process_count,
            });
        }
        assert_eq!((peaks.memory_bytes(), peaks.process_count()), (Some(9), Some(3)));
    }
}
