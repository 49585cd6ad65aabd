//! The ledger of one machine: an SQLite file with one writer and a few readers.
//!
//! What waits for the writer is committed together, so a busy service pays for one sync where a quiet one pays for
//! one each. Reads run beside it on their own connections; a job whose log is in memory is read from there.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use self::{
    append::{AppendWork, FindEventWork},
    prove::ProveWork,
    purge::{PurgeWork, REMOVED_MAX},
    read::Readers,
    writer::{Memory, Meters, QUEUE_LEN_MAX, Work, Writer},
};
use super::{
    Answer, Append, Appended, Fault, Health, JobFilter, JobLog, Ledger, LedgerId, ListQuery, Position, Purged,
    ReadError, Requested, Snapshot, TailEntry,
    recent::{Answered, Recent},
    shelf::Shelf,
};
use crate::job::{EventId, Job, TaskId, WallTime};

mod append;
mod fault;
mod inspect;
mod list;
mod prove;
mod purge;
mod read;
mod schema;
mod writer;

pub use inspect::Inspected;
pub use schema::OpenError;

/// A ledger in a file.
pub struct EmbeddedLedger {
    id: LedgerId,
    memory: Arc<Memory>,
    readers: Arc<Readers>,
    /// None once closed.
    queue: Mutex<Option<mpsc::Sender<Box<dyn Work>>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    tail: watch::Receiver<Position>,
    health: watch::Receiver<Health>,
}

impl EmbeddedLedger {
    /// Opens the store at a path, or makes it there; the directory must exist. Blocks for as long as that takes.
    ///
    /// # Errors
    /// Says what is wrong with the file, and what to do about it. The file is left as it was.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let opened = schema::open(path)?;
        let memory = Arc::new(Memory { shelf: Arc::new(Shelf::default()), recent: Recent::new(opened.position) });
        let (tail_bell, tail) = watch::channel(opened.position);
        let (health_bell, health) = watch::channel(Health::Writable);
        let (queue, waiting) = mpsc::channel(QUEUE_LEN_MAX);
        let writer = Writer {
            connection: opened.connection,
            memory: Arc::clone(&memory),
            tail: tail_bell,
            health: health_bell,
            meters: Meters::new(),
        };
        let thread = thread::Builder::new()
            .name("ledger-writer".to_owned())
            .spawn(move || writer.run(waiting))
            .map_err(|source| OpenError::File { path: path.to_owned(), source })?;
        Ok(Self {
            id: opened.id,
            memory,
            readers: Readers::new(path),
            queue: Mutex::new(Some(queue)),
            writer: Mutex::new(Some(thread)),
            tail,
            health,
        })
    }

    /// Looks at the store at a path without touching it, also while a service uses it. Blocks while all of it is read.
    ///
    /// # Errors
    /// Says what is wrong with the file, and what to do about it.
    pub fn inspect(path: &Path) -> Result<Inspected, OpenError> {
        inspect::inspect(path)
    }

    /// Hands work to the writer and waits for its answer.
    async fn ask<T>(&self, work: impl FnOnce(oneshot::Sender<T>) -> Box<dyn Work> + Send) -> Result<T, Fault> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (answer, answered) = oneshot::channel();
        queue.ok_or(Fault::Closed)?.send(work(answer)).await.map_err(|_unsent| Fault::Closed)?;
        answered.await.map_err(|_dropped| Fault::Broken("the writer is gone".to_owned()))
    }

    /// Waits until the bell has rung for a position: a commit can be read a moment before.
    async fn rung(&self, position: Position) -> Result<(), Fault> {
        let (mut tail, mut health) = (self.tail.clone(), self.health.clone());
        let refusing = health.wait_for(|health| match health {
            Health::Refusing(Fault::Broken(_) | Fault::Closed) => true,
            Health::Refusing(Fault::Full | Fault::Failed(_)) | Health::Writable => false,
        });
        tokio::select! {
            biased;
            rung = tail.wait_for(|rung| *rung >= position) => match rung {
                Ok(_) => Ok(()),
                Err(_gone) => Err(Fault::Closed),
            },
            // Then it never will.
            _ = refusing => Err(Fault::Broken("a commit was not shown".to_owned())),
        }
    }

    async fn purge_step(&self, now: WallTime, excess: u64) -> Result<Purged, Fault> {
        self.ask(|answer| Box::new(PurgeWork::new(now, excess, answer))).await?
    }
}

impl Ledger for EmbeddedLedger {
    fn id(&self) -> LedgerId {
        self.id
    }

