//! The stream of many jobs' changes: a place in the ledger's tail, and nothing else to lag behind.
//!
//! ```text
//!   no token ──> snapshot ──> SYNCED ──> changes as they come
//!      ^                        ^
//!      │ forgotten, ahead       │ caught up
//!      └──────── token ──> the changes missed
//! ```

use std::{pin::Pin, sync::Arc, time::SystemTime, vec};

use futures_util::{FutureExt, stream::unfold};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{
    convert,
    fingerprint::Fingerprint,
    meters::{self, Watching},
    request::lists::ManyWatched,
    resume::{JobsToken, Start},
    status::{self, DRAINING_RETRY, Violation},
    v1::{self, JobSample, WatchJobsResponse, watch_jobs_response::Kind},
    watch::SAMPLE_PAUSE,
};
use crate::{
    job::{Job, TaskId, WallTime},
    ledger::{Fault, Ledger, LedgerId, Position, ReadError, TailEntry},
    runner::{AllSamples, CallError, Runner, Sample},
};

/// What tonic sends to a watcher of many jobs.
pub(super) type WatchJobsStream = Pin<Box<dyn Stream<Item = Result<WatchJobsResponse, Status>> + Send>>;

/// Entries of the tail, and bodies of a snapshot, that a watcher has in hand: more would only wait there.
const READ_MAX: usize = 64;
/// Bytes of the samples in one message, a quarter of what clients take in one by default, and many times the largest
/// sample. Those that do not fit come with the next message.
const SAMPLES_BYTES_MAX: usize = 1024 * 1024;

/// Where a watch of these jobs goes on with this token.
pub(super) fn start(token: &str, watched: &ManyWatched, ledger: LedgerId) -> Result<Start<Position>, Vec<Violation>> {
    if token.is_empty() {
        return Ok(Start::Fresh);
    }
    let fault = |text: &str| vec![Violation::new("resume_token", "RESUME_TOKEN_INVALID", text)];
    let token = JobsToken::read(token).ok_or_else(|| {
        fault("is not a resume token for many jobs; give one of WatchJobs or ListJobs with this filter, or none")
    })?;
    if token.filter != Fingerprint::of_filter(&watched.filter) {
        return Err(fault("is of another filter; give one of this filter, or none"));
    }
    Ok(if token.ledger == ledger { Start::After(token.position) } else { Start::Reset })
}

/// The stream, which counts among the watchers as long as it lives.
pub(super) fn stream(
    runner: &Runner,
    watched: ManyWatched,
    start: Start<Position>,
    watching: Watching,
) -> WatchJobsStream {
    let ledger = Arc::clone(runner.ledger());
    let bell = ledger.tail_bell();
    let (stage, told, goal) = match start {
        Start::Fresh | Start::Reset => (Stage::Begin, None, None),
        Start::After(position) => (Stage::Follow, Some(position), Some(*bell.borrow())),
    };
    if start == Start::Reset {
        meters::reset();
    }
    let watcher = Watcher {
        print: Fingerprint::of_filter(&watched.filter),
        samples: runner.all_samples(),
        leaving: runner.leaving(),
        silent_at: Instant::now() + watched.heartbeat,
        sample_at: Instant::now(),
        reset: start == Start::Reset,
        ledger,
        bell,
        watched,
        stage,
        told,
        goal,
        in_hand: Vec::new().into_iter(),
        _watching: watching,
    };
    Box::pin(unfold(watcher, |mut watcher| async move { watcher.next().await.map(|message| (message, watcher)) }))
}

struct Watcher {
    ledger: Arc<dyn Ledger>,
    bell: watch::Receiver<Position>,
    samples: AllSamples,
    leaving: CancellationToken,
    watched: ManyWatched,
    print: Fingerprint,
    stage: Stage,
    /// The position up to which everything was told; none before that of the snapshot is.
    told: Option<Position>,
    /// Where the tail ended when the stream began, until that is told.
    goal: Option<Position>,
    /// Entries of the tail that come next.
    in_hand: vec::IntoIter<(Position, TailEntry)>,
    /// The next message says that this is a new beginning.
    reset: bool,
    silent_at: Instant,
    sample_at: Instant,
    _watching: Watching,
}

