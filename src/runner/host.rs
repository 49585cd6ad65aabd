//! What every attendant shares: the ledger, the launcher, the browsers found, the slots.

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Limits, Problem,
    admission::{Admission, Memory, Want},
    capture::CAPTURES_MAX,
    files::Files,
    live::LiveJobs,
    log::Logs,
    recorder::Recorder,
    retention::Retention,
    sampler::Sampler,
    token::StateKey,
    traces::Traces,
    warm::Warm,
    windows::Windows,
};
use crate::{
    browser::{Browser, command::DEV_SHM_BYTES_MIN},
    job::{BootTime, Now, Spec, WallTime},
    ledger::{JobLog, Ledger},
    process::{self, Launcher, RunDirs},
};

/// What the host side is made of.
pub struct HostParts {
    /// Where everything is remembered.
    pub ledger: Arc<dyn Ledger>,
    /// Starts shims.
    pub launcher: Launcher,
    /// Where jobs lie on disk while they run.
    pub dirs: RunDirs,
    /// Where kept profiles lie.
    pub state_dir: PathBuf,
    /// The browsers of this machine, the default one first.
    pub browsers: Vec<Browser>,
    /// What was expected to be one and cannot be used.
    pub browser_problems: Vec<Problem>,
    /// Signs callback tokens.
    pub key: StateKey,
    /// What bounds it.
    pub limits: Limits,
    /// The label whose values take turns in the queue.
    pub fair_label: String,
    /// Start Chromium browsers without their sandbox.
    pub no_sandbox: bool,
    /// How long a browser may live on without a service.
    pub away_max: Duration,
    /// How many bytes the downloads of one job may have.
    pub downloads_bytes_max: u64,
    /// Keep the last picture of what comes to a bad end.
    pub evidence: bool,
    /// How long a browser that tasks share is kept without one.
    pub warm_idle: Duration,
}

/// The host side's shared state.
pub struct Host {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) launcher: Launcher,
    pub(super) dirs: RunDirs,
    pub(super) state_dir: PathBuf,
    pub(super) browsers: Vec<Browser>,
    pub(super) browser_problems: Vec<Problem>,
    pub(super) key: StateKey,
    pub(super) no_sandbox: bool,
    pub(super) away_max: Duration,
    pub(super) downloads_bytes_max: u64,
    pub(super) files: Files,
    pub(super) evidence: bool,
    /// Pictures that may be taken at once.
    pub(super) captures: Semaphore,
    pub(super) name: String,
    pub(super) boot_id: String,
    pub(super) started_at: WallTime,
    pub(super) as_root: bool,
    pub(super) small_dev_shm: bool,
    pub(super) environment: Vec<(String, String)>,
    pub(super) admission: Arc<Admission>,
    pub(super) live: Arc<LiveJobs>,
    pub(super) logs: Logs,
    /// The browsers that jobs share.
    pub(super) warm: Arc<Warm>,
    pub(super) sampler: Arc<Sampler>,
    pub(super) retention: Retention,
    pub(super) traces: Traces,
    pub(super) windows: Windows,
    /// Fires when the service is about to leave; every task of the host side ends on it.
    pub(super) leaving: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Host {
    pub(super) fn new(parts: HostParts) -> Arc<Self> {
        // A name or value that is not UTF-8 is none that a browser is started with.
        let environment: Vec<_> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Arc::new(Self {
            admission: Admission::new(parts.limits, parts.fair_label, Memory::of_machine()),
            ledger: parts.ledger,
            launcher: parts.launcher,
            dirs: parts.dirs,
            files: Files::below(&parts.state_dir),
            logs: Logs::new(&parts.state_dir),
            state_dir: parts.state_dir,
            browsers: parts.browsers,
            browser_problems: parts.browser_problems,
            key: parts.key,
            no_sandbox: parts.no_sandbox,
            away_max: parts.away_max,
            downloads_bytes_max: parts.downloads_bytes_max,
            evidence: parts.evidence,
            captures: Semaphore::new(CAPTURES_MAX),
            name: process::host_name(),
            boot_id: process::boot_id(),
            started_at: now().wall,
            as_root: process::is_root(),
            small_dev_shm: process::dev_shm_bytes().is_some_and(|bytes| bytes < DEV_SHM_BYTES_MIN),
            windows: Windows::of(&environment),
            environment,
            live: Arc::default(),
            warm: Warm::new(parts.warm_idle),
            sampler: Arc::default(),
            retention: Retention::default(),
            traces: Traces::new(),
            leaving: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    pub(super) fn recorder<'a>(&'a self, log: &'a JobLog) -> Recorder<'a> {
        Recorder {
            ledger: self.ledger.as_ref(),
            log,
            retention: &self.retention,
            traces: &self.traces,
            leaving: &self.leaving,
        }
    }

    /// What a job waits for, and holds once it is let go.
    pub(super) fn want(&self, spec: &Spec) -> Want {
        Want::of(spec, self.admission.fair_label())
    }

    /// True when the service could open a window.
    pub(super) fn has_display(&self) -> bool {
        let set = |wanted: &str| self.environment.iter().any(|(name, value)| name == wanted && !value.is_empty());
        set("DISPLAY") || set("WAYLAND_DISPLAY")
    }
}

/// Does what blocks in a thread that may. Its panic is an error like any other.
pub(super) async fn in_thread<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<io::Error> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// This moment on both clocks.
pub(super) fn now() -> Now {
    Now { wall: WallTime::from(SystemTime::now()), boot: boot_now() }
}

/// This moment on the clock that deadlines are kept in.
pub(super) fn boot_now() -> BootTime {
    BootTime::from_nanos(process::boot_now_ns())
}
