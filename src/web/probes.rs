//! Whether the service lives, and whether it takes tasks: for supervisors and load balancers, without a token.

use std::time::Duration;

use axum::{Router, body::Body, routing::get};
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::{
    ledger::Health,
    runner::{Problem, Runner},
};

/// How long a store may take to say whether it goes on: a supervisor asks again before it gives up.
const PROVE_MAX: Duration = Duration::from_millis(500);

/// Whether tasks are taken.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    /// What stands in the way of tasks, or of some of them.
    problems: Vec<Problem>,
}

/// Beside the calls.
pub(super) fn routes(runner: Runner) -> Router {
    Router::new()
        .route("/healthz", get(async || answer(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".to_owned())))
        .route("/readyz", get(async move || ready(&runner).await))
}

async fn ready(runner: &Runner) -> Response<Body> {
    look_again(runner).await;
    let about = runner.about();
    let readiness = Readiness { ready: about.ready, problems: about.problems };
    let text = serde_json::to_string(&readiness).expect("words have no part that JSON cannot say");
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(status, "application/json", text + "\n")
}

/// What is known of a store that refused is as old as the latest task. Without tasks, which an unready service does not
/// get, it would stay so; those who ask meanwhile share one commit.
async fn look_again(runner: &Runner) {
    let refusing = matches!(*runner.ledger().health().borrow(), Health::Refusing(_));
    if refusing {
        // A store that does not answer is one that does not go on.
        drop(tokio::time::timeout(PROVE_MAX, runner.ledger().prove()).await);
    }
}

fn answer(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
