//! Looks after one job: facts in from its shim, commands out to its browser, asks answered in between.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Cancellation, Host, PageReport, Reported,
    admission::{Grant, ProfileHold, Slot},
    adopt::Opening,
    host::boot_now,
    live::{Ask, Attended},
    meters,
    recorder::Recorded,
};
use crate::{
    browser::Session,
    job::{
        AfterFinish, BootTime, Completion, Deadline, EventId, ExitStatus, Fact, Job, LaunchFailure, LostCause, PageEnd,
        Phase, Process, Refusal, StopStep, TaskId, Tier, Timeout, TreeEnd,
    },
    process::{self, AwayCause, Exited, Numbered, Order, Place, Shim, Stop, Told, exit_file},
};

/// Whether a job goes on, and with what.
pub(super) enum Stay<T> {
    Going(T),
    Over,
}

/// Looks after one job.
pub(super) struct Attendant {
    pub(super) host: Arc<Host>,
    pub(super) attended: Attended,
    pub(super) dequeued_at: BootTime,
    /// The word was given: there may be a browser.
    pub(super) launched: bool,
    /// When it was given, by this service.
    pub(super) word_at: Option<Instant>,
    pub(super) place: Place,
    pub(super) opening: Opening,
    slot: Option<Slot>,
    profile: Option<ProfileHold>,
    shim: Option<Shim>,
    pub(super) session: Option<Session>,
    heard_at: BootTime,
    acknowledged: u64,
    /// What the next stop is to allow; a cancellation can shorten it.
    grace: Duration,
    stop_sent: Option<Duration>,
    disarmed: bool,
    /// How far the stop had gone when the browser process ended.
    exit_step: StopStep,
    /// When the shim last told of an end: it waits only so long to be heard.
    end_told_at: Option<Instant>,
}

/// How many messages without meaning may stay unacknowledged: a restart hears them again, harmlessly.
const UNACKNOWLEDGED_MAX: u64 = 64;
/// How long a leaving service waits for the shim of a job that is over: it takes a profile's directory away meanwhile.
const PART_MAX: Duration = Duration::from_secs(2);
/// How long a browser has to close itself when asked over its pipe.
const CLOSE_MAX: Duration = Duration::from_secs(1);
/// How long it then has before it is sent SIGTERM.
const PIPE_END_MAX: Duration = Duration::from_secs(1);

impl Attendant {
    /// Boxed, since it is handed on from one part of a job's life to the next.
    pub(super) fn new(host: Arc<Host>, attended: Attended) -> Box<Self> {
        let job = attended.live.log.latest();
        Box::new(Self {
            place: host.dirs.place(&job.id.to_string()),
            grace: job.spec.grace,
            dequeued_at: boot_now(),
            launched: false,
            word_at: None,
            opening: Opening::Fresh,
            slot: None,
            profile: None,
            shim: None,
            session: None,
            heard_at: boot_now(),
            acknowledged: 0,
            stop_sent: None,
            disarmed: false,
            exit_step: StopStep::ByItself,
            end_told_at: None,
            host,
            attended,
        })
    }

    pub(super) fn job(&self) -> Arc<Job> {
        self.attended.live.log.latest()
    }

    pub(super) fn id(&self) -> TaskId {
        self.attended.live.log.id()
    }

    pub(super) fn hold(&mut self, grant: Grant) {
        self.slot = Some(grant.slot);
        self.profile = Some(grant.profile);
    }

    pub(super) fn hold_profile(&mut self, profile: ProfileHold) {
        self.profile = Some(profile);
    }

    pub(super) fn take_up(&mut self, shim: Shim) {
        self.launched = true;
        self.attended.live.lives_below(shim.hello().shim.clone());
        self.shim = Some(shim);
    }

