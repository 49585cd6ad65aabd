//! What every answer passes on its way out: a refusal gets the request's id and a line in the log, and a stream ends
//! with its caller's right to call.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use axum::{body::Body, extract::Request, middleware::Next, response::Response};
use bytes::Bytes;
use futures_util::future::pending;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tracing::Span;

use super::{Caller, RequestId, is_open, json::Method, status};
use crate::job::WallTime;

/// Longest sleep until a token ends: a machine that is suspended does not count it, and after it has woken up no stream
/// is to go on for longer than that.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Completes when the right to call is over.
type Over = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Lets a call through, and tells of its end.
pub(super) async fn told(request: Request, next: Next) -> Response {
    let about = About {
        id: request.extensions().get::<RequestId>().cloned().unwrap_or_default(),
        call: request.uri().path().to_owned(),
        known: request.extensions().get::<Caller>().is_some(),
        span: Span::current(),
    };
    let over = request.extensions().get::<Caller>().and_then(over);
    // A call with one answer is answered: it may have done what it was asked for.
    let over = over.filter(|_| Method::at(&about.call).is_some_and(|method| method.is_stream()));
    let mut answer = status::signed(next.run(request).await);
    about.tell(answer.headers_mut());
    answer.map(|body| Body::new(Told { body, about, over, ended: false }))
}

