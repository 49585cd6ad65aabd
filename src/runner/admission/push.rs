//! Tells those who watch a job that waits how far it has come, when the line has moved.

use std::{cell::LazyCell, sync::Arc, time::Duration};

use crate::runner::Host;

/// Shortest pause between two rounds: streams tell a reading at most once a second anyway.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// Pause for each job that was told of: a thousand readings a second at most, however many wait and watch. In between the
/// line moves on, and the next round tells where it is by then; heartbeats tell it too.
const PAUSE_EACH: Duration = Duration::from_millis(1);

/// Until the service leaves. A line that does not move, or that nobody watches, costs nothing or next to it.
pub(in crate::runner) async fn tell(host: Arc<Host>) {
    let mut moves = host.admission.moves();
    let telling = async {
        // The sender lives in the host.
        while moves.changed().await.is_ok() {
            let told = {
                let standings = LazyCell::new(|| host.admission.standings());
                host.live.tell_places(|| &*standings)
            };
            tokio::time::sleep(pause(told)).await;
        }
    };
    host.leaving.run_until_cancelled(telling).await;
}

/// Until the next round, after so many jobs were told of.
fn pause(told: usize) -> Duration {
    PAUSE_MIN.max(PAUSE_EACH.saturating_mul(u32::try_from(told).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_told_at_most_a_thousand_readings_a_second() {
        assert_eq!(pause(0), PAUSE_MIN);
        assert_eq!(pause(10_000), Duration::from_secs(10));
    }
}