    /// Until nothing more can happen to the job by itself, or the service leaves.
    ///
    /// What is done on waking is boxed, so that a job that waits, as most do most of the time, is small.
    pub(super) async fn run(mut self: Box<Self>) {
        loop {
            Box::pin(self.follow_up()).await;
            let job = self.job();
            if job.is_settled() {
                break;
            }
            let deadline = if job.process.is_some() { job.deadline(self.heard_at) } else { self.launch_deadline() };
            let Some(shim) = self.shim.as_mut() else { return };
            tokio::select! {
                told = shim.next() => match told {
                    Some(numbered) => Box::pin(self.hear(numbered)).await,
                    None => Box::pin(self.shim_gone()).await,
                },
                Some(ask) = self.attended.asked.recv() => Box::pin(self.answer(ask)).await,
                timeout = Self::passing(deadline) => {
                    Box::pin(self.record(Fact::DeadlinePassed { timeout, launched: true })).await;
                }
                () = self.host.leaving.cancelled() => return,
            }
            if self.host.leaving.is_cancelled() {
                return;
            }
        }
        Box::pin(self.part()).await;
    }

    /// Hears again what a shim left in writing, then is done with it.
    pub(super) async fn read_left(mut self: Box<Self>) {
        self.launched = true;
        self.shim_gone().await;
        if !self.host.leaving.is_cancelled() {
            self.part().await;
        }
    }

