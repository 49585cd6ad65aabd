//! The live log of one job: every change so far, and the doorbell that rings for the next.

use std::sync::{Arc, PoisonError, RwLock, Weak};

use tokio::sync::{OnceCell, watch};

use super::shelf::Shelf;
use crate::job::{Job, TaskId};

/// The changes of one job, revision 1, 2, 3 … without holes, in memory while anybody holds it.
///
/// The ledger's writer grows it after each commit and then rings. A reader keeps the last revision it has seen,
/// asks for what comes after, and waits at the bell when there is nothing.
#[derive(Debug)]
pub struct JobLog {
    id: TaskId,
    changes: RwLock<Vec<Arc<Job>>>,
    bell: watch::Sender<u64>,
    loading: OnceCell<()>,
    shelf: Weak<Shelf>,
}

impl JobLog {
    pub(super) fn new(id: TaskId, shelf: Weak<Shelf>) -> Self {
        Self { id, changes: RwLock::default(), bell: watch::Sender::new(0), loading: OnceCell::new(), shelf }
    }

    /// Whose log it is.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// The job at its latest revision.
    ///
    /// # Panics
    /// Never: a log is handed out only once it holds a change.
    #[must_use]
    pub fn latest(&self) -> Arc<Job> {
        self.last().expect("a log is handed out only once it holds a change")
    }

    /// The change that follows a revision; none when that is the latest.
    #[must_use]
    pub fn after(&self, revision: u64) -> Option<Arc<Job>> {
        let changes = self.changes.read().unwrap_or_else(PoisonError::into_inner);
        changes.get(index_after(revision)).map(Arc::clone)
    }

    /// Every change that follows a revision, in order.
    #[must_use]
    pub fn all_after(&self, revision: u64) -> Vec<Arc<Job>> {
        let changes = self.changes.read().unwrap_or_else(PoisonError::into_inner);
        changes.get(index_after(revision)..).unwrap_or_default().to_vec()
    }

    /// The doorbell: the latest revision. Ask the log after each ring; rings may be missed, changes are not.
    #[must_use]
    pub fn bell(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    /// Loads the log once, however many ask for it at the same time. False when there is no such job.
    pub(super) async fn load<E>(&self, history: impl AsyncFnOnce() -> Result<Vec<Arc<Job>>, E>) -> Result<bool, E> {
        if !self.is_whole() {
            self.loading
                .get_or_try_init(async || {
                    self.fill(history().await?);
                    Ok(())
                })
                .await?;
        }
        Ok(self.is_whole())
    }

    /// True once it begins at the first revision; until then it only keeps what is committed meanwhile.
    pub(super) fn is_whole(&self) -> bool {
        let changes = self.changes.read().unwrap_or_else(PoisonError::into_inner);
        changes.first().is_some_and(|first| first.revision == 1)
    }

    pub(super) fn last(&self) -> Option<Arc<Job>> {
        self.changes.read().unwrap_or_else(PoisonError::into_inner).last().map(Arc::clone)
    }

    /// Puts the stored changes before those that were committed since it was put on the shelf.
    pub(super) fn fill(&self, mut history: Vec<Arc<Job>>) {
        let mut changes = self.changes.write().unwrap_or_else(PoisonError::into_inner);
        let known = history.last().map_or(0, |last| last.revision);
        history.extend(changes.drain(..).filter(|change| change.revision > known));
        let revision = history.last().map_or(0, |last| last.revision);
        debug_assert_eq!(u64::try_from(history.len()), Ok(revision), "the stored changes have a hole");
        *changes = history;
        drop(changes);
        self.ring(revision);
    }

    /// Adds a committed change, and rings. One that it has already is skipped.
    pub(super) fn grow(&self, change: Arc<Job>) {
        let revision = change.revision;
        let mut changes = self.changes.write().unwrap_or_else(PoisonError::into_inner);
        let latest = changes.last().map_or(0, |last| last.revision);
        if revision <= latest {
            return;
        }
        debug_assert!(changes.is_empty() || revision == latest + 1, "a change was never published");
        changes.push(change);
        drop(changes);
        self.ring(revision);
    }

    /// Never while the changes are locked: whoever looks at the bell may look at the changes meanwhile. So one that
    /// filled the log may come here after one that grew it, and the bell keeps the latest.
    fn ring(&self, revision: u64) {
        self.bell.send_if_modified(|rung| {
            let is_newer = revision > *rung;
            *rung = revision.max(*rung);
            is_newer
        });
    }
}

impl Drop for JobLog {
    /// Its place on the shelf goes with it, so that the shelf does not grow with history.
    fn drop(&mut self) {
        if let Some(shelf) = self.shelf.upgrade() {
            shelf.forget(self);
        }
    }
}

/// Revision n sits at index n - 1, so what follows it sits at n.
fn index_after(revision: u64) -> usize {
    usize::try_from(revision).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc,
        thread,
        time::{Duration, Instant},
    };

    use super::*;
    use crate::job::tests::sample::{after, created, launched, spec};

    /// Longest wait for what takes microseconds.
    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn who_looks_at_the_bell_may_look_at_the_changes_while_they_grow() {
        let first = created(spec());
        let second = after(first.clone(), [launched()]);
        let log = Arc::new(JobLog::new(first.id, Weak::new()));
        log.grow(Arc::new(first));
        let (over, ended) = mpsc::channel();
        let looked = Arc::clone(&log);
        thread::spawn(move || {
            let bell = looked.bell();
            let rung = bell.borrow();
            let grower = Arc::clone(&looked);
            let growing = thread::spawn(move || grower.grow(Arc::new(second)));
            let deadline = Instant::now() + SOON;
            while looked.after(1).is_none() && Instant::now() < deadline {
                thread::yield_now();
            }
            drop(rung);
            growing.join().unwrap();
            over.send(*bell.borrow()).unwrap();
        });
        assert_eq!(ended.recv_timeout(SOON), Ok(2), "the bell and the changes wait for each other");
    }
}
