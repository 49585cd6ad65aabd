//! Who may run now: slots, the bounded queue, and one job at a time per named profile.
//!
//! First come, first served; a job whose profile is taken lets the ones behind it pass.

use std::{
    collections::{BTreeMap, HashSet},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::job::Profile;

/// Hands out slots and profiles.
#[derive(Debug)]
pub(super) struct Admission {
    slots: usize,
    queue_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    profiles: HashSet<String>,
    next_number: u64,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    profile: Profile,
    grant: oneshot::Sender<Grant>,
}

/// The queue is full; nothing was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueFull {
    pub(super) queue_max: usize,
}

/// A place in the queue. Dropping it leaves the queue.
#[derive(Debug)]
pub(super) struct Ticket {
    admission: Arc<Admission>,
    number: u64,
    granted: oneshot::Receiver<Grant>,
}

/// What a granted job holds until it lets go of each.
#[derive(Debug)]
pub(super) struct Grant {
    /// Held while the task is live.
    pub(super) slot: Slot,
    /// Held until nothing of the browser is left.
    pub(super) profile: ProfileHold,
}

/// One of the running places.
#[derive(Debug)]
pub(super) struct Slot {
    admission: Arc<Admission>,
}

/// The right to use a profile; nothing for an ephemeral one.
#[derive(Debug)]
pub(super) struct ProfileHold {
    admission: Arc<Admission>,
    name: Option<String>,
}

impl Admission {
    pub(super) fn new(slots: NonZeroUsize, queue_max: usize) -> Arc<Self> {
        Arc::new(Self { slots: slots.get(), queue_max, state: Mutex::default() })
    }

    /// How many jobs run at once.
    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// How many may wait.
    pub(super) fn queue_max(&self) -> usize {
        self.queue_max
    }

    /// How many run and how many wait, at one moment.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.running, state.waiting.len())
    }

    /// All that wait, at one moment.
    pub(super) fn line(&self) -> Line {
        Line(self.lock().waiting.keys().copied().collect())
    }

    /// Joins the queue; the ticket is granted at once when a slot and the profile are free.
    pub(super) fn enter(self: &Arc<Self>, profile: &Profile) -> Result<Ticket, QueueFull> {
        self.join(profile, self.queue_max)
    }

    /// Joins the queue however long it is, as a job does that was in it before a restart.
    pub(super) fn enter_again(self: &Arc<Self>, profile: &Profile) -> Ticket {
        self.join(profile, usize::MAX).expect("a queue without a bound is never full")
    }

    fn join(self: &Arc<Self>, profile: &Profile, queue_max: usize) -> Result<Ticket, QueueFull> {
        let mut state = self.lock();
        let (grant, granted) = oneshot::channel();
        let number = state.next_number;
        state.waiting.insert(number, Waiting { profile: profile.clone(), grant });
        state.next_number += 1;
        let grants = self.pump(&mut state);
        let full = state.waiting.len() > queue_max && state.waiting.contains_key(&number);
        if full {
            state.waiting.remove(&number);
        }
        drop(state);
        deliver(grants);
        if full {
            return Err(QueueFull { queue_max });
        }
        Ok(Ticket { admission: Arc::clone(self), number, granted })
    }

    /// Counts a job that already runs, whatever the limits: one that a restart found alive.
    pub(super) fn occupy(self: &Arc<Self>, profile: &Profile) -> Grant {
        let mut state = self.lock();
        self.grant(&mut state, profile)
    }

    /// Counts a browser that was kept open: it holds its profile but no slot.
    pub(super) fn occupy_profile(self: &Arc<Self>, profile: &Profile) -> ProfileHold {
        let Grant { slot, profile } = self.occupy(profile);
        drop(slot);
        profile
    }

    /// The right to a profile that nobody uses or waits for; whoever asks for it from now on waits.
    pub(super) fn hold_idle_profile(self: &Arc<Self>, profile: &Profile) -> Option<ProfileHold> {
        let Profile::Named(name) = profile else { return None };
        let mut state = self.lock();
        let is_awaited = state.waiting.values().any(|waiting| waiting.profile == *profile);
        // True when it was not there before.
        let is_free = !is_awaited && state.profiles.insert(name.clone());
        is_free.then(|| ProfileHold { admission: Arc::clone(self), name: Some(name.clone()) })
    }

    /// Grants, in order, all that can run now. The grants are delivered without the lock: a
    /// receiver that is gone drops its grant, which comes back here.
    fn pump(self: &Arc<Self>, state: &mut State) -> Vec<(oneshot::Sender<Grant>, Grant)> {
        let mut grants = Vec::new();
        while state.running < self.slots {
            let free = |waiting: &Waiting| match &waiting.profile {
                Profile::Ephemeral => true,
                Profile::Named(name) => !state.profiles.contains(name),
            };
            let Some(number) = state.waiting.iter().find(|(_, waiting)| free(waiting)).map(|(number, _)| *number)
            else {
                break;
            };
            if let Some(waiting) = state.waiting.remove(&number) {
                let grant = self.grant(state, &waiting.profile);
                grants.push((waiting.grant, grant));
            }
        }
        grants
    }

    fn grant(self: &Arc<Self>, state: &mut State, profile: &Profile) -> Grant {
        state.running += 1;
        let name = match profile {
            Profile::Ephemeral => None,
            Profile::Named(name) => {
                state.profiles.insert(name.clone());
                Some(name.clone())
            }
        };
        Grant { slot: Slot { admission: Arc::clone(self) }, profile: ProfileHold { admission: Arc::clone(self), name } }
    }

    fn release(self: &Arc<Self>, free: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        free(&mut state);
        let grants = self.pump(&mut state);
        drop(state);
        deliver(grants);
    }

    /// The state holds after a panic elsewhere: every edit of it is complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn deliver(grants: Vec<(oneshot::Sender<Grant>, Grant)>) {
    for (sender, grant) in grants {
        drop(sender.send(grant));
    }
}

