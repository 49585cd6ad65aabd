//! The rules of keeping and forgetting: lists, purges, and the store opened anew.

use std::{collections::HashSet, sync::Arc};

use comet_task_runner::{
    job::{TaskId, WallTime},
    ledger::{Appended, Fault, Health, ListQuery, Position, ReadError, RequestKey, TailEntry},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Store, append, committed, id_of, jobs, last, lived, whole_tail, within};
use crate::lives::{BORN_AT, RETENTION, life, life_from};

pub(crate) async fn the_unsettled_are_found_oldest_first(store: &impl Store) {
    let ledger = store.open();
    let born = |step: u64| life_from(WallTime::from_micros(BORN_AT + step));
    let (late, early, over) = (born(900), born(100), born(0));
    let _late = lived(&*ledger, &late[..5]).await;
    let _early = lived(&*ledger, &early[..8]).await;
    lived(&*ledger, &over).await;
    assert!(early[7].job.status.is_terminal(), "over, but its browser still lives");
    let expected = vec![Arc::clone(&early[7].job), Arc::clone(&late[4].job)];
    assert_eq!(within(ledger.unsettled()).await, Ok(expected));
    within(ledger.close()).await;
}

pub(crate) async fn a_purge_forgets_what_has_expired_and_nothing_else(store: &impl Store) {
    let ledger = store.open();
    let (old, young) = (life(), life_from(WallTime::from_micros(BORN_AT + 1000)));
    let (live, open) = (life(), life());
    let mut requested = old.clone();
    let key = RequestKey { id: Uuid::now_v7(), hash: [3; 32] };
    requested[0].request_key = Some(key);
    lived(&*ledger, &requested).await;
    lived(&*ledger, &young).await;
    lived(&*ledger, &live[..5]).await;
    lived(&*ledger, &open[..8]).await;
    let expiry = last(&old).expires_at().unwrap();
    assert_eq!(expiry, old[5].job.updated_at.saturating_add(RETENTION), "counted from its end");

    let early = WallTime::from_micros(expiry.micros() - 1);
    let nothing = within(ledger.purge(early, 100)).await.unwrap();
    assert_eq!((nothing.removed, nothing.next_expiry), (Vec::new(), Some(expiry)));

    let purged = within(ledger.purge(expiry, 100)).await.unwrap();
    assert_eq!((purged.removed, purged.next_expiry), (vec![id_of(&old)], last(&young).expires_at()));
    assert_eq!(within(ledger.latest(id_of(&old))).await, Ok(None));
    assert!(within(ledger.open(id_of(&old))).await.unwrap().is_none());
    assert_eq!(within(ledger.find_request(key.id)).await, Ok(None), "its request may be made anew");

    let far = WallTime::from_micros(u64::MAX);
    let purged = within(ledger.purge(far, 100)).await.unwrap();
    assert_eq!((purged.removed, purged.next_expiry), (vec![id_of(&young)], None));
    for (live, len) in [(live, 5), (open, 8)] {
        assert_eq!(within(ledger.history(id_of(&live), 0)).await, Ok(jobs(&live[..len])));
    }
    within(ledger.close()).await;
}

pub(crate) async fn too_many_jobs_lose_those_that_expire_first(store: &impl Store) {
    let ledger = store.open();
    let lives: Vec<_> = (0..4).map(|step| life_from(WallTime::from_micros(BORN_AT + 100 * step))).collect();
    for life in lives.iter().rev() {
        lived(&*ledger, life).await;
    }
    let _live = lived(&*ledger, &life()[..3]).await;
    let purged = within(ledger.purge(WallTime::from_micros(BORN_AT), 3)).await.unwrap();
    assert_eq!(purged.removed, [id_of(&lives[0]), id_of(&lives[1])]);
    assert_eq!(purged.next_expiry, last(&lives[2]).expires_at());
    within(ledger.close()).await;
}

pub(crate) async fn a_purge_of_thousands_leaves_none_behind(store: &impl Store) {
    const JOBS: usize = 1200;
    let ledger = store.open();
    let mut writing = JoinSet::new();
    for _ in 0..JOBS {
        let ledger = Arc::clone(&ledger);
        writing.spawn(async move {
            let life = life();
            lived(&*ledger, &life).await;
            id_of(&life)
        });
    }
    let ids: HashSet<TaskId> = within(writing.join_all()).await.into_iter().collect();
    let purged = within(ledger.purge(WallTime::from_micros(u64::MAX), 100_000)).await.unwrap();
    assert_eq!(purged.removed.len(), JOBS);
    assert_eq!(purged.removed.into_iter().collect::<HashSet<_>>(), ids);
    assert_eq!(within(ledger.list(ListQuery::default())).await, Ok(Vec::new()));
    within(ledger.close()).await;
}

