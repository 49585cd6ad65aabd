//! Looks after one job: facts in from its shim, commands out to its browser, asks answered in between.

mod answer;
mod downloads;
mod hear;
mod log;
mod proof;
mod room;
mod stop;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Host,
    admission::{BrowserHold, Grant, Launch, Slot},
    adopt::Opening,
    ask::Reply,
    evidence::Evidence,
    files,
    host::{boot_now, in_thread},
    live::Attended,
    reach::Reach,
    recorder::Recorded,
};
use tokio::sync::oneshot;

use crate::{
    browser::{Answer, NoAnswer, Question, Session},
    job::{BootTime, Deadline, EventId, Fact, Job, Phase, StopStep, TaskId, Timeout},
    process::{Order, Place, exit_file},
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
    launch: Option<Launch>,
    browser: Option<BrowserHold>,
    /// Comes when the window, which was kept open, has to make room.
    evicted: Option<oneshot::Receiver<()>>,
    reach: Option<Reach>,
    pub(super) session: Option<Session>,
    /// Who waits for the page to be in front: the latest alone, since one window is put there at a time.
    pub(super) fronting: Option<Reply<()>>,
    heard_at: BootTime,
    acknowledged: u64,
    /// What the next stop is to allow; a cancellation can shorten it.
    grace: Duration,
    stop_sent: Option<Duration>,
    disarmed: bool,
    /// How far the stop had gone when the browser process ended.
    exit_step: StopStep,
    /// Who waits for what its page answers, by the question's number. As many as the session takes.
    pub(super) asked_of_page: HashMap<u32, Reply<Result<Answer, NoAnswer>>>,
    /// What its page is to be asked once it is there.
    unasked: Vec<(Question, Reply<Result<Answer, NoAnswer>>)>,
    pub(super) evidence: Evidence,
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
            launch: None,
            browser: None,
            evicted: None,
            reach: None,
            session: None,
            fronting: None,
            heard_at: boot_now(),
            acknowledged: 0,
            stop_sent: None,
            disarmed: false,
            exit_step: StopStep::ByItself,
            asked_of_page: HashMap::new(),
            unasked: Vec::new(),
            evidence: Evidence::of(&job),
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
        self.launch = Some(grant.launch);
        self.browser = Some(grant.browser);
    }

    /// Of a browser that was found alive; without a slot when its task is over.
    pub(super) fn hold_found(&mut self, slot: Option<Slot>, browser: BrowserHold) {
        self.slot = slot;
        self.browser = Some(browser);
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
        let settled = Box::pin(self.attend()).await;
        Box::pin(self.keep_log()).await;
        if settled {
            Box::pin(self.part()).await;
        }
    }

    /// True when nothing more can happen; false when the service leaves before that.
    async fn attend(&mut self) -> bool {
        loop {
            if self.host.leaving.is_cancelled() {
                return false;
            }
            Box::pin(self.follow_up()).await;
            let job = self.job();
            if job.is_settled() {
                return true;
            }
            let deadline = match job.status.phase() {
                Phase::Waiting => self.launch_deadline(),
                // None once it is being stopped: what passed before must not pass again and again.
                Phase::Running | Phase::Stopping | Phase::Over => job.deadline(self.heard_at),
            };
            if self.reach.is_none() && !job.handed_off {
                return false;
            }
            let reach = self.reach.as_mut();
            let told = async {
                match reach {
                    Some(reach) => reach.next().await,
                    // Handed off: there is no process to hear of.
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                told = told => match told {
                    Some(numbered) => Box::pin(self.hear(numbered)).await,
                    None => Box::pin(self.shim_gone()).await,
                },
                Some(ask) = self.attended.asked.recv() => Box::pin(self.answer(ask)).await,
                timeout = Self::passing(deadline) => {
                    Box::pin(self.record(Fact::DeadlinePassed { timeout, launched: true })).await;
                }
                () = Self::eviction(&mut self.evicted) => Box::pin(self.make_room()).await,
                kept = self.evidence.taken() => Box::pin(self.keep_evidence(kept)).await,
                () = self.host.leaving.cancelled() => return false,
            }
        }
    }

    /// Hears again what a shim left in writing, then is done with it.
    pub(super) async fn read_left(mut self: Box<Self>) {
        self.launched = true;
        if self.job().process.is_some()
            && let Ok(Some(left)) = exit_file::read(&self.place)
        {
            // What its page said last is in the file too, and only a session understands it.
            self.opening = Opening::TakenUp { attach: left.hello.attaches };
            self.open_session().await;
        }
        self.shim_gone().await;
        // Over, or handed off: then there are its reports and its deadlines to wait for.
        self.run().await;
    }

    /// The last acknowledgement lets the shim clean up and leave; a named profile is free only then.
    async fn part(self: Box<Self>) {
        let Self { host, attended, place, browser, reach, slot, launch, .. } = *self;
        let task_id = attended.live.log.id();
        drop((slot, launch));
        // Not to be asked any more: what comes now is recorded without an attendant.
        let presence = attended.withdraw();
        match reach {
            Some(Reach::Own(mut shim)) => {
                let given_up = async {
                    host.leaving.cancelled().await;
                    tokio::time::sleep(PART_MAX).await;
                };
                tokio::select! {
                    () = async { while shim.next().await.is_some() {} } => {}
                    () = given_up => return,
                }
            }
            // Its seat is free before anybody hears that the job's window is.
            Some(Reach::Share(share)) => drop(share),
            None => {}
        }
        // A shim that was heard in time has cleared up; one that was not, or that died, has left something.
        if place.has_leftovers()
            && let Err(error) = in_thread(move || place.wipe()).await
        {
            tracing::warn!(%task_id, %error, "the job's files could not be removed");
        }
        files::tidy(&host, task_id).await;
        drop((browser, presence));
    }

    pub(super) fn heard(&mut self) {
        self.heard_at = boot_now();
    }

    pub(super) async fn record(&self, fact: Fact) -> Recorded {
        self.host.recorder(&self.attended.live.log).record(fact).await
    }

    /// Records a fact of the shim's message: heard again, it has the same id.
    pub(super) async fn record_numbered(&self, number: u64, index: u8, fact: Fact) -> Recorded {
        let id = self.numbered(number, index);
        self.host.recorder(&self.attended.live.log).record_as(id, fact).await
    }

    /// The id of a fact of the shim's message.
    fn numbered(&self, number: u64, index: u8) -> EventId {
        EventId::numbered(self.attempt_source(), (number << 8) | u64::from(index))
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
        self.acknowledged = self.acknowledged.max(number);
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
