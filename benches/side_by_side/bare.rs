//! The floor of browsers: the same Chromium with the same flags, driven over its pipe by the bench itself.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use comet_task_runner::browser::{self, Browser, Kind, LaunchPlan, LocalMachine, discover};
use serde_json::{Value, json};

use crate::places::Places;

/// Longest wait for anything that the browser is asked.
const PATIENCE: Duration = Duration::from_secs(30);

/// The browser that the service finds first, among those with a pipe.
pub(crate) fn managed() -> Option<Browser> {
    discover(&LocalMachine, &[]).browsers.into_iter().find(|browser| browser.kind == Kind::Chromium)
}

/// A browser on a pipe. Dropping it ends the browser.
pub(crate) struct Bare {
    child: Child,
    to_browser: ChildStdin,
    messages: mpsc::Receiver<Value>,
    reader: Option<JoinHandle<()>>,
    next_id: u64,
}

impl Bare {
    /// Starts it, with the flags and the environment that the service gives it.
    pub(crate) fn start(places: &Places, browser: &Browser) -> Result<Self> {
        let profile_dir = places.fresh_state()?;
        let plan = LaunchPlan {
            tier: comet_task_runner::job::Tier::Managed,
            browser,
            headless: true,
            profile_dir: &profile_dir,
            task_id: "floor",
            no_sandbox: rustix::process::geteuid().is_root(),
            small_dev_shm: false,
            url: "",
        };
        let command = browser::command(&plan, std::env::vars())?;
        // A shell puts the pipes where the browser looks for them.
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"exec "$@" 3<&0 4>&1 0</dev/null 1>&2"#, "sh"]).args(command.argv);
        shell.env_clear().envs(command.env).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = shell.spawn().context("the browser cannot be started")?;
        let to_browser = child.stdin.take().context("no pipe to the browser")?;
        let from_browser = child.stdout.take().context("no pipe from the browser")?;
        // Unbounded: the reader must not hold the browser up, and a page says little.
        let (send, messages) = mpsc::channel();
        let reader = thread::spawn(move || {
            let frames = BufReader::new(from_browser).split(0).map_while(Result::ok);
            for message in frames.filter_map(|frame| serde_json::from_slice(&frame).ok()) {
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, to_browser, messages, reader: Some(reader), next_id: 0 })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A context of its own for a page.
    pub(crate) fn context(&mut self) -> Result<Value> {
        Ok(self.call(None, "Target.createBrowserContext", &json!({}))?["browserContextId"].take())
    }

    /// Takes a context away with its pages.
    pub(crate) fn dispose(&mut self, context: &Value) -> Result<()> {
        self.call(None, "Target.disposeBrowserContext", &json!({ "browserContextId": context }))?;
        Ok(())
    }

    /// Opens a page, in a context if there is one, and waits until its document is there.
    pub(crate) fn page(&mut self, url: &str, context: Option<&Value>) -> Result<()> {
        let mut params = json!({ "url": url, "newWindow": true });
        if let Some(context) = context {
            params["browserContextId"] = context.clone();
        }
        let target = self.call(None, "Target.createTarget", &params)?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.call(None, "Target.attachToTarget", &attach)?["sessionId"].take();
        self.call(Some(&session), "Page.enable", &json!({}))?;
        let tree = self.call(Some(&session), "Page.getFrameTree", &json!({}))?;
        let arrived = |frame: &Value| frame["url"].as_str().is_some_and(|shown| shown.starts_with("http"));
        if arrived(&tree["frameTree"]["frame"]) {
            return Ok(());
        }
        loop {
            let event = self.next()?;
            if event["method"] == "Page.frameNavigated" && arrived(&event["params"]["frame"]) {
                return Ok(());
            }
        }
    }

    fn call(&mut self, session: Option<&Value>, method: &str, params: &Value) -> Result<Value> {
        self.next_id += 1;
        let mut command = json!({ "id": self.next_id, "method": method, "params": params });
        if let Some(session) = session {
            command["sessionId"] = session.clone();
        }
        let mut frame = command.to_string().into_bytes();
        frame.push(0);
        self.to_browser.write_all(&frame)?;
        loop {
            let mut answer = self.next()?;
            if answer["id"] == self.next_id {
                if !answer["error"].is_null() {
                    bail!("{method}: {}", answer["error"]);
                }
                return Ok(answer["result"].take());
            }
        }
    }

    fn next(&mut self) -> Result<Value> {
        self.messages.recv_timeout(PATIENCE).context("the browser is silent")
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// A server of one small page; it ends with the bench.
pub(crate) fn serve_page() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            // A browser opens connections that it does not use at once, and none may hold up another.
            thread::spawn(move || {
                let mut request = [0; 4096];
                if connection.read(&mut request).is_ok_and(|length| length > 0) {
                    let _ = connection.write_all(PAGE);
                }
            });
        }
    });
    Ok(address)
}

const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 33\r\nconnection: close\r\n\r\n\
    <!doctype html><title>p</title>hi";
