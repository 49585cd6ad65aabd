//! `serve`: runs the service until it is told to leave.

use std::{
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
};

use clap::Args;

use super::{Exit, Problem, args::StateDir, signals::Signals};
use crate::{
    config::{AWAY_MAX, DRAIN, PORT, QUEUE_MAX, Settings, WATCHERS_MAX},
    server::{self, Server},
};

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where to listen: a loopback address, or any with TLS; port 0 lets the system choose
    #[arg(long, value_name = "ADDR", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)))]
    listen: SocketAddr,
    /// Speak TLS with this certificate: a PEM file, the service's own first, then those between it and a root
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of --tls-cert: a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A further name by which the service may be called, by others or through a proxy
    #[arg(long = "host", value_name = "NAME[:PORT]")]
    hosts: Vec<String>,
    #[command(flatten)]
    state_dir: StateDir,
    /// How many tasks run at once [default: one per core]
    #[arg(long, value_name = "N")]
    slots: Option<NonZeroUsize>,
    /// How many tasks may wait for a slot
    #[arg(long, value_name = "N", default_value_t = QUEUE_MAX)]
    queue: usize,
    /// How many streams may watch at once
    #[arg(long, value_name = "N", default_value_t = WATCHERS_MAX)]
    watchers: usize,
    /// A browser beside those that are found: its name, its program, and whether only its exit can be known
    #[arg(long = "browser", value_name = "NAME=PATH[,exit-only]")]
    browsers: Vec<String>,
    /// Start Chromium browsers without their sandbox, as root must
    #[arg(long)]
    no_sandbox: bool,
    /// Serve the routes of the old service too, without a token: POST /execute, GET /status/ID, POST /callback, GET /jobs
    #[arg(long)]
    legacy_rest: bool,
}

impl Serve {
    pub(super) async fn run(self) -> Result<Exit, Problem> {
        let mut signals = Signals::for_service()?;
        let server = server::start(self.settings()?).await.map_err(|error| Problem::from_start(&error))?;
        if let Err(problem) = say_address(&server) {
            server.stop().await;
            return Err(problem);
        }
        signals.next().await;
        tokio::select! {
            () = server.stop() => Ok(Exit::Done),
            number = signals.next() => Ok(Exit::Signal(number)),
        }
    }

    fn settings(self) -> Result<Settings, Problem> {
        Ok(Settings {
            listen: self.listen,
            tls_cert: self.tls_cert,
            tls_key: self.tls_key,
            hosts: self.hosts,
            state_dir: self.state_dir.path()?,
            slots: self.slots.unwrap_or_else(one_per_core),
            queue_max: self.queue,
            browsers: self.browsers,
            no_sandbox: self.no_sandbox,
            legacy_rest: self.legacy_rest,
            watchers_max: self.watchers,
            away_max: AWAY_MAX,
            drain: DRAIN,
        })
    }
}

/// Whoever starts a service waits for the first line, and finds the port in it; the second opens the page.
fn say_address(server: &Server) -> Result<(), Problem> {
    let mut out = io::stdout();
    write!(out, "listening on {}\npage: {}\n", server.url(), server.page_link())?;
    Ok(out.flush()?)
}

fn one_per_core() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
