//! The metrics: that each is described, that each is counted, and that none tells a stranger anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use comet_task_runner::{
    api::v1::{self, job::Status, watch_jobs_response::Kind},
    telemetry::METRICS,
};

use super::{
    plain_http::{get, get_with},
    service::{Client, Options, SOON, Service, ended, next, next_job, to_end, watch},
    watch_jobs::{all, follow_until, going_on, open},
    wire::{begin, cancel, report, resume},
};

/// What a collector reads: each series by its name and labels.
fn scrape(service: &Service) -> BTreeMap<String, f64> {
    let got = get_with(service, "/metrics", &service.token());
    assert_eq!(got.status, 200);
    let samples = got.body.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap_or_else(|error| panic!("{error}: {line}")))
        })
        .collect()
}

fn at(samples: &BTreeMap<String, f64>, series: &str) -> f64 {
    let series = if series.starts_with("process_") { series.to_owned() } else { format!("comet_task_runner_{series}") };
    *samples.get(&series).unwrap_or_else(|| panic!("{series} is not among {:?}", samples.keys()))
}

#[tokio::test]
async fn metrics_are_for_those_with_the_token_in_the_format_of_collectors() {
    let service = Service::start();
    let refused = get(&service, "/metrics");
    assert!(!refused.body.contains("comet_task_runner_"), "{}", refused.body);
    assert!(!get_with(&service, "/metrics", "wrong").body.contains("comet_task_runner_"));

    let got = get_with(&service, "/metrics", &service.token());
    assert_eq!(got.status, 200);
    assert!(got.head.contains("content-type: text/plain; version=0.0.4"), "{}", got.head);
    for metric in METRICS {
        assert_eq!(got.body.matches(&format!("# HELP {} ", metric.name)).count(), 1, "{}", metric.name);
        assert_eq!(got.body.matches(&format!("# TYPE {} ", metric.name)).count(), 1, "{}", metric.name);
    }
    let described = got.body.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert_eq!(described, METRICS.len());
}

/// The names of metrics in the code of the service, where they are recorded or read.
fn names_in_code() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut names = BTreeSet::new();
    let mut waiting = vec![root.clone()];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path()));
        } else if path != root.join("telemetry/table.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let literals = text.split('"').skip(1).step_by(2);
            let named = |word: &&str| ["comet_task_runner_", "process_"].iter().any(|prefix| word.starts_with(prefix));
            let plain = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !word.ends_with('_');
            names.extend(literals.filter(named).filter(plain).map(str::to_owned));
        }
    }
    names
}

#[test]
fn what_is_recorded_is_described_and_what_is_described_is_recorded() {
    let described: BTreeSet<String> = METRICS.iter().map(|metric| metric.name.to_owned()).collect();
    let recorded: BTreeSet<String> =
        names_in_code().into_iter().filter(|name| described.contains(name) || name.starts_with("comet_")).collect();
    assert_eq!(recorded, described);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_counted_from_their_queue_to_their_end() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1").arg("--no-sandbox"));
    let mut client = service.client().await;
    let before = scrape(&service);
    let running = begin(&mut client, "/sleep").await;
    let waiting = begin(&mut client, "/exit/3").await;
    let now = scrape(&service);
    assert_eq!((at(&now, "slots"), at(&now, "slots_taken"), at(&now, "queue_length")), (1.0, 1.0, 1.0));
    assert_eq!((at(&now, "jobs{status=\"RUNNING\"}"), at(&now, "jobs{status=\"CREATED\"}")), (1.0, 1.0));
    assert_eq!(at(&now, "ready"), 1.0);

    let mut done = report(&running, Status::Done);
    client.callback(done.clone()).await.unwrap();
    client.callback(done.clone()).await.unwrap();
    done.status = Status::Failed.into();
    client.callback(done.clone()).await.unwrap_err();
    done.callback_token = "guessed".to_owned();
    client.callback(done).await.unwrap_err();
    client.cancel_job(cancel(&running.task_id)).await.unwrap();
    assert_eq!(ended(&mut client, &waiting.task_id).await.status(), Status::Failed);

    let after = scrape(&service);
    let grown = |series: &str| at(&after, series) - before.get(&format!("comet_task_runner_{series}")).unwrap_or(&0.0);
    assert_eq!(grown("jobs_finished_total{status=\"DONE\",reason=\"CALLBACK\"}"), 1.0);
    assert_eq!(grown("jobs_finished_total{status=\"FAILED\",reason=\"PROCESS_FAILED\"}"), 1.0);
    assert_eq!(grown("launches_total{outcome=\"running\"}"), 2.0);
    assert_eq!(grown("launches_total{outcome=\"failed\"}"), 0.0);
    assert_eq!(grown("launch_seconds_count"), 2.0);
    for (outcome, count) in [("applied", 1.0), ("known", 1.0), ("refused", 1.0), ("denied", 1.0), ("unavailable", 0.0)]
    {
        assert_eq!(grown(&format!("callbacks_total{{outcome=\"{outcome}\"}}")), count, "{outcome}");
    }
    // Two jobs have at least a first, a running and a last revision each.
    assert!(grown("commit_seconds_count") >= 6.0 && grown("commit_batch_size_sum") >= 6.0);
    assert_eq!(grown("commit_seconds_bucket{le=\"+Inf\"}"), grown("commit_seconds_count"));
    assert!(at(&after, "process_cpu_seconds_total") > 0.0 && at(&after, "process_open_fds") > 3.0);
}

