//! Who is let go when: launches, memory, priorities and turns, and what those who wait are told meanwhile.

use std::{collections::BTreeMap, time::Duration};

use comet_task_runner::api::v1::{
    self, browser::Tier, job::Status, sample::QueueReason, watch_job_response::Kind,
    watch_jobs_response::Kind as ManyKind,
};

use super::{
    plain_http::get_with,
    processes::{self, Ending},
    service::{AT_LENGTH, Client, Options, Service, ended, execute, job_when, next, stub_url, watch},
    stub::silent_browser,
    watch_jobs::{all, follow_until, open},
    wire::{begin, cancel, span, status},
};

fn one_slot() -> Options {
    Options::default().arg("--slots").arg("1").arg("--no-sandbox")
}

/// A task of this priority and group, which ends at once.
fn wanting(priority: i32, group: &str) -> v1::ExecuteRequest {
    let labels = if group.is_empty() { BTreeMap::new() } else { BTreeMap::from([("group", group)]) };
    let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    v1::ExecuteRequest { priority, labels, ..execute(&stub_url("/exit/0")) }
}

async fn place(client: &mut Client, task_id: &str) -> (Option<u32>, QueueReason, String) {
    let sample = status(client, task_id).await.sample.unwrap();
    (sample.queue_position, sample.queue_reason(), sample.queue_message)
}

/// Enters all, lets them go one after another, and gives their names in the order in which they were started.
async fn started<'name>(service: &Service, tasks: &[(&'name str, v1::ExecuteRequest)]) -> Vec<&'name str> {
    let mut client = service.client().await;
    let ahead = begin(&mut client, "/sleep").await;
    let mut waiting = Vec::new();
    for (name, request) in tasks {
        waiting.push((*name, client.execute(request.clone()).await.unwrap().into_inner().task_id));
    }
    let mut told = Vec::new();
    for (name, task_id) in &waiting {
        told.push((place(&mut client, task_id).await.0.unwrap(), *name));
    }
    client.cancel_job(cancel(&ahead.task_id)).await.unwrap();
    let mut started = Vec::new();
    for (name, task_id) in &waiting {
        let at = ended(&mut client, task_id).await.started_at.unwrap();
        started.push(((at.seconds, at.nanos), *name));
    }
    started.sort_unstable();
    told.sort_unstable();
    let names: Vec<_> = started.into_iter().map(|(_, name)| name).collect();
    assert_eq!(told.into_iter().map(|(_, name)| name).collect::<Vec<_>>(), names, "the places were the order");
    names
}

#[tokio::test]
async fn a_higher_priority_goes_first() {
    let tasks = [("a", wanting(0, "")), ("b", wanting(-1, "")), ("c", wanting(100, "")), ("d", wanting(0, ""))];
    assert_eq!(started(&Service::start_with(one_slot()), &tasks).await, ["c", "a", "d", "b"]);
}

#[tokio::test]
async fn groups_take_turns_and_those_without_one_are_a_group() {
    let tasks = [
        ("x1", wanting(0, "x")),
        ("x2", wanting(0, "x")),
        ("x3", wanting(0, "x")),
        ("y1", wanting(0, "y")),
        ("1", wanting(0, "")),
        ("2", wanting(0, "")),
    ];
    assert_eq!(started(&Service::start_with(one_slot()), &tasks).await, ["x1", "y1", "1", "x2", "2", "x3"]);
}

#[tokio::test]
async fn the_label_that_takes_turns_is_a_setting() {
    let tasks = [("x1", wanting(0, "x")), ("x2", wanting(0, "x")), ("y1", wanting(0, "y"))];
    let service = Service::start_with(one_slot().arg("--fair-label").arg("owner"));
    assert_eq!(started(&service, &tasks).await, ["x1", "x2", "y1"]);
}

#[tokio::test]
async fn an_urgent_job_is_still_the_first_after_a_restart_that_finds_a_free_slot() {
    let mut service = Service::start_with(one_slot());
    let mut client = service.client().await;
    let file = service.home().join("life");
    let ahead = begin(&mut client, &format!("/life?file={}&ms=0&code=0", file.display())).await;
    let idle = client.execute(v1::ExecuteRequest { priority: -1, ..wanting(0, "") }).await.unwrap().into_inner();
    let urgent = client.execute(wanting(7, "")).await.unwrap().into_inner();
    assert_eq!(urgent.job.as_ref().unwrap().priority, 7);
    service.kill();
    // Meanwhile the slot comes free.
    processes::signal(ahead.process_id, rustix::process::Signal::TERM);
    Ending::of(ahead.process_id).iter().for_each(Ending::wait);
    service.restart();
    let mut client = service.client().await;
    let at = |job: v1::Job| job.started_at.map(|at| (at.seconds, at.nanos)).unwrap();
    let (urgent, idle) = (ended(&mut client, &urgent.task_id).await, ended(&mut client, &idle.task_id).await);
    assert!(at(urgent) < at(idle));
}

