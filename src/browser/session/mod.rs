//! Drives one browser for one task: messages in, facts and commands out, without any I/O.
//!
//! ```text
//!   open:    discover, auto-attach (pages wait), version, create the page at its URL
//!   ours, waiting:  attach once more; listen, bind and inject there
//!   injected:       end the auto-attach, which lets it run
//!   another page:   let it run
//!   resume:  the replay first, then getTargets: there = inject again, never created = create, gone = closed
//! ```
//!
//! Invariants: the page runs no script before the report script is in place; a page that waits is always let go;
//! only the page's first navigation is judged; nothing that a page sends can panic or grow this state.

pub mod capture;
mod console;
mod dialogs;
mod downloads;
mod navigation;
mod page;
mod popups;
mod targets;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cdp::id::Ids;
use super::cdp::message;
use super::facts::{Fact, PageSample, bounded};
use super::report;
use super::said::Said;
use crate::job::DialogPolicy;
use capture::{Answered, Question};
use dialogs::OpenDialog;
use downloads::Running;
use navigation::Navigation;

/// What a session needs to know about the task.
#[derive(Clone)]
pub struct PagePlan {
    /// Where the page goes, as anybody may know it.
    pub url: String,
    /// What the page finds behind that URL, with its "#"; may be empty. Nobody else is told.
    pub fragment: String,
    /// Whose documents may report, as `scheme://host[:port]`.
    pub allowed_origins: Vec<String>,
    /// What a report has to carry.
    pub callback_token: String,
    /// What becomes of dialogs.
    pub dialogs: DialogPolicy,
    /// Whether the task goes on until the pages that its page opened are closed as well.
    pub wait_for_popups: bool,
    /// Where files go, and how much of them.
    pub downloads: DownloadPlan,
}

/// Where the files of a task go, and how much of them.
#[derive(Clone)]
pub struct DownloadPlan {
    /// The browser makes it when the first file comes, and writes nowhere else.
    pub dir: PathBuf,
    /// How many bytes the task's files may have in all.
    pub bytes_max: u64,
    /// How many files it may have.
    pub files_max: usize,
    /// How many bytes it has already.
    pub kept_bytes: u64,
    /// How many files it has already.
    pub kept_files: usize,
}

/// What has to be written beside the job before a message is acknowledged, so that another service can go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    answered: bool,
    target: Option<String>,
    session: Option<String>,
    /// The session that holds the page still until its script is in place.
    holding: Option<String>,
    main_frame: Option<String>,
    contexts: BTreeMap<i64, String>,
    navigation: Navigation,
    /// Requests for documents that wait for the script to be in place.
    paused: Vec<String>,
    /// Whether documents may load: the script is in place, or there is no page for it.
    released: bool,
    /// The task's page is gone.
    closed: bool,
    /// And that was told, which may have to wait for its popups.
    close_told: bool,
    /// The pages that it opened, and those opened in turn, each with the session that hears it.
    popups: BTreeMap<String, Option<String>>,
    /// Dialogs that are left to a person, in the order in which they came.
    dialogs: Vec<OpenDialog>,
    /// Files that come, by the browser's name for each.
    downloads: BTreeMap<String, Running>,
}

/// What one message led to.
#[derive(Debug, Default)]
pub struct Step {
    /// What the browser said, in its order.
    pub facts: Vec<Fact>,
    /// What to send to the browser, in this order.
    pub commands: Vec<Vec<u8>>,
    /// What to write, after the facts are committed and before the message is acknowledged.
    pub save: Option<Saved>,
    /// What the page said in its console, which is nothing that happened to it.
    pub said: Vec<Said>,
    /// What became of questions that were asked.
    pub answered: Vec<Answered>,
}

/// Commands whose answers matter.
#[derive(Clone, Copy, Debug)]
enum Call {
    GetVersion,
    CreateTarget,
    GetTargets,
    AttachToTarget,
    FrameTree,
    TargetInfo,
    /// A command that prepares the task's page.
    Prepare,
    /// The last of them.
    Inject,
    BringToFront,
}

/// A page that waits until it is known whether it is the task's.
struct Held {
    target: String,
    session: String,
    /// What it said meanwhile.
    early: Vec<(String, Vec<u8>)>,
}

/// Most messages kept of a page that waits: a navigation with many redirects has a dozen.
const EARLY_MAX: usize = 64;

/// The conversation with one browser about one task's page.
pub struct Session {
    plan: PagePlan,
    ids: Ids,
    calls: HashMap<u32, Call>,
    held: Vec<Held>,
    state: Saved,
    changed: bool,
    /// False after an adoption without a saved state: then a context that was never seen is not suspect.
    contexts_known: bool,
    prepared: bool,
    /// Whether a session of its own was asked for and has not come yet.
    attaching: bool,
    sample: PageSample,
    /// The sample that was told last.
    told: PageSample,
    heard: console::Heard,
    /// Questions that the browser has not answered yet.
    open: HashMap<u32, Question>,
    /// Whether the page's renderer died, and no document came after that.
    crashed: bool,
}

