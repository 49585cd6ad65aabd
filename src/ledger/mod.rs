//! The only place that remembers: changes are appended here and read back.
//!
//! ```text
//!   append ---> one writer ---> commit ---> the job's log grows, its doorbell rings ---> the answer
//!                                                |
//!                            watchers, each with an index into the log
//! ```
//!
//! Invariants, each of them a rule of the conformance suite that every ledger passes:
//! * A change is answered, seen and rung for only after it is durable.
//! * A job's revisions are appended one by one; of two that expect the same revision, one is told of the conflict.
//! * An event is in a job at most once, and a request id names at most one job.
//! * The writer grows the logs, never the caller, so a caller that vanishes strands nobody.
//! * The tail holds every change of every job in the order of the commits.
//!
//! What this module does not know: what a job does, how a change came to be, who watches.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use tokio::sync::watch;
use uuid::Uuid;

use crate::job::{EventId, Job, TaskId, WallTime};

mod embedded;
mod filter;
mod log;
mod recent;
mod shelf;

pub use embedded::{EmbeddedLedger, Inspected, OpenError};
pub use filter::{JobFilter, ListOrder, ListQuery};
pub use log::JobLog;

/// What a ledger will answer.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Remembers jobs. Every method may be dropped at any point; an append that was handed over happens all the same.
pub trait Ledger: Send + Sync + 'static {
    /// Made with the store, never changed: tells one store from another.
    fn id(&self) -> LedgerId;

    /// Appends a change, and answers when it is durable or was refused.
    ///
    /// # Panics
    /// If the job's revision does not follow the expected one, or a request key comes with a later revision.
    fn append(&self, append: Append) -> Answer<'_, Appended>;

    /// The job at its latest revision; none when there is no such job.
    fn latest(&self, id: TaskId) -> Answer<'_, Result<Option<Arc<Job>>, ReadError>>;

    /// The changes of a job after a revision, in order; all of them after revision 0.
    fn history(&self, id: TaskId, after_revision: u64) -> Answer<'_, Result<Vec<Arc<Job>>, ReadError>>;

    /// The job's log, which grows while anybody holds it; none when there is no such job.
    fn open(&self, id: TaskId) -> Answer<'_, Result<Option<Arc<JobLog>>, ReadError>>;

    /// The change that an event made; none when it made none. Settles an [`Appended::Unknown`]: it is looked for
    /// only after every append that was handed over before has been decided.
    fn find_event(&self, id: TaskId, event: EventId) -> Answer<'_, Result<Option<Arc<Job>>, ReadError>>;

    /// The job that was made under a request id, at its latest revision, with the hash of that request.
    fn find_request(&self, request_id: Uuid) -> Answer<'_, Result<Option<Requested>, ReadError>>;

    /// The jobs that something can still happen to, oldest first: what a restart must look after.
    fn unsettled(&self) -> Answer<'_, Result<Vec<Arc<Job>>, ReadError>>;

    /// The jobs that are asked for, each at its latest revision, in the order that is asked for.
    fn list(&self, query: ListQuery) -> Answer<'_, Result<Vec<Arc<Job>>, ReadError>>;

    /// The jobs that are unsettled, or finished then or later, as they stood at one position: the tail after it tells
    /// what has become of them since, without gap or repetition.
    fn snapshot(
        &self,
        filter: Arc<JobFilter>,
        finished_since: Option<WallTime>,
    ) -> Answer<'_, Result<Snapshot, ReadError>>;

    /// The changes at these positions, in this order, without those of jobs that have been forgotten.
    fn changes_at(&self, positions: Vec<Position>) -> Answer<'_, Result<Vec<Arc<Job>>, ReadError>>;

    /// What was committed after a position, in the order of the commits, at most `limit` entries. An entry is there
    /// before any bell rings for it, and whoever has been given one is not ahead with it.
    fn tail(&self, after: Position, limit: usize) -> Answer<'_, Result<Vec<(Position, TailEntry)>, ReadError>>;

    /// The tail's doorbell: the position of the latest commit.
    fn tail_bell(&self) -> watch::Receiver<Position>;

    /// Whether the ledger takes appends, as of the latest attempt.
    fn health(&self) -> watch::Receiver<Health>;

    /// Tries whether appends would be taken, and notes it as the health. For when the latest attempt was refused: a
    /// disk that has room again says so to nobody.
    fn prove(&self) -> Answer<'_, Result<(), Fault>>;

    /// Forgets settled jobs that have expired, and the ones that expire first while there are more than `jobs_max`.
    fn purge(&self, now: WallTime, jobs_max: u64) -> Answer<'_, Result<Purged, Fault>>;

    /// Decides what was handed over, takes no more, and lets the store go.
    fn close(&self) -> Answer<'_, ()>;
}

