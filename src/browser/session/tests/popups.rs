//! The pages that the task's page opens.

use super::*;

fn opened(talk: &mut Talk, target: &str, opener: Option<&str>) {
    let info = json!({ "targetId": target, "type": "page", "openerId": opener });
    talk.event("Target.targetCreated", &json!({ "targetInfo": info }));
}

fn closed(talk: &mut Talk, target: &str) {
    talk.event("Target.targetDestroyed", &json!({ "targetId": target }));
}

/// How many popups were told since the last call, each time.
fn told(talk: &mut Talk) -> Vec<usize> {
    let facts = talk.take_facts().into_iter();
    facts.filter_map(|fact| if let Fact::Sampled(sample) = fact { Some(sample.popup_count) } else { None }).collect()
}

/// A session that waits for popups, whose page has opened one that has opened another.
fn waiting() -> Talk {
    let mut talk = Talk::arrived();
    talk.session.plan.wait_for_popups = true;
    opened(&mut talk, "P", Some("T"));
    opened(&mut talk, "Q", Some("P"));
    talk.facts.clear();
    talk
}

#[test]
fn popups_of_popups_count_and_strangers_do_not() {
    let mut talk = Talk::arrived();
    opened(&mut talk, "P", Some("T"));
    opened(&mut talk, "Q", Some("P"));
    opened(&mut talk, "N", None);
    opened(&mut talk, "M", Some("N"));
    let devtools = json!({ "targetId": "D", "type": "other", "openerId": "T" });
    talk.event("Target.targetCreated", &json!({ "targetInfo": devtools }));
    closed(&mut talk, "N");
    closed(&mut talk, "P");
    assert_eq!(told(&mut talk), [1, 2, 1]);
}

#[test]
fn the_task_ends_with_its_page_whatever_it_opened() {
    let mut talk = waiting();
    talk.session.plan.wait_for_popups = false;
    closed(&mut talk, "T");
    assert_eq!(talk.take_facts(), [Fact::PageClosed]);
}

#[test]
fn a_task_that_waits_for_its_popups_ends_with_the_last_of_them() {
    let mut talk = waiting();
    closed(&mut talk, "T");
    closed(&mut talk, "P");
    assert_eq!(told(&mut talk), [1]);
    // A window that shows nothing any more is not waited for, and is no failure of the task.
    talk.event("Target.targetCrashed", &json!({ "targetId": "Q", "status": "crashed", "errorCode": 11 }));
    let sampled = Fact::Sampled(PageSample::default());
    assert_eq!(talk.take_facts(), [sampled, Fact::PageClosed]);
    closed(&mut talk, "Q");
    assert_eq!(talk.take_facts(), []);
}

#[test]
fn popups_that_are_closed_first_are_not_waited_for() {
    let mut talk = waiting();
    closed(&mut talk, "Q");
    closed(&mut talk, "P");
    talk.facts.clear();
    closed(&mut talk, "T");
    assert_eq!(talk.take_facts(), [Fact::PageClosed]);
}

#[test]
fn the_next_service_knows_the_popups_although_their_opener_is_gone() {
    let mut talk = waiting();
    closed(&mut talk, "T");
    closed(&mut talk, "P");
    let saved = serde_json::to_string(&talk.saved.unwrap()).unwrap();
    let resumed = || {
        let mut talk = Talk::resumed(1, Some(serde_json::from_str(&saved).unwrap()));
        talk.session.plan.wait_for_popups = true;
        talk
    };
    let mut talk = resumed();
    talk.answer("Target.getTargets", &json!({ "targetInfos": [{ "targetId": "Q", "type": "page" }] }));
    assert_eq!(told(&mut talk), [1]);
    closed(&mut talk, "Q");
    assert_eq!(talk.take_facts().last(), Some(&Fact::PageClosed));
    let mut talk = resumed();
    talk.answer("Target.getTargets", &json!({ "targetInfos": [] }));
    assert_eq!(talk.take_facts(), [Fact::PageClosed], "they were closed meanwhile");
}

#[test]
fn without_a_saved_state_popups_are_found_by_their_openers_in_any_order() {
    let mut talk = Talk::resumed(1, None);
    let pages = json!({ "targetInfos": [
        { "targetId": "Q", "type": "page", "openerId": "P" },
        { "targetId": "P", "type": "page", "openerId": "T" },
        { "targetId": "T", "type": "page", "url": URL },
    ] });
    talk.answer("Target.getTargets", &pages);
    assert_eq!(told(&mut talk).last(), Some(&2));
}

#[test]
fn a_page_that_opens_windows_without_end_cannot_grow_the_state() {
    let mut talk = Talk::arrived();
    for number in 0..1000 {
        opened(&mut talk, &format!("P{number}"), Some("T"));
    }
    assert_eq!(talk.saved.unwrap().popups.len(), 256);
}

#[test]
fn later_pages_of_the_task_are_listened_to_before_they_run_or_attached_to() {
    let mut talk = Talk::arrived();
    opened(&mut talk, "P", Some("T"));
    talk.sent.clear();
    talk.attach("P", "SP", Some("T"));
    assert_eq!(talk.sent_to("SP"), ["Page.enable", "Runtime.runIfWaitingForDebugger"]);

    let mut talk = Talk::opened(false);
    talk.attach("T", "A", None);
    talk.answer("Target.createTarget", &json!({ "targetId": "T" }));
    talk.attach_own("S");
    talk.answer(INJECT, &json!({ "identifier": "1" }));
    talk.sent.clear();
    opened(&mut talk, "P", Some("T"));
    opened(&mut talk, "N", None);
    let asked: Vec<_> = talk.sent.iter().map(|(_, method, command)| (method.as_str(), &command["params"])).collect();
    assert_eq!(asked, [("Target.attachToTarget", &json!({ "targetId": "P", "flatten": true }))]);
    talk.attach("P", "SP", Some("T"));
    assert_eq!(talk.sent_to("SP"), ["Page.enable", "Runtime.runIfWaitingForDebugger"]);
}
