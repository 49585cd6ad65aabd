//! Tasks in a real browser: the service, pages of a test's own, and each task followed to its very end.

use std::{
    path::PathBuf,
    process::Command,
    sync::{Condvar, Mutex},
    time::Duration,
};

use comet_task_runner::{
    api::v1::{
        self,
        job::{Reason, Status},
        watch_job_request::Until,
        watch_job_response::Kind,
    },
    browser::{self, LocalMachine},
};

use super::{
    nothing_left::Tidy,
    pages::Pages,
    service::{Client, Options, job_when, to_end, watch},
};

/// Longest wait for anything that takes a real browser a while, on a machine that does much else.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// How many browsers may run at once over all tests: on two cores more of them only wait for each other.
const SEATS: usize = 2;

static FREE: (Mutex<usize>, Condvar) = (Mutex::new(SEATS), Condvar::new());

/// Room for a test's browsers; given back when dropped.
pub(crate) struct Seats(usize);

impl Seats {
    /// Waits for room. None, with a word about why, when a program is missing: an error where CI is set.
    pub(crate) fn take(seats: usize, programs: &[&str]) -> Option<Self> {
        let mut missing: Vec<&str> = programs.iter().copied().filter(|program| !is_installed(program)).collect();
        if chromium().is_none() {
            missing.push("chromium");
        }
        if !missing.is_empty() {
            not_run(&format!("it needs {}", missing.join(", ")));
            return None;
        }
        let free = FREE.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut free = FREE.1.wait_while(free, |free| *free < seats).unwrap();
        *free -= seats;
        Some(Self(seats))
    }
}

impl Seats {
    /// Waits until no other browser runs, for a test that needs many.
    pub(crate) fn take_all(programs: &[&str]) -> Option<Self> {
        Self::take(SEATS, programs)
    }
}

impl Drop for Seats {
    fn drop(&mut self) {
        *FREE.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += self.0;
        FREE.1.notify_all();
    }
}

/// Says that a test was not run; nobody may overlook that in CI.
pub(crate) fn not_run(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "a test was not run: {why}");
    eprintln!("NOT RUN: {why}");
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// The Chromium that the service finds first.
pub(crate) fn chromium() -> Option<PathBuf> {
    let found = browser::discover(&LocalMachine, &[]).browsers;
    found.into_iter().find(|browser| browser.kind == browser::Kind::Chromium).map(|browser| browser.binary)
}

/// Chromium as a person starts it, on a profile and without a window unless there is a display.
pub(crate) fn chromium_by_hand(profile: &std::path::Path, display: Option<&str>) -> Command {
    let mut command = Command::new(chromium().expect("a seat is given only where there is one"));
    command.arg(format!("--user-data-dir={}", profile.display())).args(["--no-first-run", "--password-store=basic"]);
    match display {
        Some(display) => command.env("DISPLAY", display),
        None => command.env_remove("DISPLAY").arg("--headless=new"),
    };
    if rustix::process::geteuid().is_root() {
        command.arg("--no-sandbox");
    }
    command.env("TMPDIR", profile.parent().expect("a profile lies in a directory"));
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command
}

/// A service with real browsers, and pages to open in them.
pub(crate) struct Real {
    pub(crate) client: Client,
    pub(crate) service: Tidy,
    pub(crate) pages: Pages,
    _seats: Seats,
}

