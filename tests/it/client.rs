//! The Rust client, as another program uses it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use comet_task_runner::{
    api::v1::{
        CallbackRequest, Job, ListJobsRequest, WatchJobRequest, WatchJobsRequest, job::Status, watch_job_request::Until,
    },
    client::{Error, Runner, Target},
};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tonic::Code;

use super::{
    service::{AT_LENGTH, Options, SOON, Service, execute, stub_url},
    wire::jobs_made,
};

/// Jobs that are watched, and kills that they live through.
const JOBS: usize = 20;
const KILLS: usize = 5;

async fn runner(service: &Service) -> Runner {
    Runner::connect(Target::on(service.state_dir())).await.unwrap()
}

fn report(task_id: &str, status: Status) -> CallbackRequest {
    CallbackRequest { task_id: task_id.to_owned(), status: status.into(), ..CallbackRequest::default() }
}

/// Watches a job from its first change to the exit of its browser, and tells each revision that comes.
async fn revisions(runner: Runner, task_id: String, told: mpsc::UnboundedSender<String>) -> (String, Vec<u64>, Job) {
    let mut watch = runner.watch(WatchJobRequest {
        task_id: task_id.clone(),
        from_start: true,
        until: Until::ProcessExited.into(),
        ..WatchJobRequest::default()
    });
    let mut revisions = Vec::new();
    while let Some(job) = watch.next_job().await.unwrap() {
        revisions.push(job.revision);
        let _ = told.send(task_id.clone());
    }
    (task_id, revisions, watch.finish().await.unwrap())
}

