//! Who may run now: slots, launches, memory, windows, one job at a time per named profile, and the line of those who wait.
//!
//! ```text
//!   enter ──> line (who is next) ──> policy (what is free) ──> grant: a slot, a launch, a browser's place
//!                ^                                                │
//!                └──── each part of a grant that is dropped lets the next ones go
//! ```
//!
//! The decisions are [`policy`]'s and [`line`]'s; here they have their lock, and their answers find whoever waits.

mod hold;
mod line;
mod memory;
mod policy;
mod push;
mod shortage;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::{oneshot, watch};

use crate::job::WallTime;
pub(super) use hold::{BrowserHold, Grant, Launch, QueuePlace, Slot, Ticket};
pub(super) use line::{Want, profile_key};
pub(super) use memory::Memory;
use memory::Room;
use policy::Policy;
pub use policy::{Limits, Load, QueueReason};
pub(super) use push::tell;
pub(super) use shortage::shortages;

/// Lets jobs go.
#[derive(Debug)]
pub(super) struct Admission {
    /// The label whose values take turns.
    fair_label: String,
    memory: Memory,
    state: Mutex<State>,
    /// Counts the moves of the line.
    moved: watch::Sender<u64>,
    /// Jobs wait for memory alone.
    short: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    policy: Policy,
    next_number: u64,
    grants: HashMap<u64, oneshot::Sender<Grant>>,
    /// How windows that were kept open hear that they have to go.
    evictions: HashMap<u64, oneshot::Sender<()>>,
}

/// What is to be told once the lock is free: a receiver that is gone drops its grant, which comes back here.
#[derive(Debug, Default)]
struct News {
    grants: Vec<(oneshot::Sender<Grant>, Grant)>,
    evictions: Vec<oneshot::Sender<()>>,
}

impl News {
    fn deliver(self) {
        for (sender, grant) in self.grants {
            drop(sender.send(grant));
        }
        for sender in self.evictions {
            // An attendant that is gone has no window any more.
            let _ = sender.send(());
        }
    }
}

/// The queue is full; nothing was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueFull {
    pub(super) queue_max: usize,
}

/// What one that waits is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// 1 for the next one.
    pub position: u32,
    /// Why it waits.
    pub reason: QueueReason,
    /// The same for a person.
    pub words: Arc<str>,
}

/// Where all that wait stand, at one moment.
#[derive(Debug)]
pub(super) struct Standings(HashMap<u64, Queued>);

impl Admission {
    pub(super) fn new(limits: Limits, fair_label: String, memory: Memory) -> Arc<Self> {
        Arc::new(Self {
            fair_label,
            memory,
            state: Mutex::new(State {
                policy: Policy::new(limits),
                next_number: 0,
                grants: HashMap::new(),
                evictions: HashMap::new(),
            }),
            moved: watch::Sender::default(),
            short: watch::Sender::default(),
        })
    }

    /// The label whose values take turns.
    pub(super) fn fair_label(&self) -> &str {
        &self.fair_label
    }

    pub(super) fn limits(&self) -> Limits {
        self.lock().policy.limits().clone()
    }

    pub(super) fn load(&self) -> Load {
        self.lock().policy.load()
    }

    /// How much memory browsers could have now; none where the system does not tell.
    pub(super) fn memory_available(&self) -> Option<u64> {
        self.memory.available()
    }

