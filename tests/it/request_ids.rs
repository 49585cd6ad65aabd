//! The id of a request: on every answer, in the details of every refusal, and in the log line about it.

use comet_task_runner::api::v1;
use http::{HeaderMap, Method, StatusCode};
use hyper::body::Bytes;
use serde_json::{Value, json};
use tonic::{Request, Status};
use tonic_types::StatusExt;

use super::{
    caller::{Caller, bearer, path},
    line::{Line, Reply, Transport, addressed},
    service::{Service, execute, stub_url, watch},
    wire::begin,
};

/// A task that nobody made.
const NOBODYS: &str = "0198f2a0-7c1e-7000-8000-000000000001";

/// The id in the details of a refusal, and in its headers, which is the same.
fn id_of(status: &Status) -> String {
    let info = status.get_details_request_info().unwrap_or_else(|| panic!("{status:?} has a RequestInfo"));
    let header = status.metadata().get("x-request-id").map(|id| id.to_str().unwrap().to_owned());
    assert_eq!(header.as_ref(), Some(&info.request_id), "{status:?}");
    info.request_id
}

/// The same of a refusal in JSON.
fn id_in(headers: &HeaderMap, refusal: &Value) -> String {
    let of_type = |detail: &&Value| detail["@type"] == "type.googleapis.com/google.rpc.RequestInfo";
    let info = refusal["details"].as_array().unwrap().iter().filter(of_type).collect::<Vec<_>>();
    assert_eq!(info.len(), 1, "{refusal}");
    assert_eq!(headers["x-request-id"], info[0]["requestId"].as_str().unwrap(), "{refusal}");
    info[0]["requestId"].as_str().unwrap().to_owned()
}

/// The lines of a log about one request.
fn lines_about(log: &str, id: &str) -> Vec<Value> {
    let lines = log.lines().filter(|line| line.contains(id));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[tokio::test]
async fn a_refusal_over_grpc_has_the_id_that_stands_in_the_log() {
    let service = Service::start();
    let mut client = service.client().await;
    let request = || v1::GetStatusRequest { task_id: NOBODYS.to_owned() };
    let made = id_of(&client.get_status(request()).await.unwrap_err());
    assert!(made.parse::<uuid::Uuid>().is_ok(), "{made}");
    let mut with_one = Request::new(request());
    with_one.metadata_mut().insert("x-request-id", "mine-1".parse().unwrap());
    assert_eq!(id_of(&client.get_status(with_one).await.unwrap_err()), "mine-1");
    // What the guard refuses.
    let mut stranger = service.client_with("no token at all").await;
    let refused = id_of(&stranger.get_status(request()).await.unwrap_err());

    let log = service.left().await;
    for id in [made.as_str(), "mine-1"] {
        let about = lines_about(&log, id);
        let line = about.iter().find(|line| line["reason"] == "TASK_NOT_FOUND");
        let line = line.unwrap_or_else(|| panic!("{id} is in {log}"));
        assert_eq!((&line["level"], &line["call"]), (&json!("INFO"), &json!(path("GetStatus"))));
        assert_eq!(line["span"]["request_id"], id);
    }
    assert!(lines_about(&log, &refused).iter().any(|line| line["reason"] == "token_invalid"), "{log}");
}

#[tokio::test]
async fn a_stream_that_ends_badly_has_the_id_in_its_trailers() {
    let mut service = Service::start();
    let mut client = service.client().await;
    let job = begin(&mut client, "/sleep").await;
    let mut request = Request::new(watch(&job.task_id));
    request.metadata_mut().insert("x-request-id", "stream-7".parse().unwrap());
    let answer = client.watch_job(request).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "stream-7");
    let mut stream = answer.into_inner();
    let leaving = tokio::task::spawn_blocking(move || {
        service.terminate();
        service.log_to_end()
    });
    let status = loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "it does not end well"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.get_details_request_info().unwrap().request_id, "stream-7", "{status:?}");
    drop((stream, client));
    let log = leaving.await.unwrap();
    assert!(lines_about(&log, "stream-7").iter().any(|line| line["reason"] == "DRAINING"), "{log}");
}

