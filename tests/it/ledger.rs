//! The embedded ledger: the promises of every ledger, and what only a file can do wrong.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use comet_task_runner::{
    job::{Status, WallTime},
    ledger::{
        Appended, EmbeddedLedger, Fault, Health, JobFilter, Ledger, ListQuery, OpenError, Position, ReadError,
        TailEntry,
    },
};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    conformance::{self, Store, append, committed, id_of, jobs, lived, within},
    lives::{self, life},
};

pub(crate) struct InFile {
    directory: TempDir,
}

impl InFile {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("ledger.db")
    }

    /// A store that holds one whole life and a part of another.
    async fn lived_in() -> Self {
        let store = Self::new();
        let ledger = store.open();
        lived(&*ledger, &life()).await;
        lived(&*ledger, &life()[..4]).await;
        within(ledger.close()).await;
        store
    }
}

impl Store for InFile {
    fn open(&self) -> Arc<dyn Ledger> {
        Arc::new(EmbeddedLedger::open(&self.path()).unwrap())
    }
}

macro_rules! keeps {
    ($($rules:ident { $($rule:ident)* })*) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            conformance::$rules::$rule(&InFile::new()).await;
        }
    )*)*};
}

keeps! {
    appending {
        a_life_is_read_back_as_it_was_appended
        an_unknown_job_is_none_everywhere
        a_change_to_another_revision_is_told_the_latest
        an_event_is_in_a_job_once
        a_request_makes_one_job_however_many_ask_at_once
        a_request_is_known_by_its_job_at_its_latest
        of_many_who_change_one_job_one_wins_each_revision
        many_callers_each_see_their_own_changes_at_once
        the_tail_holds_the_commits_in_their_order
        a_position_that_was_never_reached_is_ahead
    }
    logs {
        a_bell_rings_only_for_what_can_be_read
        a_log_opened_while_changes_come_has_no_hole
        a_log_leaves_memory_with_its_last_holder
        a_change_whose_caller_vanished_is_made_and_rung_for
        an_unknown_outcome_is_settled_by_its_event
    }
    listing {
        jobs_are_listed_in_both_orders_page_by_page
        a_list_holds_exactly_what_matches
        a_snapshot_holds_what_is_live_or_has_finished_lately
        a_forgotten_job_is_in_no_list
    }
    tailing {
        a_snapshot_and_the_tail_after_it_leave_no_gap_and_repeat_nothing
        a_snapshot_is_rung_for_when_it_is_answered
        the_tail_is_the_same_from_memory_and_from_the_store
    }
    keeping {
        the_unsettled_are_found_oldest_first
        a_purge_forgets_what_has_expired_and_nothing_else
        too_many_jobs_lose_those_that_expire_first
        a_purge_of_thousands_leaves_none_behind
        a_removal_follows_in_the_tail_and_takes_the_changes_away
        everything_is_there_after_it_was_opened_anew
        a_closed_ledger_says_so_and_has_decided_everything
    }
}

fn refusal(path: &Path) -> OpenError {
    EmbeddedLedger::open(path).err().expect("the store is refused")
}

