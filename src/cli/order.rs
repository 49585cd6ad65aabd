//! What a task is to be, as the command line says it.

use std::{collections::HashMap, time::Duration};

use clap::{Args, ValueEnum};
use uuid::Uuid;

use super::span;
use crate::api::v1::{ExecuteRequest, Timeouts, browser, execute_request};

/// Everything about a task but its URL.
#[derive(Debug, Args)]
pub(super) struct OrderArgs {
    /// The browser, by the name that the service lists; NAME=PATH[,exit-only] brings one along, for a service of its own
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(super) browser: String,
    /// With a window or without
    #[arg(long, value_enum, default_value_t = Mode::Auto)]
    mode: Mode,
    /// A profile that keeps its logins, by name [default: a new one, gone with the task]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(super) profile: String,
    /// Which facts end the task
    #[arg(long, value_enum, default_value_t = CompletionPolicy::Any)]
    completion_policy: CompletionPolicy,
    /// Count an HTTP status of 400 and above as a failure
    #[arg(long)]
    fail_on_http_error: bool,
    /// An origin whose pages may report [default: the URL's own] [repeatable]
    #[arg(long = "callback-origin", value_name = "ORIGIN")]
    callback_origins: Vec<String>,
    /// How the page learns how to report [default: binding; fragment in the person's own browser; none with exit-only]
    #[arg(long, value_enum)]
    callback_delivery: Option<CallbackDelivery>,
    /// How long the browser may take to leave by itself [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    grace: Option<Duration>,
    /// What becomes of the browser when the task is over [default: close without a window, keep-open with one]
    #[arg(long, value_enum)]
    pub(super) after_finish: Option<AfterFinish>,
    /// A mark of your own [repeatable]
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// A UUID: the same id with the same arguments is the same task [default: a new one]
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
    /// What is to be asked of the browser [default: the most that it can]
    #[arg(long, value_enum)]
    tier: Option<Tier>,
    /// What the task shares with others
    #[arg(long, value_enum, default_value_t = Isolation::Process)]
    isolation: Isolation,
    /// Among those that wait, a higher one goes first: -100 to 100
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// What becomes of the dialogs that its pages open [default: accept without a window, leave with one]
    #[arg(long, value_enum)]
    dialogs: Option<Dialogs>,
    /// End with the last of the pages that the task's page opened, not with that page alone
    #[arg(long)]
    wait_for_popups: bool,
    // Last: its heading holds for all that follows.
    #[command(flatten)]
    timeouts: TimeoutArgs,
}

