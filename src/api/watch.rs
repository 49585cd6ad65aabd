//! The stream of one job's changes: an index into its log, and nothing else to lag behind.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::stream::unfold;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{
    convert,
    meters::{self, Watching},
    request::Until,
    resume::{ResumeToken, Start},
    status::{self, DRAINING_RETRY, Violation},
    v1::{self, watch_job_response::Kind},
};
use crate::{
    job::{self, Job, TaskId},
    ledger::{JobLog, LedgerId},
    runner::{Samples, Watched},
};

/// What tonic sends to a watcher.
pub(super) type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchJobResponse, Status>> + Send>>;

/// Samples are for people: more than one per second is not read.
pub(super) const SAMPLE_PAUSE: Duration = Duration::from_secs(1);

/// Where a watch of this job begins: where its token says, if it has one.
pub(super) fn start(request: &v1::WatchJobRequest, id: TaskId, ledger: LedgerId) -> Result<Start<u64>, Vec<Violation>> {
    let token = &request.resume_token;
    if token.is_empty() {
        return Ok(if request.from_start { Start::After(0) } else { Start::Fresh });
    }
    let fault = |text: String| vec![Violation::new("resume_token", "RESUME_TOKEN_INVALID", text)];
    let token = ResumeToken::parse(token).map_err(|error| fault(error.to_string()))?;
    if token.task != id {
        return Err(fault(format!("is of task {}; give one of this task, or none", token.task)));
    }
    Ok(if token.ledger == ledger { Start::After(token.revision) } else { Start::Reset })
}

/// How a watch is wanted.
pub(super) struct Plan {
    pub(super) ledger: LedgerId,
    pub(super) start: Start<u64>,
    pub(super) until: Until,
    pub(super) heartbeat: Duration,
    /// Counts this stream among the watchers for as long as it lives.
    pub(super) _watching: Watching,
}

pub(super) fn stream(watched: Watched, plan: Plan) -> WatchStream {
    let Watched { log, samples, leaving } = watched;
    let watcher = Watcher {
        bell: log.bell(),
        log,
        samples,
        leaving,
        plan,
        stage: Stage::Begin,
        up_to_date: false,
        told: 0,
        status: v1::job::Status::Unspecified,
        over: false,
        sample_at: Instant::now(),
    };
    Box::pin(unfold(watcher, |mut watcher| async move { watcher.next().await.map(|message| (message, watcher)) }))
}

struct Watcher {
    log: Arc<JobLog>,
    bell: watch::Receiver<u64>,
    samples: Option<Samples>,
    leaving: CancellationToken,
    plan: Plan,
    stage: Stage,
    /// It has heard all there was at some moment: what comes now is news.
    up_to_date: bool,
    /// The revision up to which everything was told.
    told: u64,
    /// The status at that revision.
    status: v1::job::Status,
    /// That status is a terminal one.
    over: bool,
    sample_at: Instant,
}

#[derive(Clone, Copy)]
enum Stage {
    Begin,
    Follow,
    Leave,
    End,
}

/// What there is to tell when no change is there.
enum Quiet {
    Changed,
    Sampled,
    Silent,
    Leaving,
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<v1::WatchJobResponse, Status>> {
        match self.stage {
            Stage::Begin => match self.begin() {
                Some(snapshot) => Some(Ok(snapshot)),
                None => self.follow().await,
            },
            Stage::Follow => self.follow().await,
            Stage::Leave => {
                self.stage = Stage::End;
                Some(Err(status::draining()))
            }
            Stage::End => None,
        }
    }

