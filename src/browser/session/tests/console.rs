//! What the page says in its console: heard once, in plain words, without its secrets.

use super::*;
use crate::browser::said::{Level, Said, Voice};

fn said(talk: &mut Talk, method: &str, params: &Value) -> Vec<Said> {
    let message = json!({ "method": method, "params": params, "sessionId": "S" });
    talk.session.receive(message.to_string().as_bytes()).said
}

fn called(kind: &str, args: &Value) -> Value {
    let frames = json!([{ "url": format!("{URL}/a.js"), "lineNumber": 6, "columnNumber": 1, "functionName": "f" }]);
    json!({ "type": kind, "args": args, "timestamp": 1_800_000_000_000.5, "executionContextId": 2,
        "stackTrace": { "callFrames": frames } })
}

fn texts(talk: &mut Talk, args: &Value) -> String {
    said(talk, "Runtime.consoleAPICalled", &called("log", args)).remove(0).text
}

#[test]
fn a_console_call_is_said_with_its_level_place_and_time() {
    let mut talk = Talk::arrived();
    let args = json!([{ "type": "string", "value": "no" }]);
    let expected = |level| Said {
        voice: Voice::Console,
        level,
        text: "no".to_owned(),
        url: format!("{URL}/a.js"),
        line: Some(7),
        at_micros: 1_800_000_000_000_500,
    };
    for (kind, level) in [
        ("log", Level::Info),
        ("error", Level::Error),
        ("assert", Level::Error),
        ("warning", Level::Warning),
        ("debug", Level::Debug),
        ("table", Level::Info),
    ] {
        assert_eq!(said(&mut talk, "Runtime.consoleAPICalled", &called(kind, &args)), [expected(level)], "{kind}");
    }
    assert!(said(&mut talk, "Runtime.consoleAPICalled", &called("clear", &json!([]))).is_empty());
}

#[test]
fn every_kind_of_value_has_its_words() {
    let mut talk = Talk::arrived();
    let args = json!([
        { "type": "string", "value": "a" },
        { "type": "number", "value": 1.5, "description": "1.5" },
        { "type": "number", "unserializableValue": "NaN", "description": "NaN" },
        { "type": "boolean", "value": false },
        { "type": "undefined" },
        { "type": "object", "subtype": "null", "value": null },
        { "type": "object", "className": "Object", "description": "Object", "objectId": "1" },
    ]);
    assert_eq!(texts(&mut talk, &args), "a 1.5 NaN false undefined null Object");
}

#[test]
fn an_exception_that_nothing_caught_is_an_error() {
    let mut talk = Talk::arrived();
    let details = json!({ "exceptionId": 1, "text": "Uncaught", "lineNumber": 0, "columnNumber": 3, "url": URL,
        "exception": { "type": "object", "subtype": "error", "description": "Error: no\n    at f" } });
    let heard = said(&mut talk, "Runtime.exceptionThrown", &json!({ "timestamp": 5.0, "exceptionDetails": details }));
    assert_eq!((heard[0].level, heard[0].text.as_str()), (Level::Error, "Uncaught Error: no\n    at f"));
    assert_eq!((heard[0].url.as_str(), heard[0].line), (URL, Some(1)));
}

#[test]
fn a_failed_request_is_the_networks_and_all_else_the_consoles() {
    let mut talk = Talk::arrived();
    for (source, voice) in [("network", Voice::Network), ("security", Voice::Console)] {
        let entry = json!({ "source": source, "level": "error", "text": "failed", "timestamp": 5.0, "url": URL });
        let heard = said(&mut talk, "Log.entryAdded", &json!({ "entry": entry }));
        assert_eq!((heard[0].voice, heard[0].level, heard[0].line), (voice, Level::Error, None), "{source}");
    }
}

#[test]
fn neither_the_token_nor_what_commands_a_terminal_is_said() {
    let mut talk = Talk::arrived();
    talk.session.plan.fragment = format!("#ctr=0198.{TOKEN}");
    let (head, tail) = TOKEN.split_at(3);
    let value = format!("{URL}#ctr=0198.{TOKEN} {TOKEN} {head}\u{1b}\u{9b}{tail} \u{1b}[2Jgone");
    assert_eq!(
        texts(&mut talk, &json!([{ "type": "string", "value": value }])),
        format!("{URL} [token] [token] [2Jgone")
    );
    let mut call = called("log", &json!([{ "type": "string", "value": "x" }]));
    call["stackTrace"]["callFrames"][0]["url"] = json!(format!("{URL}?{TOKEN}"));
    assert_eq!(said(&mut talk, "Runtime.consoleAPICalled", &call)[0].url, format!("{URL}?[token]"));
}

#[test]
fn what_another_session_tells_again_is_not_news() {
    let mut talk = Talk::arrived();
    let call = |ms: f64| {
        let mut call = called("log", &json!([{ "type": "string", "value": "x" }]));
        call["timestamp"] = json!(ms);
        call
    };
    assert_eq!(said(&mut talk, "Runtime.consoleAPICalled", &call(5.0)).len(), 1);
    assert_eq!(said(&mut talk, "Runtime.consoleAPICalled", &call(5.0)).len(), 1, "twice in one moment");
    talk.event("Target.detachedFromTarget", &json!({ "sessionId": "S" }));
    talk.attach_own("S2");
    let mut again = |ms| {
        let message =
            json!({ "method": "Runtime.consoleAPICalled", "params": call(ms), "sessionId": "S2" }).to_string();
        talk.session.receive(message.as_bytes()).said.len()
    };
    assert_eq!([5.0, 5.5].map(&mut again), [0, 1]);
}

#[test]
fn what_is_no_console_message_says_nothing_and_what_is_said_is_no_fact() {
    let mut talk = Talk::arrived();
    for params in [json!({}), json!({ "type": 1 }), json!({ "entry": {} }), json!({ "exceptionDetails": {} })] {
        for method in ["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"] {
            assert!(said(&mut talk, method, &params).is_empty(), "{method} {params}");
        }
    }
    let message = json!({ "method": "Runtime.consoleAPICalled", "sessionId": "S",
        "params": called("log", &json!([{ "type": "string", "value": "x" }])) });
    let step = talk.session.receive(message.to_string().as_bytes());
    assert!(step.facts.is_empty() && step.commands.is_empty() && step.save.is_none() && step.said.len() == 1);
}
