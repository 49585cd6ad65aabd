//! What the shim tells: each message made durable before it is acknowledged.

use std::time::Duration;

use super::{
    Attendant,
    proof::{stop_step, tree_end},
};
use crate::{
    job::{ExitStatus, Fact, LaunchFailure, LostCause, Process, Timeout},
    process::{self, AwayCause, Exited, Numbered, Told, exit_file},
    runner::{host::boot_now, meters, reach::Reach},
};

impl Attendant {
    /// One message of the shim: what it means is made durable before it is acknowledged.
    pub(super) async fn hear(&mut self, Numbered { number, told }: Numbered) {
        let weighty = match told {
            Told::Started(started) => {
                let process = Process {
                    pid: started.pid,
                    start_ticks: started.start_ticks,
                    dequeued_at: self.dequeued_at,
                    up_at: boot_now(),
                };
                self.record_numbered(number, 0, Fact::Launched(process)).await;
                self.word_at.take().into_iter().for_each(meters::launched);
                self.open_session().await;
                true
            }
            Told::Refused(refused) => {
                let held = refused.is_lock_held();
                let failure = if held { LaunchFailure::ProfileHeld } else { LaunchFailure::Refused };
                self.record_numbered(number, 0, Fact::LaunchFailed { failure, message: refused.to_string() }).await;
                true
            }
            Told::Browser(message) => self.hear_browser(number, &message).await,
            Told::Output(output) => {
                self.hear_output(&output);
                if number == 0 {
                    return;
                }
                false
            }
            Told::Exited(exited) => {
                self.hear_exit(number, exited).await;
                true
            }
            Told::Empty(empty) => {
                let tree = tree_end(self.exit_step, empty.killed, empty.proof, &self.attended.live.peaks);
                self.record_numbered(number, 0, Fact::TreeEmptied(tree)).await;
                true
            }
        };
        if self.job().is_settled() {
            // Watchers first: heard, the shim clears up, which is the most work that it ever does.
            tokio::task::yield_now().await;
        }
        let unacknowledged_max = self.reach.as_ref().map_or(1, Reach::unacknowledged_max);
        if weighty || number.saturating_sub(self.acknowledged) >= unacknowledged_max {
            self.acknowledge(number).await;
        }
    }

    async fn hear_exit(&mut self, number: u64, exited: Exited) {
        // The shim ended it while nobody was attached: the timeout is what decides, the exit follows from it.
        let timeout = exited.cause.map(|cause| match cause {
            AwayCause::RunTimeout => Timeout::Run,
            AwayCause::ServiceAway => Timeout::ServiceAway,
        });
        if let Some(timeout) = timeout {
            self.record_numbered(number, 1, Fact::DeadlinePassed { timeout, launched: true }).await;
        }
        self.hear_output_end();
        let status = match exited.status {
            process::ExitStatus::Code(code) => ExitStatus::Code(code),
            process::ExitStatus::Signal(signal) => ExitStatus::Signal(signal),
        };
        self.exit_step = stop_step(exited.stopped_by);
        let peaks = &self.attended.live.peaks;
        let tree = exited.empty.then(|| tree_end(self.exit_step, exited.killed, exited.proof, peaks));
        let mut output_tail = exited.output_tail;
        if !output_tail.is_empty() {
            // A browser may print the URL that it was told, and that may hold the token.
            output_tail = output_tail.replace(&self.host.key.callback_token(self.id()), "[token]");
        }
        let lived = exited.lived_ms.map(Duration::from_millis);
        let fact = Fact::Exited { status, output_tail, out_of_memory: exited.out_of_memory, tree, lived };
        self.record_numbered(number, 0, fact).await;
    }

    /// Without an exit there may be word in writing; without that, nobody knows.
    pub(super) async fn shim_gone(&mut self) {
        self.reach = None;
        match exit_file::read(&self.place) {
            Ok(Some(left)) => {
                for numbered in left.frames {
                    self.hear(numbered).await;
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(task_id = %self.id(), %error, "the shim's last word cannot be read"),
        }
        let job = self.job();
        // A task that was handed off has no process that could be lost.
        if !job.is_settled() && !job.handed_off && !self.host.leaving.is_cancelled() {
            self.record(Fact::Lost(LostCause::ShimDied)).await;
        }
    }
}
