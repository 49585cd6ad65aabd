//! `watch`: follows tasks: one to its end, several, or all that there are.

use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    Exit, Problem,
    args::{Format, Reach},
    board::{self, Crowd},
    errand::{Host, News},
    order::label,
    print::Printer,
    retry::RetryFor,
    span,
    view::{TICK, view},
};
use crate::{
    api::v1::{JobFilter, WatchJobRequest, WatchJobsRequest, watch_job_request},
    client::Runner,
};

/// Longest look back that the service takes: several tasks are shown however long ago they were over.
const SINCE_LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// The task, or several [default: all that there are, until Ctrl-C]
    #[arg(value_name = "ID")]
    task_ids: Vec<String>,
    /// Stop at the task's end, or at the exit of its browser after it
    #[arg(long, value_enum, default_value_t = Until::Done)]
    until: Until,
    /// Begin with every change from the first on, instead of how the task stands
    #[arg(long, conflicts_with = "resume_token")]
    from_start: bool,
    /// Go on behind an earlier watch, whose JSON lines have this token
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    resume_token: String,
    /// Of all tasks, those that are over for longer are left out
    #[arg(long, value_name = "TIME", value_parser = span::parse, default_value = "1h", conflicts_with = "task_ids")]
    since: Duration,
    /// Of all tasks, only those with this mark [repeatable: all of these]
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label, conflicts_with = "task_ids")]
    labels: Vec<(String, String)>,
    /// Of all tasks, only those with this text in their URL
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, conflicts_with = "task_ids")]
    url: String,
    #[command(flatten)]
    retry: RetryFor,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    format: Format,
}

/// When a watch is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Until {
    /// With the task's end
    Done,
    /// With the exit of its browser
    Exit,
}

impl Watch {
    pub(super) async fn run(self) -> Result<Exit, Problem> {
        let of_one = self.until == Until::Exit || self.from_start || !self.resume_token.is_empty();
        if of_one && self.task_ids.len() != 1 {
            let text = "--until exit, --from-start and --resume-token are about one task; give its ID";
            return Err(Problem::Usage(text.to_owned()));
        }
        let runner = self.reach.runner(self.retry).await?;
        match &self.task_ids[..] {
            [task_id] => self.one(&runner, task_id).await,
            task_ids => {
                let crowd =
                    if task_ids.is_empty() { Crowd::All } else { Crowd::These(task_ids.iter().cloned().collect()) };
                board::follow(&runner, self.request_for_many(), crowd, Printer::new(self.format)).await
            }
        }
    }

    async fn one(&self, runner: &Runner, task_id: &str) -> Result<Exit, Problem> {
        let until = match self.until {
            Until::Done => watch_job_request::Until::TaskDone,
            Until::Exit => watch_job_request::Until::ProcessExited,
        };
        let mut watch = runner.watch(WatchJobRequest {
            task_id: task_id.to_owned(),
            resume_token: self.resume_token.clone(),
            from_start: self.from_start,
            until: until.into(),
            ..WatchJobRequest::default()
        });
        let mut view = view(Printer::new(self.format), vec![task_id.to_owned()], Host::Lasting);
        if view.wants_samples() {
            watch = watch.with_samples();
        }
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                news = watch.next() => match news? {
                    Some(message) => view.take(0, &News::Told(Box::new(message)))?,
                    None => break,
                },
                _ = ticks.tick(), if view.ticks() => view.tick(runner.is_connected())?,
            }
        }
        view.end(0)?;
        Ok(watch.job().map_or(Exit::Done, Exit::of))
    }

    fn request_for_many(&self) -> WatchJobsRequest {
        let filter = JobFilter {
            task_ids: self.task_ids.clone(),
            labels: self.labels.iter().cloned().collect(),
            url_contains: self.url.clone(),
            ..JobFilter::default()
        };
        let since = if self.task_ids.is_empty() { self.since } else { SINCE_LONGEST };
        WatchJobsRequest { filter: Some(filter), since: span::to_proto(since), ..WatchJobsRequest::default() }
    }
}
