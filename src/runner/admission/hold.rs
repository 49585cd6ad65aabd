//! A place in the queue, and what a job holds once it is let go; each is given back when it is dropped.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{Admission, QueueReason, Queued, Standings};
use crate::job::WallTime;

/// A place in the queue. Dropping it leaves the queue.
#[derive(Debug)]
pub(in crate::runner) struct Ticket {
    pub(super) admission: Arc<Admission>,
    pub(super) number: u64,
    pub(super) granted: oneshot::Receiver<Grant>,
    pub(super) entered_at: Instant,
}

/// What a granted job holds until it lets go of each.
#[derive(Debug)]
pub(in crate::runner) struct Grant {
    /// Held while the task is live.
    pub(in crate::runner) slot: Slot,
    /// Held until the browser has come up, or failed to.
    pub(in crate::runner) launch: Launch,
    /// Held until nothing of the browser is left.
    pub(in crate::runner) browser: BrowserHold,
}

/// One of the running places.
#[derive(Debug)]
pub(in crate::runner) struct Slot(Arc<Admission>);

/// One of the places of browsers that come up.
#[derive(Debug)]
pub(in crate::runner) struct Launch(Arc<Admission>);

/// The right to use a profile, and the place of a window: nothing for an ephemeral profile without a window.
#[derive(Debug)]
pub(in crate::runner) struct BrowserHold {
    admission: Arc<Admission>,
    number: u64,
    profile: Option<Arc<str>>,
}

/// Tells how far a ticket has come.
#[derive(Clone, Debug)]
pub(in crate::runner) struct QueuePlace {
    admission: Arc<Admission>,
    number: u64,
}

impl Ticket {
    /// The grant, if it is there already.
    pub(in crate::runner) fn try_granted(&mut self) -> Option<Grant> {
        self.granted.try_recv().ok()
    }

    /// Waits for the turn. Safe to drop and call again.
    pub(in crate::runner) async fn granted(&mut self) -> Grant {
        match (&mut self.granted).await {
            Ok(grant) => grant,
            // The sender lives in the queue as long as this ticket does.
            Err(_) => std::future::pending().await,
        }
    }

    /// A view of this place that does not keep it.
    pub(in crate::runner) fn place(&self) -> QueuePlace {
        QueuePlace { admission: Arc::clone(&self.admission), number: self.number }
    }

    /// How long it has been in the queue.
    pub(in crate::runner) fn waited(&self) -> Duration {
        self.entered_at.elapsed()
    }
}

impl QueuePlace {
    /// None when it no longer waits.
    pub(in crate::runner) fn standing(&self) -> Option<Queued> {
        self.admission.standing(self.number)
    }

    /// Why it waits; none when it no longer does.
    pub(in crate::runner) fn reason(&self) -> Option<QueueReason> {
        self.admission.reason(self.number)
    }

    /// The same, where all were read before.
    pub(in crate::runner) fn standing_in(&self, standings: &Standings) -> Option<Queued> {
        standings.0.get(&self.number).cloned()
    }
}

impl Slot {
    pub(super) fn new(admission: Arc<Admission>) -> Self {
        Self(admission)
    }
}

impl Launch {
    pub(super) fn new(admission: Arc<Admission>) -> Self {
        Self(admission)
    }
}

impl BrowserHold {
    pub(super) fn new(admission: Arc<Admission>, number: u64, profile: Option<Arc<str>>) -> Self {
        Self { admission, number, profile }
    }

    /// The job was finished then, and its window stays; the answer comes when it has to make room. None when there is no
    /// window, or this was told before.
    pub(in crate::runner) fn keep_window(&self, since: WallTime) -> Option<oneshot::Receiver<()>> {
        self.admission.keep_window(self.number, since)
    }

    /// A window that was kept open is told to go.
    pub(in crate::runner) fn close_window(&self) {
        self.admission.release(|state| {
            state.evictions.remove(&self.number);
            state.policy.close_window(self.number);
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission.release(|state| state.leave(self.number));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.release(|state| state.policy.free_slot());
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        self.0.release(|state| state.policy.free_launch());
    }
}

impl Drop for BrowserHold {
    fn drop(&mut self) {
        self.admission.release(|state| {
            state.evictions.remove(&self.number);
            state.policy.free_browser(self.number, self.profile.as_ref());
        });
    }
}
