//! The composition root: claim the state, bind, wire, serve, drain, in that order.

mod state_dir;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use state_dir::{ENDPOINT_FILE, StateDirError, TOKEN_FILE};

use crate::{
    api::{self, Serve},
    browser::{self, ByHand, LocalMachine},
    config::Settings,
    ledger::{EmbeddedLedger, Ledger, OpenError, ReadError},
    process::{LaunchError, Launcher, PlaceError, RunDirs},
    runner::{HostParts, Runner},
    web::{self, Guard, GuardLayer, GuardParts, SiteParts},
};
use state_dir::StateDir;

/// Why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Others than this machine could reach it.
    #[error(
        "listen address {0} is not a loopback address; others could start browsers here, so give 127.0.0.1 or [::1]"
    )]
    NotLoopback(SocketAddr),
    /// Others than this machine could use routes that need no token.
    #[error(
        "--legacy-rest serves routes without a token, so it needs a loopback address, and {0} is none; give 127.0.0.1 or [::1], or leave it out"
    )]
    LegacyNotLoopback(SocketAddr),
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// A browser was named wrongly.
    #[error("--browser {0}: {1}")]
    Browser(String, String),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] OpenError),
    /// The ledger cannot be read.
    #[error("the ledger cannot be read: {0}")]
    Read(#[from] ReadError),
    /// The directories of running jobs cannot be made.
    #[error(transparent)]
    RunDirs(#[from] PlaceError),
    /// Nothing could be started.
    #[error("the launcher cannot be started: {0}")]
    Launcher(#[from] LaunchError),
}

/// A service that takes calls.
pub struct Server {
    address: SocketAddr,
    token: String,
    drain: Duration,
    runner: Runner,
    launcher: Launcher,
    ledger: Arc<dyn Ledger>,
    dirs: RunDirs,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
    state: StateDir,
}

/// Starts a service; it takes calls when this returns.
///
/// # Errors
/// Says what stands in the way; nothing is left running then.
pub async fn start(settings: Settings) -> Result<Server, StartError> {
    if settings.legacy_rest && !settings.listen.ip().is_loopback() {
        return Err(StartError::LegacyNotLoopback(settings.listen));
    }
    if !settings.listen.ip().is_loopback() {
        return Err(StartError::NotLoopback(settings.listen));
    }
    let by_hand = by_hand(&settings.browsers)?;
    let state = StateDir::claim(&settings.state_dir)?;
    // Bound before the store is touched: a port in use must not cost a migration.
    let listener = bind(settings.listen).await.map_err(|error| StartError::Listen(settings.listen, error))?;
    let address = listener.local_addr().map_err(|error| StartError::Listen(settings.listen, error))?;
    let token = state.token()?;
    let key = state.key()?;
    let ledger = open_ledger(state.ledger_path()).await?;
    let ledger_id: String = ledger.id().to_string().chars().take(LEDGER_ID_CHARS).collect();
    let dirs = RunDirs::prepare(state.path(), &ledger_id)?;
    let found = browser::discover(&LocalMachine, &by_hand);
    for problem in &found.problems {
        warn!(%problem, "a browser cannot be used");
    }
    for browser in &found.browsers {
        info!(name = browser.name, binary = %browser.binary.display(), version = browser.version, "found a browser");
    }
    let launcher = Launcher::start().await?;
    let runner = Runner::start(HostParts {
        ledger: Arc::clone(&ledger),
        launcher: launcher.clone(),
        dirs: dirs.clone(),
        state_dir: state.path().to_path_buf(),
        browsers: found.browsers,
        key,
        slots: settings.slots,
        queue_max: settings.queue_max,
        no_sandbox: settings.no_sandbox,
        away_max: settings.away_max,
    })
    .await?;
    let shutdown = CancellationToken::new();
    let mut calls = api::calls(runner.clone(), settings.watchers_max).await;
    let legacy = settings.legacy_rest;
    calls.router = web::site(calls.router, SiteParts { runner: runner.clone(), legacy });
    let guard = Guard::new(GuardParts { address, hosts: Vec::new(), tls: false, token: token.clone(), legacy });
    let serving = tokio::spawn(serving(
        Serve { listener, calls, shutdown: shutdown.clone().cancelled_owned() },
        GuardLayer::new(guard),
    ));
    state.write_endpoint(address)?;
    info!(%address, state_dir = %state.path().display(), "serving");
    Ok(Server { address, token, drain: settings.drain, runner, launcher, ledger, dirs, shutdown, serving, state })
}

/// How much of the ledger's id names its run directory: enough to tell stores apart, few enough for socket paths.
const LEDGER_ID_CHARS: usize = 8;

impl Server {
    /// Where it takes calls.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What every call needs.
    #[must_use]
    pub fn api_token(&self) -> &str {
        &self.token
    }

    /// Waits until no job is live and no browser of one is left.
    pub async fn idle(&self) {
        self.runner.idle().await;
    }

    /// Drains: watchers are told, calls end, jobs go on without the service.
    pub async fn stop(self) {
        info!("draining");
        self.runner.drain();
        self.shutdown.cancel();
        let abort = self.serving.abort_handle();
        if tokio::time::timeout(self.drain, self.serving).await.is_err() {
            warn!(drain_s = self.drain.as_secs(), "some connections did not end in time; cutting them");
            abort.abort();
        }
        self.runner.leave().await;
        self.launcher.stop().await;
        self.ledger.close().await;
        self.dirs.release();
        self.state.release();
        info!("left");
    }
}

async fn serving(serve: Serve<impl Future<Output = ()>>, guard: GuardLayer) {
    if let Err(error) = api::serve(serve, guard).await {
        tracing::error!(%error, "serving failed");
    }
}

/// Opening reads and may migrate the file, so it happens beside the runtime.
async fn open_ledger(path: PathBuf) -> Result<Arc<dyn Ledger>, StartError> {
    let opened = tokio::task::spawn_blocking(move || EmbeddedLedger::open(&path)).await;
    Ok(Arc::new(opened.expect("opening a ledger does not panic")?))
}

async fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(listen).await
}

fn by_hand(browsers: &[String]) -> Result<Vec<ByHand>, StartError> {
    browsers
        .iter()
        .map(|text| {
            text.parse()
                .map_err(|error: browser::discover::ByHandError| StartError::Browser(text.clone(), error.to_string()))
        })
        .collect()
}

/// The state directory when none is given: below `$XDG_STATE_HOME`, or `~/.local/state`.
#[must_use]
pub fn default_state_dir() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")))?;
    Some(base.join("comet-task-runner"))
}
