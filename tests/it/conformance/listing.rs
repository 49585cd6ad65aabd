//! The rules of lists and snapshots: what is in them, in which order, page by page.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use comet_task_runner::{
    job::{Job, Spec, Status, TaskId, TaskUrl, WallTime},
    ledger::{Answer, JobFilter, Ledger, ListOrder, ListQuery, Position, ReadError},
};
use proptest::{collection, option, prelude::*, sample::select, strategy::ValueTree, test_runner::TestRunner};
use tokio::{runtime::Handle, task::block_in_place};

use super::{Store, committed, id_of, last, lived, within};
use crate::lives::{BORN_AT, life, life_from, life_of, spec};

pub(crate) async fn jobs_are_listed_in_both_orders_page_by_page(store: &impl Store) {
    let ledger = store.open();
    let lives: Vec<_> = (0..5).map(|_| life()).collect();
    for life in &lives {
        committed(&*ledger, &life[0]).await;
        committed(&*ledger, &life[1]).await;
    }
    let mut expected: Vec<_> = lives.iter().map(|life| Arc::clone(&life[1].job)).collect();
    expected.sort_by_key(|job| job.id);
    for order in [ListOrder::OldestFirst, ListOrder::NewestFirst] {
        let mut listed: Vec<Arc<Job>> = Vec::new();
        loop {
            let after = listed.last().map(|job| job.id);
            let query = ListQuery { order, after, limit: 2, ..ListQuery::default() };
            let page = within(ledger.list(query)).await.unwrap();
            assert!(page.len() <= 2);
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        assert_eq!(listed, expected);
        expected.reverse();
    }
    within(ledger.close()).await;
}

/// Few enough values that filters of them meet jobs.
const TEAMS: [&str; 3] = ["blue", "red", "it's \"'; --"];
const STAGES: [&str; 2] = ["", "test"];
const URLS: [&str; 4] = ["http://a.test/", "http://a.test/one?q=%C3%A9", "https://b.test/ONE", "http://a.test/one"];
const PARTS: [&str; 6] = ["", "a.test", "one", "ONE", "%C3%A9", "\\'%_"];

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    let label = |key: &str, values: &'static [&'static str]| {
        let key = key.to_owned();
        option::of(select(values)).prop_map(move |value| value.map(|value| (key.clone(), value.to_owned())))
    };
    (label("team", &TEAMS), label("stage", &STAGES)).prop_map(|(team, stage)| team.into_iter().chain(stage).collect())
}

/// A wish, when it was accepted, and how far its job has come.
fn job() -> impl Strategy<Value = (Spec, u64, usize)> {
    (labels(), select(&URLS), 0..20_u64, 1..=9_usize).prop_map(|(labels, url, born, len)| {
        (Spec { labels, url: TaskUrl::parse(url).unwrap(), ..spec() }, born * 10, len)
    })
}

fn filter(ids: Vec<TaskId>) -> impl Strategy<Value = JobFilter> {
    // Unknown ids match nothing, also when there are only such.
    let known = collection::btree_set(select(ids), 1..10);
    let task_ids = prop_oneof![
        4 => Just(BTreeSet::new()),
        2 => known,
        1 => Just(BTreeSet::from([TaskId::new(uuid::Uuid::from_u128(7))])),
    ];
    let time = || option::weighted(0.3, (0..220_u64).prop_map(|step| WallTime::from_micros(BORN_AT + step)));
    (task_ids, labels(), time(), time(), select(&PARTS)).prop_map(
        |(task_ids, labels, created_from, created_before, part)| JobFilter {
            task_ids,
            labels,
            created_from,
            created_before,
            url_contains: part.to_owned(),
        },
    )
}

fn query(ids: Vec<TaskId>) -> impl Strategy<Value = ListQuery> {
    let order = select(&[ListOrder::NewestFirst, ListOrder::OldestFirst]);
    let statuses = prop_oneof![Just(Vec::new()), collection::vec(select(&Status::ALL), 1..4)];
    let after = option::of(select(ids.clone()));
    (filter(ids), statuses, order, after, select(&[0, 1, 3, usize::MAX])).prop_map(
        |(filter, statuses, order, after, limit)| ListQuery { filter: Arc::new(filter), statuses, order, after, limit },
    )
}

