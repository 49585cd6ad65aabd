//! From jobs to messages: every field of the contract, in its order.

use std::time::SystemTime;

use prost::Message;

use super::{log, v1};
use crate::{
    job::{
        Capability, DownloadEnd, ExitStatus, FileKind, Isolation, Job, JobFile, PageEnd, Profile, Reason, Record,
        ReportStatus, Status, Tier, WallTime,
    },
    runner::{About, Dialog, DialogKind, KnownBrowser, LogEntry, Problem, ProcessReading, QueueReason, Sample},
};

impl From<&Job> for v1::Job {
    fn from(job: &Job) -> Self {
        let (exit_code, exit_signal) = match job.exit.as_ref().map(|exit| exit.status) {
            Some(ExitStatus::Code(code)) => (Some(code), None),
            Some(ExitStatus::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        Self {
            task_id: job.id.to_string(),
            url: job.spec.url.as_str().to_owned(),
            status: status(job.status).into(),
            done: job.status.is_terminal(),
            reason: reason(job.reason).into(),
            message: job.message.clone(),
            created_at: Some(timestamp(job.created_at)),
            started_at: job.started_at.map(timestamp),
            finished_at: job.finished_at.map(timestamp),
            updated_at: Some(timestamp(job.updated_at)),
            expires_at: job.expires_at().map(timestamp),
            process_id: job.process.as_ref().map_or(0, |process| process.pid),
            is_process_alive: job.is_process_alive(),
            exit_code,
            exit_signal,
            page: page(job),
            browser: Some(browser(job)),
            callback: job.report.as_ref().map(|report| v1::CallbackReport {
                status: report_status(report.status).into(),
                message: report.message.clone(),
                result: report.result.clone().unwrap_or_default(),
                reported_at: Some(timestamp(report.at)),
            }),
            cancel_requested: job.cancel.is_some(),
            host: job.host.clone(),
            attempt: job.attempt,
            labels: job.spec.labels.clone().into_iter().collect(),
            revision: job.revision,
            files: job.files.iter().map(v1::JobFile::from).collect(),
            priority: i32::from(job.spec.priority),
            handed_off: job.handed_off,
            resources: job.tree_end.as_ref().and_then(|end| end.resources.as_ref()).map(v1::Resources::from),
            tree_end: job.tree_end.as_ref().map(v1::TreeEnd::from),
        }
    }
}

impl From<&JobFile> for v1::JobFile {
    fn from(file: &JobFile) -> Self {
        use v1::job_file::Kind;
        let kind = match file.kind {
            FileKind::Download => Kind::Download,
            FileKind::Screenshot => Kind::Screenshot,
        };
        Self {
            name: file.name.clone(),
            kind: kind.into(),
            size_bytes: file.size_bytes,
            kept_at: Some(timestamp(file.at)),
        }
    }
}

impl From<&Sample> for v1::Sample {
    fn from(sample: &Sample) -> Self {
        Self {
            queue_position: sample.queued.as_ref().map(|queued| queued.position),
            progress: sample.progress.map(u32::from),
            progress_message: sample.progress_message.clone(),
            page_title: sample.page_title.clone(),
            page_url: sample.page_url.clone(),
            process_info: sample.process.as_ref().map(v1::ProcessInfo::from),
            dialog: sample.dialog.as_ref().map(v1::Dialog::from),
            popup_count: count(sample.popup_count),
            queue_reason: sample.queued.as_ref().map_or(0, |queued| queue_reason(queued.reason).into()),
            queue_message: sample.queued.as_ref().map(|queued| queued.words.to_string()).unwrap_or_default(),
        }
    }
}

impl From<&Dialog> for v1::Dialog {
    fn from(dialog: &Dialog) -> Self {
        use v1::dialog::Kind;
        let kind = match dialog.kind {
            DialogKind::Alert => Kind::Alert,
            DialogKind::Confirm => Kind::Confirm,
            DialogKind::Prompt => Kind::Prompt,
            DialogKind::Beforeunload => Kind::Beforeunload,
        };
        Self { kind: kind.into(), message: dialog.message.clone() }
    }
}

const fn queue_reason(reason: QueueReason) -> v1::sample::QueueReason {
    use v1::sample::QueueReason as Wire;
    match reason {
        QueueReason::Slot => Wire::Slot,
        QueueReason::Launch => Wire::Launch,
        QueueReason::Memory => Wire::Memory,
        QueueReason::Window => Wire::Window,
        QueueReason::Profile => Wire::Profile,
    }
}

impl From<&ProcessReading> for v1::ProcessInfo {
    fn from(reading: &ProcessReading) -> Self {
        let ProcessReading { tree, at, shared } = reading;
        Self {
            pid: tree.pid,
            name: tree.name.clone(),
            status: tree.status.to_owned(),
            cpu_percent: tree.cpu_percent,
            memory_mb: mib(tree.memory_bytes),
            process_count: tree.process_count,
            sampled_at: Some(timestamp(at.wall)),
            rss_mb: mib(tree.resident_bytes),
            pss_measured: tree.is_share_known,
            shared: *shared,
        }
    }
}

/// Far below where a double loses bytes.
pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / BYTES_PER_MIB as f64
}

/// So many bytes to a MiB.
const BYTES_PER_MIB: u64 = 1 << 20;

/// What the runner is, and how many streams watch it of how many that may.
pub(super) fn runner(about: About, watchers: usize, watchers_max: usize) -> v1::GetRunnerResponse {
    use v1::get_runner_response::{Limits, Load};
    v1::GetRunnerResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: about.host,
        started_at: Some(timestamp(about.started_at)),
        browsers: about.browsers.iter().map(v1::get_runner_response::KnownBrowser::from).collect(),
        limits: Some(Limits {
            slots: count(about.limits.slots.get()),
            queue_max: count(about.limits.queue_max),
            watchers_max: count(watchers_max),
            launches_max: count(about.limits.launches_max.get()),
            memory_floor_mb: about.limits.memory_floor_bytes / BYTES_PER_MIB,
            windows_max: count(about.limits.windows_max.get()),
            windows_evict: about.limits.windows_evict,
        }),
        load: Some(Load {
            slots_taken: count(about.load.running),
            queue_len: count(about.load.waiting),
            jobs_live: count(about.jobs_live),
            watchers: count(watchers),
            launches_in_flight: count(about.load.launching),
            windows_open: count(about.load.windows),
            windows_kept: count(about.load.windows_kept),
            memory_available_mb: about.memory_available_bytes.map(|bytes| bytes / BYTES_PER_MIB),
        }),
        has_display: about.has_display,
        ready: about.ready,
        draining: about.draining,
        problems: about.problems.into_iter().map(v1::get_runner_response::Problem::from).collect(),
        // The caller's, which the call itself knows.
        scope: v1::get_runner_response::Scope::Unspecified.into(),
    }
}

