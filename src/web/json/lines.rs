//! A stream of answers as lines of JSON, each sent as soon as its message is there.

use std::convert::Infallible;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use http::{HeaderValue, header};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::time::Instant;

use super::{
    Asked,
    call::{cut, within},
    frame::Frames,
};
use crate::api::{Failure, json::Method};

/// Lines of JSON.
const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// The lines of a stream. Whoever drops them drops the stream: a caller that leaves is noticed where its connection
/// is, with nothing in between to wait for.
pub(super) fn response(method: Method, body: Body, deadline: Option<Instant>, asked: Asked) -> Response {
    let lines = Lines { asked, method, body, frames: Frames::default(), deadline, over: false };
    let lines = unfold(lines, |mut lines| async move {
        let line = lines.next_line().await?;
        Some((Ok::<_, Infallible>(Bytes::from(line + "\n")), lines))
    });
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(header::CONTENT_TYPE, LINES);
    response
}

struct Lines {
    asked: Asked,
    method: Method,
    body: Body,
    frames: Frames,
    deadline: Option<Instant>,
    over: bool,
}

/// How a stream ends.
enum End {
    /// As it should.
    Well,
    /// With a refusal, which is the last line.
    Failed(Failure),
}

impl Lines {
    /// The next line; none after the last.
    async fn next_line(&mut self) -> Option<String> {
        if self.over {
            return None;
        }
        match self.next_message().await {
            Ok(line) => Some(line),
            Err(end) => {
                self.over = true;
                // What is behind it ends now, not when the caller has read everything.
                self.body = Body::empty();
                match end {
                    End::Well => None,
                    End::Failed(failure) => Some(json!({ "error": self.asked.tell(failure).to_json() }).to_string()),
                }
            }
        }
    }

    async fn next_message(&mut self) -> Result<String, End> {
        loop {
            if let Some(message) = self.frames.next_message().map_err(End::Failed)? {
                return self.method.answer(&message).map_err(|error| End::Failed(cut(&error.to_string())));
            }
            let frame = within(self.deadline, self.body.frame()).await.map_err(End::Failed)?;
            let frame = frame.ok_or_else(|| End::Failed(cut("it has no end")))?;
            let frame = frame.map_err(|error| End::Failed(cut(&error.to_string())))?;
            match frame.into_data() {
                Ok(piece) => self.frames.push(&piece),
                Err(frame) => {
                    let failure = frame.trailers_ref().and_then(Failure::read);
                    return Err(failure.map_or(End::Well, End::Failed));
                }
            }
        }
    }
}
