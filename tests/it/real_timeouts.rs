//! The five timeouts, each with a real browser: what ran out is told, and nothing goes on running.

use std::time::Duration;

use comet_task_runner::api::v1::{
    self, Timeouts,
    job::{Reason, Status},
    tree_end::Step,
};
use rustix::process::Signal;

use super::{
    processes,
    real::{Real, Seats, assert_ended, headless, millis, seconds},
    service::Options,
};

fn limited(url: &str, timeouts: Timeouts) -> v1::ExecuteRequest {
    v1::ExecuteRequest { timeouts: Some(timeouts), termination_grace: seconds(1), ..headless(url) }
}

fn span(job: &v1::Job) -> Duration {
    let at = |time: Option<prost_types::Timestamp>| std::time::SystemTime::try_from(time.unwrap()).unwrap();
    at(job.finished_at).duration_since(at(job.started_at)).unwrap()
}

#[tokio::test]
async fn a_task_whose_turn_does_not_come_times_out_in_the_queue() {
    let Some(seats) = Seats::take(1, &[]) else { return };
    let Some(mut real) = Real::start_with(Options::chromium().arg("--slots").arg("1"), seats).await else { return };
    let url = real.pages.html("/idle", "idle");
    let first = real.begin(headless(&url)).await;
    let job = real.run(limited(&url, Timeouts { queue: millis(300), ..Timeouts::default() })).await;
    assert_ended(&job, Status::TimedOut, Reason::QueueTimeout);
    assert_eq!(job.process_id, 0);
    real.cancel(&first.task_id).await;
    assert_ended(&real.finish(&first.task_id).await, Status::Cancelled, Reason::CancelRequested);
}

#[tokio::test]
async fn a_browser_that_does_not_answer_in_time_is_killed() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.html("/idle", "idle");
    let begun = real.begin(limited(&url, Timeouts { launch: seconds(3), ..Timeouts::default() })).await;
    // It is up, but needs a good while to its first answer.
    processes::signal(begun.process_id, Signal::STOP);
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::TimedOut, Reason::LaunchTimeout);
    assert_eq!(job.tree_end.as_ref().unwrap().step(), Step::Killed);
}

#[tokio::test]
async fn a_launch_timeout_that_no_browser_can_keep_ends_the_task() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.html("/idle", "idle");
    let job = real.run(limited(&url, Timeouts { launch: millis(1), ..Timeouts::default() })).await;
    assert_ended(&job, Status::TimedOut, Reason::LaunchTimeout);
}

#[tokio::test]
async fn a_document_that_does_not_arrive_in_time_ends_the_task() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.url("/slow");
    let job = real.run(limited(&url, Timeouts { navigation: seconds(2), ..Timeouts::default() })).await;
    assert_ended(&job, Status::TimedOut, Reason::NavigationTimeout);
    assert!(!job.browser.unwrap().version.is_empty(), "its browser had answered");
}

#[tokio::test]
async fn a_task_that_runs_too_long_is_ended() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.html("/idle", "idle");
    let job = real.run(limited(&url, Timeouts { run: seconds(2), ..Timeouts::default() })).await;
    assert_ended(&job, Status::TimedOut, Reason::RunTimeout);
    assert!(span(&job) >= Duration::from_secs(2));
}

#[tokio::test]
async fn each_sign_of_life_of_the_page_begins_the_idle_timeout_anew() {
    let Some(mut real) = Real::start().await else { return };
    // Ten seconds of life, a sign each half of one, then silence.
    let script = "let n = 0; const timer = setInterval(() => {
        cometTask.progress(++n * 5); if (n === 20) clearInterval(timer); }, 500)";
    let url = real.pages.script("/lively", script);
    let begun = real.begin(limited(&url, Timeouts { idle: seconds(6), ..Timeouts::default() })).await;
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::TimedOut, Reason::IdleTimeout);
    // Without the renewals it would have ended after six seconds.
    assert!(span(&job) >= Duration::from_secs(15), "{:?}", span(&job));
}
