//! Where the live logs are found: one per job, kept only by those who hold it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::JobLog;
use crate::job::TaskId;

/// The live logs by job. It holds none of them itself.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    logs: Mutex<HashMap<TaskId, Weak<JobLog>>>,
}

impl Shelf {
    /// The log of a job, if anybody holds it.
    pub(super) fn find(&self, id: TaskId) -> Option<Arc<JobLog>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).get(&id).and_then(Weak::upgrade)
    }

    /// The log of a job, a new and empty one if nobody holds it.
    ///
    /// From here on it keeps what is committed, so history that is read afterwards leaves no gap to it.
    pub(super) fn claim(self: &Arc<Self>, id: TaskId) -> Arc<JobLog> {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = logs.get(&id).and_then(Weak::upgrade) {
            return log;
        }
        let log = Arc::new(JobLog::new(id, Arc::downgrade(self)));
        logs.insert(id, Arc::downgrade(&log));
        log
    }

    /// Takes a job's log off, so that the next one to ask for it gets what the store says.
    pub(super) fn remove(&self, id: TaskId) {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Takes off a log that nobody holds any more, unless its place has been given to another meanwhile.
    pub(super) fn forget(&self, dead: &JobLog) {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        if logs.get(&dead.id()).is_some_and(|log| std::ptr::eq(log.as_ptr(), dead)) {
            logs.remove(&dead.id());
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn len(shelf: &Shelf) -> usize {
        shelf.logs.lock().unwrap().len()
    }

    #[test]
    fn a_log_takes_its_place_along_when_its_last_holder_goes() {
        let shelf = Arc::new(Shelf::default());
        let logs: Vec<_> = (0..100).map(|_| shelf.claim(TaskId::new(Uuid::now_v7()))).collect();
        let again = shelf.claim(logs[0].id());
        assert!(Arc::ptr_eq(&again, &logs[0]));
        assert_eq!(len(&shelf), 100);
        drop(logs);
        assert_eq!(len(&shelf), 1, "one is still held");
        drop(again);
        assert_eq!(len(&shelf), 0);
    }

    #[test]
    fn a_dead_log_leaves_the_place_of_its_successor_alone() {
        let shelf = Arc::new(Shelf::default());
        let removed = shelf.claim(TaskId::new(Uuid::now_v7()));
        shelf.remove(removed.id());
        let successor = shelf.claim(removed.id());
        assert!(!Arc::ptr_eq(&removed, &successor));
        drop(removed);
        let found = shelf.find(successor.id()).unwrap();
        assert!(Arc::ptr_eq(&found, &successor));
    }
}
