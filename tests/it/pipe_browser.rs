//! A real browser on a pipe, driven by a session: the smallest transport that can be.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use comet_task_runner::browser::{
    self, Browser, DownloadPlan, Fact, Family, LaunchPlan, LocalMachine, PagePlan, Saved, Session, discover,
};
use comet_task_runner::job::DialogPolicy;
use tempfile::TempDir;

/// Longest wait for anything: far above what a loaded machine takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// The token of every test's task.
pub(crate) const TOKEN: &str = "c2VjcmV0-token";

/// How much every test's task may download.
pub(crate) const DOWNLOADS_BYTES_MAX: u64 = 100_000;

/// The Chromium of this machine; none, with a word about it, where there is none. On a build server that is a failure.
pub(crate) fn chromium() -> Option<Browser> {
    let found = discover(&LocalMachine, &[]);
    let chromium = found.browsers.into_iter().find(|browser| {
        matches!(browser.family, Family::Chromium | Family::Chrome | Family::Edge | Family::Brave | Family::Comet)
    });
    if chromium.is_none() {
        missing("a browser of the Chromium family");
    }
    chromium
}

/// Whether a program is on the `PATH`; says so where it is not.
pub(crate) fn has_program(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    if !found {
        missing(program);
    }
    found
}

fn missing(what: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    assert!(std::env::var_os("CI").is_none(), "{what} is missing, and a build server has to run every test");
    eprintln!("NOT RUN: {test}: {what} is missing");
}

/// A browser and the session that drives it. Dropping it ends all its processes.
pub(crate) struct Driven {
    child: Child,
    to_browser: Option<ChildStdin>,
    messages: Receiver<Vec<u8>>,
    reader: Option<JoinHandle<()>>,
    session: Session,
    plan: PagePlan,
    attaches: u32,
    facts: VecDeque<Fact>,
    /// What would be written beside the job.
    pub(crate) saved: Option<Saved>,
    dir: TempDir,
}

impl Driven {
    /// Starts a headless browser and opens a page that may report from its own origin.
    pub(crate) fn headless(browser: &Browser, url: &str) -> Self {
        Self::planned(browser, url, None, |_| {})
    }

    /// The same in a window on a display.
    pub(crate) fn windowed(browser: &Browser, url: &str, display: &str) -> Self {
        Self::planned(browser, url, Some(display), |_| {})
    }

