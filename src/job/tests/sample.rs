//! Jobs and facts to try things on.

use std::{collections::BTreeMap, time::Duration};

use uuid::Uuid;

use crate::job::{
    Accepted, AfterFinish, Applied, BootTime, CallbackDelivery, Completion, Event, EventId, ExitStatus, Fact, FileKind,
    Isolation, Job, Now, Process, Profile, ReportStatus, Spec, Status, StopStep, TaskId, TaskUrl, Tier, Timeout,
    Timeouts, TreeEnd, WallTime,
};

pub(super) const TREE_END: TreeEnd =
    TreeEnd { step: StopStep::Closed, killed: 0, steps: Vec::new(), at: None, resources: None };

/// A moment this many seconds in; its two clocks read differently, so that one cannot stand for the other.
pub(super) fn at(second: u64) -> Now {
    Now { wall: WallTime::from_micros(1_800_000_000_000_000 + second * 1_000_000), boot: boot(second) }
}

pub(super) fn boot(second: u64) -> BootTime {
    BootTime::from_nanos(second * 1_000_000_000)
}

pub(crate) fn spec() -> Spec {
    Spec {
        url: TaskUrl::parse("https://example.org/").unwrap(),
        browser: "chromium".to_owned(),
        tier: Tier::Managed,
        headless: true,
        profile: Profile::Ephemeral,
        completion: Completion::Any,
        fail_on_http_error: false,
        callback_origins: Vec::new(),
        callback_delivery: CallbackDelivery::Binding,
        timeouts: Timeouts { queue: None, launch: None, navigation: None, run: None, idle: None },
        grace: Duration::from_secs(5),
        after_finish: AfterFinish::Close,
        retention: Duration::from_secs(60),
        labels: BTreeMap::new(),
        isolation: Isolation::Process,
        priority: 0,
        dialogs: None,
        wait_for_popups: false,
    }
}

pub(crate) fn created(spec: Spec) -> Job {
    let id = TaskId::new(Uuid::from_u128(1));
    Job::accept(Accepted { id, spec, host: "here".to_owned(), boot_id: "boot".to_owned() }, at(1))
}

pub(super) fn event(fact: Fact) -> Event {
    Event { id: EventId::numbered(1, 1), fact }
}

/// Applies facts that each must change the job, one second apart.
pub(crate) fn after(job: Job, facts: impl IntoIterator<Item = Fact>) -> Job {
    facts.into_iter().fold(job, |job, fact| {
        let second = job.revision + 1;
        match job.apply(&event(fact.clone()), at(second)) {
            Applied::Changed(changed) => changed,
            other => panic!("{fact:?} on {:?}: {other:?}", job.status),
        }
    })
}

pub(crate) fn launched() -> Fact {
    Fact::Launched(Process { pid: 7, start_ticks: 70, dequeued_at: boot(2), up_at: boot(3) })
}

pub(super) fn answered() -> Fact {
    Fact::BrowserAnswered { version: "Chromium/156".to_owned() }
}

pub(super) fn committed(http_status: u16) -> Fact {
    Fact::PageCommitted { url: "https://example.org/".to_owned(), http_status: Some(http_status) }
}

pub(super) fn navigation_failed() -> Fact {
    Fact::NavigationFailed { net_error: "net::ERR_NAME_NOT_RESOLVED".to_owned() }
}

pub(super) fn crashed(out_of_memory: bool) -> Fact {
    Fact::PageCrashed { status: "crashed".to_owned(), out_of_memory }
}

pub(super) fn reported(status: ReportStatus) -> Fact {
    Fact::Reported { status, message: "said".to_owned(), result: None }
}

pub(super) fn rule(success: bool) -> Fact {
    Fact::RuleMatched { rule: "thanks".to_owned(), success }
}

pub(super) fn file_kept() -> Fact {
    Fact::FileKept { name: "report.pdf".to_owned(), kind: FileKind::Download, size_bytes: 7 }
}

pub(super) fn download_began() -> Fact {
    Fact::DownloadBegan { name: "report.pdf".to_owned() }
}

pub(super) fn download_done() -> Fact {
    Fact::DownloadDone { name: "report.pdf".to_owned() }
}

pub(super) fn download_failed() -> Fact {
    Fact::DownloadFailed { name: "report.pdf".to_owned(), why: "it broke off".to_owned() }
}

pub(super) fn exited(status: ExitStatus, tree: Option<TreeEnd>) -> Fact {
    Fact::Exited { status, output_tail: String::new(), out_of_memory: false, tree, lived: None }
}

pub(super) fn killed_by_the_kernel() -> Fact {
    Fact::Exited {
        status: ExitStatus::Signal(9),
        output_tail: String::new(),
        out_of_memory: true,
        tree: Some(TREE_END),
        lived: None,
    }
}

/// The end of a process that lived so long.
pub(super) fn exited_after(status: ExitStatus, seconds: u64) -> Fact {
    Fact::Exited {
        status,
        output_tail: String::new(),
        out_of_memory: false,
        tree: None,
        lived: Some(Duration::from_secs(seconds)),
    }
}

pub(super) fn deadline(timeout: Timeout) -> Fact {
    Fact::DeadlinePassed { timeout, launched: true }
}

/// A job in each status, as it most often gets there. The done and the failed one still have their browser.
pub(super) fn in_status(status: Status) -> Job {
    let cancel = Fact::CancelAsked { launched: true };
    let lost = Fact::Lost(crate::job::LostCause::ShimDied);
    let rest = match status {
        Status::Created => return created(spec()),
        Status::Running => vec![],
        Status::Stopping => vec![cancel],
        Status::Done => vec![reported(ReportStatus::Done)],
        Status::Failed => vec![navigation_failed()],
        Status::Cancelled => vec![cancel, Fact::TreeEmptied(TREE_END)],
        Status::TimedOut => vec![deadline(Timeout::Run), Fact::TreeEmptied(TREE_END)],
        Status::Lost => vec![lost],
    };
    let job = after(after(created(spec()), [launched(), answered()]), rest);
    assert_eq!(job.status, status);
    job
}
