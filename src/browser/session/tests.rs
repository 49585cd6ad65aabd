//! Conversations as they were recorded from a browser, and as a hostile page would have them.

use proptest::prelude::*;

use super::*;
use crate::browser::report::{BINDING, Refusal, ReportStatus};

const URL: &str = "http://127.0.0.1:8000/task";
const ORIGIN: &str = "http://127.0.0.1:8000";
const TOKEN: &str = "s3cret";

fn plan(headless: bool) -> PagePlan {
    PagePlan {
        url: URL.to_owned(),
        allowed_origins: vec![ORIGIN.to_owned()],
        callback_token: TOKEN.to_owned(),
        headless,
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
        let mut talk = Self {
            session,
            sent: Vec::new(),
            facts: Vec::new(),
            saved: None,
        };
        talk.note(&commands);
        talk
    }

    fn resumed(attach: u32, saved: Option<Saved>) -> Self {
        let mut session = Session::new(attach, plan(true));
        let commands = session.resume(saved);
        let mut talk = Self {
            session,
            sent: Vec::new(),
            facts: Vec::new(),
            saved: None,
        };
        talk.note(&commands);
        talk
    }

    /// A headless session whose page is attached and prepared.
    fn attached() -> Self {
        let mut talk = Self::opened(true);
        talk.attach("T", "S", None);
        talk.answer("Target.createTarget", &json!({ "targetId": "T" }));
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
            self.sent
                .push((command["id"].as_u64().unwrap(), method, command.take()));
        }
    }

    /// Methods of the commands that were sent to one session since the last call.
    fn sent_to(&mut self, session: &str) -> Vec<String> {
        let sent = std::mem::take(&mut self.sent).into_iter();
        sent.filter(|(_, _, command)| command["sessionId"] == session)
            .map(|(_, method, _)| method)
            .collect()
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
        let (id, ..) = self
            .sent
            .iter()
            .find(|(_, sent, _)| sent == method)
            .expect("the command was sent");
        self.say(&json!({ "id": id, "result": result }));
    }

    fn attach(&mut self, target: &str, session: &str, opener: Option<&str>) {
        self.event(
            "Target.attachedToTarget",
            &json!({ "sessionId": session, "waitingForDebugger": true,
                "targetInfo": { "targetId": target, "type": "page", "url": URL, "title": "", "openerId": opener } }),
        );
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
    Fact::Reported(Report {
        status: ReportStatus::Done,
        message: String::new(),
        result,
        progress: None,
    })
}

use crate::browser::report::Report;

fn committed(http_status: Option<u16>) -> Fact {
    Fact::Committed {
        url: URL.to_owned(),
        http_status,
    }
}

fn failed_with(net_error: &str) -> Fact {
    Fact::NavigationFailed {
        url: URL.to_owned(),
        net_error: net_error.to_owned(),
    }
}

const PREPARATION: [&str; 6] = [
    "Page.enable",
    "Network.enable",
    "Runtime.enable",
    "Runtime.addBinding",
    "Page.addScriptToEvaluateOnNewDocument",
    "Runtime.runIfWaitingForDebugger",
];

#[test]
fn opening_asks_for_everything_at_once_and_the_url_is_only_in_create_target() {
    let talk = Talk::opened(true);
    let methods: Vec<_> = talk
        .sent
        .iter()
        .map(|(_, method, _)| method.as_str())
        .collect();
    assert_eq!(
        methods,
        [
            "Target.setDiscoverTargets",
            "Target.setAutoAttach",
            "Browser.getVersion",
            "Target.createTarget"
        ]
    );
    assert_eq!(talk.sent[1].2["params"]["waitForDebuggerOnStart"], true);
    assert_eq!(
        talk.sent[3].2["params"],
        json!({ "url": URL, "newWindow": false })
    );
    assert_eq!(Talk::opened(false).sent[3].2["params"]["newWindow"], true);
}

