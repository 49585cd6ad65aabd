//! The jobs that are attended now, and how to reach their attendants.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{mpsc, watch};

use super::{
    Cancellation, PageReport, ProcessReading, Reported, Sample,
    admission::{QueuePlace, QueueReason, Queued, Standings},
    ask::{Reply, ask},
    capture::INTERVAL,
    host::boot_now,
    log::{BrowserLog, LogStage},
    peaks::Peaks,
    sampler::FRESH_MAX,
    samples::Place,
};
use crate::{
    browser::{Answer, NoAnswer, Question},
    job::{BootTime, Job, Phase, Refusal, TaskId},
    ledger::{JobLog, Ledger, ReadError},
    process::{Identity, TreeRoot},
};

/// How many asks may wait for an attendant: a page that reports in a loop then waits for its answers.
const ASKS_MAX: usize = 16;

/// What others want of a job that is attended.
#[derive(Debug)]
pub(super) enum Ask {
    /// End it.
    Cancel(Cancellation, Reply<Arc<Job>>),
    /// Take this report.
    Report(PageReport, Reply<Result<Reported, Refusal>>),
    /// Ask its page. The answer may never come.
    Page(Question, Reply<Result<Answer, NoAnswer>>),
    /// Put its page before the other ones of its browser; answered when the browser says that it is there.
    BringToFront(Reply<()>),
}

/// A job that is attended.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) log: Arc<JobLog>,
    /// What its browser says.
    pub(super) browser_log: Arc<BrowserLog>,
    /// Boxed, since a channel makes room for many at once, and most jobs are never asked.
    asks: mpsc::Sender<Box<Ask>>,
    sample: watch::Sender<Sample>,
    /// The number of its latest reading among those of all jobs.
    sampled: AtomicU64,
    /// Counts the readings of all jobs.
    bell: watch::Sender<u64>,
    place: OnceLock<QueuePlace>,
    /// What all its processes live below.
    shim: OnceLock<Identity>,
    /// The highest of all readings of its processes.
    pub(super) peaks: Peaks,
    /// When the latest look at its processes began, in nanoseconds since boot; 0 for never.
    looked_at_ns: AtomicU64,
    /// When somebody last asked for a picture of it, in nanoseconds since boot; 0 for never.
    pictured_at_ns: AtomicU64,
}

impl Live {
    /// Asks its attendant; none when that one leaves before it answers.
    pub(super) async fn ask<T>(&self, wish: impl FnOnce(Reply<T>) -> Ask) -> Option<T> {
        ask(&self.asks, |reply| Box::new(wish(reply))).await
    }

    /// Its latest reading, with where it stands in the queue at this moment.
    pub(super) fn sample(&self) -> Sample {
        self.sample_at(self.queued())
    }

    /// Its latest reading, for those who look at many: its place is looked up in a queue that was read once.
    pub(super) fn sample_in<'at>(&self, standings: impl FnOnce() -> &'at Standings) -> Sample {
        self.sample_at(self.place.get().and_then(|place| place.standing_in(standings())))
    }

    /// Where it stands in the queue; none when it does not wait there.
    pub(super) fn queued(&self) -> Option<Queued> {
        self.place.get().and_then(QueuePlace::standing)
    }

    /// Why it waits in the queue; none when it does not wait there.
    pub(super) fn queue_reason(&self) -> Option<QueueReason> {
        self.place.get().and_then(QueuePlace::reason)
    }

    /// Wakes watchers if it stands elsewhere in the queue than they were told last. True if it does.
    pub(super) fn tell_place(&self) -> bool {
        self.tell_queued(self.queued())
    }

    /// One that waits no more is told by its change.
    fn tell_queued(&self, queued: Option<Queued>) -> bool {
        queued.is_some_and(|queued| self.resample(|sample| sample.queued = Some(queued)))
    }

    pub(super) fn samples(&self) -> watch::Receiver<Sample> {
        self.sample.subscribe()
    }

    /// A reading of processes that are gone, or an old one, says nothing of now.
    fn sample_at(&self, queued: Option<Queued>) -> Sample {
        let sample = self.sample.borrow().clone();
        let speaks_of_now = |reading: &ProcessReading| boot_now().saturating_since(reading.at.boot) <= FRESH_MAX;
        let process = sample.process.filter(|reading| self.log.latest().is_process_alive() && speaks_of_now(reading));
        if !self.log.latest().is_process_alive() {
            // What was open went with the browser, which may not have had the time to say so.
            return Sample { queued, process, dialog: None, popup_count: 0, ..sample };
        }
        Sample { queued, process, ..sample }
    }

    /// Replaces the reading, and wakes watchers if it is another one; says whether it is.
    pub(super) fn resample(&self, edit: impl FnOnce(&mut Sample)) -> bool {
        let changed = self.sample.send_if_modified(|sample| {
            let before = sample.clone();
            edit(sample);
            *sample != before
        });
        if changed {
            self.bell.send_modify(|number| {
                *number += 1;
                self.sampled.store(*number, Ordering::Relaxed);
            });
        }
        changed
    }

    /// What its processes are known by; none while there are none.
    pub(super) fn tree(&self) -> Option<TreeRoot> {
        let job = self.log.latest();
        let process = job.process.as_ref().filter(|_| job.is_process_alive())?;
        Some(TreeRoot { shim: self.shim.get()?.clone(), pid: process.pid, start_ticks: process.start_ticks })
    }

    pub(super) fn lives_below(&self, shim: Identity) {
        drop(self.shim.set(shim));
    }

    /// When the latest look at its processes began; it may be under way.
    pub(super) fn looked_at(&self) -> Option<BootTime> {
        let nanos = self.looked_at_ns.load(Ordering::Relaxed);
        (nanos > 0).then(|| BootTime::from_nanos(nanos))
    }

    pub(super) fn is_looked_at(&self, at: BootTime) {
        self.looked_at_ns.store(at.nanos(), Ordering::Relaxed);
    }

    /// Notes that a picture is taken of it, unless the last one was a moment ago: then says how long to wait.
    pub(super) fn is_pictured(&self, at: BootTime) -> Result<(), Duration> {
        let (relaxed, interval_ns) = (Ordering::Relaxed, u64::try_from(INTERVAL.as_nanos()).unwrap_or(u64::MAX));
        let next = |last: u64| (last == 0 || at.nanos() >= last.saturating_add(interval_ns)).then_some(at.nanos());
        let noted = self.pictured_at_ns.fetch_update(relaxed, relaxed, next);
        noted.map(drop).map_err(|last| BootTime::from_nanos(last).saturating_add(INTERVAL).saturating_since(at))
    }

    pub(super) fn queues_at(&self, place: QueuePlace) {
        drop(self.place.set(place));
    }
}

