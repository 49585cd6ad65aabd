//! Processes as /proc shows them, for tests that look behind the service.

use std::{
    fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

/// Longest wait for the end of a process that was told to end.
const END_MAX: Duration = Duration::from_secs(30);

/// A process that a test waits for; it cannot be mistaken for another with its pid.
pub(crate) struct Ending {
    pid: u32,
    fd: OwnedFd,
}

impl Ending {
    /// None when there is no such process any more.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        pidfd_open(as_pid(pid), PidfdFlags::empty()).ok().map(|fd| Self { pid, fd })
    }

    pub(crate) fn has_come(&self) -> bool {
        self.comes_within(Duration::ZERO)
    }

    /// Waits for it, a few seconds at most on a healthy machine.
    pub(crate) fn wait(&self) {
        assert!(self.comes_within(END_MAX), "process {} goes on: {}", self.pid, command_line(self.pid));
    }

    fn comes_within(&self, span: Duration) -> bool {
        let timeout = Timespec::try_from(span).unwrap();
        // A signal to this process, as of a child's end, interrupts it; then the whole wait begins anew.
        loop {
            match poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], Some(&timeout)) {
                Ok(ready) => return ready == 1,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("cannot wait for process {}: {error}", self.pid),
            }
        }
    }
}

/// A process by what names it for ever within one boot: its pid and its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Named {
    pub(crate) pid: u32,
    pub(crate) start_ticks: u64,
}

impl Named {
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let start_ticks = stat(pid)?.get(19)?.parse().ok()?;
        Some(Self { pid, start_ticks })
    }

    /// A zombie is no more: it only waits to be counted.
    pub(crate) fn lives(self) -> bool {
        Self::of(self.pid) == Some(self) && stat(self.pid).is_some_and(|fields| fields[0] != "Z")
    }
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    kill_process(as_pid(pid), signal).unwrap();
}

pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}

/// Every process of this machine.
pub(crate) fn all() -> Vec<u32> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The children of a process, theirs, and so on.
pub(crate) fn descendants(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = all().into_iter().filter_map(|pid| Some((pid, parent_of(pid)?))).collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| pid));
        next += 1;
    }
    found.remove(0);
    found
}

/// The arguments with spaces between; empty for a process that is gone.
pub(crate) fn command_line(pid: u32) -> String {
    String::from_utf8_lossy(&file(pid, "cmdline")).replace('\0', " ")
}

/// The environment it was started with, an entry each.
pub(crate) fn environment(pid: u32) -> Vec<String> {
    let text = String::from_utf8_lossy(&file(pid, "environ")).into_owned();
    text.split('\0').filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

/// What its open descriptors lead to.
pub(crate) fn descriptors(pid: u32) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()).collect()
}

/// A line of /proc/PID/status.
pub(crate) fn status_line(pid: u32, name: &str) -> Option<String> {
    let text = String::from_utf8(file(pid, "status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(|value| value.trim().to_owned())
}

/// The most memory that a process ever had, in KiB.
pub(crate) fn peak_kib(pid: u32) -> u64 {
    status_line(pid, "VmHWM").unwrap().strip_suffix(" kB").unwrap().trim().parse().unwrap()
}

/// Whether a path appears in the arguments or the environment of a process.
pub(crate) fn mentions(pid: u32, path: &Path) -> bool {
    let text = path.to_str().unwrap();
    command_line(pid).contains(text) || environment(pid).iter().any(|entry| entry.contains(text))
}

/// The fields of /proc/PID/stat from the third on, which is the state.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = String::from_utf8(file(pid, "stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_ascii_whitespace().map(str::to_owned).collect())
}

fn file(pid: u32, name: &str) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default()
}

fn as_pid(pid: u32) -> Pid {
    i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid is a positive number")
}
