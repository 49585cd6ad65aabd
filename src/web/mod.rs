//! The HTTP edge: who gets in at all, decided before anything is read, and what is served beside gRPC.

mod edge;
mod guard;
mod host;
mod json;
mod login;
mod metrics;
mod page;
mod probes;
mod refusal;
mod route;
mod session;
mod tls;

use std::sync::Arc;

use axum::{Router, middleware};

pub use edge::{GuardLayer, Guarded};
pub use guard::{Guard, GuardParts};
pub use host::{HostName, HostNameError};
pub use session::{CODE_LIFE, CodeError, Nonce, SESSION_LIFE, Session, Sessions, code};
pub use tls::{Tls, TlsError};

use crate::runner::Runner;

/// Puts the routes that are not gRPC beside those that are.
pub fn site(calls: Router, sessions: Arc<Sessions>, runner: &Runner) -> Router {
    calls
        .layer(middleware::from_fn(json::entrance))
        .merge(page::routes())
        .merge(login::route(sessions))
        .merge(probes::routes(runner.clone()))
        .merge(metrics::routes(runner.clone()))
}
