//! What a job's state asks for: to free its slot, to end its browser.

use std::time::Duration;

use super::Attendant;
use crate::{
    browser::Session,
    job::{AfterFinish, Completion, DownloadEnd, PageEnd, Phase, Tier},
    process::{Order, Stop},
};

/// How long a browser has to close itself when asked over its pipe.
const CLOSE_MAX: Duration = Duration::from_secs(1);
/// How long it then has before it is sent SIGTERM.
const PIPE_END_MAX: Duration = Duration::from_secs(1);

impl Attendant {
    /// Does what the job's state asks for, once each.
    pub(super) async fn follow_up(&mut self) {
        let job = self.job();
        let page_closed = job.page_end == Some(PageEnd::Closed) && !job.is_downloading();
        let downloaded = job.download.as_ref().and_then(|download| download.end) == Some(DownloadEnd::Complete);
        self.come_up(&job);
        match job.status.phase() {
            Phase::Waiting => {}
            // A browser without its page may never leave by itself.
            Phase::Running if (page_closed || downloaded) && job.spec.completion == Completion::ProcessExit => {
                self.stop().await;
            }
            Phase::Running => {}
            Phase::Stopping if self.holds_for_evidence(&job) => {}
            Phase::Stopping => self.stop().await,
            Phase::Over => {
                self.slot = None;
                if !std::mem::replace(&mut self.disarmed, true) {
                    self.send(Order::Disarm).await;
                }
                let held = self.holds_for_evidence(&job);
                if !held && job.exit.is_none() && (page_closed || job.spec.after_finish == AfterFinish::Close) {
                    self.stop().await;
                } else if !held && job.exit.is_none() {
                    self.keep_window(&job);
                }
            }
        }
    }

    /// Begins the stop ladder, or shortens it; the shim climbs it alone from here. The person's own browser is not ours
    /// to stop.
    pub(super) async fn stop(&mut self) {
        if self.job().spec.tier == Tier::UserBrowser {
            return;
        }
        if self.stop_sent.is_some_and(|sent| sent <= self.grace) {
            return;
        }
        self.stop_sent = Some(self.grace);
        if let Some(browser) = &self.browser {
            browser.close_window();
        }
        let job = self.job();
        let managed = job.spec.tier == Tier::Managed;
        let asking = self.session.as_mut().filter(|_| managed).map(Session::close_browser);
        let asked = asking.is_some();
        if let Some(close) = asking {
            self.send(Order::Browser(close)).await;
        }
        let (close_pipe, term) = if managed { ladder(self.grace) } else { (Duration::ZERO, Duration::ZERO) };
        self.send(Order::Stop(Stop {
            asked,
            close_pipe_after_ms: millis(close_pipe),
            term_after_ms: millis(term),
            kill_after_ms: millis(self.grace),
        }))
        .await;
    }

    /// True once the browser was told to go: what its page does then is our doing.
    pub(in crate::runner) fn is_stopping(&self) -> bool {
        self.stop_sent.is_some()
    }
}

/// When the pipe is closed and SIGTERM sent, within a grace.
fn ladder(grace: Duration) -> (Duration, Duration) {
    let close_pipe = CLOSE_MAX.min(grace / 3);
    (close_pipe, (close_pipe + PIPE_END_MAX).min(grace * 2 / 3))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
