//! A page that is told its token by its address: it alone.

use super::*;

/// As the runner makes it for this task.
fn fragment() -> String {
    format!("#ctr=0198.{TOKEN}")
}

fn told_by_fragment(mut talk: Talk) -> Talk {
    talk.session.plan.fragment = fragment();
    talk
}

/// A session whose page has been asked for, to be found at the address with the fragment.
fn opened() -> Talk {
    let mut session = Session::new(0, PagePlan { fragment: fragment(), ..plan(true) });
    let commands = session.open();
    let mut talk = Talk { session, sent: Vec::new(), facts: Vec::new(), saved: None };
    talk.note(&commands);
    talk
}

fn addressed(target: &str) -> Value {
    let url = format!("{URL}{}", fragment());
    let title = format!("127.0.0.1:8000/task{}", fragment());
    json!({ "targetId": target, "type": "page", "url": url, "title": title })
}

#[test]
fn the_page_is_opened_with_its_fragment() {
    let talk = opened();
    let (_, _, created) = talk.sent.iter().find(|(_, method, _)| method == "Target.createTarget").unwrap();
    assert_eq!(created["params"]["url"], format!("{URL}#ctr=0198.{TOKEN}"));
}

#[test]
fn nothing_that_is_told_or_kept_has_the_fragment_or_the_token() {
    let mut talk = opened();
    talk.attach("T", "A", None);
    talk.answer("Target.createTarget", &json!({ "targetId": "T" }));
    talk.attach_own("S");
    talk.answer(INJECT, &json!({ "identifier": "1" }));
    let url = format!("{URL}{}", fragment());
    talk.page_event("Page.frameStartedNavigating", &json!({ "frameId": "T", "loaderId": "L", "url": url }));
    let kept = serde_json::to_string(talk.saved.as_ref().unwrap()).unwrap();
    assert!(kept.contains(URL) && !kept.contains(TOKEN), "{kept}");
    talk.event("Target.targetInfoChanged", &json!({ "targetInfo": addressed("T") }));
    talk.navigated(&json!({ "id": "T", "loaderId": "L", "url": url }));
    let facts = talk.take_facts();
    let sample = PageSample { url: URL.to_owned(), title: "127.0.0.1:8000/task".to_owned(), ..PageSample::default() };
    assert!(facts.contains(&Fact::Sampled(sample)), "{facts:?}");
    assert!(facts.contains(&committed(None)), "{facts:?}");
    assert!(!format!("{facts:?}").contains(TOKEN));
}

#[test]
fn an_address_that_fails_is_named_without_its_fragment() {
    let mut talk = told_by_fragment(Talk::attached());
    let url = format!("{URL}{}", fragment());
    let page = json!({ "id": "T", "loaderId": "L", "url": "chrome-error://x/", "unreachableUrl": url });
    talk.navigated(&page);
    assert_eq!(talk.take_facts(), [failed_with("net::ERR_FAILED")]);
}

#[test]
fn a_token_that_the_page_puts_elsewhere_is_not_shown_either() {
    let mut talk = told_by_fragment(Talk::arrived());
    let url = format!("{URL}?from={TOKEN}");
    let info = json!({ "targetId": "T", "type": "page", "url": url, "title": TOKEN });
    talk.event("Target.targetInfoChanged", &json!({ "targetInfo": info }));
    let sample =
        PageSample { url: format!("{URL}?from=[token]"), title: "[token]".to_owned(), ..PageSample::default() };
    assert_eq!(talk.take_facts(), [Fact::Sampled(sample)]);
}

#[test]
fn after_a_restart_the_page_is_known_by_its_address() {
    let mut talk = told_by_fragment(Talk::resumed(1, None));
    let other = json!({ "targetId": "O", "type": "page", "url": "http://127.0.0.1:8000/other" });
    talk.answer("Target.getTargets", &json!({ "targetInfos": [other, addressed("T")] }));
    assert!(talk.take_facts().contains(&Fact::Created { target: "T".to_owned() }));
}
