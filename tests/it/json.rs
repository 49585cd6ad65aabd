//! The JSON entrance: every call as a person with curl makes it, what it refuses, and streams line by line.

use std::collections::{BTreeMap, BTreeSet};

use comet_task_runner::api::{
    DESCRIPTORS,
    v1::{self, job::Status},
};
use http::Method;
use prost_reflect::DescriptorPool;
use rustix::process::Signal;
use serde_json::{Value, json};
use tonic::Code;

use super::{
    caller::{Caller, bearer, path},
    service::{Client, Options, SOON, Service, ended, stub_url, to_end, watch},
    wire::{begin, cancel, jobs_made, read_log, settled, status},
};

/// What gRPC callers are told, in the words of the JSON entrance.
fn code_of<T>(answer: &Result<T, tonic::Status>) -> String {
    let code = answer.as_ref().map_or_else(tonic::Status::code, |_| Code::Ok);
    let name = format!("{code:?}");
    name.chars().fold(String::new(), |mut snake, c| {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
        snake
    })
}

/// Each call of the contract that has one answer: as JSON, and how it goes over gRPC.
async fn unary_calls(client: &mut Client, task_id: &str) -> BTreeMap<&'static str, (Value, String)> {
    let url = stub_url("/exit/0");
    let same = v1::GetStatusRequest { task_id: task_id.to_owned() };
    let alive = v1::CallbackRequest { task_id: task_id.to_owned(), status: 2, ..v1::CallbackRequest::default() };
    let execute = v1::ExecuteRequest { url: url.clone(), validate_only: true, ..v1::ExecuteRequest::default() };
    let remove = v1::RemoveProfileRequest { name: "none".to_owned(), ..v1::RemoveProfileRequest::default() };
    let pictured = v1::CaptureScreenshotRequest { task_id: task_id.to_owned(), ..Default::default() };
    let focused = v1::FocusWindowRequest { task_id: task_id.to_owned(), ..Default::default() };
    let over_grpc = [
        // Refused: there is neither a page nor a window.
        ("CaptureScreenshot", json!({ "taskId": task_id }), code_of(&client.capture_screenshot(pictured).await)),
        ("FocusWindow", json!({ "taskId": task_id }), code_of(&client.focus_window(focused).await)),
        ("ListWindows", json!({}), code_of(&client.list_windows(v1::ListWindowsRequest::default()).await)),
        ("TileWindows", json!({}), code_of(&client.tile_windows(v1::TileWindowsRequest::default()).await)),
        ("Execute", json!({ "url": url, "validateOnly": true }), code_of(&client.execute(execute).await)),
        ("GetStatus", json!({ "task_id": task_id }), code_of(&client.get_status(same).await)),
        ("Callback", json!({ "taskId": task_id, "status": "RUNNING" }), code_of(&client.callback(alive).await)),
        ("ListJobs", json!({}), code_of(&client.list_jobs(v1::ListJobsRequest::default()).await)),
        ("GetRunner", Value::Null, code_of(&client.get_runner(v1::GetRunnerRequest {}).await)),
        ("ListProfiles", json!({}), code_of(&client.list_profiles(v1::ListProfilesRequest::default()).await)),
        ("RemoveProfile", json!({ "name": "none" }), code_of(&client.remove_profile(remove).await)),
        // Asked once more, it is the same wish.
        ("CancelJob", json!({ "taskId": task_id }), code_of(&client.cancel_job(cancel(task_id)).await)),
    ];
    over_grpc.into_iter().map(|(call, json, code)| (call, (json, code))).collect()
}

