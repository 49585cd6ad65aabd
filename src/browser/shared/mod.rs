//! One browser shared by several tasks: gives each a context of its own and keeps their words apart, without any I/O.
//!
//! ```text
//!   session of a task --translate--> \                           / --Said--> session of a task
//!   session of a task --translate-->   one browser, one pipe ----
//!   session of a task --translate--> /                           \ --Said--> session of a task
//! ```
//!
//! Each task gets a browser context, and beside it a connection to the browser as a whole, so that what one session
//! holds still, pauses or discovers is no other's affair. A task's session believes that it is alone: it neither sees
//! nor reaches what lies in another context.
//!
//! Invariants: a page of another context is always let go, and so is its document; what belongs to no task is dropped;
//! a context is gone only when the browser says so of the context and of each of its pages.

mod share;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cdp::{id::Ids, message};
use crate::job::TaskId;
use share::{Open, Share};

/// Commands that act on the browser's own context unless another is named.
const CONTEXT_COMMANDS: [&str; 3] = ["Target.createTarget", "Browser.setDownloadBehavior", "Browser.cancelDownload"];

/// Something that was heard of one task's share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Its context is there: the task may begin to speak.
    Opened,
    /// The browser refused to make it a context; in the browser's own words.
    Refused(String),
    /// A message for its session.
    Said(Vec<u8>),
    /// Its context and all pages in it are gone.
    Ended,
}

/// What one message led to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// What to tell to whom.
    pub word: Option<(TaskId, Word)>,
    /// What to send to the browser, in this order.
    pub commands: Vec<Vec<u8>>,
    /// Whether [`SharedBrowser::kept`] is another now, and to be written before anything is told.
    pub changed: bool,
}

/// What another service needs to take up the shares where this one left them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kept(BTreeMap<TaskId, Open>);

impl Kept {
    /// The tasks that have a context.
    pub fn tasks(&self) -> impl Iterator<Item = TaskId> {
        self.0.keys().copied()
    }
}

/// Commands whose answers matter.
#[derive(Clone, Copy, Debug)]
enum Call {
    /// What contexts there are, after an adoption.
    Contexts,
    /// A context for the task.
    Context(TaskId),
    /// A connection of its own for the task.
    Root(TaskId),
    /// The end of its context.
    Dispose(TaskId),
    /// What is left after that.
    Stock(TaskId),
    /// The task's session asked, under this id.
    Own(TaskId, u32),
    /// The same, for what pages there are.
    OwnTargets(TaskId, u32),
}

/// The one conversation with a browser that several tasks share.
pub struct SharedBrowser {
    ids: Ids,
    /// Grows with what the browser has not answered yet, and shrinks with the tasks that asked.
    calls: HashMap<u32, Call>,
    shares: BTreeMap<TaskId, Share>,
}

impl SharedBrowser {
    /// A browser that nobody has spoken to.
    #[must_use]
    pub fn new() -> Self {
        Self { ids: Ids::new(1), calls: HashMap::new(), shares: BTreeMap::new() }
    }

    /// One that an earlier service spoke to, as connection number `attach`; and the commands that find what it left.
    #[must_use]
    pub fn resume(attach: u32, kept: Kept) -> (Self, Vec<Vec<u8>>) {
        let shares = kept.0.into_iter().map(|(task, open)| (task, Share::Open(open))).collect();
        let mut browser = Self { ids: Ids::new(attach), calls: HashMap::new(), shares };
        let ask = browser.call(Call::Contexts, "Target.getBrowserContexts", &json!({}));
        (browser, vec![ask])
    }

    /// What another service needs; only contexts that are there.
    #[must_use]
    pub fn kept(&self) -> Kept {
        let open = |(task, share): (&TaskId, &Share)| share.open().map(|open| (*task, open.clone()));
        Kept(self.shares.iter().filter_map(open).collect())
    }

    /// Asks for a context for this task; both commands at once, because each round trip is felt.
    pub fn begin(&mut self, task: TaskId) -> Vec<Vec<u8>> {
        self.shares.insert(task, Share::asked());
        vec![
            self.call(Call::Context(task), "Target.createBrowserContext", &json!({})),
            self.call(Call::Root(task), "Target.attachToBrowserTarget", &json!({})),
        ]
    }

