//! Tasks that share a warm browser: each has a context of its own, and its end; the browser's end is everybody's.

use comet_task_runner::api::v1::{
    self,
    browser::Isolation,
    execute_request::{AfterFinish, CompletionPolicy, Mode},
    job::{Reason, Status},
    tree_end::Step,
};
use rustix::process::Signal;
use tonic::Code;

use super::{
    display::Display,
    history,
    nothing_left::shims,
    processes::{self, Ending},
    real::{Real, Seats, assert_ended, headless, load_state, seconds},
    service::{Options, Service, eventually, next, watch},
    wire::refused,
};

const IDLE: &str = "<!doctype html><title>idle</title>here";

/// A task that shares its browser.
fn shared(url: &str) -> v1::ExecuteRequest {
    v1::ExecuteRequest { isolation: Isolation::Context.into(), ..headless(url) }
}

fn options() -> Options {
    Options::chromium().arg("--slots").arg("8")
}

async fn start() -> Option<Real> {
    start_with(options()).await
}

async fn start_with(options: Options) -> Option<Real> {
    Real::start_with(options, Seats::take(1, &[])?).await
}

/// The processes in which the pages of a browser run, one of them spare.
fn renderers(browser: u32) -> Vec<Ending> {
    let children = processes::descendants(browser).into_iter();
    children.filter(|pid| processes::command_line(*pid).contains("--type=renderer")).filter_map(Ending::of).collect()
}

/// What proves that a context is gone and that nothing else was done to get there.
fn assert_context_ended(job: &v1::Job) {
    let end = job.tree_end.as_ref().unwrap();
    assert_eq!((end.step(), end.killed_count, job.is_process_alive), (Step::Closed, 0, false), "{job:?}");
    assert_eq!((job.exit_code, job.exit_signal), (None, None), "its browser lives on: {job:?}");
    assert_eq!(job.browser.as_ref().unwrap().isolation(), Isolation::Context);
}

async fn process_info(real: &mut Real, task_id: &str) -> v1::ProcessInfo {
    let mut stream = real.client.watch_job(watch(task_id)).await.unwrap().into_inner();
    loop {
        let message = next(&mut stream).await.unwrap().expect("the stream goes on");
        if let Some(info) = message.sample.and_then(|sample| sample.process_info) {
            return info;
        }
    }
}

