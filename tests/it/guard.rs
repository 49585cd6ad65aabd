//! The guard: what gets in, by host, method, content type and token; and that the rest leaves no trace.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use comet_task_runner::api::v1::{self, job::Status, task_runner_client::TaskRunnerClient};
use http::{HeaderMap, Method, Request, StatusCode};
use prost::Message;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::{
    line::{Line, Transport, addressed},
    service::{Options, SOON, Service, ended, execute, stub_url},
    wire::{Refused, begin, jobs_made, read_refusal, report, status},
};

const EXECUTE: &str = "/comet.taskrunner.v1.TaskRunner/Execute";

/// A request as a stranger can put it together: nothing is filled in.
struct Raw {
    method: Method,
    authority: String,
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

struct Answer {
    status: StatusCode,
    /// Headers and trailers together: a refusal puts its status in either.
    headers: HeaderMap,
}

impl Answer {
    fn refusal(&self) -> Refused {
        read_refusal(&tonic::Status::from_header_map(&self.headers).expect("a gRPC status"))
    }
}

fn port(service: &Service) -> &str {
    service.address.rsplit_once(':').unwrap().1
}

/// An Execute that is right in every way, for each test to spoil.
fn right(service: &Service) -> Raw {
    let message = execute(&stub_url("/exit/0")).encode_to_vec();
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend_from_slice(&message);
    Raw {
        method: Method::POST,
        authority: format!("127.0.0.1:{}", port(service)),
        path: EXECUTE,
        headers: vec![
            ("content-type", "application/grpc".to_owned()),
            ("te", "trailers".to_owned()),
            ("authorization", format!("Bearer {}", service.token())),
        ],
        body,
    }
}

impl Raw {
    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self
    }

    async fn send(self, service: &Service) -> Answer {
        tokio::time::timeout(SOON, self.exchange(service)).await.expect("an answer comes soon")
    }

    async fn exchange(self, service: &Service) -> Answer {
        let tcp = tokio::net::TcpStream::connect(format!("127.0.0.1:{}", port(service))).await.unwrap();
        let (client, connection) = h2::client::handshake(tcp).await.unwrap();
        let driver = tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let mut request = Request::builder().method(self.method).uri(format!("http://{}{}", self.authority, self.path));
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let (response, mut stream) = client.send_request(request.body(()).unwrap(), false).unwrap();
        // A refusal may come before the body was asked for; then the stream is reset under it.
        drop(stream.send_data(self.body.into(), true));
        let (head, mut body) = response.await.unwrap().into_parts();
        while let Some(chunk) = body.data().await {
            drop(body.flow_control().release_capacity(chunk.unwrap().len()));
        }
        let mut headers = head.headers;
        headers.extend(body.trailers().await.unwrap().unwrap_or_default());
        driver.abort();
        Answer { status: head.status, headers }
    }
}

/// After all refusals the right request is taken, and is the only one that did anything.
async fn nothing_was_done(service: &Service) {
    assert_eq!(jobs_made(service), 0);
    let answer = right(service).send(service).await;
    assert_eq!(answer.headers["grpc-status"], "0", "the unspoilt request is taken");
    assert_eq!(jobs_made(service), 1);
}

#[tokio::test]
async fn a_request_that_names_another_host_is_refused() {
    let service = Service::start();
    let port = port(&service).to_owned();
    let foreign = [
        format!("evil.test:{port}"),
        "evil.test".to_owned(),
        "127.0.0.1".to_owned(),
        "localhost".to_owned(),
        "127.0.0.1:1".to_owned(),
        format!("127.0.0.1.evil.test:{port}"),
        format!("127.0.0.2:{port}"),
        format!("localhost.:{port}"),
        format!("user@localhost:{port}"),
        format!("0.0.0.0:{port}"),
    ];
    for authority in foreign {
        let refusal = Raw { authority: authority.clone(), ..right(&service) }.send(&service).await.refusal();
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::PermissionDenied, "HOST_NOT_ALLOWED"),
            "{authority}"
        );
        assert!(refusal.message.contains("--host"));
    }
    let two_faced = [format!("evil.test:{port}"), format!("localhost:{port}"), String::new()];
    for host in two_faced {
        let refusal = right(&service).header("host", host.clone()).send(&service).await.refusal();
        assert_eq!(refusal.reason, "HOST_NOT_ALLOWED", "host {host:?} beside the authority");
    }
    nothing_was_done(&service).await;
}

