//! How a task in a real browser ends, by its page, its process or its caller: once, and with the true reason.

use comet_task_runner::api::v1::{
    self,
    execute_request::{AfterFinish, CompletionPolicy},
    job::{Reason, Status},
    page::LoadState,
    watch_job_request::Until,
};
use rustix::process::Signal;

use super::{
    nothing_left::Tidy,
    processes,
    real::{Real, Seats, assert_ended, headless, load_state},
    service::{Options, to_end, watch},
};

/// A page that nothing ends by itself.
const IDLE: &str = "<!doctype html><title>idle</title>here";

#[tokio::test]
async fn a_script_that_closes_its_page_ends_the_task_as_done() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.script("/closes", "addEventListener('load', () => setTimeout(close, 100))");
    let job = real.run(headless(&url)).await;
    assert_ended(&job, Status::Done, Reason::PageClosed);
    assert_eq!((load_state(&job), job.exit_code), (LoadState::Closed, Some(0)));
}

#[tokio::test]
async fn a_report_made_just_before_the_page_closes_is_what_counts() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.script("/fails", "addEventListener('load', () => { cometTask.fail('no stock'); close(); })");
    let job = real.run(headless(&url)).await;
    assert_ended(&job, Status::Failed, Reason::Callback);
    assert_eq!(job.callback.unwrap().message, "no stock");
}

#[tokio::test]
async fn a_page_that_reports_done_ends_its_task_with_its_result() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.script("/done", "cometTask.done({ order: 7 })");
    let job = real.run(headless(&url)).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    let report = job.callback.unwrap();
    assert_eq!((report.status(), report.result.as_str()), (Status::Done, r#"{"order":7}"#));
}

#[tokio::test]
async fn a_report_by_a_service_with_the_callback_token_ends_the_task() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.html("/idle", IDLE);
    let begun = real.begin(headless(&url)).await;
    real.shown(&begun.task_id).await;
    // Without an API token.
    let mut stranger = v1::task_runner_client::TaskRunnerClient::new(real.service.channel().await);
    let report = v1::CallbackRequest {
        task_id: begun.task_id.clone(),
        status: Status::Failed.into(),
        message: "declined".to_owned(),
        callback_token: begun.callback_token,
        ..v1::CallbackRequest::default()
    };
    let answer = stranger.callback(report).await.unwrap().into_inner();
    assert!(answer.applied);
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Failed, Reason::Callback);
    assert_eq!(job.message, "declined");
}

#[tokio::test]
async fn a_killed_browser_fails_its_task_with_the_signal() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.html("/idle", IDLE);
    let begun = real.begin(headless(&url)).await;
    real.shown(&begun.task_id).await;
    processes::signal(begun.process_id, Signal::KILL);
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Failed, Reason::ProcessFailed);
    assert_eq!((job.exit_code, job.exit_signal), (None, Some(9)));
}

#[tokio::test]
async fn a_browser_told_to_quit_has_not_done_its_task_though_it_exits_with_0() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.html("/idle", IDLE);
    let begun = real.begin(headless(&url)).await;
    real.shown(&begun.task_id).await;
    processes::signal(begun.process_id, Signal::TERM);
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Failed, Reason::BrowserTerminated);
    assert_eq!(job.exit_code, Some(0));
}

#[tokio::test]
async fn a_page_whose_renderer_is_killed_fails_its_task_though_the_browser_lives_on() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.html("/idle", IDLE);
    let begun = real.begin(headless(&url)).await;
    real.shown(&begun.task_id).await;
    let renderers: Vec<u32> = processes::descendants(begun.process_id)
        .into_iter()
        .filter(|pid| processes::command_line(*pid).contains("--type=renderer"))
        .collect();
    assert!(!renderers.is_empty());
    for renderer in renderers {
        processes::signal(renderer, Signal::KILL);
    }
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Failed, Reason::PageCrashed);
    assert_eq!(load_state(&job), LoadState::Crashed);
}

#[tokio::test]
async fn a_name_that_does_not_exist_fails_the_task_in_the_browsers_words() {
    let Some(mut real) = Real::start().await else { return };
    let job = real.run(headless("http://does-not-exist.invalid/")).await;
    assert_ended(&job, Status::Failed, Reason::NavigationFailed);
    assert_eq!(job.page.unwrap().net_error, "net::ERR_NAME_NOT_RESOLVED");
}

#[tokio::test]
async fn a_refused_connection_fails_the_task_in_the_browsers_words() {
    let Some(mut real) = Real::start().await else { return };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let job = real.run(headless(&format!("http://{free}/"))).await;
    assert_ended(&job, Status::Failed, Reason::NavigationFailed);
    assert_eq!(job.page.unwrap().net_error, "net::ERR_CONNECTION_REFUSED");
}

#[tokio::test]
async fn an_http_error_is_a_failure_only_when_asked_for() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.url("/status/404");
    let strict = v1::ExecuteRequest { fail_on_http_error: true, ..headless(&url) };
    let job = real.run(strict).await;
    assert_ended(&job, Status::Failed, Reason::HttpError);
    assert_eq!(job.page.unwrap().http_status, Some(404));

    let begun = real.begin(headless(&url)).await;
    let shown = real.shown(&begun.task_id).await;
    assert_eq!((shown.status(), shown.page.unwrap().http_status), (Status::Running, Some(404)));
    real.cancel(&begun.task_id).await;
    assert_ended(&real.finish(&begun.task_id).await, Status::Cancelled, Reason::CancelRequested);
}

