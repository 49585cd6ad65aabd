//! A web server for tests: pages that a test writes, on a loopback port of its own.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use super::real::LONG;

/// What the server answers at one path.
#[derive(Clone)]
struct Answer {
    status: u16,
    headers: String,
    body: String,
}

#[derive(Default)]
struct Shared {
    answers: HashMap<String, Answer>,
    gate_open: bool,
    stopped: bool,
    /// The paths that were asked for.
    asked: HashSet<String>,
}

/// The server; it stops when dropped.
///
/// Beside the pages that tests add it knows `/status/N` (a page with that status), `/empty/N` (the same without a
/// body), `/redirect?PATH`, `/download`, `/gate` (answers once the gate is open), `/slow` (never answers), `/drip` (a file
/// whose second half comes once the gate is open) and `/cut` (a file whose second half never comes).
pub(crate) struct Pages {
    address: SocketAddr,
    shared: Arc<(Mutex<Shared>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Pages {
    /// Starts a server on a free port.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new((Mutex::new(Shared::default()), Condvar::new()));
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serve(&listener, &for_thread));
        Self { address, shared, thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same server under another host name, which makes it another site.
    pub(crate) fn other_site(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    /// Adds a page and gives its path.
    pub(crate) fn html(&self, path: &str, body: &str) -> String {
        self.html_with(path, "", body)
    }

    /// Adds a page whose body is one script.
    pub(crate) fn script(&self, path: &str, script: &str) -> String {
        self.html(path, &format!("<!doctype html><script>{script}</script>"))
    }

    /// Adds a page with header lines of its own, each ended by CR LF.
    pub(crate) fn html_with(&self, path: &str, headers: &str, body: &str) -> String {
        let answer = Answer { status: 200, headers: headers.to_owned(), body: body.to_owned() };
        self.shared.0.lock().unwrap().answers.insert(path.to_owned(), answer);
        self.url(path)
    }

    /// Blocks until a path has been asked for.
    pub(crate) fn wait_for(&self, path: &str) {
        let shared = self.shared.0.lock().unwrap();
        let waited = self.shared.1.wait_timeout_while(shared, LONG, |shared| !shared.asked.contains(path)).unwrap().1;
        assert!(!waited.timed_out(), "{path} is not asked for");
    }

    /// Lets `/gate` answer, now and later.
    pub(crate) fn open_gate(&self) {
        self.shared.0.lock().unwrap().gate_open = true;
        self.shared.1.notify_all();
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.shared.0.lock().unwrap().stopped = true;
        self.shared.1.notify_all();
        // Wakes the accept, so that it sees the end.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn serve(listener: &TcpListener, shared: &Arc<(Mutex<Shared>, Condvar)>) {
    for stream in listener.incoming() {
        if shared.0.lock().unwrap().stopped {
            return;
        }
        let (Ok(stream), shared) = (stream, Arc::clone(shared)) else {
            continue;
        };
        // Ends with its connection: the browser is gone before the server, or the stop wakes it.
        std::thread::spawn(move || {
            let _ = answer(stream, &shared);
        });
    }
}

fn answer(mut stream: TcpStream, shared: &(Mutex<Shared>, Condvar)) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let Some(first) = lines.next() else {
        return Ok(());
    };
    let target = first?.split(' ').nth(1).unwrap_or("/").to_owned();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    if target == "/drip" || target == "/cut" {
        return halves(stream, shared, target == "/drip");
    }
    let Some(answer) = answer_for(&target, shared) else {
        return Ok(());
    };
    write!(
        stream,
        "HTTP/1.1 {} X\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n{}",
        answer.status,
        answer.body.len(),
        answer.headers,
        answer.body
    )
}

/// Bytes of either half of `/drip` and `/cut`.
pub(crate) const HALF: usize = 40_000;

/// A file of which the second half has to be waited for, or never comes.
fn halves(mut stream: TcpStream, shared: &(Mutex<Shared>, Condvar), whole: bool) -> std::io::Result<()> {
    let half = vec![b'x'; HALF];
    write!(
        stream,
        "HTTP/1.1 200 X\r\nContent-Type: application/x-drip\r\nContent-Disposition: attachment; filename=drip.bin\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        2 * HALF
    )?;
    stream.write_all(&half)?;
    if whole {
        let guard = shared.0.lock().unwrap();
        drop(shared.1.wait_while(guard, |shared| !shared.gate_open && !shared.stopped).unwrap());
        stream.write_all(&half)?;
    }
    Ok(())
}

fn answer_for(target: &str, shared: &(Mutex<Shared>, Condvar)) -> Option<Answer> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let plain = |status: u16, headers: &str, body: &str| {
        Some(Answer { status, headers: headers.to_owned(), body: body.to_owned() })
    };
    let number = |prefix: &str| path.strip_prefix(prefix).and_then(|rest| rest.parse().ok());
    if let Some(status) = number("/status/") {
        return plain(status, "", "<title>status</title>");
    }
    if let Some(status) = number("/empty/") {
        return plain(status, "", "");
    }
    let mut guard = shared.0.lock().unwrap();
    guard.asked.insert(path.to_owned());
    shared.1.notify_all();
    match path {
        "/redirect" => plain(302, &format!("Location: {query}\r\n"), ""),
        "/download" => plain(200, "Content-Disposition: attachment; filename=a.bin\r\n", "abc"),
        "/gate" => {
            guard = shared.1.wait_while(guard, |shared| !shared.gate_open && !shared.stopped).unwrap();
            drop(guard);
            plain(200, "", "open")
        }
        "/slow" => {
            drop(shared.1.wait_while(guard, |shared| !shared.stopped).unwrap());
            None
        }
        _ => guard.answers.get(path).cloned().or_else(|| plain(404, "", "no such page")),
    }
}
