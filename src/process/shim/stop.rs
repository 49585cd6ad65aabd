//! The stop ladder: which step is due when, and how each is taken; and the search for what is left of a browser.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::process::clock::NS_PER_MS;
use crate::process::identity::pid_of;
use crate::process::message::{Stop, StopStep};
use crate::process::{cgroup, place};

/// The three steps and their times (CLOCK_BOOTTIME); a step that was taken has none any more.
#[derive(Debug)]
pub(super) struct Ladder {
    due_at_ns: [Option<u64>; 3],
    furthest: StopStep,
}

const STEPS: [StopStep; 3] = [StopStep::PipeClosed, StopStep::Terminated, StopStep::Killed];

impl Ladder {
    pub(super) fn new() -> Ladder {
        Ladder { due_at_ns: [None; 3], furthest: StopStep::None }
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
        self.furthest != StopStep::None || self.next_ns().is_some()
    }

    pub(super) fn next_ns(&self) -> Option<u64> {
        self.due_at_ns.iter().flatten().min().copied()
    }

    /// Takes out one step that is due.
    pub(super) fn take_due(&mut self, now_ns: u64) -> Option<StopStep> {
        for (due_at_ns, step) in self.due_at_ns.iter_mut().zip(STEPS) {
            if due_at_ns.take_if(|at_ns| *at_ns <= now_ns).is_some() {
                self.furthest = self.furthest.max(step);
                return Some(step);
            }
        }
        None
    }

    /// Nothing is left to stop.
    pub(super) fn end(&mut self) {
        self.due_at_ns = [None; 3];
    }

    pub(super) fn furthest(&self) -> StopStep {
        self.furthest
    }
}

/// Sends to the group of a root that is our own unreaped child, whose number nobody else can have.
pub(super) fn signal_group(root: Pid, signal: Signal) {
    let _ = kill_process_group(root, signal);
}

/// Sends SIGKILL to all we can see of the tree below us, the root included while it lives.
pub(super) fn kill_tree(cgroup: Option<&Path>) {
    if let Some(cgroup) = cgroup {
        let _ = cgroup::kill(cgroup);
    }
    // Only direct children: they stay ours, numbers and all, until we reap them. Theirs become ours when they die.
    for child in children() {
        let _ = kill_process(child, Signal::KILL);
    }
}

/// Our children, orphans that we adopted included.
fn children() -> Vec<Pid> {
    let own = std::process::id();
    match fs::read_to_string(format!("/proc/self/task/{own}/children")) {
        Ok(list) => list.split_ascii_whitespace().filter_map(|word| pid_of(word.parse().ok()?)).collect(),
        // Not in every kernel.
        Err(_) => children_by_scan(own),
    }
}

fn children_by_scan(parent: u32) -> Vec<Pid> {
    let is_child = |pid: &str| {
        let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
        let stat = String::from_utf8_lossy(&stat);
        let parent_field = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1));
        parent_field.and_then(|word| word.parse::<u32>().ok()) == Some(parent)
    };
    let names = place::names_in(Path::new("/proc")).unwrap_or_default();
    names.iter().filter(|name| is_child(name)).filter_map(|name| pid_of(name.parse().ok()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Stop = Stop { close_pipe_after_ms: 1, term_after_ms: 2, kill_after_ms: 3 };

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
        assert_eq!(ladder.furthest(), StopStep::Terminated);
        assert_eq!(ladder.take_due(3 * NS_PER_MS), Some(StopStep::Killed));
        assert_eq!(ladder.next_ns(), None);
        assert!(ladder.has_begun());
    }

    #[test]
    fn a_second_stop_brings_steps_forward_and_never_back() {
        let mut ladder = Ladder::new();
        ladder.begin(LATER, 0);
        ladder.begin(Stop { close_pipe_after_ms: 9, term_after_ms: 9, kill_after_ms: 0 }, 0);
        assert_eq!(ladder.take_due(0), Some(StopStep::Killed));
        assert_eq!(ladder.next_ns(), Some(NS_PER_MS));
    }

    #[test]
    fn both_ways_to_find_children_find_the_same() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = pid_of(child.id()).unwrap();
        // Each thread has its own list; the scan sees those of the whole process.
        assert!(children_by_scan(std::process::id()).contains(&pid));
        let list = |thread: String| {
            let text = fs::read_to_string(format!("/proc/self/task/{thread}/children")).unwrap_or_default();
            text.split_ascii_whitespace().any(|word| word == child.id().to_string())
        };
        assert!(place::names_in(Path::new("/proc/self/task")).unwrap().into_iter().any(list));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
