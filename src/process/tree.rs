//! Readings of whole process trees: all that lives below the shims of a host's jobs, in one pass over the system.
//!
//! A shim is a sub-reaper, so a child that left its parent, group or session is still below it. Readings are of what
//! was proven: the shim and the browser process have the start times they were born with, after the list was made.

use std::collections::HashMap;
use std::time::Instant;

use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

use super::cpu::{CpuMeter, CpuTimes};
use super::identity::Identity;
use super::memory::{self, Member, Shares};
use super::stat::Stat;

/// Whose processes a tree is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TreeRoot {
    /// The shim, which all of them live below.
    pub shim: Identity,
    /// The browser process.
    pub pid: u32,
    /// When that started, in clock ticks since boot.
    pub start_ticks: u64,
}

/// A process tree at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeReading {
    /// The browser process.
    pub pid: u32,
    /// Its name, as the system has it.
    pub name: String,
    /// What it does: "running", "sleeping", "stopped", "zombie" and others.
    pub status: &'static str,
    /// Of the whole tree, in percent of one processor; none for the first reading.
    pub cpu_percent: Option<f64>,
    /// Of the whole tree, in bytes, what its processes share counted once where the system tells.
    pub memory_bytes: u64,
    /// Of the whole tree, in bytes, what is shared counted in each process.
    pub resident_bytes: u64,
    /// Whether the system told of every process what it shares, so that `memory_bytes` is exact.
    pub is_share_known: bool,
    /// How many processes it has.
    pub process_count: u32,
}

/// The system does not tell of its processes.
#[derive(Debug, thiserror::Error)]
#[error("the system does not tell of its processes: {0:?}")]
pub struct ProcessListError(sysinfo::Error);

/// Reads trees, and remembers of each what the next reading is compared with.
pub struct Trees {
    system: System,
    known: HashMap<TreeRoot, Known>,
}

#[derive(Default)]
struct Known {
    cpu: CpuMeter,
    shares: Shares,
}

/// A tree as it was found in the list.
struct Listed {
    root: TreeRoot,
    name: String,
    status: &'static str,
    times: CpuTimes,
    members: Vec<Member>,
}

impl Trees {
    /// Without any reading so far.
    ///
    /// # Errors
    /// Where the system keeps no list of processes.
    pub fn new() -> Result<Self, ProcessListError> {
        Ok(Self { system: System::new().map_err(ProcessListError)?, known: HashMap::new() })
    }

    /// One reading of each tree, in the order given; none of a tree whose browser process is gone. Trees that are not
    /// asked for are forgotten. Blocks for some milliseconds; without roots it reads nothing.
    pub fn read(&mut self, roots: &[TreeRoot], now: Instant) -> Vec<Option<TreeReading>> {
        let listed = if roots.is_empty() { Vec::new() } else { self.list(roots, now) };
        let mut known: Vec<Option<Known>> = Vec::with_capacity(listed.len());
        for tree in &listed {
            known.push(tree.as_ref().map(|tree| self.known.remove(&tree.root).unwrap_or_default()));
        }
        self.known.clear();
        let mut due: Vec<_> = listed
            .iter()
            .zip(&mut known)
            .filter_map(|(tree, known)| {
                let (tree, known) = (tree.as_ref()?, known.as_mut()?);
                Some((tree.root.shim.pid, &mut known.shares, tree.members.as_slice()))
            })
            .collect();
        memory::refresh(&mut due, now);
        let both = listed.into_iter().zip(known).map(|(tree, known)| tree.zip(known));
        both.map(|both| both.map(|(tree, known)| self.remember(tree, known))).collect()
    }

    fn remember(&mut self, tree: Listed, mut known: Known) -> TreeReading {
        let Listed { root, name, status, times, members } = tree;
        let reading = TreeReading {
            pid: root.pid,
            name,
            status,
            cpu_percent: known.cpu.read(times),
            memory_bytes: known.shares.total(&members),
            resident_bytes: members.iter().map(|member| member.resident).sum(),
            is_share_known: known.shares.is_known_of(&members),
            process_count: u32::try_from(members.len()).unwrap_or(u32::MAX),
        };
        self.known.insert(root, known);
        reading
    }

    /// Lists the system's processes once, and finds each tree in the list.
    fn list(&mut self, roots: &[TreeRoot], now: Instant) -> Vec<Option<Listed>> {
        let wanted = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, wanted);
        let mut children: HashMap<Pid, Vec<&Process>> = HashMap::new();
        for process in self.system.processes().values() {
            if let Some(parent) = process.parent() {
                children.entry(parent).or_default().push(process);
            }
        }
        roots.iter().map(|root| find(root, &children, now)).collect()
    }
}

