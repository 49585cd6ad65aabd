//! `log`: shows what a task's browser said.

use std::fmt::Write as _;

use clap::{
    Args, ValueEnum,
    builder::styling::{AnsiColor, Style},
};

use super::{
    Exit, Problem,
    args::{Format, Reach},
    print::{Printer, clock, plain},
    retry::RetryFor,
    terminal::{FAINT, Terminal, USUAL},
};
use crate::api::v1::{
    LogEntry, ReadLogRequest, ReadLogResponse,
    log_entry::{self, Level},
};

/// Widest level and source, so that columns stand.
const LEVEL_WIDTH: usize = 7;

/// Arguments of `log`.
#[derive(Debug, Args)]
pub(super) struct Log {
    /// The task
    #[arg(value_name = "ID")]
    task_id: String,
    /// Go on as more is said, until nothing of the task's browser is left
    #[arg(long, short)]
    follow: bool,
    /// Only what matters at least so much
    #[arg(long, value_enum, default_value_t = LevelName::Debug)]
    level: LevelName,
    /// Only what is said by these; may be given more than once
    #[arg(long, value_enum)]
    source: Vec<SourceName>,
    #[command(flatten)]
    retry: RetryFor,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LevelName {
    Debug,
    Info,
    Warning,
    Error,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SourceName {
    /// The browser's processes
    Output,
    /// Scripts of the page
    Console,
    /// Requests of the page that failed
    Network,
    /// The service, of the page
    Page,
    /// The service, of the browser
    Browser,
}

impl Log {
    pub(super) async fn run(self) -> Result<Exit, Problem> {
        let runner = self.reach.runner(self.retry).await?;
        let request = ReadLogRequest {
            task_id: self.task_id,
            follow: self.follow,
            sources: self.source.into_iter().map(|source| log_entry::Source::from(source).into()).collect(),
            min_level: Level::from(self.level).into(),
            ..ReadLogRequest::default()
        };
        let printer = Printer::new(self.format);
        let terminal = Terminal::of_stdout();
        let mut log = runner.read_log(request);
        while let Some(answer) = log.next().await? {
            if !answer.entries.is_empty() || answer.dropped_count > 0 || answer.reset {
                printer.print("ReadLogResponse", &answer, || lines(&answer, terminal))?;
            }
        }
        Ok(Exit::Done)
    }
}

/// The entries, a line each; further lines of one are indented, so that no text can pass for another entry.
fn lines(answer: &ReadLogResponse, terminal: Option<Terminal>) -> String {
    let mut lines = String::new();
    if answer.reset {
        lines.push_str("-- the log was lost and begins anew\n");
    }
    if answer.dropped_count > 0 {
        let _ = writeln!(lines, "-- {} entries were dropped", answer.dropped_count);
    }
    for entry in &answer.entries {
        entry_lines(&mut lines, entry, terminal);
    }
    lines.truncate(lines.trim_end().len());
    lines
}

fn entry_lines(lines: &mut String, entry: &LogEntry, terminal: Option<Terminal>) {
    let LogEntry { url, line, .. } = entry;
    let mut text = entry.text.lines();
    let first = plain(text.next().unwrap_or_default());
    let (source, level) = (entry.source().as_str_name(), entry.level().as_str_name());
    let at = clock(entry.said_at.as_ref());
    let level = format!("{level:LEVEL_WIDTH$}");
    let level = terminal.map_or_else(|| level.clone(), |terminal| terminal.paint(&level, style(entry.level())));
    let _ = write!(lines, "{at}  {level}  {source:LEVEL_WIDTH$}  {first}");
    if !url.is_empty() {
        let at_line = if *line > 0 { format!(":{line}") } else { String::new() };
        let _ = write!(lines, "  ({}{at_line})", plain(url));
    }
    lines.push('\n');
    for further in text {
        let _ = writeln!(lines, "    {}", plain(further));
    }
}

/// The colour of a level.
fn style(level: Level) -> Style {
    match level {
        Level::Unspecified | Level::Debug => FAINT,
        Level::Info => USUAL,
        Level::Warning => AnsiColor::Yellow.on_default(),
        Level::Error => AnsiColor::Red.on_default(),
    }
}

impl From<LevelName> for Level {
    fn from(name: LevelName) -> Self {
        match name {
            LevelName::Debug => Self::Debug,
            LevelName::Info => Self::Info,
            LevelName::Warning => Self::Warning,
            LevelName::Error => Self::Error,
        }
    }
}

impl From<SourceName> for log_entry::Source {
    fn from(name: SourceName) -> Self {
        match name {
            SourceName::Output => Self::Output,
            SourceName::Console => Self::Console,
            SourceName::Network => Self::Network,
            SourceName::Page => Self::Page,
            SourceName::Browser => Self::Browser,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_cannot_pass_for_another_nor_command_a_terminal() {
        let entry = LogEntry {
            said_at: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 25_000_000 }),
            source: log_entry::Source::Console.into(),
            level: Level::Error.into(),
            text: "no\u{1b}[2J\n00:00:00.000  INFO     CONSOLE  fine".to_owned(),
            url: "http://a/\u{7}b.js".to_owned(),
            line: 7,
            ..LogEntry::default()
        };
        let answer = ReadLogResponse { entries: vec![entry], dropped_count: 3, ..ReadLogResponse::default() };
        let lines = lines(&answer, None);
        let [dropped, first, second] = lines.lines().collect::<Vec<_>>()[..] else { panic!("{lines}") };
        assert_eq!(dropped, "-- 3 entries were dropped");
        assert!(first.ends_with("  ERROR    CONSOLE  no\u{fffd}[2J  (http://a/\u{fffd}b.js:7)"), "{first}");
        assert_eq!(second, "    00:00:00.000  INFO     CONSOLE  fine");
    }
}