pub(crate) async fn a_removal_follows_in_the_tail_and_takes_the_changes_away(store: &impl Store) {
    let ledger = store.open();
    let (gone, kept) = (life(), life());
    lived(&*ledger, &gone).await;
    committed(&*ledger, &kept[0]).await;
    let mut bell = ledger.tail_bell();
    bell.mark_unchanged();
    within(ledger.purge(WallTime::from_micros(u64::MAX), 100)).await.unwrap();
    within(bell.changed()).await.unwrap();
    committed(&*ledger, &kept[1]).await;
    let expected = [
        (Position::new(10), TailEntry::Change(Arc::clone(&kept[0].job))),
        (Position::new(11), TailEntry::Removed(id_of(&gone))),
        (Position::new(12), TailEntry::Change(Arc::clone(&kept[1].job))),
    ];
    assert_eq!(whole_tail(&*ledger).await, expected);
    within(ledger.close()).await;
}

pub(crate) async fn everything_is_there_after_it_was_opened_anew(store: &impl Store) {
    let ledger = store.open();
    let (id, mut one, two) = (ledger.id(), life(), life());
    let key = RequestKey { id: Uuid::now_v7(), hash: [9; 32] };
    one[0].request_key = Some(key);
    lived(&*ledger, &one).await;
    lived(&*ledger, &two[..4]).await;
    lived(&*ledger, &life()).await;
    within(ledger.purge(last(&one).expires_at().unwrap(), 2)).await.unwrap();
    let before = (whole_tail(&*ledger).await, *ledger.tail_bell().borrow());
    within(ledger.close()).await;

    let ledger = store.open();
    assert_eq!(ledger.id(), id);
    assert_eq!((whole_tail(&*ledger).await, *ledger.tail_bell().borrow()), before);
    assert_eq!(within(ledger.unsettled()).await, Ok(vec![Arc::clone(&two[3].job)]));
    assert!(matches!(append(&*ledger, &two[3]).await, Appended::Known(_)));
    let log = committed(&*ledger, &two[4]).await;
    assert_eq!(log.all_after(0), jobs(&two[..5]), "the log is whole although it was loaded");
    assert_eq!(whole_tail(&*ledger).await.last().unwrap().0.number(), before.1.number() + 1);
    within(ledger.close()).await;
}

pub(crate) async fn a_closed_ledger_says_so_and_has_decided_everything(store: &impl Store) {
    let ledger = store.open();
    let lives: Vec<_> = (0..200).map(|_| life()).collect();
    let mut writing = JoinSet::new();
    for life in lives.clone() {
        let ledger = Arc::clone(&ledger);
        writing.spawn(async move { append(&*ledger, &life[0]).await });
    }
    within(ledger.tail_bell().wait_for(|position| *position > Position::START)).await.unwrap();
    within(ledger.close()).await;
    let mut acknowledged = 0;
    for appended in within(writing.join_all()).await {
        match appended {
            Appended::Committed(_) => acknowledged += 1,
            Appended::Unknown(Fault::Closed) => {}
            other => panic!("neither decided nor refused: {other:?}"),
        }
    }
    assert!(matches!(append(&*ledger, &lives[0][0]).await, Appended::Unknown(Fault::Closed)));
    let refused = within(ledger.latest(id_of(&lives[0]))).await;
    // What somebody still holds can still be read; the store itself is gone.
    assert!(matches!(refused, Ok(Some(_)) | Err(ReadError::Store(Fault::Closed))), "{refused:?}");
    assert_eq!(within(ledger.unsettled()).await, Err(ReadError::Store(Fault::Closed)));
    assert_eq!(*ledger.health().borrow(), Health::Refusing(Fault::Closed));
    within(ledger.close()).await;

    let ledger = store.open();
    assert_eq!(within(ledger.unsettled()).await.unwrap().len(), acknowledged);
    within(ledger.close()).await;
}
