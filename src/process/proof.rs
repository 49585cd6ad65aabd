//! What a shim tells of a tree's end: the steps that were taken, when nothing was left, and what the tree took.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::cgroup;
use super::clock::wall_now_us;
use super::message::StopStep;
use super::raw;

/// What is told of the end of a process tree once nothing of it is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The furthest step that was taken before the root ended.
    pub stopped_by: StopStep,
    /// Each step of the stop ladder that was taken, once, in their order; the end of what the root left behind is one.
    pub steps: Vec<StepTaken>,
    /// When nothing was left, in microseconds since 1970 UTC.
    pub emptied_at_us: u64,
    /// What the tree took in all.
    pub used: Used,
}

/// One step of the stop ladder, when it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTaken {
    /// Which.
    pub step: StopStep,
    /// When, in microseconds since 1970 UTC.
    pub at_us: u64,
    /// How many processes of the tree lived just before.
    pub processes_left: u32,
}

/// What a process tree took over its whole life, as the kernel counted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Processor time of all processes that were waited for, by us or by one another. One whose parent ignored its end
    /// is in no count of the kernel's.
    pub cpu_time_us: u64,
    /// The most that one of them ever had resident; at least what a shim has, whose memory each browser is born with.
    pub largest_process_bytes: u64,
    /// The most memory that its control group was charged with at once; none where the group does not count it.
    pub memory_peak_bytes: Option<u64>,
}

impl Proof {
    /// Of the tree below this process, which has no child left.
    pub(super) fn now(stopped_by: StopStep, steps: Vec<StepTaken>, cgroup: Option<&Path>) -> Proof {
        Proof { stopped_by, steps, emptied_at_us: wall_now_us(), used: Used::by_children(cgroup) }
    }
}

impl Used {
    fn by_children(cgroup: Option<&Path>) -> Used {
        let usage = raw::children_usage();
        Used {
            cpu_time_us: usage.cpu_time_us,
            largest_process_bytes: usage.largest_resident_kib.saturating_mul(1024),
            memory_peak_bytes: cgroup.and_then(cgroup::memory_peak_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_children_took_is_counted_once_they_are_waited_for() {
        let before = Used::by_children(None);
        // A quarter of a second of processor time, in a child of the child, and 64 MiB in another one.
        let busy = "(i=0; while [ $i -lt 120000 ]; do i=$((i+1)); done) ; head -c 67108864 /dev/zero | tail -c 67108864 >/dev/null";
        let status = std::process::Command::new("sh").args(["-c", busy]).status().unwrap();
        assert!(status.success());
        let after = Used::by_children(None);
        assert!(after.cpu_time_us > before.cpu_time_us + 50_000, "{before:?} {after:?}");
        assert!(after.largest_process_bytes >= 64 << 20, "{after:?}");
        assert_eq!(after.memory_peak_bytes, None);
    }
}
