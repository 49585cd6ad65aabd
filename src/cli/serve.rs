//! `serve`: runs the service until it is told to leave.

use std::io::{self, Write};

use clap::Args;

use super::{Exit, Problem, settings::SettingFlags, signals::Signals};
use crate::{
    config::{Effective, Settings},
    server::{self, Progress, Server},
    telemetry::Logging,
};

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    flags: SettingFlags,
    /// What the flags came to with the environment and the file.
    #[arg(skip)]
    effective: Option<Box<Effective>>,
}

impl Serve {
    /// Reads the configuration, which also says what is logged of all that follows.
    pub(super) fn configure(&mut self) -> Result<Logging, Problem> {
        let effective = self.effective.insert(Box::new(self.flags.resolve()?));
        let Settings { log, log_format, .. } = &effective.settings;
        Ok(Logging { filter: log.clone(), format: *log_format })
    }

    pub(super) async fn run(self) -> Result<Exit, Problem> {
        let mut signals = Signals::for_service()?;
        let effective = match self.effective {
            Some(effective) => *effective,
            None => self.flags.resolve()?,
        };
        if let Some(file) = &effective.file {
            tracing::info!(file = %file.display(), "read the configuration");
        }
        let server = server::start(effective.settings).await.map_err(|error| Problem::from_start(&error))?;
        if let Err(problem) = say_address(&server) {
            server.stop().await;
            return Err(problem);
        }
        server::tell(&Progress::Ready(server.url()));
        signals.next().await;
        server::tell(&Progress::Stopping);
        tokio::select! {
            () = server.stop() => Ok(Exit::Done),
            number = signals.next() => Ok(Exit::Signal(number)),
        }
    }
}

/// Whoever starts a service waits for the first line, and finds the port in it; the second opens the page.
fn say_address(server: &Server) -> Result<(), Problem> {
    // In one piece: whoever reads the first line alone and closes the pipe must not end the service.
    let lines = format!("listening on {}\npage: {}\n", server.url(), server.page_link());
    let mut out = io::stdout();
    out.write_all(lines.as_bytes())?;
    Ok(out.flush()?)
}
