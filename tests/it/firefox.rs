//! A real Firefox, of which only the exit is known: with a window and without, and ended in each way.

use comet_task_runner::api::v1::{
    ExecuteRequest,
    browser::Tier,
    execute_request::{CallbackDelivery, Mode},
    job::{Reason, Status},
};
use rustix::process::Signal;

use super::{
    display::Display,
    processes::{self, Ending},
    real::{Real, Seats, assert_ended},
    service::Options,
};

/// Reports as a page does that has nothing but what stands behind its address.
const REPORTS: &str = "
    const [task_id, callback_token] = location.hash.slice('#ctr='.length).split('.');
    const report = { task_id, callback_token, status: 'DONE', result: navigator.userAgent };
    fetch('CALLBACK', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(report) });";

/// One at a time, by the seats that all browsers share: a Firefox takes more of two cores than anything else here.
async fn start(display: Option<&Display>, programs: &[&str]) -> Option<Real> {
    let seats = Seats::take(2, &[&["firefox-esr"], programs].concat())?;
    let options = Options::chromium().arg("--slots").arg("1");
    let options = match display {
        Some(display) => options.env("DISPLAY", &display.name),
        None => options,
    };
    Real::start_with(options, seats).await
}

fn firefox(url: &str, mode: Mode) -> ExecuteRequest {
    ExecuteRequest {
        url: url.to_owned(),
        browser: "firefox".to_owned(),
        mode: mode.into(),
        ..ExecuteRequest::default()
    }
}

/// Waits until the page runs, which its request says.
fn loaded(real: &Real) {
    tokio::task::block_in_place(|| real.pages.wait_for("/seen"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_a_headless_firefox_reports_by_its_fragment() {
    let Some(mut real) = start(None, &[]).await else { return };
    let url = real.pages.script("/task", &REPORTS.replace("CALLBACK", &format!("{}/callback", real.service.address)));
    let delivery = CallbackDelivery::Fragment.into();
    let job = real.run(ExecuteRequest { callback_delivery: delivery, ..firefox(&url, Mode::Headless) }).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    assert!(job.callback.unwrap().result.contains("Firefox/"));
    assert_eq!((job.browser.unwrap().tier(), job.page), (Tier::ExitOnly, None));
}

const SEEN: &str = "fetch('/seen')";

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_firefox_is_gone_with_its_whole_tree_and_a_killed_one_has_failed() {
    let Some(mut real) = start(None, &[]).await else { return };
    let url = real.pages.script("/task", SEEN);
    let begun = real.begin(firefox(&url, Mode::Headless)).await;
    loaded(&real);
    let tree: Vec<_> = processes::descendants(begun.process_id).into_iter().filter_map(Ending::of).collect();
    assert!(tree.len() > 2);
    real.cancel(&begun.task_id).await;
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Cancelled, Reason::CancelRequested);
    assert!(tree.iter().all(Ending::has_come), "cancelled while processes of it run");

    let begun = real.begin(firefox(&url, Mode::Headless)).await;
    processes::signal(begun.process_id, Signal::KILL);
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Failed, Reason::ProcessFailed);
    assert_eq!((job.exit_code, job.exit_signal), (None, Some(9)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_closes_firefoxs_window_ends_the_task_as_done() {
    const PROGRAMS: [&str; 3] = ["Xvfb", "openbox", "xdotool"];
    let display =
        if PROGRAMS.into_iter().all(super::pipe_browser::has_program) { Some(Display::start()) } else { None };
    let Some(mut real) = start(display.as_ref(), &PROGRAMS).await else { return };
    let display = display.expect("a seat is given only where there is one");
    let url = real.pages.script("/task", SEEN);
    let begun = real.begin(firefox(&url, Mode::Headed)).await;
    loaded(&real);
    let window = display.window("firefox");
    display.run("xdotool", &["windowactivate", "--sync", &window, "key", "alt+F4"]);
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::ProcessExited);
    assert_eq!(job.exit_code, Some(0));
}
