//! Random lives: whatever comes in, in whatever order and at whatever time, the invariants hold.

use std::time::Duration;

use proptest::prelude::*;

use super::sample::{
    answered, committed, crashed, created, download_began, download_done, download_failed, event, exited, exited_after,
    file_kept, killed_by_the_kernel, navigation_failed, reported, rule, spec,
};
use crate::job::{
    Applied, BootTime, Completion, ExitStatus, Fact, Job, LaunchFailure, LostCause, MemoryPeak, Now, PeakSource,
    Process, ReportStatus, Resources, Spec, StepTaken, StopStep, Tier, Timeout, TreeEnd, WallTime,
};

fn exit_status() -> impl Strategy<Value = ExitStatus> {
    prop_oneof![
        Just(ExitStatus::Code(0)),
        Just(ExitStatus::Code(3)),
        Just(ExitStatus::Code(21)),
        Just(ExitStatus::Signal(9))
    ]
}

fn tree_end() -> impl Strategy<Value = TreeEnd> {
    (0_u32..3, proptest::option::of(0_u64..9), 0_u64..2_000_000).prop_map(|(killed, at, micros)| {
        let taken = |step| StepTaken { step, at: WallTime::from_micros(micros), processes_left: killed };
        let resources = at.map(|_| Resources {
            cpu_time: Duration::from_micros(micros),
            memory_peak: Some(MemoryPeak { bytes: micros, source: PeakSource::Sampled }).filter(|_| killed > 1),
            process_count_peak: Some(killed).filter(|_| killed > 0),
            largest_process_bytes: micros,
        });
        let steps = [StopStep::Closed, StopStep::Terminated].map(taken).to_vec();
        TreeEnd { step: StopStep::Terminated, killed, steps, at: at.map(WallTime::from_micros), resources }
    })
}

fn timeout() -> impl Strategy<Value = Timeout> {
    prop_oneof![
        Just(Timeout::Queue),
        Just(Timeout::Launch),
        Just(Timeout::Navigation),
        Just(Timeout::Run),
        Just(Timeout::Idle),
        Just(Timeout::ServiceAway),
    ]
}

fn report_status() -> impl Strategy<Value = ReportStatus> {
    prop_oneof![Just(ReportStatus::Done), Just(ReportStatus::Failed)]
}

fn lost_cause() -> impl Strategy<Value = LostCause> {
    prop_oneof![Just(LostCause::ServiceRestarted), Just(LostCause::HostRestarted), Just(LostCause::ShimDied)]
}

fn launch_failure() -> impl Strategy<Value = LaunchFailure> {
    prop_oneof![Just(LaunchFailure::Refused), Just(LaunchFailure::ProfileHeld)]
}

fn process() -> impl Strategy<Value = Process> {
    (1_u32..3).prop_map(|pid| Process {
        pid,
        start_ticks: 5,
        dequeued_at: BootTime::from_nanos(1),
        up_at: BootTime::from_nanos(2),
    })
}

/// Few values of each kind, so that the same ones meet again; launches often, since little happens before one.
fn fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        1 => Just(Fact::Requeued),
        6 => process().prop_map(Fact::Launched),
        1 => launch_failure().prop_map(|failure| Fact::LaunchFailed { failure, message: "no".to_owned() }),
        3 => Just(answered()),
        2 => prop_oneof![Just(200), Just(500)].prop_map(committed),
        1 => Just(navigation_failed()),
        1 => Just(Fact::PageClosed),
        1 => any::<bool>().prop_map(crashed),
        2 => report_status().prop_map(reported),
        1 => any::<bool>().prop_map(rule),
        1 => Just(file_kept()),
        1 => Just(download_began()),
        1 => prop_oneof![Just(download_done()), Just(download_failed())],
        3 => (exit_status(), proptest::option::of(tree_end())).prop_map(|(status, tree)| exited(status, tree)),
        1 => Just(killed_by_the_kernel()),
        2 => (exit_status(), 0_u64..20).prop_map(|(status, seconds)| exited_after(status, seconds)),
        2 => tree_end().prop_map(Fact::TreeEmptied),
        1 => any::<bool>().prop_map(|launched| Fact::CancelAsked { launched }),
        1 => (timeout(), any::<bool>()).prop_map(|(timeout, launched)| Fact::DeadlinePassed { timeout, launched }),
        1 => lost_cause().prop_map(Fact::Lost),
    ]
}

fn any_spec() -> impl Strategy<Value = Spec> {
    let completion = prop_oneof![Just(Completion::Any), Just(Completion::RequireReport), Just(Completion::ProcessExit)];
    let tier = prop_oneof![Just(Tier::Managed), Just(Tier::ExitOnly), Just(Tier::UserBrowser)];
    (completion, tier, any::<bool>()).prop_map(|(completion, tier, fail_on_http_error)| Spec {
        completion,
        tier,
        fail_on_http_error,
        ..spec()
    })
}

/// Facts, each with the wall clock's reading at that moment: it jumps as it likes.
fn story() -> impl Strategy<Value = Vec<(Fact, Now)>> {
    let moment = (0_u64..1_000_000).prop_map(WallTime::from_micros);
    proptest::collection::vec((fact(), moment), 0..40).prop_map(|facts| {
        let now = |nth: u64, wall| Now { wall, boot: BootTime::from_nanos(nth) };
        facts.into_iter().zip(10..).map(|((fact, wall), nth)| (fact, now(nth, wall))).collect()
    })
}

