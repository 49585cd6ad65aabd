//! Leaving with hundreds of open streams: each is told, the process goes in time, jobs go on, watchers go on behind.

use std::time::{Duration, Instant};

use comet_task_runner::api::v1::{
    WatchJobResponse,
    job::{Reason, Status},
    watch_job_response::Kind,
};
use rustix::process::Signal;
use tokio::task::JoinSet;
use tonic::{Code, Streaming};

use super::{
    grpc_web,
    service::{AT_LENGTH, Client, Options, Service, to_end, watch},
    watch::check_order,
    wire::{begin, read_refusal, report, resume, settled},
};

/// The drain of a service that is told nothing else.
const DRAIN: Duration = Duration::from_secs(10);
/// Streams of each kind.
const STREAMS: usize = 250;

/// What a watcher was told when the service left: the token to go on with.
struct Told {
    resume_token: String,
    retry_delay: Duration,
}

/// A watch over either wire.
enum Watch {
    Grpc(Box<Streaming<WatchJobResponse>>),
    Web(grpc_web::Stream<WatchJobResponse>),
}

impl Watch {
    async fn over_grpc(client: &mut Client, task_id: &str) -> Self {
        Self::Grpc(Box::new(client.watch_job(watch(task_id)).await.unwrap().into_inner()))
    }

    async fn over_web(service: &Service, task_id: &str) -> Self {
        Self::Web(grpc_web::call(service, "WatchJob", &watch(task_id)).await.unwrap())
    }

    async fn next(&mut self) -> Result<Option<WatchJobResponse>, tonic::Status> {
        match self {
            Self::Grpc(stream) => stream.message().await,
            Self::Web(stream) => stream.next().await,
        }
    }

    async fn begun(mut self) -> Self {
        assert_eq!(self.next().await.unwrap().unwrap().kind(), Kind::Snapshot);
        self
    }

    /// Reads on until the service leaves.
    async fn until_left(mut self) -> Told {
        loop {
            let message = self.next().await.unwrap().expect("DRAINING comes before the end");
            if message.kind() == Kind::Draining {
                let end = read_refusal(&self.next().await.expect_err("DRAINING is the last message"));
                assert_eq!((end.code, end.reason.as_str()), (Code::Unavailable, "DRAINING"));
                let retry_delay = Duration::try_from(message.retry_delay.unwrap()).unwrap();
                return Told { resume_token: message.resume_token, retry_delay };
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_streams_are_told_and_go_on_behind_the_restart() {
    let mut service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let mut client = service.client().await;
    let first = settled(begin(&mut client, "/sleep").await);
    let second = settled(begin(&mut client, "/sleep").await);
    let tasks = [first, second];

    let mut watching = JoinSet::new();
    for n in 0..STREAMS {
        let of = n % 2;
        let task_id = tasks[of].task_id.clone();
        // A connection takes 256 streams; a page has its own.
        let mut client = if n % 100 == 0 { service.client().await } else { client.clone() };
        for stream in [Watch::over_grpc(&mut client, &task_id).await, Watch::over_web(&service, &task_id).await] {
            let stream = stream.begun().await;
            watching.spawn(async move { (of, stream.until_left().await) });
        }
    }

    let told_at = Instant::now();
    service.signal(Signal::TERM);
    let mut told = Vec::new();
    while let Some(watched) = tokio::time::timeout(AT_LENGTH, watching.join_next()).await.expect("each is told") {
        told.push(watched.unwrap());
    }
    assert!(service.wait().success());
    assert!(told_at.elapsed() < DRAIN, "it left after {:?}", told_at.elapsed());
    assert_eq!(told.len(), 2 * STREAMS);
    assert!(told.iter().all(|(_, told)| told.retry_delay > Duration::ZERO));

    service.restart();
    let mut client = service.client().await;
    for task in &tasks {
        client.callback(report(task, Status::Done)).await.unwrap();
    }
    for (of, Told { resume_token, .. }) in told {
        let again = resume(&tasks[of].task_id, &resume_token);
        let mut stream = client.watch_job(again).await.unwrap().into_inner();
        let changes = check_order(&to_end(&mut stream).await);
        let done = changes.iter().find(|job| job.done).expect("the job went on and came to its end");
        assert_eq!((done.status(), done.reason()), (Status::Done, Reason::Callback));
    }
}
