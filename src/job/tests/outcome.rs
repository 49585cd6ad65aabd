//! What each ending means under each completion policy, with and without page facts.

use std::collections::BTreeSet;

use super::{
    sample::{
        answered, at, committed, crashed, created, event, exited, in_status, launched, navigation_failed, reported,
        rule, spec,
    },
    table::said,
};
use crate::job::{Applied, Completion, ExitStatus, Fact, Isolation, Reason, ReportStatus, Spec, Status, Tier};

/// An ending, and what it means under ANY, REQUIRE_REPORT and PROCESS_EXIT; `+` when the task goes on.
type Row = (Fact, [&'static str; 3]);

#[rustfmt::skip] // One row a line, so that it reads as a table.
fn page_endings() -> Vec<Row> {
    vec![
        (reported(ReportStatus::Done),   ["Done Callback",           "Done Callback",           "+"]),
        (reported(ReportStatus::Failed), ["Failed Callback",         "Failed Callback",         "+"]),
        (Fact::PageClosed,               ["Done PageClosed",         "Failed NoReport",         "+"]),
        (crashed(false),                 ["Failed PageCrashed",      "Failed PageCrashed",      "+"]),
        (crashed(true),                  ["Failed OutOfMemory",      "Failed OutOfMemory",      "+"]),
        (navigation_failed(),            ["Failed NavigationFailed", "Failed NavigationFailed", "+"]),
        (committed(399),                 ["+",                       "+",                       "+"]),
        (committed(400),                 ["Failed HttpError",        "Failed HttpError",        "+"]),
        (rule(true),                     ["Done RuleMatched",        "Failed NoReport",         "+"]),
        (rule(false),                    ["Failed RuleMatched",      "Failed RuleMatched",      "+"]),
    ]
}

#[rustfmt::skip]
fn exits_with_page_facts() -> Vec<Row> {
    use ExitStatus::{Code, Signal};
    vec![
        (exited(Code(0), None),   ["Failed BrowserTerminated", "Failed BrowserTerminated", "Done ProcessExited"]),
        (exited(Code(3), None),   ["Failed ProcessFailed",     "Failed ProcessFailed",     "Failed ProcessFailed"]),
        (exited(Code(21), None),  ["Failed ProcessFailed",     "Failed ProcessFailed",     "Failed ProcessFailed"]),
        (exited(Signal(9), None), ["Failed ProcessFailed",     "Failed ProcessFailed",     "Failed ProcessFailed"]),
    ]
}

#[rustfmt::skip]
fn exits_before_the_first_answer() -> Vec<Row> {
    use ExitStatus::{Code, Signal};
    vec![
        (exited(Code(0), None),   ["Failed HandedOver",    "Failed HandedOver",    "Failed HandedOver"]),
        (exited(Code(3), None),   ["Failed ProcessFailed", "Failed ProcessFailed", "Failed ProcessFailed"]),
        (exited(Code(21), None),  ["Failed ProfileInUse",  "Failed ProfileInUse",  "Failed ProfileInUse"]),
        (exited(Signal(9), None), ["Failed ProcessFailed", "Failed ProcessFailed", "Failed ProcessFailed"]),
    ]
}

#[rustfmt::skip]
fn exits_without_page_facts() -> Vec<Row> {
    use ExitStatus::{Code, Signal};
    vec![
        (exited(Code(0), None),   ["Done ProcessExited",   "Failed NoReport",      "Done ProcessExited"]),
        (exited(Code(3), None),   ["Failed ProcessFailed", "Failed ProcessFailed", "Failed ProcessFailed"]),
        (exited(Code(21), None),  ["Failed ProcessFailed", "Failed ProcessFailed", "Failed ProcessFailed"]),
        (exited(Signal(9), None), ["Failed ProcessFailed", "Failed ProcessFailed", "Failed ProcessFailed"]),
    ]
}

/// Tries the rows on a running job; returns the reasons that were given.
fn check(tier: Tier, before: &[Fact], rows: Vec<Row>) -> Vec<Reason> {
    let mut given = Vec::new();
    for (ending, cells) in rows {
        let policies = [Completion::Any, Completion::RequireReport, Completion::ProcessExit];
        for (completion, expected) in policies.into_iter().zip(cells) {
            let running =
                super::sample::after(created(Spec { tier, completion, fail_on_http_error: true, ..spec() }), {
                    [launched()].into_iter().chain(before.iter().cloned())
                });
            let applied = running.apply(&event(ending.clone()), at(9));
            assert_eq!(said(&running, &applied), expected, "{ending:?} under {completion:?}, {tier:?}");
            let Applied::Changed(next) = applied else { unreachable!("the table has no other cells") };
            given.push(next.reason);
        }
    }
    given
}

fn check_all() -> Vec<Reason> {
    let endings = [
        check(Tier::Managed, &[answered()], page_endings()),
        check(Tier::Managed, &[answered()], exits_with_page_facts()),
        check(Tier::Managed, &[], exits_before_the_first_answer()),
        check(Tier::ExitOnly, &[], page_endings().into_iter().take(2).collect()),
        check(Tier::ExitOnly, &[], exits_without_page_facts()),
    ];
    endings.concat()
}

#[test]
fn each_policy_ends_a_task_by_its_own_facts() {
    check_all();
}

#[test]
fn an_http_error_is_a_page_like_any_other_unless_it_was_asked_to_count() {
    let running = in_status(Status::Running);
    assert_eq!(said(&running, &running.apply(&event(committed(500)), at(9))), "+");
}

#[test]
fn an_exit_says_what_the_browser_last_printed() {
    let long = format!("{}the last word", "x".repeat(10_000));
    let fact = Fact::Exited { status: ExitStatus::Code(3), output_tail: long, tree: None };
    let failed = super::sample::after(in_status(Status::Running), [fact]);
    assert!(failed.message.starts_with("exit code 3; it last printed: x"), "{}", failed.message);
    assert!(failed.message.ends_with("the last word"), "{}", failed.message);
    assert!(failed.message.len() < 1000, "a line or two, not the whole output");
}

#[test]
fn the_end_of_a_shared_browser_is_a_failure_that_says_so_even_before_its_answer() {
    let shared = || created(Spec { isolation: Isolation::Context, ..spec() });
    let ends = [(ExitStatus::Signal(11), Reason::ProcessFailed), (ExitStatus::Code(0), Reason::BrowserTerminated)];
    for (status, reason) in ends {
        let fact = Fact::Exited { status, output_tail: String::new(), tree: None };
        let failed = super::sample::after(shared(), [launched(), fact]);
        assert_eq!((failed.status, failed.reason), (Status::Failed, reason));
        assert!(
            failed.message.starts_with("the browser that it shared with other tasks ended: "),
            "{}",
            failed.message
        );
    }
}

#[test]
fn every_reason_can_be_reached() {
    let mut reached: BTreeSet<usize> = check_all().into_iter().map(number).collect();
    for (fact, _) in super::table::rows() {
        for status in Status::ALL {
            if let Applied::Changed(job) = in_status(status).apply(&event(fact.clone()), at(100)) {
                reached.insert(number(job.reason));
            }
        }
    }
    reached.insert(number(in_status(Status::Created).reason));
    assert_eq!(reached, (0..REASONS).collect());
}

/// One more than the highest number below.
const REASONS: usize = 27;

/// A new reason does not compile until it has a number here, and with that a way to be reached.
fn number(reason: Reason) -> usize {
    match reason {
        Reason::Accepted => 0,
        Reason::Requeued => 1,
        Reason::Launched => 2,
        Reason::CancelRequested => 3,
        Reason::QueueTimeout => 4,
        Reason::LaunchTimeout => 5,
        Reason::NavigationTimeout => 6,
        Reason::RunTimeout => 7,
        Reason::IdleTimeout => 8,
        Reason::ServiceAway => 9,
        Reason::Callback => 10,
        Reason::PageClosed => 11,
        Reason::RuleMatched => 12,
        Reason::ProcessExited => 13,
        Reason::ProcessFailed => 14,
        Reason::BrowserTerminated => 15,
        Reason::PageCrashed => 16,
        Reason::OutOfMemory => 17,
        Reason::NavigationFailed => 18,
        Reason::HttpError => 19,
        Reason::ProfileInUse => 20,
        Reason::HandedOver => 21,
        Reason::NoReport => 22,
        Reason::LaunchFailed => 23,
        Reason::ServiceRestarted => 24,
        Reason::HostRestarted => 25,
        Reason::ShimDied => 26,
    }
}
