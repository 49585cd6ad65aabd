//! From the end of a process tree to its messages.

use super::{
    convert::{mib, timestamp},
    v1,
};
use crate::job::{PeakSource, Resources, StepTaken, StopStep, TreeEnd};

impl From<&TreeEnd> for v1::TreeEnd {
    fn from(end: &TreeEnd) -> Self {
        Self {
            step: step(end.step).into(),
            killed_count: end.killed,
            steps: end.steps.iter().map(v1::tree_end::StepTaken::from).collect(),
            ended_at: end.at.map(timestamp),
        }
    }
}

impl From<&StepTaken> for v1::tree_end::StepTaken {
    fn from(taken: &StepTaken) -> Self {
        Self { step: step(taken.step).into(), at: Some(timestamp(taken.at)), processes_left: taken.processes_left }
    }
}

impl From<&Resources> for v1::Resources {
    fn from(took: &Resources) -> Self {
        use v1::resources::MemorySource;
        let source = match took.memory_peak.map(|peak| peak.source) {
            None => MemorySource::Unspecified,
            Some(PeakSource::Cgroup) => MemorySource::Cgroup,
            Some(PeakSource::Sampled) => MemorySource::Sampled,
        };
        Self {
            // No tree lives for so long that its time does not fit.
            cpu_time: took.cpu_time.try_into().ok(),
            peak_memory_mb: took.memory_peak.map(|peak| mib(peak.bytes)),
            peak_memory_source: source.into(),
            process_count_peak: took.process_count_peak,
            largest_process_mb: mib(took.largest_process_bytes),
        }
    }
}

const fn step(step: StopStep) -> v1::tree_end::Step {
    use v1::tree_end::Step as Wire;
    match step {
        StopStep::ByItself => Wire::ByItself,
        StopStep::Closed => Wire::Closed,
        StopStep::Terminated => Wire::Terminated,
        StopStep::Killed => Wire::Killed,
    }
}
