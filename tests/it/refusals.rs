//! Execute refuses what it cannot honour, names each field with its remedy, and starts nothing.

use std::{collections::HashMap, fs, time::Duration};

use comet_task_runner::api::v1::{self, job::Status};
use tonic::Code;

use super::{
    service::{Options, Service, ended, execute, stub_url},
    stub::stub_browser,
    wire::{begin, jobs_made, refused, span, write_program},
};

/// A request with one thing changed.
fn edited(edit: impl FnOnce(&mut v1::ExecuteRequest)) -> v1::ExecuteRequest {
    let mut request = execute(&stub_url("/sleep"));
    edit(&mut request);
    request
}

fn with_timeouts(edit: impl FnOnce(&mut v1::Timeouts)) -> v1::ExecuteRequest {
    let mut timeouts = v1::Timeouts::default();
    edit(&mut timeouts);
    edited(|request| request.timeouts = Some(timeouts))
}

#[tokio::test]
async fn a_url_that_could_do_harm_is_refused_and_no_browser_is_started() {
    let home = tempfile::tempdir().unwrap();
    let (browser, marker, ready) = (home.path().join("marks"), home.path().join("started"), home.path().join("ready"));
    fs::copy(stub_browser(), &browser).unwrap();
    let script =
        format!("#!/bin/sh\necho started >> '{}'\nexec '{}' \"$@\"\n", marker.display(), stub_browser().display());
    write_program(&ready, &script);
    let by_hand = format!("marks={},exit-only", browser.display());
    let service =
        Service::start_with(Options { real_browser: true, ..Options::default().arg("--browser").arg(by_hand) });
    fs::rename(&ready, &browser).unwrap();
    let mut client = service.client().await;
    let long = format!("http://stub.test/{}", "x".repeat(9 * 1024));
    let canaries: [(&str, &str); 20] = [
        ("--renderer-cmd-prefix=/tmp/x", "URL_INVALID"),
        (" --x", "URL_INVALID"),
        ("--", "URL_INVALID"),
        ("@/etc/passwd", "URL_INVALID"),
        ("", "URL_INVALID"),
        ("stub.test/sleep", "URL_INVALID"),
        ("//stub.test/sleep", "URL_INVALID"),
        ("http://", "URL_INVALID"),
        ("http://stub.test/sleep\n--x", "URL_INVALID"),
        ("java\nscript:alert(1)", "URL_INVALID"),
        ("http://stub.test/\u{0}sleep", "URL_INVALID"),
        (" http://stub.test/sleep", "URL_INVALID"),
        ("http://user@stub.test/sleep", "URL_INVALID"),
        ("http://user:secret@stub.test/sleep", "URL_INVALID"),
        (&long, "URL_INVALID"),
        ("file:///etc/passwd", "URL_SCHEME_NOT_ALLOWED"),
        ("javascript:alert(1)", "URL_SCHEME_NOT_ALLOWED"),
        ("data:text/html,x", "URL_SCHEME_NOT_ALLOWED"),
        ("chrome://crash", "URL_SCHEME_NOT_ALLOWED"),
        ("view-source:http://stub.test/", "URL_SCHEME_NOT_ALLOWED"),
    ];
    for (url, reason) in canaries {
        let refusal = refused(client.execute(execute(url)).await);
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, reason), "{url:?}");
        assert_eq!(refusal.fields.len(), 1, "{url:?}");
        assert_eq!(refusal.fields[0].0, "url", "{url:?}");
        assert!(!refusal.message.contains("secret"), "a password is not repeated");
    }
    assert_eq!(jobs_made(&service), 0);
    assert!(!marker.exists(), "a browser was started");
    // The same browser does leave its mark when it is started.
    let answer = begin(&mut client, "/exit/0").await;
    assert_eq!(ended(&mut client, &answer.task_id).await.status(), Status::Done);
    assert_eq!(fs::read_to_string(&marker).unwrap(), "started\n");
}

