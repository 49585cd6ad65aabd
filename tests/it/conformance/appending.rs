//! The rules of appending: what is taken, what is refused, in which order it stands.

use std::sync::Arc;

use comet_task_runner::ledger::{Append, Appended, Position, ReadError, RequestKey, TailEntry};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Store, append, committed, id_of, jobs, last, lived, whole_tail, within};
use crate::lives::life;

pub(crate) async fn a_life_is_read_back_as_it_was_appended(store: &impl Store) {
    let ledger = store.open();
    let life = life();
    let id = id_of(&life);
    let log = lived(&*ledger, &life).await;
    assert_eq!(log.id(), id);
    assert_eq!(log.all_after(0), jobs(&life));
    assert_eq!(log.all_after(7), jobs(&life[7..]));
    assert_eq!(log.after(3), Some(Arc::clone(&life[3].job)));
    assert_eq!(log.after(9), None);
    assert_eq!(log.after(u64::MAX), None);
    assert_eq!(log.latest(), last(&life));
    // From memory while it is held, from the store afterwards: the same either way.
    for log in [Some(log), None] {
        assert_eq!(within(ledger.latest(id)).await, Ok(Some(last(&life))));
        assert_eq!(within(ledger.history(id, 0)).await, Ok(jobs(&life)));
        assert_eq!(within(ledger.history(id, 7)).await, Ok(jobs(&life[7..])));
        assert_eq!(within(ledger.history(id, 99)).await, Ok(Vec::new()));
        drop(log);
    }
    within(ledger.close()).await;
}

pub(crate) async fn an_unknown_job_is_none_everywhere(store: &impl Store) {
    let ledger = store.open();
    let life = life();
    let id = id_of(&life);
    assert_eq!(within(ledger.latest(id)).await, Ok(None));
    assert_eq!(within(ledger.history(id, 0)).await, Ok(Vec::new()));
    assert!(within(ledger.open(id)).await.unwrap().is_none());
    assert_eq!(within(ledger.find_event(id, life[0].event_id)).await, Ok(None));
    assert_eq!(within(ledger.find_request(Uuid::now_v7())).await, Ok(None));
    assert!(matches!(append(&*ledger, &life[1]).await, Appended::Conflict(None)));
    assert_eq!(whole_tail(&*ledger).await, []);
    within(ledger.close()).await;
}

pub(crate) async fn a_change_to_another_revision_is_told_the_latest(store: &impl Store) {
    let ledger = store.open();
    let (mine, theirs) = (life(), life());
    let _log = lived(&*ledger, &mine[..2]).await;
    let again = Append { event_id: theirs[0].event_id, ..mine[0].clone() };
    let skipped = mine[3].clone();
    for stray in [again, skipped] {
        let Appended::Conflict(Some(latest)) = append(&*ledger, &stray).await else { panic!("taken: {stray:?}") };
        assert_eq!(latest, mine[1].job);
    }
    assert_eq!(within(ledger.history(id_of(&mine), 0)).await, Ok(jobs(&mine[..2])));
    within(ledger.close()).await;
}

pub(crate) async fn an_event_is_in_a_job_once(store: &impl Store) {
    let ledger = store.open();
    let life = life();
    let _log = lived(&*ledger, &life[..4]).await;
    for repeated in &life[..4] {
        let Appended::Known(latest) = append(&*ledger, repeated).await else { panic!("taken: {repeated:?}") };
        assert_eq!(latest, life[3].job);
    }
    // Also when it comes back as a change that would fit.
    let relabelled = Append { event_id: life[1].event_id, ..life[4].clone() };
    assert!(matches!(append(&*ledger, &relabelled).await, Appended::Known(_)));
    assert_eq!(within(ledger.history(id_of(&life), 0)).await, Ok(jobs(&life[..4])));
    // Another job may have an event of the same name.
    let other = self::life();
    let shared = Append { event_id: life[0].event_id, ..other[0].clone() };
    committed(&*ledger, &shared).await;
    within(ledger.close()).await;
}

pub(crate) async fn a_request_makes_one_job_however_many_ask_at_once(store: &impl Store) {
    let ledger = store.open();
    let key = RequestKey { id: Uuid::now_v7(), hash: [7; 32] };
    let mut asking = JoinSet::new();
    for _ in 0..16 {
        let ledger = Arc::clone(&ledger);
        let first = Append { request_key: Some(key), ..life()[0].clone() };
        asking.spawn(async move { append(&*ledger, &first).await });
    }
    let (mut made, mut told) = (Vec::new(), Vec::new());
    for appended in within(asking.join_all()).await {
        match appended {
            Appended::Committed(log) => made.push(log.latest()),
            Appended::RequestKnown { job, hash } => told.push((job, hash)),
            other => panic!("neither made nor told: {other:?}"),
        }
    }
    assert_eq!(made.len(), 1);
    assert_eq!(told, vec![(Arc::clone(&made[0]), key.hash); 15]);
    assert_eq!(within(ledger.find_request(key.id)).await, Ok(Some((Arc::clone(&made[0]), key.hash))));
    assert_eq!(whole_tail(&*ledger).await.len(), 1, "the others left nothing behind");
    within(ledger.close()).await;
}

