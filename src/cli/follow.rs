//! Follows one task over cut streams and restarts of the service: every change once, in order.

use std::time::Duration;

use super::{
    Exit, Problem,
    connect::{Client, Target},
    patience::Patience,
    reopened::Reopened,
};
use crate::api::v1::{Job, WatchJobRequest, WatchJobResponse, watch_job_response::Kind};

/// One task being followed. [`Follow::next`] is safe to drop: what is known lies here, not in the future.
pub(super) struct Follow {
    stream: Reopened<WatchJobResponse>,
    request: WatchJobRequest,
    told: u64,
    job: Option<Job>,
    over: bool,
}

impl Follow {
    /// Begins where `request` says: with a snapshot, or behind its resume token.
    pub(super) fn new(target: Target, client: Client, request: WatchJobRequest, patience: Patience) -> Self {
        let stream = Reopened::new(target, client, patience);
        Self { stream, request, told: 0, job: None, over: false }
    }

    /// How the task lets its verb end, once there is no more to tell.
    pub(super) fn exit(&self) -> Exit {
        self.job.as_ref().map_or(Exit::Done, Exit::of)
    }

    /// The next message with news of the job; none after the last.
    pub(super) async fn next(&mut self) -> Result<Option<WatchJobResponse>, Problem> {
        while !self.over {
            match self.receive().await {
                Ok(message) => {
                    if let Some(news) = self.take(message) {
                        return Ok(Some(news));
                    }
                }
                Err(problem) => self.stream.failed(problem)?,
            }
        }
        Ok(None)
    }

    async fn receive(&mut self) -> Result<WatchJobResponse, Problem> {
        let request = &self.request;
        let received = self.stream.receive(async |client| client.watch_job(request.clone()).await).await?;
        let cut = || Problem::NoService("the service ended the stream before the task was over".to_owned());
        received.ok_or_else(cut)
    }

    /// Keeps what a message says, and passes it on if it tells something new.
    fn take(&mut self, message: WatchJobResponse) -> Option<WatchJobResponse> {
        self.stream.patience.heard();
        if !message.resume_token.is_empty() {
            self.request.resume_token.clone_from(&message.resume_token);
        }
        if message.kind() == Kind::Draining {
            self.stream.patience.told_to_wait(message.retry_delay.and_then(|delay| Duration::try_from(delay).ok()));
        }
        self.over = message.r#final;
        let job = message.job.as_ref()?;
        // Revisions only fall when the store itself was put back, and then the stream says so.
        let news = job.revision > self.told || (message.reset && job.revision != self.told);
        if !news {
            return None;
        }
        self.told = job.revision;
        self.job = Some(job.clone());
        Some(message)
    }
}

#[cfg(test)]
mod tests;
