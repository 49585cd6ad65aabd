//! Posts the end of each job to one place, which the operator chose: at least once, in order, signed.
//!
//! ```text
//!   the ledger's tail ---> cursor ---> the first terminal change of a job ---> POST ---> cursor, written
//!                            ^                                                  |
//!                            \----- after a restart, or a kill ------/      fails: again, after a growing pause
//! ```
//!
//! It reads what the ledger keeps anyway, so it holds one message in memory however far behind it is, and no job waits
//! for it. A receiver can get a message twice (with the same id), and never misses one that the ledger still has.

mod cursor;
mod durable;
mod post;
mod secret;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use metrics::counter;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};
use url::Url;

pub use secret::{Secret, SecretError};

use crate::{
    api::{self, v1},
    job::Job,
    ledger::{Ledger, Position, ReadError, TailEntry},
};
use cursor::Cursor;
use post::{Failure, Message, Outcome, Post};

/// Entries of the tail that are read at once: enough to be quick, few enough to hold.
const PAGE_LEN: usize = 64;
/// Between two looks at a store that cannot be read: its disk needs longer than that to come back.
const READ_PAUSE: Duration = Duration::from_secs(5);

/// Why there is no webhook.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// No way to check the receiver's certificate.
    #[error("the webhook cannot be sent over TLS: {0}; install the system's CA certificates")]
    Client(reqwest::Error),
    /// The file that says how far it is.
    #[error("the webhook's cursor {0} cannot be used: {1}; remove it to begin with what finishes from now on")]
    Cursor(PathBuf, io::Error),
}

/// Posts the end of each job.
pub struct Webhook {
    ledger: Arc<dyn Ledger>,
    bell: watch::Receiver<Position>,
    post: Post,
    cursor: Cursor,
}

impl Webhook {
    /// Goes on from where the cursor is, or begins with what finishes from now on.
    ///
    /// # Errors
    /// Says what to do about it.
    pub fn open(ledger: Arc<dyn Ledger>, url: Url, secret: Secret, cursor_file: &Path) -> Result<Self, WebhookError> {
        let bell = ledger.tail_bell();
        let end = *bell.borrow();
        let cursor = Cursor::open(cursor_file, ledger.id(), end)
            .map_err(|error| WebhookError::Cursor(cursor_file.to_owned(), error))?;
        let post = Post::new(url, secret).map_err(WebhookError::Client)?;
        info!(to = post.origin(), from = cursor.at().number(), "posting the end of each task");
        Ok(Self { ledger, bell, post, cursor })
    }

    /// Posts until the service leaves; what is under way then is posted by the next one.
    pub async fn run(mut self, leaving: CancellationToken) {
        let posting = async {
            loop {
                self.follow().await;
            }
        };
        // Dropped wherever it is: the cursor tells the next service the rest.
        leaving.run_until_cancelled_owned(posting).await;
    }

    /// Posts what has finished, or waits for more.
    async fn follow(&mut self) {
        // First, so that a ring that comes while the tail is read is heard.
        self.bell.mark_unchanged();
        match self.ledger.tail(self.cursor.at(), PAGE_LEN).await {
            Ok(page) if page.is_empty() => self.wait().await,
            Ok(page) => {
                for (position, entry) in page {
                    self.take(position, entry).await;
                }
            }
            Err(ReadError::PositionForgotten(_)) => self.skip_forgotten().await,
            Err(ReadError::PositionAhead(at)) => {
                let end = *self.bell.borrow();
                warn!(at = at.number(), end = end.number(), "the store is older than the webhook's cursor; going on");
                self.pass(end).await;
            }
            Err(error @ (ReadError::Store(_) | ReadError::Damaged(_))) => {
                error!(%error, "the webhook cannot read what finished; trying again");
                tokio::time::sleep(READ_PAUSE).await;
            }
        }
    }

    async fn wait(&mut self) {
        if self.bell.changed().await.is_err() {
            // The ledger is gone, and with it the service.
            std::future::pending::<()>().await;
        }
    }