#[test]
fn the_first_answer_is_a_fact_once() {
    let mut talk = Talk::opened(true);
    talk.answer("Browser.getVersion", &json!({ "product": "Chrome/1" }));
    talk.answer("Browser.getVersion", &json!({ "product": "Chrome/1" }));
    assert_eq!(
        talk.take_facts(),
        [Fact::Answered {
            product: "Chrome/1".to_owned()
        }]
    );
}

#[test]
fn the_page_is_prepared_before_it_runs_when_attached_comes_first() {
    let mut talk = Talk::opened(true);
    talk.attach("T", "S", None);
    assert!(
        talk.sent
            .iter()
            .all(|(_, _, command)| command["sessionId"].is_null())
    );
    talk.answer("Target.createTarget", &json!({ "targetId": "T" }));
    assert_eq!(talk.sent_to("S"), PREPARATION);
    assert_eq!(
        talk.take_facts(),
        [Fact::Created {
            target: "T".to_owned()
        }]
    );
}

#[test]
fn the_page_is_prepared_before_it_runs_when_the_answer_comes_first() {
    let mut talk = Talk::opened(true);
    talk.answer("Target.createTarget", &json!({ "targetId": "T" }));
    talk.attach("T", "S", None);
    assert_eq!(talk.sent_to("S"), PREPARATION);
}

#[test]
fn the_binding_exists_before_the_script_and_contexts_before_both() {
    let mut talk = Talk::attached();
    let script = talk
        .sent
        .iter()
        .find(|(_, method, _)| method == "Page.addScriptToEvaluateOnNewDocument")
        .unwrap();
    let source = script.2["params"]["source"].as_str().unwrap();
    assert!(source.contains(TOKEN) && source.contains(ORIGIN) && source.contains(BINDING));
    assert_eq!(talk.sent_to("S"), PREPARATION);
}

#[test]
fn pages_of_nobody_are_let_run_before_and_after_ours_is_known() {
    let mut talk = Talk::opened(true);
    talk.attach("X", "SX", None);
    talk.attach("T", "S", None);
    talk.answer("Target.createTarget", &json!({ "targetId": "T" }));
    assert_eq!(
        talk.sent_to("SX"),
        ["Page.enable", "Runtime.runIfWaitingForDebugger"]
    );
    talk.attach("P", "SP", Some("T"));
    assert_eq!(
        talk.sent_to("SP"),
        ["Page.enable", "Runtime.runIfWaitingForDebugger"]
    );
}

#[test]
fn in_a_window_later_pages_do_not_wait() {
    let mut talk = Talk::opened(false);
    talk.attach("T", "S", None);
    talk.answer("Target.createTarget", &json!({ "targetId": "T" }));
    let last = talk.sent.last().unwrap();
    assert_eq!(
        (last.1.as_str(), &last.2["params"]["waitForDebuggerOnStart"]),
        ("Target.setAutoAttach", &json!(false))
    );
}

#[test]
fn a_refused_creation_is_a_fact_and_lets_the_others_go() {
    let mut talk = Talk::opened(true);
    talk.attach("X", "SX", None);
    let id = talk
        .sent
        .iter()
        .find(|(_, method, _)| method == "Target.createTarget")
        .unwrap()
        .0;
    talk.say(&json!({ "id": id, "error": { "code": -32000, "message": "no window" } }));
    assert_eq!(
        talk.take_facts(),
        [Fact::NotCreated {
            message: "no window".to_owned()
        }]
    );
    assert_eq!(talk.sent_to("SX").len(), 2);
}

#[test]
fn a_document_with_its_status_is_committed_and_the_network_is_left_alone() {
    let mut talk = Talk::attached();
    talk.started("L");
    talk.responded("L", 404);
    assert_eq!(talk.take_facts(), []);
    talk.sent.clear();
    talk.navigated(&json!({ "id": "T", "loaderId": "L", "url": URL }));
    assert_eq!(talk.take_facts(), [committed(Some(404))]);
    assert_eq!(talk.sent_to("S"), ["Network.disable"]);
}

