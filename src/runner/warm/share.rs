//! A job's share of a warm browser: it speaks as a shim does.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Door, Seat, ShareReply, Task};
use crate::process::{Identity, Numbered, Order, RelayError};

/// How many messages may wait for an attendant; a keeper that finds no room waits, and reads nothing further.
const TOLD_MAX: usize = 64;

/// A job's share of a warm browser. Dropped, its context is ended.
pub(in crate::runner) struct Share {
    task: Task,
    /// Before the seat, so that whoever hears that the seat is free finds this closed.
    told: mpsc::Receiver<Numbered>,
    door: Arc<Door>,
    shim: Identity,
    attaches: u32,
    _seat: Seat,
}

/// What is asked of a keeper.
pub(super) enum Ask {
    /// A share for this job.
    Share { task: Task, seat: Seat, reply: ShareReply },
    /// The word GO: a context for the job.
    Open(Task),
    /// As to a shim.
    Order(Task, Order),
}

/// What the browser of a share is known by.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) shim: Identity,
    pub(super) attaches: u32,
}

impl Share {
    pub(super) fn new(task: Task, known: Known, seat: Seat) -> (Self, mpsc::Sender<Numbered>) {
        let (tell, told) = mpsc::channel(TOLD_MAX);
        let Known { shim, attaches } = known;
        (Self { task, told, door: Arc::clone(&seat.door), shim, attaches, _seat: seat }, tell)
    }

    /// Gives the word GO.
    pub(in crate::runner) async fn open(&mut self) -> Result<(), RelayError> {
        self.ask(Ask::Open(self.task)).await
    }

    /// The next thing told; none once there is no keeper any more.
    pub(in crate::runner) async fn next(&mut self) -> Option<Numbered> {
        self.told.recv().await
    }

    pub(in crate::runner) async fn send(&mut self, order: Order) -> Result<(), RelayError> {
        self.ask(Ask::Order(self.task, order)).await
    }

    pub(in crate::runner) fn shim(&self) -> &Identity {
        &self.shim
    }

    pub(in crate::runner) fn attaches(&self) -> u32 {
        self.attaches
    }

    async fn ask(&self, ask: Ask) -> Result<(), RelayError> {
        self.door.asks.send(ask).await.map_err(|_| RelayError::Gone)
    }
}
