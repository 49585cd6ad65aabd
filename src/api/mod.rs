//! Everything that knows gRPC: the contract, its service, and what each error is called on the wire.
//!
//! Callers are checked before they get here, by the guard in `web`; it marks those who showed a token with what that lets
//! them do.

mod asked;
mod bounded;
mod caller;
mod convert;
mod failure;
mod files;
mod fingerprint;
pub mod json;
mod list;
mod log;
mod meters;
mod profiles;
mod refusal;
mod request;
mod request_id;
mod resume;
mod scope;
mod screenshot;
mod serve;
mod service;
mod status;
mod told;
mod trace;
mod tree_end;
mod watch;
mod watch_jobs;
mod windows;

pub use bounded::bounded;
pub use caller::Caller;
pub use failure::Failure;
pub use refusal::{Refusal, Speech};
pub use request_id::{REQUEST_ID, RequestId};
pub use scope::{Scope, ScopeError};
pub use serve::{Body, Calls, HEADER_BYTES_MAX, REQUEST_BYTES_MAX, Serve, calls, is_open, serve};
pub use status::TOKEN_MISSING;

/// The contract, as generated from `proto/`; its comments are the documentation.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::clone_on_ref_ptr, unused_qualifications)]
pub mod v1 {
    tonic::include_proto!("comet.taskrunner.v1");
}

/// The contract's descriptors with their comments, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
