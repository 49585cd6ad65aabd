//! What a browser takes beside its slot: a launch until it has come up, and a window for as long as it stays.

use tokio::sync::oneshot;

use super::Attendant;
use crate::job::{Isolation, Job, Phase, Tier};

impl Attendant {
    /// Lets another browser come up once this one has, or will not.
    pub(super) fn come_up(&mut self, job: &Job) {
        if has_come_up(job) {
            self.launch = None;
        }
    }

    /// The task is over and the browser stays: its window may be asked to make room for another.
    pub(super) fn keep_window(&mut self, job: &Job) {
        if job.spec.tier == Tier::UserBrowser {
            // A person's own is not ours to close, and takes no place once its task is over.
            self.browser = None;
            return;
        }
        if self.evicted.is_some() || job.spec.headless {
            // It is known, or there is none.
            return;
        }
        if let (Some(browser), Some(since)) = (&self.browser, job.finished_at)
            && let Some(evicted) = browser.keep_window(since)
        {
            self.evicted = Some(evicted);
        }
    }

    /// Waits until the window has to make room; for ever where it never has to.
    pub(super) async fn eviction(evicted: &mut Option<oneshot::Receiver<()>>) {
        let told = match evicted.as_mut() {
            Some(evicted) => evicted.await.is_ok(),
            None => false,
        };
        *evicted = None;
        if !told {
            std::future::pending::<()>().await;
        }
    }

    /// Closes the window that was kept open.
    pub(super) async fn make_room(&mut self) {
        tracing::info!(task_id = %self.id(), "closing a window that was kept open, to make room for another");
        self.stop().await;
    }
}

/// Where page facts are known a browser has come up with its first answer, and else as a process. A context of a warm
/// browser has no browser to wait for.
fn has_come_up(job: &Job) -> bool {
    let answers = job.spec.tier == Tier::Managed && job.spec.isolation == Isolation::Process;
    match job.status.phase() {
        Phase::Waiting => false,
        Phase::Running => !answers || job.answer.is_some(),
        Phase::Stopping | Phase::Over => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{
        Fact, Spec,
        tests::sample::{after, created, launched, spec},
    };

    #[test]
    fn a_managed_browser_has_come_up_with_its_answer_and_another_with_its_process() {
        let managed = created(spec());
        assert!(!has_come_up(&managed));
        let running = after(managed, [launched()]);
        assert!(!has_come_up(&running));
        assert!(has_come_up(&after(running.clone(), [Fact::BrowserAnswered { version: "9".to_owned() }])));
        assert!(has_come_up(&after(running, [Fact::CancelAsked { launched: true }])));
        for other in [Spec { tier: Tier::ExitOnly, ..spec() }, Spec { isolation: Isolation::Context, ..spec() }] {
            assert!(has_come_up(&after(created(other), [launched()])));
        }
    }
}
