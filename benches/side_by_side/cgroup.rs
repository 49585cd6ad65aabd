//! A cgroup per server, which counts the CPU time of everything that the server ever started.
//!
//! Shims are reaped by nobody who keeps count, so adding up processes would miss them. Where cgroup v2 cannot be
//! written, that share is not measured and the output says so.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};

/// A cgroup of ours, which stays until `remove_all`.
pub(crate) struct Cgroup(PathBuf);

static MADE: AtomicU32 = AtomicU32::new(0);

impl Cgroup {
    /// Makes one below our own, if that may be done.
    pub(crate) fn make() -> Option<Self> {
        let path = Self::parent()?.join(format!("{}{}", prefix(), MADE.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&path).ok()?;
        Some(Self(path))
    }

    /// A command that enters the cgroup before it becomes the program, so that nothing it starts is missed.
    pub(crate) fn command_inside(cgroup: Option<&Self>, program: &Path) -> Command {
        let Some(Self(path)) = cgroup else { return Command::new(program) };
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ >\"$0/cgroup.procs\" && exec \"$@\""]).arg(path).arg(program);
        command
    }

    /// CPU seconds so far, of the living and the dead.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        let text = fs::read_to_string(self.0.join("cpu.stat"))?;
        let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
        Ok(usage.and_then(|us| us.parse::<f64>().ok()).context("cpu.stat has no usage_usec")? / 1e6)
    }

    /// Removes every cgroup that this process made; for the end, when nothing is left in them.
    pub(crate) fn remove_all() {
        for path in Self::parent().iter().flat_map(fs::read_dir).flatten().flatten() {
            if path.file_name().to_str().is_some_and(|name| name.starts_with(&prefix())) {
                remove(&path.path());
            }
        }
    }

    /// Our own cgroup, below which others may be made.
    fn parent() -> Option<PathBuf> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let mount = mounts.find(|fields| fields.get(2) == Some(&"cgroup2"))?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
        Some(Path::new(mount.get(1)?).join(own))
    }
}

fn prefix() -> String {
    format!("side-by-side-{}-", process::id())
}

/// A service may have made some of its own below; they are empty too.
fn remove(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    if let Err(error) = fs::remove_dir(path) {
        eprintln!("{} stays: {error}", path.display());
    }
}
