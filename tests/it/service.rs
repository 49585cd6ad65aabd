//! The built service as a process of its own, as its users run it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use comet_task_runner::{
    api::v1::{self, task_runner_client::TaskRunnerClient, watch_job_response::Kind},
    process::RunDirs,
};
use tonic::{
    Request, Status, Streaming,
    metadata::MetadataValue,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};

use super::stub::stub_browser;

/// Longest wait for anything that is said to happen at once: many times what a busy machine needs.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Longest wait for the end of a stream, heartbeats or not: a stream that never ends fails its test.
pub(crate) const AT_LENGTH: Duration = Duration::from_secs(60);

/// A client that shows its token.
pub(crate) type Client = TaskRunnerClient<InterceptedService<Channel, Bearer>>;

/// Shows a token with every call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<tonic::metadata::Ascii>);

impl Bearer {
    pub(crate) fn of(token: &str) -> Self {
        Self(format!("Bearer {token}").parse().unwrap())
    }
}

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// How a service is started.
#[derive(Clone, Default)]
pub(crate) struct Options {
    /// Arguments after the ones that every test needs.
    pub(crate) args: Vec<String>,
    /// Variables added to the environment; without a value, taken from it.
    pub(crate) env: Vec<(String, Option<String>)>,
    /// Without the stub browser, so that the machine's own are found first.
    pub(crate) real_browser: bool,
    /// A program and its arguments that run the service, as `setpriv` does.
    pub(crate) through: Vec<String>,
    /// What it reads from; else nothing.
    pub(crate) stdin: Option<Arc<OwnedFd>>,
}

impl Options {
    pub(crate) fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    /// A real browser, without a window unless `DISPLAY` is set by [`Options::env`].
    pub(crate) fn chromium() -> Self {
        let root = rustix::process::geteuid().is_root();
        let options = Self { real_browser: true, ..Self::default() };
        if root { options.arg("--no-sandbox") } else { options }
    }
}

