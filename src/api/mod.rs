//! Everything that knows gRPC.

/// The contract, as generated from `proto/`; its comments are the documentation.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, unused_qualifications)]
pub mod v1 {
    tonic::include_proto!("comet.taskrunner.v1");
}

/// The contract's descriptors with their comments, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
