//! What the page says, shows and does, and what a hostile one tries.

use proptest::prelude::*;

use super::*;
use crate::browser::report::Refusal;

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
    let refusals =
        [Refusal::Frame, Refusal::Frame, Refusal::Token, Refusal::Malformed, Refusal::Frame, Refusal::Origin];
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
    talk.event("Target.detachedFromTarget", &json!({ "sessionId": "S", "targetId": "T" }));
    talk.event("Target.targetDestroyed", &json!({ "targetId": "T" }));
    talk.event("Target.targetDestroyed", &json!({ "targetId": "T" }));
    assert_eq!(talk.take_facts(), [Fact::PageClosed]);
}

#[test]
fn a_crash_says_whether_memory_was_the_cause() {
    for (status, oom) in [("crashed", false), ("killed", false), ("oom", true)] {
        let mut talk = Talk::arrived();
        talk.event("Target.targetCrashed", &json!({ "targetId": "P", "status": status, "errorCode": 1 }));
        talk.event("Target.targetCrashed", &json!({ "targetId": "T", "status": status, "errorCode": 1 }));
        assert_eq!(talk.take_facts(), [Fact::PageCrashed { status: status.to_owned(), oom }]);
    }
}

#[test]
fn what_is_shown_is_sampled_when_it_changes_and_never_shows_the_token() {
    let mut talk = Talk::arrived();
    let info = |title: &str| json!({ "targetInfo": { "targetId": "T", "type": "page", "title": title, "url": format!("{URL}#ctr=1.{TOKEN}") } });
    talk.event("Target.targetInfoChanged", &info("a"));
    talk.event("Target.targetInfoChanged", &info("a"));
    talk.event("Target.targetInfoChanged", &json!({ "targetInfo": { "targetId": "P", "type": "page" } }));
    let url = format!("{URL}#ctr=1.[token]");
    assert_eq!(talk.take_facts(), [Fact::Sampled(PageSample { url, title: "a".to_owned(), ..PageSample::default() })]);
}

#[test]
fn the_title_is_asked_for_when_a_document_has_loaded() {
    let mut talk = Talk::arrived();
    talk.page_event("Page.loadEventFired", &json!({ "timestamp": 1 }));
    let info = json!({ "targetId": "T", "type": "page", "url": URL, "title": "t" });
    talk.answer("Target.getTargetInfo", &json!({ "targetInfo": info }));
    let sample = PageSample { url: URL.to_owned(), title: "t".to_owned(), ..PageSample::default() };
    assert_eq!(talk.take_facts(), [Fact::Sampled(sample)]);
    assert!(talk.session.ask_sample().is_some());
    talk.event("Target.targetDestroyed", &json!({ "targetId": "T" }));
    assert_eq!(talk.session.ask_sample(), None);
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

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        Talk::arrived().session.receive(&bytes);
    }

    #[test]
    fn no_message_shaped_text_panics(
        method in "(Target|Page|Network|Runtime|Browser)\\.(attachedToTarget|targetDestroyed|targetCrashed|bindingCalled|\
                   executionContextCreated|frameNavigated|loadingFailed|responseReceived|javascriptDialogOpening|\
                   javascriptDialogClosed|downloadWillBegin|downloadProgress)",
        params in "(\\{|\\}|\\[|\\]|\"[a-zA-Z]{0,12}\":|\"[a-zA-Z]{0,6}\"|,|[0-9-]{1,22}|null|true){0,20}",
    ) {
        let text = format!(r#"{{"method":"{method}","params":{params},"sessionId":"S"}}"#);
        Talk::arrived().session.receive(text.as_bytes());
    }
}