#[tokio::test]
async fn who_watches_a_waiting_job_hears_of_each_step_without_asking() {
    let service = Service::start_with(one_slot());
    let mut client = service.client().await;
    let ahead = begin(&mut client, "/sleep").await;
    let between = begin(&mut client, "/sleep").await;
    let last = begin(&mut client, "/exit/0").await;
    // A silence that is longer than the test: nothing but a sample can tell.
    let request = v1::WatchJobRequest { heartbeat_interval: span(Duration::from_secs(600)), ..watch(&last.task_id) };
    let mut stream = client.watch_job(request).await.unwrap().into_inner();
    let snapshot = next(&mut stream).await.unwrap().unwrap().sample.unwrap();
    assert_eq!((snapshot.queue_position, snapshot.queue_reason()), (Some(2), QueueReason::Slot));
    assert_eq!(snapshot.queue_message, "waits for a slot; this runner has 1");
    client.cancel_job(cancel(&between.task_id)).await.unwrap();
    let message = next(&mut stream).await.unwrap().unwrap();
    assert_eq!((message.kind(), message.job), (Kind::Sample, None));
    assert_eq!(message.sample.unwrap().queue_position, Some(1));
    let urgent = v1::ExecuteRequest { priority: 1, ..execute(&stub_url("/exit/0")) };
    client.execute(urgent).await.unwrap();
    let message = next(&mut stream).await.unwrap().unwrap();
    assert_eq!((message.kind(), message.sample.unwrap().queue_position), (Kind::Sample, Some(2)));
    client.cancel_job(cancel(&ahead.task_id)).await.unwrap();
    assert_eq!(ended(&mut client, &last.task_id).await.status(), Status::Done);
}

#[tokio::test]
async fn who_watches_many_hears_where_all_of_them_stand_in_one_message() {
    // Nothing runs that would have readings of its own.
    let service = Service::start_with(one_slot().arg("--memory-floor-mb").arg(NO_MACHINE_MB));
    let mut client = service.client().await;
    let first = begin(&mut client, "/exit/0").await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(begin(&mut client, "/exit/0").await.task_id);
    }
    let request = v1::WatchJobsRequest { heartbeat_interval: span(Duration::from_secs(600)), ..all() };
    let mut stream = open(&mut client, request).await;
    follow_until(&mut stream, |message| message.kind() == ManyKind::Synced).await;
    client.cancel_job(cancel(&first.task_id)).await.unwrap();
    let of = |message: &v1::WatchJobsResponse, task_id: &str| {
        message.samples.iter().find(|of| of.task_id == task_id).and_then(|of| of.sample.clone()?.queue_position)
    };
    let told = follow_until(&mut stream, |message| {
        message.kind() == ManyKind::Sample && (1..).zip(&waiting).all(|(at, id)| of(message, id) == Some(at))
    });
    tokio::time::timeout(AT_LENGTH, told).await.expect("all are told of where they stand by now");
}

#[tokio::test]
async fn a_job_whose_profile_is_taken_says_so_and_is_passed() {
    let service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let mut client = service.client().await;
    let with_profile = |path: &str| v1::ExecuteRequest { profile: "work".to_owned(), ..execute(&stub_url(path)) };
    let first = client.execute(with_profile("/sleep")).await.unwrap().into_inner();
    let second = client.execute(with_profile("/exit/0")).await.unwrap().into_inner();
    let told = place(&mut client, &second.task_id).await;
    assert_eq!((told.0, told.1), (Some(1), QueueReason::Profile));
    assert!(told.2.contains("\"work\""), "{told:?}");
    let passing = begin(&mut client, "/exit/0").await;
    assert_eq!(ended(&mut client, &passing.task_id).await.status(), Status::Done);
    client.cancel_job(cancel(&first.task_id)).await.unwrap();
    assert_eq!(ended(&mut client, &second.task_id).await.status(), Status::Done);
}

/// A floor that no machine satisfies.
const NO_MACHINE_MB: &str = "1000000000";

