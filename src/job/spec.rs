//! What was asked for: fixed when the job is accepted, never changed after.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::TaskUrl;

/// Everything that was asked for, with every default already filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// What to open.
    pub url: TaskUrl,
    /// The name of the browser that was chosen for it.
    pub browser: String,
    /// What the browser can be asked.
    pub tier: Tier,
    /// Without a window.
    pub headless: bool,
    /// Whose cookies and logins.
    pub profile: Profile,
    /// Which facts end the task.
    pub completion: Completion,
    /// An HTTP status of 400 and above is a failure.
    pub fail_on_http_error: bool,
    /// Origins whose pages may report; the URL's own by default.
    pub callback_origins: Vec<String>,
    /// How the page learns how to report. Jobs of an earlier version have none.
    #[serde(default)]
    pub callback_delivery: CallbackDelivery,
    /// The five timeouts.
    pub timeouts: Timeouts,
    /// How long a browser may take to leave by itself before it is killed.
    pub grace: Duration,
    /// What becomes of the browser when the task is over.
    pub after_finish: AfterFinish,
    /// How long the job is kept after its end.
    pub retention: Duration,
    /// The caller's own marks.
    pub labels: BTreeMap<String, String>,
    /// What the task shares with others. Jobs of an earlier version shared nothing.
    #[serde(default)]
    pub isolation: Isolation,
    /// Among those that wait, a higher one goes first.
    #[serde(default)]
    pub priority: i8,
    /// What becomes of the dialogs of its pages; none for the default of the mode.
    #[serde(default)]
    pub dialogs: Option<DialogPolicy>,
    /// The page's end ends the task only once the pages that it opened are closed as well.
    #[serde(default)]
    pub wait_for_popups: bool,
}

/// What a browser can be asked, beside being started and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tier {
    /// It answers over its debugging pipe: page facts are known.
    Managed,
    /// A browser of its own, without debugging: only its exit is known.
    ExitOnly,
    /// The person's own browser, which may be running already and is never stopped.
    UserBrowser,
}

/// What a task shares with others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    /// Nothing: a browser of its own.
    #[default]
    Process,
    /// A warm browser, in which it has a context of its own.
    Context,
}

/// What becomes of a page's dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DialogPolicy {
    /// It is accepted at once.
    Accept,
    /// It is dismissed at once.
    Dismiss,
    /// It is a person's to answer.
    Leave,
}

/// Whose cookies and logins a browser starts with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// A new one, gone with the job.
    Ephemeral,
    /// One that is kept under this name; one job at a time.
    Named(String),
}

/// Which facts end a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Completion {
    /// The first of a report, the page's end, and, where there are no page facts, the exit.
    Any,
    /// As `Any`, but an end without a report is a failure.
    RequireReport,
    /// Only the exit of the process.
    ProcessExit,
}

/// How a page learns how to report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallbackDelivery {
    /// By a function in the page, where page facts are known.
    #[default]
    Binding,
    /// By that, and by a fragment of the URL that is opened, which holds the callback token.
    Fragment,
}

/// What becomes of the browser when its task is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AfterFinish {
    /// It is closed.
    Close,
    /// It stays for a person to look at, without holding a slot.
    KeepOpen,
}

/// How long each stretch may take; none means without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// From acceptance to a free slot.
    pub queue: Option<Duration>,
    /// From there to the browser's first answer; without page facts, to RUNNING.
    pub launch: Option<Duration>,
    /// From there to the task's document.
    pub navigation: Option<Duration>,
    /// From RUNNING to the end.
    pub run: Option<Duration>,
    /// From one sign of life of the page to the next.
    pub idle: Option<Duration>,
}
