//! Everything that knows gRPC: the contract, its service, and what each error is called on the wire.
//!
//! Callers are checked before they get here, by the guard in `web`; it marks those who showed the API token.

mod asked;
mod bounded;
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
mod resume;
mod screenshot;
mod serve;
mod service;
mod status;
mod trace;
mod tree_end;
mod watch;
mod watch_jobs;
mod windows;

pub use bounded::bounded;
pub use failure::Failure;
pub use refusal::{Refusal, Speech};
pub use serve::{Body, Calls, HEADER_BYTES_MAX, REQUEST_BYTES_MAX, Serve, calls, is_open, serve};
pub use status::TOKEN_MISSING;

/// The contract, as generated from `proto/`; its comments are the documentation.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::clone_on_ref_ptr, unused_qualifications)]
pub mod v1 {
    tonic::include_proto!("comet.taskrunner.v1");
}

/// The contract's descriptors with their comments, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Who calls, as an extension of the request; absent for those who showed no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody with the API token, or with a session's.
    Api,
}
