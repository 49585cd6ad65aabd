//! What each ending means under each completion policy, with and without page facts.

use std::collections::BTreeSet;

use super::{
    sample::{
        answered, at, committed, crashed, created, deadline, download_began, download_done, download_failed, event,
        exited, exited_after, in_status, killed_by_the_kernel, launched, navigation_failed, reported, rule, spec,
    },
    table::said,
};
use crate::job::{
    Applied, Completion, ExitStatus, Fact, Isolation, LostCause, Reason, ReportStatus, Spec, Status, Tier, Timeout,
};

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
        (download_done(),                ["Done Downloaded",         "Failed NoReport",         "+"]),
        (download_failed(),              ["Failed DownloadFailed",   "Failed DownloadFailed",   "+"]),
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
        (killed_by_the_kernel(),  ["Failed OutOfMemory",       "Failed OutOfMemory",       "Failed OutOfMemory"]),
    ]
}

#[rustfmt::skip]
fn endings_of_a_page_that_leads_to_a_file() -> Vec<Row> {
    use ExitStatus::{Code, Signal};
    vec![
        (Fact::PageClosed,        ["+",                     "+",                     "+"]),
        (exited(Code(0), None),   ["Failed DownloadFailed", "Failed DownloadFailed", "Done ProcessExited"]),
        (exited(Signal(9), None), ["Failed ProcessFailed",  "Failed ProcessFailed",  "Failed ProcessFailed"]),
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
        (killed_by_the_kernel(),  ["Failed OutOfMemory",   "Failed OutOfMemory",   "Failed OutOfMemory"]),
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
        (killed_by_the_kernel(),  ["Failed OutOfMemory",   "Failed OutOfMemory",   "Failed OutOfMemory"]),
    ]
}

/// PROCESS_EXIT cannot be asked for here; what it would mean is decided all the same.
#[rustfmt::skip]
fn ends_of_the_persons_own_browser() -> Vec<Row> {
    use ExitStatus::{Code, Signal};
    vec![
        (exited_after(Code(0), 0),                  ["Running HandedOff",         "Running HandedOff",         "Running HandedOff"]),
        (exited_after(Code(0), 10),                 ["Running HandedOff",         "Running HandedOff",         "Running HandedOff"]),
        (exited_after(Code(0), 11),                 ["Failed BrowserTerminated",  "Failed BrowserTerminated",  "Done ProcessExited"]),
        (exited(Code(0), None),                     ["Failed BrowserTerminated",  "Failed BrowserTerminated",  "Done ProcessExited"]),
        (exited_after(Code(1), 0),                  ["Failed ProcessFailed",      "Failed ProcessFailed",      "Failed ProcessFailed"]),
        (exited_after(Signal(9), 0),                ["Failed ProcessFailed",      "Failed ProcessFailed",      "Failed ProcessFailed"]),
        (Fact::CancelAsked { launched: true },      ["Cancelled CancelRequested", "Cancelled CancelRequested", "Cancelled CancelRequested"]),
        (deadline(Timeout::Run),                    ["TimedOut RunTimeout",       "TimedOut RunTimeout",       "TimedOut RunTimeout"]),
        (deadline(Timeout::Idle),                   ["TimedOut IdleTimeout",      "TimedOut IdleTimeout",      "TimedOut IdleTimeout"]),
        (Fact::Lost(LostCause::ShimDied),           ["Lost ShimDied",             "Lost ShimDied",             "Lost ShimDied"]),
    ]
}

#[rustfmt::skip]
fn ends_after_a_hand_off() -> Vec<Row> {
    vec![
        (reported(ReportStatus::Done),              ["Done Callback",             "Done Callback",             "+"]),
        (reported(ReportStatus::Failed),            ["Failed Callback",           "Failed Callback",           "+"]),
        (Fact::CancelAsked { launched: true },      ["Cancelled CancelRequested", "Cancelled CancelRequested", "Cancelled CancelRequested"]),
        (deadline(Timeout::Run),                    ["TimedOut RunTimeout",       "TimedOut RunTimeout",       "TimedOut RunTimeout"]),
        (Fact::Lost(LostCause::HostRestarted),      ["Lost HostRestarted",        "Lost HostRestarted",        "Lost HostRestarted"]),
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
        check(Tier::Managed, &[answered(), download_began()], endings_of_a_page_that_leads_to_a_file()),
        check(Tier::Managed, &[], exits_before_the_first_answer()),
        check(Tier::ExitOnly, &[], page_endings().into_iter().take(2).collect()),
        check(Tier::ExitOnly, &[], exits_without_page_facts()),
        check(Tier::UserBrowser, &[], page_endings().into_iter().take(2).collect()),
        check(Tier::UserBrowser, &[], ends_of_the_persons_own_browser()),
        check(Tier::UserBrowser, &[exited_after(ExitStatus::Code(0), 1)], ends_after_a_hand_off()),
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
fn a_task_that_was_handed_off_has_no_process_and_is_settled_by_its_end() {
    let own = Spec { tier: Tier::UserBrowser, ..spec() };
    let exit = exited_after(ExitStatus::Code(0), 1);
    let handed_off = super::sample::after(created(own.clone()), [launched(), exit.clone()]);
    assert!(handed_off.handed_off && !handed_off.is_process_alive() && !handed_off.is_settled());
    assert_eq!(handed_off.apply(&event(exit), at(9)), Applied::Unchanged, "told twice");
    let done = super::sample::after(handed_off, [reported(ReportStatus::Done)]);
    assert!(done.handed_off && done.is_settled());

    let cancelled = super::sample::after(created(own), [launched(), Fact::CancelAsked { launched: true }]);
    assert!(cancelled.message.ends_with("left as it is"), "{}", cancelled.message);
    assert!(cancelled.is_process_alive() && !cancelled.is_settled(), "its end is still to be told");
    let gone = super::sample::after(cancelled, [exited_after(ExitStatus::Code(0), 1)]);
    assert_eq!((gone.status, gone.handed_off, gone.is_settled()), (Status::Cancelled, false, true));
}

#[test]
fn a_persons_own_browser_that_comes_up_after_the_cancel_is_left_as_it_is() {
    let own = Spec { tier: Tier::UserBrowser, ..spec() };
    let stopping = super::sample::after(created(own), [Fact::CancelAsked { launched: true }]);
    assert_eq!(stopping.status, Status::Stopping);
    let cancelled = super::sample::after(stopping, [launched()]);
    assert_eq!((cancelled.status, cancelled.reason), (Status::Cancelled, Reason::CancelRequested));
    assert!(cancelled.is_process_alive() && cancelled.message.ends_with("left as it is"));
}

#[test]
fn an_exit_says_what_the_browser_last_printed() {
    let long = format!("{}the last word", "x".repeat(10_000));
    let fact =
        Fact::Exited { status: ExitStatus::Code(3), output_tail: long, out_of_memory: false, tree: None, lived: None };
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
        let fact = Fact::Exited { status, output_tail: String::new(), out_of_memory: false, tree: None, lived: None };
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
const REASONS: usize = 30;

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
        Reason::HandedOff => 27,
        Reason::Downloaded => 28,
        Reason::DownloadFailed => 29,
    }
}
