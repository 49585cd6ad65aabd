//! Dialogs of the task's page and of its popups: answered as asked, told where they are left, and never in the way.

use comet_task_runner::api::v1::{
    self,
    dialog::Kind,
    execute_request::{AfterFinish, DialogPolicy},
    job::{Reason, Status},
    log_entry::Source,
};

use super::{
    display::Display,
    log,
    popups::{may_open, sample_when},
    real::{Real, assert_ended, headless, load_state, seconds},
    real_windows::{CLOSE_TAB, press, start as start_with_windows, window, window_of},
    wire,
};

fn with(request: v1::ExecuteRequest, dialogs: DialogPolicy) -> v1::ExecuteRequest {
    v1::ExecuteRequest { dialogs: dialogs.into(), ..request }
}

/// What the page asks, and reports.
const ASKS: &str = "alert('a'); const c = confirm('b'); const p = prompt('c', 'd'); cometTask.done([c, p])";

/// The popup asks at once, in the very process of the page that opened it: nobody can have listened to it by then.
const POPUP_ASKS: &str =
    "const w = open('', 'w'); const c = w.confirm('go on?'); cometTask.done([c, w.prompt('x', 'y')])";

/// What is left open by those who cannot answer.
const LEFT: &str = "addEventListener('load', () => setTimeout(() => confirm('go on?')))";

