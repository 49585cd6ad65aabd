//! The core: what a job is, and what each fact does to it.
//!
//! ```text
//!            accepted
//!               |
//!            CREATED ----------- launch failed ----------> FAILED
//!               |    \---------- cancelled before GO ----> CANCELLED
//!               |     \--------- timed out before GO ----> TIMED_OUT
//!            launched
//!               |
//!            RUNNING --- report, page, rule, exit -------> DONE | FAILED
//!               |
//!        cancel or timeout
//!               |
//!            STOPPING -- the process tree is empty ------> CANCELLED | TIMED_OUT
//!
//!       any of the three --- no longer provably ours ----> LOST
//! ```
//!
//! [`Job::apply`] is the only door through which a job changes. It is pure: no
//! clock, no I/O, no async; the time comes in as an argument.
//!
//! Invariants, each of them a property test:
//! * A terminal status is final.
//! * Revisions count 1, 2, 3 … without holes.
//! * Timestamps never run backwards within a job.
//! * The first decisive fact gives the status; later facts are kept, each once.
//! * The same event twice changes nothing.
//!
//! What this module does not know: processes, browsers, storage, the wire.

mod apply;
mod capability;
mod event;
mod id;
mod policy;
mod record;
mod spec;
mod status;
mod time;
mod tree_end;
mod url;

pub use apply::{Accepted, Applied, Job, Refusal};
pub use capability::{Capability, Need};
pub use event::{Event, EventId, Fact, LaunchFailure, LostCause};
pub use id::{TaskId, TaskIdError};
pub use policy::{Deadline, Timeout};
pub use record::{
    Answer, Cancel, Download, DownloadEnd, Exit, ExitStatus, FILES_MAX, FileKind, JobFile, Page, PageEnd, Process,
    REPORT_MESSAGE_BYTES_MAX, REPORT_RESULT_BYTES_MAX, Record, Report, ReportStatus,
};
pub use spec::{AfterFinish, CallbackDelivery, Completion, DialogPolicy, Isolation, Profile, Spec, Tier, Timeouts};
pub use status::{Phase, Reason, Status};
pub use time::{BootTime, Now, WallTime};
pub use tree_end::{MemoryPeak, PeakSource, Resources, StepTaken, StopStep, TreeEnd};
pub use url::{TaskUrl, UrlError};

#[cfg(test)]
pub(crate) mod tests;
