//! `--legacy-rest`: the old service's callers find what they knew, and no web page finds anything.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use comet_task_runner::api::v1::{self, job::Status};
use http::Method;
use serde_json::{Value, json};

use super::{
    caller::{Answer, Caller},
    line::{Line, Transport, addressed},
    service::{Options, Service, ended, job_when, stub_url},
    wire::{cancel, jobs_made, report},
};

fn old() -> Options {
    Options::default().arg("--legacy-rest").arg("--slots").arg("2")
}

async fn get(service: &Service, path: &str) -> Answer {
    Caller::of(service).await.send(Method::GET, path, &[], "").await
}

async fn post(service: &Service, path: &str, body: &Value) -> Answer {
    Caller::of(service).await.post(path, body).await
}

fn id(job: &Value) -> String {
    job["task_id"].as_str().unwrap().to_owned()
}

/// What differs from run to run, by its form: so that a changed form is a difference.
fn normal(mut told: Value) -> Value {
    let job = told.as_object_mut().unwrap();
    for (field, value) in job.iter_mut() {
        let normal = match (field.as_str(), &*value) {
            ("task_id", Value::String(id)) if uuid::Uuid::try_parse(id).is_ok() => "ID",
            ("process_id", Value::Number(pid)) if pid.as_u64().is_some_and(|pid| pid > 1) => "PID",
            (name, Value::String(time)) if name.ends_with("_at") && is_python_time(time) => "TIME",
            ("process_info", Value::Object(_)) => "INFO",
            _ => continue,
        };
        *value = normal.into();
    }
    told
}

/// "2026-01-31T12:00:00.123456", or without the fraction.
fn is_python_time(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000000" || shape == "0000-00-00T00:00:00"
}

/// The same as a file that a person has read.
fn assert_golden(name: &str, told: Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/legacy").join(name);
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let told = normal(told);
    assert_eq!(told, golden, "{name}: {}", serde_json::to_string_pretty(&told).unwrap());
}

#[tokio::test]
async fn a_job_has_its_old_shape_from_beginning_to_end() {
    let service = Service::start_with(old());
    let executed = post(&service, "/execute", &json!({ "url": stub_url("/sleep") })).await;
    assert_eq!(executed.status, 200);
    let task_id = id(&executed.json());
    assert_golden("execute.json", executed.json());
    let mut running = get(&service, &format!("/status/{task_id}")).await.json();
    // A reading is there when somebody has watched long enough for one.
    running["process_info"].take();
    assert_golden("status_running.json", running);
    let body = json!({ "task_id": task_id, "status": "done", "message": "all read", "result": { "rows": 2 } });
    let reported = post(&service, "/callback", &body).await;
    assert_eq!((reported.status.as_u16(), &reported.json()["status"]), (200, &json!("done")));
    let mut client = service.client().await;
    job_when(&mut client, &task_id, |job| !job.is_process_alive).await;
    assert_golden("status_done.json", get(&service, &format!("/status/{task_id}")).await.json());

    let failed = post(&service, "/execute", &json!({ "url": stub_url("/exit/3") })).await.json();
    ended(&mut client, &id(&failed)).await;
    assert_golden("status_failed.json", get(&service, &format!("/status/{}", id(&failed))).await.json());
}

#[tokio::test]
async fn the_jobs_are_a_map_from_their_ids_the_queued_ones_among_them() {
    let service = Service::start_with(old());
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(id(&post(&service, "/execute", &json!({ "url": stub_url("/sleep") })).await.json()));
    }
    let jobs = get(&service, "/jobs").await.json();
    let mut listed: Vec<_> = jobs.as_object().unwrap().keys().cloned().collect();
    listed.sort_unstable();
    ids.sort_unstable();
    assert_eq!(listed, ids);
    let mut statuses: Vec<_> = jobs.as_object().unwrap().values().map(|job| job["status"].clone()).collect();
    statuses.sort_by_key(ToString::to_string);
    assert_eq!(statuses, ["created", "running", "running"]);
    let queued = jobs.as_object().unwrap().values().find(|job| job["status"] == "created").unwrap();
    assert_golden("jobs_queued.json", queued.clone());
}

#[tokio::test]
async fn the_new_statuses_are_told_in_old_words() {
    let service = Service::start_with(old());
    let mut client = service.client().await;
    let begun = post(&service, "/execute", &json!({ "url": stub_url("/ignore-term") })).await.json();
    let stopping = v1::CancelJobRequest {
        termination_grace: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
        ..cancel(&id(&begun))
    };
    assert_eq!(client.cancel_job(stopping).await.unwrap().into_inner().job.unwrap().status(), Status::Stopping);
    let told = get(&service, &format!("/status/{}", id(&begun))).await.json();
    assert_eq!((&told["status"], &told["reason"]), (&json!("running"), &json!("CANCEL_REQUESTED")));
    client.cancel_job(v1::CancelJobRequest { force: true, ..cancel(&id(&begun)) }).await.unwrap();
    assert_eq!(ended(&mut client, &id(&begun)).await.status(), Status::Cancelled);
    let told = get(&service, &format!("/status/{}", id(&begun))).await.json();
    assert_eq!((&told["status"], &told["reason"]), (&json!("failed"), &json!("CANCEL_REQUESTED")));
}

