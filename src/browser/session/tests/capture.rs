//! Questions to the page: who is answered, and who is told at once that nobody answers.

use super::*;
use crate::browser::DialogKind;
use crate::browser::{Answer, Area, Encoding, NoAnswer, Question};

const PICTURE: Question = Question::Picture { encoding: Encoding::Png, area: None };

impl Talk {
    /// Asks, and gives the number of the question.
    fn ask(&mut self, question: Question) -> u32 {
        let (number, command) = self.session.ask(question).unwrap();
        self.note(&[command]);
        number
    }

    /// What the browser's answer to a question is taken for.
    fn replied(&mut self, number: u32, answer: &Value) -> Result<Answer, NoAnswer> {
        let mut message = json!({ "id": number });
        message.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
        let mut answered = self.session.receive(message.to_string().as_bytes()).answered;
        assert_eq!((answered.len(), answered[0].0), (1, number));
        answered.pop().unwrap().1
    }
}

#[test]
fn a_question_goes_to_the_page_and_its_answer_to_who_asked() {
    let mut talk = Talk::arrived();
    talk.sent.clear();
    let area = Some(Area { x: 1.0, y: 2.0, width: 3.0, height: 4.0 });
    let jpeg = talk.ask(Question::Picture { encoding: Encoding::Jpeg { quality: 60 }, area });
    let png = talk.ask(PICTURE);
    let clip = json!({ "x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0, "scale": 1 });
    let wanted = json!({ "format": "jpeg", "quality": 60, "clip": clip, "captureBeyondViewport": true });
    assert_eq!((&talk.sent[0].2["params"], &talk.sent[0].2["sessionId"]), (&wanted, &"S".into()));
    assert_eq!(talk.replied(png, &json!({ "result": { "data": "UE5H" } })), Ok(Answer::Picture("UE5H".to_owned())));
    assert_eq!(talk.replied(jpeg, &json!({ "result": { "data": "SlBH" } })), Ok(Answer::Picture("SlBH".to_owned())));
}

#[test]
fn every_answer_is_read_for_what_was_asked() {
    let mut talk = Talk::arrived();
    let layout = talk.ask(Question::Layout);
    let size = json!({ "x": 0, "y": 0, "width": 1280, "height": 5000 });
    let metrics = json!({ "result": { "layoutViewport": { "clientWidth": 2560 },
        "cssLayoutViewport": { "clientWidth": 1280 }, "cssContentSize": size } });
    let content = Area { x: 0.0, y: 0.0, width: 1280.0, height: 5000.0 };
    assert_eq!(talk.replied(layout, &metrics), Ok(Answer::Layout { content, scale: 2.0 }));

    let window = talk.ask(Question::Window);
    assert_eq!(talk.sent.last().unwrap().2["params"], json!({ "targetId": "T" }));
    let bounds = json!({ "result": { "windowId": 1, "bounds": { "windowState": "minimized" } } });
    assert_eq!(talk.replied(window, &bounds), Ok(Answer::Window { minimised: true }));

    let refused = talk.ask(PICTURE);
    let error = json!({ "error": { "code": -32000, "message": "Unable to capture screenshot" } });
    assert_eq!(talk.replied(refused, &error), Err(NoAnswer::Refused("Unable to capture screenshot".to_owned())));
}

#[test]
fn an_element_is_found_or_not_or_the_selector_is_none() {
    let mut talk = Talk::arrived();
    let find = |selector: &str| Question::Find { world: 7, selector: selector.to_owned() };
    let found = talk.ask(find("p[title=\"\\\"]"));
    let params = &talk.sent.last().unwrap().2["params"];
    assert_eq!(params["contextId"], 7);
    assert!(params["expression"].as_str().unwrap().contains(r#"querySelector("p[title=\"\\\"]")"#), "{params}");
    let value = json!({ "result": { "result": { "type": "object", "value": [1, 2.5, 3, 4, 1] } } });
    let Ok(Answer::Found(Some(place))) = talk.replied(found, &value) else { panic!("it is found") };
    assert_eq!((place.area, place.scale), (Area { x: 1.0, y: 2.5, width: 3.0, height: 4.0 }, 1.0));

    let none = talk.ask(find("i"));
    let null = json!({ "result": { "result": { "type": "object", "subtype": "null", "value": null } } });
    assert_eq!(talk.replied(none, &null), Ok(Answer::Found(None)));

    let wrong = talk.ask(find("]"));
    let thrown = json!({ "result": { "result": { "type": "object", "subtype": "error" },
        "exceptionDetails": { "exception": { "description": "SyntaxError: no\n    at <anonymous>" } } } });
    assert_eq!(talk.replied(wrong, &thrown), Err(NoAnswer::NotASelector("SyntaxError: no".to_owned())));
}

#[test]
fn a_page_that_goes_leaves_no_question_open() {
    let destroyed = json!({ "method": "Target.targetDestroyed", "params": { "targetId": "T" } });
    let crashed = json!({ "method": "Target.targetCrashed", "params": { "targetId": "T", "status": "crashed" } });
    let detached = json!({ "method": "Target.detachedFromTarget", "params": { "sessionId": "S" } });
    for (message, why) in [(destroyed, NoAnswer::Closed), (crashed, NoAnswer::Crashed), (detached, NoAnswer::NotOpen)] {
        let mut talk = Talk::arrived();
        let number = talk.ask(PICTURE);
        let step = talk.session.receive(message.to_string().as_bytes());
        assert_eq!(step.answered, [(number, Err(why.clone()))]);
        assert_eq!(talk.session.ask(PICTURE), Err(why));
    }
}

#[test]
fn a_page_that_was_loaded_again_answers_again() {
    let mut talk = Talk::arrived();
    talk.event("Target.targetCrashed", &json!({ "targetId": "T", "status": "crashed" }));
    talk.navigated(&json!({ "id": "T", "loaderId": "M", "url": URL }));
    assert!(talk.session.ask(PICTURE).is_ok());
}

#[test]
fn a_dialog_that_is_left_to_a_person_is_told_at_once() {
    let mut talk = Talk::opened(false);
    talk.attach("T", "A", None);
    talk.answer("Target.createTarget", &json!({ "targetId": "T" }));
    assert_eq!(talk.session.ask(PICTURE), Err(NoAnswer::NotOpen));
    talk.attach_own("S");
    talk.page_event("Page.javascriptDialogOpening", &json!({ "type": "confirm", "message": "?" }));
    assert_eq!(talk.session.ask(PICTURE), Err(NoAnswer::Dialog(DialogKind::Confirm)));
    talk.page_event("Page.javascriptDialogClosed", &json!({}));
    assert!(talk.session.ask(PICTURE).is_ok());
}

#[test]
fn a_silent_page_is_asked_only_so_often() {
    let mut talk = Talk::arrived();
    let first = talk.ask(PICTURE);
    while talk.session.ask(PICTURE).is_ok() {
        assert!(talk.session.open.len() <= 16);
    }
    assert_eq!(talk.session.ask(PICTURE), Err(NoAnswer::Silent));
    assert!(talk.replied(first, &json!({ "result": { "data": "" } })).is_ok());
    assert!(talk.session.ask(PICTURE).is_ok());
}

#[test]
fn answers_to_an_earlier_service_are_nobodys() {
    let mut talk = Talk::arrived();
    let number = talk.ask(PICTURE);
    let mut later = Talk::resumed(1, talk.saved.take());
    let message = json!({ "id": number, "result": { "data": "UE5H" } });
    assert_eq!(later.session.receive(message.to_string().as_bytes()).answered, []);
}
