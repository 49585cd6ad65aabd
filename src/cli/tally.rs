//! How several tasks came out: a line for each, and one for all.

use std::time::{Duration, Instant};

use super::print::{REASON_WIDTH, STATUS_WIDTH, plain};
use crate::api::v1::{Job, job::Status};

/// Widest stretch of time ("59m59s"), so that columns stand.
pub(super) const SPAN_WIDTH: usize = 6;

/// Counts ends.
#[derive(Debug)]
pub(super) struct Tally {
    since: Instant,
    ends: Vec<(Status, usize)>,
    problems: usize,
}

impl Default for Tally {
    fn default() -> Self {
        Self { since: Instant::now(), ends: Vec::new(), problems: 0 }
    }
}

impl Tally {
    pub(super) fn count(&mut self, job: &Job) {
        let status = job.status();
        match self.ends.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += 1,
            None => self.ends.push((status, 1)),
        }
    }

    /// One that could not be made or followed.
    pub(super) fn count_problem(&mut self) {
        self.problems += 1;
    }

    /// How many have come to an end of whatever kind.
    pub(super) fn len(&self) -> usize {
        self.ends.iter().map(|(_, count)| count).sum::<usize>() + self.problems
    }

    /// All of it in one line.
    pub(super) fn line(&self, unbegun: usize) -> String {
        let all = self.len() + unbegun;
        format!("{all} tasks in {}: {}", span(self.since.elapsed()), self.counts(unbegun))
    }

    /// How many came to which end.
    pub(super) fn counts(&self, unbegun: usize) -> String {
        let mut ends = self.ends.clone();
        ends.sort_by_key(|(status, _)| i32::from(*status));
        let mut parts: Vec<_> =
            ends.iter().map(|(status, count)| format!("{count} {}", status.as_str_name())).collect();
        if self.problems > 0 {
            parts.push(format!("{} with an error", self.problems));
        }
        if unbegun > 0 {
            parts.push(format!("{unbegun} not begun"));
        }
        parts.join(", ")
    }
}

/// The end of one task among others: how, why, how long it took, which, and its name to ask for more.
pub(super) fn summary_line(job: &Job) -> String {
    format!(
        "{:STATUS_WIDTH$}  {:REASON_WIDTH$}  {:>SPAN_WIDTH$}  {}  {}",
        job.status().as_str_name(),
        job.reason().as_str_name(),
        took(job).map(span).unwrap_or_default(),
        job.task_id,
        plain(&job.url),
    )
}

/// From its start, or else from its making, to its end; none while it has none.
pub(super) fn took(job: &Job) -> Option<Duration> {
    let begun = job.started_at.or(job.created_at)?;
    let (begun, ended) = (instant(begun)?, instant(job.finished_at?)?);
    Some(ended.saturating_sub(begun))
}

/// A time as a stretch from 1970 on.
pub(super) fn instant(at: prost_types::Timestamp) -> Option<Duration> {
    Some(Duration::new(u64::try_from(at.seconds).ok()?, u32::try_from(at.nanos).ok()?))
}

/// A stretch of time in at most six characters up to a hundred hours, with as much as a person wants to know.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{:.1}s", (span.as_millis() / 100) as f64 / 10.0),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..360_000 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(status: Status) -> Job {
        let at = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
        Job {
            task_id: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
            url: "http://a.test/\u{1b}[2J".to_owned(),
            status: status.into(),
            created_at: at(100, 0),
            started_at: at(101, 0),
            finished_at: at(103, 250_000_000),
            ..Job::default()
        }
    }

    #[test]
    fn a_total_names_each_end_and_what_was_not_begun() {
        let mut tally = Tally::default();
        for status in [Status::Failed, Status::Done, Status::Done, Status::TimedOut] {
            tally.count(&job(status));
        }
        tally.count_problem();
        assert_eq!(tally.counts(2), "2 DONE, 1 FAILED, 1 TIMED_OUT, 1 with an error, 2 not begun");
        assert!(tally.line(2).starts_with("7 tasks in 0.0s: 2 DONE"), "{}", tally.line(2));
    }

    #[test]
    fn a_summary_is_one_harmless_line_with_the_time_from_start_to_end() {
        let line = summary_line(&job(Status::Done));
        assert!(line.starts_with("DONE       REASON_UNSPECIFIED    2.2s  01890a5d-"), "{line}");
        assert!(line.ends_with("http://a.test/\u{fffd}[2J"), "{line}");
        assert_eq!(took(&Job { finished_at: None, ..job(Status::Running) }), None);
    }

    #[test]
    fn a_span_is_short_and_never_more_than_has_passed() {
        for (seconds, text) in
            [(0.0, "0.0s"), (59.99, "59.9s"), (60.0, "1m00s"), (3599.9, "59m59s"), (3600.0, "1h00m"), (360_000.0, "4d")]
        {
            assert_eq!(span(Duration::from_secs_f64(seconds)), text);
        }
    }
}
