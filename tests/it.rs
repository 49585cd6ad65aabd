//! The integration tests: one binary, real processes, nothing left behind.

// The lint's own allowance for tests does not reach the functions that they share.
#![allow(clippy::unwrap_used)]

#[path = "it/conformance.rs"]
mod conformance;
#[path = "it/execute.rs"]
mod execute;
#[path = "it/ledger.rs"]
mod ledger;
#[path = "it/lives.rs"]
mod lives;
#[path = "it/process/mod.rs"]
mod process;
#[path = "it/service.rs"]
mod service;
#[path = "it/stub.rs"]
mod stub;
