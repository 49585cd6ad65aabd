//! What admission promises to those who wait, with its lock and its deliveries.

mod line;
mod policy;

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::*;

/// Longest wait for what is looked at every two seconds, on a busy machine.
const SOON: Duration = Duration::from_secs(30);

impl Admission {
    /// With room for everything, but for what the test says.
    pub(in crate::runner) fn of(edit: impl FnOnce(&mut Limits)) -> Arc<Self> {
        Self::with_memory(edit, Memory::read_by(|| None))
    }

    fn with_memory(edit: impl FnOnce(&mut Limits), memory: Memory) -> Arc<Self> {
        let many = NonZeroUsize::new(100).unwrap();
        let mut limits = Limits {
            slots: many,
            launches_max: many,
            memory_floor_bytes: 0,
            windows_max: many,
            windows_evict: false,
            queue_max: 100,
        };
        edit(&mut limits);
        Self::new(limits, "group".to_owned(), memory)
    }
}

fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

fn plain() -> Want {
    Want { priority: 0, group: "".into(), profile: None, window: false }
}

fn named(name: &str) -> Want {
    Want { profile: Some(name.into()), ..plain() }
}

fn window() -> Want {
    Want { window: true, ..plain() }
}

fn standing(ticket: &Ticket) -> Option<(u32, QueueReason)> {
    ticket.place().standing().map(|queued| (queued.position, queued.reason))
}

#[test]
fn slots_are_granted_in_order_and_come_back() {
    let admission = Admission::of(|limits| limits.slots = count(1));
    let mut first = admission.enter(plain()).unwrap();
    let mut second = admission.enter(plain()).unwrap();
    let mut third = admission.enter(plain()).unwrap();
    let grant = first.try_granted().unwrap();
    assert!(second.try_granted().is_none());
    let told = [(1, QueueReason::Slot), (2, QueueReason::Slot)];
    assert_eq!([standing(&first), standing(&second), standing(&third)], [None, Some(told[0]), Some(told[1])]);
    let standings = admission.standings();
    for ticket in [&first, &second, &third] {
        assert_eq!(ticket.place().standing_in(&standings), ticket.place().standing());
    }
    drop(grant.slot);
    let grant = second.try_granted().unwrap();
    assert!(third.try_granted().is_none());
    drop(grant);
    assert!(third.try_granted().is_some());
}

#[test]
fn a_full_queue_refuses_and_keeps_those_who_wait() {
    let admission = Admission::of(|limits| (limits.slots, limits.queue_max) = (count(1), 1));
    let mut running = admission.enter(plain()).unwrap();
    let grant = running.try_granted();
    let mut waiting = admission.enter(plain()).unwrap();
    let urgent = Want { priority: 100, ..plain() };
    assert_eq!(admission.enter(urgent).err(), Some(QueueFull { queue_max: 1 }));
    assert_eq!(admission.load().waiting, 1);
    drop(grant);
    assert!(waiting.try_granted().is_some());
}

#[test]
fn a_taken_profile_lets_those_behind_pass() {
    let admission = Admission::of(|limits| limits.slots = count(2));
    let mut first = admission.enter(named("work")).unwrap();
    let grant = first.try_granted().unwrap();
    let mut second = admission.enter(named("work")).unwrap();
    let mut third = admission.enter(plain()).unwrap();
    assert!(second.try_granted().is_none());
    assert_eq!(standing(&second), Some((1, QueueReason::Profile)));
    assert!(second.place().standing().unwrap().words.contains("\"work\""));
    assert!(third.try_granted().is_some());
    drop((grant.slot, grant.launch));
    assert!(second.try_granted().is_none(), "the browser is still there");
    drop(grant.browser);
    assert!(second.try_granted().is_some());
}

#[test]
fn a_ticket_that_leaves_gives_its_place_and_its_unseen_grant_back() {
    let admission = Admission::of(|limits| limits.slots = count(1));
    let granted_but_unseen = admission.enter(plain()).unwrap();
    let leaving = admission.enter(plain()).unwrap();
    let mut last = admission.enter(plain()).unwrap();
    drop(leaving);
    drop(granted_but_unseen);
    assert!(last.try_granted().is_some());
}

