//! A newer program takes the place of an older one that runs tasks.
//!
//! `COMET_TASK_RUNNER_OLD_BIN` names the older program (`make upgrade` builds one); without it a copy of this one stands
//! in for it, which is another file for whoever would look at that.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use comet_task_runner::api::v1::{
    self,
    job::{Reason, Status},
};

use super::{
    history,
    nothing_left::{Tidy, shims},
    processes::{self, Ending},
    real::{LONG, Real, Seats, assert_ended, headless},
    service::{Client, Options, ended, execute, job_when, stub_url},
};

const NEW: &str = env!("CARGO_BIN_EXE_comet-task-runner");

/// A program that came before.
struct Old {
    path: PathBuf,
    _copied_to: tempfile::TempDir,
}

impl Old {
    fn program() -> Self {
        let home = tempfile::Builder::new().prefix("ct-old").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let path = home.path().join("comet-task-runner");
        let from = env::var_os("COMET_TASK_RUNNER_OLD_BIN").map_or_else(|| NEW.into(), PathBuf::from);
        copy(&from, &path);
        Self { path, _copied_to: home }
    }

    /// Runs the service by this program instead of the new one.
    fn runs(&self, options: &Options) -> Options {
        let run = ["sh", "-c", "program=$1; shift 2; exec \"$program\" \"$@\"", "sh", self.path.to_str().unwrap()];
        Options { through: run.map(str::to_owned).into(), ..options.clone() }
    }
}

/// Written by a process of its own: one that this process has open for writing cannot be started while another test
/// forks.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success(), "{} is copied", from.display());
}

/// The program that a process runs.
fn program_of(pid: u32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/exe")).unwrap()
}

/// A service whose older program is told to leave, or killed, with tasks in every state; the newer one follows.
async fn upgraded(stop: impl FnOnce(&mut Tidy)) {
    let old = Old::program();
    let options = Options::default().arg("--slots").arg("3");
    let marks = tempfile::tempdir().unwrap();
    let life = |name: &str, ms: u32, code: u8| {
        execute(&stub_url(&format!("/life?file={}&ms={ms}&code={code}", marks.path().join(name).display())))
    };
    let mut service = Tidy::start_with(old.runs(&options));
    assert_eq!(program_of(service.pid()), old.path);
    let mut client = service.client().await;
    let mut begin = async |request| client.execute(request).await.unwrap().into_inner();
    let goes_on = begin(life("goes-on", 0, 0)).await;
    let leaves = begin(life("leaves", 1500, 7)).await;
    let reports = begin(life("reports", 0, 0)).await;
    let queued = begin(life("queued", 0, 0)).await;
    let watched = v1::WatchJobRequest {
        resume_token: goes_on.resume_token.clone(),
        task_id: goes_on.task_id.clone(),
        ..v1::WatchJobRequest::default()
    };
    let told = client.watch_job(watched).await.unwrap().into_inner().message().await.unwrap().unwrap();
    drop(client);
    let before: Vec<_> = shims(&service).iter().map(|shim| program_of(shim.pid)).collect();
    assert_eq!(before, vec![old.path.clone(); 3], "shims are of the program that made them");
    let left = Ending::of(processes::parent_of(leaves.process_id).unwrap()).unwrap();
    tokio::task::block_in_place(|| {
        stop(&mut service);
        left.wait();
    });

    tokio::task::block_in_place(|| service.restart_with(options));
    assert_eq!(program_of(service.pid()), Path::new(NEW));
    let mut client = service.client().await;
    let job = end(&mut client, &leaves.task_id).await;
    assert_ended(&job, Status::Failed, Reason::ProcessFailed);
    assert_eq!(job.exit_code, Some(7), "read from what the old shim left");
    // The slot that it had is free, and what waited is started by the new program.
    let next = job_when(&mut client, &queued.task_id, |job| job.status() == Status::Running).await;
    assert_eq!(program_of(processes::parent_of(next.process_id).unwrap()), Path::new(NEW));
    let shim = processes::parent_of(goes_on.process_id).unwrap();
    assert_eq!(program_of(shim), old.path, "the old shim is spoken to as it is");

    let report = v1::CallbackRequest {
        task_id: reports.task_id.clone(),
        callback_token: reports.callback_token,
        status: Status::Done.into(),
        ..v1::CallbackRequest::default()
    };
    assert!(client.callback(report).await.unwrap().into_inner().applied, "a token of the old service is good");
    assert_ended(&end(&mut client, &reports.task_id).await, Status::Done, Reason::Callback);
    // A watch of the old service is gone on with, and what it was told stands.
    let resumed = v1::WatchJobRequest {
        resume_token: told.resume_token,
        task_id: goes_on.task_id.clone(),
        ..v1::WatchJobRequest::default()
    };
    let mut stream = client.watch_job(resumed).await.unwrap().into_inner();
    for id in [&goes_on.task_id, &queued.task_id] {
        let request = v1::CancelJobRequest { task_id: id.clone(), ..v1::CancelJobRequest::default() };
        client.cancel_job(request).await.unwrap();
        assert_ended(&end(&mut client, id).await, Status::Cancelled, Reason::CancelRequested);
    }
    let mut revision = told.revision;
    while let Some(message) = stream.message().await.unwrap() {
        assert!(!message.reset);
        if message.job.is_some() {
            assert_eq!(message.revision, revision + 1);
            revision = message.revision;
        }
    }
    history::assert_orderly(&history::read(&service.state_dir()));
}