#[test]
fn redirects_keep_the_request_and_the_last_status_counts() {
    let mut talk = Talk::attached();
    talk.started("L");
    let redirected = json!({ "requestId": "L", "loaderId": "L", "type": "Document", "frameId": "T",
        "request": { "url": "http://127.0.0.1:8000/end" }, "redirectResponse": { "status": 302 } });
    talk.page_event("Network.requestWillBeSent", &redirected);
    talk.responded("L", 200);
    talk.navigated(&json!({ "id": "T", "loaderId": "L", "url": "http://127.0.0.1:8000/end" }));
    let end = "http://127.0.0.1:8000/end".to_owned();
    assert_eq!(
        talk.take_facts(),
        [Fact::Committed {
            url: end,
            http_status: Some(200)
        }]
    );
}

#[test]
fn a_net_error_is_a_fact_once_and_its_error_page_is_not() {
    let mut talk = Talk::attached();
    talk.started("L");
    talk.failed("L", "net::ERR_NAME_NOT_RESOLVED");
    talk.navigated(&json!({ "id": "T", "loaderId": "L", "url": "chrome-error://chromewebdata/", "unreachableUrl": URL }));
    talk.page_event("Page.loadEventFired", &json!({ "timestamp": 1 }));
    talk.started("L2");
    talk.failed("L2", "net::ERR_NAME_NOT_RESOLVED");
    assert_eq!(
        talk.take_facts(),
        [failed_with("net::ERR_NAME_NOT_RESOLVED")]
    );
}

#[test]
fn an_error_is_seen_even_when_its_beginning_was_not() {
    let mut talk = Talk::attached();
    talk.failed("L", "net::ERR_CONNECTION_REFUSED");
    assert_eq!(
        talk.take_facts(),
        [failed_with("net::ERR_CONNECTION_REFUSED")]
    );
    let mut talk = Talk::attached();
    talk.navigated(
        &json!({ "id": "T", "loaderId": "L", "url": "chrome-error://x/", "unreachableUrl": URL }),
    );
    assert_eq!(talk.take_facts(), [failed_with("net::ERR_FAILED")]);
}

#[test]
fn an_http_error_without_a_body_is_an_answer() {
    let mut talk = Talk::attached();
    talk.started("L");
    talk.responded("L", 503);
    talk.failed("L", "net::ERR_HTTP_RESPONSE_CODE_FAILURE");
    assert_eq!(talk.take_facts(), [committed(Some(503))]);
}

#[test]
fn other_frames_and_other_requests_do_not_decide() {
    let mut talk = Talk::attached();
    talk.started("L");
    talk.failed("image", "net::ERR_FAILED");
    talk.navigated(
        &json!({ "id": "F", "parentId": "T", "loaderId": "LF", "url": "http://other/" }),
    );
    talk.navigated(&json!({ "id": "T", "loaderId": "B", "url": "about:blank" }));
    assert_eq!(talk.take_facts(), []);
}

#[test]
fn only_the_first_navigation_decides() {
    let mut talk = Talk::arrived();
    talk.started("L2");
    talk.failed("L2", "net::ERR_CONNECTION_REFUSED");
    talk.navigated(&json!({ "id": "T", "loaderId": "L3", "url": "http://other/" }));
    assert_eq!(talk.take_facts(), []);
}

#[test]
fn a_report_from_the_page_is_a_fact() {
    let mut talk = Talk::arrived();
    talk.report(2, &done_payload());
    assert_eq!(talk.take_facts(), [done()]);
}