#[tokio::test]
async fn a_running_task_is_cancelled_once_nothing_of_it_runs() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.html("/idle", IDLE);
    let begun = real.begin(headless(&url)).await;
    real.shown(&begun.task_id).await;
    let tree = processes::descendants(begun.process_id);
    assert!(tree.len() > 2, "a browser has many processes");
    let endings: Vec<_> = tree.into_iter().filter_map(processes::Ending::of).collect();
    let asked = real.cancel(&begun.task_id).await;
    assert!(asked.cancel_requested);
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Cancelled, Reason::CancelRequested);
    assert!(endings.iter().all(processes::Ending::has_come), "cancelled while processes of it run");
}

#[tokio::test]
async fn a_queued_task_is_cancelled_without_a_browser() {
    let Some(seats) = Seats::take(1, &[]) else { return };
    let Some(mut real) = Real::start_with(Options::chromium().arg("--slots").arg("1"), seats).await else { return };
    let url = real.pages.html("/idle", IDLE);
    let first = real.begin(headless(&url)).await;
    let queued = real.begin(headless(&url)).await;
    assert_eq!((queued.process_id, queued.job.unwrap().status()), (0, Status::Created));
    let job = real.cancel(&queued.task_id).await;
    assert_ended(&job, Status::Cancelled, Reason::CancelRequested);
    assert_eq!(real.finish(&queued.task_id).await.process_id, 0);
    real.cancel(&first.task_id).await;
    assert_ended(&real.finish(&first.task_id).await, Status::Cancelled, Reason::CancelRequested);
}

#[tokio::test]
async fn a_task_waits_for_the_profile_that_another_one_uses() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.html("/idle", IDLE);
    let request = v1::ExecuteRequest { profile: "work".to_owned(), ..headless(&url) };
    let first = real.begin(request.clone()).await;
    let second = real.begin(request).await;
    assert_eq!(second.job.unwrap().status(), Status::Created, "there is a slot, but no profile");
    real.shown(&first.task_id).await;
    real.cancel(&first.task_id).await;
    assert_ended(&real.finish(&first.task_id).await, Status::Cancelled, Reason::CancelRequested);
    let shown = real.shown(&second.task_id).await;
    assert_eq!(shown.status(), Status::Running);
    real.cancel(&second.task_id).await;
    assert_ended(&real.finish(&second.task_id).await, Status::Cancelled, Reason::CancelRequested);
}

#[tokio::test]
async fn a_browser_kept_open_frees_its_slot_and_is_closed_by_a_cancel() {
    let Some(seats) = Seats::take(1, &[]) else { return };
    let Some(mut real) = Real::start_with(Options::chromium().arg("--slots").arg("1"), seats).await else { return };
    let url = real.pages.script("/done", "cometTask.done()");
    let request = v1::ExecuteRequest { after_finish: AfterFinish::KeepOpen.into(), ..headless(&url) };
    let kept = real.begin(request).await;
    let mut stream = real.client.watch_job(watch(&kept.task_id)).await.unwrap().into_inner();
    let done = to_end(&mut stream).await.pop().unwrap().job.unwrap();
    assert_ended(&done, Status::Done, Reason::Callback);
    assert!(done.is_process_alive && done.tree_end.is_none());

    let next = real.run(headless(&url)).await;
    assert_ended(&next, Status::Done, Reason::Callback);

    let request = v1::WatchJobRequest { until: Until::ProcessExited.into(), ..watch(&kept.task_id) };
    let mut until_exit = real.client.watch_job(request).await.unwrap().into_inner();
    let still = super::service::next_job(&mut until_exit).await;
    assert!(still.is_process_alive);
    let asked = real.cancel(&kept.task_id).await;
    assert_ended(&asked, Status::Done, Reason::Callback);
    let last = to_end(&mut until_exit).await.pop().unwrap();
    assert!(last.r#final && !last.job.unwrap().is_process_alive);
    assert_ended(&real.finish(&kept.task_id).await, Status::Done, Reason::Callback);
}

#[tokio::test]
async fn under_process_exit_a_report_is_recorded_and_the_exit_decides() {
    let Some(mut real) = Real::start().await else { return };
    let script = "cometTask.done(1); addEventListener('load', () => setTimeout(close, 500))";
    let url = real.pages.script("/both", script);
    let policy = CompletionPolicy::ProcessExit.into();
    let begun = real.begin(v1::ExecuteRequest { completion_policy: policy, ..headless(&url) }).await;
    let reported = real.when(&begun.task_id, |job| job.callback.is_some()).await;
    assert_eq!(reported.status(), Status::Running);
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::ProcessExited);
    assert_eq!((load_state(&job), job.exit_code), (LoadState::Closed, Some(0)));
}

#[tokio::test]
async fn under_require_report_a_page_that_closes_without_one_has_failed() {
    let Some(mut real) = Real::start().await else { return };
    let policy = CompletionPolicy::RequireReport.into();
    let silent = real.pages.script("/closes", "addEventListener('load', () => setTimeout(close, 100))");
    let job = real.run(v1::ExecuteRequest { completion_policy: policy, ..headless(&silent) }).await;
    assert_ended(&job, Status::Failed, Reason::NoReport);

    let reports = real.pages.script("/done", "addEventListener('load', () => { cometTask.done(); close(); })");
    let job = real.run(v1::ExecuteRequest { completion_policy: policy, ..headless(&reports) }).await;
    assert_ended(&job, Status::Done, Reason::Callback);
}

#[tokio::test]
async fn the_end_of_a_service_leaves_nothing_of_its_browsers() {
    let Some(seats) = Seats::take(1, &[]) else { return };
    let service = Tidy::start_with(Options::chromium());
    let mut client = service.client().await;
    let begun = client.execute(headless("http://does-not-exist.invalid/")).await.unwrap().into_inner();
    assert_ne!(begun.process_id, 0);
    drop((client, service, seats));
}