#[tokio::test]
async fn a_refusal_over_json_has_the_id_wherever_it_is_refused() {
    let service = Service::start();
    let mut caller = Caller::of(&service).await;
    let bearer = bearer(&service);
    let json = ("content-type", "application/json");
    let (token, mine) = (("authorization", bearer.as_str()), ("x-request-id", "web-3"));
    let unknown = json!({ "taskId": NOBODYS }).to_string();
    let report = json!({ "task_id": NOBODYS, "callback_token": "x", "status": "DONE" }).to_string();
    for (what, path, headers, body) in [
        ("by the call", path("GetStatus"), vec![json, token, mine], unknown.as_str()),
        ("by the entrance", path("GetStatus"), vec![json, token, mine], "{"),
        ("by the guard", path("GetStatus"), vec![json, mine], "{}"),
        ("of a stream", path("WatchJob"), vec![json, token, mine], unknown.as_str()),
        ("of a report", "/callback".to_owned(), vec![json, mine], report.as_str()),
        ("of a report that is none", "/callback".to_owned(), vec![json, mine], "x"),
        ("of a login", "/session".to_owned(), vec![json, mine], r#"{"code": "x"}"#),
    ] {
        let answer = caller.send(Method::POST, &path, &headers, body.to_owned()).await;
        assert_ne!(answer.status, StatusCode::OK, "{what}: {answer:?}");
        assert_eq!(id_in(&answer.headers, &answer.json()), "web-3", "{what}");
    }
    let well = caller.send(Method::GET, "/healthz", &[("x-request-id", "well")], "").await;
    assert_eq!((well.status, &well.headers["x-request-id"]), (StatusCode::OK, &"well".parse().unwrap()));
    let log = service.left().await;
    assert!(lines_about(&log, "web-3").len() >= 7, "each is in {log}");
}

#[tokio::test]
async fn an_id_that_no_log_should_hold_is_not_taken_over() {
    let service = Service::start();
    let mut caller = Caller::of(&service).await;
    for bad in ["a b", "x\"y", &"z".repeat(65), "", "{}", "a,b"] {
        let answer = caller.send(Method::GET, "/nowhere", &[("x-request-id", bad)], "").await;
        let id = answer.headers["x-request-id"].to_str().unwrap();
        assert!(id.parse::<uuid::Uuid>().is_ok(), "{bad:?}: {id}");
    }
    let twice = [("x-request-id", "one"), ("x-request-id", "two")];
    let answer = caller.send(Method::GET, "/healthz", &twice, "").await;
    assert!(answer.headers["x-request-id"].to_str().unwrap().parse::<uuid::Uuid>().is_ok(), "{answer:?}");
}

/// A call over grpc-web.
async fn over_grpc_web(service: &Service, call: &str, message: &[u8]) -> Reply {
    let host = service.address.strip_prefix("http://").unwrap();
    let frame = [&[0, 0, 0, 0, u8::try_from(message.len()).unwrap()], message].concat();
    let request = addressed(Transport::Http1, host, &path(call)).method(Method::POST);
    let request = request.header("content-type", "application/grpc-web+proto").header("x-request-id", "page-1");
    let request = request.header("authorization", bearer(service)).body(Bytes::from(frame)).unwrap();
    Line::new(Transport::Http1, host, None).send(&request).await
}

#[tokio::test]
async fn a_refusal_over_grpc_web_has_the_id() {
    let service = Service::start();
    // Field 1, a text of 36 characters.
    let reply = over_grpc_web(&service, "GetStatus", &[&[10, 36], NOBODYS.as_bytes()].concat()).await;
    assert_eq!((reply.header("x-request-id"), reply.grpc_status()), ("page-1", Some(5)), "{reply:?}");
    let headers: HeaderMap = reply.headers.clone();
    let status = Status::from_header_map(&headers).expect("it is refused in the headers");
    assert_eq!(status.get_details_request_info().unwrap().request_id, "page-1");
}

#[tokio::test]
async fn what_goes_well_has_the_id_too() {
    let service = Service::start();
    let mut client = service.client().await;
    let mut request = Request::new(execute(&stub_url("/exit/0")));
    request.metadata_mut().insert("x-request-id", "order-9".parse().unwrap());
    let answer = client.execute(request).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "order-9");
}

#[tokio::test]
async fn reflection_knows_the_details_of_refusals_so_that_grpcurl_shows_the_id() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let service = Service::start();
    let mut reflection = ServerReflectionClient::new(service.channel().await);
    for name in ["google.rpc.ErrorInfo", "google.rpc.RequestInfo", "google.rpc.BadRequest", "google.rpc.RetryInfo"] {
        let question = MessageRequest::FileContainingSymbol(name.to_owned());
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        let stream = reflection.server_reflection_info(tokio_stream::once(request)).await.unwrap();
        let answer = stream.into_inner().message().await.unwrap().unwrap().message_response.unwrap();
        assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{name}: {answer:?}");
    }
}
