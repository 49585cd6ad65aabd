//! What every attendant shares: the ledger, the launcher, the browsers found, the slots.

use std::{
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Problem, admission::Admission, live::LiveJobs, recorder::Recorder, retention::Retention, sampler::Sampler,
    token::StateKey, warm::Warm,
};
use crate::{
    browser::{Browser, command::DEV_SHM_BYTES_MIN},
    job::{BootTime, Now, WallTime},
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
    /// How many jobs run at once.
    pub slots: NonZeroUsize,
    /// How many may wait.
    pub queue_max: usize,
    /// Start Chromium browsers without their sandbox.
    pub no_sandbox: bool,
    /// How long a browser may live on without a service.
    pub away_max: Duration,
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
    pub(super) name: String,
    pub(super) boot_id: String,
    pub(super) started_at: WallTime,
    pub(super) as_root: bool,
    pub(super) small_dev_shm: bool,
    pub(super) environment: Vec<(String, String)>,
    pub(super) admission: Arc<Admission>,
    pub(super) live: Arc<LiveJobs>,
    /// The browsers that jobs share.
    pub(super) warm: Arc<Warm>,
    pub(super) sampler: Arc<Sampler>,
    pub(super) retention: Retention,
    /// Fires when the service is about to leave; every task of the host side ends on it.
    pub(super) leaving: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Host {
    pub(super) fn new(parts: HostParts) -> Arc<Self> {
        Arc::new(Self {
            admission: Admission::new(parts.slots, parts.queue_max),
            ledger: parts.ledger,
            launcher: parts.launcher,
            dirs: parts.dirs,
            state_dir: parts.state_dir,
            browsers: parts.browsers,
            browser_problems: parts.browser_problems,
            key: parts.key,
            no_sandbox: parts.no_sandbox,
            away_max: parts.away_max,
            name: process::host_name(),
            boot_id: process::boot_id(),
            started_at: now().wall,
            as_root: process::is_root(),
            small_dev_shm: process::dev_shm_bytes().is_some_and(|bytes| bytes < DEV_SHM_BYTES_MIN),
            // A name or value that is not UTF-8 is none that a browser is started with.
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            live: Arc::default(),
            warm: Warm::new(parts.warm_idle),
            sampler: Arc::default(),
            retention: Retention::default(),
            leaving: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    pub(super) fn recorder<'a>(&'a self, log: &'a JobLog) -> Recorder<'a> {
        Recorder::new(self.ledger.as_ref(), log, &self.retention, &self.leaving)
    }

    /// True when the service could open a window.
    pub(super) fn has_display(&self) -> bool {
        let set = |wanted: &str| self.environment.iter().any(|(name, value)| name == wanted && !value.is_empty());
        set("DISPLAY") || set("WAYLAND_DISPLAY")
    }
}

/// This moment on both clocks.
pub(super) fn now() -> Now {
    Now { wall: WallTime::from(SystemTime::now()), boot: boot_now() }
}

/// This moment on the clock that deadlines are kept in.
pub(super) fn boot_now() -> BootTime {
    BootTime::from_nanos(process::boot_now_ns())
}
