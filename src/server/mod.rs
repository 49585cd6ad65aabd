//! The composition root: claim the state, bind, wire, serve, drain, in that order.

mod accept;
pub mod doctor;
mod files;
mod link;
mod reload;
mod state_dir;
mod supervisor;
mod tokens;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use link::{LinkError, link};
pub use state_dir::{CERTIFICATE_FILE, StateDirError, TOKEN_FILE, running_at};
pub use supervisor::{Progress, SocketError, tell};
pub use tokens::{NewToken, TokenEntry, TokensError, add_token, list_tokens, remove_token};

use crate::{
    api::{self, Scope, Serve},
    browser::{self, ByHand, LocalMachine},
    config::Settings,
    ledger::{EmbeddedLedger, Ledger, OpenError, ReadError},
    process::{LaunchError, Launcher, PlaceError, RunDirs},
    runner::{HostParts, Limits, Problem, Runner, StateKey},
    telemetry::{self, Export, ExportError},
    web::{
        self, Guard, GuardLayer, GuardParts, HostName, HostNameError, Reader, Secret, SecretError, Sessions, SiteParts,
        Tls, TlsError, Tokens, Webhook, WebhookError,
    },
};
use accept::Door;
use reload::{CertificateFiles, Reload};
use state_dir::{Endpoint, StateDir};
use supervisor::PassedOn;