/// How long each stretch may take.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Timeouts (500ms, 30s, 5m, 2h; 0 means without limit)")]
struct TimeoutArgs {
    /// From acceptance to a free slot [default: 0]
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    timeout_queue: Option<Duration>,
    /// From there to the browser's first answer [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    timeout_launch: Option<Duration>,
    /// From there to the task's document [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    timeout_navigation: Option<Duration>,
    /// From RUNNING to the end [default: 0]
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    timeout_run: Option<Duration>,
    /// From one sign of life of the page to the next [default: 0]
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    timeout_idle: Option<Duration>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// With a window where there is a display
    Auto,
    /// With a window
    Headed,
    /// Without
    Headless,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CompletionPolicy {
    /// The first of a report, the page's end and, without page facts, the exit
    Any,
    /// As any, but an end without a report is a failure
    RequireReport,
    /// Only the exit of the process
    ProcessExit,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CallbackDelivery {
    /// By window.cometTask, in a browser whose pages can be spoken to
    Binding,
    /// By "#ctr=<task id>.<token>" behind the URL too: the page posts its report to /callback
    Fragment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum AfterFinish {
    /// It is closed
    Close,
    /// It stays for a person to look at
    KeepOpen,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Tier {
    /// Its pages: Chromium browsers
    Managed,
    /// Its exit
    ExitOnly,
    /// Nothing: your own browser with your own profile, which is never stopped
    UserBrowser,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Isolation {
    /// Nothing: a browser of its own
    Process,
    /// A warm browser, in which it has a context of its own
    Context,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Dialogs {
    /// They are accepted at once
    Accept,
    /// They are dismissed at once
    Dismiss,
    /// They are a person's to answer
    Leave,
}

impl OrderArgs {
    /// The browser is the person's own, which outlives this call.
    pub(super) fn is_of_user_browser(&self) -> bool {
        matches!(self.tier, Some(Tier::UserBrowser))
    }

    /// The task has a name of the caller's making.
    pub(super) fn has_request_id(&self) -> bool {
        self.request_id.is_some()
    }

    /// The browser is one that the call brings along.
    pub(super) fn brings_browser(&self) -> bool {
        self.browser.contains('=')
    }

    pub(super) fn to_proto(&self, url: &str, after_finish: Option<AfterFinish>) -> ExecuteRequest {
        let named = self.browser.split_once('=').map_or(self.browser.as_str(), |(name, _)| name);
        ExecuteRequest {
            url: url.to_owned(),
            // Made here, so that a call that was cut can be made again without a second task.
            request_id: self.request_id.clone().unwrap_or_else(|| Uuid::new_v4().to_string()),
            browser: named.to_owned(),
            mode: self.mode.to_proto().into(),
            profile: self.profile.clone(),
            completion_policy: self.completion_policy.to_proto().into(),
            fail_on_http_error: self.fail_on_http_error,
            callback_origins: self.callback_origins.clone(),
            timeouts: Some(self.timeouts.to_proto()),
            termination_grace: self.grace.and_then(span::to_proto),
            after_finish: after_finish.map_or(execute_request::AfterFinish::Unspecified, AfterFinish::to_proto).into(),
            callback_delivery: self
                .callback_delivery
                .map_or(execute_request::CallbackDelivery::Unspecified, CallbackDelivery::to_proto)
                .into(),
            retention: None,
            labels: self.labels.iter().cloned().collect::<HashMap<_, _>>(),
            validate_only: false,
            tier: self.tier.map_or(browser::Tier::Unspecified, Tier::to_proto).into(),
            isolation: self.isolation.to_proto().into(),
            priority: self.priority,
            dialogs: self.dialogs.map_or(execute_request::DialogPolicy::Unspecified, Dialogs::to_proto).into(),
            wait_for_popups: self.wait_for_popups,
        }
    }
}

impl TimeoutArgs {
    fn to_proto(self) -> Timeouts {
        let span = |span: Option<Duration>| span.and_then(span::to_proto);
        Timeouts {
            queue: span(self.timeout_queue),
            launch: span(self.timeout_launch),
            navigation: span(self.timeout_navigation),
            run: span(self.timeout_run),
            idle: span(self.timeout_idle),
        }
    }
}

impl Mode {
    fn to_proto(self) -> execute_request::Mode {
        match self {
            Self::Auto => execute_request::Mode::Auto,
            Self::Headed => execute_request::Mode::Headed,
            Self::Headless => execute_request::Mode::Headless,
        }
    }
}

impl CompletionPolicy {
    fn to_proto(self) -> execute_request::CompletionPolicy {
        match self {
            Self::Any => execute_request::CompletionPolicy::Any,
            Self::RequireReport => execute_request::CompletionPolicy::RequireReport,
            Self::ProcessExit => execute_request::CompletionPolicy::ProcessExit,
        }
    }
}

impl CallbackDelivery {
    fn to_proto(self) -> execute_request::CallbackDelivery {
        match self {
            Self::Binding => execute_request::CallbackDelivery::Binding,
            Self::Fragment => execute_request::CallbackDelivery::Fragment,
        }
    }
}

impl AfterFinish {
    fn to_proto(self) -> execute_request::AfterFinish {
        match self {
            Self::Close => execute_request::AfterFinish::Close,
            Self::KeepOpen => execute_request::AfterFinish::KeepOpen,
        }
    }
}

impl Tier {
    fn to_proto(self) -> browser::Tier {
        match self {
            Self::Managed => browser::Tier::Managed,
            Self::ExitOnly => browser::Tier::ExitOnly,
            Self::UserBrowser => browser::Tier::UserBrowser,
        }
    }
}

impl Isolation {
    fn to_proto(self) -> browser::Isolation {
        match self {
            Self::Process => browser::Isolation::Process,
            Self::Context => browser::Isolation::Context,
        }
    }
}

impl Dialogs {
    fn to_proto(self) -> execute_request::DialogPolicy {
        match self {
            Self::Accept => execute_request::DialogPolicy::Accept,
            Self::Dismiss => execute_request::DialogPolicy::Dismiss,
            Self::Leave => execute_request::DialogPolicy::Leave,
        }
    }
}

pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not of the form KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}
