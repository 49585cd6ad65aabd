//! Tasks as rows of a table that fits the terminal: what there is no room for is left out, the least needed first.

use std::time::{Duration, SystemTime};

use super::{
    print::{CREATED_WIDTH, REASON_WIDTH, STATUS_WIDTH, day_and_clock},
    tally::{SPAN_WIDTH, instant, span, took},
    terminal::{BOLD, FAINT, GAP, Line, Terminal, USUAL, style_of},
};
use crate::api::v1::{Job, Sample};

/// A task's id. It is never cut, since every call takes it whole.
const ID_WIDTH: usize = 36;
/// Narrowest room for the URL that is worth a column which nobody can do without.
const URL_COLUMNS_MIN: usize = 16;
/// Narrowest room for it that is worth any other column: a host and the beginning of a path.
const URL_COLUMNS_GOOD: usize = 40;

/// Which columns there is room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    terminal: Terminal,
    columns: usize,
    time: bool,
    reason: bool,
    task: bool,
    created: bool,
}

impl Table {
    /// The table for a terminal of so many columns.
    pub(super) fn fit(terminal: Terminal, columns: usize) -> Self {
        let mut left = columns.saturating_sub(STATUS_WIDTH + GAP + URL_COLUMNS_MIN);
        let mut room_for = |width: usize, spare: usize| {
            let fits = width + GAP + spare <= left;
            left -= if fits { width + GAP } else { 0 };
            fits
        };
        let (task, time) = (room_for(ID_WIDTH, 0), room_for(SPAN_WIDTH, 0));
        let spare = URL_COLUMNS_GOOD - URL_COLUMNS_MIN;
        let (reason, created) = (room_for(REASON_WIDTH, spare), room_for(CREATED_WIDTH, spare));
        Self { terminal, columns, task, time, reason, created }
    }

    /// The names of its columns.
    pub(super) fn heading(self) -> Line {
        let mut line = self.terminal.line(self.columns);
        if self.task {
            line.column("TASK", ID_WIDTH, BOLD);
        }
        line.column("STATUS", STATUS_WIDTH, BOLD);
        if self.reason {
            line.column("REASON", REASON_WIDTH, BOLD);
        }
        if self.time {
            line.column("TIME", SPAN_WIDTH, BOLD);
        }
        if self.created {
            line.column("CREATED", CREATED_WIDTH, BOLD);
        }
        line.push("URL", BOLD);
        line
    }

    /// One task: its time is how long it took, or has taken by `now`.
    pub(super) fn row(self, job: &Job, sample: Option<&Sample>, now: SystemTime) -> Line {
        let mut line = self.terminal.line(self.columns);
        if self.task {
            line.column(&job.task_id, ID_WIDTH, USUAL);
        }
        line.column(job.status().as_str_name(), STATUS_WIDTH, style_of(job.status()));
        if self.reason {
            line.column(job.reason().as_str_name(), REASON_WIDTH, FAINT);
        }
        if self.time {
            line.column(&format!("{:>SPAN_WIDTH$}", span(age(job, now))), SPAN_WIDTH, USUAL);
        }
        if self.created {
            line.column(&day_and_clock(job.created_at.as_ref()), CREATED_WIDTH, FAINT);
        }
        if let Some(said) = sample.and_then(said) {
            line.push(&said, FAINT).push("  ", USUAL);
        }
        line.push(&job.url, USUAL);
        line
    }
}

/// What a task's page, or the queue, says of how far it is.
pub(super) fn said(sample: &Sample) -> Option<String> {
    match (sample.queue_position, sample.progress) {
        (Some(place), _) => Some(format!("place {place}")),
        (None, Some(percent)) => Some(format!("{percent} %")),
        (None, None) => None,
    }
}

/// How long it took, or has taken by `now`, from its start or else its making.
pub(super) fn age(job: &Job, now: SystemTime) -> Duration {
    let since = || {
        let begun = job.started_at.or(job.created_at).and_then(instant)?;
        now.duration_since(SystemTime::UNIX_EPOCH).ok()?.checked_sub(begun)
    };
    took(job).or_else(since).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1::job::{Reason, Status};

    fn job() -> Job {
        Job {
            task_id: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
            status: Status::Running.into(),
            reason: Reason::Launched.into(),
            created_at: Some(prost_types::Timestamp { seconds: 1000, nanos: 0 }),
            url: format!("http://a.test/{}", "日".repeat(200)),
            ..Job::default()
        }
    }

    fn row(columns: usize) -> (String, String) {
        let table = Table::fit(Terminal::plain(), columns);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1090);
        let sample = Sample { progress: Some(45), ..Sample::default() };
        let row = table.row(&job(), Some(&sample), now);
        assert!(row.width() <= columns && table.heading().width() <= columns, "{columns}: {row:?}");
        (table.heading().text().to_owned(), row.text().to_owned())
    }

    #[test]
    fn a_row_fits_every_width_and_keeps_the_status_and_the_url() {
        for columns in 1..300 {
            row(columns);
        }
        let (heading, narrow) = row(40);
        assert_eq!(heading, "STATUS     TIME    URL");
        assert!(narrow.starts_with("RUNNING     1m30s  45 %  http://"), "{narrow}");
        let (heading, usual) = row(80);
        assert_eq!(heading, format!("{:36}  STATUS     TIME    URL", "TASK"));
        assert!(usual.starts_with("01890a5d-ac96-774b-bcce-b302099a8057  RUNNING     1m30s  45 %  http://"), "{usual}");
        assert!(usual.ends_with('\u{2026}'), "{usual}");
        let (heading, wide) = row(120);
        assert!(heading.contains("REASON") && wide.contains("LAUNCHED"), "{heading}\n{wide}");
        assert!(!heading.contains("CREATED") && row(140).0.contains("CREATED"), "{heading}");
    }
}