#[tokio::test]
async fn dialogs_are_answered_as_asked_in_the_page_and_in_its_popups() {
    let Some(mut real) = Real::start().await else { return };
    for script in [ASKS, POPUP_ASKS] {
        let url = real.pages.script("/asks", script);
        for (dialogs, result) in [
            (DialogPolicy::Unspecified, if script == ASKS { r#"[true,"d"]"# } else { r#"[true,"y"]"# }),
            (DialogPolicy::Dismiss, "[false,null]"),
        ] {
            let request = may_open(&real, headless(&url));
            let job = real.run(with(request, dialogs)).await;
            assert_ended(&job, Status::Done, Reason::Callback);
            assert_eq!(job.callback.unwrap().result, result, "{dialogs:?}");
            if script == ASKS {
                let said = log::read(&mut real.client, &job.task_id).await;
                let answer = if dialogs == DialogPolicy::Dismiss { "dismissed" } else { "accepted" };
                let told = ["alert", "confirm", "prompt"].map(|kind| format!("a dialog ({kind}) was {answer}"));
                let of_page: Vec<_> = said.iter().filter(|entry| entry.source() == Source::Page).collect();
                assert_eq!(
                    of_page.iter().map(|entry| &entry.text).collect::<Vec<_>>(),
                    told.iter().collect::<Vec<_>>()
                );
            }
        }
    }
}

#[tokio::test]
async fn dialogs_of_windows_are_answered_where_that_is_asked() {
    let Some((_display, mut real)) = start_with_windows().await else { return };
    for (script, dialogs, result) in [
        (ASKS, DialogPolicy::Accept, r#"[true,"d"]"#),
        (POPUP_ASKS, DialogPolicy::Accept, r#"[true,"y"]"#),
        (ASKS, DialogPolicy::Dismiss, "[false,null]"),
    ] {
        let url = real.pages.script("/asks", script);
        let request = v1::ExecuteRequest { after_finish: AfterFinish::Close.into(), ..window(&url) };
        let request = may_open(&real, request);
        let job = real.run(with(request, dialogs)).await;
        assert_ended(&job, Status::Done, Reason::Callback);
        assert_eq!(job.callback.unwrap().result, result, "{dialogs:?}");
    }
}

/// Begins a task whose page, or whose popup, asks something that nobody answers.
async fn left_open(real: &mut Real, request: &dyn Fn(&str) -> v1::ExecuteRequest, popup: bool) -> v1::ExecuteResponse {
    let asks = real.pages.script("/asks", LEFT);
    let url = if popup { real.pages.script("/opens", "open('/asks-later', '', 'noopener')") } else { asks };
    // A popup in a window is not held until it is listened to, and what it asks in its first moments is not told.
    real.pages.script(
        "/asks-later",
        &LEFT.replace("setTimeout(() => confirm('go on?'))", "setTimeout(() => confirm('go on?'), 2000)"),
    );
    let request = may_open(real, request(&url));
    let begun = real.begin(with(request, DialogPolicy::Leave)).await;
    let sample = sample_when(real, &begun.task_id, |sample| sample.dialog.is_some()).await;
    let dialog = sample.dialog.unwrap();
    assert_eq!((dialog.kind(), dialog.message.as_str()), (Kind::Confirm, "go on?"));
    assert_eq!(sample.popup_count, u32::from(popup));
    begun
}

/// Cancel, a timeout, a report: each ends a task that stands still at a question.
async fn ends_however_it_is_ended(mut real: Real, request: &dyn Fn(&str) -> v1::ExecuteRequest) {
    for popup in [false, true] {
        let begun = left_open(&mut real, request, popup).await;
        real.cancel(&begun.task_id).await;
        let job = real.finish(&begun.task_id).await;
        assert_ended(&job, Status::Cancelled, Reason::CancelRequested);
        assert_eq!(wire::status(&mut real.client, &begun.task_id).await.sample, None);
    }
    let run = v1::Timeouts { run: seconds(6), ..v1::Timeouts::default() };
    let timed = |url: &str| v1::ExecuteRequest { timeouts: Some(run), ..request(url) };
    let begun = left_open(&mut real, &timed, false).await;
    assert_ended(&real.finish(&begun.task_id).await, Status::TimedOut, Reason::RunTimeout);

    let closed = |url: &str| v1::ExecuteRequest { after_finish: AfterFinish::Close.into(), ..request(url) };
    let begun = left_open(&mut real, &closed, false).await;
    real.client.callback(wire::report(&begun, Status::Done)).await.unwrap();
    assert_ended(&real.finish(&begun.task_id).await, Status::Done, Reason::Callback);
}

#[tokio::test]
async fn a_dialog_that_is_left_is_told_and_holds_nothing_up() {
    let Some(real) = Real::start().await else { return };
    ends_however_it_is_ended(real, &headless).await;
}

#[tokio::test]
async fn a_dialog_that_is_left_in_a_window_is_told_and_holds_nothing_up() {
    let Some((_display, real)) = start_with_windows().await else { return };
    ends_however_it_is_ended(real, &window).await;
}

#[tokio::test]
async fn a_dialog_is_still_told_after_a_restart_and_no_more_once_it_is_answered() {
    let Some((display, mut real)) = start_with_windows().await else { return };
    let begun = left_open(&mut real, &window, false).await;
    real.service.kill();
    real.service.restart();
    real.client = real.service.client().await;
    sample_when(&mut real, &begun.task_id, |sample| sample.dialog.is_some()).await;
    press(&display, &window_of(&display, &begun.task_id), "Return");
    sample_when(&mut real, &begun.task_id, |sample| sample.dialog.is_none() && !sample.page_url.is_empty()).await;
    real.cancel(&begun.task_id).await;
    real.finish(&begun.task_id).await;
}

/// Clicks into the page, as a person who works with it does, and closes its tab.
async fn touch_and_close(display: &Display, real: &mut Real, task_id: &str) {
    sample_when(real, task_id, |sample| sample.page_title == "clings").await;
    let window = window_of(display, task_id);
    display.run("xdotool", &["windowactivate", "--sync", &window]);
    display.run("xdotool", &["mousemove", "--window", &window, "600", "500", "click", "1"]);
    sample_when(real, task_id, |sample| sample.progress == Some(1)).await;
    press(display, &window, CLOSE_TAB);
}

/// A page that asks a person who leaves it whether they mean it, once they have touched it.
const CLINGS: &str = "<!doctype html><title>clings</title><script>onbeforeunload = event => event.preventDefault(); \
                      onclick = () => cometTask.progress(1)</script><body>here";

#[tokio::test]
async fn a_page_that_clings_is_closed_or_told_as_asked_and_cancelled_all_the_same() {
    let Some((display, mut real)) = start_with_windows().await else { return };
    let url = real.pages.html("/clings", CLINGS);
    let begun = real.begin(window(&url)).await;
    touch_and_close(&display, &mut real, &begun.task_id).await;
    let asks = |sample: &v1::Sample| sample.dialog.as_ref().is_some_and(|dialog| dialog.kind() == Kind::Beforeunload);
    sample_when(&mut real, &begun.task_id, asks).await;
    real.cancel(&begun.task_id).await;
    assert_ended(&real.finish(&begun.task_id).await, Status::Cancelled, Reason::CancelRequested);

    let begun = real.begin(with(window(&url), DialogPolicy::Accept)).await;
    touch_and_close(&display, &mut real, &begun.task_id).await;
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::PageClosed);
    assert_eq!(load_state(&job), v1::page::LoadState::Closed);
}