/// Why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Others than this machine could reach it.
    #[error(
        "listen address {0} is not a loopback address; others could read along and start browsers here, so give --tls-cert and --tls-key with it, or 127.0.0.1 or [::1]"
    )]
    NotLoopback(SocketAddr),
    /// Others than this machine could use routes that need no token.
    #[error(
        "--legacy-rest serves routes without a token, so it needs a loopback address, and {0} is none; give 127.0.0.1 or [::1], or leave it out"
    )]
    LegacyNotLoopback(SocketAddr),
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The tokens file cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// A name was given wrongly.
    #[error("--host {0}")]
    Host(#[from] HostNameError),
    /// The webhook cannot go on, or begin.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// It cannot be signed.
    #[error(transparent)]
    WebhookSecret(#[from] SecretError),
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The supervisor passed on what cannot be listened on.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Spans cannot be sent where they are to go.
    #[error(transparent)]
    Export(#[from] ExportError),
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

/// So many bytes to a MiB.
const MIB: u64 = 1024 * 1024;

/// A service that takes calls.
pub struct Server {
    address: SocketAddr,
    endpoint: Endpoint,
    token: String,
    key: StateKey,
    drain: Duration,
    runner: Runner,
    launcher: Launcher,
    ledger: Arc<dyn Ledger>,
    dirs: RunDirs,
    shutdown: CancellationToken,
    cut: CancellationToken,
    serving: JoinHandle<()>,
    webhook: Option<JoinHandle<()>>,
    reloading: JoinHandle<()>,
    export: Export,
    state: Arc<StateDir>,
}

/// Starts a service; it takes calls when this returns.
///
/// # Errors
/// Says what stands in the way; nothing is left running then.
pub async fn start(mut settings: Settings) -> Result<Server, StartError> {
    let passed_on = supervisor::socket()?;
    if let Some(passed_on) = &passed_on {
        // What is said of an address has to hold for the one that is listened on.
        settings.listen = passed_on.address;
    }
    if settings.legacy_rest && !settings.listen.ip().is_loopback() {
        return Err(StartError::LegacyNotLoopback(settings.listen));
    }
    let tls = tls(&settings)?;
    if !settings.listen.ip().is_loopback() && tls.is_none() {
        return Err(StartError::NotLoopback(settings.listen));
    }
    telemetry::install();
    let hosts = settings.hosts.iter().map(|name| name.parse()).collect::<Result<Vec<HostName>, _>>()?;
    let by_hand = by_hand(&settings.browsers)?;
    let state = Arc::new(StateDir::claim(&settings.state_dir)?);
    let tokens_file = tokens::file(&settings, state.path());
    let tokens = Arc::new(Tokens::new(tokens::read(&settings, &tokens_file, Reader::Service)?));
    // Bound before the store is touched: a port in use must not cost a migration.
    let listener =
        listener(settings.listen, passed_on).await.map_err(|error| StartError::Listen(settings.listen, error))?;
    let address = listener.local_addr().map_err(|error| StartError::Listen(settings.listen, error))?;
    let token = state.token()?;
    let key = state.key()?;
    let ledger = open_ledger(state.ledger_path()).await?;
    let ledger_id: String = ledger.id().to_string().chars().take(LEDGER_ID_CHARS).collect();
    let dirs = RunDirs::prepare(state.path(), &ledger_id)?;
    let found = discover(&by_hand);
    // Before there can be a job to tell of.
    let export = Export::start(settings.otlp_endpoint.as_ref())?;
    // Before any job of this service can finish.
    let webhook = webhook(&settings, &ledger, &state)?;
    let launcher = Launcher::start().await?;
    let runner = Runner::start(HostParts {
        ledger: Arc::clone(&ledger),
        launcher: launcher.clone(),
        dirs: dirs.clone(),
        state_dir: state.path().to_path_buf(),
        browsers: found.browsers,
        browser_problems: found.problems.iter().map(Problem::from).collect(),
        key: key.clone(),
        limits: limits(&settings),
        fair_label: settings.fair_label.clone(),
        no_sandbox: settings.no_sandbox,
        away_max: settings.away_max,
        downloads_bytes_max: settings.downloads_max_mb.get().saturating_mul(MIB),
        evidence: settings.evidence,
        warm_idle: settings.warm_idle,
    })
    .await?;
    let (shutdown, cut) = (CancellationToken::new(), CancellationToken::new());
    let sessions = Arc::new(Sessions::new(key.clone(), SystemTime::now().into()));
    let mut calls = api::calls(runner.clone(), settings.watchers_max).await;
    let legacy = settings.legacy_rest;
    let site = SiteParts { runner: runner.clone(), sessions: Arc::clone(&sessions), legacy };
    calls.router = web::site(calls.router, site);
    let endpoint = endpoint(address, &hosts, tls.as_ref());
    // Who finds it before the first accept waits in the listener's backlog.
    state.write_endpoint(&endpoint, tls.as_ref().map(Tls::certificate).as_deref())?;
    let door = Door { listener, tls: tls.as_ref().map(Tls::acceptor), cut: cut.clone() };
    let reload = Reload {
        certificate: certificate_files(&settings, tls.as_ref(), &state, (address, hosts.clone())),
        tokens: Arc::clone(&tokens),
        tokens_file,
    };
    let guard = GuardParts { address, hosts, tls: tls.is_some(), token: token.clone(), tokens, sessions, legacy };
    let serving = tokio::spawn(serving(
        Serve { incoming: door.connections(), calls, shutdown: shutdown.clone().cancelled_owned() },
        GuardLayer::new(Guard::new(guard)),
    ));
    let webhook = webhook.map(|webhook| tokio::spawn(webhook.run(runner.leaving())));
    let reloading = tokio::spawn(reload.run(shutdown.clone()));
    info!(%address, tls = tls.is_some(), state_dir = %state.path().display(), "serving");
    let drain = settings.drain;
    Ok(Server {
        address,
        endpoint,
        token,
        key,
        drain,
        runner,
        launcher,
        ledger,
        dirs,
        shutdown,
        cut,
        serving,
        webhook,
        reloading,
        export,
        state,
    })
}

/// What bounds the host.
fn limits(settings: &Settings) -> Limits {
    Limits {
        slots: settings.slots,
        launches_max: settings.launches_max,
        memory_floor_bytes: u64::try_from(settings.memory_floor_mb).unwrap_or(u64::MAX).saturating_mul(MIB),
        windows_max: settings.windows_max,
        windows_evict: settings.windows_evict,
        queue_max: settings.queue_max,
    }
}

/// The browsers of this machine; what was found, and what cannot be used, is told in the log.
fn discover(by_hand: &[ByHand]) -> browser::Found {
    let found = browser::discover(&LocalMachine, by_hand);
    for problem in &found.problems {
        warn!(%problem, "a browser cannot be used");
    }
    for browser in &found.browsers {
        info!(name = browser.name, binary = %browser.binary.display(), version = browser.version, "found a browser");
    }
    found
}

/// The webhook, if there is to be one.
fn webhook(settings: &Settings, ledger: &Arc<dyn Ledger>, state: &StateDir) -> Result<Option<Webhook>, StartError> {
    let Some(url) = settings.webhook_url.clone() else { return Ok(None) };
    let secret = match &settings.webhook_secret_file {
        Some(file) => Secret::read(file)?,
        None => Secret::read_or_make(&state.webhook_secret_path())?,
    };
    Ok(Some(Webhook::open(Arc::clone(ledger), url, secret, &state.webhook_cursor_path())?))
}

/// The certificate and its key, where they are given.
fn tls(settings: &Settings) -> Result<Option<Tls>, TlsError> {
    match (&settings.tls_cert, &settings.tls_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Tls::read(certificate, key).map(Some),
        (Some(_), None) | (None, Some(_)) => Err(TlsError::Half),
    }
}

/// The certificate's files, for a service that speaks TLS; the command line is told of each renewal.
fn certificate_files(
    settings: &Settings,
    tls: Option<&Tls>,
    state: &Arc<StateDir>,
    (address, hosts): (SocketAddr, Vec<HostName>),
) -> Option<CertificateFiles> {
    let state = Arc::clone(state);
    Some(CertificateFiles {
        tls: tls?.clone(),
        certificate_file: settings.tls_cert.clone()?,
        key_file: settings.tls_key.clone()?,
        renewed: Box::new(move |tls| {
            let written = state.write_endpoint(&endpoint(address, &hosts, Some(tls)), Some(&tls.certificate()));
            if let Err(error) = written {
                warn!(%error, "the command line is not told of the new certificate, and will refuse it");
            }
        }),
    })
}

/// Where a service that listens here is to be called. The command line knows it by its certificate, whatever names that
/// has; a browser needs one of them.
fn endpoint(address: SocketAddr, hosts: &[HostName], tls: Option<&Tls>) -> Endpoint {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let near = SocketAddr::new(ip, address.port());
    let Some(tls) = tls else {
        let service = format!("http://{near}");
        return Endpoint { page: service.clone(), service };
    };
    let own = [(ip.to_string(), near.to_string()), ("localhost".to_owned(), format!("localhost:{}", address.port()))];
    let named = hosts.iter().map(|host| (host.name().to_owned(), host.authority(address.port())));
    let good = named.chain(own).find(|(name, _)| tls.is_for(name)).map(|(_, authority)| authority);
    if good.is_none() {
        warn!(
            "the certificate is for none of the names of this service; browsers will warn of it; name one with --host"
        );
    }
    Endpoint { service: format!("https://{near}"), page: format!("https://{}", good.unwrap_or(near.to_string())) }
}

/// How long connections take to notice that they are cut: each is woken by it.
const CUT_WITHIN: Duration = Duration::from_secs(1);

/// How much of the ledger's id names its run directory: enough to tell stores apart, few enough for socket paths.
const LEDGER_ID_CHARS: usize = 8;

impl Server {
    /// Where it takes calls, such as "http://127.0.0.1:50051".
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = self.endpoint.service.split("://").next().unwrap_or_default();
        format!("{scheme}://{}", self.address)
    }

    /// A link that opens the page: once, within ten minutes.
    #[must_use]
    pub fn page_link(&self) -> String {
        link::page_link(&self.endpoint.page, &self.key, Scope::Operate)
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
        let mut serving = self.serving;
        if tokio::time::timeout(self.drain, &mut serving).await.is_err() {
            warn!(drain_s = self.drain.as_secs(), "some connections did not end in time; cutting them");
            self.cut.cancel();
            if tokio::time::timeout(CUT_WITHIN, &mut serving).await.is_err() {
                warn!("some connections outlived the cut");
                serving.abort();
            }
        }
        if let Some(webhook) = self.webhook
            && let Err(error) = webhook.await
        {
            warn!(%error, "the webhook did not end well");
        }
        reload::join(self.reloading).await;
        self.runner.leave().await;
        self.launcher.stop().await;
        self.ledger.close().await;
        self.dirs.release();
        self.state.release();
        // Last, since the next service need not wait for it.
        self.export.end().await;
        info!("left");
    }
}

async fn serving(
    serve: Serve<impl Stream<Item = io::Result<accept::Connection>>, impl Future<Output = ()>>,
    guard: GuardLayer,
) {
    if let Err(error) = api::serve(serve, guard).await {
        tracing::error!(%error, "serving failed");
    }
}

/// Opening reads and may migrate the file, so it happens beside the runtime.
async fn open_ledger(path: PathBuf) -> Result<Arc<dyn Ledger>, StartError> {
    let opened = tokio::task::spawn_blocking(move || EmbeddedLedger::open(&path)).await;
    Ok(Arc::new(opened.expect("opening a ledger does not panic")?))
}

async fn listener(listen: SocketAddr, passed_on: Option<PassedOn>) -> io::Result<TcpListener> {
    match passed_on {
        Some(passed_on) => TcpListener::from_std(passed_on.listener),
        None => TcpListener::bind(listen).await,
    }
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