    /// Ends the task's context and every page in it, whether or not those still answer. Nothing when it is ending
    /// already; one that is not there yet ends as soon as it is.
    pub fn end(&mut self, task: TaskId) -> Vec<Vec<u8>> {
        match self.shares.get_mut(&task) {
            Some(share @ Share::Open(_)) => {
                let Some(context) = share.begin_to_end() else { return Vec::new() };
                vec![self.dispose(task, &context)]
            }
            Some(Share::Asked { unwanted, .. }) => {
                *unwanted = true;
                Vec::new()
            }
            Some(Share::Ending { .. }) | None => Vec::new(),
        }
    }

    /// Whether the task has a context, or is about to.
    #[must_use]
    pub fn has(&self, task: TaskId) -> bool {
        self.shares.contains_key(&task)
    }

    /// Asks the browser to close all its windows and leave.
    pub fn close(&mut self) -> Vec<u8> {
        message::command(self.ids.next_id(), None, "Browser.close", &json!({}))
    }

    /// A command of the task's session, as it is to be sent; none when it is not to be. A task may end its share, not
    /// what it shares: that it would close the browser is left out.
    pub fn translate(&mut self, task: TaskId, command: &[u8]) -> Option<Vec<u8>> {
        let open = self.shares.get(&task)?.open()?;
        let mut command: Value = serde_json::from_slice(command).ok()?;
        let method = command["method"].as_str()?;
        if method == "Browser.close" {
            return None;
        }
        let own_id = u32::try_from(command["id"].as_u64()?).ok()?;
        let call = match method {
            "Target.getTargets" => Call::OwnTargets(task, own_id),
            _ => Call::Own(task, own_id),
        };
        if CONTEXT_COMMANDS.contains(&method) {
            command["params"]["browserContextId"] = Value::from(open.context.as_str());
        }
        if command["sessionId"].is_null() {
            command["sessionId"] = Value::from(open.root.as_str());
        }
        let id = self.ids.next_id();
        command["id"] = Value::from(id);
        self.calls.insert(id, call);
        Some(command.to_string().into_bytes())
    }

    /// Takes one complete message, without its NUL. Messages may come twice; those of nobody are dropped.
    pub fn receive(&mut self, message: &[u8]) -> Heard {
        let Some(head) = message::head(message) else { return Heard::default() };
        match (head.id, head.method.as_deref(), head.session.as_deref()) {
            (Some(id), _, _) => self.take_answer(id, message),
            (None, Some(method), Some(session)) => self.take_event(method, session, message),
            // Nobody asked for events of the pipe's own session.
            (None, Some(_) | None, _) => Heard::default(),
        }
    }

    fn take_event(&mut self, method: &str, session: &str, message: &[u8]) -> Heard {
        let found = self.shares.iter_mut().find_map(|(task, share)| {
            let open = share.open_mut().filter(|open| open.hears(session))?;
            Some((*task, open))
        });
        let Some((task, open)) = found else { return Heard::default() };
        if open.root != session {
            return Heard { word: Some((task, Word::Said(message.to_owned()))), ..Heard::default() };
        }
        let event = open.take_root_event(method, message);
        let own = event.own.then(|| without_session(message)).flatten();
        let mut heard =
            Heard { word: own.map(|said| (task, Word::Said(said))), changed: event.changed, ..Heard::default() };
        let root = session.to_owned();
        if let Some(page) = event.let_run {
            heard.commands.push(self.command(&page, "Runtime.runIfWaitingForDebugger", &json!({})));
        }
        if let Some(request) = event.let_load {
            heard.commands.push(self.command(&root, "Fetch.continueRequest", &json!({ "requestId": request })));
        }
        // Said to a task whose context is gone, the last message of a page would mean nothing.
        self.end_if_gone(task, &mut heard);
        heard
    }

    fn take_answer(&mut self, id: u32, message: &[u8]) -> Heard {
        // An answer to an earlier service is nobody's: what it was about is asked for again.
        let Some(call) = self.calls.remove(&id) else { return Heard::default() };
        match call {
            Call::Own(task, own_id) => Heard { word: readdressed(message, own_id, None, task), ..Heard::default() },
            Call::OwnTargets(task, own_id) => {
                let context = self.shares.get(&task).and_then(Share::open).map(|open| open.context.as_str());
                Heard { word: readdressed(message, own_id, context, task), ..Heard::default() }
            }
            Call::Contexts => self.end_strays(&message::answer(message)),
            Call::Context(task) => self.asked_for(task, message::answer(message), |result, share| {
                share.has_context(result.browser_context_id);
            }),
            Call::Root(task) => self.asked_for(task, message::answer(message), |result, share| {
                share.has_root(result.session_id);
            }),
            // Whatever it says: one that was not there is gone too.
            Call::Dispose(task) => {
                // Pages only: the end of nothing else would be heard of.
                let pages = json!({ "filter": [{ "type": "page" }] });
                let stock = self.call(Call::Stock(task), "Target.getTargets", &pages);
                Heard { commands: vec![stock], ..Heard::default() }
            }
            Call::Stock(task) => {
                let mut heard = Heard::default();
                if let (Some(share), Some(pages)) =
                    (self.shares.get_mut(&task), message::answer(message).result.target_infos)
                {
                    share.take_stock(&pages);
                }
                self.end_if_gone(task, &mut heard);
                heard
            }
        }
    }

