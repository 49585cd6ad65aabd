//! Conversations as they were recorded from a browser, and as a hostile page would have them.

mod adoption;
mod capture;
mod console;
mod dialogs;
mod downloads;
mod fragment;
mod front;
mod navigation;
mod opening;
mod popups;
mod reports;

use super::*;
use crate::browser::report::{BINDING, Report, ReportStatus};

const URL: &str = "http://127.0.0.1:8000/task";
const ORIGIN: &str = "http://127.0.0.1:8000";
const TOKEN: &str = "s3cret";

fn plan(headless: bool) -> PagePlan {
    PagePlan {
        url: URL.to_owned(),
        fragment: String::new(),
        allowed_origins: vec![ORIGIN.to_owned()],
        callback_token: TOKEN.to_owned(),
        dialogs: if headless { DialogPolicy::Accept } else { DialogPolicy::Leave },
        wait_for_popups: false,
        downloads: DownloadPlan {
            dir: PathBuf::from("/state/files/1"),
            bytes_max: 1000,
            files_max: 3,
            kept_bytes: 0,
            kept_files: 0,
        },
    }
}

/// A browser's end of a conversation.
struct Talk {
    session: Session,
    /// Methods of all commands so far, with their ids.
    sent: Vec<(u64, String, Value)>,
    facts: Vec<Fact>,
    saved: Option<Saved>,
}

impl Talk {
    fn opened(headless: bool) -> Self {
        let mut session = Session::new(0, plan(headless));
        let commands = session.open();
        let mut talk = Self { session, sent: Vec::new(), facts: Vec::new(), saved: None };
        talk.note(&commands);
        talk
    }

    fn resumed(attach: u32, saved: Option<Saved>) -> Self {
        let mut session = Session::new(attach, plan(true));
        let commands = session.resume(saved);
        let mut talk = Self { session, sent: Vec::new(), facts: Vec::new(), saved: None };
        talk.note(&commands);
        talk
    }

    /// A headless session whose page is attached and prepared.
    fn attached() -> Self {
        let mut talk = Self::opened(true);
        talk.attach("T", "A", None);
        talk.answer("Target.createTarget", &json!({ "targetId": "T" }));
        talk.attach_own("S");
        talk.answer(INJECT, &json!({ "identifier": "1" }));
        talk.facts.clear();
        talk
    }

    /// One whose document has arrived in context 2.
    fn arrived() -> Self {
        let mut talk = Self::attached();
        talk.started("L");
        talk.navigated(&json!({ "id": "T", "loaderId": "L", "url": URL }));
        talk.context(2, ORIGIN, "T");
        talk.facts.clear();
        talk
    }

    fn note(&mut self, commands: &[Vec<u8>]) {
        for command in commands {
            let mut command: Value = serde_json::from_slice(command).unwrap();
            let method = command["method"].as_str().unwrap().to_owned();
            self.sent.push((command["id"].as_u64().unwrap(), method, command.take()));
        }
    }

    /// Methods of the commands that were sent to one session since the last call.
    fn sent_to(&mut self, session: &str) -> Vec<String> {
        let sent = std::mem::take(&mut self.sent).into_iter();
        sent.filter(|(_, _, command)| command["sessionId"] == session).map(|(_, method, _)| method).collect()
    }

    fn say(&mut self, message: &Value) {
        let step = self.session.receive(message.to_string().as_bytes());
        self.note(&step.commands);
        self.facts.extend(step.facts);
        self.saved = step.save.or(self.saved.take());
    }

    fn event(&mut self, method: &str, params: &Value) {
        self.say(&json!({ "method": method, "params": params }));
    }

    fn page_event(&mut self, method: &str, params: &Value) {
        self.say(&json!({ "method": method, "params": params, "sessionId": "S" }));
    }

    fn answer(&mut self, method: &str, result: &Value) {
        let (id, ..) = self.sent.iter().find(|(_, sent, _)| sent == method).expect("the command was sent");
        self.say(&json!({ "id": id, "result": result }));
    }

    fn attach(&mut self, target: &str, session: &str, opener: Option<&str>) {
        self.event(
            "Target.attachedToTarget",
            &json!({ "sessionId": session, "waitingForDebugger": true,
                "targetInfo": { "targetId": target, "type": "page", "url": URL, "title": "", "openerId": opener } }),
        );
    }

    /// The answer to the attachment that was asked for.
    fn attach_own(&mut self, session: &str) {
        let info = json!({ "targetId": "T", "type": "page", "url": URL, "title": "" });
        let params = json!({ "sessionId": session, "waitingForDebugger": false, "targetInfo": info });
        self.event("Target.attachedToTarget", &params);
    }

    fn started(&mut self, loader: &str) {
        let params = json!({ "frameId": "T", "loaderId": loader, "url": URL, "navigationType": "differentDocument" });
        self.page_event("Page.frameStartedNavigating", &params);
    }

    fn responded(&mut self, loader: &str, status: u16) {
        let params = json!({ "requestId": loader, "loaderId": loader, "type": "Document", "frameId": "T",
            "response": { "status": status } });
        self.page_event("Network.responseReceived", &params);
    }

    fn failed(&mut self, request: &str, error: &str) {
        let params = json!({ "requestId": request, "type": "Document", "errorText": error });
        self.page_event("Network.loadingFailed", &params);
    }

    fn navigated(&mut self, frame: &Value) {
        self.page_event("Page.frameNavigated", &json!({ "frame": frame }));
    }

    fn context(&mut self, id: i64, origin: &str, frame: &str) {
        let params = json!({ "context": { "id": id, "origin": origin, "name": "",
            "auxData": { "isDefault": true, "type": "default", "frameId": frame } } });
        self.page_event("Runtime.executionContextCreated", &params);
    }

    fn report(&mut self, context: i64, payload: &str) {
        let params = json!({ "name": BINDING, "payload": payload, "executionContextId": context });
        self.page_event("Runtime.bindingCalled", &params);
    }

    fn take_facts(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.facts)
    }
}

fn done_payload() -> String {
    format!(r#"{{"token":"{TOKEN}","status":"DONE","result":"42"}}"#)
}

fn done() -> Fact {
    let result = Some("42".to_owned());
    Fact::Reported(Report { status: ReportStatus::Done, message: String::new(), result, progress: None })
}

fn committed(http_status: Option<u16>) -> Fact {
    Fact::Committed { url: URL.to_owned(), http_status }
}

fn failed_with(net_error: &str) -> Fact {
    Fact::NavigationFailed { url: URL.to_owned(), net_error: net_error.to_owned() }
}

const PREPARATION: [&str; 5] =
    ["Page.enable", "Network.enable", "Runtime.enable", "Runtime.addBinding", "Page.addScriptToEvaluateOnNewDocument"];

const INJECT: &str = "Page.addScriptToEvaluateOnNewDocument";
