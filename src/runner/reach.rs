//! What a job's browser is reached through: a shim of its own, or a share of a browser that is kept warm.

use super::warm::Share;
use crate::{
    job::StopStep,
    process::{Identity, Numbered, Order, RelayError, Shim},
};

/// How many messages without meaning of a shim may stay unacknowledged: a restart hears them again, harmlessly.
const UNACKNOWLEDGED_MAX: u64 = 64;

/// What a job's browser is reached through. Both speak the same language: what is told, and what is ordered.
pub(super) enum Reach {
    /// The browser is the job's alone.
    Own(Shim),
    /// The job has a context in a browser that others share.
    Share(Share),
}

impl Reach {
    /// The next thing told; none when there is nobody any more to tell. Safe to drop at any point.
    pub(super) async fn next(&mut self) -> Option<Numbered> {
        match self {
            Self::Own(shim) => shim.next().await,
            Self::Share(share) => share.next().await,
        }
    }

    pub(super) async fn send(&mut self, order: Order) -> Result<(), RelayError> {
        match self {
            Self::Own(shim) => shim.send(&order).await,
            Self::Share(share) => share.send(order).await,
        }
    }

    /// What all processes live below.
    pub(super) fn shim(&self) -> &Identity {
        match self {
            Self::Own(shim) => &shim.hello().shim,
            Self::Share(share) => share.shim(),
        }
    }

    /// How often a service attached, this one included.
    pub(super) fn attaches(&self) -> u32 {
        match self {
            Self::Own(shim) => shim.hello().attaches,
            Self::Share(share) => share.attaches(),
        }
    }

    /// One that many share is acknowledged at once: a quiet job would hold the others' messages in memory.
    pub(super) fn unacknowledged_max(&self) -> u64 {
        match self {
            Self::Own(_) => UNACKNOWLEDGED_MAX,
            Self::Share(_) => 1,
        }
    }

    /// How far a stop has gone at least when the end is told: a context never ends by itself.
    pub(super) fn least_step(&self) -> StopStep {
        match self {
            Self::Own(_) => StopStep::ByItself,
            Self::Share(_) => StopStep::Closed,
        }
    }
}