    /// One of the two answers that a share begins with.
    fn asked_for(
        &mut self,
        task: TaskId,
        answer: message::Answer,
        take: impl FnOnce(message::AnswerResult, &mut Share),
    ) -> Heard {
        let mut heard = Heard::default();
        let Some(share) = self.shares.get_mut(&task) else { return heard };
        if let Some(error) = answer.error {
            if let Some(context) = share.context_alone() {
                heard.commands.push(self.dispose(task, &context));
            }
            self.forget(task);
            heard.word = Some((task, Word::Refused(super::facts::bounded(error.message))));
            return heard;
        }
        take(answer.result, share);
        let Some(unwanted) = share.open_if_complete() else { return heard };
        heard.changed = true;
        if unwanted {
            heard.commands = self.end(task);
        } else {
            heard.word = Some((task, Word::Opened));
        }
        heard
    }

    /// Contexts that an earlier service asked for and of which it could not tell anybody.
    fn end_strays(&mut self, answer: &message::Answer) -> Heard {
        let known = |context: &String| {
            let mut open = self.shares.values().filter_map(Share::open);
            open.any(|open| open.context == *context)
        };
        let strays: Vec<String> =
            answer.result.browser_context_ids.iter().flatten().filter(|context| !known(context)).cloned().collect();
        let mut end = |context: &String| {
            message::command(
                self.ids.next_id(),
                None,
                "Target.disposeBrowserContext",
                &json!({ "browserContextId": context }),
            )
        };
        Heard { commands: strays.iter().map(&mut end).collect(), ..Heard::default() }
    }

    fn end_if_gone(&mut self, task: TaskId, heard: &mut Heard) {
        let Some(root) = self.shares.get(&task).and_then(Share::gone) else { return };
        let detach = json!({ "sessionId": root });
        self.forget(task);
        heard.commands.push(message::command(self.ids.next_id(), None, "Target.detachFromTarget", &detach));
        heard.word = Some((task, Word::Ended));
        heard.changed = true;
    }

    fn forget(&mut self, task: TaskId) {
        self.shares.remove(&task);
        self.calls.retain(|_, call| match call {
            Call::Own(of, _) | Call::OwnTargets(of, _) | Call::Context(of) | Call::Root(of) | Call::Stock(of) => {
                *of != task
            }
            Call::Contexts | Call::Dispose(_) => true,
        });
    }

    fn dispose(&mut self, task: TaskId, context: &str) -> Vec<u8> {
        self.call(Call::Dispose(task), "Target.disposeBrowserContext", &json!({ "browserContextId": context }))
    }

    fn call(&mut self, call: Call, method: &str, params: &Value) -> Vec<u8> {
        let id = self.ids.next_id();
        self.calls.insert(id, call);
        message::command(id, None, method, params)
    }

    fn command(&mut self, session: &str, method: &str, params: &Value) -> Vec<u8> {
        message::command(self.ids.next_id(), Some(session), method, params)
    }
}

impl Default for SharedBrowser {
    fn default() -> Self {
        Self::new()
    }
}

/// An answer under the id by which the task's session asked, with the pages of its own context only.
fn readdressed(message: &[u8], own_id: u32, context: Option<&str>, task: TaskId) -> Option<(TaskId, Word)> {
    let mut answer: Value = serde_json::from_slice(message).ok()?;
    answer["id"] = Value::from(own_id);
    if let (Some(context), Some(pages)) =
        (context, answer.pointer_mut("/result/targetInfos").and_then(Value::as_array_mut))
    {
        pages.retain(|page| page["browserContextId"] == context);
    }
    Some((task, Word::Said(answer.to_string().into_bytes())))
}

/// An event of the browser as a whole, as a session that is alone hears it.
fn without_session(message: &[u8]) -> Option<Vec<u8>> {
    let mut event: Value = serde_json::from_slice(message).ok()?;
    event.as_object_mut()?.remove("sessionId");
    Some(event.to_string().into_bytes())
}
