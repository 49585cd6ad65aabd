//! `run`: opens a URL and follows its task to the end.

use std::io::Write;

use clap::Args;

use super::{
    Exit, Problem,
    args::{Format, Reach},
    connect::{Client, Target},
    errand::Errand,
    files,
    order::{AfterFinish, OrderArgs},
    own::Own,
    print::Printer,
    signals::Signals,
    watch::RetryFor,
};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// What to open: an http or https URL
    url: String,
    /// Start Chromium without its sandbox, as root must, in a service of its own
    #[arg(long)]
    no_sandbox: bool,
    #[command(flatten)]
    retry: RetryFor,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    format: Format,
    // Last: its headings hold for all that follows.
    #[command(flatten)]
    order: OrderArgs,
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
        let made = errand.execute(self.order.to_proto(&self.url, self.order.after_finish)).await?;
        self.say_task(&made.task_id);
        errand.follow(&made, &printer).await
    }

    /// The service that is meant, if it answers; none when the call should start one.
    async fn running_service(&self) -> Result<Option<(Target, Client)>, Problem> {
        let target = self.reach.target()?;
        if self.order.brings_browser() {
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
        if !self.order.profile.is_empty() {
            let text = "--profile keeps logins with a service; start one with `comet-task-runner serve`";
            return Err(Problem::Usage(text.to_owned()));
        }
        if self.order.after_finish == Some(AfterFinish::KeepOpen) {
            let text = "--after-finish keep-open needs a service that stays; start one with `comet-task-runner serve`";
            return Err(Problem::Usage(text.to_owned()));
        }
        if self.order.is_of_user_browser() {
            let text = "--tier user-browser needs a service that stays; start one with `comet-task-runner serve`";
            return Err(Problem::Usage(text.to_owned()));
        }
        let own = Own::start(self.order.brings_browser().then(|| self.order.browser.clone()), self.no_sandbox).await?;
        let exit = self.to_the_last(own.target(), signals, printer).await;
        own.stop().await;
        exit
    }

    /// Follows the task to its end, and then its browser to its exit, however the following went.
    async fn to_the_last(&self, target: Target, signals: &mut Signals, printer: &Printer) -> Result<Exit, Problem> {
        let client = target.connect().await?;
        let mut errand = Errand { target, client, retry: self.retry, signals, stops: 0, may_leave: false };
        let made = errand.execute(self.order.to_proto(&self.url, Some(AfterFinish::Close))).await?;
        self.say_task(&made.task_id);
        let exit = errand.follow(&made, printer).await;
        errand.settle(&made, exit.is_err()).await?;
        files::save_here(&mut errand.client, &made.task_id).await?;
        exit
    }

    /// Tells a person the name by which the task can be asked for elsewhere. JSON lines have it anyway.
    fn say_task(&self, task_id: &str) {
        if !self.format.json {
            // Nobody reading it is no reason to stop.
            let _ = writeln!(std::io::stderr(), "task {task_id}");
        }
    }
}
