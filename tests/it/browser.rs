//! The browser layer against a real Chromium: what pages do, and that it arrives as the right fact.

use comet_task_runner::browser::report::Refusal;
use comet_task_runner::browser::{Browser, Fact, ReportStatus};
use serde_json::{Value, json};

use crate::pages::Pages;
use crate::pipe_browser::{Driven, TOKEN, chromium};

/// Runs a test with a browser and a web server, or says that it cannot.
pub(crate) fn with_browser(test: impl FnOnce(&Browser, &Pages)) {
    if let Some(browser) = chromium() {
        test(&browser, &Pages::start());
    }
}

/// The result that a page reports.
fn result_of(browser: &Browser, url: &str) -> Value {
    let (report, _) = Driven::headless(browser, url).report();
    assert_eq!(report.status, ReportStatus::Done, "{report:?}");
    serde_json::from_str(&report.result.expect("a result")).unwrap()
}

fn is_committed(fact: &Fact) -> bool {
    matches!(fact, Fact::Committed { .. })
}

pub(crate) fn is_closed(fact: &Fact) -> bool {
    matches!(fact, Fact::PageClosed)
}

fn decided(fact: &Fact) -> bool {
    matches!(fact, Fact::Committed { .. } | Fact::NavigationFailed { .. })
}

#[test]
fn a_page_reports_done_after_answered_created_and_committed() {
    with_browser(|browser, pages| {
        let url = pages.script("/task", "cometTask.done({ answer: 42, text: '\u{e9}\"\\\\' })");
        let (report, facts) = Driven::headless(browser, &url).report();
        let result: Value = serde_json::from_str(&report.result.unwrap()).unwrap();
        assert_eq!(result, json!({ "answer": 42, "text": "\u{e9}\"\\" }));
        let order: Vec<_> = facts.iter().filter(|fact| !matches!(fact, Fact::Sampled(_))).collect();
        assert!(matches!(order[..2], [Fact::Answered { product }, Fact::Created { .. }] if product.contains('/')));
        assert_eq!(*order[2], Fact::Committed { url, http_status: Some(200) });
        assert_eq!(order.len(), 3);
    });
}

#[test]
fn progress_is_rounded_and_carries_its_message() {
    with_browser(|browser, pages| {
        let script = "cometTask.progress(33.4, 'a third'); cometTask.progress(99.5); cometTask.done()";
        let mut driven = Driven::headless(browser, &pages.script("/task", script));
        let reports = [driven.report().0, driven.report().0, driven.report().0];
        assert_eq!((reports[0].progress, reports[0].message.as_str()), (Some(33), "a third"));
        assert_eq!((reports[1].progress, reports[1].message.as_str()), (Some(100), ""));
        assert_eq!((reports[2].status, &reports[2].result), (ReportStatus::Done, &None));
    });
}

#[test]
fn a_report_is_not_overtaken_by_the_close_that_follows_it() {
    with_browser(|browser, pages| {
        let url = pages.script("/task", "cometTask.fail(new Error('no luck')); window.close()");
        for _ in 0..5 {
            let mut driven = Driven::headless(browser, &url);
            let facts = driven.until(is_closed);
            let reported = facts.iter().find_map(|fact| match fact {
                Fact::Reported(report) => Some((report.status, report.message.as_str())),
                _ => None,
            });
            assert_eq!(reported, Some((ReportStatus::Failed, "Error: no luck")));
        }
    });
}

#[test]
fn a_page_has_one_history_entry_and_may_close_itself() {
    with_browser(|browser, pages| {
        let url = pages.script("/task", "cometTask.done(history.length); window.close()");
        let mut driven = Driven::headless(browser, &url);
        let (report, _) = driven.report();
        assert_eq!(report.result.as_deref(), Some("1"));
        driven.until(is_closed);
        driven.close();
        assert_eq!(driven.rest(), []);
    });
}

