//! `cancel`: asks to end a task.

use std::time::Duration;

use clap::Args;

use super::{
    Exit, Problem,
    args::{Format, Reach},
    print::{Printer, change_line},
    span,
};
use crate::api::v1::CancelJobRequest;

/// Arguments of `cancel`.
#[derive(Debug, Args)]
pub(super) struct Cancel {
    /// The task
    #[arg(value_name = "ID")]
    task_id: String,
    /// Kill its browser at once
    #[arg(long)]
    force: bool,
    /// How long its browser may take to leave by itself [default: what it was started with]
    #[arg(long, value_name = "TIME", value_parser = span::parse, conflicts_with = "force")]
    grace: Option<Duration>,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    format: Format,
}

impl Cancel {
    pub(super) async fn run(self) -> Result<Exit, Problem> {
        let mut client = self.reach.target()?.connect().await?;
        let request = CancelJobRequest {
            task_id: self.task_id,
            termination_grace: self.grace.and_then(span::to_proto),
            force: self.force,
        };
        let answer = client.cancel_job(request).await?.into_inner();
        Printer::new(self.format)
            .print("CancelJobResponse", &answer, || answer.job.as_ref().map(change_line).unwrap_or_default())?;
        Ok(Exit::Done)
    }
}
