//! Putting the page before the other ones.

use super::*;

#[test]
fn the_page_is_told_to_come_to_the_front_and_the_answer_is_a_fact() {
    let mut talk = Talk::arrived();
    let command = talk.session.bring_to_front().expect("there is a page");
    talk.note(&[command]);
    assert_eq!(talk.sent.last().unwrap().2["sessionId"], "S");
    assert_eq!(talk.take_facts(), []);
    talk.answer("Page.bringToFront", &json!({}));
    assert_eq!(talk.take_facts(), [Fact::InFront]);
}

#[test]
fn a_refusal_is_no_fact_and_without_a_page_there_is_nobody_to_tell() {
    let mut talk = Talk::arrived();
    let command = talk.session.bring_to_front().expect("there is a page");
    talk.note(&[command]);
    let (id, ..) = talk.sent.last().expect("it was sent");
    talk.say(&json!({ "id": id, "error": { "code": -32000, "message": "no" } }));
    assert_eq!(talk.take_facts(), []);
    assert_eq!(Talk::opened(false).session.bring_to_front(), None);
    talk.event("Target.targetDestroyed", &json!({ "targetId": "T" }));
    assert_eq!(talk.session.bring_to_front(), None);
}