#[test]
fn jobs_found_alive_count_even_beyond_the_limits() {
    let admission = Admission::of(|limits| (limits.slots, limits.windows_max) = (count(1), count(1)));
    let found = [admission.occupy(&plain()), admission.occupy(&window())];
    let kept = admission.occupy_browser(&Want { window: true, ..named("work") });
    let load = Load { running: 2, windows: 2, ..Load::default() };
    assert_eq!(admission.load(), load);
    let mut waiting = admission.enter(window()).unwrap();
    let [(first, _first_browser), (second, second_browser)] = found;
    drop(first);
    assert!(waiting.try_granted().is_none());
    drop(second);
    assert_eq!(standing(&waiting), Some((1, QueueReason::Window)));
    drop(second_browser);
    assert!(waiting.try_granted().is_none(), "the other window is open");
    drop(kept);
    assert!(waiting.try_granted().is_some());
}

#[test]
fn those_who_waited_before_a_restart_keep_their_order_and_the_urgent_one_goes_first() {
    let admission = Admission::of(|limits| (limits.slots, limits.queue_max) = (count(1), 0));
    let wants = [plain(), Want { priority: 5, ..plain() }, plain()];
    let mut tickets = admission.enter_again(wants);
    let grant = tickets[1].try_granted().expect("the urgent one goes, though it is not the first");
    assert_eq!([standing(&tickets[0]), standing(&tickets[2])].map(|at| at.map(|(at, _)| at)), [Some(1), Some(2)]);
    drop(grant);
    assert!(tickets[0].try_granted().is_some());
}

#[test]
fn only_so_many_come_up_at_once_and_a_failed_launch_frees_its_place() {
    let admission = Admission::of(|limits| limits.launches_max = count(1));
    let mut first = admission.enter(plain()).unwrap();
    let mut second = admission.enter(plain()).unwrap();
    let mut third = admission.enter(plain()).unwrap();
    let up = first.try_granted().unwrap();
    assert_eq!(standing(&second), Some((1, QueueReason::Launch)));
    drop(up.launch);
    let failed = second.try_granted().expect("the first has come up");
    assert_eq!(admission.load().launching, 1);
    assert!(third.try_granted().is_none());
    drop(failed);
    assert!(third.try_granted().is_some());
}

#[test]
fn who_has_to_wait_for_a_slot_anyway_is_not_told_of_launches() {
    let admission = Admission::of(|limits| (limits.slots, limits.launches_max) = (count(2), count(1)));
    let _running = admission.enter(plain()).unwrap();
    let (next, later) = (admission.enter(plain()).unwrap(), admission.enter(plain()).unwrap());
    assert_eq!(standing(&next), Some((1, QueueReason::Launch)));
    assert_eq!(standing(&later), Some((2, QueueReason::Slot)));
}

#[test]
fn windows_bound_those_who_want_one_and_let_the_others_pass() {
    let admission = Admission::of(|limits| limits.windows_max = count(1));
    let mut first = admission.enter(window()).unwrap();
    let Grant { slot, launch, browser } = first.try_granted().unwrap();
    drop((slot, launch));
    let mut evicted = browser.keep_window(WallTime::from_micros(1)).unwrap();
    assert!(browser.keep_window(WallTime::from_micros(1)).is_none(), "it was told before");
    let mut second = admission.enter(window()).unwrap();
    let mut third = admission.enter(plain()).unwrap();
    assert!(second.try_granted().is_none() && third.try_granted().is_some());
    let queued = second.place().standing().unwrap();
    assert_eq!((queued.position, queued.reason), (1, QueueReason::Window));
    assert_eq!(&*queued.words, "waits for a window; 1 may be open, and 1 are kept open");
    assert!(evicted.try_recv().is_err(), "nobody said that it may be closed");
    drop(browser);
    assert!(second.try_granted().is_some());
}

#[test]
fn the_window_kept_open_the_longest_is_closed_for_a_new_one_and_no_more_than_are_wanted() {
    let admission = Admission::of(|limits| (limits.windows_max, limits.windows_evict) = (count(2), true));
    let keep = |since| {
        let Grant { slot, launch, browser } = admission.enter(window()).unwrap().try_granted().unwrap();
        drop((slot, launch));
        let evicted = browser.keep_window(WallTime::from_micros(since)).unwrap();
        (browser, evicted)
    };
    let (_newer, mut newer_evicted) = keep(9);
    let (older, mut older_evicted) = keep(3);
    let mut third = admission.enter(window()).unwrap();
    assert!(older_evicted.try_recv().is_ok() && newer_evicted.try_recv().is_err());
    assert!(third.try_granted().is_none(), "it is still open");
    assert_eq!(admission.load().windows_kept, 2);
    drop(older);
    let _third_grant = third.try_granted().unwrap();
    let _fourth = admission.enter(window()).unwrap();
    assert!(newer_evicted.try_recv().is_ok());
}

