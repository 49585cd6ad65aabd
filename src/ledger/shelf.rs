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
