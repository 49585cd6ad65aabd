//! Two tasks in one browser, told by hand what a real one says.

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

fn task(number: u128) -> TaskId {
    TaskId::new(Uuid::from_u128(number))
}

fn parsed(commands: &[Vec<u8>]) -> Vec<Value> {
    commands.iter().map(|command| serde_json::from_slice(command).unwrap()).collect()
}

fn bytes(message: &Value) -> Vec<u8> {
    message.to_string().into_bytes()
}

/// Gives a task the context "C<n>" and the connection "R<n>".
fn open(browser: &mut SharedBrowser, number: u128) -> TaskId {
    let task = task(number);
    let asked = parsed(&browser.begin(task));
    let context = json!({ "id": asked[0]["id"], "result": { "browserContextId": format!("C{number}") } });
    assert_eq!(browser.receive(&bytes(&context)), Heard::default(), "half a share is none");
    let root = json!({ "id": asked[1]["id"], "result": { "sessionId": format!("R{number}") } });
    let heard = browser.receive(&bytes(&root));
    assert_eq!((heard.word, heard.changed), (Some((task, Word::Opened)), true));
    task
}

fn page(target: &str, context: &str) -> Value {
    json!({ "targetId": target, "type": "page", "browserContextId": context })
}

fn event(session: &str, method: &str, params: &Value) -> Vec<u8> {
    bytes(&json!({ "method": method, "params": params, "sessionId": session }))
}

fn attached(root: &str, session: &str, page: &Value) -> Vec<u8> {
    let params = json!({ "sessionId": session, "targetInfo": page, "waitingForDebugger": true });
    event(root, "Target.attachedToTarget", &params)
}

fn said(heard: &Heard) -> Option<(TaskId, Value)> {
    match &heard.word {
        Some((task, Word::Said(message))) => Some((*task, serde_json::from_slice(message).unwrap())),
        Some((_, Word::Opened | Word::Refused(_) | Word::Ended)) | None => None,
    }
}

fn command(id: u32, method: &str, session: Option<&str>) -> Vec<u8> {
    message::command(id, session, method, &json!({ "url": "http://a/" }))
}

#[test]
fn two_tasks_may_ask_under_the_same_id_and_each_hears_its_own_answer() {
    let mut browser = SharedBrowser::new();
    let tasks = [open(&mut browser, 1), open(&mut browser, 2)];
    let sent = tasks.map(|task| {
        let command = browser.translate(task, &command(7, "Target.createTarget", None)).unwrap();
        serde_json::from_slice::<Value>(&command).unwrap()
    });
    assert_ne!(sent[0]["id"], sent[1]["id"]);
    for (index, task) in tasks.into_iter().enumerate().rev() {
        let number = index + 1;
        assert_eq!(sent[index]["sessionId"], format!("R{number}"));
        assert_eq!(sent[index]["params"], json!({ "url": "http://a/", "browserContextId": format!("C{number}") }));
        let answer = json!({ "id": sent[index]["id"], "result": { "targetId": format!("T{number}") } });
        let heard = browser.receive(&bytes(&answer));
        assert_eq!(said(&heard), Some((task, json!({ "id": 7, "result": { "targetId": format!("T{number}") } }))));
        assert_eq!(browser.receive(&bytes(&answer)), Heard::default(), "an answer is heard once");
    }
}

