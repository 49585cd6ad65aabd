//! `list`: shows the tasks that there are, the newest first.

use std::time::{Duration, SystemTime};

use clap::Args;

use super::{
    Exit, Problem,
    args::{Format, Reach},
    board::{self, Crowd},
    order::label,
    print::{CREATED_WIDTH, Printer, STATUS_WIDTH, day_and_clock, plain, print_line},
    retry::RetryFor,
    span,
    table::Table,
    terminal::{Terminal, cut},
};
use crate::api::v1::{Job, JobFilter, ListJobsRequest, WatchJobsRequest, job};

/// Tasks that are asked for at once, the most that the service gives.
const PAGE_SIZE_MAX: u32 = 1000;
/// How long ago a task may have been over to be followed unasked: as long as a person remembers it.
const FOLLOW_SINCE: Duration = Duration::from_secs(3600);
/// Widest line: a task's whole id, and still beside another window.
const LINE_CHARS_MAX: usize = 100;
/// A task's id.
const ID_WIDTH: usize = 36;
/// What is left of a line for the URL, behind three columns and the gaps between them.
const URL_CHARS_MAX: usize = LINE_CHARS_MAX - ID_WIDTH - STATUS_WIDTH - CREATED_WIDTH - 6;

/// Arguments of `list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only tasks that stand there, such as RUNNING or FAILED [repeatable: any of these]
    #[arg(long = "status", value_name = "STATUS", value_parser = status)]
    statuses: Vec<job::Status>,
    /// Only tasks with this mark [repeatable: all of these]
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Only tasks that were made within this time
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    since: Option<Duration>,
    /// Only tasks with this text in their URL
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    url: String,
    /// At most so many; 0 means all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Go on with their changes, as `watch` does: those that are live, were over within --since [default: 1h], or come
    #[arg(long, short, conflicts_with_all = ["statuses", "limit"])]
    follow: bool,
    #[command(flatten)]
    retry: RetryFor,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    format: Format,
}

impl List {
    pub(super) async fn run(self) -> Result<Exit, Problem> {
        let runner = self.reach.runner(self.retry).await?;
        let printer = Printer::new(self.format);
        let mut request = self.request();
        if self.follow {
            // Live ones are meant however long ago they were made.
            let filter = request.filter.map(|filter| JobFilter { created_after: None, ..filter });
            let since = span::to_proto(self.since.unwrap_or(FOLLOW_SINCE));
            let request = WatchJobsRequest { filter, since, ..WatchJobsRequest::default() };
            return board::follow(&runner, request, Crowd::All, printer).await;
        }
        let mut left = if self.limit == 0 { u32::MAX } else { self.limit };
        let mut told = false;
        let table = Terminal::of_stdout().map(|terminal| Table::fit(terminal, terminal.size().columns));
        loop {
            request.page_size = i32::try_from(left.min(PAGE_SIZE_MAX)).unwrap_or_default();
            let page = runner.list(request.clone()).await?;
            for job in &page.jobs {
                if !told && !self.format.json {
                    print_line(&table.map_or_else(heading, |table| table.heading().text().to_owned()))?;
                }
                told = true;
                let row = |table: Table| table.row(job, None, SystemTime::now()).text().to_owned();
                printer.print("Job", job, || table.map_or_else(|| line(job), row))?;
            }
            left = left.saturating_sub(u32::try_from(page.jobs.len()).unwrap_or(u32::MAX));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return Ok(Exit::Done);
            }
            if left == 0 {
                eprintln!("these are the newest {}; there are more, and --limit 0 shows all", self.limit);
                return Ok(Exit::Done);
            }
        }
    }

    fn request(&self) -> ListJobsRequest {
        let created_after = self.since.and_then(|since| SystemTime::now().checked_sub(since)).map(Into::into);
        let filter = JobFilter {
            labels: self.labels.iter().cloned().collect(),
            created_after,
            url_contains: self.url.clone(),
            ..JobFilter::default()
        };
        let statuses = self.statuses.iter().map(|status| (*status).into()).collect();
        ListJobsRequest { filter: Some(filter), statuses, ..ListJobsRequest::default() }
    }
}

/// A status by its name, in any letters.
fn status(text: &str) -> Result<job::Status, String> {
    let known = job::Status::from_str_name(&text.to_uppercase().replace('-', "_"));
    known.filter(|status| *status != job::Status::Unspecified).ok_or_else(|| {
        format!("{text:?} is no status; give CREATED, RUNNING, STOPPING, DONE, FAILED, CANCELLED, TIMED_OUT or LOST")
    })
}

fn heading() -> String {
    columns("TASK", "STATUS", "CREATED", "URL")
}

fn line(job: &Job) -> String {
    let url = cut(&plain(&job.url), URL_CHARS_MAX);
    columns(&job.task_id, job.status().as_str_name(), &day_and_clock(job.created_at.as_ref()), &url)
}

fn columns(task: &str, status: &str, created: &str, url: &str) -> String {
    format!("{task:ID_WIDTH$}  {status:STATUS_WIDTH$}  {created:CREATED_WIDTH$}  {url}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(url: &str) -> Job {
        Job {
            task_id: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
            status: job::Status::TimedOut.into(),
            created_at: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            url: url.to_owned(),
            ..Job::default()
        }
    }

    #[test]
    fn a_line_has_the_whole_id_and_at_most_a_hundred_characters() {
        for (length, whole) in [(20, true), (URL_CHARS_MAX, true), (URL_CHARS_MAX + 1, false), (5000, false)] {
            let url = "é".repeat(length);
            let line = line(&job(&url));
            assert!(line.starts_with("01890a5d-ac96-774b-bcce-b302099a8057  TIMED_OUT  "), "{line}");
            assert_eq!(line.chars().count(), LINE_CHARS_MAX.min(LINE_CHARS_MAX - URL_CHARS_MAX + length), "{line}");
            assert_eq!(line.ends_with(&url), whole);
            assert_eq!(line.ends_with('\u{2026}'), !whole);
        }
    }

    #[test]
    fn columns_stand_below_their_headings() {
        let (heading, line) = (heading(), line(&job("http://a.test/")));
        for (name, value) in [("STATUS", "TIMED_OUT"), ("URL", "http://")] {
            assert_eq!(heading.find(name), line.find(value), "{heading}\n{line}");
        }
    }

    #[test]
    fn a_status_is_known_in_any_letters_and_else_named() {
        assert_eq!(status("timed-out"), Ok(job::Status::TimedOut));
        assert_eq!(status("RUNNING"), Ok(job::Status::Running));
        for text in ["gone", "", "status_unspecified"] {
            assert!(status(text).unwrap_err().contains(&format!("{text:?}")));
        }
    }
}
