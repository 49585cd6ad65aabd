//! What every ledger promises: each rule runs against a store that can be opened again and again.

use std::{collections::HashSet, future::Future, sync::Arc, time::Duration};

use comet_task_runner::{
    job::{Job, TaskId, WallTime},
    ledger::{Append, Appended, Fault, Health, JobLog, Ledger, Position, ReadError, RequestKey, TailEntry},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::lives::{BORN_AT, RETENTION, life, life_from};

/// A store on which the rules are tried. Empty at first; opened anew, it is what it was when it was closed.
pub(crate) trait Store {
    fn open(&self) -> Arc<dyn Ledger>;
}

/// Far longer than anything here takes on a busy machine; reached only when something hangs.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("answered within the deadline")
}

async fn append(ledger: &dyn Ledger, append: &Append) -> Appended {
    within(ledger.append(append.clone())).await
}

pub(crate) async fn committed(ledger: &dyn Ledger, change: &Append) -> Arc<JobLog> {
    match append(ledger, change).await {
        Appended::Committed(log) => log,
        other => panic!("not committed: {other:?}"),
    }
}

/// Appends a life, or a part of one. The log is held by whoever takes it.
pub(crate) async fn lived(ledger: &dyn Ledger, life: &[Append]) -> Arc<JobLog> {
    let mut log = None;
    for change in life {
        log = Some(committed(ledger, change).await);
    }
    log.expect("a life has changes")
}

pub(crate) fn jobs(life: &[Append]) -> Vec<Arc<Job>> {
    life.iter().map(|change| Arc::clone(&change.job)).collect()
}

pub(crate) fn id_of(life: &[Append]) -> TaskId {
    life[0].job.id
}

fn last(life: &[Append]) -> Arc<Job> {
    Arc::clone(&life.last().unwrap().job)
}

/// The tail from its start, read three entries at a time so that the seams are tried too.
pub(crate) async fn whole_tail(ledger: &dyn Ledger) -> Vec<(Position, TailEntry)> {
    let mut entries: Vec<(Position, TailEntry)> = Vec::new();
    loop {
        let after = entries.last().map_or(Position::START, |(position, _)| *position);
        let more = within(ledger.tail(after, 3)).await.unwrap();
        if more.is_empty() {
            return entries;
        }
        assert!(more.len() <= 3, "no more than were asked for");
        entries.extend(more);
    }
}

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

pub(crate) async fn jobs_are_listed_newest_first_page_by_page(store: &impl Store) {
    let ledger = store.open();
    let lives: Vec<_> = (0..5).map(|_| life()).collect();
    for life in &lives {
        committed(&*ledger, &life[0]).await;
        committed(&*ledger, &life[1]).await;
    }
    let mut newest_first: Vec<_> = lives.iter().map(|life| Arc::clone(&life[1].job)).collect();
    newest_first.sort_by_key(|job| std::cmp::Reverse(job.id));
    let mut listed: Vec<Arc<Job>> = Vec::new();
    loop {
        let page = within(ledger.list(listed.last().map(|job| job.id), 2)).await.unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    assert_eq!(listed, newest_first);
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
    assert_eq!(within(ledger.list(None, 10)).await, Ok(Vec::new()));
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
