//! The embedded ledger: the promises of every ledger, and what only a file can do wrong.

use std::{path::PathBuf, sync::Arc};

use comet_task_runner::ledger::{EmbeddedLedger, Ledger};
use tempfile::TempDir;

use crate::conformance::{self, Store};

struct InFile {
    directory: TempDir,
}

impl InFile {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("ledger.db")
    }
}

impl Store for InFile {
    fn open(&self) -> Arc<dyn Ledger> {
        Arc::new(EmbeddedLedger::open(&self.path()).unwrap())
    }
}

macro_rules! keeps {
    ($($rule:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            conformance::$rule(&InFile::new()).await;
        }
    )*};
}

keeps! {
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
    a_bell_rings_only_for_what_can_be_read
    a_log_opened_while_changes_come_has_no_hole
    a_log_leaves_memory_with_its_last_holder
    a_change_whose_caller_vanished_is_made_and_rung_for
    an_unknown_outcome_is_settled_by_its_event
    the_unsettled_are_found_oldest_first
    jobs_are_listed_newest_first_page_by_page
    a_purge_forgets_what_has_expired_and_nothing_else
    too_many_jobs_lose_those_that_expire_first
    a_purge_of_thousands_leaves_none_behind
    a_removal_follows_in_the_tail_and_takes_the_changes_away
    everything_is_there_after_it_was_opened_anew
    a_closed_ledger_says_so_and_has_decided_everything
}
