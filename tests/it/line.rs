//! A line to a service over either version of HTTP, with or without TLS: every header is the test's own.

use std::sync::Arc;

use http::{HeaderMap, Request, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName},
    },
};

use super::service::SOON;

/// How a line speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Http1,
    H2c,
    H2Tls,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The gRPC status, wherever it stands: headers, trailers, or the last frame of grpc-web.
    pub(crate) fn grpc_status(&self) -> Option<i32> {
        let named = self.headers.get("grpc-status").or(self.trailers.get("grpc-status"));
        let in_body = || {
            let body = self.text();
            let decoded = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, body.trim_end()).ok();
            let text = decoded.map_or(body, |bytes| String::from_utf8_lossy(&bytes).into_owned());
            text.split("grpc-status:").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect())
        };
        let text = named.map(|value| value.to_str().unwrap().to_owned()).or_else(in_body)?;
        text.parse().ok()
    }

    /// The reason of a refusal in JSON; empty in any other answer.
    pub(crate) fn reason(&self) -> String {
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json["details"][0]["reason"].as_str().unwrap_or_default().to_owned()
    }
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// One connection after another: what a server closes is opened again.
pub(crate) struct Line {
    transport: Transport,
    /// `127.0.0.1:PORT`.
    address: String,
    /// What the service's certificate is known by.
    root: Option<CertificateDer<'static>>,
    open: Option<(Sender, JoinHandle<()>)>,
    /// Requests on the open connection.
    sent: usize,
}

/// Requests on one connection: well below the resets that a service takes before it ends one. Each refusal that comes
/// before its request's body can be one.
const SENT_MAX: usize = 500;

impl Line {
    pub(crate) fn new(transport: Transport, address: &str, root: Option<CertificateDer<'static>>) -> Self {
        Self { transport, address: address.to_owned(), root, open: None, sent: 0 }
    }

    /// Sends a request and reads the answer. The URI is a path over HTTP/1, and whole over HTTP/2.
    pub(crate) async fn send(&mut self, request: &Request<Bytes>) -> Reply {
        tokio::time::timeout(SOON, self.exchange(request)).await.expect("an answer comes soon")
    }

    async fn exchange(&mut self, request: &Request<Bytes>) -> Reply {
        if self.sent == SENT_MAX {
            (self.open, self.sent) = (None, 0);
        }
        self.sent += 1;
        // Only what never left is sent again: an effect must not come twice.
        loop {
            let whole = Request::from_parts(request.clone().into_parts().0, Full::new(request.body().clone()));
            let sent = match self.sender().await {
                Sender::Http1(sender) => {
                    if sender.ready().await.is_err() {
                        self.open = None;
                        continue;
                    }
                    sender.try_send_request(whole).await
                }
                Sender::Http2(sender) => {
                    sender.ready().await.unwrap();
                    sender.try_send_request(whole).await
                }
            };
            match sent {
                Ok(response) => return read(response).await,
                Err(mut error) => {
                    let unsent = error.take_message().is_some();
                    assert!(unsent, "{request:?}: {:?}", error.into_error());
                    self.open = None;
                }
            }
        }
    }

    async fn sender(&mut self) -> &mut Sender {
        if self.open.is_none() {
            let tcp = TcpStream::connect(&self.address).await.unwrap();
            tcp.set_nodelay(true).unwrap();
            self.open = Some(match self.transport {
                Transport::Http1 => http1(tcp).await,
                Transport::H2c => http2(tcp).await,
                Transport::H2Tls => http2(shake(tcp, self.root.clone(), &["h2"]).await.unwrap()).await,
            });
        }
        &mut self.open.as_mut().unwrap().0
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some((_, connection)) = &self.open {
            connection.abort();
        }
    }
}

async fn http1(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> (Sender, JoinHandle<()>) {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    // How a connection ends is no test's matter here.
    (Sender::Http1(sender), tokio::spawn(async { drop(connection.await) }))
}

async fn http2(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> (Sender, JoinHandle<()>) {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    (Sender::Http2(sender), tokio::spawn(async { drop(connection.await) }))
}

async fn read(response: http::Response<Incoming>) -> Reply {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    Reply { status: head.status, headers: head.headers, body: body.to_bytes(), trailers }
}

/// Shakes hands, offering these protocols, as a client that trusts this certificate and calls the service "localhost".
pub(crate) async fn shake(
    tcp: TcpStream,
    root: Option<CertificateDer<'static>>,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(root);
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

/// Completes a request's URI for the version of HTTP that it goes by.
pub(crate) fn addressed(transport: Transport, host: &str, path: &str) -> http::request::Builder {
    match transport {
        Transport::Http1 => Request::builder().uri(path).header("host", host),
        Transport::H2c => Request::builder().version(Version::HTTP_2).uri(format!("http://{host}{path}")),
        Transport::H2Tls => Request::builder().version(Version::HTTP_2).uri(format!("https://{host}{path}")),
    }
}