impl From<&KnownBrowser> for v1::get_runner_response::KnownBrowser {
    fn from(browser: &KnownBrowser) -> Self {
        Self {
            name: browser.name.clone(),
            version: browser.version.clone().unwrap_or_default(),
            tier: tier(browser.tier).into(),
            path: browser.path.display().to_string(),
            tiers: browser.tiers.iter().map(|known| known_tier(*known)).collect(),
        }
    }
}

impl From<Problem> for v1::get_runner_response::Problem {
    fn from(Problem { what, remedy }: Problem) -> Self {
        Self { what, remedy }
    }
}

/// What does not fit is as good as without bound.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The bytes that a message takes as one of a list: its own, and around it at most five of tag and length.
pub(super) fn length(message: &impl Message) -> usize {
    const AROUND: usize = 5;
    message.encoded_len() + AROUND
}

fn page(job: &Record) -> Option<v1::Page> {
    use v1::page::LoadState;
    // Without page facts there is nothing to say; with them, it is loading from the start.
    if !job.spec.tier.can(Capability::PageFacts) || job.process.is_none() {
        return None;
    }
    let is_downloaded = job.download.as_ref().and_then(|download| download.end) == Some(DownloadEnd::Complete);
    let (load_state, crash_status) = match (&job.page_end, &job.net_error, &job.page) {
        (_, _, _) if is_downloaded => (LoadState::Downloaded, String::new()),
        (Some(PageEnd::Closed), _, _) => (LoadState::Closed, String::new()),
        (Some(PageEnd::Crashed(status)), _, _) => (LoadState::Crashed, status.clone()),
        (None, Some(_), _) => (LoadState::NavigationError, String::new()),
        (None, None, Some(_)) => (LoadState::Committed, String::new()),
        (None, None, None) => (LoadState::Loading, String::new()),
    };
    Some(v1::Page {
        url: job.page.as_ref().map(|page| page.url.clone()).unwrap_or_default(),
        http_status: job.page.as_ref().and_then(|page| page.http_status).map(u32::from),
        net_error: job.net_error.clone().unwrap_or_default(),
        load_state: load_state.into(),
        crash_status,
    })
}

fn browser(job: &Record) -> v1::Browser {
    v1::Browser {
        name: job.spec.browser.clone(),
        version: job.answer.as_ref().map(|answer| answer.version.clone()).unwrap_or_default(),
        headless: job.spec.headless,
        tier: tier(job.spec.tier).into(),
        profile: match &job.spec.profile {
            Profile::Ephemeral => String::new(),
            Profile::Named(name) => name.clone(),
        },
        isolation: match job.spec.isolation {
            Isolation::Process => v1::browser::Isolation::Process.into(),
            Isolation::Context => v1::browser::Isolation::Context.into(),
        },
        capabilities: capabilities(job.spec.capabilities()),
    }
}

