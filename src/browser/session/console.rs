//! What the task's page says in its console, and what the browser says there of its failed requests.
//!
//! The cheapest source of the latter: the browser speaks of requests that fail, and of no others. A page that is attached
//! to anew is told again from its beginning; what was heard before is known by its time.

use std::time::Duration;

use super::{Session, Step};
use crate::browser::cdp::console::{Argument, CallFrame, ConsoleCalled, EntryAdded, ExceptionThrown};
use crate::browser::cdp::message;
use crate::browser::said::{Level, Said, Voice, plain};

/// How far the console was heard, in milliseconds since 1970 UTC.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The latest that was heard.
    latest_ms: f64,
    /// What is not later than this was heard through an earlier session.
    before_ms: f64,
}

impl Heard {
    /// Another session tells everything from the beginning.
    pub(super) fn again(&mut self) {
        self.before_ms = self.latest_ms;
    }

    /// Whether something said then is news.
    fn is_news(&mut self, at_ms: f64) -> bool {
        self.latest_ms = self.latest_ms.max(at_ms);
        at_ms > self.before_ms
    }
}

impl Session {
    /// One message of the page's console.
    pub(super) fn take_console_event(&mut self, method: &str, message: &[u8], step: &mut Step) {
        let said = match method {
            "Runtime.consoleAPICalled" => message::params(message).map(called),
            "Runtime.exceptionThrown" => message::params(message).map(thrown),
            "Log.entryAdded" => message::params(message).map(added),
            _ => None,
        };
        let Some(Words { voice, level, text, url, line_number, at_ms }) = said else { return };
        if text.is_empty() || !self.heard.is_news(at_ms) {
            return;
        }
        // Plain first: what stands between the letters of a secret must not hide it.
        let (text, url) = (self.shown(&plain(&text)), self.shown(&plain(&url)));
        let line = line_number.and_then(|number| u32::try_from(number + 1).ok());
        step.said.push(Said { voice, level, text, url, line, at_micros: micros(at_ms) });
    }
}

/// As the browser has it.
struct Words {
    voice: Voice,
    level: Level,
    text: String,
    url: String,
    /// From 0 on.
    line_number: Option<i64>,
    at_ms: f64,
}

fn called(called: ConsoleCalled) -> Words {
    let level = match called.kind.as_str() {
        "error" | "assert" => Level::Error,
        "warning" => Level::Warning,
        "debug" => Level::Debug,
        _ => Level::Info,
    };
    let text = called.args.iter().map(words).collect::<Vec<_>>().join(" ");
    let frame = called.stack_trace.and_then(|trace| trace.call_frames.into_iter().next());
    let (url, line_number) = frame.map_or((String::new(), None), |CallFrame { url, line_number }| (url, line_number));
    Words { voice: Voice::Console, level, text, url, line_number, at_ms: called.timestamp }
}

fn thrown(ExceptionThrown { timestamp, exception_details: details }: ExceptionThrown) -> Words {
    let what = details.exception.as_ref().map(words).unwrap_or_default();
    let text = format!("{} {what}", details.text).trim().to_owned();
    let (voice, level, url) = (Voice::Console, Level::Error, details.url);
    Words { voice, level, text, url, line_number: details.line_number, at_ms: timestamp }
}

fn added(EntryAdded { entry }: EntryAdded) -> Words {
    let voice = if entry.source == "network" { Voice::Network } else { Voice::Console };
    let level = match entry.level.as_str() {
        "error" => Level::Error,
        "warning" => Level::Warning,
        "verbose" => Level::Debug,
        _ => Level::Info,
    };
    let (text, url, line_number, at_ms) = (entry.text, entry.url, entry.line_number, entry.timestamp);
    Words { voice, level, text, url, line_number, at_ms }
}

/// A value as a console shows it on one line.
fn words(argument: &Argument) -> String {
    match (&argument.value, &argument.description) {
        (Some(serde_json::Value::String(text)), _) => text.clone(),
        (_, Some(description)) => description.clone(),
        (Some(value), None) => value.to_string(),
        (None, None) if argument.subtype == "null" => argument.subtype.clone(),
        (None, None) => argument.kind.clone(),
    }
}

/// Nothing before 1970 and nothing that is no number.
fn micros(ms: f64) -> u64 {
    // Taken for seconds first, since dividing a double would move the last digits.
    let span = Duration::try_from_secs_f64(ms).unwrap_or_default() / 1000;
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