#[test]
fn a_page_is_told_of_to_its_own_task_and_let_run_by_every_other() {
    let mut browser = SharedBrowser::new();
    let (first, _second) = (open(&mut browser, 1), open(&mut browser, 2));
    let heard = browser.receive(&attached("R1", "S1", &page("T1", "C1")));
    let (to, told) = said(&heard).unwrap();
    assert_eq!((to, told.get("sessionId"), heard.changed), (first, None, true), "told as by a browser of its own");
    assert!(heard.commands.is_empty(), "it is the task that lets its page run");

    let heard = browser.receive(&attached("R2", "S2", &page("T1", "C1")));
    let sent = parsed(&heard.commands);
    assert_eq!((heard.word, sent.len()), (None, 1));
    assert_eq!((&sent[0]["method"], &sent[0]["sessionId"]), (&json!("Runtime.runIfWaitingForDebugger"), &json!("S2")));

    let paint = json!({ "method": "Page.loadEventFired", "params": {}, "sessionId": "S1" });
    assert_eq!(said(&browser.receive(&bytes(&paint))), Some((first, paint)));
    let stray = event("S2", "Page.loadEventFired", &json!({}));
    assert_eq!(browser.receive(&stray), Heard::default());
}

#[test]
fn a_document_waits_for_its_own_task_only() {
    let mut browser = SharedBrowser::new();
    let (first, second) = (open(&mut browser, 1), open(&mut browser, 2));
    for (root, task, target, context) in [("R1", first, "T1", "C1"), ("R2", second, "T2", "C2")] {
        let created = event(root, "Target.targetCreated", &json!({ "targetInfo": page(target, context) }));
        assert_eq!(said(&browser.receive(&created)).unwrap().0, task);
    }
    let foreign = event("R1", "Target.targetCreated", &json!({ "targetInfo": page("T2", "C2") }));
    assert_eq!(browser.receive(&foreign), Heard::default());
    let paused = |frame: &str| event("R2", "Fetch.requestPaused", &json!({ "requestId": "q", "frameId": frame }));
    assert_eq!(said(&browser.receive(&paused("T2"))).unwrap().0, second);
    let heard = browser.receive(&paused("T1"));
    let sent = parsed(&heard.commands);
    assert_eq!(heard.word, None);
    assert_eq!(
        (&sent[0]["method"], &sent[0]["sessionId"], &sent[0]["params"]),
        (&json!("Fetch.continueRequest"), &json!("R2"), &json!({ "requestId": "q" }))
    );
}

#[test]
fn a_task_sees_the_pages_of_its_own_context_only_and_cannot_close_the_browser() {
    let mut browser = SharedBrowser::new();
    let first = open(&mut browser, 1);
    let asked = browser.translate(first, &command(3, "Target.getTargets", None)).unwrap();
    let asked: Value = serde_json::from_slice(&asked).unwrap();
    let pages = json!([page("T1", "C1"), page("T2", "C2"), { "targetId": "T3", "type": "page" }]);
    let answer = json!({ "id": asked["id"], "result": { "targetInfos": pages } });
    let (_, told) = said(&browser.receive(&bytes(&answer))).unwrap();
    assert_eq!(told["result"]["targetInfos"], json!([page("T1", "C1")]));
    assert_eq!(browser.translate(first, &command(4, "Browser.close", None)), None);
    assert_eq!(browser.translate(task(9), &command(4, "Page.enable", None)), None, "nobody's command");
}

/// The answers to the end of a context, up to the one that lists what is left.
fn end(browser: &mut SharedBrowser, task: TaskId, left: &Value) -> Heard {
    let dispose = parsed(&browser.end(task));
    assert_eq!(dispose[0]["method"], "Target.disposeBrowserContext");
    assert!(browser.end(task).is_empty(), "once is enough");
    let heard = browser.receive(&bytes(&json!({ "id": dispose[0]["id"], "result": {} })));
    assert_eq!(heard.word, None, "the context alone proves nothing of its pages");
    let stock = parsed(&heard.commands);
    assert_eq!(stock[0]["method"], "Target.getTargets");
    browser.receive(&bytes(&json!({ "id": stock[0]["id"], "result": { "targetInfos": left } })))
}