#[test]
fn navigation_errors_are_named() {
    with_browser(|browser, pages| {
        let refused = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            format!("http://{}/", listener.local_addr().unwrap())
        };
        for (url, net_error) in [
            (refused, "net::ERR_CONNECTION_REFUSED"),
            ("http://name.invalid/".to_owned(), "net::ERR_NAME_NOT_RESOLVED"),
            (pages.url("/empty/204"), "net::ERR_ABORTED"),
        ] {
            let facts = Driven::headless(browser, &url).until(decided);
            assert_eq!(facts.last(), Some(&Fact::NavigationFailed { url, net_error: net_error.to_owned() }));
        }
    });
}

#[test]
fn http_errors_are_answers_with_or_without_a_body() {
    with_browser(|browser, pages| {
        for (path, status) in [("/status/404", 404), ("/empty/404", 404), ("/empty/500", 500)] {
            let url = pages.url(path);
            let facts = Driven::headless(browser, &url).until(decided);
            assert_eq!(facts.last(), Some(&Fact::Committed { url, http_status: Some(status) }));
        }
    });
}

#[test]
fn a_redirect_is_committed_where_it_ends() {
    with_browser(|browser, pages| {
        let url = pages.html("/end", "end");
        let facts = Driven::headless(browser, &pages.url("/redirect?/end")).until(decided);
        assert_eq!(facts.last(), Some(&Fact::Committed { url, http_status: Some(200) }));
    });
}

#[test]
fn a_page_that_never_answers_decides_nothing_and_can_be_closed() {
    with_browser(|browser, pages| {
        let mut driven = Driven::headless(browser, &pages.url("/slow"));
        driven.until(|fact| matches!(fact, Fact::Created { .. }));
        driven.close();
        assert!(!driven.rest().iter().any(is_committed));
    });
}

#[test]
fn a_crashed_page_is_a_fact_and_the_browser_lives() {
    with_browser(|browser, pages| {
        let mut driven = Driven::headless(browser, &pages.script("/task", "cometTask.progress(1)"));
        driven.report();
        driven.crash_page();
        let facts = driven.until(|fact| matches!(fact, Fact::PageCrashed { .. }));
        assert_eq!(facts.last(), Some(&Fact::PageCrashed { status: "crashed".to_owned(), oom: false }));
        driven.close();
        driven.rest();
    });
}

