//! The person's own browser: handed off to, or started and left alone; over restarts of the service too.

use std::{fs, path::PathBuf, time::Duration};

use comet_task_runner::api::v1::{
    self, ExecuteRequest,
    browser::Tier,
    execute_request::CompletionPolicy,
    job::{Reason, Status},
};
use rustix::process::Signal;

use super::{
    display::Display,
    nothing_left::{Tidy, shims},
    pages::Pages,
    processes::{self, Ending},
    real::{Seats, assert_ended, chromium, chromium_by_hand, when},
    service::{Client, Options, ended, eventually, execute, stub_url, watch},
    wire::{cancel, kill_at_once, report, span},
};

/// A service whose stub browsers stand for the person's own, and the files in which each leaves its process id.
pub(crate) struct Own {
    pub(crate) client: Client,
    pub(crate) service: Tidy,
    marks: tempfile::TempDir,
}

impl Own {
    /// On a display that no stub looks at.
    pub(crate) async fn start() -> Self {
        let service = Tidy::start_with(Options::default().arg("--slots").arg("9").env("DISPLAY", ":none"));
        Self { client: service.client().await, service, marks: tempfile::tempdir().unwrap() }
    }

    pub(crate) async fn begin(&mut self, path: &str) -> v1::ExecuteResponse {
        self.client.execute(own(path)).await.unwrap().into_inner()
    }

    /// One that was not running before, and lives on.
    pub(crate) async fn begin_living(&mut self) -> v1::ExecuteResponse {
        let path = self.living();
        let begun = self.begin(&path).await;
        eventually("that the browser lives", || !self.living_pids().is_empty());
        begun
    }

    /// One that gives its page to another at once, and leaves.
    pub(crate) async fn begin_handed_off(&mut self) -> v1::ExecuteResponse {
        let begun = self.begin("/exit/0").await;
        let job = when(&mut self.client, &begun.task_id, |job| job.handed_off).await;
        assert_eq!((job.status(), job.reason(), job.exit_code), (Status::Running, Reason::HandedOff, Some(0)));
        assert!(!job.done && !job.is_process_alive);
        begun
    }

    fn living(&self) -> String {
        format!("/life?file={}&ms=0&code=0", self.mark().display())
    }

    fn mark(&self) -> PathBuf {
        self.marks.path().join("pids")
    }

