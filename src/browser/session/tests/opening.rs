//! Which page is the task's, and that it is prepared before it runs.

use super::*;

#[test]
fn opening_asks_for_everything_at_once_and_the_url_is_only_in_create_target() {
    let talk = Talk::opened(true);
    let methods: Vec<_> = talk.sent.iter().map(|(_, method, _)| method.as_str()).collect();
    assert_eq!(
        methods,
        [
            "Target.setDiscoverTargets",
            "Browser.setDownloadBehavior",
            "Target.setAutoAttach",
            "Fetch.enable",
            "Browser.getVersion",
            "Target.createTarget"
        ]
    );
    assert_eq!(talk.sent[2].2["params"]["waitForDebuggerOnStart"], true);
    assert_eq!(talk.sent[5].2["params"], json!({ "url": URL, "newWindow": true }));
}

#[test]
fn the_first_answer_is_a_fact_once() {
    let mut talk = Talk::opened(true);
    talk.answer("Browser.getVersion", &json!({ "product": "Chrome/1" }));
    talk.answer("Browser.getVersion", &json!({ "product": "Chrome/1" }));
    assert_eq!(talk.take_facts(), [Fact::Answered { product: "Chrome/1".to_owned() }]);
}

#[test]
fn the_page_is_prepared_before_it_runs_when_attached_comes_first() {
    let mut talk = Talk::opened(true);
    talk.attach("T", "A", None);
    let asked = talk.sent.iter().filter(|(_, _, command)| command["sessionId"] == "A").map(|(_, method, _)| method);
    assert!(asked.eq(LISTENING.iter()), "it is only listened to");
    talk.answer("Target.createTarget", &json!({ "targetId": "T" }));
    assert_eq!(talk.take_facts(), [Fact::Created { target: "T".to_owned() }]);
    check_preparation(talk);
}

#[test]
fn the_page_is_prepared_before_it_runs_when_the_answer_comes_first() {
    let mut talk = Talk::opened(true);
    talk.answer("Target.createTarget", &json!({ "targetId": "T" }));
    talk.attach("T", "A", None);
    check_preparation(talk);
}

/// What is asked of a page the moment it is held.
const LISTENING: [&str; 2] = ["Page.enable", "Network.enable"];

/// A session of its own is asked for and prepared, and only when that is answered is the page let go.
fn check_preparation(mut talk: Talk) {
    assert_eq!(talk.sent.last().unwrap().1, "Target.attachToTarget");
    talk.event("Fetch.requestPaused", &json!({ "requestId": "R" }));
    talk.attach_own("S");
    assert_eq!(talk.sent.last().unwrap().1, INJECT);
    talk.answer(INJECT, &json!({ "identifier": "1" }));
    let released = talk.sent.iter().rev().take(3).map(|(_, method, command)| (method.as_str(), &command["params"]));
    let (disable, go_on) = (json!({}), json!({ "requestId": "R" }));
    // Later pages are held on, since their dialogs have to be answered.
    let stop_holding = json!({ "sessionId": "A" });
    assert!(released.eq([
        ("Fetch.disable", &disable),
        ("Fetch.continueRequest", &go_on),
        ("Target.detachFromTarget", &stop_holding),
    ]));
    let sent = talk.sent_to("S");
    assert_eq!(sent[..5], PREPARATION);
    assert_eq!(sent[5..], ["Runtime.runIfWaitingForDebugger", "Log.enable", "Page.getFrameTree"]);
}

#[test]
fn the_binding_exists_before_the_script_and_contexts_before_both() {
    let mut talk = Talk::attached();
    let script = talk.sent.iter().find(|(_, method, _)| method == "Page.addScriptToEvaluateOnNewDocument").unwrap();
    let source = script.2["params"]["source"].as_str().unwrap();
    assert!(source.contains(TOKEN) && source.contains(ORIGIN) && source.contains(BINDING));
    assert_eq!(talk.sent_to("S")[..5], PREPARATION);
}

#[test]
fn pages_of_nobody_are_let_run_before_and_after_ours_is_known() {
    let mut talk = Talk::opened(true);
    talk.attach("X", "SX", None);
    talk.attach("T", "S", None);
    talk.answer("Target.createTarget", &json!({ "targetId": "T" }));
    assert_eq!(talk.sent_to("SX").last().unwrap(), "Runtime.runIfWaitingForDebugger");
    talk.attach("P", "SP", Some("T"));
    assert_eq!(talk.sent_to("SP"), ["Page.enable", "Runtime.runIfWaitingForDebugger"]);
}

#[test]
fn a_refused_creation_is_a_fact_and_lets_the_others_go() {
    let mut talk = Talk::opened(true);
    talk.attach("X", "SX", None);
    let id = talk.sent.iter().find(|(_, method, _)| method == "Target.createTarget").unwrap().0;
    talk.say(&json!({ "id": id, "error": { "code": -32000, "message": "no window" } }));
    assert_eq!(talk.take_facts(), [Fact::NotCreated { message: "no window".to_owned() }]);
    assert_eq!(talk.sent_to("SX").last().unwrap(), "Runtime.runIfWaitingForDebugger");
}

#[test]
fn a_document_waits_for_the_script_and_goes_on_at_once_when_it_comes_late() {
    let mut talk = Talk::opened(true);
    talk.event("Fetch.requestPaused", &json!({ "requestId": "R" }));
    talk.event("Fetch.requestPaused", &json!({ "requestId": "R" }));
    assert!(talk.sent.iter().all(|(_, method, _)| method != "Fetch.continueRequest"));
    assert!(talk.saved.is_some(), "the next service has to know what waits");

    let mut talk = Talk::attached();
    talk.answer(INJECT, &json!({ "identifier": "1" }));
    talk.sent.clear();
    talk.event("Fetch.requestPaused", &json!({ "requestId": "late" }));
    assert_eq!(talk.sent.last().unwrap().1, "Fetch.continueRequest");
}

#[test]
fn what_waits_is_let_go_by_the_next_service() {
    let mut talk = Talk::opened(true);
    talk.event("Fetch.requestPaused", &json!({ "requestId": "R" }));
    let saved = talk.saved.take();
    let mut talk = Talk::resumed(2, saved);
    talk.answer("Target.getTargets", &json!({ "targetInfos": [{ "targetId": "T", "type": "page", "url": URL }] }));
    talk.attach_own("S");
    talk.answer(INJECT, &json!({ "identifier": "1" }));
    assert!(
        talk.sent
            .iter()
            .any(|(_, method, command)| { method == "Fetch.continueRequest" && command["params"]["requestId"] == "R" })
    );
}

#[test]
fn closing_the_browser_is_one_command() {
    let command = Session::new(2, plan(true)).close_browser();
    let command: Value = serde_json::from_slice(&command).unwrap();
    assert_eq!(command, json!({ "id": (2 << 21) + 1, "method": "Browser.close", "params": {} }));
}
