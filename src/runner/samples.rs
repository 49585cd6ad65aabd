//! What watchers are told between changes: the latest readings, of one job or of all.

use std::{cell::LazyCell, sync::Arc};

use tokio::sync::watch;
use uuid::Uuid;

use super::{
    Sample,
    admission::Admission,
    live::{Live, LiveJobs},
    sampler::Watching,
};
use crate::job::{Job, TaskId};

/// The readings of one live job; while this is held, its processes are looked at each second.
pub struct Samples {
    live: Arc<Live>,
    _watching: Watching,
    latest: watch::Receiver<Sample>,
}

impl Samples {
    pub(super) fn new(live: Arc<Live>, watching: Watching) -> Self {
        Self { latest: live.samples(), live, _watching: watching }
    }

    /// The latest reading.
    #[must_use]
    pub fn latest(&mut self) -> Sample {
        // First, so that all who watch hear of it, and this one not twice.
        self.live.tell_place();
        self.latest.mark_unchanged();
        self.live.sample()
    }

    /// Waits for a newer reading than the latest seen; for ever once the job is no longer live.
    pub async fn changed(&mut self) {
        if self.latest.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The readings of every live job; while this is held, their processes are looked at each second.
pub struct AllSamples {
    jobs: Arc<LiveJobs>,
    admission: Arc<Admission>,
    _watching: Watching,
    bell: watch::Receiver<u64>,
    /// The first that was not given yet.
    next: Place,
    /// There are some that could have been given.
    left: bool,
}

/// The place of a reading among those of all jobs: its number, and whose it is, as many have none and so 0.
pub(super) type Place = (u64, TaskId);

impl AllSamples {
    pub(super) fn new(jobs: Arc<LiveJobs>, admission: Arc<Admission>, watching: Watching) -> Self {
        Self { bell: jobs.bell(), jobs, admission, _watching: watching, next: first_of(0), left: false }
    }

    /// Gives the latest readings, newer or not, unless some are left that were not given once.
    pub fn begin_again(&mut self) {
        if !self.left {
            self.next = first_of(0);
        }
    }

    /// Gives what is newer than what was given before, of the jobs that are wanted and the oldest first, until one is
    /// not taken: that one and those behind it are left for the next time.
    pub fn give(&mut self, wanted: impl Fn(&Job) -> bool, mut take: impl FnMut(TaskId, Sample) -> bool) {
        let standings = LazyCell::new(|| self.admission.standings());
        // First, so that all who watch hear of it, and this one not twice.
        self.jobs.tell_places(|| &*standings);
        // Then this, since a reading that comes meanwhile may be missed below and is newer then.
        let end = first_of(*self.bell.borrow_and_update() + 1);
        for (place, live) in self.jobs.sampled_from(self.next) {
            let job = live.log.latest();
            if wanted(&job) && !take(job.id, live.sample_in(|| &*standings)) {
                (self.next, self.left) = (place.min(end), true);
                return;
            }
        }
        (self.next, self.left) = (end, false);
    }

    /// Waits until there is something newer.
    pub async fn changed(&mut self) {
        if !self.left {
            // The bell lives in the jobs that this holds.
            let _ = self.bell.changed().await;
        }
    }
}

/// Before every reading of this number.
fn first_of(number: u64) -> Place {
    (number, TaskId::new(Uuid::nil()))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::runner::{sampler::Sampler, tests::Kept};

    fn given(samples: &mut AllSamples, at_most: usize) -> Vec<TaskId> {
        let mut given = Vec::new();
        samples.give(
            |_| true,
            |id, _| {
                let fits = given.len() < at_most;
                given.extend(fits.then_some(id));
                fits
            },
        );
        given
    }

    #[tokio::test]
    async fn what_does_not_fit_into_one_message_is_given_with_the_next_ones() {
        let kept = Kept::of(5).await;
        let sampler = Arc::new(Sampler::default());
        let admission = Admission::of(|_| {});
        let mut samples = AllSamples::new(Arc::clone(&kept.jobs), admission, sampler.watching());
        let ids: Vec<_> = kept.attended.iter().map(|attended| attended.live.log.id()).collect();
        let mut progress = 0;
        let mut resample = |at: usize| {
            progress += 1;
            kept.attended[at].live.resample(|sample| sample.progress = Some(progress));
        };
        resample(3);
        resample(0);
        let oldest_first = [ids[1], ids[2], ids[4], ids[3], ids[0]];
        assert_eq!(given(&mut samples, 2), oldest_first[..2]);
        // One that is left is not waited for, and a new beginning does not put it off.
        assert!(samples.changed().now_or_never().is_some());
        samples.begin_again();
        assert_eq!(given(&mut samples, 2), oldest_first[2..4]);
        resample(1);
        assert_eq!(given(&mut samples, 9), [ids[0], ids[1]]);
        assert!(samples.changed().now_or_never().is_none(), "all is told");
        resample(4);
        samples.changed().now_or_never().unwrap();
        assert_eq!(given(&mut samples, 9), [ids[4]]);
        samples.begin_again();
        assert_eq!(given(&mut samples, 9).len(), 5);
    }
}