/// A running service with a state directory of its own. Dropped, it and all that it started are gone.
pub(crate) struct Service {
    options: Options,
    child: Child,
    stderr: mpsc::Receiver<String>,
    pub(crate) address: String,
    /// A link that opens the page, once.
    pub(crate) link: String,
    /// State and run directories; short, for the sockets in it.
    home: tempfile::TempDir,
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::start_with(Options::default())
    }

    pub(crate) fn start_with(options: Options) -> Self {
        let home = tempfile::Builder::new().prefix("ct").tempdir_in("/tmp").unwrap();
        fs::create_dir(home.path().join("r")).unwrap();
        Self::start_in(home, options)
    }

    /// In a directory that the test has made ready, with an empty `r` in it.
    pub(crate) fn start_in(home: tempfile::TempDir, options: Options) -> Self {
        let (child, [address, link], stderr) = launch(&options, home.path());
        Self { options, child, stderr, address, link, home }
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.home.path().join("s")
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The files of a job that would outlive the machine.
    pub(crate) fn kept_files(&self, task_id: &str) -> Vec<PathBuf> {
        let kept = fs::read_dir(self.state_dir().join("jobs")).unwrap().flatten();
        kept.filter(|file| file.file_name().to_string_lossy().starts_with(task_id)).map(|file| file.path()).collect()
    }

    pub(crate) fn run_base(&self) -> PathBuf {
        self.home.path().join("r")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn token(&self) -> String {
        fs::read_to_string(self.state_dir().join("token")).unwrap().trim().to_owned()
    }

    /// A client on a connection of its own.
    pub(crate) async fn client(&self) -> Client {
        self.client_with(&self.token()).await
    }

    pub(crate) async fn client_with(&self, token: &str) -> Client {
        TaskRunnerClient::with_interceptor(self.channel().await, Bearer::of(token))
    }

    pub(crate) async fn channel(&self) -> Channel {
        Endpoint::from_shared(self.address.clone()).unwrap().connect().await.unwrap()
    }

    /// The signal that cannot be handled, as a crash or the kernel would send it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same state, on another port.
    pub(crate) fn restart(&mut self) {
        let (child, [address, link], stderr) = launch(&self.options, self.home.path());
        (self.child, self.address, self.link, self.stderr) = (child, address, link, stderr);
    }

    /// Starts it again as another call of it would.
    pub(crate) fn restart_with(&mut self, options: Options) {
        self.options = options;
        self.restart();
    }

    /// Asks it to leave, and waits until it has. Blocks: a client must be able to answer from another thread, else the
    /// service waits for it as long as it drains.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    /// Asks it to leave beside the runtime, so that its clients can answer, and gives all that it wrote to its log.
    pub(crate) async fn left(mut self) -> String {
        let leaving = move || {
            self.terminate();
            self.log_to_end()
        };
        tokio::task::spawn_blocking(leaving).await.unwrap()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// What it has written to its log so far.
    pub(crate) fn log(&self) -> String {
        self.stderr.try_iter().collect::<Vec<_>>().join("\n")
    }

    /// Reads its log up to a line with these words, and gives all that was read.
    pub(crate) fn log_until(&self, words: &str) -> String {
        let deadline = Instant::now() + SOON;
        let mut read = Vec::new();
        loop {
            let Ok(line) = self.stderr.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
                panic!("the log does not say {words:?}:\n{}", read.join("\n"));
            };
            read.push(line);
            if read.last().is_some_and(|line| line.contains(words)) {
                return read.join("\n");
            }
        }
    }

    /// All that it wrote to its log, once it has left.
    pub(crate) fn log_to_end(&self) -> String {
        self.stderr.iter().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Not asked to leave: whatever state a failed test left it in, it must end.
        let _ = self.child.kill();
        let _ = self.child.wait();
        end_all(&self.run_base(), &self.state_dir());
        if thread::panicking() {
            eprintln!("the service's log:\n{}", self.log());
        }
    }
}

/// Ends every job that a service left below `run_base`, and removes what is left of it.
pub(crate) fn end_all(run_base: &Path, state_dir: &Path) {
    for run in fs::read_dir(run_base).unwrap().flatten() {
        let name = run.file_name().into_string().unwrap();
        let Some(ledger) = name.strip_prefix("ctr-") else { continue };
        end_shims(&run.path());
        // Refused where the service ran as another user: then its test has to end it well.
        let Ok(dirs) = RunDirs::prepare_under(run_base, state_dir, ledger) else { continue };
        for place in dirs.places().unwrap() {
            let _ = place.wipe();
        }
        dirs.release();
    }
}

/// Ends each shim that still runs; the kernel ends its browser with it.
fn end_shims(run: &Path) {
    for job in fs::read_dir(run).unwrap().flatten() {
        let Ok(id) = fs::read(job.path().join("id")) else { continue };
        let Ok(id) = serde_json::from_slice::<serde_json::Value>(&id) else { continue };
        let pid = find_number(&id, "pid").and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

fn find_number(value: &serde_json::Value, name: &str) -> Option<u64> {
    match value {
        serde_json::Value::Object(fields) => fields
            .get(name)
            .and_then(serde_json::Value::as_u64)
            .or_else(|| fields.values().find_map(|field| find_number(field, name))),
        _ => None,
    }
}

/// The arguments and environment that every test's service has.
pub(crate) fn command(options: &Options, home: &Path) -> Command {
    let mut command = match options.through.split_first() {
        None => Command::new(env!("CARGO_BIN_EXE_comet-task-runner")),
        Some((program, args)) => {
            let mut command = Command::new(program);
            command.args(args).arg(env!("CARGO_BIN_EXE_comet-task-runner"));
            command
        }
    };
    command.args(["serve", "--state-dir"]).arg(home.join("s"));
    if !options.args.iter().any(|arg| arg == "--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    if !options.real_browser {
        command.arg("--browser").arg(format!("stub={},exit-only", stub_browser().display()));
    }
    command.args(&options.args);
    command.env("COMET_TASK_RUNNER_RUN_DIR", home.join("r")).env("RUST_LOG", "debug,h2=info,hyper=info,tower=info");
    // A display is something that a test asks for.
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    for (name, value) in &options.env {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let stdin = options.stdin.as_ref().map_or_else(Stdio::null, |fd| fd.try_clone().unwrap().into());
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn launch(options: &Options, home: &Path) -> (Child, [String; 2], mpsc::Receiver<String>) {
    let mut child = command(options, home).spawn().unwrap();
    let log = read_lines(child.stderr.take().unwrap());
    let stdout = read_lines(child.stdout.take().unwrap());
    let Ok(line) = stdout.recv_timeout(SOON) else {
        let status = child.wait().unwrap();
        panic!("the service did not start ({status}):\n{}", log.iter().collect::<Vec<_>>().join("\n"));
    };
    let address = line.strip_prefix("listening on ").expect("the first line names the address").to_owned();
    let line = stdout.recv_timeout(SOON).expect("a second line comes at once");
    let link = line.strip_prefix("page: ").expect("the second line opens the page").to_owned();
    (child, [address, link], log)
}

/// Reads lines in a thread that ends with the pipe.
fn read_lines(pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (lines, received) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Whoever listened may be gone; the pipe must be emptied all the same.
            let _ = lines.send(line);
        }
    });
    received
}

/// A URL that the stub browser acts on.
pub(crate) fn stub_url(path: &str) -> String {
    format!("http://stub.test{path}")
}

pub(crate) fn execute(url: &str) -> v1::ExecuteRequest {
    v1::ExecuteRequest { url: url.to_owned(), ..v1::ExecuteRequest::default() }
}

pub(crate) fn watch(task_id: &str) -> v1::WatchJobRequest {
    v1::WatchJobRequest { task_id: task_id.to_owned(), ..v1::WatchJobRequest::default() }
}

/// The next message of a stream, within [`SOON`].
pub(crate) async fn next(stream: &mut Streaming<v1::WatchJobResponse>) -> Result<Option<v1::WatchJobResponse>, Status> {
    tokio::time::timeout(SOON, stream.message()).await.expect("a message comes soon")
}

/// The next message with a job in it.
pub(crate) async fn next_job(stream: &mut Streaming<v1::WatchJobResponse>) -> v1::Job {
    loop {
        let message = next(stream).await.unwrap().expect("the stream goes on");
        if matches!(message.kind(), Kind::Snapshot | Kind::Change) {
            return message.job.unwrap();
        }
    }
}

/// Follows a stream to its OK, within [`AT_LENGTH`], and gives every message.
pub(crate) async fn to_end(stream: &mut Streaming<v1::WatchJobResponse>) -> Vec<v1::WatchJobResponse> {
    let mut messages = Vec::new();
    let reading = async {
        while let Some(message) = stream.message().await.unwrap() {
            messages.push(message);
        }
    };
    tokio::time::timeout(AT_LENGTH, reading).await.expect("the stream comes to its end");
    messages
}

/// Watches a job until it satisfies `wanted`, however many changes that takes.
pub(crate) async fn job_when(client: &mut Client, task_id: &str, wanted: impl Fn(&v1::Job) -> bool) -> v1::Job {
    let request = v1::WatchJobRequest { until: v1::watch_job_request::Until::ProcessExited.into(), ..watch(task_id) };
    let mut stream = client.watch_job(request).await.unwrap().into_inner();
    let waiting = async {
        loop {
            let job = next_job(&mut stream).await;
            if wanted(&job) {
                return job;
            }
        }
    };
    tokio::time::timeout(AT_LENGTH, waiting).await.expect("the job becomes as wanted")
}

/// The job at its end.
pub(crate) async fn ended(client: &mut Client, task_id: &str) -> v1::Job {
    let mut stream = client.watch_job(watch(task_id)).await.unwrap().into_inner();
    let messages = to_end(&mut stream).await;
    let last = messages.last().expect("a stream has a last message");
    assert!(last.r#final);
    last.job.clone().unwrap()
}

/// Blocks until something is so. For what has no event to wait for: files and processes that others remove.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} does not come true");
        thread::sleep(Duration::from_millis(10));
    }
}
