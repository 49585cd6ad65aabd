//! What is no call of the contract: refused before anything is done, and signed like every other refusal.

use http::Method;
use hyper::body::Bytes;
use prost::Message;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_request::MessageRequest};

use super::{
    line::{Line, Transport, addressed},
    service::{SOON, Service, execute, stub_url},
    wire::{Refused, jobs_made, read_refusal},
};

const EXECUTE: &str = "/comet.taskrunner.v1.TaskRunner/Execute";

/// A message in its frame, whatever it is.
fn frame(message: &[u8]) -> Vec<u8> {
    [&[0], u32::try_from(message.len()).unwrap().to_be_bytes().as_slice(), message].concat()
}

async fn sent(service: &Service, transport: Transport, path: &str, more: Option<&str>, body: Vec<u8>) -> Refused {
    let host = service.address.strip_prefix("http://").unwrap();
    let content = if transport == Transport::Http1 { "application/grpc-web+proto" } else { "application/grpc" };
    let mut request = addressed(transport, host, path).method(Method::POST).header("content-type", content);
    request = request.header("authorization", format!("Bearer {}", service.token()));
    if let Some(encoding) = more {
        request = request.header("grpc-encoding", encoding);
    }
    let reply = Line::new(transport, host, None).send(&request.body(Bytes::from(body)).unwrap()).await;
    read_refusal(&tonic::Status::from_header_map(&reply.headers).unwrap_or_else(|| panic!("no refusal: {reply:?}")))
}

#[tokio::test]
async fn what_is_no_call_is_refused_by_a_name_and_does_nothing() {
    let service = Service::start();
    let right = frame(&execute(&stub_url("/exit/0")).encode_to_vec());
    let mut cut = right.clone();
    cut.pop();
    let mut flagged = right.clone();
    flagged[0] = 7;
    for (path, encoding, body, code, reason) in [
        (EXECUTE, None, frame(b"\xff\xff"), Code::InvalidArgument, "REQUEST_INVALID"),
        (EXECUTE, None, Vec::new(), Code::InvalidArgument, "REQUEST_INVALID"),
        (EXECUTE, None, cut, Code::InvalidArgument, "REQUEST_INVALID"),
        (EXECUTE, None, flagged, Code::InvalidArgument, "REQUEST_INVALID"),
        (EXECUTE, None, frame(&[0; 1024 * 1024 + 1]), Code::OutOfRange, "REQUEST_TOO_LARGE"),
        (EXECUTE, None, vec![0; 2 * 1024 * 1024 + 1], Code::InvalidArgument, "REQUEST_INVALID"),
        (EXECUTE, Some("gzip"), right.clone(), Code::Unimplemented, "ENCODING_UNKNOWN"),
        ("/comet.taskrunner.v1.TaskRunner/NoSuchCall", None, right.clone(), Code::Unimplemented, "CALL_UNKNOWN"),
    ] {
        for transport in [Transport::H2c, Transport::Http1] {
            let refused = sent(&service, transport, path, encoding, body.clone()).await;
            assert_eq!((refused.code, refused.reason.as_str()), (code, reason), "{transport:?} {path}: {refused:?}");
            assert!(!refused.message.is_empty());
        }
    }
    assert_eq!(jobs_made(&service), 0);
}

#[tokio::test]
async fn a_question_that_needs_no_token_is_short() {
    let service = Service::start();
    let mut health = HealthClient::new(service.channel().await);
    let mut asked = async |bytes: usize| {
        let name = HealthCheckRequest { service: "x".repeat(bytes) };
        health.check(name).await.unwrap_err().code()
    };
    assert_eq!(asked(4000).await, Code::NotFound, "there is no service of this name");
    assert_eq!(asked(5000).await, Code::OutOfRange);
    let host = service.address.strip_prefix("http://").unwrap();
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let answered = async |bytes: usize| {
            let list = MessageRequest::ListServices("x".repeat(bytes));
            let question = ServerReflectionRequest { host: String::new(), message_request: Some(list) };
            let request = addressed(Transport::H2c, host, &path).method(Method::POST);
            let request = request.header("content-type", "application/grpc");
            let request = request.body(Bytes::from(frame(&question.encode_to_vec()))).unwrap();
            !Line::new(Transport::H2c, host, None).send(&request).await.body.is_empty()
        };
        assert!(answered(4000).await && !answered(5000).await, "{version}");
    }
}

#[tokio::test]
async fn who_watches_the_health_is_told_of_the_leaving_and_does_not_hold_it_up() {
    let mut service = Service::start();
    let mut health = HealthClient::new(service.channel().await);
    let mut watching = Vec::new();
    for name in ["", "comet.taskrunner.v1.TaskRunner"] {
        let request = HealthCheckRequest { service: name.to_owned() };
        let mut stream = health.watch(request).await.unwrap().into_inner();
        assert_eq!(stream.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
        watching.push(stream);
    }
    let begun = std::time::Instant::now();
    service.signal(rustix::process::Signal::TERM);
    for mut stream in watching {
        let told = tokio::time::timeout(SOON, stream.message()).await.expect("it is told soon");
        assert_eq!(told.unwrap().unwrap().status(), ServingStatus::NotServing);
        let end = tokio::time::timeout(SOON, stream.message()).await.expect("it ends soon");
        assert!(end.unwrap().is_none(), "it ends well");
    }
    assert!(tokio::task::spawn_blocking(move || service.wait()).await.unwrap().success());
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}