    fn living_pids(&self) -> Vec<u32> {
        let lines = fs::read_to_string(self.mark()).unwrap_or_default();
        lines.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// As the person does when it is no longer wanted.
    pub(crate) fn quit_all(&self) {
        for pid in self.living_pids() {
            if let Some(ending) = Ending::of(pid) {
                processes::signal(pid, Signal::TERM);
                ending.wait();
            }
        }
    }

    pub(crate) async fn restart(&mut self) {
        self.service.kill();
        self.service.restart();
        self.client = self.service.client().await;
    }

    pub(crate) async fn report(&mut self, task: &v1::ExecuteResponse, status: Status) -> v1::Job {
        self.client.callback(report(task, status)).await.unwrap().into_inner().job.unwrap()
    }

    pub(crate) async fn ended(&mut self, task: &v1::ExecuteResponse) -> v1::Job {
        ended(&mut self.client, &task.task_id).await
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Nobody else ends what nobody may end.
        self.quit_all();
    }
}

pub(crate) fn own(path: &str) -> ExecuteRequest {
    ExecuteRequest { tier: Tier::UserBrowser.into(), ..execute(&stub_url(path)) }
}

#[tokio::test]
async fn a_task_that_was_handed_off_runs_on_until_its_page_reports() {
    let mut own = Own::start().await;
    for (status, reported) in [(Status::Done, Status::Done), (Status::Failed, Status::Failed)] {
        let task = own.begin_handed_off().await;
        let before = own.client.watch_job(watch(&task.task_id)).await.unwrap().into_inner().message().await;
        assert_eq!(before.unwrap().unwrap().job.unwrap().status(), Status::Running);
        let alive = own.report(&task, Status::Running).await;
        assert_eq!(alive.status(), Status::Running);
        own.report(&task, reported).await;
        assert_ended(&own.ended(&task).await, status, Reason::Callback);
    }
    eventually("that its shim leaves", || shims(&own.service).is_empty());
}

#[tokio::test]
async fn a_task_that_was_handed_off_ends_at_once_by_a_wish_or_a_timeout() {
    let mut own_browser = Own::start().await;
    let task = own_browser.begin_handed_off().await;
    let job = own_browser.client.cancel_job(cancel(&task.task_id)).await.unwrap().into_inner().job.unwrap();
    assert_ended(&job, Status::Cancelled, Reason::CancelRequested);
    assert!(job.message.contains("left as it is"), "{}", job.message);

    let soon = span(Duration::from_millis(300));
    for (timeouts, reason) in [
        (v1::Timeouts { run: soon, ..v1::Timeouts::default() }, Reason::RunTimeout),
        (v1::Timeouts { idle: soon, ..v1::Timeouts::default() }, Reason::IdleTimeout),
    ] {
        let request = ExecuteRequest { timeouts: Some(timeouts), ..own("/exit/0") };
        let task = own_browser.client.execute(request).await.unwrap().into_inner();
        let job = own_browser.ended(&task).await;
        assert_ended(&job, Status::TimedOut, reason);
        assert!(job.handed_off && job.message.contains("left as it is"), "{}", job.message);
    }
}

#[tokio::test]
async fn a_browser_that_was_started_for_a_task_outlives_every_end_of_it() {
    let mut own_browser = Own::start().await;
    let reported = own_browser.begin_living().await;
    own_browser.report(&reported, Status::Done).await;
    let done = own_browser.ended(&reported).await;
    assert_ended(&done, Status::Done, Reason::Callback);
    assert!(done.is_process_alive && !done.handed_off);
    // Not a kept-open one that a second wish would close.
    own_browser.client.cancel_job(kill_at_once(&reported.task_id)).await.unwrap();

    let living = own_browser.living();
    let timeouts = v1::Timeouts { run: span(Duration::from_millis(300)), ..v1::Timeouts::default() };
    let timed = ExecuteRequest { timeouts: Some(timeouts), ..own(&living) };
    let timed = own_browser.client.execute(timed).await.unwrap().into_inner();
    assert_ended(&own_browser.ended(&timed).await, Status::TimedOut, Reason::RunTimeout);
    let cancelled = own_browser.begin(&living).await;
    own_browser.client.cancel_job(kill_at_once(&cancelled.task_id)).await.unwrap();
    assert_ended(&own_browser.ended(&cancelled).await, Status::Cancelled, Reason::CancelRequested);

    let tasks = [reported, timed, cancelled];
    let endings: Vec<_> = tasks.iter().map(|task| Ending::of(task.process_id).expect("it lives")).collect();
    // What was asked has been done by now: an answer to a later question says so.
    own_browser.client.get_runner(v1::GetRunnerRequest {}).await.unwrap();
    assert!(endings.iter().all(|ending| !ending.has_come()), "the person's browser was ended");
    own_browser.quit_all();
    for task in tasks {
        let job = when(&mut own_browser.client, &task.task_id, |job| !job.is_process_alive).await;
        assert_eq!((job.done, job.exit_code, job.exit_signal), (true, Some(0), None));
    }
    eventually("that the shims leave", || shims(&own_browser.service).is_empty());
}

#[tokio::test]
async fn a_person_who_quits_the_browser_that_was_started_ends_the_task_as_failed() {
    let mut own_browser = Own::start().await;
    let killed = own_browser.begin_living().await;
    processes::signal(killed.process_id, Signal::KILL);
    let job = own_browser.ended(&killed).await;
    assert_ended(&job, Status::Failed, Reason::ProcessFailed);
    assert_eq!(job.exit_signal, Some(9));
    let wrong = own_browser.begin("/exit/3").await;
    assert_ended(&own_browser.ended(&wrong).await, Status::Failed, Reason::ProcessFailed);
    // Later than any hand-off: its process exits by itself eleven seconds after its start.
    let path = format!("/life?file={}&ms=10500&code=0", own_browser.mark().display());
    let quit = own_browser.begin(&path).await;
    let job = own_browser.ended(&quit).await;
    assert_ended(&job, Status::Failed, Reason::BrowserTerminated);
    assert!(!job.handed_off);
}

#[tokio::test]
async fn a_browser_left_alone_has_its_own_surroundings_and_nothing_of_the_services() {
    let mut own = Own::start().await;
    let file = own.marks.path().join("dump");
    let task = own.begin(&format!("/dump?file={}", file.display())).await;
    when(&mut own.client, &task.task_id, |job| job.handed_off).await;
    let told = fs::read_to_string(&file).unwrap();
    let has = |text: &str| told.lines().any(|line| line.starts_with(text));
    assert!(!has("env TMPDIR=") && !has("env COMET") && !has("env RUST_LOG") && has("env HOME="), "{told}");
    let arguments: Vec<_> = told.lines().filter(|line| line.starts_with("arg ")).collect();
    let fragment = format!("#ctr={}.{}", task.task_id, task.callback_token);
    assert!(arguments.len() == 2 && arguments[1].ends_with(&fragment), "{arguments:?}");
    let descriptors: Vec<_> = told.lines().filter(|line| line.starts_with("fd ")).collect();
    assert!(descriptors.iter().all(|line| line.ends_with("/dev/null")), "{descriptors:?}");
}

#[tokio::test]
async fn a_killed_service_and_a_dead_shim_leave_the_browser_alive() {
    let mut own = Own::start().await;
    let task = own.begin_living().await;
    let ending = Ending::of(task.process_id).unwrap();
    let [shim] = shims(&own.service)[..] else { panic!("one shim") };
    own.service.kill();
    let gone = Ending::of(shim.pid).unwrap();
    processes::signal(shim.pid, Signal::KILL);
    gone.wait();
    own.service.restart();
    own.client = own.service.client().await;
    // Nobody can tell any more how it will end.
    assert_ended(&own.ended(&task).await, Status::Lost, Reason::ServiceRestarted);
    assert!(!ending.has_come());
}

#[tokio::test]
async fn over_a_restart_each_task_goes_on_as_it_was() {
    let mut own_browser = Own::start().await;
    let handed_off = own_browser.begin_handed_off().await;
    let timeouts = v1::Timeouts { run: span(Duration::from_secs(1)), ..v1::Timeouts::default() };
    let timed = ExecuteRequest { timeouts: Some(timeouts), ..own("/exit/0") };
    let timed = own_browser.client.execute(timed).await.unwrap().into_inner();
    let living = own_browser.begin_living().await;
    for _ in 0..2 {
        own_browser.restart().await;
        let job = when(&mut own_browser.client, &handed_off.task_id, |job| job.handed_off).await;
        assert_eq!((job.status(), job.reason()), (Status::Running, Reason::HandedOff), "{job:?}");
        let job = when(&mut own_browser.client, &living.task_id, |_| true).await;
        assert!(job.status() == Status::Running && job.is_process_alive, "{job:?}");
    }
    assert_ended(&own_browser.ended(&timed).await, Status::TimedOut, Reason::RunTimeout);
    own_browser.report(&handed_off, Status::Done).await;
    assert_ended(&own_browser.ended(&handed_off).await, Status::Done, Reason::Callback);
    own_browser.report(&living, Status::Done).await;
    own_browser.restart().await;
    let job = when(&mut own_browser.client, &living.task_id, |_| true).await;
    assert!(job.status() == Status::Done && job.is_process_alive, "{job:?}");
    own_browser.quit_all();
    when(&mut own_browser.client, &living.task_id, |job| !job.is_process_alive).await;
}

#[tokio::test]
async fn a_hand_off_while_no_service_was_there_is_still_one() {
    let mut own = Own::start().await;
    let path = format!("/life?file={}&ms=1500&code=0", own.mark().display());
    let task = own.begin(&path).await;
    own.service.kill();
    Ending::of(task.process_id).map(|ending| ending.wait()).unwrap_or_default();
    eventually("that its end is in writing", || shims(&own.service).is_empty());
    own.service.restart();
    own.client = own.service.client().await;
    let job = when(&mut own.client, &task.task_id, |job| job.handed_off).await;
    assert_eq!(job.status(), Status::Running);
    own.restart().await;
    own.report(&task, Status::Done).await;
    assert_ended(&own.ended(&task).await, Status::Done, Reason::Callback);
    eventually("that nothing of it is left", || own.service.kept_files(&task.task_id).is_empty());
}

/// A page that reports as pages without a binding do.
const REPORTS: &str = "
    const [task_id, callback_token] = location.hash.slice('#ctr='.length).split('.');
    const request = { method: 'POST', headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ task_id, callback_token, status: 'DONE', result: { order: 7 } }) };
    fetch('/gate').then(() => fetch(CALLBACK, request));";