fn find(root: &TreeRoot, children: &HashMap<Pid, Vec<&Process>>, now: Instant) -> Option<Listed> {
    // After the list was made: who is the same now was the same then.
    let browser = Stat::of(root.pid).ok()?;
    let shim = Stat::of(root.shim.pid).ok()?;
    let proven = browser.start_ticks == root.start_ticks
        && browser.parent == root.shim.pid
        && shim.start_ticks == root.shim.start_ticks;
    if !proven {
        return None;
    }
    let tree = below(Pid::from_u32(root.shim.pid), children);
    let listed = tree.iter().find(|process| process.pid().as_u32() == root.pid)?;
    let key = |process: &Process| (process.pid().as_u32(), process.start_time());
    Some(Listed {
        root: root.clone(),
        // Not the list's: that keeps the name of a process from before its exec.
        name: browser.name,
        status: word(listed.status()),
        times: CpuTimes { at: now, used_ms: tree.iter().map(|it| (key(it), it.accumulated_cpu_time())).collect() },
        members: tree.iter().map(|process| Member { key: key(process), resident: process.memory() }).collect(),
    })
}

/// All descendants of a process.
fn below<'a>(top: Pid, children: &HashMap<Pid, Vec<&'a Process>>) -> Vec<&'a Process> {
    let mut found: Vec<&Process> = children.get(&top).into_iter().flatten().copied().collect();
    let mut next = 0;
    while let Some(process) = found.get(next) {
        // The list was not made in one moment, so that it could say that the top is below itself.
        let own = children.get(&process.pid()).into_iter().flatten();
        found.extend(own.filter(|child| child.pid() != top));
        next += 1;
    }
    found
}

/// The words that people know from other tools.
fn word(status: ProcessStatus) -> &'static str {
    match status {
        ProcessStatus::Run => "running",
        ProcessStatus::Sleep => "sleeping",
        ProcessStatus::Idle => "idle",
        ProcessStatus::UninterruptibleDiskSleep => "disk-sleep",
        ProcessStatus::Stop => "stopped",
        ProcessStatus::Tracing => "tracing-stop",
        ProcessStatus::Zombie => "zombie",
        ProcessStatus::Dead => "dead",
        ProcessStatus::Parked => "parked",
        ProcessStatus::Waking => "waking",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::process::boot_id;

    /// More looks than other tests have children.
    const READS_MAX: usize = 100;

    /// A child of this process, as a browser is one of its shim; gone with its input.
    struct Leaf(Child);

    impl Leaf {
        fn start() -> Self {
            Self(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
        }

        fn root(&self) -> TreeRoot {
            let shim = Identity::of(std::process::id(), &boot_id()).unwrap();
            let start_ticks = Stat::of(self.0.id()).unwrap().start_ticks;
            TreeRoot { shim, pid: self.0.id(), start_ticks }
        }
    }

    impl Drop for Leaf {
        fn drop(&mut self) {
            drop(self.0.stdin.take());
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_tree_is_read_below_its_shim_and_nowhere_else() {
        let leaf = Leaf::start();
        let mut trees = Trees::new().unwrap();
        // Other tests have children of this process too; one that leaves while it is read has no share to be read.
        let mut read = (0..READS_MAX).map(|_| trees.read(&[leaf.root()], Instant::now()).pop().unwrap().unwrap());
        let first = read.next().unwrap();
        assert_eq!((first.pid, first.cpu_percent), (leaf.0.id(), None));
        let known = |reading: &TreeReading| reading.is_share_known;
        let reading = Some(first).filter(known).or_else(|| read.find(known)).expect("nobody leaves all the time");
        assert!(reading.process_count >= 1 && reading.memory_bytes > 0, "{reading:?}");
        assert!(reading.resident_bytes > reading.memory_bytes, "{reading:?}");
        let all: Vec<u32> = trees.system.processes().keys().map(|pid| pid.as_u32()).collect();
        assert!(all.contains(&std::process::id()) && (reading.process_count as usize) < all.len());
    }

    #[test]
    fn who_is_not_proven_to_be_the_jobs_is_not_read() {
        let leaf = Leaf::start();
        let root = leaf.root();
        let reused = TreeRoot { start_ticks: root.start_ticks + 1, ..root.clone() };
        let other_shim = Identity { start_ticks: root.shim.start_ticks + 1, ..root.shim.clone() };
        let other_shim = TreeRoot { shim: other_shim, ..root.clone() };
        // A process that lives, but not below this one.
        let parent = std::os::unix::process::parent_id();
        let stranger = TreeRoot { pid: parent, start_ticks: Stat::of(parent).unwrap().start_ticks, ..root.clone() };
        let gone = TreeRoot { pid: u32::MAX, ..root.clone() };
        let read = Trees::new().unwrap().read(&[reused, other_shim, root, stranger, gone], Instant::now());
        let is_read: Vec<bool> = read.iter().map(Option::is_some).collect();
        assert_eq!(is_read, [false, false, true, false, false]);
    }

    #[test]
    fn a_tree_that_is_no_longer_asked_for_is_forgotten() {
        let leaf = Leaf::start();
        let mut trees = Trees::new().unwrap();
        trees.read(&[leaf.root()], Instant::now());
        assert_eq!(trees.known.len(), 1);
        assert_eq!(trees.read(&[], Instant::now()), []);
        assert_eq!(trees.known.len(), 0);
    }
}
