//! A client of the service for other Rust programs, and for the command line: finds it, carries the token, tries again
//! while it restarts, and goes on with a stream that was cut.
//!
//! ```no_run
//! use comet_task_runner::{
//!     api::v1::ExecuteRequest,
//!     client::{Runner, Target},
//! };
//!
//! # async fn example() -> Result<(), comet_task_runner::client::Error> {
//! // The service that runs for this user on this machine; `Target::at` names one elsewhere.
//! let runner = Runner::connect(Target::local()?).await?;
//!
//! let request = ExecuteRequest { url: "https://example.org/".to_owned(), ..ExecuteRequest::default() };
//! let mut run = runner.run(request).await?;
//! while let Some(job) = run.next_job().await? {
//!     println!("{} {} {}", job.status().as_str_name(), job.reason().as_str_name(), job.message);
//! }
//! let job = run.finish().await?;
//! println!("{} after {} changes", job.status().as_str_name(), job.revision);
//! # Ok(())
//! # }
//! ```
//!
//! * Each change of a job comes once and in order, whatever happens to connections and to the service meanwhile. What
//!   cannot be told without a gap (the store was put back) says so: `reset`.
//! * Whatever is tried again does no harm when it comes twice: an Execute has a `request_id`, made here if the caller
//!   gave none.
//! * Trying again ends after [`RETRY_FOR`] without a word from the service, or what [`Runner::retry_for`] says. A
//!   refusal by the service itself is not tried again, unless it is UNAVAILABLE: it is about to leave, or its disk is
//!   full for now. [`Error::reason`] tells its reason.
//! * Every method may be dropped while it waits. Dropping a watch or a run cancels nothing.
//! * All calls of a [`Runner`] and of its clones share one HTTP/2 connection, on which a service serves 256 streams at
//!   once. Who watches more jobs than that takes [`Runner::watch_jobs`], which has them all on one stream.

mod error;
mod link;
mod log;
mod patience;
mod reopened;
mod run;
mod target;
mod tls;
mod watch;
mod watch_jobs;

use std::time::Duration;

use tokio::time::Instant;
use tonic::{Response, Status};
use uuid::Uuid;

pub use error::{Error, Refused};
pub use log::Log;
pub use run::Run;
pub use target::{Bearer, Client, Target, Token};
pub use watch::Watch;
pub use watch_jobs::WatchJobs;

use self::{link::Link, patience::Patience};
use crate::api::v1::{
    CallbackRequest, CallbackResponse, CancelJobRequest, CancelJobResponse, ExecuteRequest, ExecuteResponse,
    GetRunnerRequest, GetRunnerResponse, GetStatusRequest, GetStatusResponse, ListJobsRequest, ListJobsResponse,
    ReadLogRequest, WatchJobRequest, WatchJobsRequest,
};

/// How long the service may be silent before a call or a stream is given up, unless the caller says otherwise: longer
/// than a restart of it, or of its machine.
pub const RETRY_FOR: Duration = Duration::from_secs(120);

/// A service that was found. Clones share its connection.
#[derive(Clone, Debug)]
pub struct Runner {
    link: Link,
    retry_for: Duration,
}

impl Runner {
    /// Connects to a service that says that it is well.
    ///
    /// # Errors
    /// [`Error::Away`] when there is none; it is not waited for.
    pub async fn connect(target: Target) -> Result<Self, Error> {
        let link = Link::new(target);
        link.client().await?;
        Ok(Self { link, retry_for: RETRY_FOR })
    }

    /// Bounds how long a call or a stream is tried again while the service is away; zero means without limit.
    #[must_use]
    pub fn retry_for(self, retry_for: Duration) -> Self {
        Self { retry_for, ..self }
    }

