//! The floor: the barest program that speaks the same contract and keeps the same promise of durability.
//!
//! It commits what was asked, starts the process, waits for it, commits its end and pushes that. It has no job core, no
//! shim, no queue, no limits, no authentication and no resume: what the service costs beyond it is what those cost.

// Only to let tokio wait on a pidfd.
#![allow(unsafe_code)]

use std::{
    collections::HashMap,
    io::Read as _,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    process::{Command, Stdio, exit},
    sync::{Mutex, PoisonError},
    thread,
};

use anyhow::{Context, Result};
use comet_task_runner::api::v1::*;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::TcpListener,
    sync::watch,
};
use tokio_stream::{StreamExt as _, adapters::Map, wrappers::WatchStream};
use tonic::{Request, Response, Status, transport::server::TcpIncoming};
use uuid::Uuid;

use crate::floor_commits::Commits;

struct Floor {
    stub: PathBuf,
    commits: Commits,
    /// Every job, its end included, for as long as the floor runs: a bench is short.
    jobs: Mutex<HashMap<Uuid, watch::Receiver<WatchJobResponse>>>,
}

/// Serves until standard input ends, so that a floor never outlives its bench.
pub(crate) fn serve(directory: &Path, stub: &Path) -> Result<()> {
    thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        exit(0)
    });
    let floor = Floor { stub: stub.to_owned(), commits: Commits::open(directory)?, jobs: Mutex::default() };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        let service = task_runner_server::TaskRunnerServer::new(floor);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Ok(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await?)
    })
}

#[tonic::async_trait]
impl task_runner_server::TaskRunner for Floor {
    async fn execute(&self, request: Request<ExecuteRequest>) -> Result<Response<ExecuteResponse>, Status> {
        let url = request.into_inner().url;
        let task_id = Uuid::now_v7();
        self.commits.commit(task_id, 1, url.clone().into_bytes()).await.map_err(internal)?;

        let process_id = self.start(task_id, &url).map_err(internal)?;
        Ok(Response::new(ExecuteResponse { task_id: task_id.to_string(), process_id, ..ExecuteResponse::default() }))
    }

    type WatchJobStream = Map<WatchStream<WatchJobResponse>, fn(WatchJobResponse) -> Result<WatchJobResponse, Status>>;

