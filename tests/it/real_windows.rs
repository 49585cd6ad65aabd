//! Tasks in windows, on a display with a window manager: what a person does to a window, and what happens to displays.

use std::{process::Command, time::Duration};

use comet_task_runner::api::v1::{
    self,
    execute_request::Mode,
    job::{Reason, Status},
};

use super::{
    display::Display,
    real::{Real, Seats, assert_ended, chromium_by_hand},
    service::{Options, to_end, watch},
};

/// What these tests need beside a browser.
const PROGRAMS: [&str; 3] = ["Xvfb", "openbox", "xdotool"];

const IDLE: &str = "<!doctype html><title>idle</title>here";

pub(crate) async fn start() -> Option<(Display, Real)> {
    let seats = Seats::take(1, &PROGRAMS)?;
    let display = Display::start();
    let options = Options::chromium().arg("--slots").arg("2").env("DISPLAY", &display.name);
    let real = Real::start_with(options, seats).await?;
    Some((display, real))
}

pub(crate) fn window(url: &str) -> v1::ExecuteRequest {
    v1::ExecuteRequest { url: url.to_owned(), mode: Mode::Headed.into(), ..v1::ExecuteRequest::default() }
}

/// The task's window, once it is there.
pub(crate) fn window_of(display: &Display, task_id: &str) -> String {
    let class = format!("comet-task-{task_id}");
    let found = display.run("timeout", &["60", "xdotool", "search", "--sync", "--onlyvisible", "--class", &class]);
    found.lines().next().unwrap_or_else(|| panic!("no window of class {class} comes")).to_owned()
}

/// Presses a key in a window, as a person does.
pub(crate) fn press(display: &Display, window: &str, key: &str) {
    let args = ["windowactivate", "--sync", window, "key", key];
    let status = Command::new("xdotool").args(args).env("DISPLAY", &display.name).status().unwrap();
    assert!(status.success(), "{key} cannot be pressed: {status}");
}

/// How long a person looks whether a key did something before pressing it again: a window that has just come may not
/// have the keyboard yet on a busy machine.
const LOOK: Duration = Duration::from_secs(10);

/// Presses a key until the task is over, as a person does to whom nothing seems to happen.
async fn press_until_over(display: &Display, real: &mut Real, task_id: &str, key: &str) -> v1::Job {
    let window = window_of(display, task_id);
    press(display, &window, key);
    for _ in 0..5 {
        if let Ok(job) = tokio::time::timeout(LOOK, real.finish(task_id)).await {
            return job;
        }
        press(display, &window, key);
    }
    real.finish(task_id).await
}

/// What openbox turns into WM_DELETE_WINDOW, as it does a click on a window's cross.
const CLOSE_WINDOW: &str = "alt+F4";
/// What Chromium closes a tab at.
pub(crate) const CLOSE_TAB: &str = "ctrl+w";

#[tokio::test]
async fn a_person_who_closes_the_window_ends_the_task_as_done() {
    let Some((display, mut real)) = start().await else { return };
    let url = real.pages.html("/idle", IDLE);
    let begun = real.begin(window(&url)).await;
    real.shown(&begun.task_id).await;
    let job = press_until_over(&display, &mut real, &begun.task_id, CLOSE_WINDOW).await;
    assert_ended(&job, Status::Done, Reason::PageClosed);
    assert_eq!(job.exit_code, Some(0));
}

#[tokio::test]
async fn a_person_who_closes_the_tab_ends_the_task_as_done() {
    let Some((display, mut real)) = start().await else { return };
    let url = real.pages.html("/idle", IDLE);
    let begun = real.begin(window(&url)).await;
    real.shown(&begun.task_id).await;
    let job = press_until_over(&display, &mut real, &begun.task_id, CLOSE_TAB).await;
    assert_ended(&job, Status::Done, Reason::PageClosed);
}

#[tokio::test]
async fn a_script_that_closes_its_window_ends_the_task_as_done() {
    let Some((_display, mut real)) = start().await else { return };
    let url = real.pages.script("/closes", "addEventListener('load', () => setTimeout(close, 100))");
    let job = real.run(window(&url)).await;
    assert_ended(&job, Status::Done, Reason::PageClosed);
    assert_eq!(job.exit_code, Some(0));
}

#[tokio::test]
async fn a_task_whose_display_dies_has_failed() {
    let Some((display, mut real)) = start().await else { return };
    let url = real.pages.html("/idle", IDLE);
    let begun = real.begin(window(&url)).await;
    real.shown(&begun.task_id).await;
    window_of(&display, &begun.task_id);
    drop(display);
    assert_ended(&real.finish(&begun.task_id).await, Status::Failed, Reason::BrowserTerminated);
}

#[tokio::test]
async fn a_foreign_browsers_window_is_left_alone_by_a_task_that_asks_for_its_profile() {
    let Some((display, mut real)) = start().await else { return };
    let profile = real.service.state_dir().join("profiles/chromium/work");
    std::fs::create_dir_all(&profile).unwrap();
    let mut foreign = chromium_by_hand(&profile, Some(&display.name)).arg("--class=foreign").spawn().unwrap();
    // A search stumbles over a window that goes away under it, as a starting browser's first ones do.
    let search = ["60", "xdotool", "search", "--sync", "--onlyvisible", "--class", "foreign"];
    let found = (0..3).any(|_| !display.run("timeout", &search).is_empty());
    assert!(found, "the foreign browser has a window");
    let url = real.pages.html("/idle", IDLE);
    let job = real.run(v1::ExecuteRequest { profile: "work".to_owned(), ..window(&url) }).await;
    let foreign_lives = foreign.try_wait().unwrap().is_none();
    foreign.kill().unwrap();
    foreign.wait().unwrap();
    assert_ended(&job, Status::Failed, Reason::ProfileInUse);
    assert!(foreign_lives, "the foreign browser was touched");
}

#[tokio::test]
async fn a_window_stays_after_its_task_until_a_person_closes_it() {
    let Some((display, mut real)) = start().await else { return };
    let url = real.pages.script("/done", "cometTask.done()");
    let begun = real.begin(window(&url)).await;
    let mut stream = real.client.watch_job(watch(&begun.task_id)).await.unwrap().into_inner();
    let done = to_end(&mut stream).await.pop().unwrap().job.unwrap();
    assert_ended(&done, Status::Done, Reason::Callback);
    assert!(done.is_process_alive);
    let window = window_of(&display, &begun.task_id);
    press(&display, &window, CLOSE_WINDOW);
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    assert_eq!(job.exit_code, Some(0));
}

#[tokio::test]
async fn a_window_kept_open_is_closed_by_a_cancel() {
    let Some((display, mut real)) = start().await else { return };
    let url = real.pages.script("/done", "cometTask.done()");
    let begun = real.begin(window(&url)).await;
    real.when(&begun.task_id, |job| job.done).await;
    window_of(&display, &begun.task_id);
    let asked = real.cancel(&begun.task_id).await;
    assert_ended(&asked, Status::Done, Reason::Callback);
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    assert!(!job.is_process_alive);
}
