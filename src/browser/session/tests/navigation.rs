//! How the first navigation went.

use super::*;

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
fn a_document_that_came_before_the_page_could_be_heard_is_found() {
    let mut talk = Talk::attached();
    let frame = json!({ "frameTree": { "frame": { "id": "T", "loaderId": "L", "url": URL } } });
    talk.answer("Page.getFrameTree", &frame);
    assert_eq!(talk.take_facts(), [committed(None)]);
    talk.navigated(&json!({ "id": "T", "loaderId": "L", "url": URL }));
    assert_eq!(talk.take_facts(), [], "it counts once");
}

/// Either half can be said before it is known whose page it is, and the rest once that is known.
#[test]
fn what_only_the_holding_session_heard_counts() {
    for known_after in 0..=2 {
        let mut talk = Talk::opened(true);
        talk.attach("T", "A", None);
        let told = [
            json!({ "method": "Network.responseReceived", "sessionId": "A", "params": { "requestId": "L",
                "type": "Document", "frameId": "T", "response": { "status": 404 } } }),
            json!({ "method": "Page.frameNavigated", "sessionId": "A",
                "params": { "frame": { "id": "T", "loaderId": "L", "url": URL } } }),
        ];
        for (index, message) in told.iter().enumerate() {
            if index == known_after {
                talk.answer("Target.createTarget", &json!({ "targetId": "T" }));
            }
            talk.say(message);
        }
        if known_after == told.len() {
            talk.answer("Target.createTarget", &json!({ "targetId": "T" }));
        }
        let created = Fact::Created { target: "T".to_owned() };
        assert_eq!(talk.take_facts(), [created, committed(Some(404))], "known after {known_after}");
    }
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
    assert_eq!(talk.take_facts(), [Fact::Committed { url: end, http_status: Some(200) }]);
}

#[test]
fn a_net_error_is_a_fact_once_and_its_error_page_is_not() {
    let mut talk = Talk::attached();
    talk.started("L");
    talk.failed("L", "net::ERR_NAME_NOT_RESOLVED");
    talk.navigated(
        &json!({ "id": "T", "loaderId": "L", "url": "chrome-error://chromewebdata/", "unreachableUrl": URL }),
    );
    talk.page_event("Page.loadEventFired", &json!({ "timestamp": 1 }));
    talk.started("L2");
    talk.failed("L2", "net::ERR_NAME_NOT_RESOLVED");
    assert_eq!(talk.take_facts(), [failed_with("net::ERR_NAME_NOT_RESOLVED")]);
}

#[test]
fn an_error_is_seen_even_when_its_beginning_was_not() {
    let mut talk = Talk::attached();
    talk.failed("L", "net::ERR_CONNECTION_REFUSED");
    assert_eq!(talk.take_facts(), [failed_with("net::ERR_CONNECTION_REFUSED")]);
    let mut talk = Talk::attached();
    talk.navigated(&json!({ "id": "T", "loaderId": "L", "url": "chrome-error://x/", "unreachableUrl": URL }));
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
    talk.navigated(&json!({ "id": "F", "parentId": "T", "loaderId": "LF", "url": "http://other/" }));
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
