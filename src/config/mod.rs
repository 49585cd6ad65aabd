//! What a service is started with: flags before environment before file before defaults.
//!
//! ```text
//!   SETTINGS (one entry each) --+--> flags, made by the command line
//!                               +--> COMET_TASK_RUNNER_<NAME>         } resolve --> Effective: Settings, and where
//!                               +--> keys of the configuration file   }             each value comes from
//! ```
//!
//! A setting is its field in [`Settings`], its default there, and its entry in the table. What is not in the table is
//! refused by name, so a misspelt setting is never a silent default.

mod file;
mod given;
mod reference;
mod resolve;
pub mod span;
mod table;

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use url::Url;

pub use file::CONFIG_FILE;
pub use given::{Given, Wrong};
pub use reference::{config_file, settings_page};
pub use resolve::{CONFIG_ENV, ConfigError, Effective, Layers, Shown, Source, resolve};
pub use table::{Form, SETTINGS, Setting};

/// Everything that a service is started with, checked and with every default filled in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens. Loopback only without TLS; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The file with its certificate, for TLS, and those between it and a root.
    pub tls_cert: Option<PathBuf>,
    /// The file with the certificate's key.
    pub tls_key: Option<PathBuf>,
    /// The file of further tokens and their scopes; none for the one in the state directory.
    pub tokens_file: Option<PathBuf>,
    /// Further names by which it may be called, each `NAME` or `NAME:PORT`.
    pub hosts: Vec<String>,
    /// Where the ledger, the keys and the kept profiles lie.
    pub state_dir: PathBuf,
    /// How many jobs run at once.
    pub slots: NonZeroUsize,
    /// How many browsers may be coming up at once.
    pub launches_max: NonZeroUsize,
    /// Nothing is started while fewer MiB of memory are available; 0 for no such bound.
    pub memory_floor_mb: usize,
    /// How many windows may be open.
    pub windows_max: NonZeroUsize,
    /// Close the window that was kept open the longest when another is wanted.
    pub windows_evict: bool,
    /// How many jobs may wait.
    pub queue_max: usize,
    /// The label whose values take turns in the queue.
    pub fair_label: String,
    /// How many streams may watch at once.
    pub watchers_max: usize,
    /// Browsers named by hand, each `NAME=PATH[,exit-only]`.
    pub browsers: Vec<String>,
    /// Start Chromium browsers without their sandbox.
    pub no_sandbox: bool,
    /// Serve the old routes, which need no token. Loopback only.
    pub legacy_rest: bool,
    /// How long a browser may live on without a service.
    pub away_max: Duration,
    /// How much room the downloads of one job may take, in MiB.
    pub downloads_max_mb: NonZeroU64,
    /// Keep the last picture of what comes to a bad end.
    pub evidence: bool,
    /// How long a browser that tasks share is kept without one.
    pub warm_idle: Duration,
    /// How long a shutdown waits for streams to end.
    pub drain: Duration,
    /// Where the end of each job is posted; none for nowhere.
    pub webhook_url: Option<Url>,
    /// Holds the secret that signs what is posted; none for the one in the state directory.
    pub webhook_secret_file: Option<PathBuf>,
    /// Where spans go, over OTLP; none for nowhere.
    pub otlp_endpoint: Option<Url>,
    /// Which events are logged: a level, or a filter by module.
    pub log: String,
    /// How they are written.
    pub log_format: LogFormat,
}

/// How log events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, as JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// Default memory, in MiB, that is to stay free: a browser with a window takes some 400 within seconds of its start, and
/// the system needs the rest to go on as before.
pub const MEMORY_FLOOR_MB: usize = 512;
/// Default bound of open windows: more than a person keeps an eye on, and some 12 GiB of memory.
pub const WINDOWS_MAX: NonZeroUsize = NonZeroUsize::new(32).expect("32 is not zero");
/// The label whose values take turns when nobody says.
pub const FAIR_LABEL: &str = "group";
/// Default bound of the queue: more than a person would wait for, few enough to list.
pub const QUEUE_MAX: usize = 10_000;
/// Default bound of the watchers: some 9 kB each.
pub const WATCHERS_MAX: usize = 10_000;
/// Default time without a service: a weekend would be too long to leave windows open, a night is not.
pub const AWAY_MAX: Duration = Duration::from_secs(24 * 3600);
/// Default room for the downloads of one job: an installer or a recording fits, and ten such jobs a common disk.
pub const DOWNLOADS_MAX_MB: NonZeroU64 = NonZeroU64::new(1024).expect("not zero");
/// Default time without a task of a browser that tasks share: the next of a series finds it, and a quarter of a
/// gigabyte is not held for long.
pub const WARM_IDLE: Duration = Duration::from_secs(60);
/// Default drain: long enough for a client to read one message, short enough for a supervisor's patience.
pub const DRAIN: Duration = Duration::from_secs(10);
/// The port when none is given.
pub const PORT: u16 = 50_051;
/// What a service logs when nobody says: a status changed, something was coped with, or somebody must act.
pub const LOG: &str = "info";

impl Settings {
    /// What holds when nobody says otherwise.
    #[must_use]
    pub fn defaults(state_dir: PathBuf) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            tls_cert: None,
            tls_key: None,
            tokens_file: None,
            hosts: Vec::new(),
            state_dir,
            slots: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            launches_max: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            memory_floor_mb: MEMORY_FLOOR_MB,
            windows_max: WINDOWS_MAX,
            windows_evict: false,
            queue_max: QUEUE_MAX,
            fair_label: FAIR_LABEL.to_owned(),
            watchers_max: WATCHERS_MAX,
            browsers: Vec::new(),
            no_sandbox: false,
            legacy_rest: false,
            away_max: AWAY_MAX,
            downloads_max_mb: DOWNLOADS_MAX_MB,
            evidence: true,
            warm_idle: WARM_IDLE,
            drain: DRAIN,
            webhook_url: None,
            webhook_secret_file: None,
            otlp_endpoint: None,
            log: LOG.to_owned(),
            log_format: LogFormat::Auto,
        }
    }
}

/// The state directory when none is given: below `$XDG_STATE_HOME`, or `~/.local/state`; none without a home.
#[must_use]
pub fn default_state_dir() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")))?;
    Some(base.join("comet-task-runner"))
}
