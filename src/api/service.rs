//! One method per call: convert, ask the runner, convert.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Request, Response, Status};

use super::{
    Caller, Scope, convert,
    files::{FileStream, Readers},
    list,
    log::{self, LogStream},
    meters::{self, Watching},
    profiles, request,
    resume::ResumeToken,
    screenshot,
    status::{self, Violation},
    trace,
    v1::{self, task_runner_server::TaskRunner},
    watch::{self, Plan, WatchStream},
    watch_jobs::{self, WatchJobsStream},
    windows,
};
use crate::{
    job::TaskId,
    runner::{CallError, Reported, Runner},
};

/// The service as callers see it.
pub(super) struct Service {
    runner: Runner,
    watchers: Arc<Semaphore>,
    watchers_max: usize,
    readers: Readers,
}

impl Service {
    pub(super) fn new(runner: Runner, watchers_max: usize) -> Self {
        let watchers_max = watchers_max.min(Semaphore::MAX_PERMITS);
        Self { runner, watchers: Arc::new(Semaphore::new(watchers_max)), watchers_max, readers: Readers::default() }
    }

    /// A place among the watchers.
    fn place(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.watchers).try_acquire_owned().map_err(|_| {
            meters::watcher_refused();
            status::watcher_limit(self.watchers_max)
        })
    }

    /// A callback token opens its own task only; without one the caller must have shown another that allows it.
    fn admit_callback(&self, id: TaskId, token: &str, caller: Option<&Caller>) -> Result<(), Status> {
        match (token.is_empty(), caller) {
            (true, Some(caller)) => {
                let needed = Scope::needed_by("Callback").expect("it is a call of the contract");
                if caller.scope >= needed { Ok(()) } else { Err(status::scope_insufficient(needed)) }
            }
            (true, None) => Err(status::token_missing()),
            (false, _) if self.runner.accepts_callback(id, token) => Ok(()),
            (false, _) => {
                meters::callback_denied();
                Err(status::callback_token_invalid())
            }
        }
    }
}