#[tokio::test]
async fn every_name_of_this_machine_with_the_right_port_gets_in() {
    let service = Service::start();
    for name in ["127.0.0.1", "localhost", "[::1]"] {
        let authority = format!("{name}:{}", port(&service));
        let answer = Raw { authority: authority.clone(), ..right(&service) }.send(&service).await;
        assert_eq!(answer.headers["grpc-status"], "0", "{authority}");
        let answer =
            Raw { authority: authority.clone(), ..right(&service) }.header("host", authority).send(&service).await;
        assert_eq!(answer.headers["grpc-status"], "0");
    }
}

#[tokio::test]
async fn what_a_page_can_send_by_itself_is_no_grpc_and_is_refused() {
    let service = Service::start();
    let types = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/grpc+json",
        "application/json; charset=utf-16",
        "text/plain; application/json",
        "application/grpc;charset=utf-8",
        "application/grpcx",
        "",
    ];
    for content_type in types {
        let answer = right(&service).without("content-type").header("content-type", content_type).send(&service).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type:?}");
    }
    let answer = right(&service).without("content-type").send(&service).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let answer = right(&service).header("content-type", "text/plain").send(&service).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "two of them");
    nothing_was_done(&service).await;
}

#[tokio::test]
async fn only_post_is_taken() {
    let service = Service::start();
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE, Method::PATCH] {
        let answer = Raw { method: method.clone(), ..right(&service) }.send(&service).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        // No header may tell a page that it may ask again with more.
        assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control-")));
    }
    nothing_was_done(&service).await;
}

#[tokio::test]
async fn without_the_one_right_token_every_call_is_refused() {
    let service = Service::start();
    let token = service.token();
    let answer = right(&service).without("authorization").send(&service).await;
    assert_eq!(answer.status, StatusCode::OK, "a gRPC answer");
    let refusal = answer.refusal();
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Unauthenticated, "TOKEN_MISSING"));
    assert!(refusal.message.contains("authorization: Bearer"));
    let wrong = [
        "Bearer ".to_owned(),
        "Bearer wrong".to_owned(),
        format!("Bearer {}", &token[..token.len() - 1]),
        format!("Bearer {token}x"),
        format!("Bearer  {token}"),
        format!("Basic {token}"),
        token.clone(),
    ];
    for shown in wrong {
        let refusal = right(&service)
            .without("authorization")
            .header("authorization", shown.clone())
            .send(&service)
            .await
            .refusal();
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Unauthenticated, "TOKEN_INVALID"), "{shown}");
        assert!(!refusal.message.contains(&token));
    }
    let twice = right(&service).header("authorization", format!("Bearer {token}")).send(&service).await.refusal();
    assert_eq!(twice.reason, "TOKEN_INVALID", "two of them, though each is right");
    nothing_was_done(&service).await;
}

#[tokio::test]
async fn every_call_but_a_callback_needs_the_token_before_it_is_looked_at() {
    let service = Service::start();
    for method in ["Execute", "GetStatus", "WatchJob", "CancelJob", "NoSuchCall"] {
        let path = Box::leak(format!("/comet.taskrunner.v1.TaskRunner/{method}").into_boxed_str());
        let refusal = Raw { path, ..right(&service) }.without("authorization").send(&service).await.refusal();
        assert_eq!(refusal.reason, "TOKEN_MISSING", "{method}");
    }
    for (path, reason) in [
        ("/", "METHOD_NOT_ALLOWED"),
        ("/grpc.health.v1.HealthX/Check", "PATH_UNKNOWN"),
        ("/grpc.reflection.v1.ServerReflectionX/Y", "PATH_UNKNOWN"),
        ("/comet.taskrunner.v1.TaskRunnerX/Execute", "PATH_UNKNOWN"),
        ("/comet.taskrunner.v1.TaskRunner/Callback/x", "TOKEN_MISSING"),
    ] {
        let refusal = Raw { path, ..right(&service) }.without("authorization").send(&service).await.refusal();
        assert_eq!(refusal.reason, reason, "{path}");
    }
    nothing_was_done(&service).await;
}

#[tokio::test]
async fn a_call_that_does_not_exist_is_unimplemented() {
    let service = Service::start();
    let answer = Raw { path: "/comet.taskrunner.v1.TaskRunner/NoSuchCall", ..right(&service) }.send(&service).await;
    assert_eq!(answer.headers["grpc-status"], "12");
}

