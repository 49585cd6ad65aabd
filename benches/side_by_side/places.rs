//! Where a run keeps its files, and the promise that nothing of it stays behind.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, wait};
use tempfile::TempDir;

use crate::{cgroup::Cgroup, procfs};

/// The directories of one run. Dropping it ends every process that is left and removes them.
pub(crate) struct Places {
    /// On the disk that the project lies on, so that a commit costs what it costs.
    disk: TempDir,
    /// In memory: what a service keeps in /run, and the stub's clock.
    memory: TempDir,
    states: AtomicU32,
}

/// How long killed processes may take to be gone.
const SWEEP: Duration = Duration::from_secs(10);

impl Places {
    /// Makes them, and this process the parent of every orphan below it.
    pub(crate) fn make() -> Result<Self> {
        set_child_subreaper(Some(rustix::process::getpid()))?;
        let results = results_directory();
        std::fs::create_dir_all(&results)?;
        let disk = tempfile::Builder::new().prefix("run-").tempdir_in(results)?;
        // Short, since sockets lie below it.
        let memory = tempfile::Builder::new().prefix("ctrb-").tempdir_in("/dev/shm").context("/dev/shm")?;
        Ok(Self { disk, memory, states: AtomicU32::new(0) })
    }

    /// On disk.
    pub(crate) fn disk(&self) -> &Path {
        self.disk.path()
    }

    /// In memory.
    pub(crate) fn memory(&self) -> &Path {
        self.memory.path()
    }

    /// An empty directory on disk, for one server; private, or the service refuses it.
    pub(crate) fn fresh_state(&self) -> Result<PathBuf> {
        let path = self.disk.path().join(format!("state-{}", self.states.fetch_add(1, Ordering::Relaxed)));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(path)
    }

    /// Not /run itself: there this run could not be told from a service that is none of ours.
    pub(crate) fn set_run_directory(&self, command: &mut Command) {
        command.env("COMET_TASK_RUNNER_RUN_DIR", self.memory.path());
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        let deadline = Instant::now() + SWEEP;
        // A killed parent hands its children to this process, so each round finds the next generation.
        while Instant::now() < deadline {
            for pid in procfs::descendants(process::id()) {
                if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
            match wait(WaitOptions::empty()) {
                Ok(_) => {}
                Err(_no_children) => break,
            }
        }
        Cgroup::remove_all();
    }
}

/// Where results go and stay: `target/bench`.
pub(crate) fn results_directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench")
}
