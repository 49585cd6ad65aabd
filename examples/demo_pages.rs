//! Serves the pages of the demo on a loopback port, and names another one that refuses every connection.
//!
//! Prints both as `http://127.0.0.1:PORT http://127.0.0.1:PORT` and lives until its standard input ends.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

/// A browser that opens a connection and asks for nothing must not hold a thread for ever.
const ASK_WITHIN: Duration = Duration::from_secs(10);

fn main() -> io::Result<()> {
    let dir = PathBuf::from(env::args_os().nth(1).unwrap_or_else(|| "demo/pages".into()));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;

    // Bound, so that nobody else gets the port, and never listening, so that it refuses.
    let refusing = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&refusing, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    let refusing_at = SocketAddr::try_from(getsockname(&refusing)?)?;

    println!("http://{} http://{refusing_at}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let dir = dir.clone();
            // A browser that leaves in the middle is no concern of the others.
            thread::spawn(move || answer(stream, &dir).ok());
        }
    });

    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// Answers one request with one page.
fn answer(mut stream: TcpStream, dir: &Path) -> io::Result<()> {
    stream.set_read_timeout(Some(ASK_WITHIN))?;
    let mut head = BufReader::new((&stream).take(64 * 1024));
    let mut request = String::new();
    head.read_line(&mut request)?;
    let mut header = String::new();
    while head.read_line(&mut header)? > 2 {
        header.clear();
    }

    let page = request.split(' ').nth(1).and_then(|path| page(dir, path));
    let (status, body) = match page {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", b"no such page".to_vec()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}

/// The page of a path; only plain names directly in the directory are pages.
fn page(dir: &Path, path: &str) -> Option<Vec<u8>> {
    let name = path.strip_prefix('/')?.strip_suffix(".html")?;
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
    plain.then(|| fs::read(dir.join(format!("{name}.html"))).ok()).flatten()
}
