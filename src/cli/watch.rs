//! `watch`: follows a task to its end.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{
    Exit, Problem,
    args::{Format, Reach},
    follow::Follow,
    patience::Patience,
    print::{Printer, change_line},
    span,
};
use crate::api::v1::{WatchJobRequest, watch_job_request};

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// The task
    #[arg(value_name = "ID")]
    task_id: String,
    /// Stop at the task's end, or at the exit of its browser after it
    #[arg(long, value_enum, default_value_t = Until::Done)]
    until: Until,
    /// Go on behind an earlier watch, whose JSON lines have this token
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    resume_token: String,
    #[command(flatten)]
    retry: RetryFor,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    format: Format,
}

/// When a watch is over.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Until {
    /// With the task's end
    Done,
    /// With the exit of its browser
    Exit,
}

/// How long a cut stream is worth another try.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct RetryFor {
    /// How long to try again when the service is away; 0 means without limit
    #[arg(long, value_name = "TIME", value_parser = span::parse, default_value = "2m")]
    pub(super) retry_for: Duration,
}

impl Watch {
    pub(super) async fn run(self) -> Result<Exit, Problem> {
        let target = self.reach.target()?;
        let client = target.connect().await?;
        let until = match self.until {
            Until::Done => watch_job_request::Until::TaskDone,
            Until::Exit => watch_job_request::Until::ProcessExited,
        };
        let request = WatchJobRequest {
            task_id: self.task_id,
            resume_token: self.resume_token,
            until: until.into(),
            ..WatchJobRequest::default()
        };
        let printer = Printer::new(self.format);
        let mut follow = Follow::new(target, client, request, Patience::new(self.retry.retry_for));
        while let Some(message) = follow.next().await? {
            printer
                .print("WatchJobResponse", &message, || message.job.as_ref().map(change_line).unwrap_or_default())?;
        }
        Ok(follow.exit())
    }
}
