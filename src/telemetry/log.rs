//! Where log events go: standard error, readable on a terminal and as JSON lines elsewhere.
//!
//! One event is one line, whatever is in it: what comes from pages, callers and files can neither begin a line of its
//! own nor speak to a terminal.

use std::{
    fmt::{Debug, Write as _},
    io::{self, IsTerminal, Write},
};

use tracing::{Subscriber, field::Field};
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt,
    fmt::{
        MakeWriter,
        format::{Writer, debug_fn},
    },
    util::SubscriberInitExt,
};

use crate::config::LogFormat;

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// A level, or a filter by module.
    pub filter: String,
    /// How events are written.
    pub format: LogFormat,
}

impl Logging {
    /// What a call logs that is no service: its troubles, unless `RUST_LOG` says otherwise.
    #[must_use]
    pub fn of_a_call() -> Self {
        let filter = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
        Self { filter: filter.unwrap_or_else(|| "warn".to_owned()), format: LogFormat::Auto }
    }
}

/// Sends log events to standard error from now on.
///
/// Standard output stays free: it belongs to what a verb prints.
pub fn start(logging: &Logging) {
    let terminal = io::stderr().is_terminal();
    // Colour is the terminal's matter alone; https://no-color.org is how a person says no.
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let pretty = match logging.format {
        LogFormat::Auto => terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    if pretty {
        lines(&logging.filter, colour, io::stderr).init();
    } else {
        json(&logging.filter, io::stderr).init();
    }
}

/// Lines for people.
fn lines<W>(filter: &str, colour: bool, writer: W) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse_lossy(filter))
        .with_ansi(colour)
        .fmt_fields(debug_fn(write_field).delimited(" "))
        .with_writer(writer)
        .finish()
}

/// A JSON object per line.
fn json<W>(filter: &str, writer: W) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse_lossy(filter))
        .json()
        .flatten_event(true)
        // The innermost one says it all.
        .with_span_list(false)
        .with_writer(Escaping(writer))
        .finish()
}

/// One field, made harmless before any colour is put around it.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let mut text = String::new();
    for c in format!("{value:?}").chars() {
        if is_unruly(c) {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    match field.name() {
        "message" => writer.write_str(&text),
        // Names that another library's events bring along, and that are shown otherwise.
        name if name.starts_with("log.") => Ok(()),
        name if writer.has_ansi_escapes() => write!(writer, "\u{1b}[2m{name}=\u{1b}[0m{text}"),
        name => write!(writer, "{name}={text}"),
    }
}

/// What ends a line, moves a cursor or turns the direction of reading.
fn is_unruly(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Writes JSON so that it is harmless on a terminal too.
struct Escaping<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for Escaping<W> {
    type Writer = Escaped<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        Escaped(self.0.make_writer())
    }
}

struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    /// An event comes whole, as valid JSON with a line end: what is unruly before that is inside of a text, where it
    /// may be written as its number.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (line, end) = text.strip_suffix('\n').map_or((text.as_ref(), ""), |line| (line, "\n"));
        if !line.contains(is_unruly) {
            self.0.write_all(event)?;
            return Ok(event.len());
        }
        let mut escaped = String::with_capacity(event.len() + 16);
        for c in line.chars() {
            if is_unruly(c) {
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            } else {
                escaped.push(c);
            }
        }
        escaped.push_str(end);
        self.0.write_all(escaped.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Everything that a page could put into a title, a URL or a message against a log.
    const HOSTILE: &str = "a\r\n2026 INFO all is well\u{1b}[2J\u{9b}31m\u{7f}\u{202e}gpj.exe\u{2028}\"\\\u{0}z";

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(subscriber: impl FnOnce(Kept) -> Box<dyn Subscriber + Send + Sync>) -> String {
        let kept = Kept::default();
        tracing::subscriber::with_default(subscriber(kept.clone()), || {
            let span = tracing::info_span!("span", url = HOSTILE);
            let _entered = span.enter();
            tracing::info!(text = HOSTILE, shown = %HOSTILE, debug = ?HOSTILE, number = 7, "it says {HOSTILE}");
            tracing::debug!("this is not asked for");
        });
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    fn assert_one_line(text: &str) {
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.contains(is_unruly), "{line:?}");
        assert!(line.contains("it says a") && line.contains("gpj.exe"), "{line}");
    }

    #[test]
    fn one_event_is_one_harmless_line_for_people() {
        let text = logged(|kept| Box::new(lines("info", false, move || kept.clone())));
        assert_one_line(&text);
        assert!(text.contains(" number=7"), "{text}");
        assert!(text.contains(r"\r\n2026 INFO all is well\u{1b}[2J\u{9b}31m\u{7f}\u{202e}gpj.exe\u{2028}"), "{text}");
    }

    #[test]
    fn colour_is_ours_alone() {
        let text = logged(|kept| Box::new(lines("info", true, move || kept.clone())));
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.contains('\u{1b}') && !text.contains("\u{1b}[2J"), "{text:?}");
        assert!(!text.contains(['\u{9b}', '\u{202e}', '\r']), "{text:?}");
    }

    #[test]
    fn one_event_is_one_harmless_line_of_json_that_says_the_same() {
        let text = logged(|kept| Box::new(json("info", move || kept.clone())));
        assert_one_line(&text);
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(event["message"], format!("it says {HOSTILE}"));
        assert_eq!((event["text"].as_str(), event["shown"].as_str()), (Some(HOSTILE), Some(HOSTILE)));
    }
}
