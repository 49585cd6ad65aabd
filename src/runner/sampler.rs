//! Looks at the process trees of all live jobs in one pass: once a second while somebody watches, when somebody asks
//! for a job's status and the latest look is more than a second old, and never else.
//!
//! The cost is one pass per look, however many jobs are looked at and however many look.

use std::{
    collections::HashMap,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    ProcessReading,
    host::{boot_now, in_thread, now},
    live::{Live, LiveJobs},
};
use crate::{
    job::{BootTime, Isolation, Now},
    process::{ProcessListError, TreeReading, TreeRoot, Trees},
};

/// Between two looks while somebody watches: a person reads no faster.
const TICK: Duration = Duration::from_secs(1);
/// How long a reading speaks of now: two ticks, so that one that is late leaves no gap.
pub(super) const FRESH_MAX: Duration = Duration::from_secs(2);
/// How long a call waits for a look: many times what one takes, and still at once to a person.
const WAIT_MAX: Duration = Duration::from_millis(250);

/// Where looks are asked for, and told of.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    asks: watch::Sender<Asks>,
    /// When the latest look that is over began.
    done: watch::Sender<Option<BootTime>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Asks {
    /// How many watch.
    watchers: usize,
    /// Since when somebody does, without a gap.
    watched_since: Option<Instant>,
    /// A look that began before this is too old for somebody.
    wanted: Option<BootTime>,
}

/// Somebody watches for as long as this is held.
#[derive(Debug)]
pub(super) struct Watching {
    sampler: Arc<Sampler>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        // Nobody is woken: whoever would look next sees it then.
        self.sampler.asks.send_if_modified(|asks| {
            asks.watchers -= 1;
            false
        });
    }
}

impl Sampler {
    /// Has every live job looked at each second until the answer is dropped.
    pub(super) fn watching(self: &Arc<Self>) -> Watching {
        self.asks.send_if_modified(|asks| {
            asks.watchers += 1;
            let is_first = asks.watchers == 1;
            if is_first {
                asks.watched_since = Some(Instant::now());
            }
            is_first
        });
        Watching { sampler: Arc::clone(self) }
    }

    /// Returns when this job has a reading that speaks of now, or when that takes too long.
    ///
    /// One that will soon be too old is good enough, and renewed meanwhile: who asks each second waits only once.
    pub(super) async fn look(&self, live: &Live) {
        let at = boot_now();
        let aged = live.looked_at().map(|looked| (at.saturating_since(looked), looked));
        let (renew, since) = match aged {
            // It may still be under way, and serves all who come meanwhile.
            Some((age, looked)) if age <= TICK => (false, looked),
            Some((age, looked)) if age + WAIT_MAX <= FRESH_MAX => (true, looked),
            Some(_) | None => (true, at),
        };
        if renew {
            self.asks.send_modify(|asks| asks.wanted = asks.wanted.max(Some(at)));
        }
        let mut done = self.done.subscribe();
        if tokio::time::timeout(WAIT_MAX, done.wait_for(|done| *done >= Some(since))).await.is_err() {
            tracing::debug!(task_id = %live.log.id(), "the process trees were not read in time");
        }
    }

    /// Looks when it is time to, until the service leaves.
    pub(super) async fn run(self: Arc<Self>, jobs: Arc<LiveJobs>, leaving: CancellationToken) {
        let mut asks = self.asks.subscribe();
        let mut trees = None;
        let mut begun = None;
        let mut next_tick = Instant::now();
        loop {
            tokio::select! {
                () = due(&mut asks, begun, next_tick) => {}
                () = leaving.cancelled() => return,
            }
            let began = Instant::now();
            let at = now();
            begun = Some(at.boot);
            trees = look(&jobs, trees, at).await;
            self.done.send_replace(begun);
            // A machine so busy that a look is slow gets pauses as long as the looks.
            next_tick = began + TICK.max(began.elapsed() * 2);
        }
    }
}

