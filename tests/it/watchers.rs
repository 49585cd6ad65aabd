//! Many watchers, slow ones, ones that leave, and all of them when the service leaves.

use std::time::{Duration, Instant};

use comet_task_runner::api::v1::{
    self, CallbackRequest,
    job::{Reason, Status},
    task_runner_client::TaskRunnerClient,
    watch_job_response::Kind,
};
use rustix::process::Signal;
use tonic::{Code, Request, transport::Endpoint};

use super::{
    service::{Options, Service, ended, execute, next, stub_url, to_end, watch},
    watch::{check_order, with_heartbeat},
    wire::{begin, cancel, is_alive, read_refusal, refused, report, resume, settled, status, watch_exit},
};

/// The drain of a service that is told nothing else.
const DRAIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_thousand_changes_of_many_jobs_reach_every_watcher() {
    const JOBS: usize = 250;
    let service = Service::start_with(Options::default().arg("--slots").arg("4"));
    let mut client = service.client().await;
    let blockers = [begin(&mut client, "/sleep").await, begin(&mut client, "/sleep").await];
    let blockers =
        [&blockers[0], &blockers[1], &begin(&mut client, "/sleep").await, &begin(&mut client, "/sleep").await]
            .map(|task| task.task_id.clone());
    let mut watching = Vec::new();
    for _ in 0..JOBS {
        let task = begin(&mut client, "/exit/0").await;
        let mut stream = client.watch_job(watch(&task.task_id)).await.unwrap().into_inner();
        watching.push(tokio::spawn(async move { to_end(&mut stream).await }));
    }
    for blocker in blockers {
        client.cancel_job(cancel(&blocker)).await.unwrap();
    }
    let mut changes = 0;
    for watcher in watching {
        let jobs = check_order(&watcher.await.unwrap());
        let statuses: Vec<_> = jobs.iter().map(v1::Job::status).collect();
        assert_eq!(statuses, [Status::Created, Status::Running, Status::Done]);
        changes += jobs.len();
    }
    assert_eq!(changes, 3 * JOBS);
}

#[tokio::test]
async fn a_watcher_that_does_not_read_misses_nothing_and_holds_up_nobody() {
    let service = Service::start();
    let mut client = service.client().await;
    // Each change weighs some 70 kB, and this watcher's window takes a hundred bytes.
    let mut request = execute(&stub_url(&format!("/sleep?{}", "x".repeat(8000))));
    request.labels = (0..32).map(|n| (format!("{n:063}"), "v".repeat(255))).collect();
    let task = settled(client.execute(request).await.unwrap().into_inner());
    let endpoint = Endpoint::from_shared(service.address.clone()).unwrap();
    let narrow =
        endpoint.initial_stream_window_size(100).initial_connection_window_size(65_535).connect().await.unwrap();
    let mut slow = TaskRunnerClient::new(narrow);
    let mut asked = Request::new(watch_exit(&task.task_id));
    asked.metadata_mut().insert("authorization", format!("Bearer {}", service.token()).parse().unwrap());
    let mut unread = slow.watch_job(asked).await.unwrap().into_inner();
    let mut read = client.watch_job(watch_exit(&task.task_id)).await.unwrap().into_inner();
    let done = CallbackRequest { result: format!("\"{}\"", "r".repeat(60_000)), ..report(&task, Status::Done) };
    client.callback(done).await.unwrap();
    // The job, and those who read, come to the end meanwhile.
    let all = check_order(&to_end(&mut read).await);
    assert_eq!(all.last().unwrap().exit_code, Some(0));
    let other = begin(&mut client, "/exit/0").await;
    assert_eq!(ended(&mut client, &other.task_id).await.status(), Status::Done);
    let late = check_order(&to_end(&mut unread).await);
    assert_eq!(late, all[all.len() - late.len()..]);
    assert_eq!(late[0].revision, 2);
}

#[tokio::test]
async fn silence_is_broken_by_heartbeats_that_carry_the_token_and_the_sample() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1"));
    let mut client = service.client().await;
    let ahead = begin(&mut client, "/sleep").await;
    let task = begin(&mut client, "/exit/0").await;
    let mut stream = client.watch_job(with_heartbeat(&task.task_id, 1)).await.unwrap().into_inner();
    let snapshot = next(&mut stream).await.unwrap().unwrap();
    assert_eq!(snapshot.sample.unwrap().queue_position, Some(1));
    let begun = Instant::now();
    for beat in 1..=2 {
        let message = next(&mut stream).await.unwrap().unwrap();
        assert_eq!((message.kind(), message.revision, message.job), (Kind::Heartbeat, 1, None));
        assert_eq!(message.resume_token, snapshot.resume_token);
        assert_eq!(message.sample.unwrap().queue_position, Some(1));
        assert!(begun.elapsed() >= Duration::from_secs(beat) - Duration::from_millis(50), "it came too early");
    }
    client.cancel_job(cancel(&ahead.task_id)).await.unwrap();
    // A token that came with a heartbeat is as good as any.
    let mut resumed = client.watch_job(resume(&task.task_id, &snapshot.resume_token)).await.unwrap().into_inner();
    assert_eq!(check_order(&to_end(&mut resumed).await)[0].revision, 2);
}

