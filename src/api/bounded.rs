//! A request's body that ends in an error when it grows too long, or takes too long.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Limited;
use tokio::time::{Sleep, sleep};

use super::Body;

/// Longest body taken: one message of the largest size that is decoded, in base64, with room to spare.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Longest time for all of it: 70 kB a second at the largest, and an end for those who never send theirs.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Why a body was cut.
#[derive(Debug, thiserror::Error)]
enum CutError {
    #[error("the request's body took longer than {0:?}")]
    TooSlow(Duration),
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

struct Bounded {
    body: Limited<Body>,
    time: Duration,
    too_slow: Pin<Box<Sleep>>,
}

/// Bounds a body in length and time. Not for streams of a caller's messages, which go on as long as the caller likes.
#[must_use]
pub fn bounded(body: Body) -> Body {
    if body.is_end_stream() { body } else { within(body, BODY_WITHIN) }
}

fn within(body: Body, time: Duration) -> Body {
    Body::new(Bounded { body: Limited::new(body, BODY_BYTES_MAX), time, too_slow: Box::pin(sleep(time)) })
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = CutError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(CutError::Failed)));
        }
        ready!(self.too_slow.as_mut().poll(cx));
        Poll::Ready(Some(Err(CutError::TooSlow(self.time))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_body_is_taken_up_to_its_bound() {
        let whole = bounded(Body::new(http_body_util::Full::new(Bytes::from(vec![1; BODY_BYTES_MAX]))));
        assert_eq!(whole.collect().await.unwrap().to_bytes().len(), BODY_BYTES_MAX);
        let longer = bounded(Body::new(http_body_util::Full::new(Bytes::from(vec![1; BODY_BYTES_MAX + 1]))));
        assert!(longer.collect().await.is_err());
    }

    #[tokio::test]
    async fn a_body_that_never_comes_ends_in_time() {
        let never = Body::new(http_body_util::StreamBody::new(tokio_stream::pending::<
            Result<Frame<Bytes>, std::convert::Infallible>,
        >()));
        let error = within(never, Duration::from_millis(1)).collect().await.unwrap_err();
        assert!(error.to_string().contains("longer than 1ms"), "{error}");
    }
}