enum Stage {
    /// A snapshot is to be read.
    Begin,
    /// It is being told.
    Snapshot(Bodies),
    Follow,
    Leave,
    End,
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<WatchJobsResponse, Status>> {
        loop {
            if self.leaving.is_cancelled() && !matches!(self.stage, Stage::Leave | Stage::End) {
                self.stage = Stage::Leave;
                let retry_delay = prost_types::Duration::try_from(DRAINING_RETRY).ok();
                return Some(Ok(WatchJobsResponse { retry_delay, ..self.message(Kind::Draining) }));
            }
            let told = match &mut self.stage {
                Stage::Begin => self.begin().await.map(|()| None),
                Stage::Snapshot(bodies) => {
                    let read = bodies.next(&*self.ledger).await;
                    read.map(|job| Some(self.snapshot(job)))
                }
                Stage::Follow => self.follow().await,
                Stage::Leave => {
                    self.stage = Stage::End;
                    return Some(Err(status::draining()));
                }
                Stage::End => return None,
            };
            match told {
                Ok(None) => {}
                Ok(Some(message)) => return Some(Ok(message)),
                Err(ReadError::PositionForgotten(_) | ReadError::PositionAhead(_)) => {
                    meters::reset();
                    (self.stage, self.told, self.goal, self.reset) = (Stage::Begin, None, None, true);
                }
                Err(error @ (ReadError::Store(_) | ReadError::Damaged(_))) => {
                    self.stage = Stage::End;
                    return Some(Err(status::call(&CallError::Ledger(error))));
                }
            }
        }
    }

    async fn begin(&mut self) -> Result<(), ReadError> {
        let now = WallTime::from(SystemTime::now());
        let since = self.watched.since.map(|since| now.saturating_sub(since));
        let snapshot = self.ledger.snapshot(Arc::clone(&self.watched.filter), since).await?;
        let jobs = Vec::new().into_iter();
        self.stage = Stage::Snapshot(Bodies { position: snapshot.position, heads: snapshot.heads.into_iter(), jobs });
        Ok(())
    }

    /// A job of the snapshot, or what follows the last one.
    fn snapshot(&mut self, job: Option<Arc<Job>>) -> WatchJobsResponse {
        match job {
            Some(job) => self.about(Kind::Snapshot, &job),
            None => {
                if let Stage::Snapshot(bodies) = &self.stage {
                    self.told = Some(bodies.position);
                }
                self.stage = Stage::Follow;
                self.synced()
            }
        }
    }

    /// What comes next in the tail, or in the quiet at its end; none to be asked again.
    async fn follow(&mut self) -> Result<Option<WatchJobsResponse>, ReadError> {
        while let Some((position, entry)) = self.in_hand.next() {
            self.told = Some(position);
            match entry {
                TailEntry::Change(job) if self.watched.filter.matches(&job) => {
                    // Once it is synced, what comes is news.
                    if self.goal.is_none() {
                        meters::pushed(&job);
                    }
                    return Ok(Some(self.about(Kind::Change, &job)));
                }
                TailEntry::Removed(id) if self.watched.filter.may_match(id) => {
                    let task_id = id.to_string();
                    return Ok(Some(WatchJobsResponse { task_id, ..self.message(Kind::Removed) }));
                }
                TailEntry::Change(_) | TailEntry::Removed(_) => {}
            }
        }
        // Before the tail is read: what is rung for afterwards wakes.
        self.bell.mark_unchanged();
        let told = self.told.unwrap_or(Position::START);
        self.in_hand = self.ledger.tail(told, READ_MAX).await?.into_iter();
        if self.goal.is_some_and(|goal| told >= goal) {
            return Ok(Some(self.synced()));
        }
        if self.in_hand.len() > 0 {
            return Ok(self.overdue());
        }
        self.quiet().await
    }

