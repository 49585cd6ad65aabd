//! Whole lives of jobs, change by change, for tests that need something to remember.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use comet_task_runner::{
    job::{
        Accepted, AfterFinish, Applied, BootTime, CallbackDelivery, Completion, Event, EventId, ExitStatus, Fact,
        Isolation, Job, Now, Process, Profile, ReportStatus, Spec, StopStep, TaskId, TaskUrl, Tier, Timeouts, TreeEnd,
        WallTime,
    },
    ledger::Append,
};
use uuid::Uuid;

/// How long the jobs of these lives are kept after their end.
pub(crate) const RETENTION: Duration = Duration::from_secs(60);

/// When these lives begin, in microseconds; each change comes a microsecond later.
pub(crate) const BORN_AT: u64 = 1_800_000_000_000_000;

/// A job from acceptance until nothing more can happen to it, each change an append.
pub(crate) fn life() -> Vec<Append> {
    life_from(WallTime::from_micros(BORN_AT))
}

/// The same, born at another time.
pub(crate) fn life_from(born_at: WallTime) -> Vec<Append> {
    life_of(spec(), born_at)
}

/// The same, of another wish.
pub(crate) fn life_of(spec: Spec, born_at: WallTime) -> Vec<Append> {
    let id = TaskId::new(Uuid::now_v7());
    let now = |step: u64| Now {
        wall: WallTime::from_micros(born_at.micros() + step),
        boot: BootTime::from_nanos(1_000_000 + step),
    };
    let accepted = Accepted { id, spec, host: "here".to_owned(), boot_id: "boot".to_owned() };
    let mut job = Arc::new(Job::accept(accepted, now(0)));
    let mut appends = vec![append(&job, EventId::new(Uuid::now_v7()))];
    for (fact, step) in facts().into_iter().zip(1..) {
        let event = Event { id: EventId::new(Uuid::now_v7()), fact };
        let Applied::Changed(changed) = job.apply(&event, now(step)) else { panic!("{event:?} changes nothing") };
        job = Arc::new(changed);
        appends.push(append(&job, event.id));
    }
    assert!(job.is_settled(), "the life has come to its end");
    appends
}

fn append(job: &Arc<Job>, event_id: EventId) -> Append {
    Append { job: Arc::clone(job), event_id, expected_revision: job.revision - 1, request_key: None }
}

fn facts() -> Vec<Fact> {
    vec![
        Fact::Requeued,
        Fact::Launched(Process {
            pid: 4711,
            start_ticks: 99,
            dequeued_at: BootTime::from_nanos(1),
            up_at: BootTime::from_nanos(2),
        }),
        Fact::BrowserAnswered { version: "Chromium/156".to_owned() },
        Fact::PageCommitted { url: "https://example.org/a?q=\u{1f4a1}".to_owned(), http_status: Some(200) },
        Fact::Reported { status: ReportStatus::Done, message: "ready".to_owned(), result: Some("{}".to_owned()) },
        Fact::RuleMatched { rule: "thanks".to_owned(), success: true },
        Fact::PageClosed,
        Fact::Exited {
            status: ExitStatus::Code(0),
            output_tail: String::new(),
            out_of_memory: false,
            tree: Some(TreeEnd { step: StopStep::Closed, killed: 0, steps: Vec::new(), at: None, resources: None }),
            lived: None,
        },
    ]
}

pub(crate) fn spec() -> Spec {
    Spec {
        url: TaskUrl::parse("https://example.org/a").unwrap(),
        browser: "chromium".to_owned(),
        tier: Tier::Managed,
        headless: true,
        profile: Profile::Ephemeral,
        completion: Completion::Any,
        fail_on_http_error: false,
        callback_origins: vec!["https://example.org".to_owned()],
        callback_delivery: CallbackDelivery::Binding,
        timeouts: Timeouts { queue: None, launch: None, navigation: None, run: None, idle: None },
        grace: Duration::from_secs(5),
        after_finish: AfterFinish::Close,
        retention: RETENTION,
        labels: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
        isolation: Isolation::Process,
        priority: 0,
        dialogs: None,
        wait_for_popups: false,
    }
}
