//! Forgets jobs whose time is over.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::{Host, files, host::now};
use crate::job::{TaskId, WallTime};

/// How many finished jobs are kept at most: some 200 MB, and a list that still answers at once.
const JOBS_MAX: u64 = 100_000;
/// How many jobs may settle before they are counted anew: a hundredth more than are kept.
const UNCOUNTED_MAX: u64 = JOBS_MAX / 100;
/// Longest pause: the wall clock, by which jobs expire, may have jumped meanwhile. A failed purge waits for as long.
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// Shortest pause: jobs that expire one after another are forgotten together.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Hears of jobs that settle, since each may be the next to expire.
#[derive(Debug, Default)]
pub(super) struct Retention(watch::Sender<Settled>);

/// What has settled since the latest purge began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Settled {
    /// When the first of these jobs expires.
    first_expiry: Option<WallTime>,
    jobs: u64,
}

impl Retention {
    /// Nothing more can happen by itself to a job that expires then.
    pub(super) fn settled(&self, expiry: Option<WallTime>) {
        self.0.send_if_modified(|settled| {
            let first_expiry = earlier(settled.first_expiry, expiry);
            let is_earlier = std::mem::replace(&mut settled.first_expiry, first_expiry) != first_expiry;
            settled.jobs += 1;
            // Who waits need not be woken for the others.
            is_earlier || settled.jobs == UNCOUNTED_MAX
        });
    }

    /// Waits until a job expires or too many have settled, where `begun` is when the latest purge began and `expiry`
    /// what it found to expire next.
    async fn due(&self, begun: Instant, expiry: Option<WallTime>) {
        let mut settled = self.0.subscribe();
        loop {
            let Settled { first_expiry, jobs } = *settled.borrow_and_update();
            let pause = match earlier(first_expiry, expiry) {
                _ if jobs >= UNCOUNTED_MAX => PAUSE_MIN,
                Some(at) => left(at, now().wall).min(PAUSE_MAX),
                None => PAUSE_MAX,
            };
            let due_at = (Instant::now() + pause).clamp(begun + PAUSE_MIN, begun + PAUSE_MAX);
            tokio::select! {
                () = tokio::time::sleep_until(due_at) => return,
                // The sender lives in what waits here.
                _ = settled.changed() => {}
            }
        }
    }
}

/// Until the service leaves.
pub(super) async fn keep(host: Arc<Host>) {
    let forgetting = async {
        loop {
            let begun = Instant::now();
            // What settles while the ledger looks may be missed by it, and is heard of after it.
            host.retention.0.send_replace(Settled::default());
            let expiry = match host.ledger.purge(now().wall, JOBS_MAX).await {
                Ok(purged) => {
                    for task_id in &purged.removed {
                        tracing::debug!(%task_id, "forgot a job");
                    }
                    forget_logs(&host, purged.removed.clone()).await;
                    // What is not removed now is swept at the next start.
                    files::forget(&host, purged.removed).await;
                    purged.next_expiry
                }
                Err(fault) => {
                    tracing::warn!(%fault, "jobs whose time is over could not be forgotten");
                    None
                }
            };
            host.retention.due(begun, expiry).await;
        }
    };
    // A purge that is dropped on its way goes on at the next start.
    host.leaving.run_until_cancelled(forgetting).await;
}

/// Forgets the logs of jobs that are forgotten.
async fn forget_logs(host: &Arc<Host>, ids: Vec<TaskId>) {
    if ids.is_empty() {
        return;
    }
    let host = Arc::clone(host);
    let removing = move || {
        for task_id in ids {
            if let Err(error) = host.logs.remove(task_id) {
                tracing::warn!(%task_id, %error, "a browser's log could not be removed");
            }
        }
    };
    if let Err(error) = tokio::task::spawn_blocking(removing).await {
        tracing::warn!(%error, "the logs of forgotten jobs could not be removed");
    }
}

/// Forgets the logs of those jobs that are no longer known, as after a service that was killed between the two.
pub(super) async fn sweep_logs(host: Arc<Host>, found: Vec<TaskId>) {
    let sweeping = async {
        let mut forgotten = Vec::new();
        for task_id in found {
            match host.ledger.latest(task_id).await {
                Ok(Some(_)) => {}
                Ok(None) => forgotten.push(task_id),
                Err(error) => tracing::warn!(%task_id, %error, "a browser's log is kept, since its job is in doubt"),
            }
        }
        forget_logs(&host, forgotten).await;
    };
    host.leaving.run_until_cancelled(sweeping).await;
}

fn earlier(one: Option<WallTime>, other: Option<WallTime>) -> Option<WallTime> {
    one.into_iter().chain(other).min()
}

fn left(at: WallTime, now: WallTime) -> Duration {
    Duration::from_micros(at.micros().saturating_sub(now.micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Option<WallTime> {
        Some(WallTime::from_micros(micros))
    }

    #[test]
    fn only_an_earlier_expiry_or_too_many_jobs_wake() {
        let retention = Retention::default();
        let mut bell = retention.0.subscribe();
        let mut rings = |expiry| {
            retention.settled(expiry);
            let rings = bell.has_changed().unwrap();
            bell.mark_unchanged();
            rings
        };
        assert_eq!([at(9), at(9), at(12), at(8), at(8)].map(&mut rings), [true, false, false, true, false]);
        let rung = (0..2 * UNCOUNTED_MAX).filter(|_| rings(at(8))).count();
        assert_eq!(rung, 1);
    }

    #[tokio::test]
    async fn who_waits_for_a_late_expiry_hears_of_an_earlier_one() {
        let retention = Retention::default();
        let late = now().wall.saturating_add(PAUSE_MAX * 2);
        let due = retention.due(Instant::now(), Some(late));
        tokio::pin!(due);
        let early = tokio::time::timeout(Duration::from_millis(1), &mut due).await;
        assert!(early.is_err(), "nothing expires");
        retention.settled(Some(now().wall));
        tokio::time::timeout(PAUSE_MIN * 30, due).await.expect("it expires at once");
    }
}
