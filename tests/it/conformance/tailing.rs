//! The rules of following: a snapshot, and the tail after it, wherever that is read from.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use comet_task_runner::{
    job::WallTime,
    ledger::{Ledger, Position, TailEntry},
};
use tokio::task::JoinSet;

use super::{Store, id_of, lived, within};
use crate::lives::{BORN_AT, life, life_from};

/// Writes whole lives, several at a time.
fn write_lives(ledger: &Arc<dyn Ledger>, writers: usize, each: usize) -> JoinSet<()> {
    let mut writing = JoinSet::new();
    for _ in 0..writers {
        let ledger = Arc::clone(ledger);
        writing.spawn(async move {
            for _ in 0..each {
                lived(&*ledger, &life()).await;
            }
        });
    }
    writing
}

pub(crate) async fn a_snapshot_and_the_tail_after_it_leave_no_gap_and_repeat_nothing(store: &impl Store) {
    const LIVES: usize = 8 * 12;
    let ledger = store.open();
    let end = Position::new(u64::try_from(LIVES * 9).unwrap());
    let writing = write_lives(&ledger, 8, 12);
    let mut following = JoinSet::new();
    let mut bell = ledger.tail_bell();
    let mut begun = 0;
    while *bell.borrow_and_update() < end {
        let ledger = Arc::clone(&ledger);
        begun += 1;
        following.spawn(async move {
            let snapshot = within(ledger.snapshot(Arc::default(), Some(WallTime::from_micros(0)))).await.unwrap();
            let mut revisions = HashMap::new();
            for job in within(ledger.changes_at(snapshot.heads)).await.unwrap() {
                assert_eq!(revisions.insert(job.id, job.revision), None);
            }
            let mut told = snapshot.position;
            let mut bell = ledger.tail_bell();
            while told < end {
                bell.mark_unchanged();
                let entries = within(ledger.tail(told, 16)).await.unwrap();
                if entries.is_empty() {
                    within(bell.changed()).await.unwrap();
                }
                for (position, entry) in entries {
                    let TailEntry::Change(job) = entry else { panic!("nothing was removed") };
                    let known = revisions.insert(job.id, job.revision).unwrap_or(0);
                    assert_eq!((position.number(), job.revision), (told.number() + 1, known + 1));
                    told = position;
                }
            }
            assert!(revisions.len() == LIVES && revisions.values().all(|revision| *revision == 9));
        });
        within(bell.changed()).await.unwrap();
    }
    within(writing.join_all()).await;
    within(following.join_all()).await;
    assert!(begun > 10, "snapshots at {begun} moments only");
    within(ledger.close()).await;
}

pub(crate) async fn a_snapshot_is_rung_for_when_it_is_answered(store: &impl Store) {
    let ledger = store.open();
    let writing = write_lives(&ledger, 4, 10);
    let end = Position::new(4 * 10 * 9);
    loop {
        let snapshot = within(ledger.snapshot(Arc::default(), None)).await.unwrap();
        assert!(snapshot.position <= *ledger.tail_bell().borrow());
        assert!(within(ledger.tail(snapshot.position, 1)).await.is_ok(), "not ahead");
        if snapshot.position == end {
            break;
        }
    }
    within(writing.join_all()).await;
    within(ledger.close()).await;
}

pub(crate) async fn the_tail_is_the_same_from_memory_and_from_the_store(store: &impl Store) {
    // Enough that no memory holds them all, and some of them forgotten, early and late.
    const LIVES: usize = 8 * 20;
    const KEPT: u64 = 130;
    let ledger = store.open();
    let brief = || life_from(WallTime::from_micros(BORN_AT - 1));
    let (first, late, long_kept) = (brief(), brief(), life());
    lived(&*ledger, &first).await;
    lived(&*ledger, &long_kept[..7]).await;
    within(write_lives(&ledger, 8, LIVES / 8).join_all()).await;
    lived(&*ledger, &late).await;
    within(ledger.purge(WallTime::from_micros(BORN_AT), KEPT)).await.unwrap();
    lived(&*ledger, &long_kept[7..]).await;
    lived(&*ledger, &life()[..5]).await;
    let before = tails(&*ledger).await;
    within(ledger.close()).await;

    let ledger = store.open();
    let after = tails(&*ledger).await;
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
    for gone in [first, late] {
        let of_it = |entry: &TailEntry| match entry {
            TailEntry::Change(job) => job.id == id_of(&gone),
            TailEntry::Removed(id) => *id == id_of(&gone),
        };
        let told: HashSet<_> = before.iter().flatten().filter(|(_, entry)| of_it(entry)).map(|(at, _)| at).collect();
        assert_eq!(told.len(), 1, "its removal alone");
    }
    within(ledger.close()).await;
}

/// The tail from each of many places.
async fn tails(ledger: &dyn Ledger) -> Vec<Vec<(Position, TailEntry)>> {
    let end = ledger.tail_bell().borrow().number();
    let mut read = Vec::new();
    for after in (0..=end).rev().step_by(7) {
        for limit in [1, 10] {
            read.push(within(ledger.tail(Position::new(after), limit)).await.unwrap());
        }
    }
    read
}