#[tokio::test]
async fn every_call_of_the_contract_can_be_made_with_json() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let contract = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let contract = contract.get_service_by_name("comet.taskrunner.v1.TaskRunner").unwrap();
    let names = |streams: bool| -> BTreeSet<String> {
        let of_kind = contract.methods().filter(|method| method.is_server_streaming() == streams);
        of_kind.map(|method| method.name().to_owned()).collect()
    };
    let calls = unary_calls(&mut client, &task.task_id).await;
    assert_eq!(names(false), calls.keys().map(ToString::to_string).collect(), "each call is tried here");
    let mut caller = Caller::of(&service).await;
    for (call, (request, over_grpc)) in calls {
        let body = if request.is_null() { String::new() } else { request.to_string() };
        let headers = [("content-type", "application/json"), ("authorization", &bearer(&service))];
        let answer = caller.send(Method::POST, &path(call), &headers, body).await;
        let json = answer.json();
        let code = if answer.status.is_success() { "ok" } else { json["code"].as_str().unwrap() };
        assert_eq!(code, over_grpc, "{call}: {json}");
    }
    let no_file = v1::ReadFileRequest { task_id: task.task_id.clone(), name: "a".to_owned(), offset: 0 };
    let streams = BTreeMap::from([
        ("WatchJob", code_of(&client.watch_job(watch(&task.task_id)).await)),
        ("WatchJobs", code_of(&client.watch_jobs(v1::WatchJobsRequest::default()).await)),
        ("ReadFile", code_of(&client.read_file(no_file).await)),
        ("ReadLog", code_of(&client.read_log(read_log(&task.task_id)).await)),
    ]);
    assert_eq!(names(true), streams.keys().map(ToString::to_string).collect(), "each stream is tried here");
    for (call, over_grpc) in streams {
        let body = match call {
            "WatchJobs" => json!({}),
            "ReadFile" => json!({ "taskId": task.task_id, "name": "a" }),
            _ => json!({ "taskId": task.task_id }),
        };
        let headers = [("content-type", "application/json"), ("authorization", &bearer(&service))];
        let mut caller = Caller::of(&service).await;
        let answer = caller.begin(Method::POST, &path(call), &headers, body.to_string()).await;
        let begun = answer.headers()["content-type"] == "application/x-ndjson";
        assert_eq!(begun, over_grpc == "ok", "{call}: {over_grpc}");
    }
}

#[tokio::test]
async fn a_task_is_made_watched_and_reported_on_with_json_alone() {
    let service = Service::start();
    let mut caller = Caller::of(&service).await;
    let made = caller.call(&service, "Execute", &json!({ "url": stub_url("/sleep"), "labels": { "a": "b" } })).await;
    assert_eq!(made.status, 200, "{made:?}");
    let made = made.json();
    assert_eq!((&made["job"]["status"], &made["job"]["reason"]), (&json!("RUNNING"), &json!("LAUNCHED")));
    assert_eq!((&made["job"]["labels"], &made["job"]["revision"]), (&json!({ "a": "b" }), &json!("2")));
    let task_id = made["taskId"].as_str().unwrap();
    let mut lines = Caller::of(&service).await.watch(&service, "WatchJob", &json!({ "taskId": task_id })).await;
    let snapshot = lines.next().await.unwrap();
    assert_eq!((&snapshot["kind"], &snapshot["job"]["taskId"]), (&json!("SNAPSHOT"), &json!(task_id)));

    // Without an API token, as a page has none.
    let token = &made["callbackToken"];
    let alive = json!({ "taskId": task_id, "callbackToken": token, "status": "RUNNING", "progress": 40 });
    assert_eq!(caller.post(&path("Callback"), &alive).await.json()["applied"], true);
    let sampled = async {
        loop {
            let sample = lines.next().await.unwrap();
            assert_eq!(sample["kind"], "SAMPLE");
            if sample["sample"]["progress"] == 40 {
                break;
            }
        }
    };
    tokio::time::timeout(SOON, sampled).await.expect("the progress is told at once");

    let done = json!({ "taskId": task_id, "callbackToken": token, "status": "DONE", "result": "{\"n\":1}" });
    assert_eq!(caller.post(&path("Callback"), &done).await.json()["job"]["done"], true);
    let change = lines.next_change().await.unwrap();
    assert_eq!((&change["kind"], &change["final"]), (&json!("CHANGE"), &json!(true)));
    assert_eq!((&change["job"]["status"], &change["job"]["callback"]["result"]), (&json!("DONE"), &json!("{\"n\":1}")));
    assert_eq!(lines.next().await, None);
    assert_eq!(caller.call(&service, "GetStatus", &json!({ "taskId": task_id })).await.json()["job"]["done"], true);
}

