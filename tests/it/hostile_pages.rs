//! Real pages that mean harm, in a real browser: of another port, of another host, and of a name that was rebound to
//! the service. They know more than they could, and get nothing.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

use comet_task_runner::{api::v1::job::Status, browser::Fact};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    line::{Line, Transport, addressed},
    pipe_browser::{self, Driven},
    real::{LONG, Seats, chromium_by_hand},
    service::{Service, eventually},
    wire::{begin, jobs_made, status},
};

/// What the page tries.
const HOSTILE: &str = include_str!("../support/hostile.html");

/// What a page saw of one attempt.
#[derive(Debug, Deserialize)]
struct Attempt {
    #[allow(dead_code, reason = "told when a test fails")]
    name: String,
    status: Option<u16>,
    grpc: Option<String>,
    text: Option<String>,
    loaded: Option<String>,
    opened: Option<bool>,
    #[allow(dead_code, reason = "told when a test fails")]
    error: Option<String>,
}

/// What a page tells at its end.
#[derive(Debug, Deserialize)]
struct Told {
    page: String,
    attempts: Vec<Attempt>,
}

/// A server that gives the page to whoever asks, also as a proxy, and takes what it tells.
struct Attacker {
    address: SocketAddr,
    told: Receiver<Told>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Attacker {
    /// `known` is what the page knows; `pages` are its addresses, one after the other, on the port that is given.
    fn start(known: &Value, pages: impl Fn(u16) -> Vec<String>) -> (Self, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let pages = pages(address.port());
        let mut config = known.clone();
        config["collector"] = format!("http://{address}/told").into();
        config["pages"] = pages.clone().into();
        let page: Arc<str> = HOSTILE.replace("CONFIG", &config.to_string()).into();
        let stopped = Arc::new(AtomicBool::new(false));
        let (tell, told) = channel();
        let is_over = Arc::clone(&stopped);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let (page, tell) = (Arc::clone(&page), tell.clone());
                // Ends with its connection, which the browser closes at the latest with its own end.
                std::thread::spawn(move || drop(answer(stream, &page, &tell)));
            }
        });
        (Self { address, told, stopped, thread: Some(thread) }, pages)
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the accept, so that it sees the end.
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
    }
}

fn answer(mut stream: TcpStream, page: &str, tell: &Sender<Told>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let told = first.starts_with("POST").then(|| serde_json::from_slice(&body).unwrap());
    let page = if told.is_some() { "" } else { page };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\nContent-Length: ";
    write!(stream, "{head}{}\r\n\r\n{page}", page.len())?;
    if let Some(told) = told {
        // Whoever waited may have given up.
        let _ = tell.send(told);
    }
    Ok(())
}

/// A person's browser on a page. Dropped, all its processes end.
struct Victim {
    browser: Child,
    _dir: tempfile::TempDir,
}

impl Victim {
    /// Every name leads to this machine. A page is fetched from the attacker, whatever its address says, as it was before
    /// its name was rebound. Chromium's own wall around this machine is down: the service has to stand alone.
    fn open(attacker: &Attacker, page: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("ctr-it").tempdir().unwrap();
        let script = format!(
            "function FindProxyForURL(url, host) {{ return url.includes('/attack') ? 'PROXY {}' : 'DIRECT'; }}",
            attacker.address
        );
        let browser = chromium_by_hand(&dir.path().join("p"), None)
            .arg("--host-resolver-rules=MAP *.test 127.0.0.1")
            .arg(format!("--proxy-pac-url=data:application/x-ns-proxy-autoconfig,{}", script.replace(' ', "%20")))
            .arg("--disable-features=LocalNetworkAccessChecks")
            .arg(page)
            .process_group(0)
            .spawn()
            .unwrap();
        Self { browser, _dir: dir }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.browser);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.browser.wait();
    }
}

/// A page of another origin sees nothing at all.
fn saw_nothing(attempt: &Attempt) -> bool {
    attempt.text.as_deref().unwrap_or_default().is_empty()
        && attempt.status.unwrap_or_default() == 0
        && attempt.grpc.is_none()
        && attempt.loaded.is_none()
        && attempt.opened.is_none()
}

