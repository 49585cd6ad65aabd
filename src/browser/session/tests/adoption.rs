//! Going on where an earlier service stopped.

use super::*;
use crate::browser::report::Refusal;

#[test]
fn a_lost_session_is_replaced_while_the_page_lives() {
    let mut talk = Talk::arrived();
    talk.event("Target.detachedFromTarget", &json!({ "sessionId": "S" }));
    assert_eq!(talk.sent.last().unwrap().1, "Target.attachToTarget");
    talk.attach_own("S2");
    assert!(talk.sent_to("S2").contains(&"Runtime.addBinding".to_owned()));
}

#[test]
fn an_adopted_page_is_injected_again_and_goes_on_reporting() {
    let saved = Talk::arrived().saved.unwrap();
    let saved: Saved = serde_json::from_str(&serde_json::to_string(&saved).unwrap()).unwrap();
    let mut talk = Talk::resumed(1, Some(saved));
    talk.report(2, &done_payload());
    talk.answer("Target.getTargets", &json!({ "targetInfos": [{ "targetId": "T", "type": "page", "url": URL }] }));
    let sent = talk.sent_to("S");
    assert!(sent.contains(&"Page.addScriptToEvaluateOnNewDocument".to_owned()));
    assert!(!sent.contains(&"Network.enable".to_owned()));
    let sampled = Fact::Sampled(PageSample { url: URL.to_owned(), ..PageSample::default() });
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
    talk.attach("T", "A", None);
    talk.say(&json!({ "id": 4, "result": { "targetId": "T" } }));
    talk.attach_own("S");
    assert_eq!(talk.sent_to("S")[..5], PREPARATION);
    assert_eq!(
        talk.take_facts(),
        [Fact::Answered { product: "Chrome/1".to_owned() }, Fact::Created { target: "T".to_owned() }]
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
    talk.attach_own("S");
    talk.answer(INJECT, &json!({ "identifier": "1" }));
    talk.answer("Page.getFrameTree", &json!({ "frameTree": { "frame": { "id": "T", "loaderId": "L", "url": URL } } }));
    talk.facts.retain(|fact| matches!(fact, Fact::Committed { .. }));
    assert_eq!(talk.take_facts(), [committed(None)]);
    talk.report(2, &done_payload());
    talk.report(2, r#"{"token":"guess","status":"DONE"}"#);
    assert_eq!(talk.take_facts(), [done(), Fact::ReportRefused(Refusal::Token)]);
}

#[test]
fn a_session_that_did_not_outlive_the_adoption_is_replaced() {
    let mut talk = Talk::resumed(1, Talk::arrived().saved);
    talk.answer("Target.getTargets", &json!({ "targetInfos": [{ "targetId": "T", "type": "page", "url": URL }] }));
    let id = talk.sent.iter().find(|(_, method, _)| method == "Page.enable").unwrap().0;
    talk.say(&json!({ "id": id, "error": { "code": -32001, "message": "Session with given id not found." } }));
    assert_eq!(talk.sent.last().unwrap().1, "Target.attachToTarget");
}

#[test]
fn a_whole_conversation_replayed_adds_no_first_time_facts() {
    let mut talk = Talk::opened(true);
    talk.answer("Browser.getVersion", &json!({ "product": "Chrome/1" }));
    let conversation = |talk: &mut Talk| {
        talk.attach("T", "A", None);
        talk.say(&json!({ "id": 4, "result": { "targetId": "T" } }));
        talk.attach_own("S");
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
    talk.event("Target.targetInfoChanged", &json!({ "targetInfo": { "targetId": "T", "type": "page", "title": "x" } }));
    assert_eq!(talk.saved, None);
    talk.page_event("Runtime.executionContextsCleared", &json!({}));
    assert!(talk.saved.is_some());
}