#[test]
fn a_popup_runs_and_is_not_the_task() {
    with_browser(|browser, pages| {
        pages.script("/popup", "opener.postMessage('ran ' + typeof cometTask); window.close()");
        let script = "onmessage = event => cometTask.done(event.data); cometTask.progress(1)";
        let mut driven = Driven::headless(browser, &pages.script("/task", script));
        driven.report();
        driven.click_for("open('/popup')");
        let (report, facts) = driven.report();
        assert_eq!(report.result.as_deref(), Some(r#""ran undefined""#));
        assert!(!facts.iter().any(is_closed));
    });
}

#[test]
fn the_strictest_content_policy_does_not_stop_a_report() {
    with_browser(|browser, pages| {
        let policy = "Content-Security-Policy: default-src 'none'; script-src 'nonce-n'\r\n";
        let body = "<script nonce=n>cometTask.done('through')</script>";
        let url = pages.html_with("/task", policy, body);
        assert_eq!(result_of(browser, &url), json!("through"));
    });
}

#[test]
fn no_frame_inside_the_page_can_report() {
    with_browser(|browser, pages| {
        let other_port = Pages::start();
        let tell = "parent.postMessage([location.href, typeof cometTask, typeof __cometTaskReport], '*')";
        let same = pages.script("/frame", tell);
        let port = other_port.script("/frame", tell);
        let site = format!("{}/frame", pages.other_site());
        let script = "const seen = []; onmessage = event => { seen.push(event.data.slice(1).join()); \
             if (seen.length === 4) cometTask.done({ seen, raw: typeof __cometTaskReport }) }";
        let body = format!(
            "<script>{script}</script><iframe src='{same}'></iframe><iframe src='{port}'></iframe>\
             <iframe src='{site}'></iframe><iframe srcdoc=\"<script>{tell}</script>\"></iframe>"
        );
        let none = "undefined,undefined";
        let expected = json!({ "seen": [none, none, none, none], "raw": "undefined" });
        assert_eq!(result_of(browser, &pages.html("/task", &body)), expected);
    });
}

#[test]
fn after_leaving_its_origin_a_page_cannot_report_and_after_coming_back_it_can() {
    with_browser(|browser, pages| {
        let away = format!("{}/away", pages.other_site());
        let back = pages.script("/back", "cometTask.done('back')");
        pages.html(
            "/away",
            &format!(
                "<script>document.title = typeof cometTask + typeof __cometTaskReport</script>\
                 <script>onload = () => {{ fetch('/gate').then(() => location = '{back}') }}</script>"
            ),
        );
        let url = pages.script("/task", &format!("onload = () => location = '{away}'"));
        let mut driven = Driven::headless(browser, &url);
        let nothing = "undefinedundefined";
        driven.until(|fact| matches!(fact, Fact::Sampled(sample) if sample.title == nothing));
        pages.open_gate();
        assert_eq!(driven.report().0.result.as_deref(), Some(r#""back""#));
    });
}

#[test]
fn dialogs_do_not_stop_a_page_that_nobody_sees() {
    with_browser(|browser, pages| {
        let script = "alert('a'); const c = confirm('b'); const p = prompt('c', 'd'); cometTask.done([c, p])";
        let mut driven = Driven::headless(browser, &pages.script("/task", script));
        let (report, facts) = driven.report();
        assert_eq!(report.result.as_deref(), Some(r#"[true,"d"]"#));
        let accepted = facts.iter().filter(|fact| matches!(fact, Fact::DialogAnswered { accepted: true, .. }));
        assert_eq!(accepted.count(), 3);
    });
}

#[test]
fn a_popups_dialog_does_not_stop_the_page() {
    with_browser(|browser, pages| {
        pages.script("/popup", "alert('x'); opener.postMessage('on')");
        let script = "onmessage = event => cometTask.done(event.data); cometTask.progress(1)";
        let mut driven = Driven::headless(browser, &pages.script("/task", script));
        driven.report();
        driven.click_for("open('/popup')");
        assert_eq!(driven.report().0.result.as_deref(), Some(r#""on""#));
    });
}

#[test]
fn the_loot_of_a_hostile_script_holds_no_token() {
    with_browser(|browser, pages| {
        let script = "
            const loot = []; const keep = what => { try { loot.push(String(what)) } catch {} };
            const stringify = JSON.stringify;
            JSON.stringify = (...given) => { given.forEach(keep); return stringify(...given) };
            Object.prototype.toJSON = function () { for (const key in this) keep(this[key]); return 1 };
            String.prototype.toJSON = function () { keep(this); return 'j' };
            for (const name of Object.getOwnPropertyNames(String.prototype)) {
                const old = String.prototype[name]; if (name === 'constructor' || typeof old !== 'function') continue;
                String.prototype[name] = function (...given) { keep(this); return old.apply(this, given) } }
            const calls = Function.prototype.call;
            Function.prototype.call = function (...given) { keep(given); return calls.apply(this, given) };
            cometTask.progress(1, 'm'); cometTask.fail('n'); cometTask.done({ a: 1 });
            delete Object.prototype.toJSON; delete String.prototype.toJSON;
            try { window.cometTask = 1 } catch {} try { cometTask.done = 1 } catch {}
            const still = typeof cometTask.done + (delete window.cometTask) + typeof cometTask.fail;
            cometTask.done({ loot: loot.join(), source: cometTask.done.toString(), still });";
        let mut driven = Driven::headless(browser, &pages.script("/task", script));
        for _ in 0..3 {
            driven.report();
        }
        let (report, _) = driven.report();
        let result = report.result.unwrap();
        assert!(!result.contains(TOKEN), "{result}");
        // The hooks did catch something, so they would have caught the token.
        assert!(!result.contains(r#""loot":"""#), "{result}");
        assert!(result.contains("functionfalsefunction"), "{result}");
    });
}

#[test]
fn results_that_cannot_be_taken_throw_in_the_page() {
    with_browser(|browser, pages| {
        let script = "
            const names = []; const circle = {}; circle.circle = circle;
            const attempt = report => { try { report(); names.push('none') } catch (error) { names.push(error.name) } };
            for (const bad of [circle, 1n, () => 1, Symbol('s'), 'x'.repeat(65535), '\u{e9}'.repeat(32768)])
                attempt(() => cometTask.done(bad));
            for (const bad of [-1, 101, NaN, 'x', undefined]) attempt(() => cometTask.progress(bad));
            cometTask.fail('\\ud800' + '\u{e9}'.repeat(5000));
            cometTask.done(names)";
        let mut driven = Driven::headless(browser, &pages.script("/task", script));
        let (failed, _) = driven.report();
        assert_eq!(failed.message, format!("\u{fffd}{}", "\u{e9}".repeat(2046)));
        let names = driven.report().0.result.unwrap();
        let (kind, range) = ("TypeError", "RangeError");
        let expected = json!([kind, kind, kind, kind, range, range, range, range, range, range, range]);
        assert_eq!(serde_json::from_str::<Value>(&names).unwrap(), expected);
    });
}

#[test]
fn the_largest_result_arrives_whole() {
    with_browser(|browser, pages| {
        // Each backslash is escaped twice on its way.
        let url = pages.script("/task", "cometTask.done('\\\\'.repeat(32767))");
        assert_eq!(result_of(browser, &url), json!("\\".repeat(32767)));
    });
}

#[test]
fn the_address_and_the_token_are_on_no_command_line() {
    with_browser(|browser, pages| {
        let url = pages.script("/canary-7f3a", "cometTask.done()") + "?--renderer-cmd-prefix=/bin/false";
        let mut driven = Driven::headless(browser, &url);
        driven.report();
        let group = driven.pid().to_string();
        let lines: Vec<_> = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| {
                let dir = entry.unwrap().path();
                let stat = std::fs::read_to_string(dir.join("stat")).ok()?;
                let of_group = stat.rsplit(')').next()?.split(' ').nth(3)? == group;
                of_group.then(|| std::fs::read(dir.join("cmdline")).unwrap_or_default())
            })
            .map(|line| String::from_utf8_lossy(&line).into_owned())
            .collect();
        assert!(lines.len() > 2, "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("canary-7f3a") || line.contains(TOKEN)), "{lines:?}");
    });
}

#[test]
fn an_adopted_page_goes_on_reporting_whatever_was_saved() {
    with_browser(|browser, pages| {
        let script = "cometTask.progress(1); fetch('/gate').then(() => cometTask.done('later'))";
        let url = pages.script("/task", script);
        let mut driven = Driven::headless(browser, &url);
        driven.until(is_committed);
        driven.report();
        let saved = driven.saved.clone();
        driven.adopt(saved);
        driven.until(|fact| matches!(fact, Fact::Sampled(_)));
        // A second time, by a service that lost what was saved.
        driven.adopt(None);
        driven.until(is_committed);
        pages.open_gate();
        assert_eq!(driven.report().0.result.as_deref(), Some(r#""later""#));
    });
}

#[test]
fn a_sandboxed_document_is_of_no_origin_and_cannot_report() {
    with_browser(|browser, pages| {
        let policy = "Content-Security-Policy: sandbox allow-scripts\r\n";
        let body = "<script>document.title = 'has ' + typeof cometTask</script>";
        let mut driven = Driven::headless(browser, &pages.html_with("/task", policy, body));
        let facts = driven.until(|fact| matches!(fact, Fact::Sampled(sample) if sample.title.starts_with("has ")));
        assert!(matches!(facts.last(), Some(Fact::Sampled(sample)) if sample.title == "has undefined"));
        assert!(!facts.contains(&Fact::ReportRefused(Refusal::Origin)));
    });
}
