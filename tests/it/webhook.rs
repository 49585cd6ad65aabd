//! The webhook: what a receiver gets, how it knows whose it is, and that nothing is missed over failures and kills.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use comet_task_runner::api::v1::{ExecuteResponse, job::Status};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{
    certificate::Certificate,
    cli::{ended as program_ended, program},
    plain_http::get_with,
    service::{Client, Options, SOON, Service, ended, eventually},
    wire::{begin, report},
};

/// A request as a receiver gets it.
#[derive(Clone, Debug)]
struct Posted {
    line: String,
    headers: HashMap<String, String>,
    body: String,
}

impl Posted {
    fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn task_id(&self) -> String {
        self.json()["data"]["taskId"].as_str().unwrap().to_owned()
    }

    /// By the receiver's own reckoning.
    fn is_signed_with(&self, secret: &str) -> bool {
        let key = BASE64_STANDARD.decode(secret.trim().strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.{}.{}", self.id(), self.headers["webhook-timestamp"], self.body).as_bytes());
        let signature = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
        self.headers["webhook-signature"].split(' ').any(|signed| signed == signature)
    }
}

/// How a receiver answers one request.
#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    /// Takes the request, and leaves the sender without a word until the test lets go.
    Silence,
    /// Sends the sender elsewhere.
    Redirect,
}

/// A receiver on this machine. It ends when nobody listens to what it has got.
struct Receiver {
    url: String,
    posted: mpsc::Receiver<Posted>,
    address: std::net::SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Answers with these, then with 204.
    fn start(answers: &[Answer]) -> Self {
        let answers = answers.to_vec();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, posted) = mpsc::channel();
        let mut answers = answers.into_iter();
        let thread = thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read_request(&stream) else { continue };
                if sender.send(request).is_err() {
                    break;
                }
                match answers.next().unwrap_or(Answer::Status(204)) {
                    Answer::Status(status) => answer(&mut stream, status, ""),
                    Answer::Redirect => answer(&mut stream, 307, "location: /elsewhere\r\n"),
                    Answer::Silence => held.push(stream),
                }
            }
        });
        // The query stands for a receiver's own secret, which no log may have.
        let url = format!("http://{address}/hook?key=receivers-own");
        Self { url, posted, address, thread: Some(thread) }
    }

    fn options(&self) -> Options {
        Options::default().arg("--webhook-url").arg(&self.url)
    }

    fn next(&self) -> Posted {
        self.posted.recv_timeout(SOON).expect("a message comes soon")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.posted = mpsc::channel().1;
        // One more request, which nobody listens to, ends the loop.
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            let _ = stream.write_all(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
        }
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn read_request(stream: &TcpStream) -> Option<Posted> {
    stream.set_read_timeout(Some(SOON)).unwrap();
    read_from(stream)
}

fn read_from(stream: impl Read) -> Option<Posted> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Posted { line: line.trim_end().to_owned(), headers, body: String::from_utf8(body).unwrap() })
}

fn answer(stream: &mut impl Write, status: u16, headers: &str) {
    // The sender may have been killed.
    let _ = write!(stream, "HTTP/1.1 {status} x\r\n{headers}connection: close\r\ncontent-length: 0\r\n\r\n");
}

fn secret(service: &Service) -> String {
    fs::read_to_string(service.state_dir().join("webhook-secret")).unwrap()
}

