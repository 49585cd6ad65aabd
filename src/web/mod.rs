//! The HTTP edge: who gets in at all, decided before anything is read, and what is served beside gRPC.

mod callback;
mod edge;
mod guard;
mod host;
mod json;
mod legacy;
mod login;
mod metrics;
mod page;
mod probes;
mod refusal;
mod route;
mod session;
mod tls;
mod tokens;
mod webhook;

use std::sync::Arc;

use axum::{Router, middleware};

use crate::runner::Runner;

pub use edge::{GuardLayer, Guarded};
pub use guard::{Guard, GuardParts};
pub use host::{HostName, HostNameError};
pub use session::{CODE_LIFE, CodeError, Nonce, SESSION_LIFE, Session, Sessions, code};
pub use tls::{Renewed, Tls, TlsError};
pub use tokens::{
    Exchanged, NewToken, Reader, TokenEntry, TokenHash, Tokens, TokensError, add_token, read_tokens, remove_token,
    token_hash,
};
pub use webhook::{Secret, SecretError, Webhook, WebhookError};

/// What the routes beside gRPC need.
pub struct SiteParts {
    /// Knows from where the pages of a job may report.
    pub runner: Runner,
    /// Logs in.
    pub sessions: Arc<Sessions>,
    /// Whether the old routes are served.
    pub legacy: bool,
}

/// Puts the routes that are not gRPC beside those that are.
pub fn site(calls: Router, parts: SiteParts) -> Router {
    let inside = json::Calls::new(calls.clone());
    let reports = callback::Reports { calls: inside.clone(), runner: parts.runner.clone(), legacy: parts.legacy };
    let site = calls
        .layer(middleware::from_fn(json::entrance))
        .route(callback::PATH, callback::route(reports))
        .merge(page::routes())
        .merge(login::route(parts.sessions))
        .merge(probes::routes(parts.runner.clone()))
        .merge(metrics::routes(parts.runner));
    if parts.legacy { site.merge(legacy::routes(inside)) } else { site }
}