pub(crate) async fn a_list_holds_exactly_what_matches(store: &impl Store) {
    let ledger = store.open();
    let mut runner = TestRunner::default();
    let mut oldest_first = Vec::new();
    for _ in 0..60 {
        let (spec, born, len) = job().new_tree(&mut runner).unwrap().current();
        let life = life_of(spec, WallTime::from_micros(BORN_AT + born));
        lived(&*ledger, &life[..len]).await;
        oldest_first.push(Arc::clone(&life[len - 1].job));
    }
    oldest_first.sort_by_key(|job| job.id);
    let ids: Vec<_> = oldest_first.iter().map(|job| job.id).collect();
    let checked = runner.run(&query(ids), |query| {
        let mut expected: Vec<_> = oldest_first.iter().filter(|job| query.matches(job)).map(Arc::clone).collect();
        if query.order == ListOrder::NewestFirst {
            expected.reverse();
        }
        expected.truncate(query.limit);
        let listed = now(&*ledger, |ledger| ledger.list(query.clone()));
        prop_assert_eq!(&listed, &expected);
        if query.statuses.is_empty() && query.after.is_none() && query.limit == usize::MAX {
            let snapshot =
                now(&*ledger, |ledger| ledger.snapshot(Arc::clone(&query.filter), Some(WallTime::from_micros(0))));
            let mut jobs = now(&*ledger, |ledger| ledger.changes_at(snapshot.heads.clone()));
            if query.order == ListOrder::NewestFirst {
                jobs.reverse();
            }
            prop_assert_eq!(&jobs, &expected);
        }
        Ok(())
    });
    checked.unwrap();
    within(ledger.close()).await;
}

/// An answer of the ledger, from within a test that is not async itself.
fn now<'a, T>(ledger: &'a dyn Ledger, ask: impl FnOnce(&'a dyn Ledger) -> Answer<'a, Result<T, ReadError>>) -> T {
    block_in_place(|| Handle::current().block_on(within(ask(ledger)))).unwrap()
}

pub(crate) async fn a_snapshot_holds_what_is_live_or_has_finished_lately(store: &impl Store) {
    let ledger = store.open();
    let born = |step: u64| life_from(WallTime::from_micros(BORN_AT + step));
    let (queued, running, open, early, late) = (born(0), born(0), born(0), born(100), born(200));
    lived(&*ledger, &queued[..1]).await;
    lived(&*ledger, &running[..4]).await;
    lived(&*ledger, &open[..8]).await;
    lived(&*ledger, &early).await;
    lived(&*ledger, &late).await;
    assert!(open[7].job.status.is_terminal(), "over, but its browser still lives");
    let live = vec![Arc::clone(&queued[0].job), Arc::clone(&running[3].job), Arc::clone(&open[7].job)];
    let finish = |life: &[_]| last(life).finished_at.unwrap().micros();
    let cases = [
        (None, live.clone()),
        (Some(finish(&late) + 1), live.clone()),
        (Some(finish(&late)), [live.clone(), vec![last(&late)]].concat()),
        (Some(finish(&early)), [live, vec![last(&early), last(&late)]].concat()),
    ];
    for (since, mut expected) in cases {
        expected.sort_by_key(|job| job.id);
        let snapshot = within(ledger.snapshot(Arc::default(), since.map(WallTime::from_micros))).await.unwrap();
        assert_eq!(snapshot.position, Position::new(1 + 4 + 8 + 9 + 9));
        assert_eq!(within(ledger.changes_at(snapshot.heads)).await.unwrap(), expected, "since {since:?}");
    }
    within(ledger.close()).await;
}

pub(crate) async fn a_forgotten_job_is_in_no_list(store: &impl Store) {
    let ledger = store.open();
    let (gone, kept) = (life(), life());
    lived(&*ledger, &gone).await;
    lived(&*ledger, &kept[..8]).await;
    let before = within(ledger.snapshot(Arc::default(), Some(WallTime::from_micros(0)))).await.unwrap();
    assert_eq!(before.heads.len(), 2);
    within(ledger.purge(WallTime::from_micros(u64::MAX), 100)).await.unwrap();
    assert_eq!(within(ledger.changes_at(before.heads)).await.unwrap(), [last(&kept[..8])]);
    for query in [
        ListQuery::default(),
        ListQuery {
            filter: Arc::new(JobFilter {
                task_ids: BTreeSet::from([id_of(&gone), id_of(&kept)]),
                ..JobFilter::default()
            }),
            ..ListQuery::default()
        },
        ListQuery {
            filter: Arc::new(JobFilter { labels: spec().labels, ..JobFilter::default() }),
            ..ListQuery::default()
        },
    ] {
        assert_eq!(within(ledger.list(query)).await.unwrap(), [last(&kept[..8])]);
    }
    let after = within(ledger.snapshot(Arc::default(), Some(WallTime::from_micros(0)))).await.unwrap();
    assert_eq!((after.position, after.heads.len()), (Position::new(18), 1));
    within(ledger.close()).await;
}