/// Waits until somebody wants a look that has not begun, or until the next tick while somebody watches.
///
/// The first tick comes after a whole one of watching, so that watches of short tasks cost no look at all.
async fn due(asks: &mut watch::Receiver<Asks>, begun: Option<BootTime>, next_tick: Instant) {
    loop {
        let Asks { watchers, watched_since, wanted } = *asks.borrow_and_update();
        if wanted > begun {
            return;
        }
        let tick = async {
            match watched_since.filter(|_| watchers > 0) {
                Some(since) => tokio::time::sleep_until(next_tick.max(since + TICK).into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The sender lives in the sampler that waits here.
            _ = asks.changed() => {}
            () = tick => {
                let now = asks.borrow();
                if now.watchers > 0 && now.watched_since == watched_since {
                    return;
                }
            }
        }
    }
}

/// One look at every job that has processes.
async fn look(jobs: &LiveJobs, trees: Option<Trees>, at: Now) -> Option<Trees> {
    let looked: Vec<(Arc<Live>, TreeRoot)> =
        jobs.all().into_iter().filter_map(|live| live.tree().map(|root| (live, root))).collect();
    for (live, _) in &looked {
        live.is_looked_at(at.boot);
    }
    if looked.is_empty() {
        return trees;
    }
    // Jobs that share a browser share its tree, which is read once.
    let mut roots: Vec<TreeRoot> = Vec::with_capacity(looked.len());
    let mut of_job: HashMap<TreeRoot, usize> = HashMap::with_capacity(looked.len());
    for (_, root) in &looked {
        of_job.entry(root.clone()).or_insert_with(|| {
            roots.push(root.clone());
            roots.len() - 1
        });
    }
    // The list of all processes takes some milliseconds, too long for a thread that serves others.
    let (trees, readings) = match in_thread(move || read(trees, &roots).map_err(io::Error::other)).await {
        Ok(read) => read,
        Err(error) => {
            tracing::warn!(%error, "the process trees cannot be read");
            return None;
        }
    };
    for (live, root) in &looked {
        let tree = of_job.get(root).and_then(|at| readings.get(*at)).cloned().flatten();
        let shared = live.log.latest().spec.isolation == Isolation::Context;
        // What others take is not this job's.
        if let Some(tree) = tree.as_ref().filter(|_| !shared) {
            live.peaks.take_in(tree);
        }
        live.resample(|sample| sample.process = tree.map(|tree| ProcessReading { tree, at, shared }));
    }
    Some(trees)
}

/// Takes the trees and gives them back, since it runs in a thread of its own.
fn read(trees: Option<Trees>, roots: &[TreeRoot]) -> Result<(Trees, Vec<Option<TreeReading>>), ProcessListError> {
    let mut trees = trees.map_or_else(Trees::new, Ok)?;
    let began = Instant::now();
    let readings = trees.read(roots, began);
    let processes: u32 = readings.iter().flatten().map(|tree| tree.process_count).sum();
    tracing::debug!(jobs = roots.len(), processes, took = ?began.elapsed(), "read the process trees");
    Ok((trees, readings))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::{
        job::{ExitStatus, Fact, Process},
        process::{Identity, boot_id},
        runner::tests::Kept,
    };

    fn launched() -> Fact {
        Fact::Launched(Process { pid: 7, start_ticks: 70, dequeued_at: boot_now(), up_at: boot_now() })
    }

    fn ago(span: Duration) -> Now {
        let boot = boot_now().nanos() - u64::try_from(span.as_nanos()).unwrap();
        Now { boot: BootTime::from_nanos(boot), ..now() }
    }

    fn reading(at: Now) -> ProcessReading {
        let name = String::new();
        let tree = TreeReading {
            pid: 7,
            name,
            status: "idle",
            cpu_percent: None,
            memory_bytes: 3 << 20,
            resident_bytes: 4 << 20,
            is_share_known: true,
            process_count: 1,
        };
        ProcessReading { tree, at, shared: false }
    }

    #[tokio::test]
    async fn there_is_a_tree_from_the_launch_to_the_exit_and_no_reading_beyond() {
        let kept = Kept::of(1).await;
        let live = kept.live();
        let shim = Identity { boot_id: boot_id(), pid: 6, start_ticks: 60 };
        live.lives_below(shim.clone());
        assert_eq!(live.tree(), None);
        kept.becomes(launched()).await;
        assert_eq!(live.tree(), Some(TreeRoot { shim, pid: 7, start_ticks: 70 }));
        live.resample(|sample| sample.process = Some(reading(now())));
        assert!(live.sample().process.is_some());
        kept.becomes(Fact::Exited {
            status: ExitStatus::Code(0),
            output_tail: String::new(),
            out_of_memory: false,
            tree: None,
            lived: None,
        })
        .await;
        assert_eq!((live.tree(), live.sample().process), (None, None));
    }

    #[tokio::test]
    async fn an_old_reading_is_not_told() {
        let kept = Kept::of(1).await;
        kept.becomes(launched()).await;
        for (age, told) in [(FRESH_MAX / 2, true), (FRESH_MAX + TICK, false)] {
            kept.live().resample(|sample| sample.process = Some(reading(ago(age))));
            assert_eq!(kept.live().sample().process.is_some(), told, "after {age:?}");
        }
    }

    #[tokio::test]
    async fn a_call_does_not_wait_for_a_look_that_does_not_come() {
        let kept = Kept::of(1).await;
        let began = Instant::now();
        Sampler::default().look(kept.live()).await;
        assert!(began.elapsed() >= WAIT_MAX && began.elapsed() < WAIT_MAX * 10, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_reading_that_grows_old_is_good_enough_and_renewed_meanwhile() {
        let kept = Kept::of(1).await;
        for (age, at_once, renewed) in
            [(TICK / 2, true, false), (TICK * 3 / 2, true, true), (FRESH_MAX - WAIT_MAX / 2, false, true)]
        {
            let sampler = Sampler::default();
            let looked = ago(age).boot;
            sampler.done.send_replace(Some(looked));
            kept.live().is_looked_at(looked);
            assert_eq!(sampler.look(kept.live()).now_or_never().is_some(), at_once, "{age:?}");
            assert_eq!(sampler.asks.borrow().wanted.is_some(), renewed, "{age:?}");
        }
    }

    #[tokio::test]
    async fn a_look_that_includes_the_job_serves_whoever_comes_while_it_is_fresh() {
        let kept = Kept::of(1).await;
        let sampler = Arc::new(Sampler::default());
        let leaving = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&sampler).run(Arc::clone(&kept.jobs), leaving.clone()));
        sampler.look(kept.live()).await;
        let first = *sampler.done.borrow();
        assert!(first.is_some());
        // Without processes it was not part of that look, so it needs another.
        sampler.look(kept.live()).await;
        let second = *sampler.done.borrow();
        assert!(second > first);
        kept.live().is_looked_at(second.unwrap());
        sampler.look(kept.live()).await;
        assert_eq!(*sampler.done.borrow(), second);
        leaving.cancel();
        running.await.unwrap();
    }
}
