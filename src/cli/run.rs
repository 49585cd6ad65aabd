//! `run`: opens URLs and follows their tasks to the end.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{Args, value_parser};

use super::{
    Exit, Problem,
    args::{Format, Reach},
    batch::Batch,
    errand::Host,
    order::{AfterFinish, OrderArgs},
    own::Own,
    print::Printer,
    retry::RetryFor,
    signals::Signals,
    urls,
    view::view,
};
use crate::client::{Runner, Target};

/// Each task has a stream of its own on the one connection. A service serves 256 there, and a wish to cancel has to find
/// room beside them.
const PARALLEL_MAX: i64 = 200;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// What to open: http or https URLs; - reads them from standard input
    #[arg(value_name = "URL", required_unless_present = "file")]
    urls: Vec<String>,
    /// Open the URLs of a file too, one per line; # begins a comment, and - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Of several tasks so many at once, at most 200
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u16).range(1..=PARALLEL_MAX))]
    parallel: u16,
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
        let urls = urls::gather(&self.urls, self.file.as_deref())?;
        if urls.len() > 1 && self.order.has_request_id() {
            return Err(Problem::Usage("--request-id names one task; leave it out, or give one URL".to_owned()));
        }
        match self.running_service().await? {
            Some(runner) => {
                if self.no_sandbox {
                    tracing::warn!("--no-sandbox is for a service of its own; the one that runs decides for itself");
                }
                self.all(urls, runner, Host::Lasting, &mut signals).await
            }
            None => self.on_its_own(urls, &mut signals).await,
        }
    }

    /// The service that is meant, if it answers; none when the call should start one.
    async fn running_service(&self) -> Result<Option<Runner>, Problem> {
        let target = self.reach.target()?;
        let own = matches!(target, Target::On(_));
        if self.order.brings_browser() {
            let text = "--browser NAME=PATH needs a service of its own; give --server a name that it lists";
            return if own { Ok(None) } else { Err(Problem::Usage(text.to_owned())) };
        }
        match self.reach.runner(self.retry).await {
            Ok(runner) => Ok(Some(runner)),
            Err(Problem::NoService(why)) if own => {
                tracing::info!(%why, "starting a service for this call");
                Ok(None)
            }
            Err(problem) => Err(problem),
        }
    }

    async fn on_its_own(&self, urls: Vec<String>, signals: &mut Signals) -> Result<Exit, Problem> {
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
        let slots = NonZeroUsize::new(urls.len().min(self.parallel.into())).expect("there is a URL, and room for one");
        let browser = self.order.brings_browser().then(|| self.order.browser.clone());
        let own = Own::start(slots, browser, self.no_sandbox).await?;
        let exit = match Runner::connect(own.target()).await {
            Ok(runner) => self.all(urls, runner.retry_for(self.retry.retry_for), Host::OfThisCall, signals).await,
            Err(error) => Err(error.into()),
        };
        own.stop().await;
        exit
    }

    async fn all(&self, urls: Vec<String>, runner: Runner, host: Host, signals: &mut Signals) -> Result<Exit, Problem> {
        let after_finish = match host {
            Host::Lasting => self.order.after_finish,
            Host::OfThisCall => Some(AfterFinish::Close),
        };
        let requests = urls.iter().map(|url| self.order.to_proto(url, after_finish)).collect();
        let batch = Batch { runner, host, requests, parallel: self.parallel.into(), signals };
        batch.run(&mut *view(Printer::new(self.format), urls, host)).await
    }
}