    /// The same with another plan, on a display or without one.
    pub(crate) fn planned(
        browser: &Browser,
        url: &str,
        display: Option<&str>,
        change: impl FnOnce(&mut PagePlan),
    ) -> Self {
        let origin = url.split('/').take(3).collect::<Vec<_>>().join("/");
        let dir = tempfile::Builder::new().prefix("ctr-it").tempdir().unwrap();
        let mut plan = PagePlan {
            url: url.to_owned(),
            fragment: String::new(),
            allowed_origins: vec![origin],
            callback_token: TOKEN.to_owned(),
            dialogs: if display.is_none() { DialogPolicy::Accept } else { DialogPolicy::Leave },
            wait_for_popups: false,
            downloads: DownloadPlan {
                dir: dir.path().join("files"),
                bytes_max: DOWNLOADS_BYTES_MAX,
                files_max: 2,
                kept_bytes: 0,
                kept_files: 0,
            },
        };
        change(&mut plan);
        let mut child = spawn(browser, url, display, dir.path());
        let (sender, messages) = channel();
        let from_browser = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            for message in BufReader::new(from_browser).split(0) {
                let Ok(message) = message else { return };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut driven = Self {
            to_browser: child.stdin.take(),
            child,
            messages,
            reader: Some(reader),
            session: Session::new(0, plan.clone()),
            plan,
            attaches: 0,
            facts: VecDeque::new(),
            saved: None,
            dir,
        };
        let commands = driven.session.open();
        driven.send(&commands);
        driven
    }

    /// Another service takes over, with what this one saved.
    pub(crate) fn adopt(&mut self, saved: Option<Saved>) {
        self.attaches += 1;
        self.session = Session::new(self.attaches, self.plan.clone());
        let commands = self.session.resume(saved);
        self.send(&commands);
    }

    /// The facts up to and including the first that is looked for.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Fact) -> bool) -> Vec<Fact> {
        let deadline = Instant::now() + DEADLINE;
        let mut seen = Vec::new();
        loop {
            while let Some(fact) = self.facts.pop_front() {
                let found = wanted(&fact);
                seen.push(fact);
                if found {
                    return seen;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left);
            let message = message.unwrap_or_else(|error| panic!("{error} while waiting; facts so far: {seen:#?}"));
            self.take(&message);
        }
    }

    /// The first message that is looked for, while no session answers the browser.
    pub(crate) fn until_message(&mut self, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left).expect("the message comes in time");
            let message = serde_json::from_slice(&message).unwrap();
            if wanted(&message) {
                return message;
            }
        }
    }

    /// The result of the first report, once there is one, and all facts up to it.
    pub(crate) fn report(&mut self) -> (browser::Report, Vec<Fact>) {
        let mut facts = self.until(|fact| matches!(fact, Fact::Reported(_)));
        match facts.pop() {
            Some(Fact::Reported(report)) => (report, facts),
            other => panic!("{other:?}"),
        }
    }

    /// All further facts until the browser closes its pipe.
    pub(crate) fn rest(mut self) -> Vec<Fact> {
        let deadline = Instant::now() + DEADLINE;
        while let Ok(message) = self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.take(&message);
        }
        self.facts.drain(..).collect()
    }

    /// Asks the browser to leave.
    pub(crate) fn close(&mut self) {
        let command = self.session.close_browser();
        self.send(&[command]);
    }

    /// Kills the page's renderer from within.
    pub(crate) fn crash_page(&mut self) {
        self.command_page("Page.crash", &serde_json::json!({}));
    }

    /// Kills the renderer of a page that the task's page opened, once it shows something: before that it may change
    /// its process.
    pub(crate) fn crash_popup(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left).expect("the popup shows something");
            self.take(&message);
            let message: serde_json::Value = serde_json::from_slice(&message).unwrap();
            let info = &message["params"]["targetInfo"];
            if info["openerId"].is_string() && info["title"].as_str().is_some_and(|title| !title.is_empty()) {
                break;
            }
        }
        let saved = serde_json::to_value(self.saved.as_ref().unwrap()).unwrap();
        let session = saved["popups"].as_object().unwrap().values().next().expect("it is listened to");
        let command =
            serde_json::json!({ "id": 2_000_001, "method": "Page.crash", "params": {}, "sessionId": session });
        self.send(&[command.to_string().into_bytes()]);
    }

    /// Runs a script in the page as if a person had just clicked there.
    pub(crate) fn click_for(&mut self, script: &str) {
        let params = serde_json::json!({ "expression": script, "userGesture": true });
        self.command_page("Runtime.evaluate", &params);
    }

    /// Sends a command to the page that the session knows nothing of.
    fn command_page(&mut self, method: &str, params: &serde_json::Value) {
        let saved = serde_json::to_value(self.saved.as_ref().unwrap()).unwrap();
        let session = &saved["session"];
        let command = serde_json::json!({ "id": 2_000_000, "method": method, "params": params, "sessionId": session });
        self.send(&[command.to_string().into_bytes()]);
    }

    /// The names of the files that the browser wrote.
    pub(crate) fn downloads(&self) -> Vec<String> {
        let Ok(found) = std::fs::read_dir(self.dir.path().join("files")) else { return Vec::new() };
        found.flatten().map(|file| file.file_name().into_string().unwrap()).collect()
    }

    /// The browser's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn take(&mut self, message: &[u8]) {
        let step = self.session.receive(message);
        self.send(&step.commands);
        self.facts.extend(step.facts);
        self.saved = step.save.or(self.saved.take());
    }

    fn send(&mut self, commands: &[Vec<u8>]) {
        let to_browser = self.to_browser.as_mut().unwrap();
        for command in commands {
            // A browser that is leaving takes no more.
            let _ = to_browser.write_all(command).and_then(|()| to_browser.write_all(&[0]));
        }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        // Without its pipe the browser leaves; what does not is killed with its group.
        self.to_browser = None;
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() {}
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn spawn(browser: &Browser, url: &str, display: Option<&str>, dir: &Path) -> Child {
    let plan = LaunchPlan {
        tier: comet_task_runner::job::Tier::Managed,
        browser,
        headless: display.is_none(),
        profile_dir: &dir.join("p"),
        task_id: "it",
        // Tests may run as root, who cannot have the sandbox.
        no_sandbox: true,
        small_dev_shm: false,
        url,
    };
    let environment = std::env::vars().chain(display.map(|display| ("DISPLAY".to_owned(), display.to_owned())));
    let command = browser::command(&plan, environment).unwrap();
    // A shell moves the pipe to descriptors 3 and 4, which the standard library cannot.
    Command::new("sh")
        .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null"#])
        .args(&command.argv)
        .env_clear()
        .envs(command.env)
        .env("TMPDIR", dir)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
