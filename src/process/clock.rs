//! The boot-time clock and the boot's identity: the only clock whose readings outlive a process.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since boot, time spent suspended included (CLOCK_BOOTTIME).
#[must_use]
pub fn boot_now_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds * NS_PER_S + u64::try_from(now.tv_nsec).unwrap_or_default()
}

/// Microseconds since 1970 UTC, by a clock that may jump.
pub(super) fn wall_now_us() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds * (NS_PER_S / NS_PER_US) + u64::try_from(now.tv_nsec).unwrap_or_default() / NS_PER_US
}

/// The random identity the kernel gave this boot, without which a pid means nothing; empty where the kernel gives none.
#[must_use]
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim_end().to_owned())
        .unwrap_or_default()
}

/// A second holds so many nanoseconds.
pub(super) const NS_PER_S: u64 = 1_000_000_000;
/// A microsecond holds so many nanoseconds.
const NS_PER_US: u64 = 1000;
/// A millisecond holds so many nanoseconds.
pub(super) const NS_PER_MS: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_runs_backwards() {
        let earlier = boot_now_ns();
        assert!(earlier > 0);
        assert!(boot_now_ns() >= earlier);
    }

    #[test]
    fn the_wall_clock_is_the_systems() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!(wall_now_us().abs_diff(u64::try_from(now.as_micros()).unwrap()) < 10_000_000);
    }

    #[test]
    fn the_boot_id_is_one_uuid_and_stays() {
        let id = boot_id();
        assert_eq!(id.len(), 36, "{id:?}");
        assert_eq!(id, boot_id());
    }
}
