//! Two clocks: one to show people, one to measure spans with.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Wall-clock time in microseconds since 1970 UTC. For people; it may jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallTime {
    micros: u64,
}

/// Nanoseconds since this machine booted, suspended time included. For deadlines; it never jumps,
/// and means nothing after a reboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootTime {
    nanos: u64,
}

/// The moment at which something is applied, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For people.
    pub wall: WallTime,
    /// For deadlines.
    pub boot: BootTime,
}

impl WallTime {
    /// A time from its count of microseconds since 1970 UTC.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self { micros }
    }

    /// Microseconds since 1970 UTC.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.micros
    }

    /// This time plus a span; the last representable time when it would overflow.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self { micros: self.micros.saturating_add(micros) }
    }

    /// This time less a span; 1970 when it would lie before.
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self { micros: self.micros.saturating_sub(micros) }
    }
}

impl From<SystemTime> for WallTime {
    /// A clock set before 1970 reads as 1970.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { micros: u64::try_from(since.as_micros()).unwrap_or(u64::MAX) }
    }
}

impl From<WallTime> for SystemTime {
    fn from(time: WallTime) -> Self {
        UNIX_EPOCH + Duration::from_micros(time.micros)
    }
}

impl BootTime {
    /// A time from its count of nanoseconds since boot.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self { nanos }
    }

    /// Nanoseconds since boot.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.nanos
    }

    /// This time plus a span; the last representable time when it would overflow.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self { nanos: self.nanos.saturating_add(nanos) }
    }

    /// The span from `earlier` to this time; zero when it lies ahead.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }
}