#[tokio::test]
async fn a_refusal_has_its_http_status_and_details_that_can_be_read() {
    let service = Service::start();
    let mut caller = Caller::of(&service).await;
    let bad = caller.call(&service, "Execute", &json!({ "url": "file:///etc/passwd" })).await;
    assert_eq!(bad.refusal(), (400, "invalid_argument".to_owned(), "URL_SCHEME_NOT_ALLOWED".to_owned()));
    let json = bad.json();
    assert!(json["message"].as_str().unwrap().contains("\"file\""), "{json}");
    let violation = json["details"].as_array().unwrap().iter().find(|d| d["fieldViolations"].is_array()).unwrap();
    assert_eq!(violation["@type"], "type.googleapis.com/google.rpc.BadRequest");
    assert_eq!(violation["fieldViolations"][0]["field"], "url");

    let nobody = json!({ "taskId": uuid::Uuid::now_v7().to_string() });
    for call in ["GetStatus", "CancelJob", "WatchJob"] {
        let unknown = caller.call(&service, call, &nobody).await;
        assert_eq!(unknown.refusal(), (404, "not_found".to_owned(), "TASK_NOT_FOUND".to_owned()), "{call}");
    }
    let stranger = caller.post(&path("Callback"), &json!({ "taskId": nobody["taskId"], "status": "DONE" })).await;
    assert_eq!(stranger.refusal(), (401, "unauthenticated".to_owned(), "TOKEN_MISSING".to_owned()));
    let guessed = json!({ "taskId": nobody["taskId"], "status": "DONE", "callbackToken": "guess" });
    let guessed = caller.post(&path("Callback"), &guessed).await;
    assert_eq!(guessed.refusal(), (403, "permission_denied".to_owned(), "CALLBACK_TOKEN_INVALID".to_owned()));
    let unknown = caller.call(&service, "Nothing", &json!({})).await;
    assert_eq!(unknown.refusal(), (501, "unimplemented".to_owned(), "CALL_UNKNOWN".to_owned()));
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_again() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1").arg("--queue").arg("0"));
    let mut client = service.client().await;
    begin(&mut client, "/sleep").await;
    let mut caller = Caller::of(&service).await;
    let full = caller.call(&service, "Execute", &json!({ "url": stub_url("/exit/0") })).await;
    assert_eq!(full.refusal(), (429, "resource_exhausted".to_owned(), "QUEUE_FULL".to_owned()));
    assert_eq!(full.headers["retry-after"], "5");
    assert!(full.json()["details"].as_array().unwrap().iter().any(|detail| detail["retryDelay"] == "5s"));
}