#[test]
fn no_window_is_closed_for_one_that_could_not_go_anyway() {
    let admission = Admission::of(|limits| {
        (limits.windows_max, limits.windows_evict, limits.slots) = (count(1), true, count(1));
    });
    let Grant { slot, launch, browser } = admission.enter(window()).unwrap().try_granted().unwrap();
    drop((slot, launch));
    let mut evicted = browser.keep_window(WallTime::from_micros(1)).unwrap();
    let running = admission.enter(plain()).unwrap().try_granted().unwrap();
    let waiting = admission.enter(window()).unwrap();
    assert!(evicted.try_recv().is_err(), "there is no slot for it");
    drop(waiting);
    drop(running);
    assert!(evicted.try_recv().is_err(), "nobody wants one any more");
    let _wanting = admission.enter(window()).unwrap();
    assert!(evicted.try_recv().is_ok());
}

#[test]
fn no_window_is_closed_for_one_that_is_refused() {
    let admission = Admission::of(|limits| {
        (limits.windows_max, limits.windows_evict, limits.queue_max) = (count(1), true, 0);
    });
    let browser = admission.enter(window()).unwrap().try_granted().unwrap().browser;
    let mut evicted = browser.keep_window(WallTime::from_micros(1)).unwrap();
    assert!(admission.enter(window()).is_err());
    assert!(evicted.try_recv().is_err());
}

#[test]
fn a_window_that_is_closing_anyway_makes_the_room() {
    let admission = Admission::of(|limits| (limits.windows_max, limits.windows_evict) = (count(2), true));
    let kept: Vec<_> = (1..=2)
        .map(|since| {
            let browser = admission.enter(window()).unwrap().try_granted().unwrap().browser;
            let evicted = browser.keep_window(WallTime::from_micros(since)).unwrap();
            (browser, evicted)
        })
        .collect();
    let [(_oldest, mut oldest_evicted), (closing, _)] = <[_; 2]>::try_from(kept).unwrap();
    closing.close_window();
    let mut wanting = admission.enter(window()).unwrap();
    assert!(oldest_evicted.try_recv().is_err());
    drop(closing);
    assert!(wanting.try_granted().is_some());
}

#[tokio::test]
async fn while_memory_is_short_jobs_wait_for_it_and_go_once_there_is_enough() {
    let available = Arc::new(AtomicU64::new(99));
    let read = Arc::clone(&available);
    let memory = Memory::read_by(move || Some(read.load(Ordering::Relaxed)));
    let admission = Admission::with_memory(|limits| limits.memory_floor_bytes = 100, memory);
    let leaving = CancellationToken::new();
    let watching = tokio::spawn(Arc::clone(&admission).watch_memory(leaving.clone()));
    let mut waiting = admission.enter(plain()).unwrap();
    assert_eq!(standing(&waiting), Some((1, QueueReason::Memory)));
    available.store(100, Ordering::Relaxed);
    let grant = tokio::time::timeout(SOON, waiting.granted()).await.expect("memory is looked at again");
    assert_eq!(standing(&waiting), None);
    assert!(!*admission.short.borrow(), "nobody looks any more");
    drop(grant);
    leaving.cancel();
    watching.await.unwrap();
}

#[test]
fn where_memory_cannot_be_told_or_has_no_floor_it_bounds_nothing() {
    for (floor, available) in [(100, None), (0, Some(0))] {
        let admission =
            Admission::with_memory(|limits| limits.memory_floor_bytes = floor, Memory::read_by(move || available));
        assert!(admission.enter(plain()).unwrap().try_granted().is_some());
    }
}

#[test]
fn the_line_rings_when_it_moves() {
    let admission = Admission::of(|limits| limits.slots = count(1));
    let mut moves = admission.moves();
    let mut rings = || {
        let rings = moves.has_changed().unwrap();
        moves.mark_unchanged();
        rings
    };
    let mut first = admission.enter(plain()).unwrap();
    assert!(!rings(), "nobody waits");
    let _second = admission.enter(plain()).unwrap();
    assert!(rings());
    let _third = admission.enter(plain()).unwrap();
    assert!(rings());
    drop(first.try_granted());
    assert!(rings(), "one goes, and the other is the next");
}
