//! Follows many tasks on one stream, over cuts and restarts of the service: every change once, in order for each job.

use std::time::Duration;

use futures_util::{Stream, stream};

use super::{Error, link::Link, patience::Patience, reopened::Reopened};
use crate::api::v1::{WatchJobsRequest, WatchJobsResponse, watch_jobs_response::Kind};

/// Many tasks being followed. Dropping it cancels nothing.
#[derive(Debug)]
pub struct WatchJobs {
    stream: Reopened<WatchJobsResponse>,
    request: WatchJobsRequest,
    snapshot: Snapshot,
}

/// How far the snapshot is that a stream without a token begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Snapshot {
    /// None was begun, or the last one is whole.
    Whole,
    /// It is being told.
    Begun,
    /// It was cut. The next one tells all again, and not what is gone meanwhile.
    Cut,
}

impl WatchJobs {
    pub(super) fn new(link: Link, patience: Patience, request: WatchJobsRequest) -> Self {
        Self { stream: Reopened::new(link, patience), request, snapshot: Snapshot::Whole }
    }

    /// The token that goes on behind what was given so far, in another watch too. Empty until SYNCED.
    #[must_use]
    pub fn resume_token(&self) -> &str {
        &self.request.resume_token
    }

    /// The next message of any kind but DRAINING, which is dealt with here. Safe to drop.
    ///
    /// A snapshot that was cut is told anew: its first message has `reset`, as one has that skips changes. Forget then
    /// what is not in it.
    ///
    /// # Errors
    /// When the service refuses, or is away for too long.
    pub async fn next(&mut self) -> Result<WatchJobsResponse, Error> {
        loop {
            match self.receive().await {
                Ok(message) => {
                    if let Some(message) = self.take(message) {
                        return Ok(message);
                    }
                }
                Err(error) => {
                    self.cut();
                    self.stream.failed(error)?;
                }
            }
        }
    }

    /// The same messages as a stream, which ends with the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<WatchJobsResponse, Error>> {
        stream::try_unfold(self, async |mut watch| Ok(Some((watch.next().await?, watch))))
    }

    async fn receive(&mut self) -> Result<WatchJobsResponse, Error> {
        let request = &self.request;
        let received = self
            .stream
            .receive(|mut client| {
                let request = request.clone();
                async move { client.watch_jobs(request).await }
            })
            .await?;
        received.ok_or_else(|| Error::Away("the service ended a stream that has no end".to_owned()))
    }

    fn cut(&mut self) {
        if self.snapshot == Snapshot::Begun {
            self.snapshot = Snapshot::Cut;
        }
    }

    /// Keeps what a message says, and passes it on unless it is about the stream alone.
    fn take(&mut self, mut message: WatchJobsResponse) -> Option<WatchJobsResponse> {
        self.stream.patience.heard();
        if !message.resume_token.is_empty() {
            self.request.resume_token.clone_from(&message.resume_token);
        }
        match message.kind() {
            Kind::Draining => {
                self.stream.patience.told_to_wait(message.retry_delay.and_then(|delay| Duration::try_from(delay).ok()));
                return None;
            }
            Kind::Snapshot | Kind::Synced => {
                message.reset |= self.snapshot == Snapshot::Cut;
                // A token that could not be honoured is worth nothing while its snapshot is told.
                if message.kind() == Kind::Snapshot {
                    self.snapshot = Snapshot::Begun;
                    self.request.resume_token.clone_from(&message.resume_token);
                } else {
                    self.snapshot = Snapshot::Whole;
                }
            }
            Kind::Unspecified | Kind::Change | Kind::Removed | Kind::Heartbeat | Kind::Sample => {}
        }
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Target, *};
    use crate::api::v1::Job;

    fn watch() -> WatchJobs {
        let link = Link::new(Target::on("/nowhere"));
        WatchJobs::new(link, Patience::new(Duration::ZERO), WatchJobsRequest::default())
    }

    fn say(kind: Kind, token: &str) -> WatchJobsResponse {
        let job = matches!(kind, Kind::Snapshot | Kind::Change).then(Job::default);
        WatchJobsResponse { kind: kind.into(), job, resume_token: token.to_owned(), ..WatchJobsResponse::default() }
    }

    #[test]
    fn a_snapshot_that_was_cut_is_forgotten_with_the_first_message_of_the_next() {
        for first_of_next in [Kind::Snapshot, Kind::Synced] {
            let mut watch = watch();
            assert!(!watch.take(say(Kind::Snapshot, "")).unwrap().reset);
            watch.cut();
            assert!(watch.take(say(first_of_next, "")).unwrap().reset);
            assert!(!watch.take(say(Kind::Synced, "a")).unwrap().reset, "only the first");
        }
    }

    #[test]
    fn a_cut_behind_the_snapshot_goes_on_behind_the_last_token_and_forgets_nothing() {
        let mut watch = watch();
        for (kind, token) in [(Kind::Snapshot, ""), (Kind::Synced, "a"), (Kind::Change, "b"), (Kind::Heartbeat, "c")] {
            watch.take(say(kind, token)).unwrap();
            assert_eq!(watch.resume_token(), token);
        }
        watch.cut();
        assert!(!watch.take(say(Kind::Change, "d")).unwrap().reset);
        assert!(!watch.take(say(Kind::Synced, "e")).unwrap().reset);
        assert_eq!(watch.resume_token(), "e");
    }

    #[test]
    fn a_token_that_was_not_honoured_is_not_shown_again_while_its_snapshot_is_told() {
        let mut watch = watch();
        watch.take(say(Kind::Change, "old"));
        watch.cut();
        let anew = WatchJobsResponse { reset: true, ..say(Kind::Snapshot, "") };
        assert!(watch.take(anew).unwrap().reset);
        assert_eq!(watch.resume_token(), "", "a cut now begins the snapshot again");
    }

    #[test]
    fn a_service_that_leaves_is_no_news() {
        assert_eq!(watch().take(say(Kind::Draining, "a")), None);
    }
}