#[tokio::test]
async fn a_real_browser_takes_a_page_of_its_person_and_lives_on() {
    let Some(_seats) = Seats::take(1, &["Xvfb", "openbox"]) else { return };
    let display = Display::start();
    let home = tempfile::Builder::new().prefix("own").tempdir_in("/tmp").unwrap();
    // Where this build keeps its person's profile, found by its own rules.
    let binary = chromium().expect("a seat is given only where there is one");
    let options = Options::chromium()
        .arg("--slots")
        .arg("3")
        .env("DISPLAY", &display.name)
        .env("HOME", home.path().to_str().unwrap())
        .env("XDG_CONFIG_HOME", home.path().join("c").to_str().unwrap())
        .env("XDG_CACHE_HOME", home.path().join("k").to_str().unwrap());
    let service = Tidy::start_with(options);
    let mut client = service.client().await;
    let pages = Pages::start();
    let script = REPORTS.replace("CALLBACK", &format!("'{}/callback'", service.address));
    let url = pages.script("/task", &script);
    // A person who is asked nothing at the first start: what they chose is in their profile already.
    let profile = home.path().join("c/chromium");
    let mut persons = chromium_by_hand(&profile, Some(&display.name));
    persons.env("HOME", home.path()).arg("about:blank");
    let mut persons = persons.spawn().unwrap();
    eventually("that the person's browser holds its profile", || {
        profile.join("SingletonLock").symlink_metadata().is_ok() && profile.join("SingletonSocket").exists()
    });

    let request = ExecuteRequest {
        url,
        browser: "chromium".to_owned(),
        tier: Tier::UserBrowser.into(),
        completion_policy: CompletionPolicy::RequireReport.into(),
        ..ExecuteRequest::default()
    };
    let begun = client.execute(request.clone()).await.unwrap().into_inner();
    let handed_off = when(&mut client, &begun.task_id, |job| job.handed_off || job.done).await;
    assert_eq!((handed_off.status(), handed_off.reason()), (Status::Running, Reason::HandedOff), "{binary:?}");
    pages.open_gate();
    let job = when(&mut client, &begun.task_id, |job| job.done).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    assert_eq!(job.callback.unwrap().result, r#"{"order":7}"#);

    let second = client.execute(request).await.unwrap().into_inner();
    when(&mut client, &second.task_id, |job| job.done).await;
    client.cancel_job(kill_at_once(&second.task_id)).await.unwrap();
    assert!(persons.try_wait().unwrap().is_none(), "the person's browser was ended");
    persons.kill().unwrap();
    persons.wait().unwrap();
    drop(client);
}