#[test]
fn a_context_is_gone_when_the_browser_says_so_of_each_of_its_pages() {
    let mut browser = SharedBrowser::new();
    let (first, second) = (open(&mut browser, 1), open(&mut browser, 2));
    browser.receive(&attached("R1", "S1", &page("T1", "C1")));
    browser.receive(&attached("R2", "S2", &page("T2", "C2")));

    let heard = end(&mut browser, first, &json!([page("T2", "C2")]));
    assert_eq!(heard.word, Some((first, Word::Ended)));
    assert_eq!(parsed(&heard.commands)[0]["params"], json!({ "sessionId": "R1" }), "its connection ends with it");
    assert_eq!(browser.kept().tasks().collect::<Vec<_>>(), [second]);

    let heard = end(&mut browser, second, &json!([page("T2", "C2")]));
    assert_eq!(heard.word, None, "a page of it is left");
    let destroyed = event("R2", "Target.targetDestroyed", &json!({ "targetId": "T2" }));
    assert_eq!(browser.receive(&destroyed).word, Some((second, Word::Ended)));
    assert!(!browser.has(second));
}

#[test]
fn a_share_that_nobody_wants_any_more_ends_as_soon_as_it_is_there() {
    let mut browser = SharedBrowser::new();
    let asked = parsed(&browser.begin(task(1)));
    assert!(browser.end(task(1)).is_empty());
    browser.receive(&bytes(&json!({ "id": asked[1]["id"], "result": { "sessionId": "R1" } })));
    let heard = browser.receive(&bytes(&json!({ "id": asked[0]["id"], "result": { "browserContextId": "C1" } })));
    assert_eq!(heard.word, None);
    assert_eq!(parsed(&heard.commands)[0]["method"], "Target.disposeBrowserContext");
}

#[test]
fn a_refused_share_leaves_no_context_behind() {
    let mut browser = SharedBrowser::new();
    let asked = parsed(&browser.begin(task(1)));
    browser.receive(&bytes(&json!({ "id": asked[0]["id"], "result": { "browserContextId": "C1" } })));
    let refusal = json!({ "id": asked[1]["id"], "error": { "code": -32000, "message": "no" } });
    let heard = browser.receive(&bytes(&refusal));
    assert_eq!(heard.word, Some((task(1), Word::Refused("no".to_owned()))));
    assert_eq!(parsed(&heard.commands)[0]["params"], json!({ "browserContextId": "C1" }));
    assert!(!browser.has(task(1)));
}

#[test]
fn another_service_hears_the_sessions_that_were_kept_and_ends_what_nobody_knows() {
    let mut browser = SharedBrowser::new();
    let first = open(&mut browser, 1);
    browser.receive(&attached("R1", "S1", &page("T1", "C1")));
    let kept = serde_json::to_vec(&browser.kept()).unwrap();

    let (mut next, commands) = SharedBrowser::resume(2, serde_json::from_slice(&kept).unwrap());
    let reported = event("S1", "Runtime.bindingCalled", &json!({}));
    assert_eq!(said(&next.receive(&reported)).unwrap().0, first);
    let asked = parsed(&commands);
    let contexts = json!({ "id": asked[0]["id"], "result": { "browserContextIds": ["C1", "C7"] } });
    let sent = parsed(&next.receive(&bytes(&contexts)).commands);
    assert_eq!((sent.len(), &sent[0]["params"]), (1, &json!({ "browserContextId": "C7" })));
}

#[test]
fn what_makes_no_sense_is_nobodys() {
    let mut browser = SharedBrowser::new();
    open(&mut browser, 1);
    for message in ["", "{}", "[]", "{\"id\":4000}", "{\"method\":\"x\"}", "{\"method\":\"x\",\"sessionId\":\"?\"}"] {
        assert_eq!(browser.receive(message.as_bytes()), Heard::default(), "{message}");
    }
    for method in ["Target.attachedToTarget", "Fetch.requestPaused", "Target.targetDestroyed"] {
        assert_eq!(browser.receive(&event("R1", method, &json!({ "sessionId": 1 }))), Heard::default(), "{method}");
    }
}
