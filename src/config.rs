//! What a service is started with.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

/// Everything that a service is started with, checked and with every default filled in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens. Loopback only without TLS; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The file with its certificate, for TLS, and those between it and a root.
    pub tls_cert: Option<PathBuf>,
    /// The file with the certificate's key.
    pub tls_key: Option<PathBuf>,
    /// Further names by which it may be called, each `NAME` or `NAME:PORT`.
    pub hosts: Vec<String>,
    /// Where the ledger, the keys and the kept profiles lie.
    pub state_dir: PathBuf,
    /// How many jobs run at once.
    pub slots: NonZeroUsize,
    /// How many jobs may wait for a slot.
    pub queue_max: usize,
    /// Browsers named by hand, each `NAME=PATH[,exit-only]`.
    pub browsers: Vec<String>,
    /// Start Chromium browsers without their sandbox.
    pub no_sandbox: bool,
    /// Serve the old routes, which need no token. Loopback only.
    pub legacy_rest: bool,
    /// How many streams may watch at once.
    pub watchers_max: usize,
    /// How long a browser may live on without a service.
    pub away_max: Duration,
    /// How long a shutdown waits for streams to end.
    pub drain: Duration,
}

/// Default bound of the queue: more than a person would wait for, few enough to list.
pub const QUEUE_MAX: usize = 10_000;
/// Default bound of the watchers: some 9 kB each.
pub const WATCHERS_MAX: usize = 10_000;
/// Default time without a service: a weekend would be too long to leave windows open, a night is not.
pub const AWAY_MAX: Duration = Duration::from_secs(24 * 3600);
/// Default drain: long enough for a client to read one message, short enough for a supervisor's patience.
pub const DRAIN: Duration = Duration::from_secs(10);
/// The port when none is given.
pub const PORT: u16 = 50_051;
