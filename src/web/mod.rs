//! The HTTP edge: who gets in at all, decided before anything is read, and what is served beside gRPC.

mod callback;
mod guard;
mod json;
mod legacy;
mod route;

use axum::{Router, middleware};

use crate::runner::Runner;

pub use guard::{Guard, GuardLayer, GuardParts};

/// What the routes beside gRPC need.
pub struct SiteParts {
    /// Knows from where the pages of a job may report.
    pub runner: Runner,
    /// Whether the old routes are served.
    pub legacy: bool,
}

/// Puts the routes that are not gRPC beside those that are.
pub fn site(calls: Router, parts: SiteParts) -> Router {
    let inside = json::Calls::new(calls.clone());
    let reports = callback::Reports { calls: inside.clone(), runner: parts.runner, legacy: parts.legacy };
    let site = calls.layer(middleware::from_fn(json::entrance)).route(callback::PATH, callback::route(reports));
    if parts.legacy { site.merge(legacy::routes(inside)) } else { site }
}