async fn watchers(service: &Service, wanted: f64) {
    // A stream's place is free once the service has noticed, which nothing tells.
    let settled = async {
        while at(&scrape(service), "watchers{kind=\"job\"}") != wanted {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, settled).await.expect("the watchers are counted");
}

async fn follow_to_running(client: &mut Client, task_id: &str) -> (tonic::Streaming<v1::WatchJobResponse>, String) {
    let mut stream = client.watch_job(watch(task_id)).await.unwrap().into_inner();
    let first = next(&mut stream).await.unwrap().unwrap();
    assert_eq!(first.job.unwrap().status(), Status::Running);
    (stream, first.resume_token)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_timed_for_those_who_follow_and_not_for_those_who_catch_up() {
    let service = Service::start();
    let mut client = service.client().await;
    let made = begin(&mut client, "/sleep").await;
    let (mut stream, token) = follow_to_running(&mut client, &made.task_id).await;
    watchers(&service, 1.0).await;
    client.cancel_job(cancel(&made.task_id)).await.unwrap();
    assert_eq!(to_end(&mut stream).await.last().unwrap().job.as_ref().unwrap().status(), Status::Cancelled);
    drop(stream);
    watchers(&service, 0.0).await;

    let now = scrape(&service);
    assert_eq!(at(&now, "exit_to_push_seconds_count"), 1.0);
    let seconds = at(&now, "exit_to_push_seconds_sum");
    assert!(seconds > 0.0 && seconds < SOON.as_secs_f64(), "{seconds}");

    let mut replay = client.watch_job(resume(&made.task_id, &token)).await.unwrap().into_inner();
    assert_eq!(next_job(&mut replay).await.status(), Status::Stopping);
    to_end(&mut replay).await;
    let mut snapshot = client.watch_job(watch(&made.task_id)).await.unwrap().into_inner();
    to_end(&mut snapshot).await;
    let now = scrape(&service);
    assert_eq!(at(&now, "exit_to_push_seconds_count"), 1.0, "what is told again is no news");
    assert_eq!((at(&now, "resumes_total"), at(&now, "resets_total")), (1.0, 0.0));
}

#[tokio::test]
async fn a_token_of_another_store_is_counted_as_a_reset() {
    let mut one = Service::start();
    let made = begin(&mut one.client().await, "/exit/0").await;
    let job = ended(&mut one.client().await, &made.task_id).await;
    assert!(job.done);
    // The same task in a store with another id: the first one's with its id replaced.
    let path = one.state_dir().join("ledger.sqlite");
    let token = made.resume_token;
    one.terminate();
    let store = rusqlite::Connection::open(path).unwrap();
    store.execute("UPDATE store SET ledger_id = randomblob(16)", []).unwrap();
    drop(store);
    one.restart();
    let mut client = one.client().await;
    let mut stream = client.watch_job(resume(&made.task_id, &token)).await.unwrap().into_inner();
    assert!(next(&mut stream).await.unwrap().unwrap().reset);
    assert_eq!(at(&scrape(&one), "resets_total"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_many_jobs_is_counted_and_timed_in_the_same_way() {
    let service = Service::start();
    let mut client = service.client().await;
    let is_end = |message: &v1::WatchJobsResponse| message.job.as_ref().is_some_and(|job| job.done);
    let mut stream = open(&mut client, all()).await;
    let begun = follow_until(&mut stream, |message| message.kind() == Kind::Synced).await;
    let token = begun.last().unwrap().resume_token.clone();
    assert_eq!(at(&scrape(&service), "watchers{kind=\"jobs\"}"), 1.0);
    // The report is the end; the exit, which follows, is none.
    let made = begin(&mut client, "/sleep").await;
    client.callback(report(&made, Status::Done)).await.unwrap();
    follow_until(&mut stream, is_end).await;
    client.cancel_job(cancel(&made.task_id)).await.unwrap();
    follow_until(&mut stream, |message| message.job.as_ref().is_some_and(|job| job.done && !job.is_process_alive))
        .await;
    let now = scrape(&service);
    assert_eq!((at(&now, "exit_to_push_seconds_count"), at(&now, "resumes_total")), (1.0, 0.0));

    let mut replay = open(&mut client, going_on(&token)).await;
    follow_until(&mut replay, |message| message.kind() == Kind::Synced).await;
    let now = scrape(&service);
    assert_eq!(at(&now, "exit_to_push_seconds_count"), 1.0, "what is told again is no news");
    assert_eq!((at(&now, "resumes_total"), at(&now, "resets_total")), (1.0, 0.0));
}
