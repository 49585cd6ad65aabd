//! The place of `traces` in a program without the feature `otel`: nothing is made of a task.

use super::CallerTrace;
use crate::{
    job::{Job, TaskId},
    process::Place,
};

pub(super) struct Traces;

impl Traces {
    pub(super) fn new() -> Self {
        Self
    }

    pub(super) fn begin(&self, _job: &Job, _caller: &CallerTrace) {}

    pub(super) async fn take_up(&self, _job: &Job, _place: &Place) {}

    pub(super) async fn keep(&self, _id: TaskId, _place: &Place) {}

    pub(super) fn changed(&self, _before: &Job, _after: &Job) {}

    pub(super) fn leave(&self) {}
}
