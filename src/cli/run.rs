//! `run`: opens a URL and follows its task to the end.

use std::{collections::HashMap, io::Write, time::Duration};

use clap::{Args, ValueEnum};
use uuid::Uuid;

use super::{
    Exit, Problem,
    args::{Format, Reach},
    connect::{Client, Target},
    errand::Errand,
    own::Own,
    print::Printer,
    signals::Signals,
    span,
    watch::RetryFor,
};
use crate::api::v1::{ExecuteRequest, Timeouts, execute_request};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// What to open: an http or https URL
    url: String,
    /// The browser, by the name that the service lists; NAME=PATH[,exit-only] brings one along, for a service of its own
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    browser: String,
    /// With a window or without
    #[arg(long, value_enum, default_value_t = Mode::Auto)]
    mode: Mode,
    /// A profile that keeps its logins, by name [default: a new one, gone with the task]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    profile: String,
    /// Which facts end the task
    #[arg(long, value_enum, default_value_t = CompletionPolicy::Any)]
    completion_policy: CompletionPolicy,
    /// Count an HTTP status of 400 and above as a failure
    #[arg(long)]
    fail_on_http_error: bool,
    /// An origin whose pages may report [default: the URL's own] [repeatable]
    #[arg(long = "callback-origin", value_name = "ORIGIN")]
    callback_origins: Vec<String>,
    /// How the page learns how to report
    #[arg(long, value_enum, default_value_t = CallbackDelivery::Binding)]
    callback_delivery: CallbackDelivery,
    /// How long the browser may take to leave by itself [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    grace: Option<Duration>,
    /// What becomes of the browser when the task is over [default: close without a window, keep-open with one]
    #[arg(long, value_enum)]
    after_finish: Option<AfterFinish>,
    /// A mark of your own [repeatable]
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// A UUID: the same id with the same arguments is the same task [default: a new one]
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
    /// Start Chromium without its sandbox, as root must, in a service of its own
    #[arg(long)]
    no_sandbox: bool,
    #[command(flatten)]
    retry: RetryFor,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    format: Format,
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
enum AfterFinish {
    /// It is closed
    Close,
    /// It stays for a person to look at
    KeepOpen,
}

impl Run {
    pub(super) async fn run(self) -> Result<Exit, Problem> {
        let mut signals = Signals::for_call()?;
        let printer = Printer::new(self.format);
        let Some((target, client)) = self.running_service().await? else {
            return self.on_its_own(&mut signals, &printer).await;
        };
        if self.no_sandbox {
            tracing::warn!("--no-sandbox is for a service of its own; the one that runs decides for itself");
        }
        let mut errand = Errand { target, client, retry: self.retry, signals: &mut signals, stops: 0, may_leave: true };
        let made = errand.execute(self.request(self.after_finish)).await?;
        self.say_task(&made.task_id);
        errand.follow(&made, &printer).await
    }

    /// The service that is meant, if it answers; none when the call should start one.
    async fn running_service(&self) -> Result<Option<(Target, Client)>, Problem> {
        let target = self.reach.target()?;
        if self.brings_browser() {
            return match target {
                Target::On(_) => Ok(None),
                Target::At { .. } => Err(Problem::Usage(
                    "--browser NAME=PATH needs a service of its own; give --server a name that it lists".to_owned(),
                )),
            };
        }
        match (target.connect().await, &target) {
            (Ok(client), _) => Ok(Some((target, client))),
            (Err(Problem::NoService(why)), Target::On(_)) => {
                tracing::info!(%why, "starting a service for this call");
                Ok(None)
            }
            (Err(problem), _) => Err(problem),
        }
    }

    async fn on_its_own(&self, signals: &mut Signals, printer: &Printer) -> Result<Exit, Problem> {
        if !self.profile.is_empty() {
            let text = "--profile keeps logins with a service; start one with `comet-task-runner serve`";
            return Err(Problem::Usage(text.to_owned()));
        }
        if self.after_finish == Some(AfterFinish::KeepOpen) {
            let text = "--after-finish keep-open needs a service that stays; start one with `comet-task-runner serve`";
            return Err(Problem::Usage(text.to_owned()));
        }
        let own = Own::start(self.brings_browser().then(|| self.browser.clone()), self.no_sandbox).await?;
        let exit = self.to_the_last(own.target(), signals, printer).await;
        own.stop().await;
        exit
    }

    /// Follows the task to its end, and then its browser to its exit, however the following went.
    async fn to_the_last(&self, target: Target, signals: &mut Signals, printer: &Printer) -> Result<Exit, Problem> {
        let client = target.connect().await?;
        let mut errand = Errand { target, client, retry: self.retry, signals, stops: 0, may_leave: false };
        let made = errand.execute(self.request(Some(AfterFinish::Close))).await?;
        self.say_task(&made.task_id);
        let exit = errand.follow(&made, printer).await;
        errand.settle(&made, exit.is_err()).await?;
        exit
    }

    fn brings_browser(&self) -> bool {
        self.browser.contains('=')
    }

    /// Tells a person the name by which the task can be asked for elsewhere. JSON lines have it anyway.
    fn say_task(&self, task_id: &str) {
        if !self.format.json {
            // Nobody reading it is no reason to stop.
            let _ = writeln!(std::io::stderr(), "task {task_id}");
        }
    }

    fn request(&self, after_finish: Option<AfterFinish>) -> ExecuteRequest {
        let browser = self.browser.split_once('=').map_or(self.browser.as_str(), |(name, _)| name);
        ExecuteRequest {
            url: self.url.clone(),
            // Made here, so that a call that was cut can be made again without a second task.
            request_id: self.request_id.clone().unwrap_or_else(|| Uuid::new_v4().to_string()),
            browser: browser.to_owned(),
            mode: self.mode.to_proto().into(),
            profile: self.profile.clone(),
            completion_policy: self.completion_policy.to_proto().into(),
            fail_on_http_error: self.fail_on_http_error,
            callback_origins: self.callback_origins.clone(),
            timeouts: Some(self.timeouts.to_proto()),
            termination_grace: self.grace.and_then(span::to_proto),
            after_finish: after_finish.map_or(execute_request::AfterFinish::Unspecified, AfterFinish::to_proto).into(),
            callback_delivery: self.callback_delivery.to_proto().into(),
            retention: None,
            labels: self.labels.iter().cloned().collect::<HashMap<_, _>>(),
            validate_only: false,
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

pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not of the form KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}
