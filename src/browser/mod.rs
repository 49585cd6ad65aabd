//! Everything that knows browsers: where they are, how they are started, and what their debugging protocol says.
//!
//! ```text
//!   Machine --discover--> Browser --command--> argv + environment      (the process layer starts it)
//!
//!   bytes from the pipe --Session::receive--> facts     (the runner applies them to the job)
//!                                        \--> commands  (the process layer writes them)
//!                                        \--> saved     (kept beside the job, for an adoption)
//! ```
//!
//! Nothing here starts a process, opens a socket, reads a clock or waits: a test needs no browser.
//! The layer deliberately knows no job status: it says what the page did, never what that means.

pub mod cdp;
pub mod command;
pub mod discover;
pub mod facts;
pub mod lock;
pub mod name;
pub mod profile;
pub mod report;
pub mod said;
pub mod session;
pub mod shared;
pub mod version;
pub mod wrapper;

use std::path::PathBuf;

pub use command::{Command, LaunchPlan, command};
pub use discover::{ByHand, Found, LocalMachine, Machine, Problem, discover};
pub use facts::{Dialog, DialogKind, Download, DownloadFailure, Fact, PageSample};
pub use name::Family;
pub use report::{Report, ReportStatus};
pub use said::{Level, Said, Voice};
pub use session::capture::{Answer, Area, Encoding, NoAnswer, Question};
pub use session::{DownloadPlan, PagePlan, Saved, Session, Step};
pub use shared::SharedBrowser;

/// A browser that this machine can start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Browser {
    /// What callers ask for: the family's name, or the name given by hand.
    pub name: String,
    /// What can be learned from it.
    pub kind: Kind,
    /// The real executable, never a wrapper script; its path is UTF-8.
    pub binary: PathBuf,
    /// The installed version where it can be read without running the browser.
    pub version: Option<String>,
    /// Whose switches it understands.
    pub family: Family,
}

/// What can be learned from a browser while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Speaks the debugging protocol over a pipe: every page fact.
    Chromium,
    /// Only its process is watched: exit, callbacks and deadlines.
    ExitOnly,
}
