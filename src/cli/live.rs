//! Tasks on a terminal: what is over stays, and below it what is under way changes in its place.

use std::{
    collections::BTreeMap,
    time::{Instant, SystemTime},
};

use clap::builder::styling::{AnsiColor, Style};

use super::{
    Problem,
    errand::{Host, News},
    lines::{problem_line, stopping_words},
    print::{REASON_WIDTH, STATUS_WIDTH, change_words, clock},
    screen::Screen,
    table::{Table, age, said},
    tally::{SPAN_WIDTH, Tally, span, took},
    terminal::{BOLD, FAINT, Line, Terminal, USUAL, style_of},
    view::View,
};
use crate::api::v1::{Job, Sample, WatchJobResponse, job::Status};

/// What turns while something is under way, in characters that every terminal has.
const TURNS: [&str; 4] = ["|", "/", "-", "\\"];
/// Columns of a bar: a step for each four percent.
const BAR_COLUMNS: usize = 25;
/// What has to be there beside the rows of a table: its heading, how far all are, whether the service is away, that all
/// are being cancelled, and the cursor's own row.
const ROWS_BESIDE: usize = 5;
/// As wide as a line may be that stays: its end is wrapped, not lost.
const UNBOUNDED: usize = usize::MAX;

/// One task that is under way.
#[derive(Default)]
struct Row {
    job: Job,
    sample: Option<Sample>,
}

/// The tasks of a call on a terminal.
pub(super) struct Live {
    terminal: Terminal,
    screen: Screen,
    urls: Vec<String>,
    rows: BTreeMap<usize, Row>,
    tally: Tally,
    turn: usize,
    since: Instant,
    stops: usize,
    connected: bool,
    host: Host,
    /// The only task, once it is over.
    last: Option<Job>,
}

impl Live {
    pub(super) fn new(terminal: Terminal, urls: Vec<String>, host: Host) -> Self {
        Self {
            terminal,
            screen: Screen::new(terminal),
            urls,
            rows: BTreeMap::new(),
            tally: Tally::default(),
            turn: 0,
            since: Instant::now(),
            stops: 0,
            connected: true,
            host,
            last: None,
        }
    }

    fn alone(&self) -> bool {
        self.urls.len() == 1
    }

    fn told(&mut self, index: usize, message: &WatchJobResponse) -> Option<Line> {
        let alone = self.alone();
        let row = self.rows.entry(index).or_default();
        if let Some(sample) = &message.sample {
            row.sample = Some(sample.clone());
        }
        let job = message.job.as_ref()?;
        row.job.clone_from(job);
        alone.then(|| self.change(job))
    }

    /// One change, as it stays.
    fn change(&self, job: &Job) -> Line {
        let mut line = self.terminal.line(UNBOUNDED);
        line.push(&clock(job.updated_at.as_ref()), FAINT).push("  ", USUAL);
        line.column(job.status().as_str_name(), STATUS_WIDTH, style_of(job.status()));
        line.column(job.reason().as_str_name(), REASON_WIDTH, FAINT);
        line.push(&change_words(job), USUAL);
        line
    }

    /// One end among others, as it stays.
    fn summary(&self, job: &Job) -> Line {
        let mut line = self.terminal.line(UNBOUNDED);
        line.column(job.status().as_str_name(), STATUS_WIDTH, style_of(job.status()));
        line.column(job.reason().as_str_name(), REASON_WIDTH, FAINT);
        line.column(&format!("{:>SPAN_WIDTH$}", took(job).map(span).unwrap_or_default()), SPAN_WIDTH, USUAL);
        line.push(&job.task_id, FAINT).push("  ", USUAL).push(&job.url, USUAL);
        line
    }

    /// What changes in its place.
    fn block(&self) -> Vec<Line> {
        let size = self.terminal.size();
        let mut lines = Vec::new();
        if self.alone() {
            lines.push(self.state(size.columns));
        } else {
            let table = Table::fit(self.terminal, size.columns);
            let shown = size.rows.saturating_sub(ROWS_BESIDE).max(1);
            if !self.rows.is_empty() {
                lines.push(table.heading());
            }
            let now = SystemTime::now();
            lines.extend(self.rows.values().take(shown).map(|row| table.row(&row.job, row.sample.as_ref(), now)));
            lines.push(self.progress(size.columns));
        }
        if !self.connected {
            let mut line = self.terminal.line(size.columns);
            line.push("the service does not answer; trying again", AnsiColor::Yellow.on_default());
            lines.push(line);
        }
        if self.stops > 0 {
            let mut line = self.terminal.line(size.columns);
            line.push(stopping_words(self.stops), AnsiColor::Yellow.on_default());
            lines.push(line);
        }
        lines
    }