#[test]
fn reports_from_elsewhere_are_refused_by_name() {
    let mut talk = Talk::arrived();
    talk.context(3, "http://127.0.0.1:8000", "F");
    talk.report(3, &done_payload());
    talk.report(99, &done_payload());
    talk.report(2, r#"{"token":"guess","status":"DONE"}"#);
    talk.report(2, "x");
    talk.page_event("Runtime.executionContextsCleared", &json!({}));
    talk.report(2, &done_payload());
    talk.context(4, "https://evil.example", "T");
    talk.report(4, &done_payload());
    let refusals = [
        Refusal::Frame,
        Refusal::Frame,
        Refusal::Token,
        Refusal::Malformed,
        Refusal::Frame,
        Refusal::Origin,
    ];
    assert_eq!(talk.take_facts(), refusals.map(Fact::ReportRefused));
}

#[test]
fn an_isolated_world_or_a_popup_cannot_report() {
    let mut talk = Talk::arrived();
    let world = json!({ "context": { "id": 7, "origin": ORIGIN,
        "auxData": { "isDefault": false, "type": "isolated", "frameId": "T" } } });
    talk.page_event("Runtime.executionContextCreated", &world);
    talk.report(7, &done_payload());
    assert_eq!(talk.take_facts(), [Fact::ReportRefused(Refusal::Frame)]);
    let params = json!({ "name": BINDING, "payload": done_payload(), "executionContextId": 2 });
    talk.say(&json!({ "method": "Runtime.bindingCalled", "params": params, "sessionId": "SP" }));
    talk.event("Runtime.bindingCalled", &params);
    assert_eq!(talk.take_facts(), []);
}

#[test]
fn a_closed_page_is_a_fact_once_and_another_page_is_not() {
    let mut talk = Talk::arrived();
    talk.event("Target.targetDestroyed", &json!({ "targetId": "P" }));
    talk.event(
        "Target.detachedFromTarget",
        &json!({ "sessionId": "S", "targetId": "T" }),
    );
    talk.event("Target.targetDestroyed", &json!({ "targetId": "T" }));
    talk.event("Target.targetDestroyed", &json!({ "targetId": "T" }));
    assert_eq!(talk.take_facts(), [Fact::PageClosed]);
}

#[test]
fn a_crash_says_whether_memory_was_the_cause() {
    for (status, oom) in [("crashed", false), ("killed", false), ("oom", true)] {
        let mut talk = Talk::arrived();
        talk.event(
            "Target.targetCrashed",
            &json!({ "targetId": "P", "status": status, "errorCode": 1 }),
        );
        talk.event(
            "Target.targetCrashed",
            &json!({ "targetId": "T", "status": status, "errorCode": 1 }),
        );
        assert_eq!(
            talk.take_facts(),
            [Fact::PageCrashed {
                status: status.to_owned(),
                oom
            }]
        );
    }
}

#[test]
fn what_is_shown_is_sampled_when_it_changes_and_never_shows_the_token() {
    let mut talk = Talk::arrived();
    let info = |title: &str| json!({ "targetInfo": { "targetId": "T", "type": "page", "title": title, "url": format!("{URL}#ctr=1.{TOKEN}") } });
    talk.event("Target.targetInfoChanged", &info("a"));
    talk.event("Target.targetInfoChanged", &info("a"));
    talk.event(
        "Target.targetInfoChanged",
        &json!({ "targetInfo": { "targetId": "P", "type": "page" } }),
    );
    let url = format!("{URL}#ctr=1.[token]");
    assert_eq!(
        talk.take_facts(),
        [Fact::Sampled(PageSample {
            url,
            title: "a".to_owned()
        })]
    );
}

#[test]
fn a_dialog_is_accepted_where_nobody_sees_it_and_left_to_the_person_in_a_window() {
    let dialog = json!({ "type": "prompt", "message": "?", "url": URL, "defaultPrompt": "d", "hasBrowserHandler": true });
    let mut talk = Talk::arrived();
    talk.sent.clear();
    talk.page_event("Page.javascriptDialogOpening", &dialog);
    assert_eq!(
        talk.sent[0].2["params"],
        json!({ "accept": true, "promptText": "d" })
    );
    talk.page_event("Page.javascriptDialogClosed", &json!({}));
    let opened = |accepted| Fact::DialogOpened {
        kind: "prompt".to_owned(),
        accepted,
    };
    assert_eq!(talk.take_facts(), [opened(true), Fact::DialogClosed]);

    let mut talk = Talk::opened(false);
    talk.attach("T", "S", None);
    talk.answer("Target.createTarget", &json!({ "targetId": "T" }));
    talk.sent.clear();
    talk.facts.clear();
    talk.page_event("Page.javascriptDialogOpening", &dialog);
    assert_eq!(
        (talk.sent.len(), talk.take_facts()),
        (0, vec![opened(false)])
    );
}

#[test]
fn a_popups_dialog_is_answered_on_its_own_session_without_a_fact() {
    let mut talk = Talk::arrived();
    talk.sent.clear();
    let message = json!({ "method": "Page.javascriptDialogOpening", "params": { "type": "alert" }, "sessionId": "SP" });
    talk.say(&message);
    assert_eq!(talk.sent_to("SP"), ["Page.handleJavaScriptDialog"]);
    assert_eq!(talk.take_facts(), []);
}

#[test]
fn a_lost_session_is_replaced_while_the_page_lives() {
    let mut talk = Talk::arrived();
    talk.event("Target.detachedFromTarget", &json!({ "sessionId": "S" }));
    assert_eq!(talk.sent.last().unwrap().1, "Target.attachToTarget");
    talk.attach("T", "S2", None);
    assert!(
        talk.sent_to("S2")
            .contains(&"Runtime.addBinding".to_owned())
    );
}

#[test]
fn an_adopted_page_is_injected_again_and_goes_on_reporting() {
    let saved = Talk::arrived().saved.unwrap();
    let saved: Saved = serde_json::from_str(&serde_json::to_string(&saved).unwrap()).unwrap();
    let mut talk = Talk::resumed(1, Some(saved));
    talk.report(2, &done_payload());
    talk.answer(
        "Target.getTargets",
        &json!({ "targetInfos": [{ "targetId": "T", "type": "page", "url": URL }] }),
    );
    let sent = talk.sent_to("S");
    assert!(sent.contains(&"Page.addScriptToEvaluateOnNewDocument".to_owned()));
    assert!(!sent.contains(&"Network.enable".to_owned()));
    let sampled = Fact::Sampled(PageSample {
        url: URL.to_owned(),
        title: String::new(),
    });
    assert_eq!(talk.take_facts(), [done(), sampled]);
}

#[test]
fn an_adopted_page_that_is_gone_was_closed() {
    let mut talk = Talk::resumed(1, Talk::arrived().saved);
    talk.answer("Target.getTargets", &json!({ "targetInfos": [] }));
    assert_eq!(talk.take_facts(), [Fact::PageClosed]);
}

#[test]
fn a_page_that_was_never_created_is_created() {
    let mut talk = Talk::resumed(1, None);
    talk.answer("Target.getTargets", &json!({ "targetInfos": [] }));
    assert_eq!(talk.sent.last().unwrap().1, "Target.createTarget");
}

#[test]
fn the_replay_of_a_creation_is_understood_although_its_command_is_not_ours() {
    let mut talk = Talk::resumed(1, None);
    talk.say(&json!({ "id": 3, "result": { "product": "Chrome/1" } }));
    talk.attach("T", "S", None);
    talk.say(&json!({ "id": 4, "result": { "targetId": "T" } }));
    assert_eq!(talk.sent_to("S")[..6], PREPARATION);
    assert_eq!(
        talk.take_facts(),
        [
            Fact::Answered {
                product: "Chrome/1".to_owned()
            },
            Fact::Created {
                target: "T".to_owned()
            }
        ]
    );
}

#[test]
fn without_a_saved_state_the_token_alone_vouches() {
    let mut talk = Talk::resumed(1, None);
    talk.answer(
        "Target.getTargets",
        &json!({ "targetInfos": [
            { "targetId": "P", "type": "page", "url": URL, "openerId": "T" },
            { "targetId": "T", "type": "page", "url": URL },
        ] }),
    );
    talk.event(
        "Target.attachedToTarget",
        &json!({ "sessionId": "S", "waitingForDebugger": false, "targetInfo": { "targetId": "T", "type": "page" } }),
    );
    talk.answer(
        "Page.getFrameTree",
        &json!({ "frameTree": { "frame": { "id": "T", "loaderId": "L", "url": URL } } }),
    );
    talk.facts
        .retain(|fact| matches!(fact, Fact::Committed { .. }));
    assert_eq!(talk.take_facts(), [committed(None)]);
    talk.report(2, &done_payload());
    talk.report(2, r#"{"token":"guess","status":"DONE"}"#);
    assert_eq!(
        talk.take_facts(),
        [done(), Fact::ReportRefused(Refusal::Token)]
    );
}

#[test]
fn a_session_that_did_not_outlive_the_adoption_is_replaced() {
    let mut talk = Talk::resumed(1, Talk::arrived().saved);
    talk.answer(
        "Target.getTargets",
        &json!({ "targetInfos": [{ "targetId": "T", "type": "page", "url": URL }] }),
    );
    let id = talk
        .sent
        .iter()
        .find(|(_, method, _)| method == "Page.enable")
        .unwrap()
        .0;
    talk.say(&json!({ "id": id, "error": { "code": -32001, "message": "Session with given id not found." } }));
    assert_eq!(talk.sent.last().unwrap().1, "Target.attachToTarget");
}

#[test]
fn a_whole_conversation_replayed_adds_no_first_time_facts() {
    let mut talk = Talk::opened(true);
    talk.answer("Browser.getVersion", &json!({ "product": "Chrome/1" }));
    let conversation = |talk: &mut Talk| {
        talk.attach("T", "S", None);
        talk.say(&json!({ "id": 4, "result": { "targetId": "T" } }));
        talk.started("L");
        talk.responded("L", 200);
        talk.navigated(&json!({ "id": "T", "loaderId": "L", "url": URL }));
        talk.context(2, ORIGIN, "T");
    };
    conversation(&mut talk);
    assert_eq!(talk.take_facts().len(), 3);
    let mut again = Talk::resumed(1, talk.saved);
    again.say(&json!({ "id": 3, "result": { "product": "Chrome/1" } }));
    conversation(&mut again);
    again.report(2, &done_payload());
    assert_eq!(again.take_facts(), [done()]);
}

#[test]
fn what_is_saved_changes_only_when_it_must_be_written() {
    let mut talk = Talk::arrived();
    talk.saved = None;
    talk.page_event("Runtime.consoleAPICalled", &json!({ "type": "log" }));
    talk.report(2, &done_payload());
    talk.event(
        "Target.targetInfoChanged",
        &json!({ "targetInfo": { "targetId": "T", "type": "page", "title": "x" } }),
    );
    assert_eq!(talk.saved, None);
    talk.page_event("Runtime.executionContextsCleared", &json!({}));
    assert!(talk.saved.is_some());
}

#[test]
fn a_hostile_page_cannot_grow_the_state() {
    let mut talk = Talk::arrived();
    for id in 0..1000 {
        talk.context(id, ORIGIN, "T");
        talk.context(id, ORIGIN, "F");
    }
    assert!(talk.saved.unwrap().contexts.len() <= 16);
}

#[test]
fn closing_the_browser_is_one_command() {
    let command = Session::new(2, plan(true)).close_browser();
    let command: Value = serde_json::from_slice(&command).unwrap();
    assert_eq!(
        command,
        json!({ "id": (2 << 21) + 1, "method": "Browser.close", "params": {} })
    );
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        Talk::arrived().session.receive(&bytes);
    }

    #[test]
    fn no_message_shaped_text_panics(
        method in "(Target|Page|Network|Runtime)\\.(attachedToTarget|targetDestroyed|targetCrashed|bindingCalled|\
                   executionContextCreated|frameNavigated|loadingFailed|responseReceived|javascriptDialogOpening)",
        params in "(\\{|\\}|\\[|\\]|\"[a-zA-Z]{0,12}\":|\"[a-zA-Z]{0,6}\"|,|[0-9-]{1,22}|null|true){0,20}",
    ) {
        let text = format!(r#"{{"method":"{method}","params":{params},"sessionId":"S"}}"#);
        Talk::arrived().session.receive(text.as_bytes());
    }
}
