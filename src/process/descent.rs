//! Whether a process is of a job's tree: its parents are followed up to the shim, without a list of all processes.

use super::{stat::Stat, tree::TreeRoot};

/// Longest line of parents that is followed: a browser's has four, and a longer one is no browser's.
const PARENTS_MAX: usize = 64;

impl TreeRoot {
    /// Whether the process with this pid lives below the shim now. Reads a line of each of its parents.
    #[must_use]
    pub fn holds(&self, pid: u32) -> bool {
        let mut child = pid;
        for _ in 0..PARENTS_MAX {
            let Ok(stat) = Stat::of(child) else { return false };
            if stat.parent == self.shim.pid {
                // After the line was followed: who is the same now was the same then.
                return self.shim.is_same();
            }
            child = stat.parent;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::process::{Identity, boot_id};

    /// A shell that waits for its child, which waits for its input's end.
    struct Family(Child);

    impl Family {
        fn start() -> Self {
            let mut shell = Command::new("sh");
            shell.args(["-c", "cat; true"]).stdin(Stdio::piped()).stdout(Stdio::null());
            Self(shell.spawn().unwrap())
        }
    }

    impl Drop for Family {
        fn drop(&mut self) {
            drop(self.0.stdin.take());
            drop(self.0.wait());
        }
    }

    #[test]
    fn a_tree_holds_what_lives_below_its_shim_and_nothing_else() {
        let (family, other) = (Family::start(), Family::start());
        let (own, boot) = (std::process::id(), boot_id());
        let root = |shim: Identity| TreeRoot { shim, pid: family.0.id(), start_ticks: 0 };
        let mine = root(Identity::of(own, &boot).unwrap());
        assert!(mine.holds(family.0.id()) && mine.holds(other.0.id()));
        assert!(!mine.holds(own) && !mine.holds(1) && !mine.holds(0) && !mine.holds(u32::MAX));
        let theirs = root(Identity::of(other.0.id(), &boot).unwrap());
        assert!(!theirs.holds(family.0.id()));
        let reused = root(Identity { start_ticks: mine.shim.start_ticks + 1, ..mine.shim.clone() });
        assert!(!reused.holds(family.0.id()), "another process has the shim's pid");
    }
}
