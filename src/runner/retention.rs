//! Forgets jobs whose time is over.

use std::{sync::Arc, time::Duration};

use super::{Host, host::now};

/// How many finished jobs are kept at most: some 200 MB, and a list that still answers at once.
const JOBS_MAX: u64 = 100_000;
/// How often the count is looked at while nothing expires, and how long a failed purge waits.
const LOOK_MAX: Duration = Duration::from_secs(3600);
/// Jobs that expire one after another are forgotten together.
const LOOK_MIN: Duration = Duration::from_secs(1);

/// Until the service leaves.
pub(super) async fn keep(host: Arc<Host>) {
    loop {
        let wall = now().wall;
        let pause = match host.ledger.purge(wall, JOBS_MAX).await {
            Ok(purged) => {
                for task_id in &purged.removed {
                    tracing::debug!(%task_id, "forgot a job");
                }
                purged.next_expiry.map_or(LOOK_MAX, |at| {
                    Duration::from_micros(at.micros().saturating_sub(wall.micros())).clamp(LOOK_MIN, LOOK_MAX)
                })
            }
            Err(fault) => {
                tracing::warn!(%fault, "jobs whose time is over could not be forgotten");
                LOOK_MAX
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = host.leaving.cancelled() => return,
        }
    }
}
