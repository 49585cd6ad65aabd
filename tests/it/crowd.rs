//! A thousand watchers, of one job and of a thousand: each is told everything, once and in order.

use std::collections::HashMap;

use comet_task_runner::api::v1::{
    self, WatchJobsRequest, WatchJobsResponse, job::Status, watch_jobs_response::Kind as ManyKind,
};
use tokio::{task::JoinSet, time::timeout};
use tonic::Streaming;

use super::{
    service::{AT_LENGTH, Client, Options, Service, to_end, watch},
    watch::check_order,
    wire::{begin, report, settled, watch_exit},
};

/// Watchers of each test.
const WATCHERS: usize = 1_000;
/// Streams of one connection, below what it takes.
const STREAMS_PER_CONNECTION: usize = 200;
/// Those that watch all jobs at once, among a thousand that watch one each.
const WATCHERS_OF_ALL: usize = 10;

/// Clients enough that every stream has room.
async fn clients(service: &Service) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..WATCHERS.div_ceil(STREAMS_PER_CONNECTION) + 1 {
        clients.push(service.client().await);
    }
    clients
}

/// A watch of all jobs, past its SYNCED.
async fn watch_all(client: &mut Client) -> Streaming<WatchJobsResponse> {
    let mut stream = client.watch_jobs(WatchJobsRequest::default()).await.unwrap().into_inner();
    while stream.message().await.unwrap().unwrap().kind() != ManyKind::Synced {}
    stream
}

/// The changes of each job until so many jobs are over and their browsers gone.
async fn until_over(mut stream: Streaming<WatchJobsResponse>, jobs: usize) -> HashMap<String, Vec<v1::Job>> {
    let mut told: HashMap<String, Vec<v1::Job>> = HashMap::new();
    let mut over = 0;
    while over < jobs {
        let message = timeout(AT_LENGTH, stream.message()).await.expect("a message comes").unwrap().unwrap();
        if message.kind() == ManyKind::Change {
            let job = message.job.unwrap();
            let before = told.entry(message.task_id).or_default();
            assert!(before.last().is_none_or(|last| last.revision + 1 == job.revision), "a hole or a double");
            // The proof that nothing of its tree is left is the last thing that happens to a job.
            over += usize::from(job.tree_end.is_some() && before.last().is_none_or(|last| last.tree_end.is_none()));
            before.push(job);
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_watchers_of_one_job_are_told_each_of_its_changes() {
    let service = Service::start();
    let mut clients = clients(&service).await;
    let task = settled(begin(&mut clients[0], "/sleep").await);
    let (mut of_one, mut of_all) = (JoinSet::new(), JoinSet::new());
    for n in 0..WATCHERS {
        let client = &mut clients[n / STREAMS_PER_CONNECTION];
        if n % 2 == 0 {
            let mut stream = client.watch_job(watch_exit(&task.task_id)).await.unwrap().into_inner();
            assert!(stream.message().await.unwrap().is_some());
            of_one.spawn(async move { check_order(&to_end(&mut stream).await) });
        } else {
            of_all.spawn(until_over(watch_all(client).await, 1));
        }
    }
    clients[0].callback(report(&task, Status::Done)).await.unwrap();

    let told = of_one.join_all().await;
    assert_eq!(told.len(), WATCHERS / 2);
    assert!(told[0].iter().any(|job| job.status() == Status::Done));
    assert!(told.iter().all(|changes| *changes == told[0]));
    let told = of_all.join_all().await;
    assert_eq!(told.len(), WATCHERS / 2);
    assert!(told[0][&task.task_id].iter().any(|job| job.status() == Status::Done));
    assert!(told.iter().all(|jobs| *jobs == told[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_jobs_each_watcher_is_told_all_of_its_own() {
    let service = Service::start_with(Options::default().arg("--slots").arg("8"));
    let mut clients = clients(&service).await;
    let mut last = clients.pop().unwrap();
    let mut all = JoinSet::new();
    for _ in 0..WATCHERS_OF_ALL {
        all.spawn(until_over(watch_all(&mut last).await, WATCHERS));
    }
    let mut each = JoinSet::new();
    for n in 0..WATCHERS {
        let client = &mut clients[n / STREAMS_PER_CONNECTION];
        let task = timeout(AT_LENGTH, begin(client, "/exit/0")).await.expect("the call is answered");
        let mut request = watch(&task.task_id);
        request.resume_token = task.resume_token;
        let mut stream = client.watch_job(request).await.unwrap().into_inner();
        each.spawn(async move { (task.task_id, check_order(&to_end(&mut stream).await)) });
    }

    let own: HashMap<_, _> = each.join_all().await.into_iter().collect();
    assert_eq!(own.len(), WATCHERS);
    for changes in own.values() {
        let statuses: Vec<_> = changes.iter().map(v1::Job::status).collect();
        assert_eq!(statuses, [Status::Created, Status::Running, Status::Done]);
    }
    for told in all.join_all().await {
        assert_eq!(told.len(), WATCHERS);
        for (task_id, changes) in &told {
            assert_eq!(changes[..3], own[task_id][..], "the watcher of all is told what the watcher of one is");
        }
    }
}
