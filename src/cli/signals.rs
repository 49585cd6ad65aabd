//! The two signals by which a person or a supervisor says stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Problem;

/// SIGINT and SIGTERM, taken from the system's default of ending the process.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, Problem> {
        let listen =
            |kind| signal(kind).map_err(|error| Problem::NoService(format!("signals cannot be heard: {error}")));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next one and gives its number. Safe to drop.
    pub(super) async fn next(&mut self) -> u8 {
        let kind = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
        };
        u8::try_from(kind.as_raw_value()).unwrap_or(u8::MAX)
    }
}
