//! One of the two servers under comparison, as a process of its own, and the client that drives either.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use comet_task_runner::api::v1::{
    CancelJobRequest, ExecuteRequest, ExecuteResponse, ListJobsRequest, ListJobsResponse, WatchJobRequest,
    WatchJobResponse, WatchJobsRequest, WatchJobsResponse, task_runner_client::TaskRunnerClient,
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
    time::{ClockId, Timespec, clock_gettime},
};
use tonic::{
    Request, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{
    cgroup::Cgroup,
    places::Places,
    stub::{Behaviour, Stub},
};

/// Jobs that may run at once: more than any figure starts.
const SLOTS: &str = "512";
/// How long a server may take to listen, or to leave: above the service's own drain of 10 s.
const PATIENCE: Duration = Duration::from_secs(15);

/// Which server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The service.
    Ours,
    /// The floor.
    Floor,
}

/// A running server. Dropping it ends it.
pub(crate) struct Side {
    /// Which one.
    pub(crate) kind: Kind,
    address: String,
    token: MetadataValue<Ascii>,
    state: PathBuf,
    child: Child,
    /// Where it and everything that it starts is accounted, if the machine allows it.
    pub(crate) cgroup: Option<Cgroup>,
}

/// A client with a connection of its own.
#[derive(Clone)]
pub(crate) struct Client(TaskRunnerClient<InterceptedService<Channel, Bearer>>);

/// Adds the API token; the floor reads over it.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Side {
    /// Starts a server with an empty store and waits until it listens.
    pub(crate) fn start(kind: Kind, places: &Places, stub: &Stub) -> Result<Self> {
        Self::start_with(kind, places, stub, &[])
    }

    /// The same, with further arguments for the service.
    pub(crate) fn start_with(kind: Kind, places: &Places, stub: &Stub, further: &[&str]) -> Result<Self> {
        let state = places.fresh_state()?;
        let mut arguments: Vec<std::ffi::OsString> = Vec::new();
        let program = match kind {
            Kind::Ours => {
                let mut browser = std::ffi::OsString::from("stub=");
                browser.push(&stub.program);
                browser.push(",exit-only");
                for word in
                    ["serve", "--listen", "127.0.0.1:0", "--slots", SLOTS, "--launches-max", SLOTS, "--state-dir"]
                {
                    arguments.push(word.into());
                }
                arguments.extend([state.clone().into(), "--browser".into(), browser]);
                arguments.extend(further.iter().map(Into::into));
                Path::new(env!("CARGO_BIN_EXE_comet-task-runner")).to_owned()
            }
            Kind::Floor => {
                arguments.extend([crate::FLOOR.into(), state.clone().into(), stub.program.clone().into()]);
                std::env::current_exe()?
            }
        };

        let cgroup = Cgroup::make();
        let mut command = Cgroup::command_inside(cgroup.as_ref(), &program);
        command.args(arguments).env("RUST_LOG", "warn").stdin(Stdio::piped()).stdout(Stdio::piped());
        places.set_run_directory(&mut command);
        let mut child = command.spawn().with_context(|| format!("{} cannot be started", program.display()))?;
        let output = child.stdout.take().context("no standard output")?;
        let token = MetadataValue::from_static("none");
        let mut side = Self { kind, address: String::new(), token, state, child, cgroup };

        let mut line = String::new();
        ensure!(readable(&output), "{} did not listen within {PATIENCE:?}", program.display());
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ");
        address.with_context(|| format!("{} said {line:?}", program.display()))?.clone_into(&mut side.address);
        if kind == Kind::Ours {
            let token = std::fs::read_to_string(side.state.join("token"))?;
            side.token = format!("Bearer {}", token.trim()).parse()?;
        }
        Ok(side)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps what it remembers.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// The page's address, with a code that lets one browser in.
    pub(crate) fn page_link(&self) -> Result<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_comet-task-runner"));
        let output = command.args(["token", "--link", "--state-dir"]).arg(&self.state).output()?;
        ensure!(output.status.success(), "no link: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Opens one more connection.
    pub(crate) async fn connect(&self) -> Result<Client> {
        let channel = Endpoint::from_shared(self.address.clone())?.tcp_nodelay(true).connect().await?;
        Ok(Client(TaskRunnerClient::with_interceptor(channel, Bearer(self.token.clone()))))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // Refused only when it is gone already; then there is nothing to wait for.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        if let Ok(process) = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())
            && !readable(&process)
        {
            eprintln!("a server did not leave within {PATIENCE:?} and is killed");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn readable(file: &impl std::os::fd::AsFd) -> bool {
    let patience = Timespec::try_from(PATIENCE).ok();
    poll(&mut [PollFd::new(file, PollFlags::IN)], patience.as_ref()).is_ok_and(|ready| ready > 0)
}

impl Client {
    /// Starts a job.
    pub(crate) async fn execute(&mut self, behaviour: &Behaviour, slot: Option<u64>) -> Result<ExecuteResponse> {
        let request =
            ExecuteRequest { url: behaviour.url(slot), browser: "stub".to_owned(), ..ExecuteRequest::default() };
        self.open(request).await
    }

    /// Opens a page as a task.
    pub(crate) async fn open(&mut self, request: ExecuteRequest) -> Result<ExecuteResponse> {
        Ok(self.0.execute(request).await?.into_inner())
    }

    /// Opens a stream of one job's changes.
    pub(crate) async fn watch(&mut self, task_id: &str) -> Result<Streaming<WatchJobResponse>> {
        let request = WatchJobRequest { task_id: task_id.to_owned(), ..WatchJobRequest::default() };
        Ok(self.0.watch_job(request).await?.into_inner())
    }

    /// Asks for one page of jobs.
    pub(crate) async fn list(&mut self, request: ListJobsRequest) -> Result<ListJobsResponse> {
        Ok(self.0.list_jobs(request).await?.into_inner())
    }

    /// Opens a stream of the changes of many jobs.
    pub(crate) async fn watch_jobs(&mut self, request: WatchJobsRequest) -> Result<Streaming<WatchJobsResponse>> {
        Ok(self.0.watch_jobs(request).await?.into_inner())
    }

    /// Ends a job at once.
    pub(crate) async fn cancel(&mut self, task_id: &str) -> Result<()> {
        let request = CancelJobRequest { task_id: task_id.to_owned(), force: true, ..CancelJobRequest::default() };
        self.0.cancel_job(request).await?;
        Ok(())
    }
}

/// How a watch told the end of a job.
pub(crate) struct End {
    /// When the message was there, in nanoseconds of `CLOCK_MONOTONIC`.
    pub(crate) seen_ns: u64,
    /// It came as a change after others, not with the snapshot.
    pub(crate) pushed: bool,
    /// It is the intended end.
    pub(crate) done_well: bool,
}

/// Reads a watch to its end, which has to be an orderly one.
pub(crate) async fn end_of(mut watch: Streaming<WatchJobResponse>) -> Result<End> {
    use comet_task_runner::api::v1::{job::Status::Done, watch_job_response::Kind::Change};

    let mut end = None;
    while let Some(message) = watch.message().await? {
        let seen_ns = now_ns();
        if let Some(job) = message.job.as_ref().filter(|job| job.done && end.is_none()) {
            let (pushed, done_well) = (message.kind() == Change, job.status() == Done);
            end = Some(End { seen_ns, pushed, done_well });
        }
    }
    end.context("a watch ended before its job")
}

/// The clock that the stub uses too.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(Duration::try_from(now).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}
