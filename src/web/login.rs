//! `POST /session`: a one-time code from the page's link in, a session's token out.

use std::{sync::Arc, time::SystemTime};

use axum::{
    Extension, Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use http::{StatusCode, header};
use serde::Deserialize;

use super::session::{CodeError, Nonce, Sessions};
use crate::{
    api::{Refusal, RequestId, Speech},
    job::WallTime,
};

/// A code and the braces around it come to a fifth of this.
const BODY_BYTES_MAX: usize = 512;

/// What the page sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    code: String,
}

/// The route.
pub(super) fn route(sessions: Arc<Sessions>) -> Router {
    Router::new().route("/session", post(login)).with_state(sessions)
}

async fn login(State(sessions): State<Arc<Sessions>>, Extension(id): Extension<RequestId>, body: Body) -> Response {
    match begin(&sessions, body).await {
        Ok(session) => session,
        Err(refusal) => {
            // Everybody may try, so that a word of each try would be a flood; who tried is told why.
            tracing::debug!(reason = refusal.reason, "no session was begun");
            refusal.answer(Speech::Json, &id).map(Body::new)
        }
    }
}

async fn begin(sessions: &Sessions, body: Body) -> Result<Response, Refusal> {
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| MALFORMED)?;
    let Login { code } = serde_json::from_slice(&body).map_err(|_| MALFORMED)?;
    let mut nonce = Nonce::default();
    getrandom::fill(&mut nonce).expect("the system gives random bytes, as it did for the keys");
    let session = sessions.begin(&code, nonce, SystemTime::now().into()).map_err(refusal)?;
    tracing::info!("a session began");
    let answer = serde_json::json!({ "token": session.token, "expires_at": rfc_3339(session.ends_at) });
    Ok(([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response())
}

/// To the second, which is more than a page shows.
fn rfc_3339(time: WallTime) -> String {
    let seconds = i64::try_from(time.micros() / 1_000_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// What is no login at all.
const MALFORMED: Refusal = Refusal {
    status: StatusCode::BAD_REQUEST,
    reason: "BODY_INVALID",
    message: "the body is to be a JSON object with the link's code: {\"code\": \"...\"}",
};

const fn refusal(error: CodeError) -> Refusal {
    let (status, reason, message) = match error {
        CodeError::Invalid => (
            StatusCode::FORBIDDEN,
            "CODE_INVALID",
            "the link is not one of this service's; `comet-task-runner token --link` makes one",
        ),
        CodeError::Used => (
            StatusCode::FORBIDDEN,
            "CODE_USED",
            "the link was used before, and each opens one session; `comet-task-runner token --link` makes another",
        ),
        CodeError::Expired => (
            StatusCode::FORBIDDEN,
            "CODE_EXPIRED",
            "the link is more than ten minutes old, or from before the service's restart; `comet-task-runner token --link` makes another",
        ),
        CodeError::TooMany => (
            StatusCode::TOO_MANY_REQUESTS,
            "CODE_LIMIT",
            "too many sessions were begun in the last ten minutes; wait a while",
        ),
    };
    Refusal { status, reason, message }
}
