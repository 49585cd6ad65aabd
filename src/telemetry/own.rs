//! What the service's own process uses, read when somebody asks.

use std::{
    fs,
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::{
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

use super::Reading;

/// When this was first asked, which is at the start.
static STARTED: OnceLock<f64> = OnceLock::new();

/// What the process of the service uses now; what the system does not tell is left out.
#[must_use]
pub fn own_readings() -> Vec<Reading> {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "a reading for people; a float holds 53 bits of it")]
    let cpu_s = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
    #[expect(clippy::cast_precision_loss, reason = "the same")]
    let float = |number: u64| number as f64;
    let mut readings =
        vec![Reading::of("process_start_time_seconds", started_s()), Reading::of("process_cpu_seconds_total", cpu_s)];
    let more = [
        ("process_resident_memory_bytes", resident_bytes()),
        ("process_open_fds", open_fds()),
        ("process_max_fds", getrlimit(Resource::Nofile).current),
    ];
    readings.extend(more.into_iter().filter_map(|(name, value)| Some(Reading::of(name, float(value?)))));
    readings
}

/// When the service was started, in seconds since 1970.
pub(super) fn started_s() -> f64 {
    *STARTED.get_or_init(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
}

fn resident_bytes() -> Option<u64> {
    let about = fs::read_to_string("/proc/self/status").ok()?;
    let kib = about.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    Some(kib.parse::<u64>().ok()? * 1024)
}

fn open_fds() -> Option<u64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the directory that is being read.
    u64::try_from(open).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_what_it_uses() {
        let readings = own_readings();
        assert_eq!(readings.len(), 5, "{readings:?}");
        assert!(readings.iter().all(|reading| reading.value > 0.0), "{readings:?}");
        let open =
            |readings: &[Reading]| readings.iter().find(|reading| reading.name == "process_open_fds").map(|r| r.value);
        let held: Vec<_> = (0..50).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        assert!(open(&own_readings()) >= Some(50.0));
        drop(held);
    }
}