#[tonic::async_trait]
impl TaskRunner for Service {
    async fn execute(&self, request: Request<v1::ExecuteRequest>) -> Result<Response<v1::ExecuteResponse>, Status> {
        let caller = trace::of(request.metadata());
        let request = request.into_inner();
        let order = request::order(&request).map_err(|violations| status::invalid(&violations))?;
        if request.validate_only {
            let job = self.runner.validate(&order).map_err(|error| status::execute(&error))?;
            let job = v1::Job { task_id: String::new(), ..v1::Job::from(&job) };
            return Ok(Response::new(v1::ExecuteResponse { job: Some(job), ..Default::default() }));
        }
        let executed = self.runner.execute(order, caller).await.map_err(|error| status::execute(&error))?;
        let job = v1::Job::from(executed.job.as_ref());
        Ok(Response::new(v1::ExecuteResponse {
            task_id: job.task_id.clone(),
            process_id: job.process_id,
            job: Some(job),
            callback_token: executed.callback_token,
            // Before the first revision, so that it comes as a change too.
            resume_token: ResumeToken { ledger: self.runner.ledger().id(), task: executed.job.id, revision: 0 }
                .to_text(),
        }))
    }

    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        let id = request::task_id(&request.get_ref().task_id).map_err(|violations| status::invalid(&violations))?;
        let (job, sample) = self.runner.status(id).await.map_err(|error| status::call(&error))?;
        let sample = sample.as_ref().map(v1::Sample::from);
        let asked = v1::ExecuteRequest::from(job.spec.as_ref());
        Ok(Response::new(v1::GetStatusResponse { job: Some(job.as_ref().into()), sample, request: Some(asked) }))
    }

    async fn callback(&self, request: Request<v1::CallbackRequest>) -> Result<Response<v1::CallbackResponse>, Status> {
        let caller = request.extensions().get::<Caller>().cloned();
        let request = request.into_inner();
        let id = request::task_id(&request.task_id).map_err(|violations| status::invalid(&violations))?;
        self.admit_callback(id, &request.callback_token, caller.as_ref())?;
        let report = request::report(&request).map_err(|violations| status::invalid(&violations))?;
        let Reported { job, applied } = self.runner.report(id, report).await.map_err(|error| status::call(&error))?;
        Ok(Response::new(v1::CallbackResponse {
            cancel_requested: job.cancel.is_some(),
            job: Some(job.as_ref().into()),
            applied,
        }))
    }

    type WatchJobStream = WatchStream;

    async fn watch_job(&self, request: Request<v1::WatchJobRequest>) -> Result<Response<WatchStream>, Status> {
        let request = request.into_inner();
        let invalid = |violations: Vec<Violation>| status::invalid(&violations);
        let id = request::task_id(&request.task_id).map_err(invalid)?;
        let until = request::until(request.until).map_err(invalid)?;
        let heartbeat = request::heartbeat(request.heartbeat_interval.as_ref()).map_err(invalid)?;
        let ledger = self.runner.ledger().id();
        let start = watch::start(&request, id, ledger).map_err(invalid)?;
        let permit = self.place()?;
        let watched = self.runner.watch(id).await.map_err(|error| status::call(&error))?;
        if watched.leaving.is_cancelled() {
            return Err(status::call(&CallError::Draining));
        }
        Ok(Response::new(watch::stream(
            watched,
            Plan { ledger, start, until, heartbeat, _watching: Watching::new(permit, "job") },
        )))
    }

    async fn list_jobs(&self, request: Request<v1::ListJobsRequest>) -> Result<Response<v1::ListJobsResponse>, Status> {
        let request = request.into_inner();
        let invalid = |violations: Vec<Violation>| status::invalid(&violations);
        let listing = request::lists::listing(&request).map_err(invalid)?;
        let ledger = self.runner.ledger();
        let page = list::page(listing, &request.page_token, &**ledger).map_err(invalid)?;
        let page = page.read(&**ledger).await;
        page.map(Response::new).map_err(|error| status::call(&CallError::Ledger(error)))
    }

    type ReadLogStream = LogStream;

    async fn read_log(&self, request: Request<v1::ReadLogRequest>) -> Result<Response<LogStream>, Status> {
        let reading = log::reading(request.get_ref()).map_err(|violations| status::invalid(&violations))?;
        let permit = self.place()?;
        let to_read = self.runner.read_log(reading.task_id).await.map_err(|error| status::call(&error))?;
        if to_read.leaving.is_cancelled() {
            return Err(status::call(&CallError::Draining));
        }
        Ok(Response::new(log::stream(to_read, reading, Watching::new(permit, "log"))))
    }

    type WatchJobsStream = WatchJobsStream;

    async fn watch_jobs(&self, request: Request<v1::WatchJobsRequest>) -> Result<Response<WatchJobsStream>, Status> {
        let request = request.into_inner();
        let invalid = |violations: Vec<Violation>| status::invalid(&violations);
        let watched = request::lists::many_watched(&request).map_err(invalid)?;
        let ledger = self.runner.ledger().id();
        let start = watch_jobs::start(&request.resume_token, &watched, ledger).map_err(invalid)?;
        let permit = self.place()?;
        if self.runner.leaving().is_cancelled() {
            return Err(status::call(&CallError::Draining));
        }
        Ok(Response::new(watch_jobs::stream(&self.runner, watched, start, Watching::new(permit, "jobs"))))
    }

    async fn get_runner(
        &self,
        request: Request<v1::GetRunnerRequest>,
    ) -> Result<Response<v1::GetRunnerResponse>, Status> {
        let watchers = self.watchers_max - self.watchers.available_permits();
        let scope = request.extensions().get::<Caller>().map(|caller| caller.scope);
        let scope = scope.map_or(v1::get_runner_response::Scope::Unspecified, Into::into);
        let about = convert::runner(self.runner.about(), watchers, self.watchers_max);
        Ok(Response::new(v1::GetRunnerResponse { scope: scope.into(), ..about }))
    }

    async fn cancel_job(
        &self,
        request: Request<v1::CancelJobRequest>,
    ) -> Result<Response<v1::CancelJobResponse>, Status> {
        let request = request.into_inner();
        let id = request::task_id(&request.task_id).map_err(|violations| status::invalid(&violations))?;
        let cancellation = request::cancellation(&request).map_err(|violations| status::invalid(&violations))?;
        let job = self.runner.cancel(id, cancellation).await.map_err(|error| status::call(&error))?;
        Ok(Response::new(v1::CancelJobResponse { job: Some(job.as_ref().into()) }))
    }

    async fn list_profiles(
        &self,
        request: Request<v1::ListProfilesRequest>,
    ) -> Result<Response<v1::ListProfilesResponse>, Status> {
        profiles::list(&self.runner, request.get_ref()).await.map(Response::new)
    }

    async fn remove_profile(
        &self,
        request: Request<v1::RemoveProfileRequest>,
    ) -> Result<Response<v1::RemoveProfileResponse>, Status> {
        profiles::remove(&self.runner, request.into_inner()).await.map(Response::new)
    }

    async fn capture_screenshot(
        &self,
        request: Request<v1::CaptureScreenshotRequest>,
    ) -> Result<Response<v1::CaptureScreenshotResponse>, Status> {
        let request = request.into_inner();
        let id = request::task_id(&request.task_id).map_err(|violations| status::invalid(&violations))?;
        let order = screenshot::order(&request).map_err(|violations| status::invalid(&violations))?;
        let taken = self.runner.capture(id, order).await.map_err(|error| status::capture(&error))?;
        Ok(Response::new(v1::CaptureScreenshotResponse { screenshot: Some(taken.into()) }))
    }

    async fn list_windows(
        &self,
        request: Request<v1::ListWindowsRequest>,
    ) -> Result<Response<v1::ListWindowsResponse>, Status> {
        let task = windows::whose(request.get_ref()).map_err(|violations| status::invalid(&violations))?;
        let found = self.runner.windows(task).await.map_err(|error| status::windows(&error))?;
        Ok(Response::new(windows::listed(found)))
    }

    async fn focus_window(
        &self,
        request: Request<v1::FocusWindowRequest>,
    ) -> Result<Response<v1::FocusWindowResponse>, Status> {
        let (task, window) = windows::which(request.get_ref()).map_err(|violations| status::invalid(&violations))?;
        let focus = self.runner.focus_window(task, window).await.map_err(|error| status::windows(&error))?;
        Ok(Response::new(focus.into()))
    }

    async fn tile_windows(
        &self,
        request: Request<v1::TileWindowsRequest>,
    ) -> Result<Response<v1::TileWindowsResponse>, Status> {
        let tasks = windows::tiled(request.get_ref()).map_err(|violations| status::invalid(&violations))?;
        let tiled = self.runner.tile_windows(&tasks).await.map_err(|error| status::windows(&error))?;
        Ok(Response::new(tiled.into()))
    }

    type ReadFileStream = FileStream;

    async fn read_file(&self, request: Request<v1::ReadFileRequest>) -> Result<Response<FileStream>, Status> {
        self.readers.read(&self.runner, request.get_ref()).await.map(Response::new)
    }
}
