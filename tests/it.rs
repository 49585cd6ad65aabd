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
#[path = "it/display.rs"]
mod display;
#[path = "it/history.rs"]
mod history;
#[path = "it/nothing_left.rs"]
mod nothing_left;
#[path = "it/pages.rs"]
mod pages;
#[path = "it/processes.rs"]
mod processes;
#[path = "it/real.rs"]
mod real;
#[path = "it/real_ends.rs"]
mod real_ends;
#[path = "it/real_timeouts.rs"]
mod real_timeouts;
#[path = "it/real_windows.rs"]
mod real_windows;
#[path = "it/canary.rs"]
mod canary;
#[path = "it/sandbox.rs"]
mod sandbox;