#[tokio::test]
async fn health_and_reflection_are_open_and_tell_nothing_of_jobs() {
    let service = Service::start();
    let channel = service.channel().await;
    for name in ["", "comet.taskrunner.v1.TaskRunner"] {
        let request = HealthCheckRequest { service: name.to_owned() };
        let answer = HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{name:?}");
    }
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = tokio_stream::once(list);
    let mut answers = ServerReflectionClient::new(channel).server_reflection_info(asked).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else { panic!("{answer:?}") };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    assert!(names.contains(&"comet.taskrunner.v1.TaskRunner".to_owned()), "{names:?}");
}

#[tokio::test]
async fn an_open_service_does_not_take_a_wrong_token() {
    let service = Service::start();
    let answer = Raw { path: "/grpc.health.v1.Health/Check", ..right(&service) }
        .without("authorization")
        .header("authorization", "Bearer wrong")
        .send(&service)
        .await;
    assert_eq!(answer.refusal().reason, "TOKEN_INVALID");
}

#[tokio::test]
async fn a_callback_gets_in_with_its_tasks_token_alone() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let mut page = TaskRunnerClient::new(service.channel().await);
    let answer = page.callback(report(&task, Status::Done)).await.unwrap().into_inner();
    assert!(answer.applied);
    let refusal = page.get_status(v1::GetStatusRequest { task_id: task.task_id.clone() }).await.unwrap_err();
    assert_eq!(read_refusal(&refusal).reason, "TOKEN_MISSING", "it opens nothing else");
}

#[tokio::test]
async fn a_callback_with_a_wrong_api_token_is_refused_though_its_tasks_token_is_right() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let mut stranger = service.client_with("wrong").await;
    let refusal = stranger.callback(report(&task, Status::Done)).await.unwrap_err();
    assert_eq!(read_refusal(&refusal).reason, "TOKEN_INVALID");
    assert_eq!(status(&mut client, &task.task_id).await.job.unwrap().revision, 2);
}

#[tokio::test]
async fn a_request_beyond_the_limit_is_refused_and_makes_no_job() {
    let service = Service::start();
    let mut client = service.client().await;
    let mut request = execute(&stub_url("/exit/0"));
    request.labels.insert("big".to_owned(), "x".repeat(1024 * 1024));
    let refusal = client.execute(request).await.unwrap_err();
    assert_eq!(refusal.code(), Code::OutOfRange, "{refusal:?}");
    nothing_was_done(&service).await;
}

/// What the service answers to bytes over HTTP/1.1, to the end of the connection.
fn over_http1(service: &Service, request: &str) -> String {
    let mut tcp = TcpStream::connect(format!("127.0.0.1:{}", port(service))).unwrap();
    tcp.set_read_timeout(Some(SOON)).unwrap();
    tcp.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn http_1_is_answered_in_words_and_does_nothing() {
    let service = Service::start();
    let (port, token) = (port(&service).to_owned(), service.token());
    let head =
        |first: &str, host: &str, more: &str| format!("{first} HTTP/1.1\r\n{host}{more}Connection: close\r\n\r\n");
    let ours = format!("Host: localhost:{port}\r\n");
    let grpc = format!("Content-Type: application/grpc\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n");
    let post = format!("POST {EXECUTE}");
    let cases = [
        (head("DELETE /", &ours, ""), "405"),
        (head("GET /nothing", &ours, ""), "404"),
        (head("GET /", &format!("Host: evil.test:{port}\r\n"), ""), "421"),
        (head("GET /", "Host: localhost\r\n", ""), "421"),
        (head("GET /", &format!("{ours}Host: evil.test\r\n"), ""), "4"),
        (head("GET /", "", ""), "4"),
        (head(&format!("GET http://evil.test:{port}/"), &ours, ""), "421"),
        (head(&post, &ours, "Content-Type: application/json\r\nContent-Length: 0\r\n"), "401"),
        (head(&post, &ours, "Content-Type: text/plain\r\nContent-Length: 0\r\n"), "415"),
        (head(&post, &ours, &format!("X: {}\r\nContent-Length: 0\r\n", "x".repeat(17 * 1024))), "431"),
        (head(&post, &ours, &grpc), "505"),
        (
            head(
                &format!("OPTIONS {EXECUTE}"),
                &ours,
                "Origin: http://evil.test\r\nAccess-Control-Request-Method: POST\r\n",
            ),
            "405",
        ),
    ];
    for (request, code) in cases {
        let answer = over_http1(&service, &request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {code}")), "{request:?}: {answer:?}");
        assert!(!answer.to_lowercase().contains("access-control-"), "{answer:?}");
    }
    nothing_was_done(&service).await;
}

/// Whole answers, each as its caller reads it.
#[tokio::test]
async fn a_refusal_is_in_the_form_that_its_caller_speaks() {
    let service = Service::start();
    let mut line = Line::new(Transport::Http1, service.address.strip_prefix("http://").unwrap(), None);
    let host = format!("localhost:{}", port(&service));
    let mut without_token = async |content: &str| {
        let request = addressed(Transport::Http1, &host, EXECUTE).method(Method::POST).header("content-type", content);
        line.send(&request.body(hyper::body::Bytes::new()).unwrap()).await
    };
    for content in ["application/grpc-web+proto", "application/grpc-web-text"] {
        let reply = without_token(content).await;
        assert_eq!((reply.status, reply.grpc_status()), (StatusCode::OK, Some(16)), "{content}");
        assert_eq!(reply.header("content-type"), content);
        assert_eq!(read_refusal(&tonic::Status::from_header_map(&reply.headers).unwrap()).reason, "TOKEN_MISSING");
    }
    let reply = without_token("application/json").await;
    let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, &json["code"]), (StatusCode::UNAUTHORIZED, &"unauthenticated".into()));
    assert_eq!(reply.reason(), "TOKEN_MISSING");
    assert_eq!((reply.header("www-authenticate"), reply.header("cache-control")), ("Bearer", "no-store"));
    assert!(json["message"].as_str().unwrap().contains("comet-task-runner token"));
    let reply = without_token("text/plain").await;
    assert!(reply.text().contains("application/json") && reply.text().ends_with('\n'), "{reply:?}");
}