    /// There is a connection. False while the service is away, and what waits for it is tried again.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.link.is_up()
    }

    /// What the service is, how busy it is, and what its caller may do.
    ///
    /// # Errors
    /// When the service refuses, or is away for too long.
    pub async fn about(&self) -> Result<GetRunnerResponse, Error> {
        self.insist(|mut client| async move { client.get_runner(GetRunnerRequest {}).await }).await
    }

    /// The calls of the contract as they are, each made once, for what has no method here.
    ///
    /// # Errors
    /// [`Error::Away`] when the connection was cut and there is no service to make another one to.
    pub async fn calls(&self) -> Result<Client, Error> {
        Ok(self.link.client().await?.0)
    }

    /// Opens a URL as a task, once, however often that has to be said.
    ///
    /// # Errors
    /// [`Error::Refused`] means that no task was made, if it has a reason; otherwise one may have been.
    pub async fn execute(&self, mut request: ExecuteRequest) -> Result<ExecuteResponse, Error> {
        if request.request_id.is_empty() {
            request.request_id = Uuid::new_v4().to_string();
        }
        self.insist(|mut client| {
            let request = request.clone();
            async move { client.execute(request).await }
        })
        .await
    }

    /// Opens a URL as a task and follows it from its first change to its end.
    ///
    /// # Errors
    /// As [`Runner::execute`].
    pub async fn run(&self, request: ExecuteRequest) -> Result<Run, Error> {
        let made = self.execute(request).await?;
        Ok(Run::new(self.clone(), made))
    }

    /// Follows one task: from how it stands, or `from_start`, or behind a `resume_token`.
    #[must_use]
    pub fn watch(&self, request: WatchJobRequest) -> Watch {
        Watch::new(self.link.clone(), self.patience(), request)
    }

    /// Follows many tasks on one stream, without an end.
    #[must_use]
    pub fn watch_jobs(&self, request: WatchJobsRequest) -> WatchJobs {
        WatchJobs::new(self.link.clone(), self.patience(), request)
    }

    /// Reads what a task's browser said: to the end of what there is, or with `follow` as it comes.
    #[must_use]
    pub fn read_log(&self, request: ReadLogRequest) -> Log {
        Log::new(self.link.clone(), self.patience(), request)
    }

    /// How a task stands, and what was asked.
    ///
    /// # Errors
    /// With the reason TASK_NOT_FOUND for one that never was, or is forgotten.
    pub async fn status(&self, task_id: &str) -> Result<GetStatusResponse, Error> {
        let request = GetStatusRequest { task_id: task_id.to_owned() };
        self.insist(|mut client| {
            let request = request.clone();
            async move { client.get_status(request).await }
        })
        .await
    }

    /// Asks to end a task. It has ended when its watch says so.
    ///
    /// # Errors
    /// With the reason TASK_NOT_FOUND for one that never was, or is forgotten.
    pub async fn cancel(&self, request: CancelJobRequest) -> Result<CancelJobResponse, Error> {
        self.insist(|mut client| {
            let request = request.clone();
            async move { client.cancel_job(request).await }
        })
        .await
    }

    /// Reports how a task goes, on its page's behalf.
    ///
    /// # Errors
    /// With the reasons of Callback.
    pub async fn report(&self, request: CallbackRequest) -> Result<CallbackResponse, Error> {
        self.insist(|mut client| {
            let request = request.clone();
            async move { client.callback(request).await }
        })
        .await
    }

    /// One page of the tasks that there are; its `next_page_token` asks for the next.
    ///
    /// # Errors
    /// With the reasons of ListJobs.
    pub async fn list(&self, request: ListJobsRequest) -> Result<ListJobsResponse, Error> {
        self.insist(|mut client| {
            let request = request.clone();
            async move { client.list_jobs(request).await }
        })
        .await
    }

    /// Makes one call until it goes through. Only for calls that do no harm when they come twice.
    async fn insist<T, F>(&self, call: impl Fn(Client) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut patience = self.patience();
        loop {
            let error = match self.link.client().await {
                Ok((client, generation)) => match call(client).await {
                    Ok(answer) => return Ok(answer.into_inner()),
                    Err(status) => {
                        let error = Error::from(status);
                        if error.ends_connection() {
                            self.link.leave(generation);
                        }
                        error
                    }
                },
                Err(error) => error,
            };
            patience.failed(error, Instant::now())?;
            patience.wait().await;
        }
    }

    fn patience(&self) -> Patience {
        Patience::new(self.retry_for)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_waits_can_be_spawned() {
        fn is_send<T: Send>(_: impl FnOnce(Runner) -> T) {}
        is_send(async |runner: Runner| runner.run(ExecuteRequest::default()).await.is_ok());
        is_send(async |runner: Runner| runner.watch(WatchJobRequest::default()).finish().await.is_ok());
        is_send(async |runner: Runner| runner.watch_jobs(WatchJobsRequest::default()).next().await.is_ok());
        is_send(async |runner: Runner| runner.read_log(ReadLogRequest::default()).next().await.is_ok());
        is_send(|runner: Runner| runner.watch(WatchJobRequest::default()).into_stream());
    }

    #[test]
    fn a_token_is_never_part_of_what_is_logged() {
        let target = Target::at("http://127.0.0.1:1", "secret");
        assert!(!format!("{target:?}").contains("secret"), "{target:?}");
    }
}