pub(crate) async fn a_request_is_known_by_its_job_at_its_latest(store: &impl Store) {
    let ledger = store.open();
    let key = RequestKey { id: Uuid::now_v7(), hash: [1; 32] };
    let mut first = life();
    first[0].request_key = Some(key);
    let _log = lived(&*ledger, &first[..3]).await;
    let mut second = life();
    second[0].request_key = Some(RequestKey { hash: [2; 32], ..key });
    let Appended::RequestKnown { job, hash } = append(&*ledger, &second[0]).await else { panic!("taken twice") };
    assert_eq!((job, hash), (Arc::clone(&first[2].job), [1; 32]));
    assert_eq!(within(ledger.latest(id_of(&second))).await, Ok(None));
    within(ledger.close()).await;
}

pub(crate) async fn of_many_who_change_one_job_one_wins_each_revision(store: &impl Store) {
    const CALLERS: usize = 64;
    let ledger = store.open();
    let life = Arc::new(life());
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (ledger, life) = (Arc::clone(&ledger), Arc::clone(&life));
        callers.spawn(async move {
            let mut won = Vec::new();
            for change in life.iter() {
                let mine = Append { event_id: self::life()[0].event_id, ..change.clone() };
                match append(&*ledger, &mine).await {
                    Appended::Committed(_) => won.push(change.job.revision),
                    Appended::Conflict(latest) => {
                        let latest = latest.expect("the job exists by now").revision;
                        assert!(latest >= change.job.revision, "a loser sees at least what it lost to");
                    }
                    other => panic!("neither won nor lost: {other:?}"),
                }
            }
            won
        });
    }
    let mut won: Vec<u64> = within(callers.join_all()).await.concat();
    won.sort_unstable();
    assert_eq!(won, (1..=9).collect::<Vec<_>>());
    assert_eq!(within(ledger.history(id_of(&life), 0)).await, Ok(jobs(&life)));
    within(ledger.close()).await;
}

pub(crate) async fn many_callers_each_see_their_own_changes_at_once(store: &impl Store) {
    const CALLERS: usize = 64;
    let ledger = store.open();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let ledger = Arc::clone(&ledger);
        callers.spawn(async move {
            let life = life();
            for (nth, change) in life.iter().enumerate() {
                let log = committed(&*ledger, change).await;
                assert_eq!(log.all_after(0), jobs(&life[..=nth]));
                drop(log);
                assert_eq!(within(ledger.latest(id_of(&life))).await, Ok(Some(Arc::clone(&change.job))));
            }
            life
        });
    }
    let lives = within(callers.join_all()).await;
    let tail = whole_tail(&*ledger).await;
    let positions: Vec<u64> = tail.iter().map(|(position, _)| position.number()).collect();
    assert_eq!(positions, (1..=9 * 64).collect::<Vec<_>>(), "no holes");
    for life in lives {
        let of_it = tail.iter().filter_map(|(_, entry)| match entry {
            TailEntry::Change(job) if job.id == id_of(&life) => Some(Arc::clone(job)),
            TailEntry::Change(_) | TailEntry::Removed(_) => None,
        });
        assert_eq!(of_it.collect::<Vec<_>>(), jobs(&life), "each job's changes in its order");
    }
    within(ledger.close()).await;
}

pub(crate) async fn the_tail_holds_the_commits_in_their_order(store: &impl Store) {
    let ledger = store.open();
    let (one, two) = (life(), life());
    let mut expected = Vec::new();
    for (change, other) in one.iter().zip(&two) {
        for change in [change, other] {
            committed(&*ledger, change).await;
            expected.push(TailEntry::Change(Arc::clone(&change.job)));
            assert_eq!(ledger.tail_bell().borrow().number(), u64::try_from(expected.len()).unwrap());
        }
    }
    let entries: Vec<TailEntry> = whole_tail(&*ledger).await.into_iter().map(|(_, entry)| entry).collect();
    assert_eq!(entries, expected);
    within(ledger.close()).await;
}

pub(crate) async fn a_position_that_was_never_reached_is_ahead(store: &impl Store) {
    let ledger = store.open();
    committed(&*ledger, &life()[0]).await;
    assert_eq!(within(ledger.tail(Position::new(1), 10)).await, Ok(Vec::new()));
    let ahead = Position::new(2);
    assert_eq!(within(ledger.tail(ahead, 10)).await, Err(ReadError::PositionAhead(ahead)));
    within(ledger.close()).await;
}
