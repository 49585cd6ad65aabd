//! A page in a real Chromium, driven over its debugging pipe: what it shows, and when by the clock of the stub.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use comet_task_runner::browser::{Family, LocalMachine, discover};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};

use crate::{places::Places, side::now_ns};

/// Longest wait for anything that the browser is asked.
const PATIENCE: Duration = Duration::from_secs(30);
/// The function through which the page speaks.
const BINDING: &str = "__tell";

/// A browser with one page. Dropping it ends the browser.
pub(crate) struct Tab {
    child: Child,
    to_browser: Option<ChildStdin>,
    from_browser: mpsc::UnboundedReceiver<Message>,
    reader: Option<JoinHandle<()>>,
    session: String,
    next_id: u64,
    told: std::collections::VecDeque<Told>,
    /// `CLOCK_MONOTONIC` at the page's `performance.now() == 0`.
    origin_ns: u64,
}

struct Message {
    seen_ns: u64,
    value: Value,
}

/// What the page said.
pub(crate) struct Told {
    /// Its words.
    pub(crate) text: String,
    /// When they were heard here.
    pub(crate) heard_ns: u64,
}

/// The Chromium of this machine; none where there is none.
pub(crate) fn chromium() -> Option<PathBuf> {
    let families = [Family::Chromium, Family::Chrome, Family::Edge, Family::Brave];
    let found = discover(&LocalMachine, &[]).browsers;
    found.into_iter().find(|browser| families.contains(&browser.family)).map(|browser| browser.binary)
}

impl Tab {
    /// Opens a page without a window, and waits until it has loaded.
    pub(crate) async fn open(places: &Places, binary: &Path, url: &str) -> Result<Self> {
        let profile = places.fresh_state()?;
        let mut child = spawn(binary, &profile)?;
        let pipe = child.stdout.take().context("no pipe from the browser")?;
        // Unbounded: the page says one line per job, and the reader must not hold the browser up.
        let (messages, from_browser) = mpsc::unbounded_channel();
        let reader = std::thread::spawn(move || {
            for frame in BufReader::new(pipe).split(0).map_while(Result::ok) {
                let seen_ns = now_ns();
                let Ok(value) = serde_json::from_slice(&frame) else { continue };
                if messages.send(Message { seen_ns, value }).is_err() {
                    return;
                }
            }
        });
        let mut tab = Self {
            to_browser: child.stdin.take(),
            child,
            from_browser,
            reader: Some(reader),
            session: String::new(),
            next_id: 0,
            told: std::collections::VecDeque::new(),
            origin_ns: 0,
        };
        let target = tab.call("Target.createTarget", json!({ "url": "about:blank", "newWindow": true })).await?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = tab.call("Target.attachToTarget", attach).await?;
        attached["sessionId"].as_str().context("no session")?.clone_into(&mut tab.session);
        tab.call("Page.enable", json!({})).await?;
        tab.call("Runtime.enable", json!({})).await?;
        tab.call("Runtime.addBinding", json!({ "name": BINDING })).await?;
        tab.call("Page.navigate", json!({ "url": url })).await?;
        tab.event("Page.loadEventFired").await?;
        tab.find_origin().await?;
        Ok(tab)
    }

    /// Runs a script in the page, and gives its value; a promise is awaited.
    pub(crate) async fn run(&mut self, script: &str) -> Result<Value> {
        let params = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let ran = self.call("Runtime.evaluate", params).await?;
        ensure!(ran["exceptionDetails"].is_null(), "the script failed: {}", ran["exceptionDetails"]);
        Ok(ran["result"]["value"].clone())
    }

    /// The next thing that the page says through `__tell`.
    pub(crate) async fn told(&mut self) -> Result<Told> {
        while self.told.is_empty() {
            self.take().await?;
        }
        self.told.pop_front().context("there is one")
    }

    /// The page's `performance.now()` on the clock of the stub.
    pub(crate) fn at_ns(&self, page_ms: f64) -> u64 {
        self.origin_ns + nanos(page_ms.max(0.0) / 1e3)
    }

    /// Where the page's clock begins, by the browser's own monotonic clock, which is the system's; and that this is so.
    async fn find_origin(&mut self) -> Result<()> {
        self.call("Performance.enable", json!({})).await?;
        let metrics = self.call("Performance.getMetrics", json!({})).await?;
        let metrics = metrics["metrics"].as_array().context("no metrics")?;
        let begun = metrics.iter().find(|metric| metric["name"] == "NavigationStart").context("no NavigationStart")?;
        let begun_s = begun["value"].as_f64().context("NavigationStart is no number")?;
        self.origin_ns = nanos(begun_s);
        let before_ns = now_ns();
        let page_ms = self.run("performance.now()").await?.as_f64().context("the page has no clock")?;
        let (at_ns, after_ns) = (self.at_ns(page_ms), now_ns());
        // The page's clock is coarse by a tenth of a millisecond.
        let slack_ns = 200_000;
        ensure!(
            before_ns <= at_ns + slack_ns && at_ns <= after_ns + slack_ns,
            "the page's clock is {at_ns}, not between {before_ns} and {after_ns}"
        );
        Ok(())
    }

    async fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.next_id += 1;
        let id = self.next_id;
        let mut command = json!({ "id": id, "method": method, "params": params });
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        let mut frame = command.to_string().into_bytes();
        frame.push(0);
        self.to_browser.as_mut().context("the pipe is open until the end")?.write_all(&frame)?;
        loop {
            let mut answer = self.take().await?;
            if answer["id"] == id {
                if !answer["error"].is_null() {
                    bail!("{method}: {}", answer["error"]);
                }
                return Ok(answer["result"].take());
            }
        }
    }

    async fn event(&mut self, method: &str) -> Result<()> {
        while self.take().await?["method"] != method {}
        Ok(())
    }

    /// The next message; what the page said is kept.
    async fn take(&mut self) -> Result<Value> {
        let message = timeout(PATIENCE, self.from_browser.recv()).await.context("the browser is silent")?;
        let Message { seen_ns, value } = message.context("the browser has left")?;
        if value["method"] == "Runtime.bindingCalled" {
            let text = value["params"]["payload"].as_str().unwrap_or_default().to_owned();
            self.told.push_back(Told { text, heard_ns: seen_ns });
        }
        Ok(value)
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn nanos(seconds: f64) -> u64 {
    u64::try_from(Duration::from_secs_f64(seconds).as_nanos()).unwrap_or(u64::MAX)
}

/// A shell puts the pipes where the browser looks for them.
fn spawn(binary: &Path, profile: &Path) -> Result<Child> {
    let mut command = Command::new("sh");
    command.args(["-c", r#"exec "$@" 3<&0 4>&1 0</dev/null 1>&2"#, "sh"]).arg(binary);
    command.args(["--headless", "--remote-debugging-pipe", "--no-startup-window", "--no-first-run", "--disable-sync"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--password-store=basic"]);
    command.arg(format!("--user-data-dir={}", profile.display()));
    if rustix::process::geteuid().is_root() {
        command.arg("--no-sandbox");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().with_context(|| format!("{} cannot be started", binary.display()))
}
