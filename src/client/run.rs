//! One task from its Execute to its end.

use super::{Error, Runner, Watch};
use crate::api::v1::{CancelJobRequest, ExecuteResponse, Job, WatchJobRequest, WatchJobResponse};

/// A task that was made here, and the watch of it. Dropping it cancels nothing.
#[derive(Debug)]
pub struct Run {
    runner: Runner,
    made: ExecuteResponse,
    watch: Watch,
}

impl Run {
    pub(super) fn new(runner: Runner, made: ExecuteResponse) -> Self {
        let request = WatchJobRequest {
            task_id: made.task_id.clone(),
            resume_token: made.resume_token.clone(),
            ..WatchJobRequest::default()
        };
        let watch = runner.watch(request);
        Self { runner, made, watch }
    }

    /// The task's name.
    #[must_use]
    pub fn task_id(&self) -> &str {
        &self.made.task_id
    }

    /// What Execute answered: the callback token is in it.
    #[must_use]
    pub fn made(&self) -> &ExecuteResponse {
        &self.made
    }

    /// The next change, the first one first; none after the last. Safe to drop.
    ///
    /// # Errors
    /// As [`Watch::next`].
    pub async fn next(&mut self) -> Result<Option<WatchJobResponse>, Error> {
        self.watch.next().await
    }

    /// The job after its next change; none after the last. Safe to drop.
    ///
    /// # Errors
    /// As [`Watch::next`].
    pub async fn next_job(&mut self) -> Result<Option<Job>, Error> {
        self.watch.next_job().await
    }

    /// Waits for the end, and gives the job as it is then.
    ///
    /// # Errors
    /// As [`Watch::next`].
    pub async fn finish(self) -> Result<Job, Error> {
        self.watch.finish().await
    }

    /// Asks to end the task; with `force` its browser is killed at once. Go on with `next` or `finish` to see it ended.
    ///
    /// # Errors
    /// As [`Runner::cancel`].
    pub async fn cancel(&self, force: bool) -> Result<(), Error> {
        let request = CancelJobRequest { task_id: self.made.task_id.clone(), termination_grace: None, force };
        self.runner.cancel(request).await?;
        Ok(())
    }
}