impl Ticket {
    /// The grant, if it is there already.
    pub(super) fn try_granted(&mut self) -> Option<Grant> {
        self.granted.try_recv().ok()
    }

    /// Waits for the turn. Safe to drop and call again.
    pub(super) async fn granted(&mut self) -> Grant {
        match (&mut self.granted).await {
            Ok(grant) => grant,
            // The sender lives in the queue as long as this ticket does.
            Err(_) => std::future::pending().await,
        }
    }

    /// A view of this place that does not keep it.
    pub(super) fn place(&self) -> QueuePlace {
        QueuePlace { admission: Arc::clone(&self.admission), number: self.number }
    }
}

/// The numbers of all that wait, in their order.
#[derive(Debug)]
pub(super) struct Line(Vec<u64>);

/// Tells how far a ticket has come.
#[derive(Clone, Debug)]
pub(super) struct QueuePlace {
    admission: Arc<Admission>,
    number: u64,
}

impl QueuePlace {
    /// 1 for the next one; none when it no longer waits.
    pub(super) fn position(&self) -> Option<u32> {
        let state = self.admission.lock();
        state.waiting.contains_key(&self.number).then(|| {
            let ahead = state.waiting.range(..self.number).count();
            u32::try_from(ahead + 1).unwrap_or(u32::MAX)
        })
    }

    /// The same, in a line that was read before.
    pub(super) fn position_in(&self, line: &Line) -> Option<u32> {
        let ahead = line.0.binary_search(&self.number).ok()?;
        Some(u32::try_from(ahead + 1).unwrap_or(u32::MAX))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission.release(|state| {
            state.waiting.remove(&self.number);
        });
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission.release(|state| state.running -= 1);
    }
}

