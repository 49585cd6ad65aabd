//! TLS: both versions of HTTP, callers that never finish a handshake, and who may be called from where.

use std::{fs, io::Write, net::TcpStream as Blocking, process::Output, time::Instant};

use http::{Method, StatusCode};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustix::process::Resource;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

use super::{
    certificate::Certificate,
    line::{Line, Transport, addressed, shake},
    service::{Options, SOON, Service, stub_url},
    wire::jobs_made,
};

fn start(certificate: &Certificate) -> Service {
    Service::start_with(certificate.serve(Options::default()))
}

fn address(service: &Service) -> &str {
    service.address.strip_prefix("https://").expect("it speaks TLS")
}

async fn connect(
    service: &Service,
    certificate: &Certificate,
    protocols: &[&str],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let tcp = TcpStream::connect(address(service)).await.unwrap();
    tokio::time::timeout(SOON, shake(tcp, Some(certificate.der()), protocols))
        .await
        .expect("hands are shaken soon")
        .unwrap()
}

/// The program with these arguments, and nothing from the environment.
async fn program(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_comet-task-runner"));
    for name in ["STATE_DIR", "SERVER", "TOKEN_FILE", "CA_FILE"] {
        command.env_remove(format!("COMET_TASK_RUNNER_{name}"));
    }
    let output = command.args(args).kill_on_drop(true).output();
    tokio::time::timeout(SOON, output).await.expect("the program ends soon").unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn both_versions_of_http_are_offered_and_the_callers_choice_is_spoken() {
    let certificate = Certificate::for_names(&["localhost"]);
    let service = start(&certificate);
    for (offered, chosen) in [(&["h2", "http/1.1"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)] {
        let stream = connect(&service, &certificate, offered).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen.map(str::as_bytes));
        if chosen == Some("h2") {
            continue;
        }
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(connection);
        let request = addressed(Transport::Http1, address(&service), "/");
        let request = request.body(http_body_util::Empty::<Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{offered:?}");
        assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
        driver.abort();
    }
    let request = addressed(Transport::H2Tls, address(&service), "/").body(Bytes::new()).unwrap();
    let mut line = Line::new(Transport::H2Tls, address(&service), Some(certificate.der()));
    assert_eq!(line.send(&request).await.status, StatusCode::OK);
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_cut_and_does_nothing() {
    let certificate = Certificate::for_names(&["localhost"]);
    let service = start(&certificate);
    let mut tcp = TcpStream::connect(address(&service)).await.unwrap();
    let request = format!(
        "POST /comet.taskrunner.v1.TaskRunner/Execute HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 30\r\n\r\n{{\"url\":\"http://stub.test/exit/0\"}}",
        address(&service),
        service.token()
    );
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // An alert of TLS, then the end or a reset.
    let _ = tokio::time::timeout(SOON, tcp.read_to_end(&mut answer)).await.expect("it is cut soon");
    assert!(!text(&answer).contains("HTTP/1.1 200"), "{}", text(&answer));
    assert_eq!(jobs_made(&service), 0);
}

#[tokio::test]
async fn silent_handshakes_hold_nobody_up_and_no_shutdown_either() {
    let certificate = Certificate::for_names(&["localhost"]);
    let mut service = start(&certificate);
    let mut silent = Vec::new();
    for number in 0..100 {
        let mut tcp = Blocking::connect(address(&service)).unwrap();
        // Half of them begin, with the first bytes of a greeting.
        if number % 2 == 0 {
            tcp.write_all(&[0x16, 0x03, 0x01, 0x02]).unwrap();
        }
        silent.push(tcp);
    }
    let begun = Instant::now();
    drop(connect(&service, &certificate, &["h2"]).await);
    assert!(begun.elapsed().as_secs() < 5, "a caller waits for no other's handshake: {:?}", begun.elapsed());

    let begun = Instant::now();
    assert!(service.terminate().success());
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    drop(silent);
}

#[tokio::test]
async fn idle_connections_do_not_hold_a_shutdown_up() {
    let mut service = Service::start();
    let host = service.address.strip_prefix("http://").unwrap().to_owned();
    let mut idle = Vec::new();
    for transport in [Transport::Http1, Transport::H2c] {
        let mut line = Line::new(transport, &host, None);
        line.send(&addressed(transport, &host, "/").body(Bytes::new()).unwrap()).await;
        idle.push(line);
    }
    let silent = Blocking::connect(&host).unwrap();
    let begun = Instant::now();
    // On another thread: an idle HTTP/2 connection ends when its client answers.
    let status = tokio::task::spawn_blocking(move || service.terminate()).await.unwrap();
    assert!(status.success());
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    drop((idle, silent));
}

#[tokio::test]
async fn the_command_line_knows_its_own_service_whatever_names_its_certificate_has() {
    let certificate = Certificate::for_names(&["tasks.example.org"]);
    let service = start(&certificate);
    let state_dir = service.state_dir();
    let endpoint = fs::read_to_string(state_dir.join("endpoint")).unwrap();
    assert_eq!(endpoint.lines().next(), Some(service.address.as_str()));
    let run = program(&["run", &stub_url("/exit/0"), "--state-dir", state_dir.to_str().unwrap()]).await;
    assert!(run.status.success(), "{run:?}");
    assert_eq!(jobs_made(&service), 1);

    // One that left, and another with another certificate on its port, would not be taken for it.
    fs::write(state_dir.join("certificate"), Certificate::for_names(&["tasks.example.org"]).der()).unwrap();
    let list =
        program(&["run", &stub_url("/exit/0"), "--retry-for", "1s", "--state-dir", state_dir.to_str().unwrap()]).await;
    assert_eq!(list.status.code(), Some(3), "{list:?}");
    assert_eq!(jobs_made(&service), 1);
}

#[tokio::test]
async fn another_service_is_known_by_an_issuer_and_its_name() {
    let certificate = Certificate::for_names(&["localhost"]);
    let service = start(&certificate);
    let token_file = service.state_dir().join("token");
    let port = address(&service).rsplit_once(':').unwrap().1;
    let (ca, token_file) = (certificate.file(), token_file.to_str().unwrap().to_owned());
    let run = async |name: &str, ca: Option<&str>| {
        let (server, url) = (format!("https://{name}:{port}"), stub_url("/exit/0"));
        let mut args = vec!["run", &url, "--server", &server, "--token-file", &token_file, "--retry-for", "1s"];
        args.extend(ca.iter().flat_map(|ca| ["--ca", ca]));
        program(&args).await
    };
    let ended = run("localhost", ca.to_str()).await;
    assert!(ended.status.success(), "{ended:?}");
    for (name, ca, told) in [
        ("localhost", None, "UnknownIssuer"),
        ("127.0.0.1", ca.to_str(), "not valid for name"),
        ("localhost", certificate.key_file().to_str(), "no certificate in PEM"),
    ] {
        let ended = run(name, ca).await;
        assert!(matches!(ended.status.code(), Some(2 | 3)), "{ended:?}");
        assert!(text(&ended.stderr).contains(told), "{told}: {ended:?}");
    }
    assert_eq!(jobs_made(&service), 1);
}

#[tokio::test]
async fn the_link_of_the_page_has_a_name_of_the_certificate() {
    let certificate = Certificate::for_names(&["localhost"]);
    let service = start(&certificate);
    let port = address(&service).rsplit_once(':').unwrap().1;
    assert!(service.link.starts_with(&format!("https://localhost:{port}/#code=")), "{}", service.link);
    let link = program(&["token", "--link", "--state-dir", service.state_dir().to_str().unwrap()]).await;
    assert!(text(&link.stdout).starts_with(&format!("https://localhost:{port}/#code=")), "{link:?}");
}

#[tokio::test]
async fn a_wide_bind_is_for_those_who_have_tls_a_token_and_a_name() {
    let certificate = Certificate::for_names(&["localhost", "tasks.example.org"]);
    let options =
        certificate.serve(Options::default()).arg("--listen").arg("0.0.0.0:0").arg("--host").arg("tasks.example.org");
    let service = Service::start_with(options);
    let port = address(&service).rsplit_once(':').unwrap().1.to_owned();
    assert_eq!(service.address, format!("https://0.0.0.0:{port}"));
    let mut line = Line::new(Transport::H2Tls, &format!("127.0.0.1:{port}"), Some(certificate.der()));
    let call = "/comet.taskrunner.v1.TaskRunner/GetStatus";
    for (host, token, status) in [
        (format!("tasks.example.org:{port}"), true, StatusCode::BAD_REQUEST),
        (format!("localhost:{port}"), true, StatusCode::BAD_REQUEST),
        (format!("tasks.example.org:{port}"), false, StatusCode::UNAUTHORIZED),
        (format!("0.0.0.0:{port}"), true, StatusCode::MISDIRECTED_REQUEST),
        (format!("evil.test:{port}"), true, StatusCode::MISDIRECTED_REQUEST),
    ] {
        let mut request = addressed(Transport::H2Tls, &host, call).method(Method::POST);
        request = request.header("content-type", "application/json");
        if token {
            request = request.header("authorization", format!("Bearer {}", service.token()));
        }
        // The request names no task, so past the guard it is at fault.
        let reply = line.send(&request.body(Bytes::from_static(b"{}")).unwrap()).await;
        assert_eq!(reply.status, status, "{host}: {reply:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_by_its_name() {
    let (one, other) = (Certificate::for_names(&["localhost"]), Certificate::for_names(&["localhost"]));
    let file = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let (cert, key, foreign) = (file(one.file()), file(one.key_file()), file(other.key_file()));
    for (args, told) in [
        (vec!["--tls-cert", "/none.pem", "--tls-key", &key], "/none.pem cannot be read"),
        (vec!["--tls-cert", &key, "--tls-key", &key], "holds no certificate in PEM"),
        (vec!["--tls-cert", &cert, "--tls-key", &cert], "holds no private key in PEM"),
        (vec!["--tls-cert", &cert, "--tls-key", &foreign], "cannot be used with the key"),
        (vec!["--tls-cert", &cert], "--tls-key"),
        (vec!["--listen", "0.0.0.0:0"], "give --tls-cert and --tls-key with it"),
        (vec!["--host", "http://a"], "is not of the form NAME"),
        (vec!["--host", "0.0.0.0"], "is not of the form NAME"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let state_dir = file(home.path().join("s"));
        let mut all = vec!["serve", "--state-dir", &state_dir];
        if !args.contains(&"--listen") {
            all.extend(["--listen", "127.0.0.1:0"]);
        }
        all.extend(&args);
        let ended = program(&all).await;
        assert_eq!((ended.status.code(), text(&ended.stdout).as_str()), (Some(2), ""), "{args:?}: {ended:?}");
        assert!(text(&ended.stderr).contains(told), "{args:?}: {ended:?}");
        assert!(!home.path().join("s").exists(), "{args:?} leaves nothing behind");
    }
}

#[tokio::test]
async fn connections_are_bounded_and_the_next_caller_waits_for_a_place() {
    // Half of the descriptors: 32 connections.
    let through = vec!["prlimit".to_owned(), "--nofile=64:64".to_owned()];
    let service = Service::start_with(Options { through, ..Options::default() });
    let host = service.address.strip_prefix("http://").unwrap().to_owned();
    let mut held: Vec<Blocking> = (0..32).map(|_| Blocking::connect(&host).unwrap()).collect();
    let mut line = Line::new(Transport::Http1, &host, None);
    let request = addressed(Transport::Http1, &host, "/").body(Bytes::new()).unwrap();
    let mut answer = Box::pin(line.send(&request));
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut answer).await;
    assert!(early.is_err(), "all places are taken: {early:?}");
    held.pop();
    assert_eq!(answer.await.status, StatusCode::OK, "and one is free again");
}

#[tokio::test]
async fn a_service_out_of_descriptors_says_so_once_and_goes_on_when_there_are_some() {
    let service = Service::start();
    let pid = rustix::process::Pid::from_raw(i32::try_from(service.pid()).unwrap());
    let own = rustix::process::getrlimit(Resource::Nofile);
    let short = rustix::process::Rlimit { current: Some(3), ..own };
    rustix::process::prlimit(pid, Resource::Nofile, short).unwrap();
    let host = service.address.strip_prefix("http://").unwrap().to_owned();
    let mut line = Line::new(Transport::Http1, &host, None);
    let request = addressed(Transport::Http1, &host, "/").body(Bytes::new()).unwrap();
    let mut answer = Box::pin(line.send(&request));
    // Long enough for several tries.
    let early = tokio::time::timeout(std::time::Duration::from_millis(500), &mut answer).await;
    assert!(early.is_err(), "there is no descriptor for it: {early:?}");
    rustix::process::prlimit(pid, Resource::Nofile, own).unwrap();
    assert_eq!(answer.await.status, StatusCode::OK);
    assert_eq!(service.left().await.matches("a connection could not be accepted").count(), 1);
}
