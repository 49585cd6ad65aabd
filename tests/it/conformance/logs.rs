//! The rules of live logs: bells, holders, callers that vanish.

use std::sync::Arc;

use comet_task_runner::ledger::Position;
use tokio::task::JoinSet;

use super::{Store, committed, id_of, jobs, lived, within};
use crate::lives::life;

pub(crate) async fn a_bell_rings_only_for_what_can_be_read(store: &impl Store) {
    let ledger = store.open();
    let life = life();
    let log = committed(&*ledger, &life[0]).await;
    let (mut bell, mut tail_bell) = (log.bell(), ledger.tail_bell());
    bell.mark_unchanged();
    let reader = {
        let (ledger, log) = (Arc::clone(&ledger), Arc::clone(&log));
        tokio::spawn(async move {
            let mut seen = 1;
            while seen < 9 {
                within(bell.changed()).await.unwrap();
                let rung = *bell.borrow_and_update();
                assert!(log.latest().revision >= rung, "in the log before the bell");
                let stored = within(ledger.tail(Position::START, 100)).await.unwrap().len();
                assert!(u64::try_from(stored).unwrap() >= rung, "in the store before the bell");
                seen = rung;
            }
        })
    };
    let tail_reader = {
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move {
            while tail_bell.borrow_and_update().number() < 9 {
                within(tail_bell.changed()).await.unwrap();
                let rung = *tail_bell.borrow_and_update();
                let before = Position::new(rung.number() - 1);
                assert_eq!(within(ledger.tail(before, 1)).await.unwrap()[0].0, rung);
            }
        })
    };
    for change in &life[1..] {
        committed(&*ledger, change).await;
    }
    reader.await.unwrap();
    tail_reader.await.unwrap();
    within(ledger.close()).await;
}

pub(crate) async fn a_log_opened_while_changes_come_has_no_hole(store: &impl Store) {
    const ROUNDS: usize = 300;
    let ledger = store.open();
    for round in 0..ROUNDS {
        let life = Arc::new(life());
        let begun = round % 9;
        for change in &life[..begun] {
            // Nobody holds the log, so it has to be loaded.
            drop(committed(&*ledger, change).await);
        }
        let writing = {
            let (ledger, life) = (Arc::clone(&ledger), Arc::clone(&life));
            tokio::spawn(async move { drop(lived(&*ledger, &life[begun..]).await) })
        };
        let mut openers = JoinSet::new();
        for _ in 0..3 {
            let (ledger, life) = (Arc::clone(&ledger), Arc::clone(&life));
            openers.spawn(async move {
                let log = loop {
                    // It may not exist yet; the tail's bell says when it might.
                    let mut bell = ledger.tail_bell();
                    match within(ledger.open(id_of(&life))).await.unwrap() {
                        Some(log) => break log,
                        None => within(bell.changed()).await.unwrap(),
                    }
                };
                let mut bell = log.bell();
                within(bell.wait_for(|revision| *revision == 9)).await.unwrap();
                assert_eq!(log.all_after(0), jobs(&life));
            });
        }
        within(openers.join_all()).await;
        writing.await.unwrap();
    }
    within(ledger.close()).await;
}

pub(crate) async fn a_log_leaves_memory_with_its_last_holder(store: &impl Store) {
    let ledger = store.open();
    let life = life();
    let id = id_of(&life);
    let written = lived(&*ledger, &life).await;
    let opened = within(ledger.open(id)).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&written, &opened), "one log for all who hold it");
    let gone = Arc::downgrade(&written);
    drop((written, opened));
    assert_eq!(gone.strong_count(), 0, "the ledger holds none itself");
    let reloaded = within(ledger.open(id)).await.unwrap().unwrap();
    assert_eq!(reloaded.all_after(0), jobs(&life));
    assert_eq!(*reloaded.bell().borrow(), 9);
    within(ledger.close()).await;
}

pub(crate) async fn a_change_whose_caller_vanished_is_made_and_rung_for(store: &impl Store) {
    let ledger = store.open();
    let life = life();
    let log = committed(&*ledger, &life[0]).await;
    for change in &life[1..] {
        let mut bell = log.bell();
        // Polled once, so that it is handed over, then dropped.
        tokio::select! {
            biased;
            _ = ledger.append(change.clone()) => {}
            () = std::future::ready(()) => {}
        }
        within(bell.wait_for(|revision| *revision == change.job.revision)).await.unwrap();
    }
    assert_eq!(log.all_after(0), jobs(&life));
    within(ledger.close()).await;
}

pub(crate) async fn an_unknown_outcome_is_settled_by_its_event(store: &impl Store) {
    let ledger = store.open();
    let life = life();
    let id = id_of(&life);
    let _log = committed(&*ledger, &life[0]).await;
    // The answer is lost, the change is not: it was handed over, and the search comes after it.
    tokio::select! {
        biased;
        _ = ledger.append(life[1].clone()) => {}
        () = std::future::ready(()) => {}
    }
    assert_eq!(within(ledger.find_event(id, life[1].event_id)).await, Ok(Some(Arc::clone(&life[1].job))));
    // It was never handed over: a future that is not polled does nothing.
    drop(ledger.append(life[2].clone()));
    assert_eq!(within(ledger.find_event(id, life[2].event_id)).await, Ok(None));
    committed(&*ledger, &life[2]).await;
    within(ledger.close()).await;
}
