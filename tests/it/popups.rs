//! Pages that the task's page opens: counted, waited for where that is asked, and no failure of the task.

use comet_task_runner::api::v1::{
    self,
    job::{Reason, Status},
    watch_job_response::Kind,
};
use comet_task_runner::browser::Fact;

use super::{
    browser::with_browser,
    pipe_browser::Driven,
    real::{LONG, Real, assert_ended, headless},
    real_windows::{start as start_with_windows, window},
    service::{next, watch},
};

/// Watches a task until a reading of it is as wanted, or its stream ends.
pub(crate) async fn sample_when(real: &mut Real, task_id: &str, wanted: impl Fn(&v1::Sample) -> bool) -> v1::Sample {
    let mut stream = real.client.watch_job(watch(task_id)).await.unwrap().into_inner();
    let reading = async {
        loop {
            let message = next(&mut stream).await.unwrap().expect("the task goes on");
            match message.sample {
                Some(sample) if wanted(&sample) => return sample,
                Some(_) | None => assert!(!message.r#final, "it ended without such a reading: {:?}", message.job),
            }
        }
    };
    tokio::time::timeout(LONG, reading).await.expect("a reading is as wanted")
}

/// With a profile in which pages may open popups without a person's click.
pub(crate) fn may_open(real: &Real, request: v1::ExecuteRequest) -> v1::ExecuteRequest {
    let profile = real.service.state_dir().join("profiles/chromium/popups/Default");
    std::fs::create_dir_all(&profile).unwrap();
    let allowed = r#"{"profile":{"default_content_setting_values":{"popups":1}}}"#;
    let preferences = profile.join("Preferences");
    if !preferences.exists() {
        std::fs::write(preferences, allowed).unwrap();
    }
    v1::ExecuteRequest { profile: "popups".to_owned(), ..request }
}

fn waiting(request: v1::ExecuteRequest) -> v1::ExecuteRequest {
    v1::ExecuteRequest { wait_for_popups: true, ..request }
}

/// A page that opens two popups, of which one opens a third, and closes itself once the gate is open.
fn opens_three(real: &Real) -> String {
    real.pages.script("/leaf", "document.title = 'leaf'");
    real.pages.script("/twig", "open('/leaf')");
    real.pages.script("/closes", "open('/twig'); open('/leaf', '', 'noopener'); fetch('/gate').then(() => close())")
}

#[tokio::test]
async fn popups_are_counted_and_go_with_the_tasks_page() {
    let Some(mut real) = Real::start().await else { return };
    let url = opens_three(&real);
    let begun = real.begin(may_open(&real, headless(&url))).await;
    sample_when(&mut real, &begun.task_id, |sample| sample.popup_count == 3).await;
    real.pages.open_gate();
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::PageClosed);
}

#[tokio::test]
async fn popups_of_a_window_are_counted_and_go_with_the_tasks_page() {
    let Some((_display, mut real)) = start_with_windows().await else { return };
    let url = real.pages.script("/opens", "open('/status/200', '', 'noopener'); fetch('/gate').then(() => close())");
    let begun = real.begin(may_open(&real, window(&url))).await;
    sample_when(&mut real, &begun.task_id, |sample| sample.popup_count == 1).await;
    real.pages.open_gate();
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::PageClosed);
}

/// The page closes itself at once; its popup does when the gate opens.
async fn outlives_its_page(real: &mut Real, request: impl Fn(&str) -> v1::ExecuteRequest, restart: bool) {
    real.pages.script("/stays", "document.title = 'stays'; fetch('/gate').then(() => close())");
    let url = real.pages.script("/leaves", "open('/stays'); setTimeout(close, 300)");
    let begun = real.begin(waiting(may_open(real, request(&url)))).await;
    // What the page showed last is told no more once it is gone; its popup is.
    sample_when(real, &begun.task_id, |sample| sample.popup_count == 1).await;
    if restart {
        for _ in 0..2 {
            real.service.kill();
            real.service.restart();
            real.client = real.service.client().await;
            sample_when(real, &begun.task_id, |sample| sample.popup_count == 1).await;
        }
    }
    let mut stream = real.client.watch_job(watch(&begun.task_id)).await.unwrap().into_inner();
    let snapshot = next(&mut stream).await.unwrap().unwrap();
    assert_eq!((snapshot.kind(), snapshot.job.unwrap().status()), (Kind::Snapshot, Status::Running));
    real.pages.open_gate();
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::PageClosed);
}

#[tokio::test]
async fn a_task_that_waits_for_its_popups_ends_with_the_last_of_them() {
    let Some(mut real) = Real::start().await else { return };
    outlives_its_page(&mut real, headless, false).await;
}

#[tokio::test]
async fn a_task_in_a_window_can_wait_for_its_popups_too() {
    let Some((_display, mut real)) = start_with_windows().await else { return };
    outlives_its_page(&mut real, window, false).await;
}

#[tokio::test]
async fn popups_are_waited_for_over_restarts() {
    let Some(mut real) = Real::start().await else { return };
    outlives_its_page(&mut real, headless, true).await;
}

#[test]
fn a_popup_that_crashes_is_closed_and_its_page_goes_on() {
    with_browser(|browser, pages| {
        let script = "onload = () => cometTask.progress(1); fetch('/gate').then(() => cometTask.done())";
        let mut driven = Driven::headless(browser, &pages.script("/task", script));
        driven.report();
        driven.click_for("open('/status/200', '', 'noopener')");
        let popups = |count| move |fact: &Fact| matches!(fact, Fact::Sampled(sample) if sample.popup_count == count);
        driven.until(popups(1));
        driven.crash_popup();
        let facts = driven.until(popups(0));
        assert!(!facts.iter().any(|fact| matches!(fact, Fact::PageCrashed { .. } | Fact::PageClosed)), "{facts:?}");
        pages.open_gate();
        driven.report();
    });
}