/// Pages only: workers and extensions neither wait for us nor cost us messages.
fn pages_only() -> Value {
    json!([{ "type": "page" }])
}

impl Session {
    /// A session of the service that attached to this browser as number `attach`.
    #[must_use]
    pub fn new(attach: u32, plan: PagePlan) -> Self {
        Self {
            plan,
            ids: Ids::new(attach),
            calls: HashMap::new(),
            held: Vec::new(),
            state: Saved::default(),
            changed: false,
            contexts_known: true,
            prepared: false,
            attaching: false,
            sample: PageSample::default(),
            told: PageSample::default(),
            heard: console::Heard::default(),
            open: HashMap::new(),
            crashed: false,
        }
    }

    /// The first commands to a fresh browser: all at once, because each round trip is felt.
    pub fn open(&mut self) -> Vec<Vec<u8>> {
        let mut step = Step::default();
        self.discover(&mut step);
        self.direct_downloads(&mut step);
        self.hold_new_pages(&mut step);
        self.hold_documents(&mut step);
        self.call(&mut step, Call::GetVersion, "Browser.getVersion", &json!({}));
        self.create_page(&mut step);
        step.commands
    }

    /// The first commands to a browser that an earlier service left behind. What it said meanwhile may be
    /// received before or after: the answer to the last of these commands comes after all of it.
    pub fn resume(&mut self, saved: Option<Saved>) -> Vec<Vec<u8>> {
        self.contexts_known = saved.is_some();
        self.state = saved.unwrap_or_default();
        let mut step = Step::default();
        self.discover(&mut step);
        self.direct_downloads(&mut step);
        if self.state.session.is_none() {
            // Else the page runs already, or is held by an earlier auto-attach that must not end too early.
            self.hold_new_pages(&mut step);
        }
        if !self.state.released && !self.state.navigation.is_decided() {
            self.hold_documents(&mut step);
        }
        if !self.state.answered {
            self.call(&mut step, Call::GetVersion, "Browser.getVersion", &json!({}));
        }
        self.call(&mut step, Call::GetTargets, "Target.getTargets", &json!({ "filter": pages_only() }));
        step.commands
    }

    /// Asks the browser to close all its windows and leave.
    pub fn close_browser(&mut self) -> Vec<u8> {
        message::command(self.ids.next_id(), None, "Browser.close", &json!({}))
    }

    /// Puts the page before the other ones of its browser; none while there is no page. Answered by a fact.
    pub fn bring_to_front(&mut self) -> Option<Vec<u8>> {
        let session = self.state.session.clone()?;
        let mut step = Step::default();
        self.call_page(&mut step, Call::BringToFront, &session, "Page.bringToFront", &json!({}));
        step.commands.pop()
    }

    /// Asks what the page shows; none while there is no page. The browser tells of new addresses by itself, and the
    /// title is asked for whenever a document has loaded; only titles that change later have to be asked for.
    pub fn ask_sample(&mut self) -> Option<Vec<u8>> {
        let mut step = Step::default();
        self.ask_title(&mut step);
        step.commands.pop()
    }

    /// Takes one complete message, without its NUL. Messages may come twice; unknown ones are ignored.
    pub fn receive(&mut self, message: &[u8]) -> Step {
        let mut step = Step::default();
        let Some(head) = message::head(message) else {
            return step;
        };
        match (head.id, head.method.as_deref()) {
            (Some(id), _) => self.take_answer(id, message, &mut step),
            (None, Some(method)) => {
                self.take_event(method, head.session.as_deref(), message, &mut step);
            }
            (None, None) => {}
        }
        if std::mem::take(&mut self.changed) {
            step.save = Some(self.state.clone());
        }
        step
    }

    fn take_event(&mut self, method: &str, session: Option<&str>, message: &[u8], step: &mut Step) {
        if method.starts_with("Target.") {
            self.take_target_event(method, message, step);
        } else if method == "Fetch.requestPaused" {
            self.take_paused(message, step);
        } else if method.starts_with("Browser.") {
            self.take_download_event(method, message, step);
        } else if method == "Page.javascriptDialogOpening" {
            self.take_dialog(session, message, step);
        } else if method == "Page.javascriptDialogClosed" {
            self.dialog_closed(session, step);
        } else if session.is_some() && session == self.state.session.as_deref() {
            self.take_page_event(method, message, step);
        } else if session.is_some() && session == self.state.holding.as_deref() {
            self.take_holding_event(method, message, step);
        } else if let Some(held) = self.held.iter_mut().find(|held| session == Some(&held.session))
            && held.early.len() < EARLY_MAX
        {
            held.early.push((method.to_owned(), message.to_owned()));
        }
    }