/// A page of a rebound name is of one origin with the service, as the browser sees it: it can read every answer, and
/// each is a refusal.
fn was_refused(attempt: &Attempt) -> bool {
    let refused = match (attempt.status, &attempt.grpc) {
        (Some(200), Some(status)) => status != "0",
        (Some(status), _) => status == 421 || status == 0,
        (None, _) => true,
    };
    let text = attempt.text.as_deref().unwrap_or_default();
    let told_nothing = text.is_empty() || text.contains("answers only to localhost");
    refused && told_nothing && attempt.loaded.is_none() && attempt.opened.is_none()
}

/// The positive control: the very request that the pages try, from the service's own page.
fn executes_from_our_own_page(service: &Service) {
    let Some(chromium) = pipe_browser::chromium() else { return };
    let mut page = Driven::headless(&chromium, &format!("{}/", service.address));
    page.until(|fact| matches!(fact, Fact::Committed { .. }));
    let made = jobs_made(service);
    page.click_for(&format!(
        "fetch('/comet.taskrunner.v1.TaskRunner/Execute', {{ method: 'POST', body: '{{\"url\":\"http://stub.test/exit/0\"}}',
           headers: {{ 'content-type': 'application/json', authorization: 'Bearer {}' }} }})",
        service.token()
    ));
    eventually("our own page makes a job", || jobs_made(service) == made + 1);
}

#[tokio::test]
async fn hostile_pages_see_nothing_and_do_nothing() {
    let Some(_seat) = Seats::take(1, &[]) else { return };
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let before = status(&mut client, &task.task_id).await.job.unwrap();
    let code = service.link.split_once("/#code=").unwrap().1;
    let known = json!({ "token": service.token(), "code": code, "task": task.task_id });

    let port = service.address.rsplit_once(':').unwrap().1;
    let (attacker, pages) = Attacker::start(&known, |own_port| {
        vec![
            // Another host, another site.
            format!("http://evil.test:{own_port}/attack?base=http://localhost:{port}"),
            format!("http://localhost:{own_port}/attack?base=http://127.0.0.1:{port}"),
            // The same site: only the port is another.
            format!("http://localhost:{own_port}/attack?base=http://localhost:{port}"),
            // A name that was the attacker's when the page came, and is the service's now.
            format!("http://rebound.test:{port}/attack"),
        ]
    });
    let victim = Victim::open(&attacker, &pages[0]);
    let mut told = Vec::new();
    while told.len() < pages.len() {
        told.push(attacker.told.recv_timeout(LONG).expect("each page comes to its end"));
    }
    drop(victim);
    for Told { page, attempts } in &told {
        assert!(pages.contains(page) && attempts.len() >= 100, "{page} tried {}", attempts.len());
        let fine = if page.contains("rebound.test") { was_refused } else { saw_nothing };
        let bad: Vec<_> = attempts.iter().filter(|attempt| !fine(attempt)).collect();
        assert!(bad.is_empty(), "{page}: {bad:#?}");
    }
    let rebound = told.iter().find(|told| told.page.contains("rebound.test")).unwrap();
    let reached = rebound.attempts.iter().filter(|attempt| attempt.status == Some(421)).count();
    assert!(reached > 20, "the rebound page did reach the service: {:#?}", rebound.attempts);

    assert_eq!(jobs_made(&service), 1, "there is the task from before, and no other");
    let after = status(&mut client, &task.task_id).await.job.unwrap();
    assert_eq!((after.status(), after.revision), (Status::Running, before.revision), "{after:?}");
    assert_eq!(login(&service, code).await, StatusCode::OK, "the code that they knew is still good");
    executes_from_our_own_page(&service);
}

async fn login(service: &Service, code: &str) -> StatusCode {
    let host = service.address.strip_prefix("http://").unwrap();
    let request = addressed(Transport::Http1, host, "/session").method(Method::POST);
    let request = request.header("content-type", "application/json").body(json!({ "code": code }).to_string().into());
    Line::new(Transport::Http1, host, None).send(&request.unwrap()).await.status
}
