//! The terminal behind standard output: how large it is, and lines that fit it.
//!
//! Whatever is put on a line is made harmless first, so that no page, caller or service commands the terminal.

use std::{
    env,
    fmt::Write as _,
    io::{self, IsTerminal},
};

use clap::builder::styling::{AnsiColor, Style};
use unicode_width::UnicodeWidthChar;

use super::print::plain;
use crate::api::v1::job::Status;

/// What a terminal is taken for that does not tell its size, as in an editor.
const SIZE_UNTOLD: (usize, usize) = (80, 24);

/// A person looks at standard output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terminal {
    colour: bool,
}

/// Columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Terminal {
    /// The one behind standard output; none where that is a file, a pipe, or a terminal that can only add text.
    pub(super) fn of_stdout() -> Option<Self> {
        let dumb = env::var_os("TERM").is_none_or(|name| name == "dumb" || name.is_empty());
        // https://no-color.org is how a person says no.
        let colour = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        (io::stdout().is_terminal() && !dumb).then_some(Self { colour })
    }

    /// One without colour, wherever a test runs.
    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self { colour: false }
    }

    /// Its size now.
    pub(super) fn size(self) -> Size {
        let (columns, rows) = match rustix::termios::tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
            Ok(_) | Err(_) => SIZE_UNTOLD,
        };
        Size { columns, rows }
    }

    /// A harmless text in a colour, where that is wanted.
    pub(super) fn paint(self, text: &str, style: Style) -> String {
        self.line(usize::MAX).push(text, style).text().to_owned()
    }

    /// An empty line that takes at most so many columns.
    pub(super) fn line(self, columns: usize) -> Line {
        Line { text: String::new(), width: 0, left: columns, colour: self.colour }
    }
}

/// One line, with how much room it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    text: String,
    width: usize,
    left: usize,
    colour: bool,
}

impl Line {
    /// What is to be written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// How many columns that takes.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Adds a text; what finds no room is cut, and the cut is seen.
    pub(super) fn push(&mut self, text: &str, style: Style) -> &mut Self {
        let text = cut(&plain(text), self.left);
        let width = width(&text);
        self.width += width;
        self.left -= width;
        if self.colour && !text.is_empty() {
            let _ = write!(self.text, "{style}{text}{style:#}");
        } else {
            self.text.push_str(&text);
        }
        self
    }

    /// Adds a text that takes exactly so many columns, and the gap behind it.
    pub(super) fn column(&mut self, text: &str, columns: usize, style: Style) -> &mut Self {
        let text = cut(&plain(text), columns);
        let padding = (columns - width(&text) + GAP).min(self.left.saturating_sub(width(&text)));
        self.push(&text, style).push(&" ".repeat(padding), USUAL)
    }
}

/// Between two columns.
pub(super) const GAP: usize = 2;

/// How many columns a harmless text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or_default()).sum()
}

/// A harmless text within so many columns; an ellipsis stands for what was cut.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut room = columns.saturating_sub(1);
    let kept = text.chars().take_while(|c| {
        let needed = c.width().unwrap_or_default();
        let fits = needed <= room;
        room = room.saturating_sub(needed);
        fits
    });
    let mut kept: String = kept.collect();
    if columns > 0 {
        kept.push('\u{2026}');
    }
    kept
}

/// The colour of a status.
pub(super) fn style_of(status: Status) -> Style {
    let colour = match status {
        Status::Unspecified | Status::Created => return FAINT,
        Status::Running => AnsiColor::Cyan,
        Status::Stopping | Status::Cancelled => AnsiColor::Yellow,
        Status::Done => AnsiColor::Green,
        Status::Failed => AnsiColor::Red,
        Status::TimedOut | Status::Lost => AnsiColor::Magenta,
    };
    colour.on_default()
}

/// What is there to be found, not to be read.
pub(super) const FAINT: Style = Style::new().dimmed();
/// Headings.
pub(super) const BOLD: Style = Style::new().bold();
/// Everything else.
pub(super) const USUAL: Style = Style::new();

#[cfg(test)]
mod tests {
    use super::*;

    fn line(columns: usize, colour: bool) -> Line {
        Terminal { colour }.line(columns)
    }

    #[test]
    fn a_text_is_cut_by_the_columns_it_takes() {
        for (text, columns, expected) in [
            ("abcdef", 6, "abcdef"),
            ("abcdef", 5, "abcd\u{2026}"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本\u{2026}"),
            ("日本語", 4, "日\u{2026}"),
            ("e\u{301}e\u{301}e", 2, "e\u{301}\u{2026}"),
            ("abc", 1, "\u{2026}"),
            ("abc", 0, ""),
        ] {
            assert_eq!(cut(text, columns), expected, "{text} in {columns}");
            assert!(width(&cut(text, columns)) <= columns);
        }
    }

    #[test]
    fn a_line_never_takes_more_than_its_columns() {
        let mut line = line(10, true);
        line.column("日本語", 5, BOLD).column("abcdef", 4, USUAL).push("more", USUAL);
        assert_eq!(line.width(), 10);
        let shown = line.text().replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
        assert_eq!(shown, "日本\u{2026}  ab\u{2026}");
    }

    #[test]
    fn nobody_commands_the_terminal_and_colour_is_ours_alone() {
        let hostile = "a\u{1b}]0;x\u{7}\u{9b}31m\r\n\u{202e}b\u{2066}\u{200f}";
        let mut plain = line(80, false);
        plain.push(hostile, BOLD);
        let harmless = "a\u{fffd}]0;x\u{fffd}\u{fffd}31m\u{fffd}\u{fffd}\u{fffd}b\u{fffd}\u{fffd}";
        assert_eq!(plain.text(), harmless);
        let mut coloured = line(80, true);
        coloured.push(hostile, BOLD);
        assert_eq!(coloured.text(), format!("\u{1b}[1m{harmless}\u{1b}[0m"));
    }

    #[test]
    fn each_end_has_its_colour() {
        let ends = [Status::Done, Status::Failed, Status::Cancelled, Status::TimedOut];
        let mut styles: Vec<_> = ends.map(|status| style_of(status).to_string()).to_vec();
        styles.dedup();
        assert_eq!(styles.len(), ends.len());
    }
}
