//! How busy a process tree was between two readings of it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Shortest span worth measuring: the system counts in hundredths of a second.
const SPAN_MIN: Duration = Duration::from_millis(500);
/// Longest span: an average over more says nothing of now.
const SPAN_MAX: Duration = Duration::from_secs(60);

/// One process: its pid, and the second of its start, so that a reused pid is another one.
pub(super) type ProcessKey = (u32, u64);

/// The processor time that each process of a tree had used up, in milliseconds, at one moment.
#[derive(Debug, Clone)]
pub(super) struct CpuTimes {
    pub(super) at: Instant,
    pub(super) used_ms: HashMap<ProcessKey, u64>,
}

/// What a tree's processor time is compared with.
#[derive(Debug, Default)]
pub(super) struct CpuMeter {
    before: Option<CpuTimes>,
    percent: Option<f64>,
}

impl CpuMeter {
    /// Takes a reading and gives the percentage of one processor since the one before; none for the first.
    pub(super) fn read(&mut self, now: CpuTimes) -> Option<f64> {
        match &self.before {
            None => self.before = Some(now),
            Some(before) => {
                let span = now.at.saturating_duration_since(before.at);
                // Too soon after the one before: what that one found still holds.
                if span >= SPAN_MIN {
                    self.percent = (span <= SPAN_MAX).then(|| percent(before, &now, span));
                    self.before = Some(now);
                }
            }
        }
        self.percent
    }
}

/// Process by process, since one that ended took its count with it and must not make the sum shrink. A process that
/// was not there before has used all of its time since; what one used that has ended meanwhile is not known.
fn percent(before: &CpuTimes, now: &CpuTimes, span: Duration) -> f64 {
    let used: u64 = now
        .used_ms
        .iter()
        .map(|(process, used_ms)| used_ms.saturating_sub(before.used_ms.get(process).copied().unwrap_or_default()))
        .sum();
    // Milliseconds of a span that was bounded above are far below where a double loses digits.
    Duration::from_millis(used).as_secs_f64() / span.as_secs_f64() * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readings so many milliseconds after one moment.
    struct Clock(Instant);

    impl Clock {
        fn times(&self, at_ms: u64, used_ms: &[(u32, u64)]) -> CpuTimes {
            let used_ms = used_ms.iter().map(|(pid, used)| ((*pid, 1), *used)).collect();
            CpuTimes { at: self.0 + Duration::from_millis(at_ms), used_ms }
        }
    }

    fn meter() -> (CpuMeter, Clock) {
        (CpuMeter::default(), Clock(Instant::now()))
    }

    #[test]
    fn the_first_reading_has_no_percentage_and_the_second_has() {
        let (mut meter, clock) = meter();
        assert_eq!(meter.read(clock.times(0, &[(1, 5_000)])), None);
        assert_eq!(meter.read(clock.times(2_000, &[(1, 5_500)])), Some(25.0));
        assert_eq!(meter.read(clock.times(3_000, &[(1, 5_500)])), Some(0.0));
    }

    #[test]
    fn all_processes_count_and_can_come_to_more_than_one_processor() {
        let (mut meter, clock) = meter();
        meter.read(clock.times(0, &[(1, 0), (2, 10)]));
        assert_eq!(meter.read(clock.times(1_000, &[(1, 900), (2, 910), (3, 700)])), Some(250.0));
    }

    #[test]
    fn a_process_that_ended_takes_nothing_from_the_others() {
        let (mut meter, clock) = meter();
        meter.read(clock.times(0, &[(1, 100), (2, 90_000)]));
        assert_eq!(meter.read(clock.times(1_000, &[(1, 200)])), Some(10.0));
    }

    #[test]
    fn a_pid_that_is_used_again_is_another_process() {
        let (mut meter, clock) = meter();
        meter.read(clock.times(0, &[(1, 100)]));
        let again = CpuTimes { used_ms: [((1, 2), 300)].into(), ..clock.times(1_000, &[]) };
        assert_eq!(meter.read(again), Some(30.0));
        // Even when it cannot be told apart.
        assert_eq!(meter.read(CpuTimes { used_ms: [((1, 2), 50)].into(), ..clock.times(2_000, &[]) }), Some(0.0));
    }

    #[test]
    fn a_span_too_short_to_measure_keeps_what_was_found_and_is_measured_later() {
        let (mut meter, clock) = meter();
        meter.read(clock.times(0, &[(1, 0)]));
        assert_eq!(meter.read(clock.times(100, &[(1, 10)])), None);
        assert_eq!(meter.read(clock.times(1_000, &[(1, 400)])), Some(40.0));
        assert_eq!(meter.read(clock.times(1_100, &[(1, 500)])), Some(40.0));
        assert_eq!(meter.read(clock.times(2_000, &[(1, 500)])), Some(10.0));
    }

    #[test]
    fn a_span_too_long_to_mean_anything_is_a_new_beginning() {
        let (mut meter, clock) = meter();
        meter.read(clock.times(0, &[(1, 0)]));
        assert_eq!(meter.read(clock.times(1_000, &[(1, 400)])), Some(40.0));
        assert_eq!(meter.read(clock.times(100_000, &[(1, 50_000)])), None);
        assert_eq!(meter.read(clock.times(101_000, &[(1, 50_100)])), Some(10.0));
    }
}
