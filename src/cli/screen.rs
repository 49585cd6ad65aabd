//! A block of lines at the end of what a terminal shows, drawn anew in its place; what is over stays above it.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use super::{
    Problem,
    terminal::{Line, Size, Terminal},
};

/// What is drawn.
pub(super) struct Screen {
    terminal: Terminal,
    block: Vec<Line>,
}

impl Screen {
    pub(super) fn new(terminal: Terminal) -> Self {
        Self { terminal, block: Vec::new() }
    }

    /// Shows `stay` for good, and `block` below it until the next call, as much of that as the terminal has rows for.
    pub(super) fn show(&mut self, stay: &[Line], mut block: Vec<Line>) -> Result<(), Problem> {
        let size = self.terminal.size();
        // The cursor has a row of its own below the block.
        block.truncate(size.rows.saturating_sub(1));
        if stay.is_empty() && block == self.block {
            return Ok(());
        }
        let mut text = erase(&self.block, size);
        for line in stay.iter().chain(&block) {
            let _ = writeln!(text, "{}", line.text());
        }
        self.block = block;
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }
}

/// Takes a block off the screen. A terminal that has become narrower since has wrapped its lines.
fn erase(block: &[Line], size: Size) -> String {
    let rows: usize = block.iter().map(|line| line.width().div_ceil(size.columns).max(1)).sum();
    if rows == 0 { String::new() } else { format!("\u{1b}[{}A\r\u{1b}[J", rows.min(size.rows)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::USUAL;

    #[test]
    fn a_block_is_erased_with_the_rows_that_it_takes_by_now() {
        let terminal = Terminal::plain();
        let mut line = terminal.line(80);
        line.push(&"x".repeat(50), USUAL);
        let block = vec![line, terminal.line(80)];
        assert_eq!(erase(&block, Size { columns: 80, rows: 24 }), "\u{1b}[2A\r\u{1b}[J");
        assert_eq!(erase(&block, Size { columns: 20, rows: 24 }), "\u{1b}[4A\r\u{1b}[J");
        assert_eq!(erase(&block, Size { columns: 20, rows: 3 }), "\u{1b}[3A\r\u{1b}[J");
        assert_eq!(erase(&[], Size { columns: 20, rows: 3 }), "");
    }
}
