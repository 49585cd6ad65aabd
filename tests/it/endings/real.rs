//! The ways that are about pages and windows: in a real Chromium, managed, or watched for its exit alone.

use comet_task_runner::api::v1::{
    ExecuteRequest, Timeouts,
    browser::Tier,
    execute_request::{CompletionPolicy, Mode},
    page::LoadState,
};
use rustix::process::Signal;

use super::{Seen, end};
use crate::{
    display::Display,
    nothing_left::Tidy,
    pages::Pages,
    processes,
    real::{headless, load_state, millis, seconds, when},
    service::{Client, Options, eventually},
    wire::{cancel, kill_at_once, status},
};

/// A page that says that it runs, and then does nothing.
fn idle(pages: &Pages, name: &str) -> String {
    pages.script(name, &format!("fetch('{name}/seen')"))
}

fn closing(pages: &Pages) -> String {
    pages.script("/closes", "addEventListener('load', () => setTimeout(close, 100))")
}

fn window(url: &str) -> ExecuteRequest {
    ExecuteRequest { url: url.to_owned(), mode: Mode::Headed.into(), ..ExecuteRequest::default() }
}

fn kill_renderers(browser: u32) {
    let is_renderer = |pid: &u32| processes::command_line(*pid).contains("--type=renderer");
    let renderers: Vec<_> = processes::descendants(browser).into_iter().filter(is_renderer).collect();
    assert!(!renderers.is_empty());
    for renderer in renderers {
        processes::signal(renderer, Signal::KILL);
    }
}

/// Closes a window as a person does, again and again while nothing seems to happen.
async fn close_window(display: &Display, client: &mut Client, task_id: &str) -> comet_task_runner::api::v1::Job {
    const LOOK: std::time::Duration = std::time::Duration::from_secs(5);
    let window = display.window(&format!("comet-task-{task_id}"));
    for _ in 0..5 {
        display.run("xdotool", &["windowactivate", "--sync", &window, "key", "alt+F4"]);
        if let Ok(job) = tokio::time::timeout(LOOK, end(client, task_id)).await {
            return job;
        }
    }
    end(client, task_id).await
}

/// What a page does, and what is done to it.
pub(super) async fn pages(seen: &Seen) {
    let display = Display::start();
    let service = Tidy::start_with(Options::chromium().arg("--slots").arg("4").env("DISPLAY", &display.name));
    let mut client = service.client().await;
    let pages = Pages::start();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let report = CompletionPolicy::RequireReport.into();
    for (how, request) in [
        ("reports DONE", headless(&pages.script("/done", "cometTask.done()"))),
        ("reports FAILED", headless(&pages.script("/fails", "cometTask.fail('no')"))),
        ("closes itself", headless(&closing(&pages))),
        ("closes itself, REQUIRE_REPORT", ExecuteRequest { completion_policy: report, ..headless(&closing(&pages)) }),
        ("cannot be fetched", headless(&format!("http://{free}/"))),
        (
            "HTTP 404, asked to count",
            ExecuteRequest { fail_on_http_error: true, ..headless(&pages.url("/status/404")) },
        ),
    ] {
        let task = client.execute(request).await.unwrap().into_inner();
        seen.job(how, Tier::Managed, &end(&mut client, &task.task_id).await);
    }
    let task = client.execute(window(&pages.html("/idle", "idle"))).await.unwrap().into_inner();
    when(&mut client, &task.task_id, |job| load_state(job) == LoadState::Committed).await;
    let job = close_window(&display, &mut client, &task.task_id).await;
    seen.job("person closes the window", Tier::Managed, &job);
    drop(client);
}

/// What becomes of a managed browser's processes.
async fn signals(seen: &Seen, client: &mut Client, pages: &Pages) {
    let idle = pages.html("/idle", "idle");
    for (how, policy, signal) in [
        ("its renderer is killed", CompletionPolicy::Any, None),
        ("SIGTERM, and exit 0", CompletionPolicy::Any, Some(Signal::TERM)),
        ("SIGTERM, and exit 0, REQUIRE_REPORT", CompletionPolicy::RequireReport, Some(Signal::TERM)),
        ("SIGTERM, and exit 0, PROCESS_EXIT", CompletionPolicy::ProcessExit, Some(Signal::TERM)),
        ("kill -9", CompletionPolicy::Any, Some(Signal::KILL)),
    ] {
        let request = ExecuteRequest { completion_policy: policy.into(), ..headless(&idle) };
        let task = client.execute(request).await.unwrap().into_inner();
        when(client, &task.task_id, |job| load_state(job) == LoadState::Committed).await;
        match signal {
            None => kill_renderers(task.process_id),
            Some(signal) => processes::signal(task.process_id, signal),
        }
        seen.job(how, Tier::Managed, &end(client, &task.task_id).await);
    }
}