    /// Waits for the next thing to tell. A change comes before all else.
    async fn quiet(&mut self) -> Result<Option<WatchJobsResponse>, ReadError> {
        let (sample_at, samples, synced) = (self.sample_at, &mut self.samples, self.goal.is_none());
        let sampled = async move {
            if !synced {
                std::future::pending::<()>().await;
            }
            sleep_until(sample_at).await;
            samples.changed().await;
        };
        tokio::select! {
            biased;
            rung = self.bell.changed() => rung.map(|()| None).map_err(|_gone| Fault::Closed.into()),
            () = self.leaving.cancelled() => Ok(None),
            () = sampled => Ok(self.sampled()),
            () = sleep_until(self.silent_at) => Ok(Some(self.heartbeat())),
        }
    }

    /// What the quiet would bring, for those who never have any: a busy ledger may hold nothing for this watcher.
    fn overdue(&mut self) -> Option<WatchJobsResponse> {
        let now = Instant::now();
        if now >= self.silent_at {
            return Some(self.heartbeat());
        }
        let due = now >= self.sample_at && self.goal.is_none();
        if due && self.samples.changed().now_or_never().is_some() { self.sampled() } else { None }
    }

    fn synced(&mut self) -> WatchJobsResponse {
        if self.goal.take().is_some() {
            meters::resumed();
        }
        self.samples.begin_again();
        WatchJobsResponse { samples: self.newer(), ..self.message(Kind::Synced) }
    }

    fn heartbeat(&mut self) -> WatchJobsResponse {
        self.samples.begin_again();
        WatchJobsResponse { samples: self.newer(), ..self.message(Kind::Heartbeat) }
    }

    /// None when the newer readings are all of other jobs.
    fn sampled(&mut self) -> Option<WatchJobsResponse> {
        let samples = self.newer();
        (!samples.is_empty()).then(|| WatchJobsResponse { samples, ..self.message(Kind::Sample) })
    }

    /// The newer readings of the jobs that are watched, as many as fit into a message.
    fn newer(&mut self) -> Vec<JobSample> {
        self.sample_at = Instant::now() + SAMPLE_PAUSE;
        let (mut samples, mut bytes) = (Vec::new(), 0);
        let fits = |id: TaskId, sample: Sample| {
            let sample = JobSample { task_id: id.to_string(), sample: Some((&sample).into()) };
            bytes += convert::length(&sample);
            let fits = bytes <= SAMPLES_BYTES_MAX;
            samples.extend(fits.then_some(sample));
            fits
        };
        self.samples.give(|job| self.watched.filter.matches(job), fits);
        samples
    }

    fn about(&mut self, kind: Kind, job: &Job) -> WatchJobsResponse {
        let job = v1::Job::from(job);
        WatchJobsResponse { task_id: job.task_id.clone(), job: Some(job), ..self.message(kind) }
    }

    /// A message of its kind, which ends the silence.
    fn message(&mut self, kind: Kind) -> WatchJobsResponse {
        self.silent_at = Instant::now() + self.watched.heartbeat;
        let token = |position| JobsToken { ledger: self.ledger.id(), filter: self.print, position }.to_text();
        WatchJobsResponse {
            kind: kind.into(),
            resume_token: self.told.map(token).unwrap_or_default(),
            reset: std::mem::take(&mut self.reset),
            ..WatchJobsResponse::default()
        }
    }
}

/// The bodies of a snapshot, a few at a time.
struct Bodies {
    position: Position,
    heads: vec::IntoIter<Position>,
    jobs: vec::IntoIter<Arc<Job>>,
}

impl Bodies {
    /// The next one that has not been forgotten meanwhile.
    async fn next(&mut self, ledger: &dyn Ledger) -> Result<Option<Arc<Job>>, ReadError> {
        loop {
            if let Some(job) = self.jobs.next() {
                return Ok(Some(job));
            }
            let heads: Vec<_> = self.heads.by_ref().take(READ_MAX).collect();
            if heads.is_empty() {
                return Ok(None);
            }
            self.jobs = ledger.changes_at(heads).await?.into_iter();
        }
    }
}
