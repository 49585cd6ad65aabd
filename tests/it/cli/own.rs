//! `run` with a service of its own: it lives in the call and leaves nothing behind.

use std::{fs, path::Path, process::Stdio};

use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use super::super::{
    service::{end_all, stub_url},
    stub::stub_browser,
};
use super::{Call, Ended, ended, program, real_browser, states};

/// Where a service of its own puts what it makes; empty before and after.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = tempfile::Builder::new().prefix("ct").tempdir_in("/tmp").unwrap();
        for dir in ["s", "r", "t"] {
            fs::create_dir(home.path().join(dir)).unwrap();
        }
        Self(home)
    }

    fn dir(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// `run` where no service runs, with a browser brought along.
    fn run(&self, url: &str, args: &[&str]) -> Command {
        let mut command = program(&["run", url, "--state-dir"]);
        command.arg(self.dir("s")).args(args);
        command.arg("--browser").arg(format!("stub={},exit-only", stub_browser().display()));
        command.env("COMET_TASK_RUNNER_RUN_DIR", self.dir("r")).env("TMPDIR", self.dir("t"));
        command
    }

    fn assert_empty(&self) {
        for name in ["s", "r", "t"] {
            let left: Vec<_> = fs::read_dir(self.dir(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
            assert!(left.is_empty(), "left behind: {left:?}");
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Only a failed test leaves something to end.
        end_all(&self.dir("r"), &self.dir("s"));
    }
}

/// The process of a job that was printed as JSON is gone.
fn assert_gone(end: &Ended) {
    let pid = end.json().last().unwrap()["job"]["processId"].as_u64().unwrap();
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "process {pid} lives on");
}

#[tokio::test]
async fn a_service_of_its_own_leaves_nothing_behind() {
    let home = Home::new();
    for (path, code) in [("/exit/0", 0), ("/exit/7", 1), ("/double-fork?file=/dev/null", 4)] {
        let end = ended(home.run(&stub_url(path), &["--json", "--timeout-run", "500ms"])).await;
        assert_eq!(end.code, Some(code), "{path}: {end:?}");
        assert_gone(&end);
        home.assert_empty();
    }
}

#[tokio::test]
async fn several_share_a_service_of_their_own_and_leave_nothing_behind() {
    let home = Home::new();
    let (second, third) = (stub_url("/exit/7"), stub_url("/sleep"));
    let end = ended(home.run(&stub_url("/exit/0"), &[&second, &third, "--timeout-run", "500ms"])).await;
    assert_eq!(end.code, Some(4), "{end:?}");
    assert!(end.stdout.contains("3 tasks in ") && end.stdout.contains(": 1 DONE, 1 FAILED, 1 TIMED_OUT"), "{end:?}");
    home.assert_empty();
}

#[tokio::test]
async fn ctrl_c_cancels_and_still_leaves_nothing_behind() {
    let home = Home::new();
    let mut run = Call::start(home.run(&stub_url("/ignore-term"), &["--grace", "5m"]));
    run.line_with("RUNNING").await;
    run.signal(Signal::INT);
    run.line_with("STOPPING").await;
    run.signal(Signal::TERM);
    let end = run.end().await;
    assert_eq!(end.code, Some(4), "{end:?}");
    assert_eq!(states(&end.stdout).last(), Some(&("CANCELLED", "CANCEL_REQUESTED")));
    home.assert_empty();
}

#[tokio::test]
async fn a_closed_terminal_ends_the_task_too_unless_it_was_told_not_to() {
    let home = Home::new();
    let mut run = Call::start(home.run(&stub_url("/sleep"), &[]));
    run.line_with("RUNNING").await;
    run.signal(Signal::HUP);
    let end = run.end().await;
    assert_eq!(end.code, Some(4), "{end:?}");
    assert_eq!(states(&end.stdout).last(), Some(&("CANCELLED", "CANCEL_REQUESTED")));
    home.assert_empty();

    let run = home.run(&stub_url("/sleep"), &["--timeout-run", "2s"]);
    let mut nohup = Command::new("nohup");
    nohup.arg(run.as_std().get_program()).args(run.as_std().get_args()).kill_on_drop(true);
    nohup.envs(run.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    nohup.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = Call::start(nohup);
    run.line_with("RUNNING").await;
    run.signal(Signal::HUP);
    let end = run.end().await;
    assert_eq!(states(&end.stdout).last(), Some(&("TIMED_OUT", "RUN_TIMEOUT")), "{end:?}");
    home.assert_empty();
}

/// The address of a page that stays open.
async fn lasting_page() -> String {
    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\nconnection: close\r\n\r\nstay";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            // A browser may open a connection and say nothing; then there is nothing to answer.
            if stream.read(&mut request).await.is_ok_and(|length| length > 0) {
                let _ = stream.write_all(ANSWER).await;
            }
        }
    });
    format!("http://{address}/")
}

#[tokio::test]
async fn a_reader_that_leaves_ends_the_task_too() {
    let Some(browser) = real_browser() else { return };
    let home = Home::new();
    let mut run = program(&["run", &lasting_page().await, "--json", "--browser", &browser, "--state-dir"]);
    run.arg(home.dir("s")).env("COMET_TASK_RUNNER_RUN_DIR", home.dir("r")).env("TMPDIR", home.dir("t"));
    if rustix::process::geteuid().is_root() {
        run.arg("--no-sandbox");
    }
    let mut run = Call::start(run);
    run.line().await.unwrap();
    // Its next change meets a closed pipe, while the page would stay open for ever.
    let (child, stderr) = run.stop_reading();
    let (status, words) = super::end_of(child, stderr).await;
    assert_eq!((status.code(), words.as_str()), (Some(141), ""));
    home.assert_empty();
}

#[tokio::test]
async fn what_only_a_lasting_service_can_keep_is_refused() {
    let home = Home::new();
    for args in [&["--profile", "me"][..], &["--after-finish", "keep-open"]] {
        let end = ended(home.run(&stub_url("/exit/0"), args)).await;
        assert_eq!(end.code, Some(2), "{end:?}");
        assert!(end.stderr.contains(args[0]) && end.stderr.contains("serve"), "{end:?}");
        home.assert_empty();
    }
}

#[tokio::test]
async fn a_refused_request_leaves_nothing_behind() {
    let home = Home::new();
    let end = ended(home.run("file:///etc/passwd", &[])).await;
    assert_eq!(end.code, Some(2), "{end:?}");
    assert!(end.stderr.contains("url"), "{end:?}");
    home.assert_empty();
}
