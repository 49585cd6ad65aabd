//! The HTTP edge: who gets in at all, decided before anything is read, and what is served beside gRPC.

mod guard;
mod metrics;
mod probes;
mod route;

use axum::Router;

pub use guard::{Guard, GuardLayer, GuardParts};

use crate::runner::Runner;

/// Puts the routes that are not gRPC beside those that are.
pub fn site(calls: Router, runner: &Runner) -> Router {
    calls.merge(probes::routes(runner.clone())).merge(metrics::routes(runner.clone()))
}
