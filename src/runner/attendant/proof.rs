//! The end of a process tree, from what its shim tells and what was read of it.

use std::time::Duration;

use crate::{
    job::{MemoryPeak, PeakSource, Resources, StepTaken, StopStep, TreeEnd, WallTime},
    process::{self, Proof, Used},
    runner::peaks::Peaks,
};

/// What is kept of a tree's end. `stopped_by` is how far the stop had gone when the browser process ended, as far as
/// this service heard it; a shim that tells it again is believed.
pub(super) fn tree_end(stopped_by: StopStep, killed: u32, proof: Option<Proof>, peaks: &Peaks) -> TreeEnd {
    let stopped_by = proof.as_ref().map_or(stopped_by, |proof| stop_step(proof.stopped_by));
    // What the root left behind may have to be killed although it left by itself.
    let step = if killed > 0 { StopStep::Killed } else { stopped_by };
    match proof {
        None => TreeEnd { step, killed, steps: Vec::new(), at: None, resources: None },
        Some(Proof { steps, emptied_at_us, used, .. }) => {
            let steps: Vec<StepTaken> = steps.into_iter().map(step_taken).collect();
            let resources = Some(resources(used, &steps, peaks));
            TreeEnd { step, killed, steps, at: Some(WallTime::from_micros(emptied_at_us)), resources }
        }
    }
}

pub(super) fn stop_step(step: process::StopStep) -> StopStep {
    match step {
        process::StopStep::None => StopStep::ByItself,
        process::StopStep::PipeClosed => StopStep::Closed,
        process::StopStep::Terminated => StopStep::Terminated,
        process::StopStep::Killed => StopStep::Killed,
    }
}

fn step_taken(taken: process::StepTaken) -> StepTaken {
    let process::StepTaken { step, at_us, processes_left } = taken;
    StepTaken { step: stop_step(step), at: WallTime::from_micros(at_us), processes_left }
}

/// The kernel's own count of memory where there is one; else the highest reading, if any was made.
fn resources(used: Used, steps: &[StepTaken], peaks: &Peaks) -> Resources {
    let counted = used.memory_peak_bytes.map(|bytes| MemoryPeak { bytes, source: PeakSource::Cgroup });
    let sampled = peaks.memory_bytes().map(|bytes| MemoryPeak { bytes, source: PeakSource::Sampled });
    let seen = steps.iter().map(|taken| taken.processes_left).chain(peaks.process_count());
    Resources {
        cpu_time: Duration::from_micros(used.cpu_time_us),
        memory_peak: counted.or(sampled),
        process_count_peak: seen.max(),
        largest_process_bytes: used.largest_process_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::TreeReading;

    fn proof(memory_peak_bytes: Option<u64>) -> Proof {
        let steps = vec![
            process::StepTaken { step: process::StopStep::PipeClosed, at_us: 5, processes_left: 9 },
            process::StepTaken { step: process::StopStep::Killed, at_us: 6, processes_left: 2 },
        ];
        let used = Used { cpu_time_us: 1_500_000, largest_process_bytes: 7, memory_peak_bytes };
        Proof { stopped_by: process::StopStep::PipeClosed, steps, emptied_at_us: 8, used }
    }

    fn looked(process_count: u32) -> Peaks {
        let peaks = Peaks::default();
        let (name, status) = (String::new(), "idle");
        let (memory_bytes, resident_bytes) = (300, 400);
        let is_share_known = true;
        peaks.take_in(&TreeReading {
            pid: 7,
            name,
            status,
            cpu_percent: None,
            memory_bytes,
            resident_bytes,
            is_share_known,
            process_count,
        });
        peaks
    }

    #[test]
    fn the_furthest_step_is_the_one_that_was_needed() {
        let end = |killed| tree_end(StopStep::ByItself, killed, Some(proof(None)), &Peaks::default());
        assert_eq!((end(0).step, end(2).step), (StopStep::Closed, StopStep::Killed));
        let steps: Vec<_> = end(2).steps.iter().map(|taken| (taken.step, taken.processes_left)).collect();
        assert_eq!(steps, [(StopStep::Closed, 9), (StopStep::Killed, 2)]);
        assert_eq!(end(2).at, Some(WallTime::from_micros(8)));
    }

    #[test]
    fn a_shim_of_an_earlier_version_tells_no_more_than_it_did() {
        let end = tree_end(StopStep::Terminated, 0, None, &looked(3));
        let told = TreeEnd { step: StopStep::Terminated, killed: 0, steps: Vec::new(), at: None, resources: None };
        assert_eq!(end, told);
    }

    #[test]
    fn a_peak_is_the_kernels_or_else_the_highest_reading_or_else_none() {
        let took = |memory, peaks: &Peaks| {
            tree_end(StopStep::ByItself, 0, Some(proof(memory)), peaks).resources.expect("a proof tells what it took")
        };
        let counted = took(Some(900), &looked(12));
        assert_eq!(counted.memory_peak, Some(MemoryPeak { bytes: 900, source: PeakSource::Cgroup }));
        assert_eq!(counted.process_count_peak, Some(12));
        let sampled = took(None, &looked(3));
        assert_eq!(sampled.memory_peak, Some(MemoryPeak { bytes: 300, source: PeakSource::Sampled }));
        assert_eq!(sampled.process_count_peak, Some(9), "its stop has seen more");
        let unseen = took(None, &Peaks::default());
        assert_eq!((unseen.memory_peak, unseen.cpu_time), (None, Duration::from_millis(1500)));
        let never = Proof { steps: Vec::new(), ..proof(None) };
        let never = tree_end(StopStep::ByItself, 0, Some(never), &Peaks::default());
        assert_eq!(never.resources.unwrap().process_count_peak, None);
    }
}
