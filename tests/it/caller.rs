//! A caller over plain HTTP/1.1, as curl and web pages are: one connection, every header its own.

use std::{future::poll_fn, pin::Pin};

use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Body as _, Bytes, Incoming},
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, task::JoinHandle};

use super::service::{SOON, Service};

/// A connection to a service. Dropped, it is cut.
pub(crate) struct Caller {
    host: String,
    requests: SendRequest<Full<Bytes>>,
    connection: JoinHandle<()>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The status, the code and the reason of a refusal.
    pub(crate) fn refusal(&self) -> (u16, String, String) {
        let json = self.json();
        let reason = json["details"].as_array().unwrap().iter().find_map(|detail| detail["reason"].as_str());
        let code = json["code"].as_str().unwrap().to_owned();
        (self.status.as_u16(), code, reason.unwrap_or_default().to_owned())
    }
}

/// Where a call of the contract is made.
pub(crate) fn path(call: &str) -> String {
    format!("/comet.taskrunner.v1.TaskRunner/{call}")
}

impl Caller {
    pub(crate) async fn of(service: &Service) -> Self {
        let host = service.address.split_once("://").unwrap().1.to_owned();
        let stream = TcpStream::connect(&host).await.unwrap();
        let (requests, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        // A cut connection is what some tests are about.
        let connection = tokio::spawn(async { drop(connection.await) });
        Self { host, requests, connection }
    }

    /// Sends one request and gives the answer as it begins.
    pub(crate) async fn begin(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Incoming> {
        let mut request = Request::builder().method(method).uri(path).header("host", &self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let answered = async {
            self.requests.ready().await.unwrap();
            self.requests.send_request(request).await.unwrap()
        };
        tokio::time::timeout(SOON, answered).await.expect("an answer begins soon")
    }

    /// Sends one request and reads the answer.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let (head, body) = self.begin(method, path, headers, body).await.into_parts();
        let body = tokio::time::timeout(SOON, body.collect()).await.expect("an answer ends soon").unwrap();
        let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// Posts JSON without a token.
    pub(crate) async fn post(&mut self, path: &str, json: &Value) -> Answer {
        self.send(Method::POST, path, &[("content-type", "application/json")], json.to_string()).await
    }

    /// Makes a call of the contract with the service's token.
    pub(crate) async fn call(&mut self, service: &Service, call: &str, json: &Value) -> Answer {
        self.send(Method::POST, &path(call), &with_token(&bearer(service)), json.to_string()).await
    }

    /// Makes a call whose answer is a stream of lines.
    pub(crate) async fn watch(mut self, service: &Service, call: &str, json: &Value) -> Lines {
        let headers = bearer(service);
        let answer = self.begin(Method::POST, &path(call), &with_token(&headers), json.to_string()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
        Lines { body: answer.into_body(), read: Vec::new(), _caller: self }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

pub(crate) fn bearer(service: &Service) -> String {
    format!("Bearer {}", service.token())
}

fn with_token(bearer: &str) -> [(&str, &str); 2] {
    [("content-type", "application/json"), ("authorization", bearer)]
}

/// The lines of an answer as they come. Dropped, the connection is cut.
pub(crate) struct Lines {
    body: Incoming,
    read: Vec<u8>,
    _caller: Caller,
}

impl Lines {
    /// The next line; none when the answer is over.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        tokio::time::timeout(SOON, self.next_line()).await.expect("a line comes soon")
    }

    /// The next line that is no reading.
    pub(crate) async fn next_change(&mut self) -> Option<Value> {
        loop {
            match self.next().await {
                Some(line) if line["kind"] == "SAMPLE" => {}
                other => return other,
            }
        }
    }

    async fn next_line(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await;
            let Some(frame) = frame else {
                assert!(self.read.is_empty(), "the last line is whole");
                return None;
            };
            self.read.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
        }
    }
}
