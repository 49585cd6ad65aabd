//! The stop ladder: which step is due when, and which were taken.

use crate::process::clock::{NS_PER_MS, wall_now_us};
use crate::process::message::{Stop, StopStep};
use crate::process::proof::StepTaken;

/// The three steps and their times (CLOCK_BOOTTIME); a step that came due has none any more.
#[derive(Debug)]
pub(super) struct Ladder {
    due_at_ns: [Option<u64>; 3],
    /// Each step once, when it was first taken.
    taken: Vec<StepTaken>,
}

const STEPS: [StopStep; 3] = [StopStep::PipeClosed, StopStep::Terminated, StopStep::Killed];

impl Ladder {
    pub(super) fn new() -> Ladder {
        Ladder { due_at_ns: [None; 3], taken: Vec::new() }
    }

    /// Sets the steps. One that was set before is only ever brought forward.
    pub(super) fn begin(&mut self, stop: Stop, now_ns: u64) {
        let after_ms = [stop.close_pipe_after_ms, stop.term_after_ms, stop.kill_after_ms];
        for (due_at_ns, after_ms) in self.due_at_ns.iter_mut().zip(after_ms) {
            let at_ns = now_ns.saturating_add(after_ms.saturating_mul(NS_PER_MS));
            *due_at_ns = Some(due_at_ns.map_or(at_ns, |before_ns| before_ns.min(at_ns)));
        }
    }

    pub(super) fn has_begun(&self) -> bool {
        !self.taken.is_empty() || self.next_ns().is_some()
    }

    pub(super) fn next_ns(&self) -> Option<u64> {
        self.due_at_ns.iter().flatten().min().copied()
    }

    /// Takes out one step that is due.
    pub(super) fn take_due(&mut self, now_ns: u64) -> Option<StopStep> {
        for (due_at_ns, step) in self.due_at_ns.iter_mut().zip(STEPS) {
            if due_at_ns.take_if(|at_ns| *at_ns <= now_ns).is_some() {
                return Some(step);
            }
        }
        None
    }

    /// Nothing is left to stop.
    pub(super) fn end(&mut self) {
        self.due_at_ns = [None; 3];
    }

    /// Remembers that a step is taken, with what is alive just before it; only the first time counts.
    pub(super) fn note(&mut self, step: StopStep, processes_left: impl FnOnce() -> u32) {
        if !self.has_taken(step) {
            let at_us = wall_now_us();
            self.taken.push(StepTaken { step, at_us, processes_left: processes_left() });
        }
    }

    pub(super) fn has_taken(&self, step: StopStep) -> bool {
        self.taken.iter().any(|taken| taken.step == step)
    }

    pub(super) fn taken(&self) -> &[StepTaken] {
        &self.taken
    }

    pub(super) fn furthest(&self) -> StopStep {
        self.taken.iter().map(|taken| taken.step).max().unwrap_or(StopStep::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Stop = Stop { asked: false, close_pipe_after_ms: 1, term_after_ms: 2, kill_after_ms: 3 };

    #[test]
    fn steps_come_due_in_order_each_once() {
        let mut ladder = Ladder::new();
        assert!(!ladder.has_begun());
        ladder.begin(LATER, 0);
        assert_eq!(ladder.next_ns(), Some(NS_PER_MS));
        assert_eq!(ladder.take_due(0), None);
        assert_eq!(ladder.take_due(2 * NS_PER_MS), Some(StopStep::PipeClosed));
        assert_eq!(ladder.take_due(2 * NS_PER_MS), Some(StopStep::Terminated));
        assert_eq!(ladder.take_due(2 * NS_PER_MS), None);
        assert_eq!(ladder.take_due(3 * NS_PER_MS), Some(StopStep::Killed));
        assert_eq!(ladder.next_ns(), None);
    }

    #[test]
    fn a_step_is_noted_when_it_is_first_taken() {
        let mut ladder = Ladder::new();
        assert_eq!(ladder.furthest(), StopStep::None);
        ladder.note(StopStep::PipeClosed, || 9);
        ladder.note(StopStep::Killed, || 7);
        ladder.note(StopStep::PipeClosed, || panic!("what is known is not counted again"));
        let noted: Vec<_> = ladder.taken().iter().map(|taken| (taken.step, taken.processes_left)).collect();
        assert_eq!(noted, [(StopStep::PipeClosed, 9), (StopStep::Killed, 7)]);
        assert!(ladder.furthest() == StopStep::Killed && ladder.has_begun());
        assert!(ladder.taken()[0].at_us > 1_500_000_000_000_000, "microseconds since 1970");
    }

    #[test]
    fn a_second_stop_brings_steps_forward_and_never_back() {
        let mut ladder = Ladder::new();
        ladder.begin(LATER, 0);
        ladder.begin(Stop { asked: false, close_pipe_after_ms: 9, term_after_ms: 9, kill_after_ms: 0 }, 0);
        assert_eq!(ladder.take_due(0), Some(StopStep::Killed));
        assert_eq!(ladder.next_ns(), Some(NS_PER_MS));
    }
}