    /// The last acknowledgement lets the shim clean up and leave; a named profile is free only then.
    async fn part(self: Box<Self>) {
        let heard_in_time =
            self.shim.is_some() && self.end_told_at.is_some_and(|at| at.elapsed() < process::ACKNOWLEDGE_MAX / 2);
        let Self { host, attended, place, profile, shim, slot, .. } = *self;
        let task_id = attended.live.log.id();
        drop(slot);
        // Not to be asked any more: what comes now is recorded without an attendant.
        let presence = attended.withdraw();
        if let Some(mut shim) = shim {
            let given_up = async {
                host.leaving.cancelled().await;
                tokio::time::sleep(PART_MAX).await;
            };
            tokio::select! {
                () = async { while shim.next().await.is_some() {} } => {}
                () = given_up => return,
            }
        }
        // A shim that was heard in time has cleared up; one that was not, or that died, has left something.
        if !heard_in_time {
            match tokio::task::spawn_blocking(move || place.wipe()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%task_id, %error, "the job's files could not be removed"),
                Err(error) => tracing::warn!(%task_id, %error, "the job's files could not be removed"),
            }
        }
        drop((profile, presence));
    }

    /// One message of the shim: what it means is made durable before it is acknowledged.
    async fn hear(&mut self, Numbered { number, told }: Numbered) {
        if matches!(told, Told::Refused(_) | Told::Exited(_) | Told::Empty(_)) {
            self.end_told_at = Some(Instant::now());
        }
        let weighty = match told {
            Told::Started(started) => {
                let process = Process {
                    pid: started.pid,
                    start_ticks: started.start_ticks,
                    dequeued_at: self.dequeued_at,
                    up_at: boot_now(),
                };
                self.record_numbered(number, 0, Fact::Launched(process)).await;
                self.word_at.take().into_iter().for_each(meters::launched);
                self.open_session().await;
                true
            }
            Told::Refused(refused) => {
                let held = refused.is_lock_held();
                let failure = if held { LaunchFailure::ProfileHeld } else { LaunchFailure::Refused };
                self.record_numbered(number, 0, Fact::LaunchFailed { failure, message: refused.to_string() }).await;
                true
            }
            Told::Browser(message) => self.hear_browser(number, &message).await,
            Told::Exited(exited) => {
                self.hear_exit(number, exited).await;
                true
            }
            Told::Empty(empty) => {
                let tree = tree_end(self.exit_step, empty.killed);
                self.record_numbered(number, 0, Fact::TreeEmptied(tree)).await;
                true
            }
        };
        if self.job().is_settled() {
            // Watchers first: heard, the shim clears up, which is the most work that it ever does.
            tokio::task::yield_now().await;
        }
        if weighty || number - self.acknowledged >= UNACKNOWLEDGED_MAX {
            self.acknowledge(number).await;
        }
    }

    async fn hear_exit(&mut self, number: u64, exited: Exited) {
        // The shim ended it while nobody was attached: the timeout is what decides, the exit follows from it.
        let timeout = exited.cause.map(|cause| match cause {
            AwayCause::RunTimeout => Timeout::Run,
            AwayCause::ServiceAway => Timeout::ServiceAway,
        });
        if let Some(timeout) = timeout {
            self.record_numbered(number, 1, Fact::DeadlinePassed { timeout, launched: true }).await;
        }
        let status = match exited.status {
            process::ExitStatus::Code(code) => ExitStatus::Code(code),
            process::ExitStatus::Signal(signal) => ExitStatus::Signal(signal),
        };
        self.exit_step = stop_step(exited.stopped_by);
        let tree = exited.empty.then(|| tree_end(self.exit_step, exited.killed));
        let mut output_tail = exited.output_tail;
        if !output_tail.is_empty() {
            // A browser may print the URL that it was told, and that may hold the token.
            output_tail = output_tail.replace(&self.host.key.callback_token(self.id()), "[token]");
        }
        let fact = Fact::Exited { status, output_tail, tree };
        self.record_numbered(number, 0, fact).await;
    }

    /// Without an exit there may be word in writing; without that, nobody knows.
    async fn shim_gone(&mut self) {
        self.shim = None;
        match exit_file::read(&self.place) {
            Ok(Some(left)) => {
                for numbered in left.frames {
                    self.hear(numbered).await;
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(task_id = %self.id(), %error, "the shim's last word cannot be read"),
        }
        if !self.job().is_settled() && !self.host.leaving.is_cancelled() {
            self.record(Fact::Lost(LostCause::ShimDied)).await;
        }
    }

    /// Does what the job's state asks for, once each.
    async fn follow_up(&mut self) {
        let job = self.job();
        let page_closed = job.page_end == Some(PageEnd::Closed);
        match job.status.phase() {
            Phase::Waiting => {}
            // A browser without its page may never leave by itself.
            Phase::Running if page_closed && job.spec.completion == Completion::ProcessExit => self.stop().await,
            Phase::Running => {}
            Phase::Stopping => self.stop().await,
            Phase::Over => {
                self.slot = None;
                if !std::mem::replace(&mut self.disarmed, true) {
                    self.send(Order::Disarm).await;
                }
                if job.exit.is_none() && (page_closed || job.spec.after_finish == AfterFinish::Close) {
                    self.stop().await;
                }
            }
        }
    }

    /// Begins the stop ladder, or shortens it; the shim climbs it alone from here.
    async fn stop(&mut self) {
        if self.stop_sent.is_some_and(|sent| sent <= self.grace) {
            return;
        }
        self.stop_sent = Some(self.grace);
        let job = self.job();
        let managed = job.spec.tier == Tier::Managed;
        if managed && let Some(session) = self.session.as_mut() {
            let close = session.close_browser();
            self.send(Order::Browser(close)).await;
        }
        let (close_pipe, term) = if managed { ladder(self.grace) } else { (Duration::ZERO, Duration::ZERO) };
        self.send(Order::Stop(Stop {
            close_pipe_after_ms: millis(close_pipe),
            term_after_ms: millis(term),
            kill_after_ms: millis(self.grace),
        }))
        .await;
    }

    /// True once the browser was told to go: what its page does then is our doing.
    pub(super) fn is_stopping(&self) -> bool {
        self.stop_sent.is_some()
    }

    /// Answers somebody who asked about this job.
    pub(super) async fn answer(&mut self, ask: Box<Ask>) {
        match *ask {
            Ask::Cancel(cancellation, reply) => {
                self.cancel(cancellation).await;
                drop(reply.send(self.job()));
            }
            Ask::Report(report, reply) => {
                // Without an answer the caller learns that the service is leaving.
                if let Some(answer) = self.take_report(report).await {
                    drop(reply.send(answer));
                }
            }
        }
    }

    async fn cancel(&mut self, cancellation: Cancellation) {
        if let Some(grace) = cancellation.grace {
            self.grace = grace;
        }
        let finished = self.job().status.is_terminal();
        let launched = self.launched;
        if finished {
            // It was kept open, and is no longer wanted.
            self.stop().await;
        } else {
            self.record(Fact::CancelAsked { launched }).await;
        }
    }

    async fn take_report(&mut self, report: PageReport) -> Option<Result<Reported, Refusal>> {
        match report {
            PageReport::Alive { progress, message } => Some(self.hear_alive(progress, message)),
            PageReport::End { status, message, result } => {
                self.heard_at = boot_now();
                Some(match self.record(Fact::Reported { status, message, result }).await {
                    Recorded::Changed(job) => Ok(Reported { job, applied: true }),
                    Recorded::Unchanged => Ok(Reported { job: self.job(), applied: false }),
                    Recorded::Refused(refusal) => Err(refusal),
                    Recorded::Interrupted => return None,
                })
            }
        }
    }

    /// A sign of life: a reading, not a change.
    pub(super) fn hear_alive(&mut self, progress: Option<u8>, message: String) -> Result<Reported, Refusal> {
        let job = self.job();
        match job.status.phase() {
            Phase::Waiting => Err(Refusal::NotLaunched),
            Phase::Running | Phase::Stopping => {
                self.heard_at = boot_now();
                self.attended.live.resample(|sample| {
                    sample.progress = progress.or(sample.progress);
                    sample.progress_message = message;
                });
                Ok(Reported { job, applied: true })
            }
            Phase::Over => Ok(Reported { job, applied: false }),
        }
    }

    pub(super) fn heard(&mut self) {
        self.heard_at = boot_now();
    }

    pub(super) async fn record(&self, fact: Fact) -> Recorded {
        self.host.recorder(&self.attended.live.log).record(fact).await
    }

    /// Records a fact of the shim's message: heard again, it has the same id.
    pub(super) async fn record_numbered(&self, number: u64, index: u8, fact: Fact) -> Recorded {
        let id = EventId::numbered(self.attempt_source(), (number << 8) | u64::from(index));
        self.host.recorder(&self.attended.live.log).record_as(id, fact).await
    }

    /// Messages are numbered anew for each attempt.
    fn attempt_source(&self) -> u64 {
        u64::from(self.job().attempt)
    }

    pub(super) async fn send(&mut self, order: Order) {
        if let Some(shim) = self.shim.as_mut()
            && let Err(error) = shim.send(&order).await
        {
            // Its end is noticed, and dealt with, where its messages are read.
            tracing::debug!(task_id = %self.id(), %error, "the shim did not take an order");
        }
    }

    async fn acknowledge(&mut self, number: u64) {
        if self.host.leaving.is_cancelled() {
            return;
        }
        self.acknowledged = number;
        self.send(Order::Ack(number)).await;
    }

    /// Until the browser is up, only the launch can run out of time.
    pub(super) fn launch_deadline(&self) -> Option<Deadline> {
        let launch = self.job().spec.timeouts.launch?;
        Some(Deadline { at: self.dequeued_at.saturating_add(launch), timeout: Timeout::Launch })
    }

    /// Waits until a deadline passes; for ever without one.
    pub(super) async fn passing(deadline: Option<Deadline>) -> Timeout {
        let Some(deadline) = deadline else { return std::future::pending().await };
        // The timer's clock stands still while the machine sleeps, so what is left is looked at again.
        loop {
            let left = deadline.at.saturating_since(boot_now());
            if left.is_zero() {
                return deadline.timeout;
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// When the pipe is closed and SIGTERM sent, within a grace.
fn ladder(grace: Duration) -> (Duration, Duration) {
    let close_pipe = CLOSE_MAX.min(grace / 3);
    (close_pipe, (close_pipe + PIPE_END_MAX).min(grace * 2 / 3))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// What the root left behind may have to be killed although it left by itself.
fn tree_end(exit_step: StopStep, killed: u32) -> TreeEnd {
    TreeEnd { step: if killed > 0 { StopStep::Killed } else { exit_step }, killed }
}

fn stop_step(step: process::StopStep) -> StopStep {
    match step {
        process::StopStep::None => StopStep::ByItself,
        process::StopStep::PipeClosed => StopStep::Closed,
        process::StopStep::Terminated => StopStep::Terminated,
        process::StopStep::Killed => StopStep::Killed,
    }
}
