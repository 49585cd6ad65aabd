//! `serve` and `token`: the address, the secret, and how a service leaves.

use std::{fs, os::unix::fs::PermissionsExt};

use comet_task_runner::api::v1::{GetStatusRequest, GetStatusResponse};
use rustix::process::Signal;
use tonic::codegen::http::uri::PathAndQuery;

use super::super::service::{Options, Service, command, eventually};
use super::{Call, ended, on, program};

#[tokio::test]
async fn serve_says_its_address_and_the_pages_and_nothing_else() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = tempfile::Builder::new().prefix("ct").tempdir_in("/tmp").unwrap();
        fs::create_dir(home.path().join("r")).unwrap();
        let mut service = Call::start(command(&Options::default(), home.path()).into());

        let said = service.line().await.unwrap();
        let address = said.strip_prefix("listening on ").unwrap();
        assert_eq!(fs::read_to_string(home.path().join("s/endpoint")).unwrap().trim(), address);
        let page = service.line().await.unwrap();
        assert!(page.starts_with(&format!("page: {address}/#code=")), "{page}");

        service.signal(signal);
        let end = service.end().await;
        assert_eq!((end.code, end.stdout.as_str()), (Some(0), ""), "{}", end.stderr);
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_service_at_once() {
    let mut service = Service::start();
    // A request whose body never ends keeps the drain waiting for its connection.
    let mut client = tonic::client::Grpc::new(service.channel().await);
    client.ready().await.unwrap();
    let mut request = tonic::Request::new(tokio_stream::pending::<GetStatusRequest>());
    request.metadata_mut().insert("authorization", format!("Bearer {}", service.token()).parse().unwrap());
    let path = PathAndQuery::from_static("/comet.taskrunner.v1.TaskRunner/GetStatus");
    let codec = tonic_prost::ProstCodec::<GetStatusRequest, GetStatusResponse>::default();
    let held = tokio::spawn(async move { drop(client.client_streaming(request, path, codec).await) });
    // Another call on its heels has been answered, so that one has arrived.
    service.client().await.get_status(GetStatusRequest::default()).await.unwrap_err();

    service.signal(Signal::TERM);
    eventually("the drain begins", || service.log().contains("draining"));
    service.signal(Signal::TERM);
    assert_eq!(service.wait().code(), Some(143));
    held.await.unwrap();
}

#[tokio::test]
async fn a_state_directory_has_one_service() {
    let service = Service::start();
    let end = ended(on(&service, &["serve", "--listen", "127.0.0.1:0"])).await;
    assert_eq!(end.code, Some(2));
    assert!(end.stderr.contains(service.state_dir().to_str().unwrap()), "{}", end.stderr);
    assert!(end.stderr.contains("another service"), "{}", end.stderr);
    assert_eq!(end.stdout, "");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut serve = program(&["serve", "--listen", &address.to_string(), "--state-dir"]);
    serve.arg(home.path().join("s"));
    let end = ended(serve).await;
    assert_eq!(end.code, Some(2));
    assert!(end.stderr.contains(&format!("port {} is in use", address.port())), "{}", end.stderr);
}

#[tokio::test]
async fn what_is_open_to_other_machines_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let mut serve = program(&["serve", "--listen", "0.0.0.0:0", "--state-dir"]);
    serve.arg(home.path().join("s"));
    let end = ended(serve).await;
    assert_eq!(end.code, Some(2));
    assert!(end.stderr.contains("0.0.0.0:0 is not a loopback address"), "{}", end.stderr);
    assert!(!home.path().join("s").exists());
}

#[tokio::test]
async fn the_token_is_its_owners_alone() {
    let service = Service::start();
    let file = service.state_dir().join("token");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let end = ended(on(&service, &["token"])).await;
    assert_eq!((end.code, end.stdout.trim()), (Some(0), service.token().as_str()));
    let end = ended(on(&service, &["token", "--path"])).await;
    assert_eq!(end.stdout.trim(), file.to_str().unwrap());
}

#[tokio::test]
async fn where_no_service_ever_was_there_is_no_token() {
    let home = tempfile::tempdir().unwrap();
    let mut token = program(&["token"]);
    token.env("COMET_TASK_RUNNER_STATE_DIR", home.path());
    let end = ended(token).await;
    assert_eq!(end.code, Some(3));
    assert!(end.stderr.contains("comet-task-runner serve"), "{}", end.stderr);
}
