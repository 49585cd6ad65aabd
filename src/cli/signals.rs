//! The signals by which a person or a supervisor says stop.

use std::{fs, future};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Problem;

/// SIGINT and SIGTERM, and for a call SIGHUP, taken from the system's default of ending the process.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// What ends a service. A closed terminal ends it as the system would: at once, with its tasks going on.
    pub(super) fn for_service() -> Result<Self, Problem> {
        Ok(Self { interrupt: hear(SignalKind::interrupt())?, terminate: hear(SignalKind::terminate())?, hangup: None })
    }

    /// What ends a call: a closed terminal too, unless `nohup` or the like says that it should not.
    pub(super) fn for_call() -> Result<Self, Problem> {
        let hangup = if ignores_hangup() { None } else { Some(hear(SignalKind::hangup())?) };
        Ok(Self { hangup, ..Self::for_service()? })
    }

    /// Waits for the next one and gives its number. Safe to drop.
    pub(super) async fn next(&mut self) -> u8 {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => future::pending().await,
            }
        };
        let kind = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = hangup => SignalKind::hangup(),
        };
        u8::try_from(kind.as_raw_value()).unwrap_or(u8::MAX)
    }
}

fn hear(kind: SignalKind) -> Result<Signal, Problem> {
    signal(kind).map_err(|error| Problem::NoService(format!("signals cannot be heard: {error}")))
}

/// Whether this process was started with SIGHUP ignored: the lowest bit of the kernel's mask of ignored signals.
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