impl Real {
    /// Without windows; two tasks at once.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with(Options::chromium().arg("--slots").arg("2"), Seats::take(1, &[])?).await
    }

    pub(crate) async fn start_with(options: Options, seats: Seats) -> Option<Self> {
        let service = Tidy::start_with(options);
        let client = service.client().await;
        Some(Self { client, service, pages: Pages::start(), _seats: seats })
    }

    /// Starts a task; nobody has to wait for its turn.
    pub(crate) async fn begin(&mut self, request: v1::ExecuteRequest) -> v1::ExecuteResponse {
        self.client.execute(request).await.unwrap().into_inner()
    }

    /// Starts a task and follows it to its very end.
    pub(crate) async fn run(&mut self, request: v1::ExecuteRequest) -> v1::Job {
        let begun = self.begin(request).await;
        self.finish(&begun.task_id).await
    }

    pub(crate) async fn when(&mut self, task_id: &str, wanted: impl Fn(&v1::Job) -> bool) -> v1::Job {
        when(&mut self.client, task_id, wanted).await
    }

    /// Waits until the task's document is there.
    pub(crate) async fn shown(&mut self, task_id: &str) -> v1::Job {
        self.when(task_id, |job| load_state(job) == v1::page::LoadState::Committed).await
    }

    /// Waits for a job's end and then for that of its last process, and looks whether it was all told well.
    pub(crate) async fn finish(&mut self, task_id: &str) -> v1::Job {
        let request = v1::WatchJobRequest { until: Until::ProcessExited.into(), ..watch(task_id) };
        let mut stream = self.client.watch_job(request).await.unwrap().into_inner();
        let messages = tokio::time::timeout(LONG, to_end(&mut stream)).await.expect("the job ends");
        let last = assert_told_well(&messages);
        if last.process_id == 0 {
            return last;
        }
        let job = self.settled(task_id).await;
        assert_eq!((job.status(), job.reason()), (last.status(), last.reason()), "an end that changed");
        assert!(!job.is_process_alive && job.tree_end.is_some(), "{job:?}");
        job
    }

    /// Waits until nothing of the job is left: no process, which the ledger says, and no directory.
    async fn settled(&mut self, task_id: &str) -> v1::Job {
        let deadline = tokio::time::Instant::now() + LONG;
        loop {
            let request = v1::GetStatusRequest { task_id: task_id.to_owned() };
            let job = self.client.get_status(request).await.unwrap().into_inner().job.unwrap();
            // What follows the exit has no watcher: the stream is over by then.
            if job.tree_end.is_some() && !self.has_directories(task_id) {
                return job;
            }
            assert!(tokio::time::Instant::now() < deadline, "something of the job is left: {job:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn has_directories(&self, task_id: &str) -> bool {
        run_dir(&self.service, task_id).is_some() || !self.service.kept_files(task_id).is_empty()
    }

    pub(crate) async fn cancel(&mut self, task_id: &str) -> v1::Job {
        let request = v1::CancelJobRequest { task_id: task_id.to_owned(), ..v1::CancelJobRequest::default() };
        self.client.cancel_job(request).await.unwrap().into_inner().job.unwrap()
    }
}

/// Watches a job until it satisfies `wanted`.
pub(crate) async fn when(client: &mut Client, task_id: &str, wanted: impl Fn(&v1::Job) -> bool) -> v1::Job {
    tokio::time::timeout(LONG, job_when(client, task_id, wanted)).await.expect("the job comes to that")
}

/// The job's directory below RUN, if it is there.
pub(crate) fn run_dir(service: &super::service::Service, task_id: &str) -> Option<PathBuf> {
    let digits: String = task_id.chars().filter(|char| *char != '-').collect();
    let runs = std::fs::read_dir(service.run_base()).unwrap().flatten();
    runs.map(|run| run.path().join(&digits[16..])).find(|path| path.exists())
}

/// A task without a window, whose browser is closed after it.
pub(crate) fn headless(url: &str) -> v1::ExecuteRequest {
    v1::ExecuteRequest {
        url: url.to_owned(),
        mode: v1::execute_request::Mode::Headless.into(),
        ..v1::ExecuteRequest::default()
    }
}

pub(crate) fn load_state(job: &v1::Job) -> v1::page::LoadState {
    job.page.as_ref().map_or(v1::page::LoadState::Unspecified, v1::Page::load_state)
}

pub(crate) fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

pub(crate) fn millis(millis: i32) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds: 0, nanos: millis * 1_000_000 })
}

#[track_caller]
pub(crate) fn assert_ended(job: &v1::Job, status: Status, reason: Reason) {
    assert_eq!((job.status(), job.reason()), (status, reason), "{job:?}");
    assert!(job.done && job.finished_at.is_some() && job.expires_at.is_some(), "{job:?}");
}

/// A whole stream: revisions without holes, one end, and that end the last word. Gives the last job.
pub(crate) fn assert_told_well(messages: &[v1::WatchJobResponse]) -> v1::Job {
    let told: Vec<&v1::WatchJobResponse> =
        messages.iter().filter(|message| matches!(message.kind(), Kind::Snapshot | Kind::Change)).collect();
    for pair in told.windows(2) {
        assert_eq!(pair[1].revision, pair[0].revision + 1, "{messages:#?}");
        assert_eq!(pair[1].previous_status(), pair[0].job.as_ref().unwrap().status());
    }
    let ends = told.windows(2).filter(|pair| {
        let done = |message: &v1::WatchJobResponse| message.job.as_ref().unwrap().done;
        !done(pair[0]) && done(pair[1])
    });
    assert!(ends.count() <= 1, "ended more than once: {messages:#?}");
    let finals: Vec<bool> = messages.iter().map(|message| message.r#final).collect();
    assert!(finals.iter().rev().skip(1).all(|last| !last) && finals.last() == Some(&true), "{messages:#?}");
    told.last().unwrap().job.clone().unwrap()
}