#[tokio::test]
async fn samples_never_displace_a_change_and_come_at_most_once_a_second() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let mut stream = client.watch_job(watch_exit(&task.task_id)).await.unwrap().into_inner();
    let begun = Instant::now();
    let mut pages = Vec::new();
    for page in 0..8_u32 {
        let mut client = client.clone();
        let task = task.clone();
        pages.push(tokio::spawn(async move {
            for step in 0..100 {
                let message = format!("{page}/{step}");
                let alive = CallbackRequest { progress: Some(step), message, ..report(&task, Status::Running) };
                client.callback(alive).await.unwrap();
            }
        }));
    }
    for page in pages {
        page.await.unwrap();
    }
    client.callback(report(&task, Status::Done)).await.unwrap();
    let messages = to_end(&mut stream).await;
    let took = begun.elapsed();
    let told: Vec<_> = check_order(&messages).iter().map(|job| (job.revision, job.status())).collect();
    assert_eq!(told, [(2, Status::Running), (3, Status::Done), (4, Status::Done)]);
    let samples = messages.iter().filter(|message| message.kind() == Kind::Sample).count();
    assert!(samples >= 1, "the flood is seen");
    assert!(samples as u64 <= took.as_secs() + 2, "{samples} samples in {took:?}");
}

#[tokio::test]
async fn a_watcher_that_leaves_cancels_nothing() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    for _ in 0..20 {
        let mut hasty = service.client().await;
        let mut stream = hasty.watch_job(watch(&task.task_id)).await.unwrap().into_inner();
        next(&mut stream).await.unwrap();
        // The stream is dropped, and its connection with it.
    }
    let job = status(&mut client, &task.task_id).await.job.unwrap();
    assert_eq!((job.status(), job.revision, job.cancel_requested), (Status::Running, 2, false));
    assert!(is_alive(task.process_id));
    client.callback(report(&task, Status::Done)).await.unwrap();
    assert_eq!(ended(&mut client, &task.task_id).await.reason(), Reason::Callback);
}

#[tokio::test]
async fn watchers_beyond_the_limit_are_refused_until_one_leaves() {
    let service = Service::start_with(Options::default().arg("--watchers").arg("2"));
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let first = client.watch_job(watch(&task.task_id)).await.unwrap();
    let mut second = client.watch_job(watch(&task.task_id)).await.unwrap().into_inner();
    let refusal = refused(client.watch_job(watch(&task.task_id)).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::ResourceExhausted, "WATCHER_LIMIT"));
    assert!(refusal.retry_after.is_some());
    assert!(refusal.message.contains('2'), "{}", refusal.message);
    drop(first);
    // Its place is free once the service has noticed, which nothing tells.
    let third = loop {
        match client.watch_job(watch(&task.task_id)).await {
            Ok(stream) => break stream,
            Err(status) => assert_eq!(read_refusal(&status).reason, "WATCHER_LIMIT"),
        }
    };
    client.callback(report(&task, Status::Done)).await.unwrap();
    for stream in [&mut second, &mut third.into_inner()] {
        assert!(check_order(&to_end(stream).await).last().unwrap().done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_leaves_tells_every_watcher_where_to_go_on() {
    let mut service = Service::start_with(Options::default().arg("--slots").arg("4"));
    let mut client = service.client().await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(begin(&mut client, "/sleep").await);
    }
    let mut streams = Vec::new();
    for index in 0..200 {
        let task = &tasks[index % tasks.len()];
        let mut stream = client.watch_job(watch_exit(&task.task_id)).await.unwrap().into_inner();
        assert_eq!(next(&mut stream).await.unwrap().unwrap().kind(), Kind::Snapshot);
        streams.push((task.task_id.clone(), stream));
    }
    let asked = Instant::now();
    service.signal(Signal::TERM);
    let mut tokens = Vec::new();
    for (task_id, stream) in &mut streams {
        let message = loop {
            // Readings that came before are still under way.
            match next(stream).await.unwrap().unwrap() {
                reading if reading.kind() == Kind::Sample => {}
                message => break message,
            }
        };
        assert_eq!((message.kind(), message.revision, message.r#final), (Kind::Draining, 2, false));
        assert!(message.retry_delay.is_some_and(|delay| delay.seconds >= 1));
        let end = read_refusal(&next(stream).await.unwrap_err());
        assert_eq!((end.code, end.reason.as_str()), (Code::Unavailable, "DRAINING"));
        assert!(end.retry_after.is_some());
        tokens.push((task_id.clone(), message.resume_token));
    }
    let exit = service.wait();
    assert!(exit.success() && asked.elapsed() < DRAIN, "{exit} after {:?}", asked.elapsed());
    assert!(tasks.iter().all(|task| is_alive(task.process_id)), "the jobs go on");
    service.restart();
    let mut client = service.client().await;
    for task in &tasks {
        client.callback(report(task, Status::Done)).await.unwrap();
    }
    for (task_id, token) in tokens {
        let mut stream = client.watch_job(resume(&task_id, &token)).await.unwrap().into_inner();
        let messages = to_end(&mut stream).await;
        let jobs = check_order(&messages);
        assert_eq!((messages[0].kind(), messages[0].reset, jobs[0].revision), (Kind::Change, false, 3));
        assert_eq!(jobs.last().unwrap().reason(), Reason::Callback);
    }
}
