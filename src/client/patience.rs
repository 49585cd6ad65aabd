//! How long and how often a call is tried again while the service is away.

use std::time::Duration;

use tokio::time::Instant;

use super::Error;

/// First wait before another try: shorter than a person notices.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// Longest wait between tries: a service that is back is found within seconds.
const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// Waits that double, until there have been enough of them.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    /// How long in all; zero means without limit.
    retry_for: Duration,
    next_wait: Duration,
    wait_until: Option<Instant>,
    failing_since: Option<Instant>,
}

impl Patience {
    pub(super) fn new(retry_for: Duration) -> Self {
        Self { retry_for, next_wait: RETRY_FIRST, wait_until: None, failing_since: None }
    }

    /// The service was heard: what failed before is forgotten.
    pub(super) fn heard(&mut self) {
        self.next_wait = RETRY_FIRST;
        self.failing_since = None;
    }

    /// The service said how long it will be away.
    pub(super) fn told_to_wait(&mut self, delay: Option<Duration>) {
        self.next_wait = delay.unwrap_or(RETRY_FIRST).min(RETRY_LONGEST);
    }

    /// Plans another try, or gives the error back: it will not pass, or has been there too long.
    pub(super) fn failed(&mut self, error: Error, now: Instant) -> Result<(), Error> {
        if !error.passes() {
            return Err(error);
        }
        let since = *self.failing_since.get_or_insert(now);
        if !self.retry_for.is_zero() && now.duration_since(since) >= self.retry_for {
            return Err(error);
        }
        self.wait_until = Some(now + self.next_wait);
        self.next_wait = (self.next_wait * 2).min(RETRY_LONGEST);
        Ok(())
    }

    /// Waits for the next try to be due. Safe to drop.
    pub(super) async fn wait(&mut self) {
        if let Some(until) = self.wait_until {
            tokio::time::sleep_until(until).await;
            self.wait_until = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> Error {
        Error::Away("away".to_owned())
    }

    /// Fails once, at `now`, and says how long it would wait.
    fn fail(patience: &mut Patience, now: Instant) -> Duration {
        patience.failed(away(), now).unwrap();
        patience.wait_until.unwrap() - now
    }

    #[test]
    fn waits_double_up_to_the_longest_and_start_anew_once_heard() {
        let now = Instant::now();
        let mut patience = Patience::new(Duration::ZERO);
        let waits: Vec<_> = (0..8).map(|_| fail(&mut patience, now).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);

        patience.heard();
        assert_eq!(fail(&mut patience, now), RETRY_FIRST);
    }

    #[test]
    fn a_leaving_service_says_how_long_to_wait() {
        let mut patience = Patience::new(Duration::ZERO);
        patience.told_to_wait(Some(Duration::from_secs(2)));
        assert_eq!(fail(&mut patience, Instant::now()), Duration::from_secs(2));
    }

    #[test]
    fn patience_ends_when_nothing_was_heard_for_its_time() {
        let start = Instant::now();
        let mut patience = Patience::new(Duration::from_secs(10));
        fail(&mut patience, start);
        fail(&mut patience, start + Duration::from_secs(9));
        assert!(patience.failed(away(), start + Duration::from_secs(10)).is_err());

        patience.heard();
        fail(&mut patience, start + Duration::from_secs(11));
    }

    #[test]
    fn what_will_not_pass_is_not_tried_again() {
        assert!(Patience::new(Duration::ZERO).failed(Error::Argument("no".to_owned()), Instant::now()).is_err());
    }
}
