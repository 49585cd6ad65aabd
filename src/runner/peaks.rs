//! The highest of all readings of one job's process tree.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::process::TreeReading;

/// What was read highest so far, by this service: another one's readings ended with it.
#[derive(Debug, Default)]
pub(super) struct Peaks {
    /// 0 for no reading: a tree that lives takes something.
    shared_once_bytes: AtomicU64,
    /// Of readings in which some of what is shared was counted more than once: several times as much, for a browser.
    shared_often_bytes: AtomicU64,
    /// The same of processes.
    process_count: AtomicU32,
}

impl Peaks {
    pub(super) fn take_in(&self, tree: &TreeReading) {
        let memory_bytes = if tree.is_share_known { &self.shared_once_bytes } else { &self.shared_often_bytes };
        memory_bytes.fetch_max(tree.memory_bytes, Ordering::Relaxed);
        self.process_count.fetch_max(tree.process_count, Ordering::Relaxed);
    }

    /// Of the readings that counted once what is shared, if there were any. None when nothing was read.
    pub(super) fn memory_bytes(&self) -> Option<u64> {
        let read = |bytes: &AtomicU64| Some(bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0);
        read(&self.shared_once_bytes).or_else(|| read(&self.shared_often_bytes))
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
        let read = |memory_bytes, is_share_known, process_count| {
            peaks.take_in(&TreeReading {
                pid: 7,
                name: String::new(),
                status: "idle",
                cpu_percent: None,
                memory_bytes,
                resident_bytes: 100,
                is_share_known,
                process_count,
            });
        };
        // The first reading of a tree, before the system was asked of all its processes what they share.
        read(70, false, 2);
        assert_eq!((peaks.memory_bytes(), peaks.process_count()), (Some(70), Some(2)));
        for (memory_bytes, process_count) in [(5, 2), (9, 1), (3, 3)] {
            read(memory_bytes, true, process_count);
        }
        read(80, false, 1);
        assert_eq!((peaks.memory_bytes(), peaks.process_count()), (Some(9), Some(3)));
    }
}
