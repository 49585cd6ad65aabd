//! The integration tests, in one binary.

#[path = "it/conformance.rs"]
mod conformance;
#[path = "it/ledger.rs"]
mod ledger;
#[path = "it/lives.rs"]
mod lives;
