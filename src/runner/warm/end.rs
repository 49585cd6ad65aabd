//! How a warm browser ends: when nobody needs it, when it no longer answers, when the service leaves.

use std::time::{Duration, Instant};

use super::{Keeper, table::Stage};
use crate::{
    process::{Numbered, Order, Stop},
    runner::host::in_thread,
};

/// How long a browser that nobody needs has to close by itself, to see its pipe end, and to heed SIGTERM.
const CLOSE: Stop = Stop { asked: true, close_pipe_after_ms: 1000, term_after_ms: 2000, kill_after_ms: 5000 };
/// One that answers nobody within the time that a job allows is ended at once: it has had that time.
const KILL: Stop = Stop { asked: false, close_pipe_after_ms: 0, term_after_ms: 0, kill_after_ms: 0 };
/// How long a leaving service waits for the end of a browser that nobody needs.
const LEAVE_MAX: Duration = Duration::from_secs(2);

impl Keeper {
    /// Those who are gone leave no context behind.
    pub(super) async fn clear_table(&mut self) {
        let gone = self.table.clear();
        if gone.is_empty() {
            return;
        }
        for (task, stage) in gone {
            self.ended.remove(&task);
            if stage != Stage::Over {
                let commands = self.shared.end(task);
                self.send_all(commands).await;
            }
        }
        self.idle_since = Instant::now();
        self.acknowledge(true).await;
    }

    fn is_idle(&self) -> bool {
        self.table.is_empty() && self.host.warm.is_empty(&self.door)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        if self.is_ending || self.is_over {
            return None;
        }
        // None for a span that no clock can hold.
        let idle_until = self.idle_since.checked_add(self.host.warm.idle_max);
        let idle = idle_until.filter(|_| self.is_idle());
        self.table.end_by().into_iter().chain(idle).min()
    }

    pub(super) async fn time_is_up(&mut self) {
        if self.table.end_by().is_some_and(|by| by <= Instant::now()) {
            tracing::warn!(browser = %self.kind.browser, "a shared browser does not end a context; ending all of it");
            self.is_ending = true;
            self.host.warm.retire(&self.door);
            self.send(Order::Stop(KILL)).await;
        } else if self.host.warm.retire_if_empty(&self.door) {
            self.close().await;
        }
    }

    async fn close(&mut self) {
        self.is_ending = true;
        let close = self.shared.close();
        self.send(Order::Browser(close)).await;
        self.send(Order::Stop(CLOSE)).await;
    }

    /// The last acknowledgement lets the shim clean up and leave.
    pub(super) async fn part(mut self) {
        self.host.warm.retire(&self.door);
        self.acknowledge(true).await;
        let leaving = self.host.leaving.clone();
        if let Some(mut shim) = self.shim.take() {
            tokio::select! {
                () = async { while shim.next().await.is_some() {} } => {}
                () = leaving.cancelled() => return,
            }
        }
        self.wipe().await;
    }

    /// A browser that nobody needs does not outlive the service; one with jobs waits for the next.
    pub(super) async fn leave(mut self) {
        if !self.table.is_empty() || self.is_over {
            return;
        }
        if !self.is_ending {
            self.close().await;
        }
        let Some(mut shim) = self.shim.take() else { return };
        let ended = async {
            while let Some(Numbered { number, .. }) = shim.next().await {
                if shim.send(&Order::Ack(number)).await.is_err() {
                    break;
                }
            }
        };
        if tokio::time::timeout(LEAVE_MAX, ended).await.is_ok() {
            self.wipe().await;
        }
    }

    pub(super) async fn wipe(&self) {
        let place = self.place.clone();
        if let Err(error) = in_thread(move || place.wipe()).await {
            tracing::warn!(%error, "the files of a shared browser could not be removed");
        }
    }
}
