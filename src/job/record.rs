//! What is known of a job: each fact in a slot that is filled once.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{BootTime, Reason, Spec, Status, TaskId, Tier, TreeEnd, WallTime};

/// What is known of a job at one revision. Read through [`super::Job`], changed only by its `apply`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which task.
    pub id: TaskId,
    /// What was asked for.
    pub spec: Arc<Spec>,
    /// The machine that runs it.
    pub host: String,
    /// That machine's boot; times since boot mean nothing in another one.
    pub boot_id: String,
    /// 1, 2, 3 … without holes.
    pub revision: u64,
    /// Where it stands.
    pub status: Status,
    /// Why it stands there.
    pub reason: Reason,
    /// The same for a person; empty when the reason says it all.
    pub message: String,
    /// When it was accepted.
    pub created_at: WallTime,
    /// When it began to wait for a slot, on the boot clock.
    pub queued_at: BootTime,
    /// When this revision was made.
    pub updated_at: WallTime,
    /// When its browser came up.
    pub started_at: Option<WallTime>,
    /// When its status became terminal.
    pub finished_at: Option<WallTime>,
    /// 1 for the first start, 2 for the one after a restart of the service.
    pub attempt: u32,
    /// The browser process.
    pub process: Option<Process>,
    /// The browser's first answer.
    pub answer: Option<Answer>,
    /// The task's document.
    pub page: Option<Page>,
    /// Why the document could not be fetched.
    pub net_error: Option<String>,
    /// How the page ended.
    pub page_end: Option<PageEnd>,
    /// The report of its end.
    pub report: Option<Report>,
    /// The name of the rule that matched.
    pub matched_rule: Option<String>,
    /// That somebody asked to cancel.
    pub cancel: Option<Cancel>,
    /// How the browser process ended.
    pub exit: Option<Exit>,
    /// That nothing of the process tree is left.
    pub tree_end: Option<TreeEnd>,
    /// What its URL leads to, where that is a file. Jobs of an earlier version have none.
    #[serde(default)]
    pub download: Option<Download>,
    /// What was kept of it. Jobs of an earlier version have none.
    #[serde(default)]
    pub files: Vec<JobFile>,
    /// The process tree can no longer be told apart from strangers: nothing more will be learnt of it.
    pub tree_lost: bool,
    /// Its process gave its URL to the person's own browser, and left. Jobs of an earlier version never did.
    #[serde(default)]
    pub handed_off: bool,
}

/// A browser process, named so that it cannot be mistaken for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// Its start time in clock ticks since boot: with the pid and the boot, its identity.
    pub start_ticks: u64,
    /// When its job left the queue.
    pub dequeued_at: BootTime,
    /// When it came up.
    pub up_at: BootTime,
}

/// The browser's first answer over its pipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Product and version in the browser's own words.
    pub version: String,
    /// When it came.
    pub at: BootTime,
}

/// The task's document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Where it came from, after redirects.
    pub url: String,
    /// Its HTTP status; none when it did not come over HTTP.
    pub http_status: Option<u16>,
}

/// The file that a task's URL leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// What it is to be called; once it is kept, its name may have got a number.
    pub name: String,
    /// How it ended; none while it is coming.
    pub end: Option<DownloadEnd>,
}

/// How a download ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DownloadEnd {
    /// It is there, whole.
    Complete,
    /// It is not coming.
    Failed,
}

/// How a page ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PageEnd {
    /// Closed by a person or a script.
    Closed,
    /// Its renderer died; the browser's word for how.
    Crashed(String),
}

/// What a page can report of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportStatus {
    /// It succeeded.
    Done,
    /// It did not.
    Failed,
}

/// Longest message of a report, in bytes: a sentence or a stack trace, not a document.
pub const REPORT_MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// Longest result of a report, in bytes of JSON text: it is kept with the job and sent to every watcher.
pub const REPORT_RESULT_BYTES_MAX: usize = 64 * 1024;

/// A report of the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What was reported.
    pub status: ReportStatus,
    /// What it says to people; may be empty.
    pub message: String,
    /// JSON text; none when it gave none.
    pub result: Option<String>,
    /// When it came.
    pub at: WallTime,
}

/// That somebody asked to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// When.
    pub at: WallTime,
}

/// Most files that are kept of one job: each is told with every change.
pub const FILES_MAX: usize = 100;

/// A file that was kept of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFile {
    /// Names it within its job.
    pub name: String,
    /// What kind of file.
    pub kind: FileKind,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// When it was complete.
    pub at: WallTime,
}

/// What kind of file was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileKind {
    /// The page downloaded it.
    Download,
    /// What the page showed last.
    Screenshot,
}

/// How a process ended, in the words of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitStatus {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// The end of the browser process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// How.
    pub status: ExitStatus,
    /// When it was learnt.
    pub at: WallTime,
}

impl Record {
    /// True while its browser process is known to live.
    #[must_use]
    pub fn is_process_alive(&self) -> bool {
        self.process.is_some() && self.exit.is_none() && self.tree_end.is_none() && !self.tree_lost
    }

    /// True once nothing more can happen to it by itself: it is over, and nothing of its process tree is left.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        // What the person's own browser started is the person's: nothing of it is waited for.
        let is_left = self.spec.tier == Tier::UserBrowser && self.exit.is_some();
        let gone = self.process.is_none() || self.tree_end.is_some() || self.tree_lost || is_left;
        self.status.is_terminal() && gone
    }

    /// True while the file that its URL leads to is coming.
    #[must_use]
    pub fn is_downloading(&self) -> bool {
        self.download.as_ref().is_some_and(|download| download.end.is_none())
    }

    /// When it may be forgotten; none while it is live.
    #[must_use]
    pub fn expires_at(&self) -> Option<WallTime> {
        self.finished_at.map(|at| at.saturating_add(self.spec.retention))
    }
}