/// Watches all jobs on one stream, until each of so many is over and has no process left.
async fn crowd(runner: Runner) -> BTreeMap<String, Vec<u64>> {
    let mut watch = runner.watch_jobs(WatchJobsRequest::default());
    let (mut told, mut gone) = (BTreeMap::<String, Vec<u64>>::new(), BTreeSet::new());
    while gone.len() < JOBS {
        let message = watch.next().await.unwrap();
        assert!(!message.reset, "the store stays what it is: {message:?}");
        if let Some(job) = message.job {
            if job.tree_end.is_some() {
                gone.insert(job.task_id.clone());
            }
            told.entry(job.task_id).or_default().push(job.revision);
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_revision_of_twenty_watched_jobs_comes_once_over_five_kills_of_the_service() {
    let mut service = Service::start_with(Options::default().arg("--slots").arg(JOBS.to_string()));
    let runner = runner(&service).await;
    let crowd = tokio::spawn(crowd(runner.clone()));
    let (told, mut telling) = mpsc::unbounded_channel();
    let mut watches = JoinSet::new();
    // Half of them are being made while the service is killed for the first time.
    let (made, mut making) = mpsc::unbounded_channel();
    for _ in 0..JOBS {
        let (runner, made, told) = (runner.clone(), made.clone(), told.clone());
        watches.spawn(async move {
            let answer = runner.execute(execute(&stub_url("/sleep"))).await.unwrap();
            made.send(answer.task_id.clone()).unwrap();
            revisions(runner, answer.task_id, told).await
        });
    }
    let mut ids = Vec::new();
    for kill in 0..KILLS {
        while ids.len() < (kill + 1) * JOBS / 2 && ids.len() < JOBS {
            ids.push(timeout(AT_LENGTH, making.recv()).await.expect("a task is made in time").unwrap());
        }
        // A few are ended in each life of the service, and it is killed while their browsers are on their way out.
        let ending = &ids[kill * JOBS / KILLS / 2..(kill + 1) * JOBS / KILLS / 2];
        for task_id in ending {
            runner.report(report(task_id, Status::Done)).await.unwrap();
        }
        timeout(AT_LENGTH, telling.recv()).await.expect("something is told in each life").unwrap();
        tokio::task::block_in_place(|| {
            service.kill();
            service.restart();
        });
    }
    for task_id in &ids {
        runner.report(report(task_id, Status::Done)).await.unwrap();
    }
    let mut whole = BTreeMap::new();
    while let Some(ended) = timeout(AT_LENGTH, watches.join_next()).await.expect("each watch comes to its end") {
        let (task_id, revisions, job) = ended.unwrap();
        assert!(revisions.iter().copied().eq(1..=revisions.len() as u64), "{task_id}: {revisions:?}");
        assert_eq!((job.status(), job.is_process_alive), (Status::Done, false), "{job:?}");
        assert_eq!(job.revision, revisions.len() as u64);
        assert!(revisions.len() >= 3, "{revisions:?}");
        whole.insert(task_id, revisions);
    }
    assert_eq!((whole.len(), jobs_made(&service)), (JOBS, JOBS as i64), "an Execute that was cut is made once");
    let crowd = timeout(AT_LENGTH, crowd).await.expect("the one stream hears of every end").unwrap();
    assert_eq!(crowd.len(), JOBS);
    for (task_id, told) in crowd {
        assert!(told.iter().copied().eq(1..=told.len() as u64), "{task_id}: {told:?}");
    }
}

#[tokio::test]
async fn a_run_tells_each_change_and_gives_the_finished_job() {
    let service = Service::start();
    let runner = runner(&service).await;
    let mut run = runner.run(execute(&stub_url("/exit/3"))).await.unwrap();
    assert!(!run.made().callback_token.is_empty());
    let mut told = Vec::new();
    while let Some(job) = timeout(SOON, run.next_job()).await.unwrap().unwrap() {
        told.push((job.revision, job.status()));
    }
    assert_eq!(told, [(1, Status::Created), (2, Status::Running), (3, Status::Failed)]);
    let task_id = run.task_id().to_owned();
    let job = run.finish().await.unwrap();
    assert_eq!((job.task_id, job.exit_code), (task_id.clone(), Some(3)));
    let asked = runner.status(&task_id).await.unwrap().request.unwrap();
    assert_eq!(asked.url, stub_url("/exit/3"));
    let listed = runner.list(ListJobsRequest::default()).await.unwrap();
    assert_eq!(listed.jobs.iter().map(|job| &job.task_id).collect::<Vec<_>>(), [&task_id]);
}

#[tokio::test]
async fn a_run_that_is_cancelled_finishes_as_cancelled_and_one_that_is_dropped_goes_on() {
    let service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let runner = runner(&service).await;
    let dropped = runner.run(execute(&stub_url("/sleep"))).await.unwrap();
    let left = dropped.task_id().to_owned();
    drop(dropped);
    let run = runner.run(execute(&stub_url("/ignore-term"))).await.unwrap();
    run.cancel(true).await.unwrap();
    assert_eq!(timeout(SOON, run.finish()).await.unwrap().unwrap().status(), Status::Cancelled);
    assert_eq!(runner.status(&left).await.unwrap().job.unwrap().status(), Status::Running);
}

#[tokio::test]
async fn each_trouble_is_told_by_its_kind_and_the_services_own_by_its_reason() {
    let home = tempfile::tempdir().unwrap();
    let away = Runner::connect(Target::on(home.path())).await.unwrap_err();
    assert!(matches!(&away, Error::Away(text) if text.contains("comet-task-runner serve")), "{away:?}");
    let wrong = Runner::connect(Target::at("127.0.0.1:1", "x")).await.unwrap_err();
    assert!(matches!(&wrong, Error::Argument(text) if text.contains("http://HOST:PORT")), "{wrong:?}");

    let service = Service::start();
    let runner = runner(&service).await;
    let refused = runner.execute(execute("file:///etc/passwd")).await.unwrap_err();
    assert_eq!((refused.reason(), refused.code()), (Some("URL_SCHEME_NOT_ALLOWED"), Some(Code::InvalidArgument)));
    let Error::Refused(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.fields[0].0, "url");
    let unknown = runner.status("01a20ca6-76f5-7271-9a36-060a04fd6865").await.unwrap_err();
    assert_eq!(unknown.reason(), Some("TASK_NOT_FOUND"));
    let stranger = Runner::connect(Target::at(&service.address, "c2VjcmV0")).await.unwrap();
    assert_eq!(stranger.list(ListJobsRequest::default()).await.unwrap_err().reason(), Some("TOKEN_INVALID"));
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_with_a_service_that_is_away_has_an_end() {
    let mut service = Service::start();
    let runner = runner(&service).await.retry_for(Duration::from_millis(300));
    let runner = Arc::new(runner);
    let run = runner.run(execute(&stub_url("/sleep"))).await.unwrap();
    tokio::task::block_in_place(|| service.terminate());
    let error = timeout(SOON, run.finish()).await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::Away(_)), "{error:?}");
}

/// The example may have to be built first, on a machine that does much else.
const EXAMPLE_MAX: Duration = Duration::from_secs(300);

#[tokio::test]
async fn the_example_runs_a_task_and_tells_its_end() {
    let service = Service::start();
    for (path, code, words) in [("/exit/0", 0, "3 Done ProcessExited"), ("/exit/3", 1, "3 Failed ProcessFailed")] {
        let mut example = tokio::process::Command::new(env!("CARGO"));
        example.args(["run", "--quiet", "--locked", "--offline", "--example", "client", "--", &stub_url(path)]);
        example.current_dir(env!("CARGO_MANIFEST_DIR")).kill_on_drop(true);
        example.env("COMET_TASK_RUNNER_SERVER", &service.address).env("COMET_TASK_RUNNER_TOKEN", service.token());
        let output = timeout(EXAMPLE_MAX, example.output()).await.expect("the example ends").unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.code() == Some(code) && told.contains(words), "{output:?}");
    }
}