/// Every job that the story makes, each with the fact that made it.
fn live(spec: Spec, story: &[(Fact, Now)]) -> Vec<(Option<Fact>, Job)> {
    let mut life = vec![(None, created(spec))];
    for (fact, now) in story {
        let (_, job) = life.last().unwrap();
        if let Applied::Changed(next) = job.apply(&event(fact.clone()), *now) {
            life.push((Some(fact.clone()), next));
        }
    }
    life
}

/// Each fact that is kept in a slot of its own: once filled, it stays as it is.
fn assert_kept<T: PartialEq + std::fmt::Debug>(before: Option<&T>, after: Option<&T>) {
    if before.is_some() {
        assert_eq!(before, after, "a fact that was kept has changed");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_terminal_status_is_final_and_a_settled_job_stays_settled(spec in any_spec(), story in story()) {
        for pair in live(spec, &story).windows(2) {
            let (before, after) = (&pair[0].1, &pair[1].1);
            if before.status.is_terminal() {
                let end = |job: &Job| (job.status, job.reason, job.message.clone(), job.finished_at, job.expires_at());
                prop_assert_eq!(end(before), end(after));
            }
            prop_assert!(after.is_settled() || !before.is_settled());
            prop_assert_eq!(after.status.is_terminal(), after.finished_at.is_some());
        }
    }

    #[test]
    fn revisions_have_no_holes(spec in any_spec(), story in story()) {
        for ((_, job), expected) in live(spec, &story).iter().zip(1..) {
            prop_assert_eq!(job.revision, expected);
        }
    }

    #[test]
    fn time_never_runs_backwards_whatever_the_clock_does(spec in any_spec(), story in story()) {
        for pair in live(spec, &story).windows(2) {
            let (before, after) = (&pair[0].1, &pair[1].1);
            prop_assert!(before.updated_at <= after.updated_at);
            prop_assert_eq!(before.created_at, after.created_at);
            let reported = after.report.as_ref().map(|report| report.at);
            let exited = after.exit.as_ref().map(|exit| exit.at);
            let cancelled = after.cancel.map(|cancel| cancel.at);
            for at in [after.started_at, after.finished_at, reported, exited, cancelled].into_iter().flatten() {
                prop_assert!(after.created_at <= at && at <= after.updated_at);
            }
            if let (Some(started), Some(finished)) = (after.started_at, after.finished_at) {
                prop_assert!(started <= finished);
            }
        }
    }

    #[test]
    fn later_facts_are_kept_each_once(spec in any_spec(), story in story()) {
        for pair in live(spec, &story).windows(2) {
            let (before, after) = (&pair[0].1, &pair[1].1);
            assert_kept(before.process.as_ref(), after.process.as_ref());
            assert_kept(before.answer.as_ref(), after.answer.as_ref());
            assert_kept(before.page.as_ref(), after.page.as_ref());
            assert_kept(before.net_error.as_ref(), after.net_error.as_ref());
            assert_kept(before.page_end.as_ref(), after.page_end.as_ref());
            assert_kept(before.report.as_ref(), after.report.as_ref());
            assert_kept(before.matched_rule.as_ref(), after.matched_rule.as_ref());
            assert_kept(before.cancel.as_ref(), after.cancel.as_ref());
            assert_kept(before.exit.as_ref(), after.exit.as_ref());
            assert_kept(before.tree_end.as_ref(), after.tree_end.as_ref());
            assert_kept(before.started_at.as_ref(), after.started_at.as_ref());
            let ended = |job: &Job| job.download.as_ref().and_then(|download| download.end);
            assert_kept(ended(before).as_ref(), ended(after).as_ref());
            prop_assert!(after.download.is_some() || before.download.is_none());
            prop_assert!(after.tree_lost || !before.tree_lost);
            prop_assert_ne!(&**before, &**after, "a change changes something");
        }
    }

    #[test]
    fn an_event_that_changed_a_job_never_changes_it_again(spec in any_spec(), story in story()) {
        let life = live(spec, &story);
        for (nth, (made_by, _)) in life.iter().enumerate().skip(1) {
            let again = event(made_by.clone().unwrap());
            for (_, job) in &life[nth..] {
                let now = Now { wall: WallTime::from_micros(5), boot: BootTime::from_nanos(500) };
                prop_assert!(!matches!(job.apply(&again, now), Applied::Changed(_)), "{:?} on {:?}", again, job);
            }
        }
    }

    #[test]
    fn the_same_story_gives_the_same_life(spec in any_spec(), story in story()) {
        prop_assert_eq!(live(spec.clone(), &story), live(spec, &story));
    }

    #[test]
    fn a_stored_job_is_read_back_equal(spec in any_spec(), story in story()) {
        for (_, job) in live(spec, &story) {
            let stored = serde_json::to_string(&job).unwrap();
            prop_assert_eq!(serde_json::from_str::<Job>(&stored).unwrap(), job);
        }
    }

    #[test]
    fn a_job_without_a_process_never_claims_one_is_alive(spec in any_spec(), story in story()) {
        for (_, job) in live(spec, &story) {
            let ended = job.exit.is_some() || job.tree_end.is_some() || job.tree_lost;
            prop_assert_eq!(job.is_process_alive(), job.process.is_some() && !ended);
        }
    }
}