#[tokio::test]
async fn each_field_at_fault_is_named_with_its_remedy() {
    let service = Service::start();
    let mut client = service.client().await;
    let negative = Some(prost_types::Duration { seconds: -1, nanos: 0 });
    let year_and_more = span(Duration::from_secs(367 * 24 * 3600));
    let labels = |count: usize| (0..count).map(|n| (n.to_string(), String::new())).collect::<HashMap<_, _>>();
    let labelled = |key: &str, value: &str| {
        let labels = HashMap::from([(key.to_owned(), value.to_owned())]);
        edited(|request| request.labels = labels)
    };
    let with_origins = |origins: Vec<String>| edited(|request| request.callback_origins = origins);
    let with_profile = |name: &str| edited(|request| request.profile = name.to_owned());
    let cases: Vec<(v1::ExecuteRequest, &str, &str, &str)> = vec![
        (edited(|r| r.request_id = "42".to_owned()), "request_id", "REQUEST_ID_INVALID", "uuidgen"),
        (
            edited(|r| r.request_id = "00000000-0000-0000-0000-000000000000".to_owned()),
            "request_id",
            "REQUEST_ID_INVALID",
            "uuidgen",
        ),
        (edited(|r| r.mode = 77), "mode", "ENUM_UNKNOWN", "give AUTO, HEADED or HEADLESS"),
        (edited(|r| r.completion_policy = 77), "completion_policy", "ENUM_UNKNOWN", "give ANY"),
        (edited(|r| r.after_finish = -1), "after_finish", "ENUM_UNKNOWN", "give CLOSE or KEEP_OPEN"),
        (with_timeouts(|t| t.queue = negative), "timeouts.queue", "DURATION_OUT_OF_RANGE", "is negative"),
        (with_timeouts(|t| t.launch = negative), "timeouts.launch", "DURATION_OUT_OF_RANGE", "is negative"),
        (with_timeouts(|t| t.run = year_and_more), "timeouts.run", "DURATION_OUT_OF_RANGE", "31622400 s"),
        (with_timeouts(|t| t.idle = year_and_more), "timeouts.idle", "DURATION_OUT_OF_RANGE", "31622400 s"),
        (
            with_timeouts(|t| t.run = Some(prost_types::Duration { seconds: 0, nanos: -1 })),
            "timeouts.run",
            "DURATION_OUT_OF_RANGE",
            "not a duration",
        ),
        (edited(|r| r.termination_grace = negative), "termination_grace", "DURATION_OUT_OF_RANGE", "is negative"),
        (
            edited(|r| r.termination_grace = span(Duration::from_secs(601))),
            "termination_grace",
            "DURATION_OUT_OF_RANGE",
            "600 s",
        ),
        (edited(|r| r.retention = year_and_more), "retention", "DURATION_OUT_OF_RANGE", "31622400 s"),
        (edited(|r| r.labels = labels(33)), "labels", "TOO_MANY", "at most 32"),
        (labelled("", "x"), "labels", "LABEL_INVALID", "1 to 63 characters"),
        (labelled(&"k".repeat(64), "x"), "labels", "LABEL_INVALID", "1 to 63 characters"),
        (labelled("team", &"v".repeat(256)), "labels[team]", "LABEL_INVALID", "at most 255"),
        (labelled("team", "a\nb"), "labels[team]", "LABEL_INVALID", "control characters"),
        (with_origins(vec!["http://a.test/".to_owned()]), "callback_origins[0]", "ORIGIN_INVALID", "\"http://a.test\""),
        (with_origins(vec!["*".to_owned()]), "callback_origins[0]", "ORIGIN_INVALID", "https://example.org"),
        (with_origins(vec!["http://a.test".to_owned(); 17]), "callback_origins", "TOO_MANY", "at most 16"),
        (with_profile("..other"), "profile", "PROFILE_INVALID", "begin it with a letter"),
        (with_profile("a/b"), "profile", "PROFILE_INVALID", "only a-z"),
        (with_profile("Work"), "profile", "PROFILE_INVALID", "only a-z"),
        (with_profile(&"p".repeat(41)), "profile", "PROFILE_INVALID", "1 to 40"),
        (edited(|r| r.browser = "netscape".to_owned()), "browser", "BROWSER_UNKNOWN", "there are: stub"),
    ];
    for (request, field, reason, remedy) in cases {
        let refusal = refused(client.execute(request.clone()).await);
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, reason), "{request:?}");
        let [(named, description)] = &refusal.fields[..] else { panic!("one field is at fault: {refusal:?}") };
        assert_eq!(named, field);
        assert!(description.contains(remedy), "{field}: {description}");
        assert!(refusal.message.contains(field), "{}", refusal.message);
    }
    assert_eq!(jobs_made(&service), 0);
}

