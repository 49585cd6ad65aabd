//! Looks after one job: facts in from its shim, commands out to its browser, asks answered in between.

mod answer;
mod hear;
mod stop;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Host,
    admission::{Grant, ProfileHold, Slot},
    adopt::Opening,
    host::boot_now,
    live::Attended,
    reach::Reach,
    recorder::Recorded,
};
use crate::{
    browser::Session,
    job::{BootTime, Deadline, EventId, Fact, Job, StopStep, TaskId, Timeout},
    process::{self, Order, Place},
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
    reach: Option<Reach>,
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

/// How long a leaving service waits for the shim of a job that is over: it takes a profile's directory away meanwhile.
const PART_MAX: Duration = Duration::from_secs(2);
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
            reach: None,
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

    pub(super) fn take_up(&mut self, reach: Reach) {
        self.launched = true;
        self.exit_step = reach.least_step();
        self.attended.live.lives_below(reach.shim().clone());
        self.reach = Some(reach);
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
            let Some(reach) = self.reach.as_mut() else { return };
            tokio::select! {
                told = reach.next() => match told {
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
        let own = self.reach.as_ref().is_some_and(|reach| !reach.is_shared());
        let heard_in_time = own && self.end_told_at.is_some_and(|at| at.elapsed() < process::ACKNOWLEDGE_MAX / 2);
        let Self { host, attended, place, profile, reach, slot, .. } = *self;
        let task_id = attended.live.log.id();
        drop(slot);
        // Not to be asked any more: what comes now is recorded without an attendant.
        let presence = attended.withdraw();
        if let Some(Reach::Own(mut shim)) = reach {
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
        if let Some(reach) = self.reach.as_mut()
            && let Err(error) = reach.send(order).await
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
