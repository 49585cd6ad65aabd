//! Plain HTTP requests, as curl makes them.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use super::service::{SOON, Service};

/// What was answered.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    /// Status line and headers, in small letters.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Asks without a token.
pub(crate) fn get(service: &Service, path: &str) -> Got {
    ask(service, &format!("GET {path}"), "")
}

/// Asks with a token.
pub(crate) fn get_with(service: &Service, path: &str, token: &str) -> Got {
    ask(service, &format!("GET {path}"), &format!("Authorization: Bearer {token}\r\n"))
}

/// Asks with a method and headers of one's own.
pub(crate) fn ask(service: &Service, method_and_path: &str, headers: &str) -> Got {
    let host = service.address.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(stream, "{method_and_path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    let head = head.to_lowercase();
    let body = if head.contains("transfer-encoding: chunked") { joined(body) } else { body.to_owned() };
    Got { status, head, body }
}

fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        body.push_str(&rest[..length]);
        chunks = &rest[length + 2..];
        if length == 0 {
            break;
        }
    }
    body
}
