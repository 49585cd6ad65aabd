//! Where log events go: standard error, readable on a terminal and as JSON lines elsewhere.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// Sends log events to standard error from now on. `RUST_LOG` decides which; `default` when it is not set.
///
/// Standard output stays free: it belongs to what a verb prints.
pub fn start(default: LevelFilter) {
    let filter = EnvFilter::builder().with_default_directive(default.into()).from_env_lossy();
    let events = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if io::stderr().is_terminal() {
        // Colour is the terminal's matter alone; https://no-color.org is how a person says no.
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        events.with_ansi(!plain).init();
    } else {
        events.json().flatten_event(true).init();
    }
}
