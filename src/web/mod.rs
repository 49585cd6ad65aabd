//! The HTTP edge: who gets in at all, decided before anything is read, and what is served beside gRPC.

mod guard;
mod json;
mod route;

use axum::{Router, middleware};

pub use guard::{Guard, GuardLayer, GuardParts};

/// Puts the routes that are not gRPC beside those that are.
pub fn site(calls: Router) -> Router {
    calls.layer(middleware::from_fn(json::entrance))
}
