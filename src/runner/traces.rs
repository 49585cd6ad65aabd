//! A span for each task, from Execute to its final change, in the trace of whoever asked for it.
//!
//! Whoever takes the spans never holds anybody up: what cannot be taken at once is dropped, there. Without an exporter
//! nothing is made. A span does not outlive its service; the next one's begins where that service begins, below the
//! earlier one and linked to it.

use std::{
    collections::HashMap,
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use opentelemetry::{
    Context, KeyValue,
    global::{self, BoxedSpan, BoxedTracer},
    propagation::TextMapPropagator,
    trace::{Link, Span, SpanKind, Status as Outcome, TraceContextExt, Tracer},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::{CallerTrace, host::in_thread, meters::word};
use crate::{
    job::{Job, Status, TaskId},
    process::Place,
};

/// Where a span's own name in its trace lies while its task runs, for the next service: below the task's run directory,
/// with which it goes.
const TRACE_FILE: &str = "trace";

/// The spans of tasks that are not over: as many as there are live jobs.
pub(super) struct Traces {
    tracer: BoxedTracer,
    w3c: TraceContextPropagator,
    spans: Mutex<HashMap<TaskId, BoxedSpan>>,
}

impl Traces {
    pub(super) fn new() -> Self {
        Self {
            tracer: global::tracer("comet-task-runner"),
            w3c: TraceContextPropagator::new(),
            spans: Mutex::default(),
        }
    }

    /// A task was accepted.
    pub(super) fn begin(&self, job: &Job, caller: &CallerTrace) {
        let parent = self.context(&caller.parent, &caller.state);
        self.open(job, job.created_at.into(), &parent, Vec::new());
    }

    /// A task that an earlier service accepted goes on.
    pub(super) async fn take_up(&self, job: &Job, place: &Place) {
        if job.status.is_terminal() {
            return;
        }
        let path = place.run_dir().join(TRACE_FILE);
        let earlier = in_thread(move || fs::read_to_string(path)).await.unwrap_or_default();
        let (parent, state) = earlier.split_once('\n').unwrap_or_default();
        let parent = self.context(parent, state);
        let link = Some(parent.span().span_context().clone()).filter(opentelemetry::trace::SpanContext::is_valid);
        self.open(job, SystemTime::now(), &parent, link.into_iter().map(Link::with_context).collect());
    }

    /// Leaves word for the next service, before there is a browser that could outlive this one.
    pub(super) async fn keep(&self, id: TaskId, place: &Place) {
        let Some(words) = self.words(id) else { return };
        let path = place.run_dir().join(TRACE_FILE);
        if let Err(error) = in_thread(move || fs::write(path, words)).await {
            tracing::debug!(task_id = %id, %error, "a task's place in its trace was not written");
        }
    }

    /// A change was made.
    pub(super) fn changed(&self, before: &Job, after: &Job) {
        if before.status == after.status {
            return;
        }
        let over = after.status.is_terminal();
        let mut spans = self.lock();
        let Some(span) = spans.get_mut(&after.id) else { return };
        let (status, reason) = (word(after.status), word(after.reason));
        let facts = vec![KeyValue::new("reason", reason.clone()), KeyValue::new("revision", whole(after.revision))];
        span.add_event_with_timestamp(status.clone(), after.updated_at.into(), facts);
        let ended = if over { spans.remove(&after.id) } else { None };
        drop(spans);
        let Some(mut span) = ended else { return };
        span.set_attributes([
            KeyValue::new("status", status),
            KeyValue::new("reason", reason.clone()),
            KeyValue::new("attempt", i64::from(after.attempt)),
        ]);
        match after.status {
            Status::Done => span.set_status(Outcome::Ok),
            Status::Failed | Status::TimedOut | Status::Lost => span.set_status(Outcome::error(reason)),
            Status::Created | Status::Running | Status::Stopping | Status::Cancelled => {}
        }
        span.end_with_timestamp(after.finished_at.unwrap_or(after.updated_at).into());
    }

    /// The service leaves, and tasks go on without it: what it saw of them is told.
    pub(super) fn leave(&self) {
        let spans: Vec<_> = self.lock().drain().collect();
        for (_, mut span) in spans {
            span.add_event("the service left", Vec::new());
            span.set_attribute(KeyValue::new("cut", true));
            span.end();
        }
    }

    fn open(&self, job: &Job, at: SystemTime, parent: &Context, links: Vec<Link>) {
        let spec = &job.spec;
        let span = self
            .tracer
            .span_builder("task")
            .with_kind(SpanKind::Server)
            .with_start_time(at)
            .with_attributes([
                KeyValue::new("task_id", job.id.to_string()),
                // The rest of it may hold what is nobody else's business.
                KeyValue::new("url.origin", spec.url.origin()),
                KeyValue::new("browser", spec.browser.clone()),
                KeyValue::new("tier", spec.tier.name()),
            ])
            .with_links(links);
        let span = self.tracer.build_with_context(span, parent);
        if span.is_recording() {
            self.lock().insert(job.id, span);
        }
    }

    /// Where somebody stands in a trace; nowhere when the words are none of W3C's.
    fn context(&self, parent: &str, state: &str) -> Context {
        let words = [("traceparent", parent), ("tracestate", state)];
        let words: HashMap<_, _> = words.map(|(name, word)| (name.to_owned(), word.to_owned())).into();
        self.w3c.extract_with_context(&Context::new(), &words)
    }

    /// Where a task's span stands, in two lines.
    fn words(&self, id: TaskId) -> Option<String> {
        let context = self.lock().get(&id)?.span_context().clone();
        let mut words = HashMap::new();
        self.w3c.inject_context(&Context::new().with_remote_span_context(context), &mut words);
        let word = |name| words.get(name).map_or("", String::as_str);
        Some(format!("{}\n{}", word("traceparent"), word("tracestate")))
    }

    /// The map holds after a panic elsewhere: its edits are single calls.
    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, BoxedSpan>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The widest whole number that an attribute takes.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