/// The jobs that are attended now.
#[derive(Debug, Default)]
pub(super) struct LiveJobs {
    jobs: Mutex<HashMap<TaskId, Arc<Live>>>,
    /// How many attendants there are, those included whose job is over and whose browser's leftovers are not gone yet.
    attendants: watch::Sender<usize>,
    /// Counts the readings of all jobs.
    bell: watch::Sender<u64>,
}

impl LiveJobs {
    pub(super) fn get(&self, id: TaskId) -> Option<Arc<Live>> {
        self.lock().get(&id).map(Arc::clone)
    }

    /// The job, once it is attended; none when it never will be. One to which something can still happen by itself was
    /// made just now, and is attended in a moment.
    pub(super) async fn reach(&self, id: TaskId, ledger: &dyn Ledger) -> Result<Option<Arc<Live>>, ReadError> {
        let mut attendants = self.attendants.subscribe();
        loop {
            if let Some(live) = self.get(id) {
                return Ok(Some(live));
            }
            if ledger.latest(id).await?.is_none_or(|job| job.is_settled()) {
                return Ok(None);
            }
            // The sender lives in what waits here.
            drop(attendants.changed().await);
        }
    }

    /// Makes a job reachable until the guard is dropped.
    pub(super) fn attend(self: &Arc<Self>, log: Arc<JobLog>) -> Attended {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let browser_log = Arc::new(BrowserLog::new());
        let silence = Silence { log: Arc::clone(&log), browser_log: Arc::clone(&browser_log) };
        let live = Arc::new(Live {
            log,
            browser_log,
            asks,
            sample: watch::Sender::default(),
            sampled: AtomicU64::default(),
            bell: self.bell.clone(),
            place: OnceLock::new(),
            shim: OnceLock::new(),
            peaks: Peaks::default(),
            looked_at_ns: AtomicU64::default(),
            pictured_at_ns: AtomicU64::default(),
        });
        self.lock().insert(live.log.id(), Arc::clone(&live));
        self.attendants.send_modify(|count| *count += 1);
        Attended { presence: Presence { jobs: Arc::clone(self), id: live.log.id() }, live, asked, _silence: silence }
    }

    /// Rings with each reading of any job.
    pub(super) fn bell(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    /// The jobs whose latest reading is at this place or behind it, the oldest reading first.
    pub(super) fn sampled_from(&self, place: Place) -> Vec<(Place, Arc<Live>)> {
        let at = |live: &Live| (live.sampled.load(Ordering::Relaxed), live.log.id());
        let mut found: Vec<_> = self
            .lock()
            .values()
            .map(|live| (at(live), live))
            .filter(|(at, _)| *at >= place)
            .map(|(at, live)| (at, Arc::clone(live)))
            .collect();
        found.sort_unstable_by_key(|(at, _)| *at);
        found
    }

    /// Tells those who watch jobs that wait where these stand by now; gives how many there was news of.
    pub(super) fn tell_places<'at>(&self, standings: impl FnOnce() -> &'at Standings) -> usize {
        let many_watch = self.bell.receiver_count() > 0;
        let is_watched = |live: &Live| many_watch || live.sample.receiver_count() > 0;
        let waits = |live: &Live| live.place.get().is_some() && live.log.latest().status.phase() == Phase::Waiting;
        let watched: Vec<_> = self.all().into_iter().filter(|live| is_watched(live) && waits(live)).collect();
        if watched.is_empty() {
            return 0;
        }
        let standings = standings();
        let standing = |live: &Live| live.place.get().and_then(|place| place.standing_in(standings));
        watched.iter().filter(|live| live.tell_queued(standing(live))).count()
    }

