//! The browser's own words: the latest of what was said in a task's browser, numbered, for whoever wants to read them.
//!
//! ```text
//!   output of the processes ──lines──┐
//!   console, failed requests ────────┼──> ring ──(bell)──> readers, each with no more than a number
//!   dialogs, downloads ──────────────┘      └──> a file, when the job is over or the service leaves
//! ```
//!
//! Invariants: numbers have no holes; the ring is bounded in entries and bytes, and the oldest go; who reads holds nothing
//! back and is told how much was gone before it came. None of this is a change of the job.

mod file;
mod lines;
mod ring;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(super) use file::{Kept, Logs};
use lines::Lines;
use ring::Ring;

use super::host::now;
use crate::{browser::said::plain, job::WallTime};

/// Longest text of an entry, in bytes: a long stack trace. What is longer is cut.
const TEXT_BYTES_MAX: usize = 4 * 1024;
/// Longest address of an entry, in bytes; a data URL has no more to say.
const URL_BYTES_MAX: usize = 2 * 1024;

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// The browser's processes, on their output.
    Output,
    /// Scripts of the page.
    Console,
    /// The browser, of a request of the page that failed.
    Network,
    /// The service, of the page.
    Page,
    /// The service, of the browser.
    Browser,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For whoever looks for a fault.
    Debug,
    /// As it goes.
    Info,
    /// Not as it should be.
    Warning,
    /// Wrong.
    Error,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// 1, 2, 3 … per job.
    pub number: u64,
    /// When.
    pub at: WallTime,
    /// By whom.
    pub source: LogSource,
    /// How much it matters.
    pub level: LogLevel,
    /// In words.
    pub text: String,
    /// Where; empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The line there, from 1 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// Something to be logged. Texts are cut and made plain; whoever makes them leaves the task's secrets out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) source: LogSource,
    pub(super) level: LogLevel,
    pub(super) text: String,
    pub(super) url: String,
    pub(super) line: Option<u32>,
    /// When; none for now.
    pub(super) at: Option<WallTime>,
}

impl Remark {
    /// Something without a place, said now.
    pub(super) fn new(source: LogSource, level: LogLevel, text: impl Into<String>) -> Self {
        Self { source, level, text: text.into(), url: String::new(), line: None, at: None }
    }
}

/// What comes next for a reader.
#[derive(Debug, Default)]
pub struct LogBatch {
    /// The next entries that it wants; those it does not want are told as well by their number.
    pub entries: Vec<Arc<LogEntry>>,
    /// So many before them were gone.
    pub dropped: u64,
    /// Everything up to here is told.
    pub last: u64,
    /// Whether there is more already.
    pub more: bool,
}

/// Whether more can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStage {
    /// The browser may say more.
    Open,
    /// Nothing follows.
    Ended,
    /// The service leaves; the next one goes on.
    Left,
}

/// What was said in one task's browser.
#[derive(Debug)]
pub struct BrowserLog {
    state: Mutex<State>,
    /// Rings with every entry and with the end.
    bell: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    ring: Ring,
    lines: Lines,
    stage: LogStage,
    /// The start of the browser that is heard, and its last message whose words are in the ring.
    attempt: u32,
    heard: u64,
}

impl BrowserLog {
    /// With nothing in it yet.
    pub(super) fn new() -> Self {
        Self::with(State {
            ring: Ring::default(),
            lines: Lines::default(),
            stage: LogStage::Open,
            attempt: 0,
            heard: 0,
        })
    }

    /// One whose job is over.
    pub(super) fn of_the_past(kept: Option<Kept>) -> Self {
        let log = Self::new();
        kept.into_iter().for_each(|kept| log.go_on(kept));
        log.close(LogStage::Ended);
        log
    }

    fn with(state: State) -> Self {
        Self { state: Mutex::new(state), bell: watch::Sender::new(()) }
    }

    /// Goes on with what an earlier service wrote.
    pub(super) fn go_on(&self, kept: Kept) {
        let mut state = self.lock();
        state.ring = Ring::of(kept.last, kept.entries);
        state.lines = Lines::after(kept.output_place);
        (state.attempt, state.heard) = (kept.attempt, kept.heard);
        drop(state);
        self.bell.send_replace(());
    }

    /// What the next service goes on with; none while nothing was said.
    pub(super) fn keep(&self) -> Option<Kept> {
        let state = self.lock();
        (state.ring.last() > 0 || state.lines.place() > 0).then(|| Kept {
            attempt: state.attempt,
            heard: state.heard,
            output_place: state.lines.place(),
            last: state.ring.last(),
            entries: state.ring.entries(),
        })
    }

    /// Adds one.
    pub(super) fn push(&self, remark: Remark) {
        self.lock().push(remark);
        self.bell.send_replace(());
    }

    /// Adds what a message of the browser said, once.
    pub(super) fn push_heard(&self, attempt: u32, number: u64, remarks: impl IntoIterator<Item = Remark>) {
        let mut state = self.lock();
        state.attend(attempt);
        if number <= state.heard {
            return;
        }
        state.heard = number;
        remarks.into_iter().for_each(|remark| state.push(remark));
        drop(state);
        self.bell.send_replace(());
    }

