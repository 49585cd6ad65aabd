//! What is left of a browser's tree: how many processes, and the end of all of them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::process::identity::pid_of;
use crate::process::stat::Stat;
use crate::process::{cgroup, place};

/// How often one sweep looks again for children that came while it killed: a tree that makes them as fast as they are
/// killed is swept again with the next end that is heard of.
const LOOKS_MAX: usize = 16;

/// How many processes live below us now, orphans that we adopted included; those that ended and wait to be counted do
/// not live.
pub(super) fn count(cgroup: Option<&Path>) -> u32 {
    let counted = cgroup.and_then(|group| cgroup::count(group).ok());
    counted.unwrap_or_else(|| count_below(std::process::id()))
}

/// Whether we have another child than this one, alive or not.
pub(super) fn is_more_than(root: Pid) -> bool {
    children().into_iter().any(|child| child != root)
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
    let mut killed: Vec<Pid> = Vec::new();
    for _ in 0..LOOKS_MAX {
        let found: Vec<Pid> = children().into_iter().filter(|child| !killed.contains(child)).collect();
        if found.is_empty() {
            return;
        }
        for child in &found {
            let _ = kill_process(*child, Signal::KILL);
        }
        killed.extend(found);
    }
}

/// Our children, orphans that we adopted included.
fn children() -> Vec<Pid> {
    let own = std::process::id();
    match fs::read_to_string(format!("/proc/self/task/{own}/children")) {
        Ok(list) => list.split_ascii_whitespace().filter_map(|word| pid_of(word.parse().ok()?)).collect(),
        // Not in every kernel.
        Err(_) => {
            let below = processes().into_iter().filter(|(_, stat)| stat.parent == own);
            below.filter_map(|(pid, _)| pid_of(pid)).collect()
        }
    }
}

/// In one pass over the system, which some milliseconds are spent on: a browser's own threads make children too, so the
/// kernel's lists of them would have to be read for each thread.
fn count_below(top: u32) -> u32 {
    let mut children: HashMap<u32, Vec<(u32, bool)>> = HashMap::new();
    for (pid, stat) in processes() {
        children.entry(stat.parent).or_default().push((pid, stat.is_over()));
    }
    // Taken out as they are met, so that a list that was not made in one moment cannot lead in a circle.
    let mut found = children.remove(&top).unwrap_or_default();
    let mut next = 0;
    while let Some((pid, _)) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    let living = found.iter().filter(|(_, is_over)| !is_over).count();
    u32::try_from(living).unwrap_or(u32::MAX)
}

fn processes() -> Vec<(u32, Stat)> {
    let names = place::names_in(Path::new("/proc")).unwrap_or_default();
    let pids = names.iter().filter_map(|name| name.parse().ok());
    pids.filter_map(|pid| Some((pid, Stat::of(pid).ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn all_below_a_process_are_counted_but_those_that_ended() {
        // A shell, the shell in it, that one's two children, and one child that ended and is not waited for.
        let script = "sleep 0 & (sleep 600 & sleep 600 & echo up; wait) & exec cat";
        let mut top = Command::new("sh")
            .args(["-c", &format!("({script})")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(top.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let listed = processes().into_iter().filter(|(_, stat)| stat.parent == std::process::id());
        assert!(listed.into_iter().any(|(pid, _)| pid == top.id()), "the scan finds our own children");
        let below = || {
            let all = processes();
            let mut found = vec![top.id()];
            let mut next = 0;
            while let Some(parent) = found.get(next).copied() {
                found.extend(all.iter().filter(|(_, stat)| stat.parent == parent).map(|(pid, _)| *pid));
                next += 1;
            }
            found.split_off(1)
        };
        let living = below().into_iter().filter(|pid| Stat::of(*pid).is_ok_and(|stat| !stat.is_over())).count();
        assert_eq!(usize::try_from(count_below(top.id())).unwrap(), living);
        assert!(living >= 3, "the inner shell and its two children: {living}");
        for pid in below() {
            let _ = kill_process(pid_of(pid).unwrap(), Signal::KILL);
        }
        drop(top.stdin.take());
        top.wait().unwrap();
        assert_eq!(count_below(top.id()), 0);
    }
}