    /// Every job that is attended.
    pub(super) fn all(&self) -> Vec<Arc<Live>> {
        self.lock().values().map(Arc::clone).collect()
    }

    /// How many are attended.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Waits until there is no attendant.
    pub(super) async fn idle(&self) {
        drop(self.attendants.subscribe().wait_for(|count| *count == 0).await);
    }

    /// The map holds after a panic elsewhere: its edits are single calls.
    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, Arc<Live>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The attendant's end.
#[derive(Debug)]
pub(super) struct Attended {
    pub(super) live: Arc<Live>,
    pub(super) asked: mpsc::Receiver<Box<Ask>>,
    presence: Presence,
    _silence: Silence,
}

/// Tells those who read the browser's log that no more comes, when nobody attends the job any more.
#[derive(Debug)]
struct Silence {
    log: Arc<JobLog>,
    browser_log: Arc<BrowserLog>,
}

impl Drop for Silence {
    fn drop(&mut self) {
        let settled = self.log.latest().is_settled();
        self.browser_log.close(if settled { LogStage::Ended } else { LogStage::Left });
    }
}

/// Counts an attendant for as long as it is there.
#[derive(Debug)]
pub(super) struct Presence {
    jobs: Arc<LiveJobs>,
    id: TaskId,
}

impl Attended {
    /// Is asked no more, but stays until the presence is dropped.
    pub(super) fn withdraw(self) -> Presence {
        self.presence.jobs.lock().remove(&self.presence.id);
        self.presence
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.jobs.lock().remove(&self.id);
        self.jobs.attendants.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::{
        job::{Fact, LostCause},
        runner::{
            admission::{Admission, Ticket, Want},
            tests::Kept,
        },
    };

    /// Jobs that wait, one behind the other, behind one that runs.
    async fn waiting(count: usize) -> (Kept, Arc<Admission>, Vec<Ticket>) {
        let kept = Kept::of(count).await;
        let admission = Admission::of(|limits| limits.slots = std::num::NonZeroUsize::MIN);
        let want = Want::of(&kept.live().log.latest().spec, "");
        let tickets: Vec<_> = (0..=count).map(|_| admission.enter(want.clone()).unwrap()).collect();
        for (attended, ticket) in kept.attended.iter().zip(&tickets[1..]) {
            attended.live.queues_at(ticket.place());
        }
        (kept, admission, tickets)
    }

    #[tokio::test]
    async fn only_jobs_that_somebody_watches_are_told_of_and_only_of_what_is_new() {
        let (kept, admission, mut tickets) = waiting(3).await;
        let unwatched = || -> &Standings { panic!("nobody watches, so the queue is not read") };
        assert_eq!(kept.jobs.tell_places(unwatched), 0);
        let told = || {
            let standings = admission.standings();
            kept.jobs.tell_places(|| &standings)
        };
        let last = &kept.attended[2].live;
        let mut samples = last.samples();
        assert_eq!(told(), 1);
        assert_eq!(samples.borrow_and_update().queued.as_ref().map(|queued| queued.position), Some(3));
        assert_eq!(told(), 0);
        drop(tickets.remove(1));
        let _all = kept.jobs.bell();
        // The one that left the queue has no place, and the others have new ones.
        assert_eq!(told(), 2);
        assert!(samples.has_changed().unwrap());
        assert_eq!(last.sample().queued.map(|queued| queued.position), Some(2));
    }

    #[tokio::test]
    async fn a_job_that_was_just_made_is_reached_once_it_is_attended_and_a_settled_one_never() {
        let kept = Kept::of(1).await;
        let (log, jobs) = (Arc::clone(&kept.live().log), Arc::new(LiveJobs::default()));
        let mut reach = Box::pin(jobs.reach(log.id(), &kept.ledger));
        assert!((&mut reach).now_or_never().is_none());
        let attended = jobs.attend(Arc::clone(&log));
        let reached = reach.await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&reached, &attended.live));
        drop(attended);
        kept.becomes(Fact::Lost(LostCause::ServiceRestarted)).await;
        assert!(jobs.reach(log.id(), &kept.ledger).await.unwrap().is_none());
    }
}