#[tokio::test]
async fn a_body_that_is_no_request_of_its_call_is_refused_and_does_nothing() {
    let service = Service::start();
    let mut caller = Caller::of(&service).await;
    let headers = [("content-type", "application/json"), ("authorization", &bearer(&service))];
    for (body, status, reason, words) in [
        (r#"{"url":"http://stub.test/exit/0","ur1":1}"#.to_owned(), 400, "JSON_INVALID", "'ur1'"),
        ("{\"url\":\"http://stub.test/exit/0\",\n}".to_owned(), 400, "JSON_INVALID", "line 2 column 1"),
        (r#"{"url":"http://stub.test/exit/0"}{}"#.to_owned(), 400, "JSON_INVALID", "trailing"),
        (String::new(), 400, "URL_INVALID", "url is empty"),
        (format!(r#"{{"url":"{}"}}"#, "x".repeat(1024 * 1024)), 413, "REQUEST_TOO_LARGE", "1048576"),
    ] {
        let answer = caller.send(Method::POST, &path("Execute"), &headers, body.clone()).await;
        let (got, _, named) = answer.refusal();
        assert_eq!((got, named.as_str()), (status, reason), "{body:.60}");
        assert!(answer.json()["message"].as_str().unwrap().contains(words), "{body:.60}: {answer:?}");
        // A connection whose request was not read to its end cannot take another.
        caller = Caller::of(&service).await;
    }
    assert_eq!(jobs_made(&service), 0);
}

#[tokio::test]
async fn health_is_asked_for_with_json_and_without_a_token() {
    let service = Service::start();
    let mut caller = Caller::of(&service).await;
    let health = caller.post("/grpc.health.v1.Health/Check", &json!({})).await;
    assert_eq!((health.status.as_u16(), &health.json()["status"]), (200, &json!("SERVING")));
    let unknown = caller.post("/grpc.health.v1.Health/Check", &json!({ "service": "nothing" })).await;
    assert_eq!((unknown.status.as_u16(), &unknown.json()["code"]), (404, &json!("not_found")));
    let reflection = caller.post("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &json!({})).await;
    assert_eq!(reflection.refusal().2, "CALL_UNKNOWN");
}

#[tokio::test]
async fn a_stream_that_breaks_off_says_why_in_its_last_line() {
    let mut service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let caller = Caller::of(&service).await;
    let mut lines = caller.watch(&service, "WatchJob", &json!({ "taskId": task.task_id })).await;
    assert_eq!(lines.next().await.unwrap()["kind"], "SNAPSHOT");
    drop(client);
    service.signal(Signal::TERM);
    assert_eq!(lines.next_change().await.unwrap()["kind"], "DRAINING");
    let error = lines.next().await.unwrap();
    assert_eq!(error["error"]["code"], "unavailable", "{error}");
    assert!(error["error"]["details"].as_array().unwrap().iter().any(|detail| detail["reason"] == "DRAINING"));
    assert_eq!(lines.next().await, None);
    drop(lines);
    assert!(tokio::task::spawn_blocking(move || service.wait()).await.unwrap().success());
}

#[tokio::test]
async fn a_caller_that_leaves_ends_its_stream_though_nothing_happens() {
    let service = Service::start_with(Options::default().arg("--watchers").arg("1"));
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    // No message of the stream would come for ten minutes.
    let request = json!({ "taskId": task.task_id, "heartbeatInterval": "600s" });
    let mut lines = Caller::of(&service).await.watch(&service, "WatchJob", &request).await;
    assert_eq!(lines.next().await.unwrap()["kind"], "SNAPSHOT");
    let refused = Caller::of(&service).await.call(&service, "WatchJob", &request).await;
    assert_eq!(refused.refusal(), (429, "resource_exhausted".to_owned(), "WATCHER_LIMIT".to_owned()));
    drop(lines);
    // Its place is free once the service has noticed, which nothing tells.
    let free = async {
        while let Err(status) = client.watch_job(watch(&task.task_id)).await {
            assert_eq!(status.code(), Code::ResourceExhausted);
        }
    };
    tokio::time::timeout(SOON, free).await.expect("the stream ends with its caller");
}

#[tokio::test]
async fn a_callers_patience_ends_its_stream() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = settled(begin(&mut client, "/sleep").await);
    let bearer = bearer(&service);
    let patient = |millis| {
        [("content-type", "application/json"), ("authorization", bearer.as_str()), ("connect-timeout-ms", millis)]
    };
    let body = json!({ "taskId": task.task_id }).to_string();
    let mut caller = Caller::of(&service).await;
    let wrong = caller.send(Method::POST, &path("GetStatus"), &patient("soon"), body.clone()).await;
    assert_eq!(wrong.refusal().2, "TIMEOUT_INVALID");
    let answer = caller.send(Method::POST, &path("WatchJob"), &patient("1500"), body).await;
    let lines: Vec<Value> = answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines: Vec<_> = lines.into_iter().filter(|line| line["kind"] != "SAMPLE").collect();
    assert_eq!((lines.len(), &lines[0]["kind"]), (2, &json!("SNAPSHOT")), "{lines:?}");
    let end = &lines[1]["error"];
    let kinds: Vec<_> = end["details"].as_array().unwrap().iter().map(|detail| detail["@type"].clone()).collect();
    let id_alone = [json!("type.googleapis.com/google.rpc.RequestInfo")];
    assert_eq!((&end["code"], &kinds[..]), (&json!("deadline_exceeded"), &id_alone[..]), "no ErrorInfo: {end}");
    assert_eq!(status(&mut client, &task.task_id).await.job.unwrap().status(), Status::Running, "it goes on");
}

#[tokio::test]
async fn each_line_is_what_a_grpc_caller_is_told() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/exit/3").await;
    ended(&mut client, &task.task_id).await;
    let mut stream = client.watch_job(watch(&task.task_id)).await.unwrap().into_inner();
    let over_grpc = to_end(&mut stream).await;
    let mut lines = Caller::of(&service).await.watch(&service, "WatchJob", &json!({ "taskId": task.task_id })).await;
    for mut message in over_grpc {
        let mut line = lines.next().await.unwrap();
        // A reading may be there for one of them and gone for the other.
        message.sample = None;
        line.as_object_mut().unwrap().remove("sample");
        let expected = comet_task_runner::api::json::message("WatchJobResponse", &message);
        assert_eq!(line, serde_json::from_str::<Value>(&expected).unwrap());
        assert_eq!(line["job"]["exitCode"], 3);
    }
    assert_eq!(lines.next().await, None);
}