#[tokio::test]
async fn only_its_owner_can_read_the_store() {
    let store = InFile::new();
    fs::write(store.path(), "").unwrap();
    fs::set_permissions(store.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let ledger = store.open();
    committed(&*ledger, &life()[0]).await;
    let mut files = 0;
    for file in fs::read_dir(store.directory.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        files += 1;
    }
    assert_eq!(files, 3, "the store, its WAL and the index of that");
    within(ledger.close()).await;
}

#[tokio::test]
async fn a_closed_store_is_one_file() {
    let store = InFile::lived_in().await;
    let names: Vec<_> = fs::read_dir(store.directory.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, ["ledger.db"]);
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused_untouched() {
    let store = InFile::lived_in().await;
    let connection = Connection::open(store.path()).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    connection.close().unwrap();
    let before = fs::read(store.path()).unwrap();
    let refused = refusal(&store.path());
    assert!(matches!(refused, OpenError::Newer { found: 99, .. }), "{refused}");
    assert!(refused.to_string().contains(store.path().to_str().unwrap()), "{refused}");
    assert_eq!(fs::read(store.path()).unwrap(), before);
}

#[tokio::test]
async fn a_file_of_another_program_is_refused_untouched() {
    let store = InFile::new();
    let connection = Connection::open(store.path()).unwrap();
    connection.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    connection.close().unwrap();
    let text = store.directory.path().join("notes.txt");
    fs::write(&text, "not a database at all, but long enough to look like one\n".repeat(100)).unwrap();
    for path in [store.path(), text] {
        let before = fs::read(&path).unwrap();
        let refused = refusal(&path);
        assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[tokio::test]
async fn a_damaged_list_of_jobs_is_refused_with_the_remedy() {
    let store = InFile::lived_in().await;
    let connection = Connection::open(store.path()).unwrap();
    let page: i64 =
        connection.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'jobs'", [], |row| row.get(0)).unwrap();
    let page_len: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap();
    connection.close().unwrap();
    let mut bytes = fs::read(store.path()).unwrap();
    let at = usize::try_from((page - 1) * page_len).unwrap();
    bytes[at + 3..at + 64].fill(0xa5);
    fs::write(store.path(), &bytes).unwrap();
    let refused = refusal(&store.path());
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains(store.path().to_str().unwrap()) && text.contains("put back a copy"), "{text}");
    assert_eq!(fs::read(store.path()).unwrap(), bytes);
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let store = InFile::new();
    let path = store.directory.path().join("absent/ledger.db");
    let refused = refusal(&path);
    assert!(matches!(refused, OpenError::File { .. }), "{refused}");
    assert!(refused.to_string().contains("absent/ledger.db"), "{refused}");
}

/// Another connection teaches the store to refuse one job, so that a batch fails after part of it was written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_fails_leaves_nothing_behind_and_the_next_succeeds() {
    let store = InFile::new();
    let ledger = store.open();
    let known = life();
    let log = committed(&*ledger, &known[0]).await;
    let saboteur = Connection::open(store.path()).unwrap();
    saboteur
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON changes WHEN new.revision = 3
             BEGIN SELECT RAISE(ABORT, 'sabotage'); END",
        )
        .unwrap();
    committed(&*ledger, &known[1]).await;
    let Appended::Unknown(Fault::Failed(cause)) = append(&*ledger, &known[2]).await else { panic!("not refused") };
    assert!(cause.contains("sabotage"), "{cause}");
    assert_eq!(*ledger.health().borrow(), Health::Refusing(Fault::Failed(cause)));
    assert_eq!(within(ledger.find_event(id_of(&known), known[2].event_id)).await, Ok(None));

    // Many at once, so that good and bad share a batch: none is lost, none is there without having been answered so.
    let mut writing = JoinSet::new();
    for nth in 0..64 {
        let (ledger, bad) = (Arc::clone(&ledger), known[2].clone());
        writing.spawn(async move {
            let change = if nth % 8 == 0 { bad } else { life()[0].clone() };
            let appended = append(&*ledger, &change).await;
            let found = within(ledger.find_event(change.job.id, change.event_id)).await.unwrap();
            match appended {
                Appended::Committed(_) => assert_eq!(found, Some(change.job)),
                Appended::Unknown(Fault::Failed(_)) => assert_eq!(found, None),
                other => panic!("neither committed nor failed: {other:?}"),
            }
        });
    }
    within(writing.join_all()).await;
    assert_eq!(log.all_after(0), jobs(&known[..2]));

    saboteur.execute_batch("DROP TRIGGER refuse").unwrap();
    committed(&*ledger, &known[2]).await;
    assert_eq!(*ledger.health().borrow(), Health::Writable);
    assert_eq!(log.all_after(0), jobs(&known[..3]));
    let positions = within(ledger.tail(Position::START, 1000)).await.unwrap();
    let positions: Vec<u64> = positions.iter().map(|(position, _)| position.number()).collect();
    assert_eq!(positions, (1..=ledger.tail_bell().borrow().number()).collect::<Vec<_>>(), "no position was lost");
    within(ledger.close()).await;
}

/// Back to the first version's layout, with everything that the jobs are.
fn downgrade(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "DROP TABLE labels; ALTER TABLE jobs DROP COLUMN url; ALTER TABLE jobs DROP COLUMN finished_at;
             ALTER TABLE jobs DROP COLUMN status; PRAGMA user_version = 1;",
        )
        .unwrap();
    connection.close().unwrap();
}

#[tokio::test]
async fn a_store_of_the_first_version_is_brought_up_to_date_with_its_jobs() {
    let store = InFile::lived_in().await;
    let ledger = store.open();
    let mut unlabelled = lives::spec();
    unlabelled.labels.clear();
    lived(&*ledger, &lives::life_of(unlabelled, WallTime::from_micros(lives::BORN_AT))[..8]).await;
    let jobs = within(ledger.list(ListQuery::default())).await.unwrap();
    within(ledger.close()).await;
    downgrade(&store.path());

    let ledger = store.open();
    assert_eq!(within(ledger.list(ListQuery::default())).await.unwrap(), jobs);
    let labels = BTreeMap::from([("team".to_owned(), "blue".to_owned())]);
    let url_contains = "example.org/a".to_owned();
    let filter = Arc::new(JobFilter { labels, url_contains, ..JobFilter::default() });
    for statuses in [vec![Status::Running], vec![Status::Done], vec![Status::Lost]] {
        let query = ListQuery { filter: Arc::clone(&filter), statuses, ..ListQuery::default() };
        let expected: Vec<_> = jobs.iter().filter(|job| query.matches(job)).cloned().collect();
        assert_eq!(within(ledger.list(query.clone())).await.unwrap(), expected, "{query:?}");
    }
    let since = WallTime::from_micros(lives::BORN_AT);
    assert_eq!(within(ledger.snapshot(Arc::default(), Some(since))).await.unwrap().heads.len(), 3);
    assert_eq!(within(ledger.snapshot(filter, Some(since))).await.unwrap().heads.len(), 2);
    within(ledger.close()).await;
}