    /// The first message, or none when changes come instead of it.
    fn begin(&mut self) -> Option<v1::WatchJobResponse> {
        self.stage = Stage::Follow;
        let latest = self.log.latest();
        let reset = match self.plan.start {
            Start::Fresh => false,
            Start::Reset => true,
            Start::After(revision) if revision > latest.revision => true,
            Start::After(revision) => {
                // The log begins at revision 1, so only the start itself has no change to stand on.
                let at = revision.checked_sub(1).and_then(|before| self.log.after(before));
                match at {
                    // The end was told before: told again, so that this stream too ends with it.
                    Some(job) if self.is_end(&job) => false,
                    at => {
                        self.told = revision;
                        self.over = at.as_ref().is_some_and(|job| job.status.is_terminal());
                        self.status = at.map_or(v1::job::Status::Unspecified, |job| convert::status(job.status));
                        meters::resumed();
                        return None;
                    }
                }
            }
        };
        if reset {
            meters::reset();
        } else if matches!(self.plan.start, Start::After(_)) {
            meters::resumed();
        }
        Some(self.tell(Kind::Snapshot, &latest, reset))
    }

    async fn follow(&mut self) -> Option<Result<v1::WatchJobResponse, Status>> {
        loop {
            if let Some(change) = self.log.after(self.told) {
                return Some(Ok(self.tell(Kind::Change, &change, false)));
            }
            self.up_to_date = true;
            match self.quiet().await {
                Quiet::Changed => {}
                Quiet::Sampled => {
                    self.sample_at = Instant::now() + SAMPLE_PAUSE;
                    return Some(Ok(self.reading(Kind::Sample)));
                }
                Quiet::Silent => return Some(Ok(self.reading(Kind::Heartbeat))),
                Quiet::Leaving => {
                    self.stage = Stage::Leave;
                    let retry_delay = prost_types::Duration::try_from(DRAINING_RETRY).ok();
                    return Some(Ok(v1::WatchJobResponse { retry_delay, ..self.reading(Kind::Draining) }));
                }
            }
        }
    }

    /// Waits for the next thing to tell. A change comes before all else.
    async fn quiet(&mut self) -> Quiet {
        let (sample_at, samples) = (self.sample_at, self.samples.as_mut());
        let sampled = async move {
            match samples {
                Some(samples) => {
                    sleep_until(sample_at).await;
                    samples.changed().await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // The bell lives in the log, which this watcher holds.
            _ = self.bell.changed() => Quiet::Changed,
            () = self.leaving.cancelled() => Quiet::Leaving,
            () = sampled => Quiet::Sampled,
            () = sleep(self.plan.heartbeat) => Quiet::Silent,
        }
    }

    /// A message with the job, after which everything up to its revision is told.
    fn tell(&mut self, kind: Kind, job: &Job, reset: bool) -> v1::WatchJobResponse {
        let is_end = self.is_end(job);
        if is_end {
            self.stage = Stage::End;
        }
        let over = matches!(job.status.phase(), job::Phase::Over);
        if kind == Kind::Change && self.up_to_date && over && !self.over {
            meters::pushed_end(job);
        }
        self.over = over;
        let previous_status = match kind {
            Kind::Change => self.status,
            Kind::Unspecified | Kind::Snapshot | Kind::Heartbeat | Kind::Sample | Kind::Draining => {
                v1::job::Status::Unspecified
            }
        };
        self.told = job.revision;
        self.status = convert::status(job.status);
        let sample = if kind == Kind::Snapshot { self.sample() } else { None };
        v1::WatchJobResponse {
            kind: kind.into(),
            job: Some(job.into()),
            previous_status: previous_status.into(),
            revision: job.revision,
            resume_token: self.token(),
            reset,
            r#final: is_end,
            sample,
            retry_delay: None,
        }
    }

    /// A message without the job.
    fn reading(&mut self, kind: Kind) -> v1::WatchJobResponse {
        v1::WatchJobResponse {
            kind: kind.into(),
            revision: self.told,
            resume_token: self.token(),
            sample: self.sample(),
            ..v1::WatchJobResponse::default()
        }
    }

    fn sample(&mut self) -> Option<v1::Sample> {
        self.samples.as_mut().map(|samples| (&samples.latest()).into())
    }

    fn token(&self) -> String {
        ResumeToken { ledger: self.plan.ledger, task: self.log.id(), revision: self.told }.to_text()
    }

    fn is_end(&self, job: &Job) -> bool {
        let over = matches!(job.status.phase(), job::Phase::Over);
        match self.plan.until {
            Until::TaskDone => over,
            Until::ProcessExited => over && !job.is_process_alive(),
        }
    }
}
