//! The five timeouts: from when each counts, until when, and which one comes first.

use std::time::Duration;

use super::sample::{
    after, answered, boot, committed, created, deadline, download_began, in_status, launched, navigation_failed, spec,
};
use crate::job::{Deadline, Fact, Job, Spec, Status, Tier, Timeout, Timeouts};

const NONE: Timeouts = Timeouts { queue: None, launch: None, navigation: None, run: None, idle: None };

/// Accepted at 1 s, dequeued at 2, up at 3 (both in the process record), each further fact a second after the last:
/// the second revision at 2 s, the third at 3 s.
fn job(timeouts: Timeouts, facts: impl IntoIterator<Item = Fact>) -> Job {
    after(created(Spec { timeouts, ..spec() }), facts)
}

fn at(second: u64, timeout: Timeout) -> Option<Deadline> {
    Some(Deadline { at: boot(second), timeout })
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[test]
fn without_timeouts_there_is_no_deadline() {
    for status in Status::ALL {
        assert_eq!(in_status(status).deadline(boot(9)), None, "{status:?}");
    }
}

#[test]
fn the_queue_timeout_counts_from_acceptance_until_launch_and_anew_after_a_requeue() {
    let timeouts = Timeouts { queue: seconds(100), ..NONE };
    assert_eq!(job(timeouts, []).deadline(boot(50)), at(101, Timeout::Queue));
    assert_eq!(job(timeouts, [Fact::Requeued]).deadline(boot(50)), at(102, Timeout::Queue));
    assert_eq!(job(timeouts, [launched()]).deadline(boot(50)), None);
}

#[test]
fn the_launch_timeout_counts_from_the_queue_to_the_first_answer() {
    let timeouts = Timeouts { launch: seconds(100), ..NONE };
    assert_eq!(job(timeouts, []).deadline(boot(1)), None, "only the runner knows when it left the queue");
    assert_eq!(job(timeouts, [launched()]).deadline(boot(50)), at(102, Timeout::Launch));
    assert_eq!(job(timeouts, [launched(), answered()]).deadline(boot(50)), None);
    let exit_only = after(created(Spec { timeouts, tier: Tier::ExitOnly, ..spec() }), [launched()]);
    assert_eq!(exit_only.deadline(boot(50)), None, "one that never answers is up when it runs");
}

#[test]
fn the_navigation_timeout_counts_from_the_first_answer_to_the_document() {
    let timeouts = Timeouts { navigation: seconds(100), ..NONE };
    assert_eq!(job(timeouts, [launched()]).deadline(boot(50)), None);
    assert_eq!(job(timeouts, [launched(), answered()]).deadline(boot(50)), at(103, Timeout::Navigation));
    assert_eq!(job(timeouts, [launched(), answered(), committed(200)]).deadline(boot(50)), None);
    let file = job(timeouts, [launched(), answered(), download_began()]);
    assert_eq!(file.deadline(boot(50)), None, "a file takes as long as it takes");
    let failed = job(timeouts, [launched(), answered(), navigation_failed()]);
    assert_eq!(failed.deadline(boot(50)), None);
}

#[test]
fn the_run_timeout_counts_from_when_the_browser_was_up_to_the_end() {
    let timeouts = Timeouts { run: seconds(100), ..NONE };
    assert_eq!(job(timeouts, []).deadline(boot(50)), None);
    let facts = [launched(), answered(), committed(200)];
    for len in 1..=facts.len() {
        assert_eq!(job(timeouts, facts[..len].to_vec()).deadline(boot(50)), at(103, Timeout::Run));
    }
}

#[test]
fn the_idle_timeout_counts_from_the_last_sign_of_life() {
    let timeouts = Timeouts { idle: seconds(100), ..NONE };
    assert_eq!(job(timeouts, []).deadline(boot(50)), None);
    assert_eq!(job(timeouts, [launched()]).deadline(boot(50)), at(150, Timeout::Idle));
    assert_eq!(job(timeouts, [launched()]).deadline(boot(0)), at(103, Timeout::Idle), "never before it was up");
}

#[test]
fn the_earliest_deadline_wins() {
    let base = Timeouts {
        queue: seconds(1),
        launch: seconds(10),
        navigation: seconds(10),
        run: seconds(50),
        idle: seconds(50),
    };
    let (starting, running) = (vec![launched()], vec![launched(), answered()]);
    let settled = vec![launched(), answered(), committed(200)];
    for (timeouts, facts, heard, expected) in [
        (base, starting.clone(), 3, at(12, Timeout::Launch)),
        (Timeouts { run: seconds(5), ..base }, starting, 3, at(8, Timeout::Run)),
        (base, running.clone(), 3, at(13, Timeout::Navigation)),
        (Timeouts { idle: seconds(5), ..base }, running, 4, at(9, Timeout::Idle)),
        (base, settled.clone(), 20, at(53, Timeout::Run)),
        (Timeouts { idle: seconds(20), ..base }, settled, 20, at(40, Timeout::Idle)),
    ] {
        assert_eq!(job(timeouts, facts).deadline(boot(heard)), expected);
    }
}

#[test]
fn a_job_that_is_being_stopped_or_over_has_no_deadline() {
    let all =
        Timeouts { queue: seconds(1), launch: seconds(1), navigation: seconds(1), run: seconds(1), idle: seconds(1) };
    let stopping = job(all, [launched(), deadline(Timeout::Run)]);
    assert_eq!(stopping.deadline(boot(3)), None);
    let over = job(all, [launched(), answered(), Fact::PageClosed]);
    assert_eq!(over.deadline(boot(3)), None);
}

#[test]
fn a_timeout_beyond_all_time_never_comes_and_never_panics() {
    let forever = Timeouts { run: Some(Duration::MAX), ..NONE };
    let deadline = job(forever, [launched()]).deadline(boot(3)).unwrap();
    assert_eq!(deadline.at.nanos(), u64::MAX);
}