async fn finish(client: &mut Client, path: &str) -> ExecuteResponse {
    let made = begin(client, path).await;
    ended(client, &made.task_id).await;
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_each_task_is_posted_once_signed_and_whole() {
    let receiver = Receiver::start(&[]);
    let service = Service::start_with(receiver.options());
    let mut client = service.client().await;
    // Its report is the end; its exit, which follows, is none.
    let made = begin(&mut client, "/sleep").await;
    let done = client.callback(report(&made, Status::Done)).await.unwrap().into_inner().job.unwrap();
    let failed = finish(&mut client, "/exit/3").await;

    let first = receiver.next();
    assert_eq!(first.line, "POST /hook?key=receivers-own HTTP/1.1");
    assert_eq!(first.headers["content-type"], "application/json");
    assert!(first.is_signed_with(&secret(&service)));
    let message = first.json();
    assert_eq!(message["type"], "job.finished");
    assert_eq!(message["data"]["status"], "DONE");
    assert_eq!(message["data"]["reason"], "CALLBACK");
    assert_eq!(message["data"]["taskId"], made.task_id);
    assert_eq!(message["data"]["revision"], done.revision.to_string());
    assert_eq!(first.id(), format!("msg_{}_{}", made.task_id, done.revision));
    assert_eq!(message["timestamp"], message["data"]["finishedAt"]);
    assert!(!first.body.contains(&made.callback_token));

    let second = receiver.next();
    assert_eq!((second.task_id(), second.json()["data"]["status"].as_str()), (failed.task_id, Some("FAILED")));
    let last = finish(&mut client, "/exit/0").await;
    assert_eq!(receiver.next().task_id(), last.task_id, "nothing else comes between");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_gets_the_same_again_and_the_rest_in_order() {
    let receiver = Receiver::start(&[Answer::Status(503), Answer::Redirect]);
    let mut service = Service::start_with(receiver.options());
    let mut client = service.client().await;
    let one = finish(&mut client, "/exit/0").await;
    let two = finish(&mut client, "/exit/1").await;
    let attempts = [receiver.next(), receiver.next(), receiver.next()];
    for attempt in &attempts {
        assert_eq!((attempt.id(), &attempt.body), (attempts[0].id(), &attempts[0].body));
        assert_eq!(attempt.line, "POST /hook?key=receivers-own HTTP/1.1", "a redirect is not followed");
        assert!(attempt.is_signed_with(&secret(&service)));
    }
    assert_eq!(attempts[0].task_id(), one.task_id);
    assert_eq!(receiver.next().task_id(), two.task_id);
    // The last delivery is counted when its answer has come, which nobody else hears of.
    let series = |outcome: &str| format!("comet_task_runner_webhook_deliveries_total{{outcome=\"{outcome}\"}}");
    eventually("two deliveries are counted", || {
        let metrics = get_with(&service, "/metrics", &service.token()).body;
        metrics.contains(&format!("{} 2\n", series("delivered")))
            && metrics.contains(&format!("{} 2\n", series("failed")))
    });

    let secret = secret(&service);
    drop(client);
    service.terminate();
    let log = service.log_to_end();
    assert!(log.contains("could not be posted") && log.contains("answered 503"), "{log}");
    assert!(!log.contains("receivers-own") && !log.contains(secret.trim().trim_start_matches("whsec_")), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_at_a_kill_is_posted_by_the_next_service() {
    let receiver = Receiver::start(&[Answer::Status(204), Answer::Silence]);
    let mut service = Service::start_with(receiver.options());
    let mut client = service.client().await;
    let one = finish(&mut client, "/exit/0").await;
    assert_eq!(receiver.next().task_id(), one.task_id);
    let two = finish(&mut client, "/exit/1").await;
    let unanswered = receiver.next();
    let three = finish(&mut client, "/exit/2").await;
    drop(client);
    service.kill();
    service.restart();

    let (mut again, mut ids) = (receiver.next(), Vec::new());
    // The answer to the first may have come too late to be noted: at least once, and in order.
    if again.task_id() == one.task_id {
        again = receiver.next();
    }
    assert_eq!((again.id(), &again.body), (unanswered.id(), &unanswered.body));
    ids.extend([again.task_id(), receiver.next().task_id()]);
    let four = finish(&mut service.client().await, "/exit/0").await;
    ids.push(receiver.next().task_id());
    assert_eq!(ids, [two.task_id, three.task_id, four.task_id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_begins_with_what_finishes_from_then_on_and_a_signal_ends_it_at_once() {
    let mut service = Service::start();
    let mut client = service.client().await;
    finish(&mut client, "/exit/0").await;
    drop(client);
    service.terminate();

    let receiver = Receiver::start(&[Answer::Silence]);
    service.restart_with(receiver.options());
    let mut client = service.client().await;
    let made = finish(&mut client, "/exit/0").await;
    assert_eq!(receiver.next().task_id(), made.task_id, "what was there before is not posted");
    drop(client);
    // The receiver holds its answer back for ever; nobody waits for it.
    let begun = Instant::now();
    assert!(service.terminate().success());
    assert!(begun.elapsed() < Duration::from_secs(8), "it waited for the receiver");
}

#[tokio::test]
async fn an_operators_secret_is_used_and_one_that_others_can_read_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("secret");
    let mine = format!("whsec_{}\n", BASE64_STANDARD.encode([9; 32]));
    fs::write(&file, &mine).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let receiver = Receiver::start(&[]);
    let mut exposed = program(&["serve", "--listen", "127.0.0.1:0", "--webhook-url", &receiver.url]);
    exposed.arg("--webhook-secret-file").arg(&file).arg("--state-dir").arg(home.path().join("s"));
    exposed.env("COMET_TASK_RUNNER_RUN_DIR", home.path().join("r"));
    fs::create_dir(home.path().join("r")).unwrap();
    let end = program_ended(exposed).await;
    assert_eq!(end.code, Some(2), "{}", end.stderr);
    assert!(end.stderr.contains("chmod 600") && end.stderr.contains(file.to_str().unwrap()), "{}", end.stderr);

    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let service = Service::start_with(receiver.options().arg("--webhook-secret-file").arg(file.to_str().unwrap()));
    finish(&mut service.client().await, "/exit/0").await;
    let posted = receiver.next();
    assert!(posted.is_signed_with(&mine));
    assert!(!service.state_dir().join("webhook-secret").exists());
}

/// Takes one message over TLS, as whom the certificate says; none when the sender does not trust it.
fn receive_over_tls(listener: &TcpListener, certificate: &Certificate) -> Option<Posted> {
    let chain = vec![CertificateDer::from_pem_file(certificate.file()).unwrap()];
    let key = PrivateKeyDer::from_pem_file(certificate.key_file()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (tcp, _) = listener.accept().unwrap();
    tcp.set_read_timeout(Some(SOON)).unwrap();
    let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), tcp);
    let posted = read_from(&mut stream)?;
    answer(&mut stream, 204, "");
    Some(posted)
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_only_a_receiver_whose_certificate_the_system_trusts_gets_anything() {
    let (trusted, stranger) = (Certificate::for_names(&["localhost"]), Certificate::for_names(&["localhost"]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/hook", listener.local_addr().unwrap().port());
    let options = Options::default().arg("--webhook-url").arg(url);
    let service = Service::start_with(options.env("SSL_CERT_FILE", trusted.file().to_str().unwrap()));
    let made = finish(&mut service.client().await, "/exit/0").await;
    assert!(receive_over_tls(&listener, &stranger).is_none(), "nothing is sent to a stranger");
    let posted = receive_over_tls(&listener, &trusted).expect("it tries again");
    assert_eq!(posted.task_id(), made.task_id);
    assert!(posted.is_signed_with(&secret(&service)));
}