/// None for those whose right does not end while the service runs.
fn over(caller: &Caller) -> Option<Over> {
    let Caller { ends_at, revoked, .. } = caller.clone();
    if ends_at.is_none() && revoked.is_none() {
        return None;
    }
    Some(Box::pin(async move {
        let revoked = async {
            match revoked {
                Some(revoked) => revoked.cancelled_owned().await,
                None => pending().await,
            }
        };
        let ends = async {
            match ends_at {
                Some(end) => wait_until(end, SLEEP_MAX, || SystemTime::now().into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = revoked => {}
            () = ends => {}
        }
    }))
}

/// Until the clock on the wall, which is looked at once per `sleep_max`, says so.
async fn wait_until(end: WallTime, sleep_max: Duration, now: impl Fn() -> WallTime) {
    loop {
        let left = Duration::from_micros(end.micros().saturating_sub(now().micros()));
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(sleep_max)).await;
    }
}

/// What is said of a call in the log.
struct About {
    id: RequestId,
    call: String,
    /// Its caller showed a token.
    known: bool,
    /// Carries the id too, for whatever is logged on the way.
    span: Span,
}

impl About {
    /// Signs a refusal in these headers or trailers with the id, and logs it.
    fn tell(&self, headers: &mut HeaderMap) {
        let Some(refusal) = status::refusal_in(headers) else { return };
        self.log(&refusal);
        status::with_request_id(&refusal, self.id.as_str())
            .add_header(headers)
            .expect("what was read from headers goes into headers");
    }

    /// No message: it may quote what the caller sent.
    fn log(&self, refusal: &Status) {
        let _in = self.span.enter();
        let reason = refusal.get_details_error_info().map(|info| info.reason).unwrap_or_default();
        let (call, code) = (self.call.as_str(), refusal.code());
        match code {
            Code::Internal | Code::Unknown | Code::DataLoss => tracing::warn!(call, ?code, reason, "a call failed"),
            // Everybody may try, so that a line for each would be a flood; and tools ask reflection for what is not there.
            _ if !self.known || is_open(call) => tracing::debug!(call, ?code, reason, "refused a call"),
            _ => tracing::info!(call, ?code, reason, "refused a call"),
        }
    }
}

/// A body whose trailers are told, and that ends with its caller's right.
struct Told {
    body: Body,
    about: About,
    over: Option<Over>,
    ended: bool,
}

impl HttpBody for Told {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let told = self.get_mut();
        if told.ended {
            return Poll::Ready(None);
        }
        // Before the next message: a stream that always has one ends too.
        if told.over.as_mut().is_some_and(|over| over.as_mut().poll(cx).is_ready()) {
            told.ended = true;
            // What is behind it ends now: at the next frame that the caller has room for, however much there would be.
            told.body = Body::empty();
            let mut trailers = HeaderMap::new();
            status::token_over().add_header(&mut trailers).expect("our own words make headers");
            told.about.tell(&mut trailers);
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        let frame = ready!(Pin::new(&mut told.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            let mut frame = frame?;
            if let Some(trailers) = frame.trailers_mut() {
                told.about.tell(trailers);
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use http_body_util::{BodyExt, StreamBody};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::api::Scope;

    fn told(body: Body, over: Option<Over>) -> Told {
        let about = About { id: RequestId::new(), call: "/a".to_owned(), known: true, span: Span::none() };
        Told { body, about, over, ended: false }
    }

    /// A stream that always has another message.
    fn endless() -> Body {
        let data = || Some((Ok::<_, axum::Error>(Frame::data(Bytes::from_static(b"x"))), ()));
        Body::new(StreamBody::new(Box::pin(futures_util::stream::unfold((), move |()| async move { data() }))))
    }

    #[tokio::test]
    async fn a_stream_that_always_has_more_ends_with_the_right_to_call() {
        let revoked = CancellationToken::new();
        let caller = Caller { scope: Scope::Observe, ends_at: None, revoked: Some(revoked.clone()) };
        let mut body = told(endless(), over(&caller));
        assert!(body.frame().await.unwrap().unwrap().is_data());
        revoked.cancel();
        let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
        let status = Status::from_header_map(&trailers).unwrap();
        assert_eq!(status.code(), Code::Unauthenticated);
        assert_eq!(status.get_details_error_info().unwrap().reason, "TOKEN_INVALID");
        assert_eq!(status.get_details_request_info().unwrap().request_id, body.about.id.as_str());
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_stream_ends_when_its_token_expires() {
        let life = Duration::from_millis(200);
        let (begun, end) = (Instant::now(), WallTime::from(SystemTime::now()).saturating_add(life));
        let caller = Caller { scope: Scope::Observe, ends_at: Some(end), revoked: None };
        let silent = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, axum::Error>>());
        let mut body = told(Body::new(silent), over(&caller));
        let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.expect("it ends soon");
        assert!(frame.unwrap().unwrap().is_trailers());
        assert!(begun.elapsed() >= life / 2, "it went on until then: {:?}", begun.elapsed());
        assert!(over(&Caller::lasting(Scope::Admin)).is_none(), "nothing is waited for");
    }

    #[tokio::test]
    async fn a_clock_that_went_on_while_the_machine_slept_is_looked_at_again() {
        const HOUR_MICROS: u64 = 3_600_000_000;
        let looks = std::sync::atomic::AtomicU64::new(0);
        let now = || WallTime::from_micros(looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) * HOUR_MICROS);
        let waited = wait_until(WallTime::from_micros(2 * HOUR_MICROS), Duration::from_millis(10), now);
        tokio::time::timeout(Duration::from_secs(20), waited).await.expect("no hour is slept through");
        assert_eq!(looks.into_inner(), 3);
    }

    #[test]
    fn a_refusal_keeps_its_details_and_what_went_well_is_left_alone() {
        let body = told(Body::empty(), None);
        let mut headers = HeaderMap::new();
        status::draining().add_header(&mut headers).unwrap();
        body.about.tell(&mut headers);
        let status = Status::from_header_map(&headers).unwrap();
        assert_eq!(status.get_details_error_info().unwrap().reason, "DRAINING");
        assert!(status.get_details_retry_info().is_some_and(|retry| retry.retry_delay.is_some()));
        assert_eq!(status.get_details_request_info().unwrap().request_id, body.about.id.as_str());

        let mut well = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let before = well.clone();
        body.about.tell(&mut well);
        assert_eq!(well, before);
    }
}