async fn end(client: &mut Client, task_id: &str) -> v1::Job {
    tokio::time::timeout(LONG, ended(client, task_id)).await.expect("the job ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_an_older_program_that_was_told_to_leave_go_on_under_the_newer_one() {
    upgraded(|service| assert!(service.terminate().success())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_an_older_program_that_was_killed_go_on_under_the_newer_one() {
    upgraded(|service| service.kill()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_page_that_an_older_program_opened_reports_to_the_newer_one() {
    let Some(seats) = Seats::take(1, &[]) else { return };
    let (old, options) = (Old::program(), Options::chromium());
    let Some(mut real) = Real::start_with(old.runs(&options), seats).await else { return };
    let url = real.pages.script("/reports", "fetch('/gate').then(() => cometTask.done('to the newer one'))");
    let begun = real.begin(headless(&url)).await;
    real.shown(&begun.task_id).await;
    tokio::task::block_in_place(|| {
        real.service.terminate();
        real.service.restart_with(options);
    });
    assert_eq!(program_of(real.service.pid()), Path::new(NEW));
    real.client = real.service.client().await;
    real.pages.open_gate();
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    assert_eq!((job.callback.unwrap().result.as_str(), job.attempt), ("\"to the newer one\"", 1));
}

#[tokio::test]
async fn a_service_whose_program_is_replaced_starts_tasks_by_the_one_that_it_is() {
    let old = Old::program();
    let service = Tidy::start_with(old.runs(&Options::default()));
    let other = old.path.with_extension("new");
    // As a package is unpacked: the new file takes the old one's name. This one could not even be started.
    fs::write(&other, "nothing that runs").unwrap();
    fs::rename(&other, &old.path).unwrap();
    let launcher = processes::descendants(service.pid())
        .into_iter()
        .find(|pid| processes::command_line(*pid).contains("__launcher"))
        .unwrap();
    let gone = Ending::of(launcher).unwrap();
    processes::signal(launcher, rustix::process::Signal::KILL);
    gone.wait();
    let mut client = service.client().await;
    let begun = client.execute(execute(&stub_url("/exit/0"))).await.unwrap().into_inner();
    assert_ended(&end(&mut client, &begun.task_id).await, Status::Done, Reason::ProcessExited);
}
