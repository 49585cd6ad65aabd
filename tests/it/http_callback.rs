//! `POST /callback` header by header: who may ask, who may report, and what each is told.

use comet_task_runner::api::v1::{
    self,
    execute_request::CallbackDelivery,
    job::{Reason, Status},
};
use http::Method;
use serde_json::{Value, json};

use super::{
    caller::{Answer, Caller},
    service::{Options, Service, ended, execute, job_when, stub_url},
    wire::{begin, refused, settled, status},
};

/// The origin of the stub browser's pages.
const OWN: &str = "http://stub.test";

fn done(task: &v1::ExecuteResponse) -> Value {
    json!({ "task_id": task.task_id, "callback_token": task.callback_token, "status": "DONE" })
}

/// As a page of this origin sends it.
async fn post(service: &Service, origin: Option<&str>, report: &Value) -> Answer {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(origin.map(|origin| ("origin", origin)));
    let mut caller = Caller::of(service).await;
    caller.send(Method::POST, "/callback", &headers, report.to_string()).await
}

async fn preflight(service: &Service, headers: &[(&str, &str)]) -> Answer {
    Caller::of(service).await.send(Method::OPTIONS, "/callback", headers, "").await
}

#[tokio::test]
async fn any_well_formed_origin_may_ask_and_is_told_only_that_it_may_try() {
    let service = Service::start();
    let asked = [("origin", "https://shop.test"), ("access-control-request-method", "POST")];
    let answer = preflight(&service, &asked).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
    for (name, value) in [
        ("access-control-allow-origin", "https://shop.test"),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "content-type"),
        ("access-control-max-age", "600"),
        ("vary", "origin"),
    ] {
        assert_eq!(answer.headers[name], value, "{name}");
    }
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    assert!(!answer.headers.contains_key("access-control-allow-private-network"), "nobody asked for it");
    let private = [asked[0], ("access-control-request-private-network", "true")];
    assert_eq!(preflight(&service, &private).await.headers["access-control-allow-private-network"], "true");
    for odd in ["null", "file://", "https://shop.test/", "*"] {
        let answer = preflight(&service, &[("origin", odd)]).await;
        assert_eq!((answer.status.as_u16(), answer.headers.get("access-control-allow-origin")), (403, None), "{odd}");
    }
    assert_eq!(preflight(&service, &[]).await.status, 403);
}

#[tokio::test]
async fn a_report_from_an_allowed_origin_counts_and_its_answer_can_be_read() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = settled(begin(&mut client, "/sleep").await);
    let alive = json!({ "taskId": task.task_id, "callbackToken": task.callback_token,
        "status": "RUNNING", "progress": 40, "message": "reading" });
    let answer = post(&service, Some(OWN), &alive).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["applied"]), (200, &json!(true)));
    assert_eq!(answer.headers["access-control-allow-origin"], OWN);
    assert_eq!(answer.headers["vary"], "origin");
    assert_eq!(status(&mut client, &task.task_id).await.sample.unwrap().progress, Some(40));

    let mut report = done(&task);
    report["message"] = "all read".into();
    report["result"] = json!({ "rows": [1, 2] });
    assert_eq!(post(&service, Some(OWN), &report).await.json()["job"]["status"], "DONE");
    let job = ended(&mut client, &task.task_id).await;
    assert_eq!((job.status(), job.reason(), job.message.as_str()), (Status::Done, Reason::Callback, "all read"));
    assert_eq!(job.callback.unwrap().result, r#"{"rows":[1,2]}"#);
}

#[tokio::test]
async fn a_wrong_token_a_foreign_origin_and_an_unknown_task_are_told_the_same_and_do_nothing() {
    let service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let other = begin(&mut client, "/sleep").await;
    let with = |name: &str, value: &str| {
        let mut report = done(&task);
        report[name] = value.into();
        report
    };
    let unknown = uuid::Uuid::now_v7().to_string();
    let mut told = Vec::new();
    for (origin, report) in [
        (Some("http://evil.test"), done(&task)),
        (Some("https://stub.test"), done(&task)),
        (Some("null"), done(&task)),
        (Some(OWN), with("callback_token", &other.callback_token)),
        (Some(OWN), with("callback_token", "")),
        (Some(OWN), with("task_id", &unknown)),
        (Some(OWN), with("task_id", "no id")),
        (None, with("callback_token", &other.callback_token)),
        (None, with("task_id", &unknown)),
    ] {
        let answer = post(&service, origin, &report).await;
        assert_eq!(answer.headers.get("access-control-allow-origin"), None, "{origin:?} {report}");
        let (http_status, code, reason) = answer.refusal();
        assert_eq!((http_status, code.as_str(), reason.as_str()), (403, "permission_denied", "CALLBACK_REFUSED"));
        let id = answer.headers["x-request-id"].to_str().unwrap();
        told.push(answer.body.replace(id, "its id"));
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:#?}");
    for task in [&task, &other] {
        let job = status(&mut client, &task.task_id).await.job.unwrap();
        assert_eq!((job.status(), job.revision), (Status::Running, 2));
    }
    assert_eq!(post(&service, Some(OWN), &done(&task)).await.status, 200, "the unspoilt report is taken");
}

#[tokio::test]
async fn a_service_of_a_page_reports_without_an_origin_and_our_own_page_with_ours() {
    let service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let mut client = service.client().await;
    for origin in [None, Some(service.address.as_str())] {
        let task = begin(&mut client, "/sleep").await;
        assert_eq!(post(&service, origin, &done(&task)).await.status, 200, "{origin:?}");
        assert_eq!(ended(&mut client, &task.task_id).await.reason(), Reason::Callback);
    }
    let task = begin(&mut client, "/sleep").await;
    let no_token = json!({ "task_id": task.task_id, "status": "DONE" });
    let answer = post(&service, None, &no_token).await;
    assert_eq!(answer.refusal(), (401, "unauthenticated".to_owned(), "TOKEN_MISSING".to_owned()));
    let bearer = super::caller::bearer(&service);
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let mut caller = Caller::of(&service).await;
    let answer = caller.send(Method::POST, "/callback", &headers, no_token.to_string()).await;
    assert_eq!(answer.status, 200, "with an API token it is the same call");
    // What a page can send to anybody unasked.
    let beacon = [("content-type", "text/plain"), ("origin", OWN)];
    assert_eq!(caller.send(Method::POST, "/callback", &beacon, done(&task).to_string()).await.status, 415);
}

#[tokio::test]
async fn the_first_report_wins_and_another_is_told_of_it() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    assert_eq!(post(&service, Some(OWN), &done(&task)).await.json()["applied"], true);
    let again = post(&service, Some(OWN), &done(&task)).await;
    assert_eq!((again.status.as_u16(), again.json().get("applied")), (200, None), "the same again is nothing new");
    let mut otherwise = done(&task);
    otherwise["status"] = "FAILED".into();
    let conflict = post(&service, Some(OWN), &otherwise).await;
    assert_eq!(conflict.refusal(), (400, "failed_precondition".to_owned(), "REPORT_CONFLICT".to_owned()));
    assert_eq!(conflict.headers["access-control-allow-origin"], OWN, "its page may read why");
    assert_eq!(ended(&mut client, &task.task_id).await.status(), Status::Done);
}

