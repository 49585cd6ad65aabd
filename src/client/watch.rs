//! Follows one task over cut streams and restarts of the service: every change once, in order.

use std::time::Duration;

use futures_util::{Stream, stream};

use super::{Error, link::Link, patience::Patience, reopened::Reopened};
use crate::api::v1::{Job, WatchJobRequest, WatchJobResponse, watch_job_response::Kind};

/// One task being followed. Dropping it cancels nothing.
#[derive(Debug)]
pub struct Watch {
    stream: Reopened<WatchJobResponse>,
    request: WatchJobRequest,
    samples: bool,
    told: u64,
    job: Option<Job>,
    over: bool,
}

impl Watch {
    pub(super) fn new(link: Link, patience: Patience, request: WatchJobRequest) -> Self {
        let stream = Reopened::new(link, patience);
        Self { stream, request, samples: false, told: 0, job: None, over: false }
    }

    /// Gives the messages with a reading between changes too: SAMPLE, and HEARTBEAT if it has one.
    #[must_use]
    pub fn with_samples(self) -> Self {
        Self { samples: true, ..self }
    }

    /// The job after the last change that was given.
    #[must_use]
    pub fn job(&self) -> Option<&Job> {
        self.job.as_ref()
    }

    /// The token that goes on behind what was given so far, in another watch too. Empty before the first message.
    #[must_use]
    pub fn resume_token(&self) -> &str {
        &self.request.resume_token
    }

    /// The next message with news of the job; none after the last. Safe to drop: what is known lies in the watch.
    ///
    /// # Errors
    /// When the service refuses, or is away for too long.
    pub async fn next(&mut self) -> Result<Option<WatchJobResponse>, Error> {
        while !self.over {
            match self.receive().await {
                Ok(message) => {
                    if let Some(news) = self.take(message) {
                        return Ok(Some(news));
                    }
                }
                Err(error) => self.stream.failed(error)?,
            }
        }
        Ok(None)
    }

    /// The job after its next change; none after the last. Safe to drop.
    ///
    /// # Errors
    /// As [`Watch::next`].
    pub async fn next_job(&mut self) -> Result<Option<Job>, Error> {
        while let Some(message) = self.next().await? {
            if message.job.is_some() {
                return Ok(message.job);
            }
        }
        Ok(None)
    }

    /// Waits for the end, and gives the job as it is then.
    ///
    /// # Errors
    /// As [`Watch::next`].
    pub async fn finish(mut self) -> Result<Job, Error> {
        while self.next().await?.is_some() {}
        self.job.ok_or_else(|| Error::Away("the watch ended without a word of its job".to_owned()))
    }

    /// The same messages as a stream, which ends with the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<WatchJobResponse, Error>> {
        stream::try_unfold(self, async |mut watch| Ok(watch.next().await?.map(|message| (message, watch))))
    }

    async fn receive(&mut self) -> Result<WatchJobResponse, Error> {
        let request = &self.request;
        let received = self
            .stream
            .receive(|mut client| {
                let request = request.clone();
                async move { client.watch_job(request).await }
            })
            .await?;
        let cut = || Error::Away("the service ended the stream before the task was over".to_owned());
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
        let Some(job) = &message.job else {
            return (self.samples && message.sample.is_some()).then_some(message);
        };
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