#[tokio::test]
async fn a_flood_of_refusals_is_a_line_of_the_log() {
    let service = Service::start();
    let mut line = Line::new(Transport::H2c, service.address.strip_prefix("http://").unwrap(), None);
    let host = format!("localhost:{}", port(&service));
    for number in 0..200 {
        let path = format!("/secret{number}?token=tell-nobody");
        let request = addressed(Transport::H2c, &host, &path).header("authorization", "Bearer tell-nobody");
        let reply = line.send(&request.body(hyper::body::Bytes::new()).unwrap()).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
    }
    let log = service.left().await;
    // For who looks for one of them there is more, at a level that is asked for.
    let told = log.lines().filter(|line| line.contains("refused a request") && !line.contains("\"DEBUG\"")).count();
    assert_eq!(told, 1, "{log}");
    assert!(!log.contains("tell-nobody"), "{log}");
}

#[tokio::test]
async fn a_named_host_is_served_to_pages_of_either_scheme() {
    let service = Service::start_with(Options::default().arg("--host").arg("tasks.example.org"));
    for (host, origin, code) in [
        ("tasks.example.org", "https://tasks.example.org", "0"),
        ("tasks.example.org", "http://tasks.example.org", "0"),
        ("tasks.example.org", "https://other.example.org", "7"),
        ("TASKS.example.org", "https://tasks.example.org", "7"),
        ("tasks.example.org.", "https://tasks.example.org.", "7"),
    ] {
        let request = Raw { authority: host.to_owned(), ..right(&service) }.header("origin", origin);
        assert_eq!(request.send(&service).await.headers["grpc-status"], code, "{host} {origin}");
    }
    let port = port(&service).to_owned();
    let near = format!("localhost:{port}");
    let request = Raw { authority: near.clone(), ..right(&service) }.header("origin", format!("https://{near}"));
    assert_eq!(request.send(&service).await.headers["grpc-status"], "7", "its own names have its own scheme");
}

#[tokio::test]
async fn a_connection_that_speaks_no_http_hurts_nobody() {
    let service = Service::start();
    let mut open = Vec::new();
    for noise in ["", "\0\0\0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage garbage", "\u{16}\u{3}\u{1}\u{2}"] {
        let mut tcp = TcpStream::connect(format!("127.0.0.1:{}", port(&service))).unwrap();
        tcp.write_all(noise.as_bytes()).unwrap();
        open.push(tcp);
    }
    let mut client = service.client().await;
    let task = begin(&mut client, "/exit/0").await;
    assert_eq!(ended(&mut client, &task.task_id).await.status(), Status::Done);
}
