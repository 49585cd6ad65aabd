//! Timeouts, and which facts end a task under each completion policy.

use std::{
    fs,
    time::{Duration, Instant},
};

use comet_task_runner::api::v1::{
    self, CallbackRequest, Timeouts,
    execute_request::CompletionPolicy,
    job::{Reason, Status},
    tree_end::Step,
    watch_job_response::Kind,
};
use rustix::process::{Pid, Signal};

use super::{
    service::{Client, Options, Service, ended, execute, job_when, next, stub_url, to_end, watch},
    stub::stub_browser,
    watch::{check_order, with_heartbeat},
    wire::{begin, is_alive, report, settled, span, status, write_program},
};

fn limited(path: &str, edit: impl FnOnce(&mut Timeouts)) -> v1::ExecuteRequest {
    let mut timeouts = Timeouts::default();
    edit(&mut timeouts);
    v1::ExecuteRequest { timeouts: Some(timeouts), ..execute(&stub_url(path)) }
}

#[tokio::test]
async fn a_job_that_gets_no_slot_in_time_is_timed_out_unstarted() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1"));
    let mut client = service.client().await;
    let running = begin(&mut client, "/sleep").await;
    let request = limited("/sleep", |timeouts| timeouts.queue = span(Duration::from_millis(300)));
    let waiting = client.execute(request).await.unwrap().into_inner();
    let job = ended(&mut client, &waiting.task_id).await;
    assert_eq!((job.status(), job.reason()), (Status::TimedOut, Reason::QueueTimeout));
    assert_eq!((job.process_id, job.started_at, job.revision), (0, None, 2));
    // Its place in the queue is free, and the one that runs is not touched.
    assert_eq!(status(&mut client, &running.task_id).await.job.unwrap().status(), Status::Running);
}

/// Follows a stream with a heartbeat each second for longer than one.
async fn a_second_passes_without_a_change(stream: &mut tonic::Streaming<v1::WatchJobResponse>) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        let kind = next(stream).await.unwrap().unwrap().kind();
        assert!(matches!(kind, Kind::Heartbeat | Kind::Sample), "{kind:?}");
    }
}

#[tokio::test]
async fn the_queue_timeout_ends_with_the_wait() {
    let service = Service::start();
    let mut client = service.client().await;
    let request = limited("/sleep", |timeouts| timeouts.queue = span(Duration::from_millis(500)));
    let task = client.execute(request).await.unwrap().into_inner();
    let mut stream = client.watch_job(with_heartbeat(&task.task_id, 1)).await.unwrap().into_inner();
    assert_eq!(next(&mut stream).await.unwrap().unwrap().kind(), Kind::Snapshot);
    a_second_passes_without_a_change(&mut stream).await;
}

#[tokio::test]
async fn a_task_that_runs_too_long_is_stopped_and_then_timed_out() {
    let service = Service::start();
    let mut client = service.client().await;
    let request = limited("/sleep", |timeouts| timeouts.run = span(Duration::from_millis(500)));
    let task = settled(client.execute(request).await.unwrap().into_inner());
    let mut stream = client.watch_job(watch(&task.task_id)).await.unwrap().into_inner();
    let jobs = check_order(&to_end(&mut stream).await);
    let told: Vec<_> = jobs.iter().map(|job| (job.status(), job.reason())).collect();
    assert_eq!(
        told[told.len() - 2..],
        [(Status::Stopping, Reason::RunTimeout), (Status::TimedOut, Reason::RunTimeout)]
    );
    let job = jobs.last().unwrap();
    assert!(!is_alive(task.process_id));
    assert_eq!((job.cancel_requested, job.tree_end.as_ref().unwrap().step()), (false, Step::Terminated));
    assert!(job.message.contains("run timeout"), "{}", job.message);
}

#[tokio::test]
async fn signs_of_life_renew_the_idle_timeout_and_silence_ends_the_task() {
    let service = Service::start();
    let mut client = service.client().await;
    let request = limited("/sleep", |timeouts| timeouts.idle = span(Duration::from_secs(4)));
    let task = client.execute(request).await.unwrap().into_inner();
    let mut stream = client.watch_job(with_heartbeat(&task.task_id, 1)).await.unwrap().into_inner();
    // The stream is this test's clock: it is never silent for more than a second.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(6) {
        let message = next(&mut stream).await.unwrap().unwrap();
        assert_ne!(message.kind(), Kind::Change, "{message:?}");
        // The same each time: a sign of life need not say anything new.
        client.callback(report(&task, Status::Running)).await.unwrap();
    }
    assert_eq!(status(&mut client, &task.task_id).await.job.unwrap().status(), Status::Running);
    let job = ended(&mut client, &task.task_id).await;
    assert_eq!((job.status(), job.reason()), (Status::TimedOut, Reason::IdleTimeout));
}