#[tokio::test]
async fn every_fault_of_a_request_is_told_in_one_answer() {
    let service = Service::start();
    let mut client = service.client().await;
    let mut request = with_timeouts(|timeouts| timeouts.run = Some(prost_types::Duration { seconds: -1, nanos: 0 }));
    request.url = "file:///etc/passwd".to_owned();
    request.mode = 9;
    request.profile = "A".to_owned();
    let refusal = refused(client.execute(request).await);
    let mut fields: Vec<_> = refusal.fields.iter().map(|(field, _)| field.as_str()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["mode", "profile", "timeouts.run", "url"]);
    assert_eq!(refusal.reason, "URL_SCHEME_NOT_ALLOWED", "the first one gives the reason");
}

#[tokio::test]
async fn what_only_page_facts_could_honour_is_refused_for_a_browser_without_them() {
    let service = Service::start();
    let mut client = service.client().await;
    let cases = [
        (edited(|request| request.fail_on_http_error = true), "fail_on_http_error"),
        (edited(|request| request.callback_origins = vec!["http://a.test".to_owned()]), "callback_origins"),
        (edited(|request| request.dialogs = v1::execute_request::DialogPolicy::Dismiss.into()), "dialogs"),
        (edited(|request| request.wait_for_popups = true), "wait_for_popups"),
        (with_timeouts(|timeouts| timeouts.navigation = span(Duration::from_secs(1))), "timeouts.navigation"),
    ];
    for (request, field) in cases {
        let refusal = refused(client.execute(request).await);
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "TIER_CANNOT"), "{field}");
        assert_eq!(refusal.fields[0].0, field);
        assert!(refusal.fields[0].1.contains("use a browser in the tier MANAGED"));
    }
    assert_eq!(jobs_made(&service), 0);
}

#[tokio::test]
async fn limits_themselves_are_taken() {
    let service = Service::start();
    let mut client = service.client().await;
    let mut request = with_timeouts(|timeouts| {
        let year = span(Duration::from_secs(366 * 24 * 3600));
        *timeouts = v1::Timeouts { queue: year, launch: year, run: year, idle: year, navigation: None };
    });
    request.validate_only = true;
    request.labels = (0..32).map(|n| (format!("{n:063}"), "ü".repeat(255))).collect();
    request.termination_grace = span(Duration::from_secs(600));
    request.profile = "p".repeat(40);
    request.url = format!("http://stub.test/{}", "x".repeat(8 * 1024 - 17));
    assert_eq!(request.url.len(), 8 * 1024);
    client.execute(request).await.unwrap();
}

#[tokio::test]
async fn a_window_without_a_display_is_refused_with_the_remedy() {
    let service = Service::start();
    let mut client = service.client().await;
    let refusal =
        refused(client.execute(edited(|request| request.mode = v1::execute_request::Mode::Headed.into())).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "NO_DISPLAY"));
    assert!(refusal.message.contains("use HEADLESS"), "{}", refusal.message);
    assert_eq!(jobs_made(&service), 0);
}

#[tokio::test]
async fn root_without_no_sandbox_is_refused_for_a_chromium() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not run: only root is refused");
        return;
    }
    let by_hand = format!("managed={}", stub_browser().display());
    let service = Service::start_with(Options::default().arg("--browser").arg(by_hand));
    let mut client = service.client().await;
    let refusal = refused(client.execute(edited(|request| request.browser = "managed".to_owned())).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "SANDBOX_NEEDS_USER"));
    assert!(refusal.message.contains("--no-sandbox"), "{}", refusal.message);
    assert_eq!(jobs_made(&service), 0);
}
