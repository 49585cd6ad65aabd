//! Browsers that are kept warm: each is shared by several jobs, which have a context of their own in it.
//!
//! ```text
//!   attendant of a job --Share--> \
//!   attendant of a job --Share-->  keeper (one task per warm browser) --> shim --> browser
//!   attendant of a job --Share--> /
//! ```
//!
//! A share speaks as a shim does: it tells what happened under numbers that are acknowledged, and takes orders. The
//! numbers are those of the one shim, so that a job hears the same thing under the same number from every service.

mod adopt;
mod end;
mod hear;
mod keeper;
mod share;
mod table;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, mpsc};

pub(super) use adopt::find;
pub(super) use keeper::Keeper;
pub(super) use share::Share;

use super::{
    Host,
    ask::{Reply, ask},
};
use crate::job::{Job, TaskId};
use share::Ask;

/// Most contexts in one browser: its end takes all of them with it, and one of its threads serves all their windows.
const CONTEXTS_MAX: usize = 16;
/// How many asks may wait for a keeper: each job has a few under way; who finds no room waits.
const ASKS_MAX: usize = 64;
/// How many browsers are tried for one job: one can end in the moment in which it is chosen, hardly two.
const ATTEMPTS: usize = 3;

/// Why there is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ShareError {
    #[error("no browser to share could be started: {0}")]
    NoBrowser(String),
    #[error("each browser to share ended before it could be shared")]
    Ended,
}

/// Which jobs can share a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// Its name.
    pub(super) browser: String,
    pub(super) headless: bool,
}

impl Kind {
    pub(super) fn of(job: &Job) -> Self {
        Self { browser: job.spec.browser.clone(), headless: job.spec.headless }
    }
}

/// The warm browsers of this host.
#[derive(Debug)]
pub(super) struct Warm {
    /// How long one without a job is kept.
    idle_max: Duration,
    browsers: Mutex<Vec<Entry>>,
}

/// A warm browser that can be shared.
#[derive(Debug)]
struct Entry {
    kind: Kind,
    door: Arc<Door>,
    /// Jobs that have, or are about to ask for, a share.
    seats: usize,
}

/// The way to a warm browser's keeper.
#[derive(Debug)]
struct Door {
    asks: mpsc::Sender<Ask>,
    /// Rings when a seat was given back.
    bell: Notify,
}

/// Counts a job among those of a warm browser.
#[derive(Debug)]
pub(super) struct Seat {
    warm: Arc<Warm>,
    door: Arc<Door>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(entry) = self.warm.lock().iter_mut().find(|entry| Arc::ptr_eq(&entry.door, &self.door)) {
            entry.seats -= 1;
        }
        self.door.bell.notify_one();
    }
}

impl Warm {
    pub(super) fn new(idle_max: Duration) -> Arc<Self> {
        Arc::new(Self { idle_max, browsers: Mutex::default() })
    }

    /// A share for this job of a browser that runs, started if there is none with room.
    pub(super) async fn share(self: &Arc<Self>, host: &Arc<Host>, job: &Job) -> Result<Share, ShareError> {
        let kind = Kind::of(job);
        for _ in 0..ATTEMPTS {
            let seat = self.seat(host, &kind);
            let door = Arc::clone(&seat.door);
            if let Some(answer) = ask(&door.asks, |reply| Ask::Share { task: job.id, seat, reply }).await {
                return answer;
            }
            if host.leaving.is_cancelled() {
                break;
            }
        }
        Err(ShareError::Ended)
    }

    /// A seat in a browser of this kind with room, or in a new one.
    fn seat(self: &Arc<Self>, host: &Arc<Host>, kind: &Kind) -> Seat {
        let mut browsers = self.lock();
        let door = take_seat(&mut browsers, kind).unwrap_or_else(|| {
            let (door, asked) = Door::new();
            browsers.push(Entry { kind: kind.clone(), door: Arc::clone(&door), seats: 1 });
            let keeper = Keeper::fresh(Arc::clone(host), kind.clone(), Arc::clone(&door), asked);
            host.tasks.spawn(keeper.run());
            door
        });
        Seat { warm: Arc::clone(self), door }
    }

    /// A seat for a job that was found in a browser of an earlier service; the bound does not hold for those.
    fn seat_found(self: &Arc<Self>, door: &Arc<Door>) -> Seat {
        if let Some(entry) = self.lock().iter_mut().find(|entry| Arc::ptr_eq(&entry.door, door)) {
            entry.seats += 1;
        }
        Seat { warm: Arc::clone(self), door: Arc::clone(door) }
    }

    /// Makes a browser known that an earlier service left.
    fn enter(&self, kind: Kind, door: &Arc<Door>) {
        self.lock().push(Entry { kind, door: Arc::clone(door), seats: 0 });
    }

    fn is_empty(&self, door: &Arc<Door>) -> bool {
        self.lock().iter().all(|entry| !Arc::ptr_eq(&entry.door, door) || entry.seats == 0)
    }

    /// No job is to choose this browser any more.
    fn retire(&self, door: &Arc<Door>) {
        self.lock().retain(|entry| !Arc::ptr_eq(&entry.door, door));
    }

    /// The same unless some job has just chosen it; says whether it is so.
    fn retire_if_empty(&self, door: &Arc<Door>) -> bool {
        let mut browsers = self.lock();
        browsers.retain(|entry| !Arc::ptr_eq(&entry.door, door) || entry.seats > 0);
        !browsers.iter().any(|entry| Arc::ptr_eq(&entry.door, door))
    }

    /// The list holds after a panic elsewhere: its edits are single calls.
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.browsers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A seat in the first browser of this kind that has room.
fn take_seat(browsers: &mut [Entry], kind: &Kind) -> Option<Arc<Door>> {
    let entry = browsers.iter_mut().find(|entry| entry.kind == *kind && entry.seats < CONTEXTS_MAX)?;
    entry.seats += 1;
    Some(Arc::clone(&entry.door))
}

impl Door {
    fn new() -> (Arc<Self>, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        (Arc::new(Self { asks, bell: Notify::new() }), asked)
    }
}

/// Where the answer to an ask for a share goes; whoever asked may be gone.
type ShareReply = Reply<Result<Share, ShareError>>;

/// What a keeper's asks name their job by.
type Task = TaskId;

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(headless: bool) -> Kind {
        Kind { browser: "chromium".to_owned(), headless }
    }

    #[test]
    fn a_browser_is_shared_by_its_own_kind_up_to_its_bound() {
        let warm = Warm::new(Duration::ZERO);
        let (door, _asked) = Door::new();
        warm.enter(kind(true), &door);
        let seat = |headless| take_seat(&mut warm.lock(), &kind(headless));
        assert!(seat(false).is_none(), "windows need another");
        for taken in 0..CONTEXTS_MAX {
            assert!(seat(true).is_some(), "{taken} are taken");
        }
        assert!(seat(true).is_none(), "it is full");
        drop(Seat { warm: Arc::clone(&warm), door });
        assert!(seat(true).is_some(), "one was given back");
    }

    #[test]
    fn a_browser_that_somebody_has_just_chosen_does_not_leave_and_one_that_leaves_is_not_chosen() {
        let warm = Warm::new(Duration::ZERO);
        let (door, _asked) = Door::new();
        warm.enter(kind(true), &door);
        let seat = warm.seat_found(&door);
        assert!(!warm.is_empty(&door) && !warm.retire_if_empty(&door));
        drop(seat);
        assert!(warm.is_empty(&door) && warm.retire_if_empty(&door));
        assert!(take_seat(&mut warm.lock(), &kind(true)).is_none());
    }
}
