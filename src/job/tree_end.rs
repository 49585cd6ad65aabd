//! The end of a process tree: the proof that nothing of it is left, how it was stopped, and what it took.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::WallTime;

/// How far the stop had to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StopStep {
    /// Nothing was done to it.
    ByItself,
    /// It was asked over its pipe, or its pipe was closed.
    Closed,
    /// It was sent SIGTERM.
    Terminated,
    /// It, or some of its children, were killed.
    Killed,
}

/// The proof that nothing of a process tree is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeEnd {
    /// The furthest step that was needed.
    pub step: StopStep,
    /// How many processes had to be killed.
    pub killed: u32,
    /// Each step that was taken, once, in their order. Trees that an earlier version watched have none.
    #[serde(default)]
    pub steps: Vec<StepTaken>,
    /// When nothing was left. Not known of trees that an earlier version watched.
    #[serde(default)]
    pub at: Option<WallTime>,
    /// What it took in all. Not known of trees that an earlier version watched.
    #[serde(default)]
    pub resources: Option<Resources>,
}

/// One step of a stop, when it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTaken {
    /// Which.
    pub step: StopStep,
    /// When.
    pub at: WallTime,
    /// How many processes of the tree lived just before.
    pub processes_left: u32,
}

/// What a process tree took over its whole life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Processor time of all its processes, of the short-lived ones too.
    pub cpu_time: Duration,
    /// The most memory that it took at once; none when nobody measured it.
    pub memory_peak: Option<MemoryPeak>,
    /// The most processes that were seen at once; none when nobody looked.
    pub process_count_peak: Option<u32>,
    /// The most that one of its processes ever had resident.
    pub largest_process_bytes: u64,
}

/// The most memory that a process tree took at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPeak {
    /// How much.
    pub bytes: u64,
    /// How that is known.
    pub source: PeakSource,
}

/// How the most memory of a process tree is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeakSource {
    /// The kernel kept count, in the tree's control group.
    Cgroup,
    /// The highest of the readings that were made while somebody watched; it may have taken more between two.
    Sampled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_version_kept_of_a_trees_end_is_still_read() {
        let kept = r#"{"step":"Terminated","killed":2}"#;
        let read = TreeEnd { step: StopStep::Terminated, killed: 2, steps: Vec::new(), at: None, resources: None };
        assert_eq!(serde_json::from_str::<TreeEnd>(kept).unwrap(), read);
    }
}
