//! A watch, against a service that follows a script.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};
use tonic_types::{ErrorDetails, StatusExt};

use super::{
    super::{Runner, Target},
    *,
};
use crate::api::v1::{
    CallbackRequest, CallbackResponse, CancelJobRequest, CancelJobResponse, CaptureScreenshotRequest,
    CaptureScreenshotResponse, ExecuteRequest, ExecuteResponse, FocusWindowRequest, FocusWindowResponse,
    GetRunnerRequest, GetRunnerResponse, GetStatusRequest, GetStatusResponse, ListJobsRequest, ListJobsResponse,
    ListProfilesRequest, ListProfilesResponse, ListWindowsRequest, ListWindowsResponse, ReadLogRequest,
    ReadLogResponse, RemoveProfileRequest, RemoveProfileResponse, TileWindowsRequest, TileWindowsResponse,
    WatchJobsRequest, WatchJobsResponse,
    task_runner_server::{TaskRunner, TaskRunnerServer},
};

type Said = Result<WatchJobResponse, Status>;

/// What each stream says, in turn, and what it was asked with.
#[derive(Clone, Default)]
struct Script {
    streams: Arc<Mutex<VecDeque<Vec<Said>>>>,
    asked: Arc<Mutex<Vec<WatchJobRequest>>>,
}

#[tonic::async_trait]
impl TaskRunner for Script {
    type WatchJobStream = tokio_stream::Iter<std::vec::IntoIter<Said>>;

    async fn watch_job(&self, request: Request<WatchJobRequest>) -> Result<Response<Self::WatchJobStream>, Status> {
        assert_eq!(request.metadata().get("authorization").unwrap(), "Bearer secret");
        self.asked.lock().unwrap().push(request.into_inner());
        let said = self.streams.lock().unwrap().pop_front().expect("one stream more than the script has");
        Ok(Response::new(tokio_stream::iter(said)))
    }

    async fn execute(&self, _: Request<ExecuteRequest>) -> Result<Response<ExecuteResponse>, Status> {
        unreachable!("following executes nothing")
    }

    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        unreachable!("following does not poll")
    }

    async fn callback(&self, _: Request<CallbackRequest>) -> Result<Response<CallbackResponse>, Status> {
        unreachable!("following reports nothing")
    }

    async fn cancel_job(&self, _: Request<CancelJobRequest>) -> Result<Response<CancelJobResponse>, Status> {
        unreachable!("following cancels nothing")
    }

    async fn capture_screenshot(
        &self,
        _: Request<CaptureScreenshotRequest>,
    ) -> Result<Response<CaptureScreenshotResponse>, Status> {
        unreachable!("following pictures nothing")
    }

    async fn list_jobs(&self, _: Request<ListJobsRequest>) -> Result<Response<ListJobsResponse>, Status> {
        unreachable!("following lists nothing")
    }

    type WatchJobsStream = tokio_stream::Empty<Result<WatchJobsResponse, Status>>;

    async fn watch_jobs(&self, _: Request<WatchJobsRequest>) -> Result<Response<Self::WatchJobsStream>, Status> {
        unreachable!("following is about one job")
    }

    type ReadLogStream = tokio_stream::Empty<Result<ReadLogResponse, Status>>;

    async fn read_log(&self, _: Request<ReadLogRequest>) -> Result<Response<Self::ReadLogStream>, Status> {
        unreachable!("following reads no log")
    }

    async fn get_runner(&self, _: Request<GetRunnerRequest>) -> Result<Response<GetRunnerResponse>, Status> {
        unreachable!("following asks nothing of the runner")
    }

    async fn list_profiles(&self, _: Request<ListProfilesRequest>) -> Result<Response<ListProfilesResponse>, Status> {
        unreachable!("following is about no profile")
    }

    async fn remove_profile(
        &self,
        _: Request<RemoveProfileRequest>,
    ) -> Result<Response<RemoveProfileResponse>, Status> {
        unreachable!("following is about no profile")
    }

    async fn list_windows(&self, _: Request<ListWindowsRequest>) -> Result<Response<ListWindowsResponse>, Status> {
        unreachable!("following looks at no window")
    }

    async fn focus_window(&self, _: Request<FocusWindowRequest>) -> Result<Response<FocusWindowResponse>, Status> {
        unreachable!("following raises no window")
    }

    async fn tile_windows(&self, _: Request<TileWindowsRequest>) -> Result<Response<TileWindowsResponse>, Status> {
        unreachable!("following moves no window")
    }

    type ReadFileStream = tokio_stream::Empty<Result<crate::api::v1::ReadFileResponse, Status>>;

    async fn read_file(
        &self,
        _: Request<crate::api::v1::ReadFileRequest>,
    ) -> Result<Response<Self::ReadFileStream>, Status> {
        unreachable!("following reads no file")
    }
}

