//! WatchJobs when it is quiet, when it is busy, and when the service leaves.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use comet_task_runner::api::v1::{
    self, CallbackRequest, JobFilter, WatchJobsRequest, job::Status, task_runner_client::TaskRunnerClient,
    watch_jobs_response::Kind,
};
use rustix::process::Signal;
use tokio::task::JoinHandle;
use tonic::{Code, Request, transport::Endpoint};

use super::{
    service::{Options, Service, execute, job_when, stub_url, watch},
    watch_jobs::{Model, all, follow_until, going_on, next_of_many, only, open},
    wire::{begin, is_alive, read_refusal, refused, report, span},
};

fn with_heartbeat(seconds: u64) -> WatchJobsRequest {
    WatchJobsRequest { heartbeat_interval: span(Duration::from_secs(seconds)), ..all() }
}

#[tokio::test]
async fn silence_is_broken_by_heartbeats_with_the_token_and_every_sample() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1"));
    let mut client = service.client().await;
    begin(&mut client, "/sleep").await;
    let first = begin(&mut client, "/exit/0").await;
    let second = begin(&mut client, "/exit/0").await;
    // Not the one that runs: its processes are read each second, so that there is no silence about it.
    let filter = Some(only(&[&first.task_id, &second.task_id]));
    let mut stream = open(&mut client, WatchJobsRequest { filter, ..with_heartbeat(1) }).await;
    let begun = Instant::now();
    let synced = follow_until(&mut stream, |message| message.kind() == Kind::Synced).await.pop().unwrap();
    for beat in 1..=2 {
        let message = next_of_many(&mut stream).await.unwrap().unwrap();
        assert_eq!((message.kind(), &message.resume_token), (Kind::Heartbeat, &synced.resume_token));
        let sample = |id: &str| message.samples.iter().find(|of| of.task_id == id).unwrap().sample.clone().unwrap();
        assert_eq!(message.samples.len(), 2);
        assert_eq!(sample(&first.task_id).queue_position, Some(1));
        assert_eq!(sample(&second.task_id).queue_position, Some(2));
        assert!(begun.elapsed() >= Duration::from_secs(beat) - Duration::from_millis(50), "it came too early");
    }
}