    /// How the only task stands.
    fn state(&self, columns: usize) -> Line {
        let mut line = self.terminal.line(columns);
        line.push(TURNS[self.turn % TURNS.len()], FAINT).push(" ", USUAL);
        let Some(row) = self.rows.get(&0) else {
            line.push("asking the service ", USUAL).push(&span(self.since.elapsed()), FAINT);
            return line;
        };
        let status = row.job.status();
        line.push(status.as_str_name(), style_of(status)).push(" ", USUAL);
        line.push(&span(age(&row.job, SystemTime::now())), FAINT);
        let Some(sample) = &row.sample else { return line };
        if let Some(percent) = sample.progress {
            line.push("  ", USUAL).push(&bar(percent.into(), 100), AnsiColor::Green.on_default());
        }
        for (text, style) in [(said(sample).unwrap_or_default(), BOLD), (words(sample), USUAL), (taken(sample), FAINT)]
        {
            if !text.is_empty() {
                line.push("  ", USUAL).push(&text, style);
            }
        }
        line
    }

    /// How far all of them are.
    fn progress(&self, columns: usize) -> Line {
        let (over, all) = (self.tally.len(), self.urls.len());
        let mut line = self.terminal.line(columns);
        let style: Style = AnsiColor::Green.on_default();
        line.push(TURNS[self.turn % TURNS.len()], FAINT).push(" ", USUAL);
        line.push(&bar(over as u64, all as u64), style).push(&format!("  {over} of {all}"), BOLD);
        line.push(&format!("  {}  {}", span(self.since.elapsed()), self.tally.counts(0)), USUAL);
        line
    }

    fn show(&mut self, stay: &[Line]) -> Result<(), Problem> {
        let block = self.block();
        self.screen.show(stay, block)
    }
}

impl View for Live {
    fn take(&mut self, index: usize, news: &News) -> Result<(), Problem> {
        let stay = match news {
            News::Made(made) => {
                self.rows.entry(index).or_default().job = made.job.clone().unwrap_or_default();
                self.alone().then(|| {
                    let mut line = self.terminal.line(UNBOUNDED);
                    line.push("task ", FAINT).push(&made.task_id, USUAL);
                    line
                })
            }
            News::Told(message) => self.told(index, message),
            News::Saved(name) => {
                let mut line = self.terminal.line(UNBOUNDED);
                line.push("saved ", FAINT).push(name, USUAL);
                Some(line)
            }
        };
        self.show(stay.as_slice())
    }

    fn over(&mut self, index: usize, job: &Job) -> Result<(), Problem> {
        self.tally.count(job);
        self.rows.remove(&index);
        if self.alone() {
            self.last = Some(job.clone());
            return Ok(());
        }
        let stay = self.summary(job);
        self.show(&[stay])
    }

    fn failed(&mut self, index: usize, problem: &Problem) -> Result<(), Problem> {
        self.tally.count_problem();
        self.rows.remove(&index);
        let stay: Vec<_> = problem_line(&self.urls[index], problem)
            .lines()
            .map(|text| {
                let mut line = self.terminal.line(UNBOUNDED);
                line.push(text, AnsiColor::Red.on_default());
                line
            })
            .collect();
        self.show(&stay)
    }

    fn stopping(&mut self, times: usize) -> Result<(), Problem> {
        self.stops = times;
        // The terminal has put "^C" on the row of the cursor; it goes with the block.
        self.show(&[])
    }

    fn tick(&mut self, connected: bool) -> Result<(), Problem> {
        self.turn += 1;
        self.connected = connected;
        self.show(&[])
    }

    fn ticks(&self) -> bool {
        true
    }

    fn wants_samples(&self) -> bool {
        true
    }

    fn end(&mut self, unbegun: usize) -> Result<(), Problem> {
        let mut stay = Vec::new();
        let mut line = self.terminal.line(UNBOUNDED);
        if !self.alone() {
            line.push(&self.tally.line(unbegun), BOLD);
            stay.push(line);
        } else if let Some(job) = self.last.take().filter(|job| job.status() == Status::Failed)
            && self.host == Host::Lasting
        {
            line.push(&format!("comet-task-runner log {}  shows what its browser said", job.task_id), FAINT);
            stay.push(line);
        }
        self.screen.show(&stay, Vec::new())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // An error is told below what stays, not below a block that has stopped to change.
        let _ = self.screen.show(&[], Vec::new());
    }
}

/// A bar, full by so much of the whole.
pub(super) fn bar(part: u64, whole: u64) -> String {
    let full = usize::try_from(part.min(whole) * BAR_COLUMNS as u64 / whole.max(1)).unwrap_or_default();
    format!("[{}{}]", "#".repeat(full), "-".repeat(BAR_COLUMNS - full))
}

/// What the queue, the page or its title say.
fn words(sample: &Sample) -> String {
    let said = [&sample.queue_message, &sample.progress_message, &sample.page_title];
    said.into_iter().find(|text| !text.is_empty()).cloned().unwrap_or_default()
}

/// What its processes take.
fn taken(sample: &Sample) -> String {
    let Some(tree) = &sample.process_info else { return String::new() };
    let cpu = tree.cpu_percent.map(|percent| format!("{percent:.0} % cpu ")).unwrap_or_default();
    format!("{cpu}{:.0} MiB", tree.memory_mb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_only_at_the_end() {
        let full = |part, whole| bar(part, whole).matches('#').count();
        assert_eq!([full(0, 100), full(1, 100), full(50, 100), full(99, 100), full(100, 100)], [0, 0, 12, 24, 25]);
        assert_eq!((full(7, 3), full(0, 0), bar(1, 2).len()), (25, 0, BAR_COLUMNS + 2));
    }
}
