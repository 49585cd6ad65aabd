//! What goes to standard output: aligned lines for people, JSON by the rules of the contract for programs.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use jiff::{Timestamp, tz::TimeZone};
use prost::Message;

use super::{Problem, args::Format};
use crate::api::{
    json,
    v1::{Job, Sample, job::Reason, tree_end::StepTaken},
};

/// Widest status ("CANCELLED") and reason ("NAVIGATION_TIMEOUT"), so that columns stand.
pub(super) const STATUS_WIDTH: usize = 9;
pub(super) const REASON_WIDTH: usize = 18;
/// A day with its time.
pub(super) const CREATED_WIDTH: usize = 14;

/// Prints to standard output.
pub(super) enum Printer {
    /// Lines for people.
    Lines,
    /// JSON, one object per line, by the contract's own descriptors.
    Json,
}

impl Printer {
    pub(super) fn new(format: Format) -> Self {
        if format.json { Self::Json } else { Self::Lines }
    }

    /// Prints `message`, the contract's `name`, as JSON, or else what `lines` makes for people.
    pub(super) fn print<M: Message>(
        &self,
        name: &str,
        message: &M,
        lines: impl FnOnce() -> String,
    ) -> Result<(), Problem> {
        let text = match self {
            Self::Lines => lines(),
            Self::Json => json::message(name, message),
        };
        print_line(&text)
    }
}

/// One line, at once.
pub(super) fn print_line(text: &str) -> Result<(), Problem> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// One change: when, what, why, and in words.
pub(super) fn change_line(job: &Job) -> String {
    let line = format!(
        "{}  {:STATUS_WIDTH$}  {:REASON_WIDTH$}  {}",
        clock(job.updated_at.as_ref()),
        job.status().as_str_name(),
        job.reason().as_str_name(),
        change_words(job),
    );
    line.trim_end().to_owned()
}

/// What a change says in words, and the result that a report came with.
pub(super) fn change_words(job: &Job) -> String {
    let mut words = plain(&job.message);
    let result = job.callback.as_ref().map(|report| report.result.as_str()).unwrap_or_default();
    if job.reason() == Reason::Callback && !result.is_empty() {
        let _ = write!(words, "{}{}", if words.is_empty() { "" } else { "  " }, plain(result));
    }
    words
}

/// Everything that is known of a job and worth a person's look, a line each.
pub(super) fn job_lines(job: &Job, sample: Option<&Sample>) -> String {
    let mut lines = Lines::default();
    lines.add("task", &job.task_id);
    lines.add("url", &job.url);
    lines.add("status", format!("{} ({})", job.status().as_str_name(), job.reason().as_str_name()));
    lines.add("message", &job.message);
    if let Some(sample) = sample {
        let place = |place| format!("place {place}  {}", sample.queue_message);
        lines.add("queue", sample.queue_position.map(place).unwrap_or_default().trim_end());
        lines.add(
            "progress",
            sample.progress.map(|percent| format!("{percent} %  {}", sample.progress_message)).unwrap_or_default(),
        );
        lines.add("title", &sample.page_title);
        lines.add(
            "dialog",
            sample
                .dialog
                .as_ref()
                .map(|open| format!("{}  {}", open.kind().as_str_name(), open.message))
                .unwrap_or_default(),
        );
        lines.add("popups", if sample.popup_count > 0 { sample.popup_count.to_string() } else { String::new() });
    }
    if let Some(page) = &job.page {
        let http = page.http_status.map(|status| format!("HTTP {status}  ")).unwrap_or_default();
        lines.add("page", format!("{}  {http}{}{}", page.load_state().as_str_name(), page.url, page.net_error));
    }
    if let Some(report) = &job.callback {
        lines.add("report", format!("{}  {}", report.status().as_str_name(), report.message));
        lines.add("result", &report.result);
    }
    if let Some(browser) = &job.browser {
        let window = if browser.headless { "headless" } else { "headed" };
        let tier = browser.tier().as_str_name();
        lines.add("browser", format!("{}  {}  {window}  {tier}", browser.name, browser.version));
        lines.add("profile", &browser.profile);
    }
    lines.add("process", process(job));
    lines.add("stopped", stopped(job));
    lines.add("took", took(job));
    if let Some(tree) = sample.and_then(|sample| sample.process_info.as_ref()) {
        lines.add("cpu", tree.cpu_percent.map(|percent| format!("{percent:.1} %")).unwrap_or_default());
        let processes = if tree.process_count == 1 { "process" } else { "processes" };
        lines.add("memory", format!("{:.1} MiB in {} {processes}", tree.memory_mb, tree.process_count));
    }
    for (name, at) in [
        ("created", &job.created_at),
        ("started", &job.started_at),
        ("finished", &job.finished_at),
        ("expires", &job.expires_at),
    ] {
        lines.add(name, at.as_ref().map(ToString::to_string).unwrap_or_default());
    }
    let mut labels: Vec<_> = job.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    labels.sort();
    lines.add("labels", labels.join("  "));
    lines.add("files", if job.files.is_empty() { String::new() } else { job.files.len().to_string() });
    lines.add("host", &job.host);
    lines.add("revision", job.revision.to_string());
    lines.0.trim_end().to_owned()
}

