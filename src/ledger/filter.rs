//! Which jobs are meant: by facts that never change, so that a job is in or out for its whole life.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::job::{Job, Status, TaskId, WallTime};

/// Which jobs are meant. A job is when it satisfies all that is set; without anything set, every job is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// These jobs only; empty for any.
    pub task_ids: BTreeSet<TaskId>,
    /// Jobs with all of these labels.
    pub labels: BTreeMap<String, String>,
    /// Jobs that were accepted then or later.
    pub created_from: Option<WallTime>,
    /// Jobs that were accepted earlier.
    pub created_before: Option<WallTime>,
    /// Jobs with this text in their URL; empty for any.
    pub url_contains: String,
}

impl JobFilter {
    /// Whether this job is meant. The same for each of its revisions.
    #[must_use]
    pub fn matches(&self, job: &Job) -> bool {
        self.may_match(job.id)
            && self.created_from.is_none_or(|from| job.created_at >= from)
            && self.created_before.is_none_or(|before| job.created_at < before)
            && self.labels.iter().all(|(key, value)| job.spec.labels.get(key) == Some(value))
            && job.spec.url.as_str().contains(&self.url_contains)
    }

    /// Whether a job may be meant of which only the id is left.
    #[must_use]
    pub fn may_match(&self, id: TaskId) -> bool {
        self.task_ids.is_empty() || self.task_ids.contains(&id)
    }
}

/// In which order jobs are listed. Ids sort by the time they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListOrder {
    /// The latest first.
    NewestFirst,
    /// The earliest first.
    OldestFirst,
}

/// A part of the list of jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Which jobs.
    pub filter: Arc<JobFilter>,
    /// Jobs that stand at one of these now; empty for any.
    pub statuses: Vec<Status>,
    /// In which order.
    pub order: ListOrder,
    /// Only what comes behind this job in that order, which need not exist any more.
    pub after: Option<TaskId>,
    /// At most so many.
    pub limit: usize,
}

impl Default for ListQuery {
    /// Every job, the newest first.
    fn default() -> Self {
        Self {
            filter: Arc::default(),
            statuses: Vec::new(),
            order: ListOrder::NewestFirst,
            after: None,
            limit: usize::MAX,
        }
    }
}

impl ListQuery {
    /// Whether this job is asked for, as it stands.
    #[must_use]
    pub fn matches(&self, job: &Job) -> bool {
        let behind = self.after.is_none_or(|after| match self.order {
            ListOrder::NewestFirst => job.id < after,
            ListOrder::OldestFirst => job.id > after,
        });
        behind && self.filter.matches(job) && (self.statuses.is_empty() || self.statuses.contains(&job.status))
    }
}