    /// Rings when the line has moved.
    pub(super) fn moves(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// Joins the queue; the ticket is granted at once when all that the job wants is free.
    pub(super) fn enter(self: &Arc<Self>, want: Want) -> Result<Ticket, QueueFull> {
        let mut state = self.lock();
        let ticket = self.join(&mut state, want);
        let mut news = self.admit(&mut state);
        let queue_max = state.policy.limits().queue_max;
        let is_full = state.policy.line.len() > queue_max && state.grants.contains_key(&ticket.number);
        if is_full {
            // Before room is made: no window is closed for one that is not taken.
            state.leave(ticket.number);
        }
        news.evictions = state.make_room();
        drop(state);
        news.deliver();
        if is_full { Err(QueueFull { queue_max }) } else { Ok(ticket) }
    }

    /// Joins the queue in this order, however long it is, as jobs do that were in it before a restart. None goes before
    /// all are there.
    pub(super) fn enter_again(self: &Arc<Self>, wants: impl IntoIterator<Item = Want>) -> Vec<Ticket> {
        let mut state = self.lock();
        let tickets = wants.into_iter().map(|want| self.join(&mut state, want)).collect();
        let news = self.pump(&mut state);
        drop(state);
        news.deliver();
        tickets
    }

    fn join(self: &Arc<Self>, state: &mut State, want: Want) -> Ticket {
        let (grant, granted) = oneshot::channel();
        let number = state.number();
        state.policy.line.enter(number, want);
        state.grants.insert(number, grant);
        Ticket { admission: Arc::clone(self), number, granted, entered_at: Instant::now() }
    }

    /// Counts a job that already runs, whatever the limits: one that a restart found alive.
    pub(super) fn occupy(self: &Arc<Self>, want: &Want) -> (Slot, BrowserHold) {
        let mut state = self.lock();
        let number = state.number();
        state.policy.occupy(number, want);
        drop(state);
        (Slot::new(Arc::clone(self)), BrowserHold::new(Arc::clone(self), number, want.profile.clone()))
    }

    /// Counts a browser that was kept open: it holds its profile and its window but no slot.
    pub(super) fn occupy_browser(self: &Arc<Self>, want: &Want) -> BrowserHold {
        let mut state = self.lock();
        let number = state.number();
        state.policy.occupy_browser(number, want);
        drop(state);
        BrowserHold::new(Arc::clone(self), number, want.profile.clone())
    }

    /// The right to a profile that nobody uses or waits for; whoever asks for it from now on waits.
    pub(super) fn hold_idle_profile(self: &Arc<Self>, name: &str) -> Option<BrowserHold> {
        let profile: Arc<str> = name.into();
        let mut state = self.lock();
        if !state.policy.line.is_idle(&profile) {
            return None;
        }
        state.policy.line.set_taken(&profile, true);
        let number = state.number();
        Some(BrowserHold::new(Arc::clone(self), number, Some(profile)))
    }

    /// Where all that wait stand.
    pub(super) fn standings(&self) -> Standings {
        let state = self.lock();
        let policy = &state.policy;
        // Most share their words: only profiles have names.
        let mut words: HashMap<(QueueReason, Option<Arc<str>>), Arc<str>> = HashMap::new();
        let stand = |(number, at, reason): (u64, usize, QueueReason)| {
            let want = policy.line.get(number)?;
            let profile = want.profile.clone().filter(|_| reason == QueueReason::Profile);
            let words = words.entry((reason, profile)).or_insert_with(|| policy.words(reason, want).into());
            Some((number, Queued { position: position(at), reason, words: Arc::clone(words) }))
        };
        Standings(policy.standings().filter_map(stand).collect())
    }

    fn reason(&self, number: u64) -> Option<QueueReason> {
        self.lock().policy.standing(number).map(|(_, reason)| reason)
    }

    fn standing(&self, number: u64) -> Option<Queued> {
        let state = self.lock();
        let want = state.policy.line.get(number)?;
        let (at, reason) = state.policy.standing(number)?;
        Some(Queued { position: position(at), reason, words: state.policy.words(reason, want).into() })
    }

    /// Lets all go that can, and makes room for one that only wants a window.
    fn pump(self: &Arc<Self>, state: &mut State) -> News {
        let mut news = self.admit(state);
        news.evictions = state.make_room();
        news
    }

    /// Lets all go that can. When others wait that memory alone keeps, it is looked at again.
    fn admit(self: &Arc<Self>, state: &mut State) -> News {
        let mut news = News::default();
        let mut short = false;
        let floor_bytes = state.policy.limits().memory_floor_bytes;
        while let Some(number) = state.policy.next() {
            if self.memory.room(floor_bytes) == Room::TooLittle {
                short = true;
                break;
            }
            let Some(want) = state.policy.go(number) else { break };
            let Some(sender) = state.grants.remove(&number) else { continue };
            let admission = || Arc::clone(self);
            let browser = BrowserHold::new(admission(), number, want.profile);
            news.grants
                .push((sender, Grant { slot: Slot::new(admission()), launch: Launch::new(admission()), browser }));
        }
        self.short.send_if_modified(|known| std::mem::replace(known, short) != short);
        if state.policy.line.len() > 0 {
            self.moved.send_modify(|moves| *moves += 1);
        }
        news
    }

    fn release(self: &Arc<Self>, free: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        free(&mut state);
        let news = self.pump(&mut state);
        drop(state);
        news.deliver();
    }

    /// A finished job's window stays; the answer comes when it has to go. None when it opened none, or was told before.
    fn keep_window(self: &Arc<Self>, number: u64, since: WallTime) -> Option<oneshot::Receiver<()>> {
        let (evict, evicted) = oneshot::channel();
        let mut is_new = false;
        self.release(|state| {
            is_new = state.policy.keep_window(number, since);
            if is_new {
                state.evictions.insert(number, evict);
            }
        });
        is_new.then_some(evicted)
    }

    /// The state holds after a panic elsewhere: every edit of it is complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn leave(&mut self, number: u64) {
        self.grants.remove(&number);
        self.policy.line.leave(number);
    }

    /// The windows that are told to go.
    fn make_room(&mut self) -> Vec<oneshot::Sender<()>> {
        let mut told = Vec::new();
        while let Some(number) = self.policy.evict() {
            told.extend(self.evictions.remove(&number));
        }
        told
    }
}

/// What does not fit is as far away as can be.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