    /// Adds the lines of what was written; what came before is left out, what is missing is said to be. `secret` is not
    /// shown.
    pub(super) fn push_output(&self, attempt: u32, place: u64, bytes: &[u8], secret: &str) {
        let mut state = self.lock();
        state.attend(attempt);
        let State { ring, lines, .. } = &mut *state;
        lines.take(place, bytes, secret, |remark| push(ring, remark));
        drop(state);
        self.bell.send_replace(());
    }

    /// Nothing more is written: a line that was not ended is one.
    pub(super) fn end_output(&self, secret: &str) {
        let mut state = self.lock();
        let State { ring, lines, .. } = &mut *state;
        lines.end(secret, |remark| push(ring, remark));
        drop(state);
        self.bell.send_replace(());
    }

    /// No more will come; the first word counts.
    pub(super) fn close(&self, stage: LogStage) {
        let mut state = self.lock();
        if state.stage == LogStage::Open {
            state.stage = stage;
        }
        drop(state);
        self.bell.send_replace(());
    }

    /// The number of the latest entry; 0 while there is none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.lock().ring.last()
    }

    /// Whether more can come.
    #[must_use]
    pub fn stage(&self) -> LogStage {
        self.lock().stage
    }

    /// Rings with every entry and with the end.
    #[must_use]
    pub fn bell(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }

    /// What comes next after this number, as much as goes into one message.
    #[must_use]
    pub fn after(&self, number: u64, wanted: impl Fn(&LogEntry) -> bool) -> LogBatch {
        self.lock().ring.after(number, wanted)
    }

    /// The ring holds after a panic elsewhere: an entry is added by single calls.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Another start of the browser counts its messages and its output anew.
    fn attend(&mut self, attempt: u32) {
        if self.attempt != attempt {
            (self.attempt, self.heard) = (attempt, 0);
            self.lines = Lines::default();
        }
    }

    fn push(&mut self, remark: Remark) {
        push(&mut self.ring, remark);
    }
}

fn push(ring: &mut Ring, Remark { source, level, text, url, line, at }: Remark) {
    let at = at.unwrap_or_else(|| now().wall);
    let (text, url) = (cut(plain(&text), TEXT_BYTES_MAX), cut(plain(&url), URL_BYTES_MAX));
    ring.push(|number| LogEntry { number, at, source, level, text, url, line });
}

/// No longer than that, between characters.
fn cut(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

/// What a reader needs.
pub struct LogToRead {
    /// The log, which grows while this is held.
    pub log: Arc<BrowserLog>,
    /// Fires when the service is about to leave.
    pub leaving: CancellationToken,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "c2VjcmV0c2VjcmV0";

    fn texts(log: &BrowserLog) -> Vec<String> {
        log.after(0, |_| true).entries.iter().map(|entry| entry.text.clone()).collect()
    }

    fn said(text: &str) -> Remark {
        Remark::new(LogSource::Console, LogLevel::Info, text)
    }

    #[test]
    fn a_text_is_plain_and_bounded_whoever_says_it() {
        let log = BrowserLog::new();
        let url = format!("http://a/\u{7}{}", "u".repeat(URL_BYTES_MAX));
        log.push(Remark { url, ..said(&format!("a\u{1b}[2J\tb\n{}", "é".repeat(TEXT_BYTES_MAX))) });
        let entry = log.after(0, |_| true).entries.remove(0);
        assert!(entry.text.starts_with("a[2J\tb\né") && entry.text.len() <= TEXT_BYTES_MAX, "{entry:?}");
        assert!(entry.url.starts_with("http://a/uu") && entry.url.len() == URL_BYTES_MAX);
    }

    #[test]
    fn a_message_that_is_heard_twice_is_logged_once_and_another_start_is_heard_anew() {
        let log = BrowserLog::new();
        for (attempt, number) in [(1, 3), (1, 3), (1, 2), (1, 4), (2, 1), (2, 1)] {
            log.push_heard(attempt, number, [said(&format!("{attempt}.{number}"))]);
        }
        assert_eq!(texts(&log), ["1.3", "1.4", "2.1"]);
    }

    #[test]
    fn what_is_kept_is_gone_on_with_and_nothing_of_it_is_told_twice() {
        let log = BrowserLog::new();
        assert!(log.keep().is_none());
        log.push_heard(1, 7, [said("console")]);
        log.push_output(1, 0, b"whole\nhal", SECRET);
        let kept = log.keep().unwrap();

        let next = BrowserLog::new();
        next.go_on(kept);
        next.push_heard(1, 7, [said("console")]);
        // The shim tells again what it still has.
        next.push_output(1, 0, b"whole\nhalf\n", SECRET);
        assert_eq!(texts(&next), ["console", "whole", "half"]);
        assert_eq!(next.last(), 3);
    }

    #[test]
    fn the_bell_rings_with_each_entry_and_with_the_end_and_the_first_end_counts() {
        let log = BrowserLog::new();
        let mut bell = log.bell();
        let mut rung = || std::mem::replace(&mut bell, log.bell()).has_changed().unwrap();
        log.push(said("a"));
        assert!(rung() && !rung());
        log.push_output(1, 0, b"b\n", SECRET);
        assert!(rung());
        log.close(LogStage::Left);
        assert!(rung());
        log.close(LogStage::Ended);
        assert_eq!(log.stage(), LogStage::Left);
        assert_eq!(BrowserLog::of_the_past(None).stage(), LogStage::Ended);
    }
}
