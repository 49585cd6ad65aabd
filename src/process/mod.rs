//! The processes of a job: a launcher that forks shims, shims that are browsers' parents, and the way to speak to them.
//!
//! ```text
//! service --requests--> launcher --fork--> shim --fork, exec--> browser and all it starts
//!    |                                      ^ |
//!    \------------- relay (socket) ---------/ \--exit file--> the next service
//! ```
//!
//! Invariants: nothing is launched before GO, and at most once per job, since `go` is created exclusively. A browser's
//! last message is told before its exit. What was not acknowledged is told again, or written to the exit file. A job's
//! processes are gone when, and only when, its shim has no child left. A pid is never signalled on its number alone.
//!
//! What lives below a shim is a job's process tree; its readings are of the whole tree, never of one process.
//!
//! It knows no browser and nothing of what is said over a browser's pipe, no ledger, and no job: ids and paths are text.

mod birth;
mod cgroup;
mod clock;
mod cpu;
mod descent;
pub mod exit_file;
mod frame;
mod identity;
mod inherited;
mod launch;
mod launcher;
mod machine;
mod memory;
mod message;
mod place;
mod proof;
mod raw;
mod relay;
mod shim;
mod spare;
mod stat;
mod sweep;
mod tree;

pub use cgroup::is_writable as cgroup_is_writable;
pub use clock::{boot_id, boot_now_ns};
pub use identity::{Identity, Nonce, NonceError};
pub use inherited::inherited_sockets;
pub use launch::{LaunchError, Launcher};
pub use launcher::become_launcher_if_asked;
pub use machine::{dev_shm_bytes, host_name, is_root, uses_directory};
pub use message::{
    AwayCause, Empty, ExitStatus, Exited, Go, Hello, Numbered, Order, Output, Refused, Started, Stop, StopStep, Told,
};
pub use place::{Place, PlaceError, RunDirs};
pub use proof::{Proof, StepTaken, Used};
pub use relay::{RelayError, Shim};
pub use spare::SpareMemory;
pub use sweep::sweep;
pub use tree::{ProcessListError, TreeReading, TreeRoot, Trees};