    async fn take(&mut self, position: Position, entry: TailEntry) {
        match entry {
            TailEntry::Change(job) if self.is_first_end(&job).await => {
                self.deliver(&job).await;
                self.pass(position).await;
            }
            TailEntry::Change(_) | TailEntry::Removed(_) => {
                self.cursor.pass(position);
                if self.cursor.lags() {
                    self.pass(position).await;
                }
            }
        }
    }

    /// What is learnt of a finished job later, such as its exit, is no end of it.
    async fn is_first_end(&self, job: &Job) -> bool {
        if !job.status.is_terminal() || job.finished_at != Some(job.updated_at) {
            return false;
        }
        // Two changes can have come in the same microsecond.
        let from = job.revision.saturating_sub(2);
        let before = self.ledger.history(job.id, from).await.ok().and_then(|changes| changes.first().cloned());
        before.is_none_or(|before| before.revision >= job.revision || !before.status.is_terminal())
    }

    /// Until the receiver has it, or it is given up.
    async fn deliver(&self, job: &Job) {
        let (task_id, message, begun_at) = (job.id, message(job), Instant::now());
        let mut failures = 0;
        loop {
            let Failure { why, retry_after, bearable } = match self.post.attempt(&message).await {
                Outcome::Delivered => {
                    counter!(DELIVERIES, "outcome" => "delivered").increment(1);
                    debug!(%task_id, id = message.id, failures, "posted the end of a task");
                    return;
                }
                Outcome::Failed(failure) => failure,
            };
            counter!(DELIVERIES, "outcome" => "failed").increment(1);
            failures += 1;
            if bearable.is_some_and(|bearable| begun_at.elapsed() >= bearable) {
                counter!(DELIVERIES, "outcome" => "given_up").increment(1);
                error!(%task_id, id = message.id, why, failures, "gave up posting the end of a task");
                return;
            }
            let pause = post::pause(failures, retry_after, chance());
            warn!(%task_id, id = message.id, why, failures, ?pause, "the end of a task could not be posted; trying again");
            tokio::time::sleep(pause).await;
        }
    }

    /// Goes on with the oldest that the ledger still has.
    async fn skip_forgotten(&mut self) {
        let (mut forgotten, mut kept) = (self.cursor.at().number(), self.bell.borrow().number());
        while forgotten + 1 < kept {
            let middle = forgotten.midpoint(kept);
            match self.ledger.tail(Position::new(middle), 1).await {
                Err(ReadError::PositionForgotten(_)) => forgotten = middle,
                Ok(_) | Err(ReadError::Store(_) | ReadError::Damaged(_) | ReadError::PositionAhead(_)) => kept = middle,
            }
        }
        error!(
            from = self.cursor.at().number(),
            to = kept,
            "the ledger has forgotten what finished here; it is not posted"
        );
        self.pass(Position::new(kept)).await;
    }

    /// Everything up to there is done with, also for the next service.
    async fn pass(&mut self, position: Position) {
        self.cursor.pass(position);
        if let Err(error) = self.cursor.write().await {
            warn!(%error, "the webhook's cursor could not be written; after a restart some ends are posted again");
        }
    }
}

/// What the deliveries are counted as.
const DELIVERIES: &str = "comet_task_runner_webhook_deliveries_total";

/// The same text for each attempt, whichever service makes it.
fn message(job: &Job) -> Message {
    let id = format!("msg_{}_{}", job.id, job.revision);
    let finished = job.finished_at.unwrap_or(job.updated_at).micros();
    let timestamp = i64::try_from(finished).ok().and_then(|micros| Timestamp::from_microsecond(micros).ok());
    let timestamp = timestamp.map(|timestamp| timestamp.to_string()).unwrap_or_default();
    let data = api::json::message("Job", &v1::Job::from(job));
    Message { id, body: format!(r#"{{"type":"job.finished","timestamp":"{timestamp}","data":{data}}}"#) }
}

/// One of 256.
fn chance() -> u8 {
    let mut byte = [0];
    // Without chance, the middle is as good.
    if getrandom::fill(&mut byte).is_err() { u8::MAX / 2 } else { byte[0] }
}