#[tokio::test]
async fn while_memory_is_short_nothing_starts_and_the_reason_is_told_to_all() {
    let mut service = Service::start_with(one_slot().arg("--memory-floor-mb").arg(NO_MACHINE_MB));
    let mut client = service.client().await;
    let task = begin(&mut client, "/exit/0").await;
    assert_eq!(task.job.unwrap().status(), Status::Created);
    let told = place(&mut client, &task.task_id).await;
    assert_eq!((told.0, told.1), (Some(1), QueueReason::Memory));
    assert!(told.2.contains(NO_MACHINE_MB), "{told:?}");
    let runner = client.get_runner(v1::GetRunnerRequest {}).await.unwrap().into_inner();
    assert!(runner.ready, "tasks are taken, and wait");
    let problem = runner.problems.iter().find(|problem| problem.what.contains("memory")).unwrap();
    assert!(problem.what.contains(NO_MACHINE_MB) && problem.remedy.contains("memory_floor_mb"), "{problem:?}");
    assert!(runner.load.unwrap().memory_available_mb.is_some_and(|mb| mb > 0));
    service.kill();
    service.restart_with(one_slot().arg("--memory-floor-mb").arg("1"));
    let mut client = service.client().await;
    assert_eq!(ended(&mut client, &task.task_id).await.status(), Status::Done);
    let runner = client.get_runner(v1::GetRunnerRequest {}).await.unwrap().into_inner();
    assert!(!runner.problems.iter().any(|problem| problem.what.contains("memory")), "{:?}", runner.problems);
}

#[tokio::test]
async fn no_more_browsers_come_up_at_once_than_may_and_execute_waits_for_its_own() {
    // With a slot for each, only the launches can make them wait.
    let options = Options::default().arg("--slots").arg("30").arg("--launches-max").arg("1").arg("--no-sandbox");
    let service = Service::start_with(options);
    let client = service.client().await;
    let begun: Vec<_> = (0..20)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { begin(&mut client, "/sleep").await })
        })
        .collect();
    for begun in begun {
        let begun = begun.await.unwrap();
        assert_eq!(begun.job.unwrap().status(), Status::Running, "its answer says that it runs");
    }
    let runner = client.clone().get_runner(v1::GetRunnerRequest {}).await.unwrap().into_inner();
    assert_eq!((runner.limits.unwrap().launches_max, runner.load.unwrap().launches_in_flight), (1, 0));
    assert_eq!(runner.load.unwrap().slots_taken, 20);
}

#[tokio::test]
async fn a_browser_that_does_not_answer_holds_its_launch_until_it_is_given_up() {
    let options = Options::default().arg("--slots").arg("9").arg("--launches-max").arg("1").arg("--no-sandbox");
    let service = Service::start_with(options.arg("--browser").arg(format!("silent={}", silent_browser().display())));
    let mut client = service.client().await;
    let timeouts = v1::Timeouts { launch: span(Duration::from_millis(700)), ..v1::Timeouts::default() };
    let request = v1::ExecuteRequest {
        browser: "silent".to_owned(),
        tier: Tier::Managed.into(),
        timeouts: Some(timeouts),
        ..execute(&stub_url("/pipe-ignore"))
    };
    let silent = client.execute(request).await.unwrap().into_inner();
    assert_eq!(silent.job.unwrap().status(), Status::Running);
    let runner = client.get_runner(v1::GetRunnerRequest {}).await.unwrap().into_inner();
    assert_eq!(runner.load.unwrap().launches_in_flight, 1);
    let mut waiting = client.clone();
    let waiting = tokio::spawn(async move { begin(&mut waiting, "/sleep").await });
    let given_up = job_when(&mut client, &silent.task_id, |job| job.status() != Status::Running).await;
    let begun = waiting.await.unwrap().job.unwrap();
    assert_eq!(begun.status(), Status::Running);
    let at = |at: Option<prost_types::Timestamp>| at.map(|at| (at.seconds, at.nanos)).unwrap();
    assert!(at(begun.started_at) >= at(given_up.updated_at), "{begun:?}");
}

#[tokio::test]
async fn launches_and_refusals_by_a_limit_are_counted() {
    let service = Service::start_with(one_slot().arg("--queue").arg("0"));
    let mut client = service.client().await;
    begin(&mut client, "/sleep").await;
    client.execute(execute(&stub_url("/exit/0"))).await.unwrap_err();
    let read = |series: &str| {
        let body = get_with(&service, "/metrics", &service.token()).body;
        let line = body.lines().find_map(|line| line.strip_prefix(&format!("comet_task_runner_{series} ")));
        line.unwrap_or_else(|| panic!("{series}: {body}")).parse::<f64>().unwrap()
    };
    assert_eq!(read("limit_refusals_total{limit=\"queue\"}"), 1.0);
    assert_eq!(read("limit_refusals_total{limit=\"watchers\"}"), 0.0);
    assert_eq!((read("queue_seconds_count"), read("queue_seconds_bucket{le=\"0.001\"}")), (1.0, 1.0));
    assert_eq!((read("launches_in_flight"), read("windows_open"), read("windows_kept")), (0.0, 0.0, 0.0));
}
