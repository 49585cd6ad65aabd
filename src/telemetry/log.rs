//! Where log events go: standard error, readable on a terminal and as JSON lines elsewhere.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// A level, or a filter by module.
    pub filter: String,
    /// How events are written.
    pub format: LogFormat,
}

impl Logging {
    /// What a call logs that is no service: its troubles, unless `RUST_LOG` says otherwise.
    #[must_use]
    pub fn of_a_call() -> Self {
        let filter = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
        Self { filter: filter.unwrap_or_else(|| "warn".to_owned()), format: LogFormat::Auto }
    }
}

/// Sends log events to standard error from now on.
///
/// Standard output stays free: it belongs to what a verb prints.
pub fn start(logging: &Logging) {
    let filter = EnvFilter::builder().parse_lossy(&logging.filter);
    let events = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let terminal = io::stderr().is_terminal();
    let pretty = match logging.format {
        LogFormat::Auto => terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    if pretty {
        // Colour is the terminal's matter alone; https://no-color.org is how a person says no.
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        events.with_ansi(terminal && !plain).init();
    } else {
        events.json().flatten_event(true).init();
    }
}
