//! `status`: shows how a task stands.

use clap::Args;

use super::{
    Exit, Problem,
    args::{Format, Reach},
    print::{Printer, job_lines},
};
use crate::api::v1::GetStatusRequest;

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// The task
    #[arg(value_name = "ID")]
    task_id: String,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    format: Format,
}

impl Status {
    pub(super) async fn run(self) -> Result<Exit, Problem> {
        let mut client = self.reach.target()?.connect().await?;
        let answer = client.get_status(GetStatusRequest { task_id: self.task_id }).await?.into_inner();
        Printer::new(self.format).print("GetStatusResponse", &answer, || {
            answer.job.as_ref().map(|job| job_lines(job, answer.sample.as_ref())).unwrap_or_default()
        })?;
        Ok(Exit::Done)
    }
}