/// Names a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LedgerId([u8; 16]);

impl LedgerId {
    /// Takes the bytes that were made with the store.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for tokens and paths.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A place in the tail: the number of a commit's entry, counted over all jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// Before the first entry.
    pub const START: Self = Self(0);

    /// A position by its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// The hash of a normalised request without its id.
pub type RequestHash = [u8; 32];

/// A job at its latest revision, and the hash of the request that made it.
pub type Requested = (Arc<Job>, RequestHash);

/// What tells a repeated request from a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// The caller's id of the request.
    pub id: Uuid,
    /// What was asked.
    pub hash: RequestHash,
}

/// A change to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// The job after the change.
    pub job: Arc<Job>,
    /// The event that changed it.
    pub event_id: EventId,
    /// The revision that it was applied to; 0 when the job is new.
    pub expected_revision: u64,
    /// The request that made the job; only with its first revision.
    pub request_key: Option<RequestKey>,
}

/// What became of an append.
#[derive(Clone, Debug)]
pub enum Appended {
    /// It is durable; the job's log holds it already.
    Committed(Arc<JobLog>),
    /// This event is in the job already. The job at its latest revision.
    Known(Arc<Job>),
    /// The job is at another revision than expected: its latest, none when there is no such job.
    Conflict(Option<Arc<Job>>),
    /// Its request id has made a job already.
    RequestKnown {
        /// That job at its latest revision.
        job: Arc<Job>,
        /// What was asked then.
        hash: RequestHash,
    },
    /// It may or may not be durable: ask [`Ledger::find_event`].
    Unknown(Fault),
}

/// Why the store did not do what it was told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Its disk is full; it goes on by itself once there is room.
    #[error("the store's disk is full")]
    Full,
    /// It was closed.
    #[error("the store is closed")]
    Closed,
    /// It failed this time.
    #[error("the store failed: {0}")]
    Failed(String),
    /// It failed in a way after which only opening it anew can tell what is durable.
    #[error("the store can no longer be trusted and must be opened anew: {0}")]
    Broken(String),
}

/// Whether appends are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// The latest attempt to write went well.
    Writable,
    /// The latest attempt met this fault. [`Fault::Broken`] and [`Fault::Closed`] are final.
    Refusing(Fault),
}

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] Fault),
    /// What is stored is not a job.
    #[error("the store holds a damaged record: {0}")]
    Damaged(String),
    /// Entries after this position have been forgotten: begin with a snapshot.
    #[error("position {} is older than the store remembers", .0.number())]
    PositionForgotten(Position),
    /// The store has never got to this position: begin with a snapshot.
    #[error("position {} lies ahead of the store", .0.number())]
    PositionAhead(Position),
}

impl From<ReadError> for Fault {
    /// For those who only need to know that the store did not do it.
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(fault) => fault,
            ReadError::Damaged(_) | ReadError::PositionForgotten(_) | ReadError::PositionAhead(_) => {
                Self::Failed(error.to_string())
            }
        }
    }
}

/// What happened at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TailEntry {
    /// A job changed to this.
    Change(Arc<Job>),
    /// A job was forgotten.
    Removed(TaskId),
}

/// Jobs as they stood at one position of the tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// That position. The bell has rung for it.
    pub position: Position,
    /// Where each job's latest change then is, in the order of the jobs' ids. For [`Ledger::changes_at`], so that the
    /// bodies need not all be in memory at once.
    pub heads: Vec<Position>,
}

/// What a purge did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// The jobs that are forgotten.
    pub removed: Vec<TaskId>,
    /// When the next job expires; none when none will by itself.
    pub next_expiry: Option<WallTime>,
}