#[tokio::test]
async fn a_damaged_body_does_not_stand_in_the_way_of_a_newer_version() {
    let store = InFile::lived_in().await;
    downgrade(&store.path());
    let connection = Connection::open(store.path()).unwrap();
    let damage = "UPDATE changes SET body = '{' WHERE position = (SELECT max(position) FROM changes)";
    assert_eq!(connection.execute(damage, []).unwrap(), 1);
    connection.close().unwrap();
    let ledger = store.open();
    let done = ListQuery { statuses: vec![Status::Done], ..ListQuery::default() };
    assert_eq!(within(ledger.list(done)).await.unwrap().len(), 1);
    assert!(matches!(within(ledger.list(ListQuery::default())).await, Err(ReadError::Damaged(_))));
    within(ledger.close()).await;
}

/// As many removals as are kept, put there by hand, since to make them takes minutes.
#[tokio::test]
async fn the_oldest_removals_are_forgotten_and_whoever_was_there_is_told() {
    const KEPT: u64 = 100_000;
    let store = InFile::new();
    within(store.open().close()).await;
    let connection = Connection::open(store.path()).unwrap();
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO removals SELECT i, randomblob(16) FROM n";
    connection.execute(fill, [i64::try_from(KEPT).unwrap()]).unwrap();
    connection.close().unwrap();

    let ledger = store.open();
    assert_eq!(within(ledger.tail(Position::START, 1)).await.unwrap()[0].0, Position::new(1));
    let life = life();
    lived(&*ledger, &life).await;
    within(ledger.purge(WallTime::from_micros(u64::MAX), 100)).await.unwrap();
    let forgotten = within(ledger.tail(Position::START, 1)).await;
    assert_eq!(forgotten, Err(ReadError::PositionForgotten(Position::START)));
    assert_eq!(within(ledger.tail(Position::new(1), 1)).await.unwrap()[0].0, Position::new(2));
    let removed = within(ledger.tail(Position::new(KEPT + 9), 9)).await.unwrap();
    assert_eq!(removed, [(Position::new(KEPT + 10), TailEntry::Removed(id_of(&life)))]);
    within(ledger.close()).await;
}

#[tokio::test]
async fn a_forgotten_job_leaves_only_its_removal_behind() {
    let store = InFile::new();
    let ledger = store.open();
    lived(&*ledger, &life()).await;
    let rows = |table: &str| -> i64 {
        let store = Connection::open(store.path()).unwrap();
        store.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    let counts = || ["jobs", "changes", "labels", "removals"].map(rows);
    assert_eq!(counts(), [1, 9, 1, 0]);
    within(ledger.purge(WallTime::from_micros(u64::MAX), 100)).await.unwrap();
    assert_eq!(counts(), [0, 0, 0, 1]);
    within(ledger.close()).await;
}

/// Another hand empties the store, so that whatever is still answered comes from memory.
#[tokio::test]
async fn the_latest_entries_are_answered_without_reading_the_store() {
    let store = InFile::new();
    let ledger = store.open();
    let life = life();
    lived(&*ledger, &life).await;
    let stranger = Connection::open(store.path()).unwrap();
    stranger.execute("DELETE FROM changes", []).unwrap();
    for after in 0..=9 {
        let entries = within(ledger.tail(Position::new(after), 100)).await.unwrap();
        let expected: Vec<_> = jobs(&life[usize::try_from(after).unwrap()..]);
        assert_eq!(
            entries.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>(),
            expected.into_iter().map(TailEntry::Change).collect::<Vec<_>>()
        );
    }
    within(ledger.close()).await;
    // What it was opened with is the store's to answer.
    let ledger = store.open();
    assert_eq!(within(ledger.tail(Position::START, 100)).await.unwrap(), []);
    within(ledger.close()).await;
}

#[tokio::test]
async fn a_store_that_another_hand_wrote_to_is_no_longer_trusted() {
    let store = InFile::new();
    let ledger = store.open();
    let known = life();
    let _log = lived(&*ledger, &known[..2]).await;
    let stranger = Connection::open(store.path()).unwrap();
    stranger.execute("INSERT INTO changes VALUES (3, randomblob(16), 1, randomblob(16), '{}')", []).unwrap();
    for _ in 0..2 {
        let appended = append(&*ledger, &known[2]).await;
        assert!(matches!(appended, Appended::Unknown(Fault::Broken(_))), "{appended:?}");
    }
    assert!(matches!(*ledger.health().borrow(), Health::Refusing(Fault::Broken(_))));
    within(ledger.close()).await;
}
