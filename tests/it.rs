//! The integration tests: one binary, real processes, nothing left behind.

// The lint's own allowance for tests does not reach the functions that they share.
#![allow(clippy::unwrap_used)]

#[path = "it/callback.rs"]
mod callback;
#[path = "it/cancel.rs"]
mod cancel;
#[path = "it/conformance.rs"]
mod conformance;
#[path = "it/execute.rs"]
mod execute;
#[path = "it/guard.rs"]
mod guard;
#[path = "it/ledger.rs"]
mod ledger;
#[path = "it/lives.rs"]
mod lives;
#[path = "it/process/mod.rs"]
mod process;
#[path = "it/refusals.rs"]
mod refusals;
#[path = "it/service.rs"]
mod service;
#[path = "it/state.rs"]
mod state;
#[path = "it/stub.rs"]
mod stub;
#[path = "it/tidy.rs"]
mod tidy;
#[path = "it/timeouts.rs"]
mod timeouts;
#[path = "it/watch.rs"]
mod watch;
#[path = "it/watchers.rs"]
mod watchers;
#[path = "it/wire.rs"]
mod wire;