fn process(job: &Job) -> String {
    if job.process_id == 0 {
        return String::new();
    }
    let end = match (job.is_process_alive, job.exit_code, job.exit_signal) {
        (true, _, _) => "alive".to_owned(),
        (false, Some(_), _) if job.handed_off => "handed the page to the person's own browser".to_owned(),
        (false, Some(code), _) => format!("exit code {code}"),
        (false, None, Some(signal)) => format!("ended by signal {signal}"),
        (false, None, None) => "gone".to_owned(),
    };
    format!("{}  {end}", job.process_id)
}

/// Each step of its stop with how many processes it met, and how many had to be killed.
fn stopped(job: &Job) -> String {
    let Some(end) = job.tree_end.as_ref().filter(|end| !end.steps.is_empty()) else { return String::new() };
    let step = |taken: &StepTaken| format!("{} ({} left)", taken.step().as_str_name(), taken.processes_left);
    let steps: Vec<_> = end.steps.iter().map(step).collect();
    format!("{}  {} killed", steps.join("  "), end.killed_count)
}

/// What its process tree took in all.
fn took(job: &Job) -> String {
    let Some(took) = &job.resources else { return String::new() };
    let cpu = took.cpu_time.as_ref().map_or(0.0, |time| time.seconds as f64 + f64::from(time.nanos) / 1e9);
    let memory = took.peak_memory_mb.map(|mib| format!("  {mib:.1} MiB at most")).unwrap_or_default();
    let processes = took.process_count_peak.map(|count| format!("  {count} processes at most")).unwrap_or_default();
    format!("{cpu:.3} s of processor time{memory}{processes}")
}

/// Named lines; what is not known has none.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, value: impl AsRef<str>) {
        let value = value.as_ref().trim_end();
        if !value.is_empty() {
            let _ = writeln!(self.0, "{name:<10}{}", plain(value));
        }
    }
}

/// The time of day here, to the millisecond.
pub(super) fn clock(at: Option<&prost_types::Timestamp>) -> String {
    here(at, "%H:%M:%S%.3f").unwrap_or_else(|| "--:--:--.---".to_owned())
}

/// The day here, and the time of day to the second.
pub(super) fn day_and_clock(at: Option<&prost_types::Timestamp>) -> String {
    here(at, "%m-%d %H:%M:%S").unwrap_or_else(|| "-- --:--:--".to_owned())
}

fn here(at: Option<&prost_types::Timestamp>, form: &str) -> Option<String> {
    let at = at.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok())?;
    Some(at.to_zoned_datetime(TimeZone::system()).strftime(form).to_string())
}

/// Text from a page without what could move a terminal's cursor, fake a line, or turn the order of what is read.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || reorders(c) { '\u{fffd}' } else { c }).collect()
}

/// Ends a line in some terminals, or makes later characters stand before earlier ones.
fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1::{CallbackReport, ProcessInfo, job::Status};

    fn job() -> Job {
        Job {
            status: Status::Done.into(),
            reason: Reason::Callback.into(),
            message: "all\n\u{1b}[2Jwell".to_owned(),
            revision: 4,
            updated_at: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 25_000_000 }),
            callback: Some(CallbackReport { result: r#"{"n":1}"#.to_owned(), ..CallbackReport::default() }),
            ..Job::default()
        }
    }

    #[test]
    fn a_change_is_one_line_whatever_the_page_says() {
        let line = change_line(&job());
        assert!(!line.contains(['\n', '\u{1b}']), "{line}");
        assert!(line.ends_with(r#"DONE       CALLBACK            all��[2Jwell  {"n":1}"#), "{line}");
        assert_eq!(&line[8..12], ".025");
    }

    #[test]
    fn the_end_of_a_tree_has_its_lines_with_each_step_and_what_was_measured() {
        use crate::api::v1::{Resources, TreeEnd, tree_end::Step};
        let taken = |step: Step, processes_left| StepTaken { step: step.into(), at: None, processes_left };
        let steps = vec![taken(Step::Closed, 9), taken(Step::Killed, 2)];
        let tree_end = Some(TreeEnd { steps, killed_count: 2, ..TreeEnd::default() });
        let cpu_time = Some(prost_types::Duration { seconds: 3, nanos: 250_000_000 });
        let mut job = Job { tree_end, resources: Some(Resources { cpu_time, ..Resources::default() }), ..job() };
        let unseen = job_lines(&job, None);
        assert!(unseen.contains("\nstopped   CLOSED (9 left)  KILLED (2 left)  2 killed\n"), "{unseen}");
        assert!(unseen.contains("\ntook      3.250 s of processor time\n"), "{unseen}");
        let took = Resources { peak_memory_mb: Some(381.25), process_count_peak: Some(9), ..Resources::default() };
        job.resources = Some(took);
        assert!(job_lines(&job, None).contains("  381.2 MiB at most  9 processes at most\n"));
        job.tree_end.as_mut().unwrap().steps.clear();
        assert!(!job_lines(&job, None).contains("stopped"));
    }

    #[test]
    fn a_reading_of_the_processes_has_its_lines_and_what_was_not_measured_has_none() {
        let mut sample = Sample {
            process_info: Some(ProcessInfo { memory_mb: 381.25, process_count: 9, ..ProcessInfo::default() }),
            ..Sample::default()
        };
        let first = job_lines(&job(), Some(&sample));
        assert!(first.contains("\nmemory    381.2 MiB in 9 processes\n") && !first.contains("cpu"), "{first}");
        sample.process_info.as_mut().unwrap().cpu_percent = Some(104.25);
        let second = job_lines(&job(), Some(&sample));
        assert!(second.contains("\ncpu       104.2 %\n"), "{second}");
        assert!(!job_lines(&job(), None).contains("memory"));
    }
}
