//! grpc-web over HTTP/1.1 as a page speaks it: one connection per call, frames in the body, the status in the last.

use std::marker::PhantomData;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tonic::{Code, Status};

use super::service::{SOON, Service};

/// The bit of a frame's first byte that marks the trailers.
const TRAILERS: u8 = 0x80;

/// An answer that comes piece by piece. Dropped, its connection is gone, as with a tab that is closed.
pub(crate) struct Stream<M> {
    body: Incoming,
    unread: BytesMut,
    connection: JoinHandle<()>,
    messages: PhantomData<M>,
}

impl<M> Drop for Stream<M> {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Calls `method` of the contract with the API token.
pub(crate) async fn call<M: Message + Default>(
    service: &Service,
    method: &str,
    request: &impl Message,
) -> Result<Stream<M>, Status> {
    let authority = service.address.strip_prefix("http://").unwrap();
    let socket = TcpStream::connect(authority).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
    let connection = tokio::spawn(async move {
        // An error is told to the body's reader too.
        let _ = connection.await;
    });
    let message = request.encode_to_vec();
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&message);
    let request = Request::post(format!("/comet.taskrunner.v1.TaskRunner/{method}"))
        .header("host", authority)
        .header("content-type", "application/grpc-web+proto")
        .header("x-grpc-web", "1")
        .header("authorization", format!("Bearer {}", service.token()))
        .body(Full::new(Bytes::from(frame)))
        .unwrap();
    let answer = timeout(SOON, sender.send_request(request)).await.expect("an answer comes soon").unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    // A call that is refused at once has its status among the headers.
    if let Some(status) = Status::from_header_map(answer.headers()).filter(|status| status.code() != Code::Ok) {
        connection.abort();
        return Err(status);
    }
    Ok(Stream { body: answer.into_body(), unread: BytesMut::new(), connection, messages: PhantomData })
}

impl<M: Message + Default> Stream<M> {
    /// The next message; none after an OK, and the status after any other end.
    pub(crate) async fn next(&mut self) -> Result<Option<M>, Status> {
        loop {
            if let Some((flags, frame)) = self.frame() {
                if flags & TRAILERS == 0 {
                    return Ok(Some(M::decode(frame).unwrap()));
                }
                let status = Status::from_header_map(&trailers(&frame)).expect("the trailers have a status");
                return if status.code() == Code::Ok { Ok(None) } else { Err(status) };
            }
            let piece = timeout(SOON, self.body.frame()).await.expect("a piece comes soon");
            let piece = piece.expect("a stream ends with its trailers").unwrap();
            if let Ok(data) = piece.into_data() {
                self.unread.extend_from_slice(&data);
            }
        }
    }

    /// A frame, once it is there as a whole.
    fn frame(&mut self) -> Option<(u8, Bytes)> {
        let (head, _) = self.unread.split_first_chunk::<5>()?;
        let [flags, len @ ..] = *head;
        let len = usize::try_from(u32::from_be_bytes(len)).unwrap();
        if self.unread.len() < 5 + len {
            return None;
        }
        self.unread.advance(5);
        Some((flags, self.unread.split_to(len).freeze()))
    }
}

fn trailers(text: &[u8]) -> HeaderMap {
    let lines = std::str::from_utf8(text).unwrap().split("\r\n").filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (HeaderName::try_from(name.trim()).unwrap(), HeaderValue::try_from(value.trim()).unwrap())
        })
        .collect()
}
