//! A service that dies at a chosen moment, under a stub browser: what the next one makes of each job.

use std::{fs, path::PathBuf, process::Command};

use comet_task_runner::api::v1::{
    self, Timeouts,
    job::{Reason, Status},
};
use rustix::process::Signal;

use super::{
    history::{self, Histories},
    nothing_left::{Tidy, published, shims},
    processes::{self, Ending, Named},
    real::{LONG, run_dir, seconds, when},
    service::{Client, Options, ended, eventually, execute, stub_url},
};

/// A service whose browsers leave a line in a file, one file per task.
struct Stubs {
    client: Client,
    service: Tidy,
    marks: tempfile::TempDir,
}

impl Stubs {
    async fn start(options: Options) -> Self {
        let service = Tidy::start_with(options);
        Self { client: service.client().await, service, marks: tempfile::tempdir().unwrap() }
    }

    /// A browser that lives until it is told to go.
    fn living(&self, name: &str) -> v1::ExecuteRequest {
        execute(&stub_url(&format!("/life?file={}&ms=0&code=0", self.mark(name).display())))
    }

    fn mark(&self, name: &str) -> PathBuf {
        self.marks.path().join(name)
    }

    /// The browsers that ever ran for a task.
    fn browsers(&self, name: &str) -> Vec<u32> {
        let lines = fs::read_to_string(self.mark(name)).unwrap_or_default();
        lines.lines().map(|line| line.parse().unwrap()).collect()
    }

    async fn begin(&mut self, request: v1::ExecuteRequest) -> v1::ExecuteResponse {
        self.client.execute(request).await.unwrap().into_inner()
    }

    /// Begins a task whose browser lives on, and waits until it has left its line.
    async fn begin_living(&mut self, name: &str) -> v1::ExecuteResponse {
        let begun = self.begin(self.living(name)).await;
        self.assert_ran_once(name);
        begun
    }

    fn assert_ran_once(&self, name: &str) {
        eventually("that the browser leaves its line", || !self.browsers(name).is_empty());
        assert_eq!(self.browsers(name).len(), 1, "more than one browser for {name}");
    }

    async fn restart(&mut self) {
        self.service.restart();
        self.client = self.service.client().await;
    }

    async fn cancel(&mut self, task_id: &str) -> v1::Job {
        let request = v1::CancelJobRequest { task_id: task_id.to_owned(), ..v1::CancelJobRequest::default() };
        self.client.cancel_job(request).await.unwrap().into_inner().job.unwrap()
    }

    async fn ended(&mut self, task_id: &str) -> v1::Job {
        tokio::time::timeout(LONG, ended(&mut self.client, task_id)).await.expect("the job ends")
    }

    fn histories(&self) -> Histories {
        let histories = history::read(&self.service.state_dir());
        history::assert_orderly(&histories);
        histories
    }

    /// Begins a task that nobody waits for, up to the moment when its shim is ready and has been stopped, and its
    /// job is written down. Gives the task's id and the shim.
    fn begin_up_to_go(&self, name: &str) -> (String, Named) {
        let before = shims(&self.service);
        let ledger = history::open(&self.service.state_dir());
        // No commit, so no GO, until the shim stands still.
        ledger.execute_batch("BEGIN IMMEDIATE").unwrap();
        let (mut client, request) = (self.client.clone(), self.living(name));
        // Its answer never comes: the service dies first.
        tokio::spawn(async move { client.execute(request).await });
        let new = || shims(&self.service).into_iter().find(|shim| !before.contains(shim));
        eventually("that a shim is ready", || tokio::task::block_in_place(|| new().is_some()));
        let shim = new().unwrap();
        processes::signal(shim.pid, Signal::STOP);
        ledger.execute_batch("ROLLBACK").unwrap();
        let jobs = || history::read(&self.service.state_dir());
        let known = before.len();
        eventually("that the job is written down", || jobs().len() > known);
        (jobs().into_keys().next_back().unwrap(), shim)
    }
}