    async fn watch_job(&self, request: Request<WatchJobRequest>) -> Result<Response<Self::WatchJobStream>, Status> {
        let task_id = Uuid::parse_str(&request.into_inner().task_id).map_err(internal)?;
        let changes = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).get(&task_id).cloned();
        let changes = changes.ok_or_else(|| Status::not_found("no such task"))?;
        // Ends by itself: the sender goes with the job's end.
        Ok(Response::new(WatchStream::new(changes).map(Ok)))
    }

    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        Err(Status::unimplemented("the floor"))
    }

    async fn callback(&self, _: Request<CallbackRequest>) -> Result<Response<CallbackResponse>, Status> {
        Err(Status::unimplemented("the floor"))
    }

    async fn cancel_job(&self, _: Request<CancelJobRequest>) -> Result<Response<CancelJobResponse>, Status> {
        Err(Status::unimplemented("the floor"))
    }

    async fn capture_screenshot(
        &self,
        _: Request<CaptureScreenshotRequest>,
    ) -> Result<Response<CaptureScreenshotResponse>, Status> {
        Err(Status::unimplemented("the floor"))
    }

    async fn list_jobs(&self, _: Request<ListJobsRequest>) -> Result<Response<ListJobsResponse>, Status> {
        Err(Status::unimplemented("the floor"))
    }

    type WatchJobsStream = tokio_stream::Empty<Result<WatchJobsResponse, Status>>;

    async fn watch_jobs(&self, _: Request<WatchJobsRequest>) -> Result<Response<Self::WatchJobsStream>, Status> {
        Err(Status::unimplemented("the floor"))
    }

    async fn get_runner(&self, _: Request<GetRunnerRequest>) -> Result<Response<GetRunnerResponse>, Status> {
        Err(Status::unimplemented("the floor"))
    }

    async fn list_profiles(&self, _: Request<ListProfilesRequest>) -> Result<Response<ListProfilesResponse>, Status> {
        Err(Status::unimplemented("the floor"))
    }

    async fn remove_profile(
        &self,
        _: Request<RemoveProfileRequest>,
    ) -> Result<Response<RemoveProfileResponse>, Status> {
        Err(Status::unimplemented("the floor"))
    }

    type ReadFileStream = tokio_stream::Empty<Result<ReadFileResponse, Status>>;

    async fn read_file(&self, _: Request<ReadFileRequest>) -> Result<Response<Self::ReadFileStream>, Status> {
        Err(Status::unimplemented("the floor"))
    }

    type ReadLogStream = tokio_stream::Empty<Result<ReadLogResponse, Status>>;

    async fn read_log(&self, _: Request<ReadLogRequest>) -> Result<Response<Self::ReadLogStream>, Status> {
        Err(Status::unimplemented("the floor"))
    }

    async fn list_windows(&self, _: Request<ListWindowsRequest>) -> Result<Response<ListWindowsResponse>, Status> {
        Err(Status::unimplemented("the floor"))
    }

    async fn focus_window(&self, _: Request<FocusWindowRequest>) -> Result<Response<FocusWindowResponse>, Status> {
        Err(Status::unimplemented("the floor"))
    }

    async fn tile_windows(&self, _: Request<TileWindowsRequest>) -> Result<Response<TileWindowsResponse>, Status> {
        Err(Status::unimplemented("the floor"))
    }
}

impl Floor {
    /// Starts the stub and the task that sees its end.
    fn start(&self, task_id: Uuid, url: &str) -> Result<u32> {
        let null = Stdio::null;
        // Without a hook between fork and exec, std spawns through posix_spawn, which is what is meant here.
        let child =
            Command::new(&self.stub).arg(url).env_clear().stdin(null()).stdout(null()).stderr(null()).spawn()?;
        let process_id = child.id();
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::NONBLOCK)?;

        let (end, changes) = watch::channel(message(process_id, watch_job_response::Kind::Snapshot));
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).insert(task_id, changes);
        let commits = self.commits.clone();
        tokio::spawn(async move {
            if let Err(error) = see_end(task_id, process, &commits, &end, process_id).await {
                eprintln!("floor: task {task_id}: {error:#}");
            }
        });
        Ok(process_id)
    }
}

/// Process wait, one commit, one push: the path that an exit cannot do without.
async fn see_end(
    task_id: Uuid,
    process: OwnedFd,
    commits: &Commits,
    end: &watch::Sender<WatchJobResponse>,
    process_id: u32,
) -> Result<()> {
    // SAFETY: an OwnedFd is one descriptor for its whole life, and the AsyncFd owns it.
    let process = unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) }?;
    let _ready = process.readable().await?;
    let status = waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED)?.context("readable without an exit")?;
    commits.commit(task_id, 2, format!("{:?}", status.exit_status()).into_bytes()).await?;

    let mut change = message(process_id, watch_job_response::Kind::Change);
    change.revision = 2;
    change.r#final = true;
    if let Some(job) = &mut change.job {
        job.done = true;
        job.exit_code = status.exit_status();
        job.set_status(job::Status::Done);
    }
    end.send_replace(change);
    Ok(())
}

fn message(process_id: u32, kind: watch_job_response::Kind) -> WatchJobResponse {
    let mut message = WatchJobResponse { revision: 1, ..WatchJobResponse::default() };
    message.set_kind(kind);
    let mut job = Job { process_id, ..Job::default() };
    job.set_status(job::Status::Running);
    message.job = Some(job);
    message
}

fn internal(error: impl std::fmt::Display) -> Status {
    Status::internal(error.to_string())
}