/// A scripted service on a port of its own.
struct Scripted {
    script: Script,
    target: Target,
    serving: JoinHandle<()>,
}

impl Scripted {
    async fn start(streams: Vec<Vec<Said>>) -> Self {
        let script = Script { streams: Arc::new(Mutex::new(streams.into())), ..Script::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());

        let (_reporter, health) = tonic_health::server::health_reporter();
        let router = Server::builder().add_service(health).add_service(TaskRunnerServer::new(script.clone()));
        let serving = tokio::spawn(async move {
            router.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Self { script, target: Target::at(server, "secret"), serving }
    }

    /// Follows to the end; gives the revisions that were told, and how it ended.
    async fn follow(&self) -> (Vec<u64>, Result<(), Error>) {
        let runner = Runner::connect(self.target.clone()).await.unwrap().retry_for(Duration::from_secs(30));
        let request = WatchJobRequest { task_id: "t".to_owned(), ..WatchJobRequest::default() };
        let mut watch = runner.watch(request);
        let mut told = Vec::new();
        loop {
            match watch.next().await {
                Ok(Some(message)) => told.push(message.job.unwrap().revision),
                Ok(None) => return (told, Ok(())),
                Err(error) => return (told, Err(error)),
            }
        }
    }

    fn tokens(&self) -> Vec<String> {
        self.script.asked.lock().unwrap().iter().map(|request| request.resume_token.clone()).collect()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn say(kind: Kind, revision: u64) -> WatchJobResponse {
    WatchJobResponse {
        kind: kind.into(),
        job: Some(Job { revision, ..Job::default() }),
        revision,
        resume_token: format!("after {revision}"),
        ..WatchJobResponse::default()
    }
}

fn change(revision: u64) -> Said {
    Ok(say(Kind::Change, revision))
}

fn last(revision: u64) -> Said {
    Ok(WatchJobResponse { r#final: true, ..say(Kind::Change, revision) })
}

fn snapshot(revision: u64) -> Said {
    Ok(say(Kind::Snapshot, revision))
}

#[tokio::test]
async fn a_cut_stream_goes_on_behind_the_last_token_without_a_doubled_change() {
    let cut = Err(Status::unavailable("gone"));
    let service = Scripted::start(vec![vec![snapshot(2), change(3), cut], vec![change(3), change(4), last(5)]]).await;

    let (told, end) = service.follow().await;
    end.unwrap();
    assert_eq!(told, [2, 3, 4, 5]);
    assert_eq!(service.tokens(), ["", "after 3"]);
}

#[tokio::test]
async fn a_heartbeat_moves_the_token_and_tells_nothing() {
    let beat = WatchJobResponse {
        kind: Kind::Heartbeat.into(),
        resume_token: "after the beat".to_owned(),
        ..WatchJobResponse::default()
    };
    let draining = WatchJobResponse { kind: Kind::Draining.into(), ..WatchJobResponse::default() };
    let service = Scripted::start(vec![
        vec![snapshot(2), Ok(beat), Ok(draining), Err(Status::unavailable("draining"))],
        vec![last(3)],
    ])
    .await;

    let (told, end) = service.follow().await;
    end.unwrap();
    assert_eq!(told, [2, 3]);
    assert_eq!(service.tokens(), ["", "after the beat"]);
}

#[tokio::test]
async fn a_stream_that_ends_well_before_the_task_is_taken_for_cut() {
    let service = Scripted::start(vec![vec![snapshot(1)], vec![last(2)]]).await;

    let (told, end) = service.follow().await;
    end.unwrap();
    assert_eq!(told, [1, 2]);
}

#[tokio::test]
async fn a_store_that_was_put_back_is_told_although_revisions_fall() {
    let reset = |revision| Ok(WatchJobResponse { reset: true, ..say(Kind::Snapshot, revision) });
    let service = Scripted::start(vec![
        vec![snapshot(5), Err(Status::unavailable("gone"))],
        vec![reset(3), Err(Status::unavailable("gone"))],
        vec![reset(3), last(4)],
    ])
    .await;

    let (told, end) = service.follow().await;
    end.unwrap();
    assert_eq!(told, [5, 3, 4]);
}

#[tokio::test]
async fn a_refusal_of_the_service_ends_the_following() {
    let details = ErrorDetails::with_error_info("TASK_NOT_FOUND", "taskrunner.comet", []);
    let refusal = Status::with_error_details(tonic::Code::NotFound, "no task is called t", details);
    let service = Scripted::start(vec![vec![Err(refusal)]]).await;

    let (told, end) = service.follow().await;
    assert!(told.is_empty());
    assert_eq!(end.unwrap_err().to_string(), "no task is called t (TASK_NOT_FOUND)");
}