    fn append(&self, append: Append) -> Answer<'_, Appended> {
        assert_eq!(
            append.job.revision,
            append.expected_revision + 1,
            "a change follows the revision it was applied to"
        );
        assert!(append.request_key.is_none() || append.expected_revision == 0, "a request makes a first revision");
        Box::pin(async {
            let appended = self.ask(|answer| Box::new(AppendWork::new(append, answer))).await;
            appended.unwrap_or_else(Appended::Unknown)
        })
    }

    fn latest(&self, id: TaskId) -> Answer<'_, Result<Option<Arc<Job>>, ReadError>> {
        Box::pin(async move {
            match self.memory.shelf.find(id).filter(|log| log.is_whole()) {
                Some(log) => Ok(Some(log.latest())),
                None => self.readers.read(move |store| read::latest(store, id)).await,
            }
        })
    }

    fn history(&self, id: TaskId, after_revision: u64) -> Answer<'_, Result<Vec<Arc<Job>>, ReadError>> {
        Box::pin(async move {
            match self.memory.shelf.find(id).filter(|log| log.is_whole()) {
                Some(log) => Ok(log.all_after(after_revision)),
                None => self.readers.read(move |store| read::history(store, id, after_revision)).await,
            }
        })
    }

    fn open(&self, id: TaskId) -> Answer<'_, Result<Option<Arc<JobLog>>, ReadError>> {
        Box::pin(async move {
            let log = self.memory.shelf.claim(id);
            let known = log.load(async || self.readers.read(move |store| read::history(store, id, 0)).await).await?;
            Ok(known.then_some(log))
        })
    }

    fn find_event(&self, id: TaskId, event: EventId) -> Answer<'_, Result<Option<Arc<Job>>, ReadError>> {
        Box::pin(async move { self.ask(|answer| Box::new(FindEventWork { task: id, event, answer })).await? })
    }

    fn find_request(&self, request_id: Uuid) -> Answer<'_, Result<Option<Requested>, ReadError>> {
        Box::pin(self.readers.read(move |store| read::find_request(store, request_id)))
    }

    fn unsettled(&self) -> Answer<'_, Result<Vec<Arc<Job>>, ReadError>> {
        Box::pin(self.readers.read(read::unsettled))
    }

    fn list(&self, query: ListQuery) -> Answer<'_, Result<Vec<Arc<Job>>, ReadError>> {
        Box::pin(self.readers.read(move |store| list::list(store, &query)))
    }

    fn snapshot(
        &self,
        filter: Arc<JobFilter>,
        finished_since: Option<WallTime>,
    ) -> Answer<'_, Result<Snapshot, ReadError>> {
        Box::pin(async move {
            let read = self.readers.read(move |store| list::snapshot(store, &filter, finished_since)).await?;
            self.rung(read.position).await?;
            Ok(read)
        })
    }

    fn changes_at(&self, positions: Vec<Position>) -> Answer<'_, Result<Vec<Arc<Job>>, ReadError>> {
        Box::pin(self.readers.read(move |store| list::changes_at(store, &positions)))
    }

    fn tail(&self, after: Position, limit: usize) -> Answer<'_, Result<Vec<(Position, TailEntry)>, ReadError>> {
        Box::pin(async move {
            match self.memory.recent.after(after, limit) {
                Answered::Here(entries) => Ok(entries),
                // What is committed but not shown yet is left for the next call, which the bell asks for.
                Answered::InStore { up_to } => {
                    self.readers.read(move |store| read::tail(store, after, up_to, limit)).await
                }
                Answered::Ahead => Err(ReadError::PositionAhead(after)),
            }
        })
    }

    fn tail_bell(&self) -> watch::Receiver<Position> {
        self.tail.clone()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    fn prove(&self) -> Answer<'_, Result<(), Fault>> {
        Box::pin(async { self.ask(|answer| Box::new(ProveWork { answer })).await? })
    }

    fn purge(&self, now: WallTime, jobs_max: u64) -> Answer<'_, Result<Purged, Fault>> {
        Box::pin(async move {
            let mut excess = self.readers.read(read::count_jobs).await?.saturating_sub(jobs_max);
            let mut purged = Purged::default();
            loop {
                let step = self.purge_step(now, excess).await?;
                let removed = step.removed.len();
                purged.removed.extend(step.removed);
                purged.next_expiry = step.next_expiry;
                if removed < REMOVED_MAX {
                    return Ok(purged);
                }
                excess = excess.saturating_sub(u64::try_from(removed).unwrap_or(u64::MAX));
            }
        })
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async {
            drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
            // Before the writer goes, so that its connection is the last one and the checkpoint is whole.
            self.readers.close();
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(writer) = writer {
                let joined = tokio::task::spawn_blocking(|| writer.join()).await;
                assert!(matches!(joined, Ok(Ok(()))), "the writer has no reason to panic");
            }
        })
    }
}
