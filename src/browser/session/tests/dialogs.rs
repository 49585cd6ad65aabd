//! Dialogs of the task's page and of those that it opens.

use super::*;
use crate::browser::facts::{Dialog, DialogKind};

fn opening(kind: &str, message: &str) -> Value {
    json!({ "type": kind, "message": message, "url": URL, "defaultPrompt": "d", "hasBrowserHandler": true })
}

/// A session in a window whose page is there, with one popup that is heard.
fn in_a_window() -> Talk {
    let mut talk = Talk::opened(false);
    talk.attach("T", "A", None);
    talk.answer("Target.createTarget", &json!({ "targetId": "T" }));
    talk.attach_own("S");
    talk.answer(INJECT, &json!({ "identifier": "1" }));
    talk.event("Target.targetCreated", &json!({ "targetInfo": { "targetId": "P", "type": "page", "openerId": "T" } }));
    talk.attach("P", "SP", Some("T"));
    talk.sent.clear();
    talk.facts.clear();
    talk
}

/// The dialogs that were told since the last call.
fn told(talk: &mut Talk) -> Vec<Option<Dialog>> {
    let facts = talk.take_facts().into_iter();
    facts.filter_map(|fact| if let Fact::Sampled(sample) = fact { Some(sample.dialog) } else { None }).collect()
}

#[test]
fn a_dialog_is_accepted_or_dismissed_at_once_where_that_is_the_policy() {
    for (policy, accepted) in [(DialogPolicy::Accept, true), (DialogPolicy::Dismiss, false)] {
        let mut talk = Talk::arrived();
        talk.session.plan.dialogs = policy;
        talk.sent.clear();
        talk.page_event("Page.javascriptDialogOpening", &opening("prompt", "?"));
        assert_eq!(talk.sent[0].2["params"], json!({ "accept": accepted, "promptText": "d" }));
        talk.page_event("Page.javascriptDialogClosed", &json!({}));
        assert_eq!(talk.take_facts(), [Fact::DialogAnswered { kind: "prompt".to_owned(), accepted }]);
    }
}

#[test]
fn a_dialog_that_is_left_is_told_until_it_is_closed() {
    let mut talk = in_a_window();
    talk.page_event("Page.javascriptDialogOpening", &opening("confirm", &format!("{TOKEN} {}", "é".repeat(1000))));
    let [Some(dialog)] = &told(&mut talk)[..] else { panic!("it is told once") };
    assert_eq!((dialog.kind, dialog.message.len()), (DialogKind::Confirm, 1024));
    assert!(dialog.message.starts_with("[token] é"), "{dialog:?}");
    assert!(talk.sent.is_empty(), "it is the person's to answer");
    talk.page_event("Page.javascriptDialogClosed", &json!({}));
    assert_eq!(told(&mut talk), [None]);
}

#[test]
fn the_first_of_several_dialogs_is_told_and_a_popups_goes_with_it() {
    let mut talk = in_a_window();
    let of_popup =
        |params: &Value| json!({ "method": "Page.javascriptDialogOpening", "params": params, "sessionId": "SP" });
    talk.say(&of_popup(&opening("alert", "popup")));
    talk.page_event("Page.javascriptDialogOpening", &opening("beforeunload", ""));
    let dialog = |kind, message: &str| Some(Dialog { kind, message: message.to_owned() });
    assert_eq!(told(&mut talk), [dialog(DialogKind::Alert, "popup")]);
    talk.event("Target.targetDestroyed", &json!({ "targetId": "P" }));
    assert_eq!(told(&mut talk).last().unwrap(), &dialog(DialogKind::Beforeunload, ""));
    talk.event("Target.detachedFromTarget", &json!({ "sessionId": "S" }));
    assert_eq!(told(&mut talk), [None]);
}

#[test]
fn a_dialog_is_known_to_the_next_service() {
    let mut talk = in_a_window();
    talk.page_event("Page.javascriptDialogOpening", &opening("alert", "a"));
    let saved = serde_json::to_string(&talk.saved.unwrap()).unwrap();
    let mut talk = Talk::resumed(1, Some(serde_json::from_str(&saved).unwrap()));
    talk.session.plan.dialogs = DialogPolicy::Leave;
    let pages = json!({ "targetInfos": [
        { "targetId": "T", "type": "page", "url": URL }, { "targetId": "P", "type": "page", "url": URL },
    ] });
    talk.answer("Target.getTargets", &pages);
    let told_after = told(&mut talk);
    assert_eq!(told_after.last().unwrap().as_ref().unwrap().message, "a");
}

#[test]
fn a_dialog_of_a_stranger_is_answered_but_never_told() {
    let message = json!({ "method": "Page.javascriptDialogOpening", "params": opening("alert", ""), "sessionId": "X" });
    let mut talk = Talk::arrived();
    talk.sent.clear();
    talk.say(&message);
    assert_eq!(talk.sent_to("X"), ["Page.handleJavaScriptDialog"]);
    assert_eq!(talk.take_facts(), []);
    let mut talk = in_a_window();
    talk.say(&message);
    assert_eq!((talk.sent.len(), talk.take_facts()), (0, vec![]));
}