#[tokio::test]
async fn what_goes_wrong_is_an_error_with_its_http_status() {
    let service = Service::start_with(old());
    let unknown = uuid::Uuid::now_v7().to_string();
    let report = |status: &str| json!({ "task_id": unknown, "status": status });
    for (answer, status) in [
        (get(&service, &format!("/status/{unknown}")).await, 404),
        (post(&service, "/callback", &report("done")).await, 404),
        (post(&service, "/callback", &report("exploded")).await, 400),
        (post(&service, "/callback", &report("created")).await, 400),
        (post(&service, "/callback", &json!({ "status": "done" })).await, 404),
        (get(&service, "/status/no-such-task").await, 404),
        (post(&service, "/execute", &json!({})).await, 400),
        (post(&service, "/execute", &json!({ "url": "file:///etc/passwd" })).await, 400),
        (post(&service, "/execute", &json!([])).await, 400),
    ] {
        assert_eq!(answer.status, status, "{answer:?}");
        let json = answer.json();
        let error = json["error"].as_str().unwrap_or_default();
        assert!(!error.is_empty() && json.as_object().unwrap().len() == 1, "{json}");
    }
    assert_eq!(jobs_made(&service), 0);
}

#[tokio::test]
async fn no_page_reaches_the_old_routes_and_nobody_does_unless_asked_for() {
    let service = Service::start_with(old());
    let task = post(&service, "/execute", &json!({ "url": stub_url("/sleep") })).await.json();
    let done = json!({ "task_id": task["task_id"], "status": "DONE" }).to_string();
    let execute = json!({ "url": stub_url("/exit/0") }).to_string();
    let own = service.address.clone();
    for (name, value) in [
        ("origin", "http://evil.test"),
        ("origin", own.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "none"),
    ] {
        let headers = [("content-type", "application/json"), (name, value)];
        for (method, path, body) in [
            (Method::POST, "/execute", execute.clone()),
            (Method::POST, "/callback", done.clone()),
            (Method::GET, "/jobs", String::new()),
            (Method::GET, &format!("/status/{}", id(&task)), String::new()),
        ] {
            let answer = Caller::of(&service).await.send(method, path, &headers, body).await;
            assert!(matches!(answer.status.as_u16(), 401 | 403), "{name}: {value} {path}: {answer:?}");
        }
    }
    assert_eq!(jobs_made(&service), 1);
    // A token that is shown is looked at all the same.
    let mut client = service.client().await;
    let wrong = json!({ "task_id": task["task_id"], "status": "DONE", "callback_token": "guess" });
    assert_eq!(post(&service, "/callback", &wrong).await.status, 403);
    assert_eq!(super::wire::status(&mut client, &id(&task)).await.job.unwrap().status(), Status::Running);

    let closed = Service::start();
    for (method, path) in [(Method::POST, "/execute"), (Method::GET, "/jobs"), (Method::GET, "/status/x")] {
        let headers = [("content-type", "application/json")];
        let answer = Caller::of(&closed).await.send(method, path, &headers, execute.clone()).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let mut client = closed.client().await;
    let begun = super::wire::begin(&mut client, "/sleep").await;
    let body = json!({ "task_id": begun.task_id, "status": "done" });
    assert_ne!(post(&closed, "/callback", &body).await.status, 200);
    client.callback(report(&begun, Status::Done)).await.unwrap();
}

#[tokio::test]
async fn who_calls_by_a_name_for_others_finds_no_old_route() {
    let service = Service::start_with(old().arg("--host").arg("tasks.example.org"));
    let task = post(&service, "/execute", &json!({ "url": stub_url("/sleep") })).await.json();
    let mut line = Line::new(Transport::Http1, service.address.strip_prefix("http://").unwrap(), None);
    let mut by_name = async |method: Method, path: &str, body: &Value| {
        let request = addressed(Transport::Http1, "tasks.example.org", path).method(method);
        let request = request.header("content-type", "application/json").body(body.to_string().into());
        line.send(&request.unwrap()).await.status.as_u16()
    };
    let done = json!({ "task_id": task["task_id"], "status": "done" });
    assert_eq!(by_name(Method::POST, "/execute", &json!({ "url": stub_url("/exit/0") })).await, 404);
    assert_eq!(by_name(Method::GET, "/jobs", &Value::Null).await, 404);
    assert_eq!(by_name(Method::GET, &format!("/status/{}", id(&task)), &Value::Null).await, 404);
    assert_ne!(by_name(Method::POST, "/callback", &done).await, 200, "without a token");
    assert_eq!(jobs_made(&service), 1);
    assert_eq!(get(&service, &format!("/status/{}", id(&task))).await.json()["status"], "running");
}

#[test]
fn the_old_routes_are_for_this_machine_alone() {
    let home = tempfile::Builder::new().prefix("ct").tempdir_in("/tmp").unwrap();
    std::fs::create_dir(home.path().join("r")).unwrap();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_comet-task-runner"));
    serve.args(["serve", "--listen", "0.0.0.0:0", "--legacy-rest", "--state-dir"]).arg(home.path().join("s"));
    let refused = serve.env("COMET_TASK_RUNNER_RUN_DIR", home.path().join("r")).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.contains("--legacy-rest") && words.contains("0.0.0.0"), "{words}");
    assert!(!home.path().join("s").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_old_service_works_as_it_is() {
    let service = Service::start_with(old());
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/legacy_client.py");
    let mut client = Command::new("python3")
        .arg(script)
        .args([&service.address, &stub_url("/sleep")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let mut lines = BufReader::new(client.stdout.take().unwrap());
    let mut task_id = String::new();
    lines.read_line(&mut task_id).unwrap();
    let body = json!({ "task_id": task_id.trim(), "status": "done", "message": "bought" });
    assert_eq!(post(&service, "/callback", &body).await.status, 200);
    let mut told = String::new();
    lines.read_to_string(&mut told).unwrap();
    assert!(client.wait().unwrap().success());
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((told["seen"][0].as_str(), told["missing"][0].as_u64()), (Some("running"), Some(404)), "{told}");
    assert_eq!((&told["job"]["status"], &told["job"]["message"]), (&json!("done"), &json!("bought")));
    assert_eq!(told["job"]["task_id"], task_id.trim());
}