    fn take_answer(&mut self, id: u32, message: &[u8], step: &mut Step) {
        if self.take_open(id, message, step) {
            return;
        }
        let call = self.calls.remove(&id);
        let answer = message::answer(message);
        if let Some(product) = answer.result.product
            && !self.state.answered
        {
            self.state.answered = true;
            self.changed = true;
            step.facts.push(Fact::Answered { product: bounded(product) });
        }
        match (call, answer.error) {
            (Some(Call::CreateTarget), Some(error)) => self.give_up_page(error.message, step),
            (Some(Call::Prepare | Call::Inject), Some(error)) if error.code == message::SESSION_NOT_FOUND => {
                self.attach_again(step);
            }
            // Refused for another reason, it is let go all the same: a page that stands still for ever helps nobody.
            (Some(Call::Inject), _) => self.injected(step),
            (Some(Call::GetTargets), _) => {
                if let Some(pages) = answer.result.target_infos {
                    self.take_stock(&pages, step);
                }
            }
            (Some(Call::FrameTree), _) => {
                if let Some(tree) = answer.result.frame_tree {
                    self.judge_document(&tree.frame, step);
                }
            }
            (Some(Call::TargetInfo), _) => {
                if let Some(info) = answer.result.target_info {
                    self.sample(&info, step);
                }
            }
            // Without a call it answers an earlier service; only the creation of a page answers with a target.
            (Some(Call::CreateTarget) | None, None) => {
                if let Some(target) = answer.result.target_id {
                    self.own_target(&target, step);
                }
            }
            (Some(Call::BringToFront), None) => step.facts.push(Fact::InFront),
            (Some(Call::GetVersion | Call::BringToFront | Call::AttachToTarget | Call::Prepare) | None, _) => {}
        }
    }

    fn discover(&mut self, step: &mut Step) {
        self.send(step, None, "Target.setDiscoverTargets", &json!({ "discover": true, "filter": pages_only() }));
    }

    fn hold_new_pages(&mut self, step: &mut Step) {
        let params = json!({
            "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true, "filter": pages_only(),
        });
        self.send(step, None, "Target.setAutoAttach", &params);
    }

    /// Documents wait until the script is in place. Holding the page alone does not do: measured under load, its
    /// document can arrive in another process than the one that is held, and run there without the script.
    fn hold_documents(&mut self, step: &mut Step) {
        let params = json!({ "patterns": [{ "urlPattern": "*", "resourceType": "Document" }] });
        self.send(step, None, "Fetch.enable", &params);
    }

    fn take_paused(&mut self, message: &[u8], step: &mut Step) {
        let Some(paused) = message::params::<message::Paused>(message) else { return };
        if self.state.released {
            self.send(step, None, "Fetch.continueRequest", &json!({ "requestId": paused.request_id }));
        } else if !self.state.paused.contains(&paused.request_id) && self.state.paused.len() < EARLY_MAX {
            self.state.paused.push(paused.request_id);
            self.changed = true;
        }
    }

    /// Lets documents load, those that wait and all later ones.
    fn release_documents(&mut self, step: &mut Step) {
        if std::mem::replace(&mut self.state.released, true) {
            return;
        }
        self.changed = true;
        for request_id in std::mem::take(&mut self.state.paused) {
            self.send(step, None, "Fetch.continueRequest", &json!({ "requestId": request_id }));
        }
        self.send(step, None, "Fetch.disable", &json!({}));
    }

    /// Lets the page run, and all later ones: a page that opens a popup must not stand still whenever no service is
    /// there to let the popup go.
    ///
    /// Where dialogs are answered at once, later pages are held on: a dialog that comes before anybody listens can be
    /// answered by nobody any more, and stops its opener too where both share a process. They are let go at once, or
    /// by the next service.
    fn stop_holding_pages(&mut self, step: &mut Step) {
        if self.answers_dialogs() {
            if let Some(holding) = self.state.holding.clone() {
                self.send(step, None, "Target.detachFromTarget", &json!({ "sessionId": holding }));
            }
            return;
        }
        let params = json!({ "autoAttach": false, "waitForDebuggerOnStart": false, "flatten": true });
        self.send(step, None, "Target.setAutoAttach", &params);
    }

    fn create_page(&mut self, step: &mut Step) {
        // Always said: with `false` a browser that has no window yet refuses ("no browser is open").
        let url = format!("{}{}", self.plan.url, self.plan.fragment);
        let params = json!({ "url": url, "newWindow": true });
        self.call(step, Call::CreateTarget, "Target.createTarget", &params);
    }

    fn call(&mut self, step: &mut Step, call: Call, method: &str, params: &Value) {
        let id = self.send(step, None, method, params);
        self.calls.insert(id, call);
    }

    fn call_page(&mut self, step: &mut Step, call: Call, session: &str, method: &str, params: &Value) {
        let id = self.send(step, Some(session), method, params);
        self.calls.insert(id, call);
    }

    fn send(&mut self, step: &mut Step, session: Option<&str>, method: &str, params: &Value) -> u32 {
        let id = self.ids.next_id();
        step.commands.push(message::command(id, session, method, params));
        id
    }

    /// A text of the page as others may see it: bounded, and without the token that its address may carry, whether
    /// we put it there or the page did.
    fn shown(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (secret, shown) in [(&self.plan.fragment, ""), (&self.plan.callback_token, "[token]")] {
            if !secret.is_empty() && text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), shown);
            }
        }
        bounded(text)
    }

    fn report_script(&self) -> String {
        report::script(&self.plan.callback_token, &self.plan.allowed_origins)
    }
}