#[tokio::test]
async fn samples_never_displace_a_change_and_come_at_most_once_a_second_and_to_whom_they_concern() {
    let service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let other = begin(&mut client, "/sleep").await;
    let mut stream = open(&mut client, all()).await;
    let filter = Some(only(&[&other.task_id]));
    let mut unconcerned = open(&mut client, WatchJobsRequest { filter, ..all() }).await;
    let mut pages = Vec::new();
    for page in 0..4_u32 {
        let (mut client, task) = (client.clone(), task.clone());
        pages.push(tokio::spawn(async move {
            for step in 0.. {
                let message = format!("{page}/{step}");
                let alive = CallbackRequest { progress: Some(step % 100), message, ..report(&task, Status::Running) };
                client.callback(alive).await.unwrap();
            }
        }));
    }
    let mut model = Model::default();
    let mut came = Vec::new();
    follow_until(&mut stream, |message| {
        model.take(message);
        if message.kind() == Kind::Sample {
            assert!(message.samples.iter().any(|of| of.task_id == task.task_id), "{message:?}");
        }
        if !message.samples.is_empty() {
            came.push(Instant::now());
        }
        came.len() == 3
    })
    .await;
    let pause = came[2] - came[0];
    assert!(pause > Duration::from_millis(1900), "a snapshot's end and two samples in {pause:?}");
    client.callback(report(&task, Status::Done)).await.unwrap();
    follow_until(&mut stream, |message| {
        model.take(message);
        model.jobs[&task.task_id].tree_end.is_some()
    })
    .await;
    pages.iter().for_each(JoinHandle::abort);
    client.callback(report(&other, Status::Done)).await.unwrap();
    let quiet = follow_until(&mut unconcerned, |message| message.kind() == Kind::Change).await;
    let samples = quiet.iter().flat_map(|message| &message.samples);
    assert!(samples.map(|of| &of.task_id).all(|id| *id == other.task_id), "{quiet:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_concerned_by_a_busy_service_hears_its_heartbeats() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1"));
    let mut client = service.client().await;
    begin(&mut client, "/sleep").await;
    let filter = JobFilter { url_contains: "no job has this".to_owned(), ..JobFilter::default() };
    let mut stream = open(&mut client, WatchJobsRequest { filter: Some(filter), ..with_heartbeat(1) }).await;
    let synced = next_of_many(&mut stream).await.unwrap().unwrap();
    let mut making = Vec::new();
    for _ in 0..8 {
        let mut client = service.client().await;
        making.push(tokio::spawn(async move {
            loop {
                begin(&mut client, "/exit/0").await;
            }
        }));
    }
    let mut tokens = BTreeSet::from([synced.resume_token]);
    for _ in 0..2 {
        let message = next_of_many(&mut stream).await.unwrap().unwrap();
        assert_eq!(message.kind(), Kind::Heartbeat);
        assert!(tokens.insert(message.resume_token), "its place moves on with what it need not hear");
    }
    making.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn a_watcher_that_does_not_read_misses_nothing_and_holds_up_nobody() {
    const JOBS: usize = 60;
    let service = Service::start();
    let mut client = service.client().await;
    let endpoint = Endpoint::from_shared(service.address.clone()).unwrap();
    let narrow =
        endpoint.initial_stream_window_size(100).initial_connection_window_size(65_535).connect().await.unwrap();
    let mut slow = TaskRunnerClient::new(narrow);
    let mut asked = Request::new(all());
    asked.metadata_mut().insert("authorization", format!("Bearer {}", service.token()).parse().unwrap());
    let mut unread = slow.watch_jobs(asked).await.unwrap().into_inner();
    let mut read = open(&mut client, all()).await;
    // Each change weighs some 18 kB, and that watcher's window takes a hundred bytes.
    for _ in 0..JOBS {
        let mut request = execute(&stub_url(&format!("/exit/0?{}", "x".repeat(8000))));
        request.labels = (0..32).map(|n| (format!("{n:063}"), "v".repeat(255))).collect();
        client.execute(request).await.unwrap();
    }
    let mut models = [Model::default(), Model::default()];
    // The one who reads comes to the end before the other begins to.
    for (model, stream) in models.iter_mut().zip([&mut read, &mut unread]) {
        follow_until(stream, |message| {
            model.take(message);
            model.jobs.len() == JOBS && model.jobs.values().all(|job| job.tree_end.is_some())
        })
        .await;
    }
    assert_eq!(models[0].jobs, models[1].jobs);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_reaches_a_thousand_watchers() {
    const WATCHERS: usize = 1000;
    const PER_CONNECTION: usize = 200;
    let service = Service::start();
    let mut streams = Vec::new();
    for index in 0..WATCHERS {
        if index % PER_CONNECTION == 0 {
            streams.push((service.client().await, Vec::new()));
        }
        let (client, of_it) = streams.last_mut().unwrap();
        of_it.push(open(client, all()).await);
    }
    let mut client = service.client().await;
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        ids.insert(begin(&mut client, "/exit/0").await.task_id);
    }
    let mut reading = Vec::new();
    // The clients keep their connections open.
    let (_clients, streams): (Vec<_>, Vec<_>) = streams.into_iter().unzip();
    for mut stream in streams.into_iter().flatten() {
        let ids = ids.clone();
        reading.push(tokio::spawn(async move {
            let mut model = Model::default();
            follow_until(&mut stream, |message| {
                model.take(message);
                model.jobs.len() == ids.len() && model.jobs.values().all(|job| job.tree_end.is_some())
            })
            .await;
            assert!(model.jobs.keys().eq(&ids));
        }));
    }
    for reader in reading {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn watchers_of_one_job_and_of_many_share_one_limit() {
    let service = Service::start_with(Options::default().arg("--watchers").arg("2"));
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let of_many = open(&mut client, all()).await;
    let _of_one = client.watch_job(watch(&task.task_id)).await.unwrap();
    let refusals = [refused(client.watch_jobs(all()).await), refused(client.watch_job(watch(&task.task_id)).await)];
    for refusal in refusals {
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::ResourceExhausted, "WATCHER_LIMIT"));
        assert!(refusal.retry_after.is_some());
    }
    drop(of_many);
    // Its place is free once the service has noticed, which nothing tells.
    loop {
        match client.watch_jobs(all()).await {
            Ok(_) => break,
            Err(status) => assert_eq!(read_refusal(&status).reason, "WATCHER_LIMIT"),
        }
    }
    assert!(is_alive(task.process_id), "a watcher that leaves cancels nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_leaves_tells_every_watcher_where_to_go_on() {
    let mut service = Service::start_with(Options::default().arg("--slots").arg("1"));
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut stream = open(&mut client, all()).await;
        follow_until(&mut stream, |message| message.kind() == Kind::Synced).await;
        streams.push(stream);
    }
    // One that never comes to rest is told all the same.
    let mut busy = Vec::new();
    for _ in 0..4 {
        let mut client = service.client().await;
        busy.push(tokio::spawn(async move { while client.execute(execute(&stub_url("/exit/0"))).await.is_ok() {} }));
    }
    follow_until(&mut streams[0], |message| message.kind() == Kind::Change).await;
    service.signal(Signal::TERM);
    let mut tokens = BTreeSet::new();
    for stream in &mut streams {
        let message = follow_until(stream, |message| message.kind() == Kind::Draining).await.pop().unwrap();
        assert!(message.retry_delay.is_some_and(|delay| delay.seconds >= 1));
        let end = read_refusal(&next_of_many(stream).await.unwrap_err());
        assert_eq!((end.code, end.reason.as_str()), (Code::Unavailable, "DRAINING"));
        assert!(end.retry_after.is_some());
        tokens.insert(message.resume_token);
    }
    drop((streams, client));
    for maker in busy {
        maker.await.unwrap();
    }
    assert!(service.wait().success());
    service.restart();
    let mut client = service.client().await;
    client.callback(report(&task, Status::Done)).await.unwrap();
    let done = job_when(&mut client, &task.task_id, |job| job.tree_end.is_some()).await;
    let mut told: BTreeSet<(String, u64)> = BTreeSet::new();
    for token in tokens {
        let mut stream = open(&mut client, going_on(&token)).await;
        let messages = follow_until(&mut stream, |message| {
            message.task_id == done.task_id && message.job.as_ref().is_some_and(|job| job.revision == done.revision)
        })
        .await;
        assert!(messages.iter().all(|message| !message.reset && message.kind() != Kind::Snapshot));
        let own: Vec<_> = messages.iter().filter_map(|message| message.job.as_ref()).collect();
        let revisions: Vec<_> = own.iter().filter(|job| job.task_id == done.task_id).map(|job| job.revision).collect();
        assert_eq!(revisions, (3..=done.revision).collect::<Vec<_>>());
        told.extend(own.iter().map(|job: &&v1::Job| (job.task_id.clone(), job.revision)));
    }
    assert!(!told.is_empty());
}