fn stub() -> Options {
    Options::default().arg("--slots").arg("4")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_never_got_its_go_is_started_anew_once() {
    let mut stubs = Stubs::start(stub()).await;
    let (task_id, shim) = stubs.begin_up_to_go("a");
    stubs.service.kill();
    let gone = Ending::of(shim.pid).unwrap();
    processes::signal(shim.pid, Signal::KILL);
    gone.wait();
    stubs.restart().await;
    let job = when(&mut stubs.client, &task_id, |job| job.status() == Status::Running).await;
    assert_eq!(job.attempt, 2);
    stubs.assert_ran_once("a");
    let reasons: Vec<String> =
        stubs.histories()[&task_id].iter().map(|entry| entry.text("reason").to_owned()).collect();
    assert_eq!(reasons, ["Accepted", "Requeued", "Launched"]);
    stubs.cancel(&task_id).await;
    assert_eq!(stubs.ended(&task_id).await.status(), Status::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_missed_its_go_twice_is_lost_rather_than_tried_for_ever() {
    let mut stubs = Stubs::start(stub()).await;
    let (task_id, shim) = stubs.begin_up_to_go("a");
    stubs.service.kill();
    let gone = Ending::of(shim.pid).unwrap();
    processes::signal(shim.pid, Signal::KILL);
    gone.wait();
    let ledger = history::open(&stubs.service.state_dir());
    // As the second attempt leaves it.
    assert_eq!(ledger.execute("UPDATE changes SET body = json_set(body, '$.attempt', 2)", []).unwrap(), 1);
    drop(ledger);
    stubs.restart().await;
    let job = stubs.ended(&task_id).await;
    assert_eq!((job.status(), job.reason(), job.attempt), (Status::Lost, Reason::ServiceRestarted, 2));
    assert!(stubs.browsers("a").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_started_while_its_service_died_is_adopted() {
    let mut stubs = Stubs::start(stub()).await;
    let (task_id, shim) = stubs.begin_up_to_go("a");
    // GO is on its way; what follows from it cannot be written down.
    let ledger = history::open(&stubs.service.state_dir());
    ledger.execute_batch("BEGIN IMMEDIATE").unwrap();
    processes::signal(shim.pid, Signal::CONT);
    eventually("that the browser runs", || !stubs.browsers("a").is_empty());
    stubs.service.kill();
    ledger.execute_batch("ROLLBACK").unwrap();
    drop(ledger);
    assert_eq!(stubs.histories()[&task_id].len(), 1, "RUNNING was never written");
    stubs.restart().await;
    let job = when(&mut stubs.client, &task_id, |job| job.status() == Status::Running).await;
    assert_eq!((job.attempt, vec![job.process_id]), (1, stubs.browsers("a")));
    stubs.cancel(&task_id).await;
    assert_eq!(stubs.ended(&task_id).await.status(), Status::Cancelled);
    assert_eq!(stubs.browsers("a").len(), 1);
    stubs.histories();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shim_that_is_made_only_after_its_service_died_disturbs_nobody() {
    let mut stubs = Stubs::start(stub()).await;
    let children = processes::descendants(stubs.service.pid());
    let launcher = children.into_iter().find(|pid| processes::command_line(*pid).contains("__launcher")).unwrap();
    processes::signal(launcher, Signal::STOP);
    let gone = Ending::of(launcher).unwrap();
    let (mut client, request) = (stubs.client.clone(), stubs.living("a"));
    tokio::spawn(async move { client.execute(request).await });
    eventually("that the job is written down", || !stubs.histories().is_empty());
    let task_id = stubs.histories().into_keys().next().unwrap();
    stubs.service.kill();
    stubs.restart().await;
    let job = when(&mut stubs.client, &task_id, |job| job.status() == Status::Running).await;
    stubs.assert_ran_once("a");
    // What it was asked for lies before it still.
    processes::signal(launcher, Signal::CONT);
    gone.wait();
    let shim = processes::parent_of(job.process_id).unwrap();
    assert_eq!(shims(&stubs.service).iter().map(|named| named.pid).collect::<Vec<_>>(), [shim]);
    stubs.cancel(&task_id).await;
    assert_eq!(stubs.ended(&task_id).await.status(), Status::Cancelled);
    stubs.assert_ran_once("a");
}

#[tokio::test]
async fn a_shim_that_dies_takes_its_browser_along_and_the_job_is_lost() {
    let mut stubs = Stubs::start(stub()).await;
    let begun = stubs.begin_living("a").await;
    let browser = Ending::of(begun.process_id).unwrap();
    processes::signal(processes::parent_of(begun.process_id).unwrap(), Signal::KILL);
    let job = stubs.ended(&begun.task_id).await;
    assert_eq!((job.status(), job.reason()), (Status::Lost, Reason::ShimDied));
    assert_eq!((job.exit_code, job.exit_signal, job.is_process_alive), (None, None, false), "nobody knows");
    browser.wait();
    stubs.histories();
}

#[tokio::test]
async fn a_job_whose_shim_died_with_the_service_is_lost() {
    let mut stubs = Stubs::start(stub()).await;
    let begun = stubs.begin_living("a").await;
    let (browser, shim) = (begun.process_id, processes::parent_of(begun.process_id).unwrap());
    let endings = [browser, shim].map(|pid| Ending::of(pid).unwrap());
    stubs.service.kill();
    processes::signal(shim, Signal::KILL);
    endings.iter().for_each(Ending::wait);
    stubs.restart().await;
    let job = stubs.ended(&begun.task_id).await;
    assert_eq!((job.status(), job.reason()), (Status::Lost, Reason::ServiceRestarted));
    assert_eq!(stubs.browsers("a").len(), 1, "started anew");
    assert!(run_dir(&stubs.service, &begun.task_id).is_none());
    stubs.histories();
}

#[tokio::test]
async fn after_another_boot_a_job_is_lost_and_whoever_has_its_pids_is_left_alone() {
    let mut stubs = Stubs::start(stub()).await;
    let begun = stubs.begin_living("a").await;
    let shim = processes::parent_of(begun.process_id).unwrap();
    let endings = [begun.process_id, shim].map(|pid| Ending::of(pid).unwrap());
    stubs.service.kill();
    processes::signal(shim, Signal::KILL);
    endings.iter().for_each(Ending::wait);

    // As if the machine had started anew, and strangers had got the same pids at the same tick after the boot.
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    let named = Named::of(stranger.id()).unwrap();
    let other_boot = "00000000-0000-4000-8000-000000000000";
    let id = run_dir(&stubs.service, &begun.task_id).unwrap().join("id");
    let mut published_id: serde_json::Value = serde_json::from_slice(&fs::read(&id).unwrap()).unwrap();
    published_id["boot_id"] = other_boot.into();
    published_id["pid"] = named.pid.into();
    published_id["start_ticks"] = named.start_ticks.into();
    fs::write(&id, serde_json::to_vec(&published_id).unwrap()).unwrap();
    assert_eq!(published(&id), Some(named));
    let ledger = history::open(&stubs.service.state_dir());
    let edited = ledger.execute(
        "UPDATE changes SET body = json_set(body, '$.boot_id', ?1, '$.process.pid', ?2, '$.process.start_ticks', ?3)
         WHERE json_extract(body, '$.process') IS NOT NULL",
        rusqlite::params![other_boot, named.pid, i64::try_from(named.start_ticks).unwrap()],
    );
    assert_eq!(edited.unwrap(), 1);
    drop(ledger);

    stubs.restart().await;
    let job = stubs.ended(&begun.task_id).await;
    assert_eq!((job.status(), job.reason()), (Status::Lost, Reason::HostRestarted));
    assert!(!job.is_process_alive);
    assert!(stranger.try_wait().unwrap().is_none(), "a stranger was killed");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert!(run_dir(&stubs.service, &begun.task_id).is_none(), "its directory is swept");
}

#[tokio::test]
async fn a_service_told_to_leave_lets_its_jobs_go_on() {
    let mut stubs = Stubs::start(stub()).await;
    let begun = stubs.begin_living("a").await;
    assert!(stubs.service.terminate().success());
    assert!(Ending::of(begun.process_id).is_some_and(|ending| !ending.has_come()));
    stubs.restart().await;
    let job = when(&mut stubs.client, &begun.task_id, |job| job.status() == Status::Running).await;
    assert_eq!((job.process_id, job.attempt, job.revision), (begun.process_id, 1, 2));
    stubs.cancel(&begun.task_id).await;
    assert_eq!(stubs.ended(&begun.task_id).await.status(), Status::Cancelled);
    stubs.histories();
}

#[tokio::test]
async fn queued_jobs_are_queued_in_their_order_after_a_restart() {
    let mut stubs = Stubs::start(Options::default().arg("--slots").arg("1")).await;
    let running = stubs.begin_living("running").await;
    let mut queued = Vec::new();
    for name in ["a", "b", "c"] {
        queued.push(stubs.begin(stubs.living(name)).await.task_id);
    }
    stubs.service.kill();
    stubs.restart().await;
    for (position, task_id) in (1..).zip(&queued) {
        let request = v1::GetStatusRequest { task_id: task_id.clone() };
        let answer = stubs.client.get_status(request).await.unwrap().into_inner();
        assert_eq!(answer.job.unwrap().status(), Status::Created);
        assert_eq!(answer.sample.unwrap().queue_position, Some(position));
    }
    let mut turn = running.task_id;
    for (name, next) in ["a", "b", "c"].into_iter().zip(queued) {
        stubs.cancel(&turn).await;
        let job = when(&mut stubs.client, &next, |job| job.status() == Status::Running).await;
        assert_eq!(job.attempt, 1);
        stubs.assert_ran_once(name);
        turn = next;
    }
    stubs.cancel(&turn).await;
    assert_eq!(stubs.ended(&turn).await.status(), Status::Cancelled);
    stubs.histories();
}

#[tokio::test]
async fn a_run_deadline_that_passes_while_no_service_is_there_is_kept() {
    let mut stubs = Stubs::start(stub()).await;
    let timeouts = Some(Timeouts { run: seconds(2), ..Timeouts::default() });
    let request = v1::ExecuteRequest { timeouts, termination_grace: seconds(1), ..stubs.living("a") };
    let begun = stubs.begin(request).await;
    let endings =
        [begun.process_id, processes::parent_of(begun.process_id).unwrap()].map(|pid| Ending::of(pid).unwrap());
    stubs.service.kill();
    endings.iter().for_each(Ending::wait);
    stubs.restart().await;
    let job = stubs.ended(&begun.task_id).await;
    assert_eq!((job.status(), job.reason()), (Status::TimedOut, Reason::RunTimeout), "{job:?}");
    let statuses: Vec<String> =
        stubs.histories()[&begun.task_id].iter().map(|entry| entry.status().to_owned()).collect();
    assert_eq!(statuses, ["Created", "Running", "Stopping", "TimedOut"]);
}

#[tokio::test]
async fn an_exit_while_no_service_is_there_is_told_with_its_code() {
    let mut stubs = Stubs::start(stub()).await;
    let url = stub_url(&format!("/life?file={}&ms=1500&code=7", stubs.mark("a").display()));
    let begun = stubs.begin(execute(&url)).await;
    let shim = Ending::of(processes::parent_of(begun.process_id).unwrap()).unwrap();
    stubs.service.kill();
    shim.wait();
    stubs.restart().await;
    let job = stubs.ended(&begun.task_id).await;
    assert_eq!((job.status(), job.reason(), job.exit_code), (Status::Failed, Reason::ProcessFailed, Some(7)));
    // Its last traces go with the commit.
    eventually("that its directories are gone", || {
        run_dir(&stubs.service, &begun.task_id).is_none() && stubs.service.kept_files(&begun.task_id).is_empty()
    });
    stubs.histories();
}

#[tokio::test]
async fn a_cancel_that_was_written_down_is_finished_by_the_next_service() {
    let mut stubs = Stubs::start(stub()).await;
    let url = stub_url("/ignore-term");
    let request = v1::ExecuteRequest { termination_grace: seconds(600), ..execute(&url) };
    let begun = stubs.begin(request).await;
    let asked = stubs.cancel(&begun.task_id).await;
    assert_eq!(asked.status(), Status::Stopping);
    stubs.service.kill();
    stubs.restart().await;
    let request =
        v1::CancelJobRequest { task_id: begun.task_id.clone(), force: true, ..v1::CancelJobRequest::default() };
    stubs.client.cancel_job(request).await.unwrap();
    let job = stubs.ended(&begun.task_id).await;
    assert_eq!((job.status(), job.exit_signal), (Status::Cancelled, Some(9)));
    stubs.histories();
}

#[tokio::test]
async fn a_start_again_and_again_changes_nothing() {
    let mut stubs = Stubs::start(stub()).await;
    let begun = stubs.begin_living("a").await;
    let done = stubs.begin(execute(&stub_url("/exit/0"))).await;
    stubs.ended(&done.task_id).await;
    let before = stubs.histories();
    for _ in 0..5 {
        stubs.service.kill();
        stubs.restart().await;
    }
    assert_eq!(stubs.histories(), before);
    assert_eq!(stubs.browsers("a"), [begun.process_id]);
    stubs.cancel(&begun.task_id).await;
    assert_eq!(stubs.ended(&begun.task_id).await.status(), Status::Cancelled);
}
