//! Spans of tasks, as a collector of OpenTelemetry gets them.

mod collector;

use std::time::{Duration, Instant};

use comet_task_runner::api::v1::{self, job::Status};
use http::Method;
use tonic::{Request, metadata::MetadataValue};

use self::collector::{Collector, Span};
use super::{
    caller::{Caller, bearer, path},
    nothing_left::Tidy,
    service::{Client, Options, ended, execute, stub_url},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A service whose spans come soon.
fn options(endpoint: &str) -> Options {
    Options::default().arg("--otlp-endpoint").arg(endpoint).env("OTEL_BSP_SCHEDULE_DELAY", "50").arg("--slots").arg("4")
}

/// A request of somebody who stands in a trace.
fn in_trace<T>(message: T, flags: &str) -> Request<T> {
    let mut request = Request::new(message);
    let parent: MetadataValue<_> = format!("00-{TRACE}-{CALLER}-{flags}").parse().unwrap();
    request.metadata_mut().insert("traceparent", parent);
    request
}

async fn begin(client: &mut Client, request: Request<v1::ExecuteRequest>) -> v1::ExecuteResponse {
    client.execute(request).await.unwrap().into_inner()
}

async fn cancel(client: &mut Client, task_id: &str) {
    let request = v1::CancelJobRequest { task_id: task_id.to_owned(), ..v1::CancelJobRequest::default() };
    client.cancel_job(request).await.unwrap();
    assert_eq!(ended(client, task_id).await.status(), Status::Cancelled);
}

#[tokio::test]
async fn a_task_is_a_span_in_the_trace_of_its_caller_from_execute_to_its_end() {
    let mut collector = Collector::start().await;
    let service = Tidy::start_with(options(&collector.endpoint));
    let mut client = service.client().await;
    let url = stub_url("/exit/7?token=secret");
    let begun = begin(&mut client, in_trace(execute(&url), "01")).await;
    let job = ended(&mut client, &begun.task_id).await;
    let span = collector.span_of(&begun.task_id).await;
    assert_eq!((span.trace(), span.parent()), (TRACE.to_owned(), CALLER.to_owned()));
    assert_eq!((span.name.as_str(), span.service.as_str()), ("task", "comet-task-runner"));
    let facts = ["url.origin", "status", "reason", "browser"].map(|name| span.text(name));
    assert_eq!(facts, ["http://stub.test", "FAILED", "PROCESS_FAILED", "stub"]);
    assert_eq!(span.number("attempt"), Some(1));
    assert!(!format!("{span:?}").contains("secret"), "no more of the URL than its origin: {span:?}");
    assert_eq!(span.steps(), ["RUNNING", "FAILED"]);
    assert_eq!(span.outcome(), (2, "PROCESS_FAILED"));
    let nanos = |at: Option<prost_types::Timestamp>| {
        let at = at.unwrap();
        u64::try_from(at.seconds).unwrap() * 1_000_000_000 + u64::try_from(at.nanos).unwrap()
    };
    assert_eq!((span.start_ns, span.end_ns), (nanos(job.created_at), nanos(job.finished_at)));
}

#[tokio::test]
async fn a_caller_over_json_stands_in_its_trace_too_and_one_without_begins_a_new_one() {
    let mut collector = Collector::start().await;
    let service = Tidy::start_with(options(&collector.endpoint));
    let mut caller = Caller::of(&service).await;
    let body = serde_json::json!({ "url": stub_url("/exit/0") });
    let parent = format!("00-{TRACE}-{CALLER}-01");
    for (words, trace) in [(parent.as_str(), Some(TRACE)), ("", None), ("00-nonsense-x-01", None)] {
        let bearer = bearer(&service);
        let headers =
            [("content-type", "application/json"), ("authorization", bearer.as_str()), ("traceparent", words)];
        let made = caller.send(Method::POST, &path("Execute"), &headers, body.to_string()).await.json();
        let span = collector.span_of(made["taskId"].as_str().unwrap()).await;
        assert_eq!(span.outcome(), (1, ""), "it came to its intended end");
        match trace {
            Some(trace) => assert_eq!((span.trace().as_str(), span.parent().as_str()), (trace, CALLER)),
            None => assert!(span.parent().is_empty() && span.trace() != TRACE, "{words:?}: {span:?}"),
        }
    }
}

#[tokio::test]
async fn a_task_that_its_caller_does_not_sample_is_told_to_nobody() {
    let mut collector = Collector::start().await;
    let service = Tidy::start_with(options(&collector.endpoint));
    let mut client = service.client().await;
    let unsampled = begin(&mut client, in_trace(execute(&stub_url("/exit/0")), "00")).await;
    ended(&mut client, &unsampled.task_id).await;
    let sampled = begin(&mut client, in_trace(execute(&stub_url("/exit/0")), "01")).await;
    collector.span_of(&sampled.task_id).await;
    assert_eq!(collector.task_ids(), [sampled.task_id], "spans come in the order in which tasks end");
}

/// What a service tells of a task that goes on without it, and what the next one tells.
async fn spans_over_a_restart(stop: impl FnOnce(&mut Tidy)) -> (Option<Span>, Span) {
    let mut collector = Collector::start().await;
    let mut service = Tidy::start_with(options(&collector.endpoint));
    let begun = begin(&mut service.client().await, in_trace(execute(&stub_url("/sleep")), "01")).await;
    tokio::task::block_in_place(|| {
        stop(&mut service);
        service.restart();
    });
    let mut client = service.client().await;
    cancel(&mut client, &begun.task_id).await;
    let first = collector.span_of(&begun.task_id).await;
    if first.flag("cut") {
        let second = collector.span_of(&begun.task_id).await;
        return (Some(first), second);
    }
    (None, first)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_taken_up_goes_on_in_a_span_that_is_linked_to_the_one_before() {
    let (before, after) = spans_over_a_restart(|service| assert!(service.terminate().success())).await;
    let before = before.expect("the service that left told what it saw");
    assert_eq!((before.parent().as_str(), before.steps()), (CALLER, vec!["RUNNING", "the service left"]));
    assert_eq!((after.trace(), after.parent()), (TRACE.to_owned(), before.id()));
    assert_eq!(after.links(), [(TRACE.to_owned(), before.id())]);
    assert_eq!((after.text("status"), after.steps()), ("CANCELLED".to_owned(), vec!["STOPPING", "CANCELLED"]));
    assert!(after.start_ns >= before.end_ns);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_a_service_that_was_killed_keeps_its_trace() {
    let (before, after) = spans_over_a_restart(|service| service.kill()).await;
    assert!(before.is_none(), "nobody told of it");
    assert_eq!((after.trace().as_str(), after.links().len()), (TRACE, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_holds_up_neither_a_task_nor_a_shutdown() {
    // It lets callers in and never says a word.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut service = Tidy::start_with(options(&format!("http://{}", deaf.local_addr().unwrap())));
    let mut client = service.client().await;
    for _ in 0..20 {
        let begun = begin(&mut client, Request::new(execute(&stub_url("/exit/0")))).await;
        assert_eq!(ended(&mut client, &begun.task_id).await.status(), Status::Done);
    }
    drop(client);
    let asked = Instant::now();
    assert!(tokio::task::block_in_place(|| service.terminate()).success());
    // The two seconds that the last batch gets, and what a busy machine adds.
    assert!(asked.elapsed() < Duration::from_secs(8), "it took {:?}", asked.elapsed());
    assert!(service.log_to_end().contains("the last spans were not taken"));
}