fn known_tier(of: Tier) -> v1::get_runner_response::KnownTier {
    v1::get_runner_response::KnownTier { tier: tier(of).into(), capabilities: capabilities(of.capabilities()) }
}

fn capabilities(all: impl Iterator<Item = Capability>) -> Vec<i32> {
    all.map(|of| capability(of).into()).collect()
}

const fn capability(capability: Capability) -> v1::browser::Capability {
    use v1::browser::Capability as Wire;
    match capability {
        Capability::PageFacts => Wire::PageFacts,
        Capability::ReportBinding => Wire::ReportBinding,
        Capability::PageScreenshot => Wire::PageScreenshot,
        Capability::Windows => Wire::Windows,
        Capability::Downloads => Wire::Downloads,
        Capability::Dialogs => Wire::Dialogs,
        Capability::PageLog => Wire::PageLog,
        Capability::WarmContext => Wire::WarmContext,
        Capability::Stop => Wire::Stop,
        Capability::ExitStatus => Wire::ExitStatus,
        Capability::Profile => Wire::Profile,
        Capability::Headless => Wire::Headless,
    }
}

pub(super) const fn tier(tier: Tier) -> v1::browser::Tier {
    match tier {
        Tier::Managed => v1::browser::Tier::Managed,
        Tier::ExitOnly => v1::browser::Tier::ExitOnly,
        Tier::UserBrowser => v1::browser::Tier::UserBrowser,
    }
}

pub(super) fn timestamp(time: WallTime) -> prost_types::Timestamp {
    SystemTime::from(time).into()
}

pub(super) const fn status(status: Status) -> v1::job::Status {
    use v1::job::Status as Wire;
    match status {
        Status::Created => Wire::Created,
        Status::Running => Wire::Running,
        Status::Stopping => Wire::Stopping,
        Status::Done => Wire::Done,
        Status::Failed => Wire::Failed,
        Status::Cancelled => Wire::Cancelled,
        Status::TimedOut => Wire::TimedOut,
        Status::Lost => Wire::Lost,
    }
}

pub(super) fn log_entry(entry: &LogEntry) -> v1::LogEntry {
    v1::LogEntry {
        number: entry.number,
        said_at: Some(timestamp(entry.at)),
        source: log::source(entry.source).into(),
        level: log::level(entry.level).into(),
        text: entry.text.clone(),
        url: entry.url.clone(),
        line: entry.line.unwrap_or_default(),
    }
}

const fn report_status(status: ReportStatus) -> v1::job::Status {
    match status {
        ReportStatus::Done => v1::job::Status::Done,
        ReportStatus::Failed => v1::job::Status::Failed,
    }
}

const fn reason(reason: Reason) -> v1::job::Reason {
    use v1::job::Reason as Wire;
    match reason {
        Reason::Accepted => Wire::Accepted,
        Reason::Requeued => Wire::Requeued,
        Reason::Launched => Wire::Launched,
        Reason::CancelRequested => Wire::CancelRequested,
        Reason::QueueTimeout => Wire::QueueTimeout,
        Reason::LaunchTimeout => Wire::LaunchTimeout,
        Reason::NavigationTimeout => Wire::NavigationTimeout,
        Reason::RunTimeout => Wire::RunTimeout,
        Reason::IdleTimeout => Wire::IdleTimeout,
        Reason::ServiceAway => Wire::ServiceAway,
        Reason::Callback => Wire::Callback,
        Reason::PageClosed => Wire::PageClosed,
        Reason::RuleMatched => Wire::RuleMatched,
        Reason::ProcessExited => Wire::ProcessExited,
        Reason::ProcessFailed => Wire::ProcessFailed,
        Reason::BrowserTerminated => Wire::BrowserTerminated,
        Reason::PageCrashed => Wire::PageCrashed,
        Reason::OutOfMemory => Wire::OutOfMemory,
        Reason::NavigationFailed => Wire::NavigationFailed,
        Reason::HttpError => Wire::HttpError,
        Reason::ProfileInUse => Wire::ProfileInUse,
        Reason::HandedOver => Wire::HandedOver,
        Reason::NoReport => Wire::NoReport,
        Reason::LaunchFailed => Wire::LaunchFailed,
        Reason::Downloaded => Wire::Downloaded,
        Reason::DownloadFailed => Wire::DownloadFailed,
        Reason::ServiceRestarted => Wire::ServiceRestarted,
        Reason::HostRestarted => Wire::HostRestarted,
        Reason::ShimDied => Wire::ShimDied,
        Reason::HandedOff => Wire::HandedOff,
    }
}
