//! The browser layer against a real Chromium in a window, with what a person does there.

use comet_task_runner::browser::{Browser, Fact, PageSample};

use crate::browser::{is_closed, with_browser};
use crate::display::Display;
use crate::pages::Pages;
use crate::pipe_browser::{Driven, has_program};

/// Runs a test with a display as well.
fn with_display(test: impl FnOnce(&Browser, &Pages, &Display)) {
    if ["Xvfb", "openbox", "xdotool"].into_iter().all(has_program) {
        with_browser(|browser, pages| test(browser, pages, &Display::start()));
    }
}

#[test]
fn a_window_reports_and_closes_itself() {
    with_display(|browser, pages, display| {
        let url = pages.script("/task", "cometTask.done(history.length); window.close()");
        let mut driven = Driven::windowed(browser, &url, &display.name);
        assert_eq!(driven.report().0.result.as_deref(), Some("1"));
        driven.until(is_closed);
    });
}

#[test]
fn a_person_closing_the_window_closes_the_page() {
    with_display(|browser, pages, display| {
        let url = pages.script("/task", "onload = () => cometTask.progress(1)");
        let mut driven = Driven::windowed(browser, &url, &display.name);
        driven.report();
        let window = display.window("comet-task-it");
        display.run("xdotool", &["windowactivate", "--sync", &window, "key", "alt+F4"]);
        driven.until(is_closed);
    });
}

#[test]
fn a_windows_dialog_is_left_to_the_person() {
    with_display(|browser, pages, display| {
        let url = pages.script("/task", "cometTask.done(confirm('go on?'))");
        let mut driven = Driven::windowed(browser, &url, &display.name);
        let opened = |fact: &Fact| matches!(fact, Fact::Sampled(PageSample { dialog: Some(_), .. }));
        driven.until(opened);
        let window = display.window("comet-task-it");
        display.run("xdotool", &["windowfocus", "--sync", &window]);
        display.run("xdotool", &["key", "Return"]);
        assert_eq!(driven.report().0.result.as_deref(), Some("true"));
    });
}

#[test]
fn a_windows_file_goes_where_it_was_told_and_a_url_that_leads_to_one_is_told_as_such() {
    with_display(|browser, pages, display| {
        let mut driven = Driven::windowed(browser, &pages.url("/download"), &display.name);
        let facts = driven.until(|fact| matches!(fact, Fact::DownloadDone(_)));
        assert!(facts.iter().any(|fact| matches!(fact, Fact::DownloadBegan { name } if name == "a.bin")), "{facts:?}");
        let Some(Fact::DownloadDone(download)) = facts.last() else { unreachable!("it was looked for") };
        assert!(download.is_task);
        assert_eq!(driven.downloads(), std::slice::from_ref(&download.guid));
    });
}

#[test]
fn a_windows_popup_runs_even_while_no_service_is_there() {
    with_display(|browser, pages, display| {
        pages.script("/popup", "opener.postMessage('ran')");
        let script = "onmessage = event => cometTask.done(event.data); onload = () => cometTask.progress(1)";
        let mut driven = Driven::windowed(browser, &pages.script("/task", script), &display.name);
        driven.report();
        driven.click_for("open('/popup')");
        let reported = driven.until_message(|message| message["method"] == "Runtime.bindingCalled");
        assert!(reported["params"]["payload"].as_str().unwrap().contains("ran"), "{reported}");
    });
}