#[tokio::test]
async fn a_job_whose_shim_does_not_come_up_in_time_is_timed_out_unstarted() {
    let service = Service::start();
    let mut client = service.client().await;
    // What starts browsers stands still, as on a machine that is out of breath.
    let launcher = launcher_of(service.pid());
    rustix::process::kill_process(launcher, Signal::STOP).unwrap();
    let mark = service.state_dir().join("mark");
    let path = format!("/dump?file={}", mark.display());
    let request = limited(&path, |timeouts| timeouts.launch = span(Duration::from_millis(500)));
    let answer = client.execute(request).await.unwrap().into_inner();
    rustix::process::kill_process(launcher, Signal::CONT).unwrap();
    let job = answer.job.unwrap();
    assert_eq!((job.status(), job.reason(), job.process_id), (Status::TimedOut, Reason::LaunchTimeout, 0));
    // The shim that is made after all starts nothing: the next one comes after it.
    let next = begin(&mut client, "/exit/0").await;
    assert_eq!(ended(&mut client, &next.task_id).await.status(), Status::Done);
    assert!(!mark.exists());
}

fn launcher_of(service: u32) -> Pid {
    let children = fs::read_dir(format!("/proc/{service}/task")).unwrap().flatten().flat_map(|thread| {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        list.split_ascii_whitespace().map(|pid| pid.parse::<i32>().unwrap()).collect::<Vec<_>>()
    });
    let mut launchers = children.filter(|pid| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.windows(10).any(|part| part == b"__launcher"))
    });
    Pid::from_raw(launchers.next().expect("the service has a launcher")).unwrap()
}

#[tokio::test]
async fn a_browser_that_never_answers_is_timed_out() {
    let home = tempfile::tempdir().unwrap();
    let (browser, ready) = (home.path().join("silent"), home.path().join("ready"));
    fs::copy(stub_browser(), &browser).unwrap();
    write_program(&ready, "#!/bin/sh\nexec cat <&3 >/dev/null\n");
    let by_hand = format!("silent={}", browser.display());
    let options = Options::default().arg("--no-sandbox").arg("--browser").arg(by_hand);
    let service = Service::start_with(options);
    fs::rename(&ready, &browser).unwrap();
    let mut client = service.client().await;
    let mut request = limited("/", |timeouts| timeouts.launch = span(Duration::from_millis(500)));
    request.browser = "silent".to_owned();
    let task = client.execute(request).await.unwrap().into_inner();
    assert_eq!(task.job.as_ref().unwrap().status(), Status::Running);
    let job = ended(&mut client, &task.task_id).await;
    assert_eq!((job.status(), job.reason()), (Status::TimedOut, Reason::LaunchTimeout));
    // It left by itself when its pipe was closed.
    assert_eq!((job.exit_code, job.tree_end.as_ref().unwrap().step()), (Some(0), Step::Closed));
}

#[tokio::test]
async fn without_limits_a_zero_duration_is_no_timeout() {
    let service = Service::start();
    let mut client = service.client().await;
    let zero = span(Duration::ZERO);
    let request = limited("/sleep", |timeouts| {
        *timeouts = Timeouts { queue: zero, launch: zero, navigation: None, run: zero, idle: zero };
    });
    let task = client.execute(request).await.unwrap().into_inner();
    let mut stream = client.watch_job(with_heartbeat(&task.task_id, 1)).await.unwrap().into_inner();
    assert_eq!(next(&mut stream).await.unwrap().unwrap().job.unwrap().status(), Status::Running);
    a_second_passes_without_a_change(&mut stream).await;
}

async fn begin_under(client: &mut Client, policy: CompletionPolicy, path: &str) -> v1::ExecuteResponse {
    let request = v1::ExecuteRequest { completion_policy: policy.into(), ..execute(&stub_url(path)) };
    client.execute(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn under_any_the_exit_decides_when_nothing_came_before_it() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin_under(&mut client, CompletionPolicy::Any, "/exit/0").await;
    let job = ended(&mut client, &task.task_id).await;
    assert_eq!((job.status(), job.reason(), job.exit_code), (Status::Done, Reason::ProcessExited, Some(0)));
}

#[tokio::test]
async fn under_require_report_an_exit_without_one_is_a_failure() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin_under(&mut client, CompletionPolicy::RequireReport, "/exit/0").await;
    let job = ended(&mut client, &task.task_id).await;
    assert_eq!((job.status(), job.reason(), job.exit_code), (Status::Failed, Reason::NoReport, Some(0)));
}

#[tokio::test]
async fn under_require_report_a_report_decides() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin_under(&mut client, CompletionPolicy::RequireReport, "/sleep").await;
    client.callback(report(&task, Status::Done)).await.unwrap();
    let job = ended(&mut client, &task.task_id).await;
    assert_eq!((job.status(), job.reason()), (Status::Done, Reason::Callback));
}

#[tokio::test]
async fn under_process_exit_a_report_is_kept_and_the_exit_decides() {
    let service = Service::start();
    let mut client = service.client().await;
    for (signal, end) in
        [(Signal::TERM, (Status::Done, Reason::ProcessExited)), (Signal::KILL, (Status::Failed, Reason::ProcessFailed))]
    {
        let task = settled(begin_under(&mut client, CompletionPolicy::ProcessExit, "/sleep").await);
        let request = CallbackRequest { message: "read".to_owned(), ..report(&task, Status::Failed) };
        let answer = client.callback(request).await.unwrap().into_inner();
        assert!(answer.applied);
        assert_eq!(answer.job.unwrap().status(), Status::Running);
        rustix::process::kill_process(Pid::from_raw(i32::try_from(task.process_id).unwrap()).unwrap(), signal).unwrap();
        let job = job_when(&mut client, &task.task_id, |job| job.done).await;
        assert_eq!((job.status(), job.reason()), end);
        assert_eq!(job.callback.unwrap().message, "read");
    }
}