/// Signals, wishes, timeouts and the death of the watcher.
pub(super) async fn wishes_and_times(seen: &Seen) {
    let service = Tidy::start_with(Options::chromium().arg("--slots").arg("9"));
    let mut client = service.client().await;
    let pages = Pages::start();
    let idle = pages.html("/idle", "idle");
    let within = |timeouts: Timeouts, url: &str| ExecuteRequest { timeouts: Some(timeouts), ..headless(url) };
    for (how, request) in [
        (
            "navigation timeout",
            within(Timeouts { navigation: millis(500), ..Timeouts::default() }, &pages.url("/slow")),
        ),
        ("run timeout", within(Timeouts { run: millis(500), ..Timeouts::default() }, &idle)),
        ("idle timeout", within(Timeouts { idle: millis(500), ..Timeouts::default() }, &idle)),
    ] {
        let task = client.execute(request).await.unwrap().into_inner();
        seen.job(how, Tier::Managed, &end(&mut client, &task.task_id).await);
    }
    for how in ["cancel", "forced cancel", "shim killed"] {
        let task = client.execute(headless(&idle)).await.unwrap().into_inner();
        when(&mut client, &task.task_id, |job| load_state(job) == LoadState::Committed).await;
        match how {
            "cancel" => drop(client.cancel_job(cancel(&task.task_id)).await.unwrap()),
            "forced cancel" => drop(client.cancel_job(kill_at_once(&task.task_id)).await.unwrap()),
            _ => processes::signal(processes::parent_of(task.process_id).unwrap(), Signal::KILL),
        }
        seen.job(how, Tier::Managed, &end(&mut client, &task.task_id).await);
    }
    signals(seen, &mut client, &pages).await;
    drop(client);
}

/// What a browser that cannot be asked does about its page: mostly nothing.
pub(super) async fn exits_only(seen: &Seen) {
    let display = Display::start();
    let service = Tidy::start_with(Options::chromium().arg("--slots").arg("9").env("DISPLAY", &display.name));
    let mut client = service.client().await;
    let pages = Pages::start();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let exit_only = |url: &str| ExecuteRequest { tier: Tier::ExitOnly.into(), ..headless(url) };
    for (how, policy) in
        [("closes itself", CompletionPolicy::Any), ("closes itself, REQUIRE_REPORT", CompletionPolicy::RequireReport)]
    {
        // Without a pipe it leaves with its last page.
        let request = ExecuteRequest { completion_policy: policy.into(), ..exit_only(&closing(&pages)) };
        let task = client.execute(request).await.unwrap().into_inner();
        seen.job(how, Tier::ExitOnly, &end(&mut client, &task.task_id).await);
    }
    let timeouts = Some(Timeouts { run: seconds(4), ..Timeouts::default() });
    let request = ExecuteRequest { timeouts, ..exit_only(&format!("http://{free}/")) };
    let task = client.execute(request).await.unwrap().into_inner();
    seen.unseen("cannot be fetched", Tier::ExitOnly, &end(&mut client, &task.task_id).await);
    let task = client.execute(exit_only(&idle(&pages, "/killed"))).await.unwrap().into_inner();
    tokio::task::block_in_place(|| pages.wait_for("/killed/seen"));
    kill_renderers(task.process_id);
    // The browser has lost its page by the time that somebody looks, and does not say so.
    let job = status(&mut client, &task.task_id).await.job.unwrap();
    assert!(job.is_process_alive);
    seen.unseen("its renderer is killed", Tier::ExitOnly, &job);
    client.cancel_job(kill_at_once(&task.task_id)).await.unwrap();
    end(&mut client, &task.task_id).await;
    let request = ExecuteRequest { tier: Tier::ExitOnly.into(), ..window(&pages.html("/idle", "idle")) };
    let task = client.execute(request).await.unwrap().into_inner();
    let job = close_window(&display, &mut client, &task.task_id).await;
    seen.job("person closes the window", Tier::ExitOnly, &job);
    eventually("that its process is gone", || !crate::wire::is_alive(task.process_id));
    drop(client);
}
