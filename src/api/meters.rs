//! What is counted of streams: who watches, how they begin, how soon they hear of an end.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use metrics::{Gauge, Histogram, counter, gauge, histogram};
use tokio::sync::OwnedSemaphorePermit;

use crate::job::{Job, WallTime};

/// Looked up once: it lies on the path of every end.
static EXIT_TO_PUSH_SECONDS: LazyLock<Histogram> =
    LazyLock::new(|| histogram!("comet_task_runner_exit_to_push_seconds"));

/// A stream's place among the watchers, for as long as it is held.
pub(super) struct Watching {
    _permit: OwnedSemaphorePermit,
    gauge: Gauge,
}

impl Watching {
    /// A stream of this kind: "job" for one, "jobs" for many, "log" for what a browser said.
    pub(super) fn new(permit: OwnedSemaphorePermit, kind: &'static str) -> Self {
        let gauge = gauge!("comet_task_runner_watchers", "kind" => kind);
        gauge.increment(1);
        Self { _permit: permit, gauge }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.gauge.decrement(1);
    }
}

/// A stream was not begun, since as many watch as may.
pub(super) fn watcher_refused() {
    counter!("comet_task_runner_limit_refusals_total", "limit" => "watchers").increment(1);
}

/// A stream went on from its token.
pub(super) fn resumed() {
    counter!("comet_task_runner_resumes_total").increment(1);
}

/// A stream began anew because its token could not be honoured.
pub(super) fn reset() {
    counter!("comet_task_runner_resets_total").increment(1);
}

/// A report came without a token that opens its task.
pub(super) fn callback_denied() {
    counter!("comet_task_runner_callbacks_total", "outcome" => "denied").increment(1);
}

/// A watcher that was up to date is handed the change with which the job is over.
///
/// The moment of the decision is the change's own time. Wall clocks may jump, which within such a span is rare, and is
/// taken for no time at all when it is backwards.
pub(super) fn pushed_end(job: &Job) {
    EXIT_TO_PUSH_SECONDS.record(since(job.updated_at, WallTime::from(SystemTime::now())));
}

/// A watcher that was up to date is handed a change, which may be that one.
pub(super) fn pushed(job: &Job) {
    if job.finished_at == Some(job.updated_at) {
        pushed_end(job);
    }
}

fn since(earlier: WallTime, now: WallTime) -> Duration {
    Duration::from_micros(now.micros().saturating_sub(earlier.micros()))
}
