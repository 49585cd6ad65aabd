//! Sessions of the page: the link that begins one, and the token that it buys.

use std::{fs, process::Command};

use http::{Method, StatusCode};
use hyper::body::Bytes;
use serde_json::{Value, json};
use tonic::Code;

use super::{
    line::{Line, Reply, Transport, addressed},
    service::{Service, execute, stub_url},
    wire::{jobs_made, read_refusal},
};

fn code(link: &str) -> String {
    link.split_once("/#code=").expect("a link has its code in the fragment").1.to_owned()
}

/// What the page does with a code.
async fn login(service: &Service, body: &Value) -> Reply {
    let host = service.address.strip_prefix("http://").unwrap();
    let request = addressed(Transport::Http1, host, "/session").method(Method::POST);
    let request = request.header("content-type", "application/json").header("origin", &service.address);
    let request = request.header("sec-fetch-site", "same-origin").body(Bytes::from(body.to_string())).unwrap();
    Line::new(Transport::Http1, host, None).send(&request).await
}

async fn token_for(service: &Service, code: &str) -> String {
    let reply = login(service, &json!({ "code": code })).await;
    assert_eq!((reply.status, reply.header("cache-control")), (StatusCode::OK, "no-store"), "{reply:?}");
    let json: Value = serde_json::from_slice(&reply.body).unwrap();
    json["token"].as_str().unwrap().to_owned()
}

/// A refused code: its reason, which comes with the way out.
async fn refusal(service: &Service, code: &str) -> String {
    let reply = login(service, &json!({ "code": code })).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{reply:?}");
    assert!(reply.text().contains("comet-task-runner token --link"), "{reply:?}");
    reply.reason()
}

/// `token --link` on the service's state directory.
fn another_link(service: &Service) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_comet-task-runner"));
    let output = command.args(["token", "--link", "--state-dir"]).arg(service.state_dir()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_link_that_serve_prints_begins_a_session_of_thirty_days() {
    let service = Service::start();
    assert!(service.link.starts_with(&format!("{}/#code=", service.address)), "{}", service.link);
    let reply = login(&service, &json!({ "code": code(&service.link) })).await;
    let json: Value = serde_json::from_slice(&reply.body).unwrap();
    let ends: jiff::Timestamp = json["expires_at"].as_str().unwrap().parse().unwrap();
    let days = (ends.as_second() - jiff::Timestamp::now().as_second() + 60) / 86_400;
    assert_eq!(days, 30, "{json}");

    let mut page = service.client_with(json["token"].as_str().unwrap()).await;
    page.execute(execute(&stub_url("/exit/0"))).await.unwrap();
    assert_eq!(jobs_made(&service), 1);
}

#[tokio::test]
async fn a_code_begins_one_session() {
    let service = Service::start();
    let code = code(&service.link);
    token_for(&service, &code).await;
    assert_eq!(refusal(&service, &code).await, "CODE_USED");
}

#[tokio::test]
async fn a_session_outlives_a_restart_and_codes_do_not() {
    let mut service = Service::start();
    let (used, unused) = (code(&service.link), code(&another_link(&service)));
    let token = token_for(&service, &used).await;
    service.kill();
    service.restart();
    for old in [used, unused] {
        assert_eq!(refusal(&service, &old).await, "CODE_EXPIRED");
    }
    let mut page = service.client_with(&token).await;
    page.execute(execute(&stub_url("/exit/0"))).await.unwrap();
}

#[tokio::test]
async fn another_key_ends_every_session() {
    let mut service = Service::start();
    let token = token_for(&service, &code(&service.link)).await;
    service.kill();
    fs::remove_file(service.state_dir().join("key")).unwrap();
    service.restart();
    let mut page = service.client_with(&token).await;
    let refusal = read_refusal(&page.execute(execute(&stub_url("/exit/0"))).await.unwrap_err());
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Unauthenticated, "TOKEN_INVALID"));
    assert!(refusal.message.contains("token --link"));
}

#[tokio::test]
async fn another_link_is_made_where_the_service_runs_and_nowhere_else() {
    let mut service = Service::start();
    let link = another_link(&service);
    assert_ne!(link, service.link);
    token_for(&service, &code(&link)).await;
    // Killed, it leaves its endpoint behind.
    service.kill();
    let mut command = Command::new(env!("CARGO_BIN_EXE_comet-task-runner"));
    let output = command.args(["token", "--link", "--state-dir"]).arg(service.state_dir()).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no service runs on"), "{output:?}");
}

#[tokio::test]
async fn what_is_no_code_begins_nothing() {
    let service = Service::start();
    let real = code(&service.link);
    for wrong in ["", "x", &service.token(), &real[1..], &format!("{real}A"), &"A".repeat(real.len())] {
        assert_eq!(refusal(&service, wrong).await, "CODE_INVALID", "{wrong:?}");
    }
    for malformed in
        [json!({}), json!([]), json!({ "code": 1 }), json!({ "code": real, "more": 1 }), json!("x".repeat(9000))]
    {
        let reply = login(&service, &malformed).await;
        assert_eq!((reply.status, reply.reason().as_str()), (StatusCode::BAD_REQUEST, "BODY_INVALID"), "{malformed}");
    }
    token_for(&service, &real).await;
    let log = service.left().await;
    let tries: Vec<_> = log.lines().filter(|line| line.contains("no session was begun")).collect();
    assert!(tries.len() > 5 && tries.iter().all(|line| line.contains("\"DEBUG\"")), "a flood for everybody: {tries:?}");
}

#[tokio::test]
async fn a_code_is_no_token_and_neither_is_ever_logged() {
    let service = Service::start();
    let code = code(&service.link);
    let mut stranger = service.client_with(&code).await;
    let refusal = read_refusal(&stranger.execute(execute(&stub_url("/exit/0"))).await.unwrap_err());
    assert_eq!(refusal.reason, "TOKEN_INVALID");
    drop(stranger);
    let token = token_for(&service, &code).await;
    let mut page = service.client_with(&token).await;
    page.execute(execute(&stub_url("/exit/0"))).await.unwrap();
    drop(page);
    let log = service.left().await;
    assert!(log.contains("a session began"), "{log}");
    assert!(!log.contains(&code) && !log.contains(&token), "{log}");
}
