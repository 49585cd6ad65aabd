//! `rerun`: runs again what a task was asked to be.

use clap::Args;
use uuid::Uuid;

use super::{
    Exit, Problem,
    args::{Format, Reach},
    batch::Batch,
    errand::Host,
    print::Printer,
    retry::RetryFor,
    signals::Signals,
    view::view,
};
use crate::api::v1::ExecuteRequest;

/// Arguments of `rerun`.
#[derive(Debug, Args)]
pub(super) struct Rerun {
    /// The task whose request is made once more, as a task of its own
    #[arg(value_name = "ID")]
    task_id: String,
    #[command(flatten)]
    retry: RetryFor,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    format: Format,
}

impl Rerun {
    pub(super) async fn run(self) -> Result<Exit, Problem> {
        let mut signals = Signals::for_call()?;
        let runner = self.reach.runner(self.retry).await?;
        let asked = runner.status(&self.task_id).await?.request;
        let older =
            || Problem::Usage("the service is too old to tell what was asked; restart it with this one".to_owned());
        // Made here, so that a call that was cut can be made again without a second task.
        let request = ExecuteRequest { request_id: Uuid::new_v4().to_string(), ..asked.ok_or_else(older)? };
        let urls = vec![request.url.clone()];
        let batch = Batch { runner, host: Host::Lasting, requests: vec![request], parallel: 1, signals: &mut signals };
        batch.run(&mut *view(Printer::new(self.format), urls, Host::Lasting)).await
    }
}