#[tokio::test]
async fn a_first_report_after_the_end_is_recorded_and_changes_no_status() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/exit/3").await;
    let end = ended(&mut client, &task.task_id).await;
    assert_eq!((end.status(), end.reason(), end.callback), (Status::Failed, Reason::ProcessFailed, None));
    let answer = post(&service, Some(OWN), &done(&task)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["applied"]), (200, &json!(true)));
    let job = job_when(&mut client, &task.task_id, |job| job.callback.is_some()).await;
    assert_eq!((job.status(), job.reason()), (Status::Failed, Reason::ProcessFailed));
    assert_eq!(job.callback.unwrap().status(), Status::Done);
}

#[tokio::test]
async fn what_is_wrong_with_a_report_is_told_as_everywhere() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    for (name, value, reason) in [
        ("status", json!("CREATED"), "STATUS_NOT_REPORTABLE"),
        ("status", json!("done?"), "JSON_INVALID"),
        ("progress", json!(40), "PROGRESS_INVALID"),
        ("result", json!("x".repeat(70_000)), "RESULT_TOO_LARGE"),
        ("surprise", json!(1), "JSON_INVALID"),
    ] {
        let mut report = done(&task);
        report[name] = value;
        let answer = post(&service, Some(OWN), &report).await;
        assert_eq!((answer.refusal().0, answer.refusal().2.as_str()), (400, reason), "{report:.80}");
    }
    let mut caller = Caller::of(&service).await;
    for body in ["", "[]", "{", "null"] {
        let answer = caller.send(Method::POST, "/callback", &[("content-type", "application/json")], body).await;
        assert_eq!(answer.refusal().2, "JSON_INVALID", "{body:?}");
    }
    assert_eq!(status(&mut client, &task.task_id).await.job.unwrap().status(), Status::Running);
}

#[tokio::test]
async fn a_url_with_a_fragment_of_its_own_has_no_place_for_another() {
    let service = Service::start();
    let mut client = service.client().await;
    let by_fragment = |path: &str| v1::ExecuteRequest {
        callback_delivery: CallbackDelivery::Fragment.into(),
        ..execute(&stub_url(path))
    };
    for path in ["/exit/0#part", "/exit/0#"] {
        let refusal = refused(client.execute(by_fragment(path)).await);
        assert_eq!((refusal.reason.as_str(), refusal.fields[0].0.as_str()), ("URL_HAS_FRAGMENT", "url"), "{path}");
    }
    let unknown = v1::ExecuteRequest { callback_delivery: 9, ..execute(&stub_url("/exit/0")) };
    let refusal = refused(client.execute(unknown).await);
    assert_eq!((refusal.reason.as_str(), refusal.fields[0].0.as_str()), ("ENUM_UNKNOWN", "callback_delivery"));
    // A browser without page facts takes other origins too, since they are judged over HTTP.
    let elsewhere = vec!["http://elsewhere.test".to_owned()];
    let task = v1::ExecuteRequest { callback_origins: elsewhere.clone(), ..by_fragment("/sleep") };
    let task = client.execute(task).await.unwrap().into_inner();
    assert_eq!(post(&service, Some(OWN), &done(&task)).await.status, 403);
    assert_eq!(post(&service, Some(&elsewhere[0]), &done(&task)).await.status, 200);
}

#[tokio::test]
async fn what_a_browser_prints_of_its_arguments_does_not_tell_the_token() {
    let service = Service::start();
    let mut client = service.client().await;
    let url = stub_url("/stderr-url");
    let request = v1::ExecuteRequest { callback_delivery: CallbackDelivery::Fragment.into(), ..execute(&url) };
    let task = client.execute(request).await.unwrap().into_inner();
    let job = ended(&mut client, &task.task_id).await;
    let printed = format!("it last printed: {url}#ctr={}.[token]", task.task_id);
    assert!(job.message.contains(&printed), "{}", job.message);
    assert!(!format!("{job:?}").contains(&task.callback_token));
}
