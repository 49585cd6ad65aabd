//! Every fact meeting every status.

use std::collections::BTreeSet;

use super::sample::{
    TREE_END, answered, at, committed, crashed, download_began, download_done, download_failed, event, exited,
    file_kept, in_status, killed_by_the_kernel, launched, navigation_failed, reported, rule,
};
use crate::job::{
    Applied, BootTime, ExitStatus, Fact, Job, LaunchFailure, LostCause, Process, ReportStatus, Status, Timeout,
};

/// One row: a fact, and what it does to a job in each of the statuses, in their order.
///
/// `Status Reason`: the job gets there. `+`: it is kept as one more revision, status and reason stay.
/// `=`: nothing. `!Refusal`: it cannot be true.
type Row = (Fact, [&'static str; 8]);

/// What a fact does that can only have happened before the end.
const OVER: [&str; 5] = ["!Over"; 5];
const NOTHING: [&str; 5] = ["="; 5];
const KEPT: [&str; 5] = ["+"; 5];

fn row(fact: Fact, live: [&'static str; 3], over: [&'static str; 5]) -> Row {
    let [created, running, stopping] = live;
    let [done, failed, cancelled, timed_out, lost] = over;
    (fact, [created, running, stopping, done, failed, cancelled, timed_out, lost])
}

#[rustfmt::skip] // One row a line, so that it reads as a table.
pub(super) fn rows() -> Vec<Row> {
    use {ExitStatus::{Code, Signal}, ReportStatus::{Done, Failed}};
    let another = Fact::Launched(Process { pid: 8, start_ticks: 80, dequeued_at: BootTime::from_nanos(0), up_at: BootTime::from_nanos(0) });
    let launch_failed = |failure| Fact::LaunchFailed { failure, message: "no".to_owned() };
    let cancel = |launched| Fact::CancelAsked { launched };
    let mut rows = vec![
        //                                               CREATED                        RUNNING                          STOPPING                         DONE, FAILED, CANCELLED, TIMED_OUT, LOST
        row(Fact::Requeued,                             ["Created Requeued",           "!AlreadyLaunched",              "!AlreadyLaunched"],             OVER),
        row(launched(),                                 ["Running Launched",           "=",                             "="],                            NOTHING),
        row(another,                                    ["Running Launched",           "!AlreadyLaunched",              "!AlreadyLaunched"],             OVER),
        row(launch_failed(LaunchFailure::Refused),      ["Failed LaunchFailed",        "!AlreadyLaunched",              "!AlreadyLaunched"],             NOTHING),
        row(launch_failed(LaunchFailure::ProfileHeld),  ["Failed ProfileInUse",        "!AlreadyLaunched",              "!AlreadyLaunched"],             NOTHING),
        row(answered(),                                 ["!NotLaunched",               "=",                             "="],                            NOTHING),
        row(committed(200),                             ["!NotLaunched",               "+",                             "+"],                            KEPT),
        row(committed(500),                             ["!NotLaunched",               "+",                             "+"],                            KEPT),
        row(navigation_failed(),                        ["!NotLaunched",               "Failed NavigationFailed",       "+"],                            ["+", "=", "+", "+", "+"]),
        row(Fact::PageClosed,                           ["!NotLaunched",               "Done PageClosed",               "+"],                            KEPT),
        row(crashed(false),                             ["!NotLaunched",               "Failed PageCrashed",            "+"],                            KEPT),
        row(crashed(true),                              ["!NotLaunched",               "Failed OutOfMemory",            "+"],                            KEPT),
        row(reported(Done),                             ["!NotLaunched",               "Done Callback",                 "+"],                            ["=", "+", "+", "+", "+"]),
        row(reported(Failed),                           ["!NotLaunched",               "Failed Callback",               "+"],                            ["!AnotherReport", "+", "+", "+", "+"]),
        row(rule(true),                                 ["!NotLaunched",               "Done RuleMatched",              "+"],                            KEPT),
        row(rule(false),                                ["!NotLaunched",               "Failed RuleMatched",            "+"],                            KEPT),
        row(exited(Code(0), None),                      ["!NotLaunched",               "Failed BrowserTerminated",      "+"],                            ["+", "+", "+", "+", "="]),
        row(exited(Code(3), None),                      ["!NotLaunched",               "Failed ProcessFailed",          "+"],                            ["+", "+", "+", "+", "="]),
        row(exited(Signal(9), None),                    ["!NotLaunched",               "Failed ProcessFailed",          "+"],                            ["+", "+", "+", "+", "="]),
        row(exited(Code(0), Some(TREE_END)),            ["!NotLaunched",               "Failed BrowserTerminated",      "Cancelled CancelRequested"],    ["+", "+", "+", "+", "="]),
        row(exited(Signal(9), Some(TREE_END)),          ["!NotLaunched",               "Failed ProcessFailed",          "Cancelled CancelRequested"],    ["+", "+", "+", "+", "="]),
        row(killed_by_the_kernel(),                     ["!NotLaunched",               "Failed OutOfMemory",            "Cancelled CancelRequested"],    ["+", "+", "+", "+", "="]),
        row(Fact::TreeEmptied(TREE_END),                ["!NotLaunched",               "!NotLaunched",                  "Cancelled CancelRequested"],    ["+", "+", "=", "=", "="]),
        row(download_began(),                           ["!NotLaunched",               "+",                             "+"],                            KEPT),
        row(download_done(),                            ["!NotLaunched",               "Done Downloaded",               "+"],                            KEPT),
        row(download_failed(),                          ["!NotLaunched",               "Failed DownloadFailed",         "+"],                            KEPT),
        row(file_kept(),                                ["!NotLaunched",               "+",                             "+"],                            KEPT),
        row(cancel(false),                              ["Cancelled CancelRequested",  "Stopping CancelRequested",      "="],                            NOTHING),
        row(cancel(true),                               ["Stopping CancelRequested",   "Stopping CancelRequested",      "="],                            NOTHING),
        row(Fact::Lost(LostCause::ServiceRestarted),    ["Lost ServiceRestarted",      "Lost ServiceRestarted",         "Lost ServiceRestarted"],        ["+", "+", "=", "=", "="]),
        row(Fact::Lost(LostCause::HostRestarted),       ["Lost HostRestarted",         "Lost HostRestarted",            "Lost HostRestarted"],           ["+", "+", "=", "=", "="]),
        row(Fact::Lost(LostCause::ShimDied),            ["Lost ShimDied",              "Lost ShimDied",                 "Lost ShimDied"],                ["+", "+", "=", "=", "="]),
    ];
    for (timeout, [timed_out, stopping]) in [
        (Timeout::Queue,       ["TimedOut QueueTimeout",      "Stopping QueueTimeout"]),
        (Timeout::Launch,      ["TimedOut LaunchTimeout",     "Stopping LaunchTimeout"]),
        (Timeout::Navigation,  ["TimedOut NavigationTimeout", "Stopping NavigationTimeout"]),
        (Timeout::Run,         ["TimedOut RunTimeout",        "Stopping RunTimeout"]),
        (Timeout::Idle,        ["TimedOut IdleTimeout",       "Stopping IdleTimeout"]),
        (Timeout::ServiceAway, ["TimedOut ServiceAway",       "Stopping ServiceAway"]),
    ] {
        rows.push(row(Fact::DeadlinePassed { timeout, launched: false }, [timed_out, stopping, "="], NOTHING));
        rows.push(row(Fact::DeadlinePassed { timeout, launched: true }, [stopping, stopping, "="], NOTHING));
    }
    rows
}

/// What an event did, in the words of the table.
pub(super) fn said(job: &Job, applied: &Applied) -> String {
    match applied {
        Applied::Unchanged => "=".to_owned(),
        Applied::Refused(refusal) => format!("!{refusal:?}"),
        Applied::Changed(next) if (next.status, next.reason) == (job.status, job.reason) => "+".to_owned(),
        Applied::Changed(next) => format!("{:?} {:?}", next.status, next.reason),
    }
}

#[test]
fn every_fact_does_to_every_status_what_the_table_says() {
    for (fact, cells) in rows() {
        for (status, expected) in Status::ALL.into_iter().zip(cells) {
            let job = in_status(status);
            let applied = job.apply(&event(fact.clone()), at(100));
            assert_eq!(said(&job, &applied), expected, "{fact:?} on {status:?}");
        }
    }
}

#[test]
fn the_table_knows_every_fact() {
    let known: BTreeSet<usize> = rows().iter().map(|(fact, _)| kind(fact)).collect();
    assert_eq!(known, (0..KINDS).collect());
}

/// One more than the highest number below.
const KINDS: usize = 19;

/// A new fact does not compile until it has a number here, and with that a row.
fn kind(fact: &Fact) -> usize {
    match fact {
        Fact::Requeued => 0,
        Fact::Launched(_) => 1,
        Fact::LaunchFailed { .. } => 2,
        Fact::BrowserAnswered { .. } => 3,
        Fact::PageCommitted { .. } => 4,
        Fact::NavigationFailed { .. } => 5,
        Fact::PageClosed => 6,
        Fact::PageCrashed { .. } => 7,
        Fact::Reported { .. } => 8,
        Fact::RuleMatched { .. } => 9,
        Fact::Exited { .. } => 10,
        Fact::TreeEmptied(_) => 11,
        Fact::CancelAsked { .. } => 12,
        Fact::DeadlinePassed { .. } => 13,
        Fact::Lost(_) => 14,
        Fact::FileKept { .. } => 15,
        Fact::DownloadBegan { .. } => 16,
        Fact::DownloadDone { .. } => 17,
        Fact::DownloadFailed { .. } => 18,
    }
}

#[test]
fn a_second_restart_before_the_browser_was_let_go_changes_nothing() {
    let twice = super::sample::after(in_status(Status::Created), [Fact::Requeued]);
    assert_eq!(twice.apply(&event(Fact::Requeued), at(9)), Applied::Unchanged);
    assert_eq!((twice.attempt, twice.queued_at), (2, at(2).boot));
}

#[test]
fn a_launch_that_was_under_way_when_it_was_stopped_ends_with_it() {
    let failed = Fact::LaunchFailed { failure: LaunchFailure::Refused, message: "no".to_owned() };
    for (ask, expected) in [
        (Fact::CancelAsked { launched: true }, "Cancelled CancelRequested"),
        (super::sample::deadline(Timeout::Launch), "TimedOut LaunchTimeout"),
    ] {
        let stopping = super::sample::after(in_status(Status::Created), [ask]);
        let ended = super::sample::after(stopping.clone(), [failed.clone()]);
        assert_eq!(format!("{:?} {:?}", ended.status, ended.reason), expected);
        assert!(ended.is_settled());
        let up = super::sample::after(stopping, [launched()]);
        assert_eq!((up.status, up.is_process_alive()), (Status::Stopping, true), "it did come up: stop it");
        let ended = super::sample::after(up, [Fact::TreeEmptied(TREE_END)]);
        assert_eq!(format!("{:?} {:?}", ended.status, ended.reason), expected);
    }
}

#[test]
fn an_exit_that_is_learnt_after_the_tree_was_empty_does_not_bring_it_back() {
    for status in [Status::Cancelled, Status::TimedOut] {
        let settled = in_status(status);
        let later = super::sample::after(settled, [exited(ExitStatus::Code(0), None)]);
        assert_eq!(later.tree_end, Some(TREE_END));
        assert!(later.is_settled());
    }
}

#[test]
fn a_timeout_during_a_cancel_leaves_it_a_cancel() {
    let stopping = in_status(Status::Stopping);
    assert_eq!(stopping.apply(&event(super::sample::deadline(Timeout::Run)), at(9)), Applied::Unchanged);
}

#[test]
fn a_cancel_during_a_timeout_is_noted_and_leaves_it_a_timeout() {
    let stopping = super::sample::after(in_status(Status::Running), [super::sample::deadline(Timeout::Run)]);
    let asked = super::sample::after(stopping, [Fact::CancelAsked { launched: true }]);
    assert!(asked.cancel.is_some());
    let ended = super::sample::after(asked, [Fact::TreeEmptied(TREE_END)]);
    assert_eq!(ended.status, Status::TimedOut);
}
