//! The command line, as a person or a script runs it.

mod definitions;
mod list;
mod many;
mod own;
mod run;
mod serve;
mod terminal;
mod tty;
mod watch;

use std::{
    env,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use comet_task_runner::browser::{self, Kind};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use super::{
    processes::status_line,
    service::{SOON, Service},
};

/// The program without whatever the environment of the tests says to it.
pub(crate) fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_comet-task-runner"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    for name in ["STATE_DIR", "SERVER", "TOKEN_FILE", "RUN_DIR", "CONFIG", "LOG"] {
        command.env_remove(format!("COMET_TASK_RUNNER_{name}"));
    }
    command.env_remove("RUST_LOG").env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    command
}

/// The program against a service of a test.
pub(crate) fn on(service: &Service, args: &[&str]) -> Command {
    let mut command = program(args);
    command.arg("--state-dir").arg(service.state_dir());
    command
}

/// How a call ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Its lines as JSON.
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs a call to its end.
pub(crate) async fn ended(mut command: Command) -> Ended {
    let output = timeout(SOON, command.output()).await.expect("the call ends soon").unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A call that is under way.
struct Call {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    stderr: ChildStderr,
}

/// Signals that this process was started to ignore, as by `nohup` or behind an `&`, are heard from here on: what it starts
/// then has them as on a terminal.
fn heed_signals() {
    let ignored = status_line(std::process::id(), "SigIgn").unwrap();
    let ignored = u64::from_str_radix(&ignored, 16).unwrap();
    for kind in [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit()] {
        if ignored >> (kind.as_raw_value() - 1) & 1 == 1 {
            // The handler stays for good; an ignored signal, handled, is as good as ignored.
            drop(signal(kind).unwrap());
        }
    }
}

impl Call {
    fn start(mut command: Command) -> Self {
        heed_signals();
        Self::of(command.spawn().unwrap())
    }

    /// One that was started by hand.
    fn of(mut child: Child) -> Self {
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let stderr = child.stderr.take().unwrap();
        Self { child, lines, stderr }
    }

    /// Its next line; none when it says no more.
    async fn line(&mut self) -> Option<String> {
        timeout(SOON, self.lines.next_line()).await.expect("a line comes soon").unwrap()
    }

    /// Its next line with `text` in it.
    async fn line_with(&mut self, text: &str) -> String {
        loop {
            let line = self.line().await.unwrap_or_else(|| panic!("no line with {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Lets go of its output, as `head` does.
    fn stop_reading(self) -> (Child, ChildStderr) {
        (self.child, self.stderr)
    }

    /// The rest of its lines, and how it ends.
    async fn end(mut self) -> Ended {
        let mut stdout = String::new();
        while let Some(line) = self.line().await {
            stdout.push_str(&line);
            stdout.push('\n');
        }
        let (status, stderr) = end_of(self.child, self.stderr).await;
        Ended { code: status.code(), stdout, stderr }
    }
}

async fn end_of(mut child: Child, mut stderr: ChildStderr) -> (ExitStatus, String) {
    let status = timeout(SOON, child.wait()).await.expect("the call ends soon").unwrap();
    let mut text = String::new();
    timeout(Duration::from_secs(5), stderr.read_to_string(&mut text)).await.unwrap().unwrap();
    (status, text)
}

/// The status and the reason of each line for people.
fn states(lines: &str) -> Vec<(&str, &str)> {
    let words = |line| {
        let mut words = str::split_whitespace(line).skip(1);
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    };
    lines.lines().map(words).collect()
}

/// The name of a browser of this machine. Without one the test has nothing to run: it says so, and fails under CI.
pub(crate) fn real_browser() -> Option<String> {
    let found =
        browser::discover(&browser::LocalMachine, &[]).browsers.into_iter().find(|found| found.kind == Kind::Chromium);
    if found.is_none() {
        assert!(env::var_os("CI").is_none(), "there is no browser; tests/install.sh all installs one");
        eprintln!("not run: there is no browser; tests/install.sh all installs one");
    }
    found.map(|found| found.name)
}
