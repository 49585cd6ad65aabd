//! What the browser says to nobody in particular: logged, and kept when this service or the job ends.

use std::sync::Arc;

use super::Attendant;
use crate::{
    browser::{Level, Said, Voice},
    job::WallTime,
    process::Output,
    runner::{
        host::in_thread,
        log::{BrowserLog, LogLevel, LogSource, Remark},
    },
};

impl Attendant {
    fn browser_log(&self) -> &Arc<BrowserLog> {
        &self.attended.live.browser_log
    }

    /// A piece of the output.
    pub(super) fn hear_output(&self, output: &Output) {
        let secret = self.host.key.callback_token(self.id());
        self.browser_log().push_output(self.job().attempt, output.place, &output.bytes, &secret);
    }

    /// Nothing more is written.
    pub(super) fn hear_output_end(&self) {
        self.browser_log().end_output(&self.host.key.callback_token(self.id()));
    }

    /// What one message of the browser says.
    pub(in crate::runner) fn hear_said(&self, number: u64, said: Vec<Said>) {
        if !said.is_empty() {
            self.browser_log().push_heard(self.job().attempt, number, said.into_iter().map(Remark::from));
        }
    }

    /// What the service has to say of the page. A page's own words in it may hold the task's token.
    pub(in crate::runner) fn remark(&self, level: LogLevel, text: &str) {
        let text = text.replace(&self.host.key.callback_token(self.id()), "[token]");
        self.browser_log().push(Remark::new(LogSource::Page, level, text));
    }

    /// Goes on with the log that an earlier service wrote.
    pub(in crate::runner) async fn take_up_log(&self) {
        let (host, id) = (Arc::clone(&self.host), self.id());
        match tokio::task::spawn_blocking(move || host.logs.read(id)).await {
            Ok(kept) => kept.into_iter().for_each(|kept| self.browser_log().go_on(kept)),
            Err(error) => tracing::warn!(task_id = %id, %error, "a browser's log cannot be read"),
        }
    }

    /// Writes the log, for those who read it later and for another service.
    pub(super) async fn keep_log(&self) {
        let Some(kept) = self.browser_log().keep() else { return };
        let (host, id) = (Arc::clone(&self.host), self.id());
        if let Err(error) = in_thread(move || host.logs.write(id, &kept)).await {
            tracing::warn!(task_id = %id, %error, "a browser's log could not be written");
        }
        // A job may be forgotten the moment it is over; whoever forgot it found no log.
        if self.job().is_settled() && matches!(self.host.ledger.latest(id).await, Ok(None)) {
            let removed = self.host.logs.remove(id);
            removed
                .unwrap_or_else(|error| tracing::warn!(task_id = %id, %error, "a browser's log could not be removed"));
        }
    }
}

impl From<Said> for Remark {
    fn from(Said { voice, level, text, url, line, at_micros }: Said) -> Self {
        let source = match voice {
            Voice::Console => LogSource::Console,
            Voice::Network => LogSource::Network,
        };
        Self { source, level: level.into(), text, url, line, at: Some(WallTime::from_micros(at_micros)) }
    }
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warning => Self::Warning,
            Level::Error => Self::Error,
        }
    }
}
