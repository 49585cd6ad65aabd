//! The integration tests, in one binary.

#[path = "it/conformance/mod.rs"]
mod conformance;
#[path = "it/ledger.rs"]
mod ledger;
#[path = "it/ledger_process.rs"]
mod ledger_process;
#[path = "it/lives.rs"]
mod lives;