impl Drop for ProfileHold {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.admission.release(|state| {
                state.profiles.remove(&name);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(slots: usize, queue_max: usize) -> Arc<Admission> {
        Admission::new(NonZeroUsize::new(slots).unwrap(), queue_max)
    }

    fn named(name: &str) -> Profile {
        Profile::Named(name.to_owned())
    }

    #[test]
    fn slots_are_granted_in_order_and_come_back() {
        let admission = admission(1, 10);
        let mut first = admission.enter(&Profile::Ephemeral).unwrap();
        let mut second = admission.enter(&Profile::Ephemeral).unwrap();
        let mut third = admission.enter(&Profile::Ephemeral).unwrap();
        let grant = first.try_granted().unwrap();
        assert!(second.try_granted().is_none());
        assert_eq!((second.place().position(), third.place().position()), (Some(1), Some(2)));
        let line = admission.line();
        assert_eq!([&first, &second, &third].map(|ticket| ticket.place().position_in(&line)), [None, Some(1), Some(2)]);
        drop(grant.slot);
        let grant = second.try_granted().unwrap();
        assert!(third.try_granted().is_none());
        drop(grant);
        assert!(third.try_granted().is_some());
    }

    #[test]
    fn a_full_queue_refuses_and_keeps_those_who_wait() {
        let admission = admission(1, 1);
        let mut running = admission.enter(&Profile::Ephemeral).unwrap();
        let grant = running.try_granted();
        let mut waiting = admission.enter(&Profile::Ephemeral).unwrap();
        assert_eq!(admission.enter(&Profile::Ephemeral).err(), Some(QueueFull { queue_max: 1 }));
        drop(grant);
        assert!(waiting.try_granted().is_some());
    }

    #[test]
    fn a_taken_profile_lets_those_behind_pass() {
        let admission = admission(2, 10);
        let mut first = admission.enter(&named("work")).unwrap();
        let grant = first.try_granted().unwrap();
        let mut second = admission.enter(&named("work")).unwrap();
        let mut third = admission.enter(&Profile::Ephemeral).unwrap();
        assert!(second.try_granted().is_none());
        assert!(third.try_granted().is_some());
        drop(grant.slot);
        assert!(second.try_granted().is_none(), "the window is still open");
        drop(grant.profile);
        assert!(second.try_granted().is_some());
    }

    #[test]
    fn only_an_idle_profile_is_held_and_then_others_wait_for_it() {
        let admission = admission(2, 10);
        let held = admission.hold_idle_profile(&named("work")).unwrap();
        assert!(admission.hold_idle_profile(&named("work")).is_none());
        let mut waiting = admission.enter(&named("work")).unwrap();
        assert!(waiting.try_granted().is_none());
        drop(held);
        let grant = waiting.try_granted().unwrap();
        assert!(admission.hold_idle_profile(&named("work")).is_none(), "it is used");
        let behind = admission.enter(&named("work")).unwrap();
        drop((grant, behind));
        assert!(admission.hold_idle_profile(&named("work")).is_some());
        assert!(admission.hold_idle_profile(&named("mail")).is_some());
    }

    #[test]
    fn a_ticket_that_leaves_gives_its_place_and_its_unseen_grant_back() {
        let admission = admission(1, 10);
        let granted_but_unseen = admission.enter(&Profile::Ephemeral).unwrap();
        let leaving = admission.enter(&Profile::Ephemeral).unwrap();
        let mut last = admission.enter(&Profile::Ephemeral).unwrap();
        drop(leaving);
        drop(granted_but_unseen);
        assert!(last.try_granted().is_some());
    }

    #[test]
    fn jobs_found_alive_count_even_beyond_the_limit() {
        let admission = admission(1, 10);
        let found = [admission.occupy(&Profile::Ephemeral), admission.occupy(&named("work"))];
        let mut waiting = admission.enter(&Profile::Ephemeral).unwrap();
        let [first, second] = found;
        drop(first);
        assert!(waiting.try_granted().is_none());
        drop(second);
        assert!(waiting.try_granted().is_some());
    }
}