/// Two tasks whose pages are shown.
async fn two_shown(real: &mut Real) -> [v1::Job; 2] {
    let url = real.pages.html("/idle", IDLE);
    let first = real.begin(shared(&url)).await.task_id;
    let second = real.begin(shared(&url)).await.task_id;
    [real.shown(&first).await, real.shown(&second).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_share_one_browser_and_nothing_that_a_page_can_see() {
    let Some(mut real) = start().await else { return };
    let script = "window.name = document.cookie + localStorage.length + history.length; \
                  document.cookie = 'seen=1'; localStorage.seen = 1; cometTask.done(window.name)";
    let url = real.pages.script("/look", script);
    let holder = real.begin(shared(&real.pages.html("/idle", IDLE))).await;
    for round in 0..2 {
        let begun = real.begin(shared(&url)).await;
        assert_eq!(begun.process_id, holder.process_id);
        let job = real.finish(&begun.task_id).await;
        assert_ended(&job, Status::Done, Reason::Callback);
        // No cookie, an empty store, one entry in its history.
        assert_eq!(job.callback.as_ref().unwrap().result, "\"01\"", "round {round}");
        assert_context_ended(&job);
    }
    let own = real.begin(headless(&real.pages.url("/idle"))).await;
    assert_ne!(own.process_id, holder.process_id, "who does not ask to share has a browser alone");
    assert_eq!(shims(&real.service).len(), 2);
    for begun in [own, holder] {
        real.cancel(&begun.task_id).await;
        assert_ended(&real.finish(&begun.task_id).await, Status::Cancelled, Reason::CancelRequested);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_browser_tells_each_task_of_its_own_page_only() {
    let Some(mut real) = start().await else { return };
    let [first, second] = two_shown(&mut real).await;
    let cases = [
        (real.pages.script("/close", "setTimeout(() => window.close(), 50)"), Status::Done, Reason::PageClosed),
        ("http://127.0.0.1:1/".to_owned(), Status::Failed, Reason::NavigationFailed),
        (real.pages.url("/status/404"), Status::Failed, Reason::HttpError),
    ];
    for (url, status, reason) in cases {
        let job = real.run(v1::ExecuteRequest { fail_on_http_error: true, ..shared(&url) }).await;
        assert_ended(&job, status, reason);
        assert_context_ended(&job);
    }
    let popup = real.pages.script("/popup", "open('/idle'); setTimeout(() => cometTask.done(), 300)");
    assert_ended(&real.run(shared(&popup)).await, Status::Done, Reason::Callback);
    let dialog = real.pages.script("/dialog", "cometTask.done(confirm('go on?'))");
    let job = real.run(shared(&dialog)).await;
    assert_eq!(job.callback.as_ref().unwrap().result, "true");
    for job in [first, second] {
        let job = real.shown(&job.task_id).await;
        assert_eq!((job.status(), load_state(&job)), (Status::Running, v1::page::LoadState::Committed), "{job:?}");
        real.cancel(&job.task_id).await;
        assert_context_ended(&real.finish(&job.task_id).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_shared_browser_takes_is_told_as_shared() {
    let Some(mut real) = start().await else { return };
    let [first, second] = two_shown(&mut real).await;
    let own = real.begin(headless(&real.pages.url("/idle"))).await;
    let readings = [process_info(&mut real, &first.task_id).await, process_info(&mut real, &second.task_id).await];
    for reading in readings {
        assert_eq!((reading.pid, reading.shared), (first.process_id, true), "{reading:?}");
        assert!(reading.memory_mb > 1.0 && reading.process_count > 1, "{reading:?}");
    }
    assert!(!process_info(&mut real, &own.task_id).await.shared);
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_share_a_browser_that_outlives_the_last_of_them() {
    let Some(seats) = Seats::take(1, &["Xvfb", "openbox", "xdotool"]) else { return };
    let display = Display::start();
    let Some(mut real) = Real::start_with(options().env("DISPLAY", &display.name), seats).await else { return };
    let window = |url: &str| v1::ExecuteRequest { mode: Mode::Headed.into(), ..shared(url) };
    let close = real.pages.script("/close", "setTimeout(() => window.close(), 50)");
    let first = real.run(window(&close)).await;
    assert_ended(&first, Status::Done, Reason::PageClosed);
    assert_context_ended(&first);
    let without = real.begin(shared(&real.pages.html("/idle", IDLE))).await;
    assert_ne!(without.process_id, first.process_id, "one without windows is another browser");
    let second = real.begin(window(&real.pages.url("/idle"))).await;
    assert_eq!(second.process_id, first.process_id);
    real.shown(&second.task_id).await;
    let title = display.run("timeout", &["60", "xdotool", "search", "--sync", "--onlyvisible", "--name", "idle"]);
    assert!(!title.is_empty(), "its page is in a window");
    real.cancel(&second.task_id).await;
    assert_context_ended(&real.finish(&second.task_id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_that_begin_at_once_each_report_once_and_to_themselves() {
    let Some(mut real) = start().await else { return };
    let mut begun = Vec::new();
    for number in 0..6 {
        let url = real.pages.script(&format!("/{number}"), &format!("cometTask.done({number})"));
        let mut client = real.client.clone();
        begun.push(tokio::spawn(async move { client.execute(shared(&url)).await.unwrap().into_inner() }));
    }
    for (number, begun) in begun.into_iter().enumerate() {
        let begun = begun.await.unwrap();
        let job = real.finish(&begun.task_id).await;
        assert_ended(&job, Status::Done, Reason::Callback);
        assert_eq!(job.callback.as_ref().unwrap().result, number.to_string());
        assert_context_ended(&job);
    }
    assert_eq!(shims(&real.service).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_hangs_is_cancelled_and_its_neighbour_goes_on() {
    let Some(mut real) = start().await else { return };
    let neighbour = real.begin(shared(&real.pages.html("/idle", IDLE))).await;
    let hang = real.pages.script("/hang", "setTimeout(() => { for (;;); }, 50)");
    let begun = real.begin(shared(&hang)).await;
    real.shown(&begun.task_id).await;
    // At once: however much one is in a hurry, its neighbour is not ended for it.
    let request =
        v1::CancelJobRequest { task_id: begun.task_id.clone(), force: true, ..v1::CancelJobRequest::default() };
    real.client.cancel_job(request).await.unwrap();
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Cancelled, Reason::CancelRequested);
    assert_context_ended(&job);
    let job = real.shown(&neighbour.task_id).await;
    assert_eq!(job.status(), Status::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_answers_no_more_is_ended_with_all_that_share_it() {
    let Some(mut real) = start().await else { return };
    let [first, second] = two_shown(&mut real).await;
    processes::signal(first.process_id, Signal::STOP);
    let termination_grace = seconds(1);
    let request =
        v1::CancelJobRequest { task_id: first.task_id.clone(), termination_grace, ..v1::CancelJobRequest::default() };
    real.client.cancel_job(request).await.unwrap();
    let job = real.finish(&first.task_id).await;
    assert_ended(&job, Status::Cancelled, Reason::CancelRequested);
    assert_eq!(job.tree_end.as_ref().unwrap().step(), Step::Killed);
    let job = real.finish(&second.task_id).await;
    assert_ended(&job, Status::Failed, Reason::ProcessFailed);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crash_of_a_shared_browser_is_told_to_each_task_and_the_next_has_another() {
    let Some(mut real) = start().await else { return };
    let [first, second] = two_shown(&mut real).await;
    processes::signal(first.process_id, Signal::KILL);
    for task in [&first, &second] {
        let job = real.finish(&task.task_id).await;
        assert_ended(&job, Status::Failed, Reason::ProcessFailed);
        assert_eq!((job.exit_code, job.exit_signal), (None, Some(9)));
        assert!(job.message.starts_with("the browser that it shared with other tasks ended: "), "{}", job.message);
    }
    let job = real.run(shared(&real.pages.script("/done", "cometTask.done()"))).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    assert_ne!(job.process_id, first.process_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_service_takes_a_shared_browser_up_with_all_its_contexts() {
    let Some(mut real) = start().await else { return };
    let url = real.pages.script("/later", "fetch('/gate').then(() => cometTask.done('later'))");
    let (first, second) = (real.begin(shared(&url)).await, real.begin(shared(&url)).await);
    let third = real.begin(shared(&real.pages.html("/idle", IDLE))).await;
    for begun in [&first, &second, &third] {
        real.shown(&begun.task_id).await;
    }
    real.service.kill();
    real.service.restart();
    real.client = real.service.client().await;
    let fourth = real.begin(shared(&url)).await;
    assert_eq!(fourth.process_id, first.process_id, "it is shared on");
    real.cancel(&third.task_id).await;
    assert_context_ended(&real.finish(&third.task_id).await);
    real.pages.open_gate();
    for begun in [first, second, fourth] {
        let job = real.finish(&begun.task_id).await;
        assert_ended(&job, Status::Done, Reason::Callback);
        assert_eq!(job.callback.as_ref().unwrap().result, "\"later\"");
        assert_context_ended(&job);
    }
    history::assert_orderly(&history::read(&real.service.state_dir()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_while_no_service_was_there_is_told_by_the_next() {
    let Some(mut real) = start().await else { return };
    let report = real.pages.script("/report", "fetch('/gate').then(() => { cometTask.done(1); close(); })");
    let killed = real.begin(shared(&real.pages.html("/idle", IDLE))).await;
    let reported = real.begin(shared(&report)).await;
    for begun in [&killed, &reported] {
        real.shown(&begun.task_id).await;
    }
    let [shim] = shims(&real.service).try_into().unwrap();
    let pages = renderers(killed.process_id);
    real.service.kill();
    real.pages.open_gate();
    eventually("that the page has reported and closed", || pages.iter().any(Ending::has_come));
    let shim = Ending::of(shim.pid).unwrap();
    processes::signal(killed.process_id, Signal::SEGV);
    shim.wait();
    real.service.restart();
    real.client = real.service.client().await;
    let job = real.finish(&killed.task_id).await;
    assert_ended(&job, Status::Failed, Reason::ProcessFailed);
    assert_eq!(job.exit_signal, Some(11));
    let job = real.finish(&reported.task_id).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    assert_eq!(job.exit_signal, Some(11), "the end of its browser is known of it too");
    history::assert_orderly(&history::read(&real.service.state_dir()));
}

#[tokio::test]
async fn a_browser_without_a_task_leaves_when_its_time_is_over_or_the_service_leaves() {
    let Some(mut real) = start_with(options().arg("--warm-idle").arg("0")).await else { return };
    let done = real.pages.script("/done", "cometTask.done()");
    let first = real.run(shared(&done)).await;
    eventually("that the browser leaves with its last task", || shims(&real.service).is_empty());
    let second = real.run(shared(&done)).await;
    assert_ne!(first.process_id, second.process_id);
    eventually("that the browser leaves with its last task", || shims(&real.service).is_empty());

    real.service.terminate();
    real.service.restart_with(options().arg("--warm-idle").arg("1h"));
    real.client = real.service.client().await;
    let [first, second] = [real.run(shared(&done)).await, real.run(shared(&done)).await];
    assert_eq!(first.process_id, second.process_id, "it is kept ready");
    let browser = Ending::of(first.process_id).unwrap();
    assert!(!browser.has_come());
    assert!(real.service.terminate().success());
    assert!(browser.has_come(), "nobody needs it");
    assert!(shims(&real.service).is_empty());
}

#[tokio::test]
async fn a_browser_kept_open_for_its_page_is_closed_by_a_cancel() {
    let Some(mut real) = start().await else { return };
    let done = real.pages.script("/done", "cometTask.done()");
    let request = v1::ExecuteRequest { after_finish: AfterFinish::KeepOpen.into(), ..shared(&done) };
    let begun = real.begin(request).await;
    let job = real.when(&begun.task_id, |job| job.done).await;
    assert!(job.is_process_alive && job.tree_end.is_none());
    real.cancel(&begun.task_id).await;
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    assert_context_ended(&job);
}

#[tokio::test]
async fn what_cannot_be_shared_is_refused_by_name() {
    let service = Service::start_with(options());
    let mut client = service.client().await;
    let url = "http://127.0.0.1:1/";
    let own = |edit: fn(&mut v1::ExecuteRequest)| {
        let mut request = shared(url);
        edit(&mut request);
        request
    };
    let cases = [
        (own(|request| request.profile = "work".to_owned()), "profile"),
        (own(|request| request.set_completion_policy(CompletionPolicy::ProcessExit)), "completion_policy"),
    ];
    for (request, field) in cases {
        let refused = refused(client.execute(request).await);
        let [(at, remedy)] = refused.fields.try_into().unwrap();
        assert_eq!((refused.code, at.as_str()), (Code::InvalidArgument, field));
        assert!(remedy.contains("isolation PROCESS"), "{remedy}");
    }
}
