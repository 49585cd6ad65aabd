//! From pieces of output to lines: cut anywhere, sent twice, or missing.

use super::{LogLevel, LogSource, Remark, TEXT_BYTES_MAX};
use crate::browser::{
    Level,
    said::{output_level, plain},
};

/// Longest secret that may stand in a line, in bytes; a token has 43. Of a long line so much is held back, so that none is
/// cut in two.
const SECRET_BYTES_MAX: usize = 64;
/// A line that was not ended is cut once it is so long; what is left then is short enough that cutting it is rare.
const PARTIAL_BYTES_MAX: usize = 2 * TEXT_BYTES_MAX;

#[derive(Debug, Default)]
pub(super) struct Lines {
    /// How many bytes of the whole output were taken, missing ones included.
    taken: u64,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    /// Whether the beginning of that line was logged already, as its own entry.
    is_rest: bool,
}

impl Lines {
    /// Goes on from this place.
    pub(super) fn after(place: u64) -> Self {
        Self { taken: place, ..Self::default() }
    }

    /// From where another service has to hear it again: a line is one entry. The rest of a very long one is not.
    pub(super) fn place(&self) -> u64 {
        let held = if self.is_rest { 0 } else { u64::try_from(self.partial.len()).unwrap_or_default() };
        self.taken - held
    }

    /// Takes one piece.
    pub(super) fn take(&mut self, place: u64, bytes: &[u8], secret: &str, mut say: impl FnMut(Remark)) {
        let end = place.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if end <= self.taken {
            return;
        }
        let known = usize::try_from(self.taken.saturating_sub(place)).unwrap_or(usize::MAX);
        let mut bytes = &bytes[known..];
        let missing = place.saturating_sub(self.taken);
        if missing > 0 {
            let rest = after_gap(bytes);
            let skipped = bytes.len() - rest.len();
            bytes = rest;
            let left_out = skipped + self.end_at_gap(secret, &mut say);
            let missing = missing.saturating_add(u64::try_from(left_out).unwrap_or_default());
            say(Remark::new(
                LogSource::Output,
                LogLevel::Warning,
                format!("{missing} bytes of output came too fast, or while no service was there, and were dropped"),
            ));
        }
        self.taken = end;
        let mut lines = bytes.split(|byte| *byte == b'\n');
        // What follows the last line end begins the next line.
        let last = lines.next_back().unwrap_or_default();
        for line in lines {
            self.extend(line, secret, &mut say);
            self.end(secret, &mut say);
        }
        self.extend(last, secret, &mut say);
    }

    /// The line is over, or all output is.
    pub(super) fn end(&mut self, secret: &str, mut say: impl FnMut(Remark)) {
        self.is_rest = false;
        let text = shown(&std::mem::take(&mut self.partial), secret);
        say_line(say_pieces(text, TEXT_BYTES_MAX + 1, &mut say), &mut say);
    }

    /// The beginning of a secret may be the last that came; so much is left out.
    fn end_at_gap(&mut self, secret: &str, say: impl FnMut(Remark)) -> usize {
        let whole = self.partial.len();
        self.partial.truncate(whole.saturating_sub(SECRET_BYTES_MAX));
        let left_out = whole - self.partial.len();
        self.end(secret, say);
        left_out
    }

    fn extend(&mut self, mut bytes: &[u8], secret: &str, say: &mut impl FnMut(Remark)) {
        while !bytes.is_empty() {
            let room = PARTIAL_BYTES_MAX.saturating_sub(self.partial.len()).max(1);
            let (piece, rest) = bytes.split_at(room.min(bytes.len()));
            self.partial.extend_from_slice(piece);
            bytes = rest;
            if self.partial.len() >= PARTIAL_BYTES_MAX {
                self.cut(secret, say);
            }
        }
    }

    fn cut(&mut self, secret: &str, say: &mut impl FnMut(Remark)) {
        let text = shown(&self.partial, secret);
        self.partial = say_pieces(text, TEXT_BYTES_MAX + SECRET_BYTES_MAX, say).into_bytes();
        self.is_rest = true;
    }
}

/// Says as much as an entry holds, again and again while the rest is so long; gives the rest.
fn say_pieces(mut text: String, long: usize, say: &mut impl FnMut(Remark)) -> String {
    while text.len() >= long {
        let rest = text.split_off(text.floor_char_boundary(TEXT_BYTES_MAX));
        say_line(std::mem::replace(&mut text, rest), say);
    }
    text
}

fn say_line(text: String, say: &mut impl FnMut(Remark)) {
    if text.is_empty() {
        return;
    }
    let level = match output_level(&text) {
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warning => LogLevel::Warning,
        Level::Error => LogLevel::Error,
    };
    say(Remark::new(LogSource::Output, level, text));
}

/// Without the end of a secret that may have begun in what is missing: up to the next line, if that is near.
fn after_gap(bytes: &[u8]) -> &[u8] {
    let head = &bytes[..bytes.len().min(SECRET_BYTES_MAX)];
    let skipped = head.iter().position(|byte| *byte == b'\n').map_or(head.len(), |at| at + 1);
    &bytes[skipped..]
}

fn shown(bytes: &[u8], secret: &str) -> String {
    plain(&String::from_utf8_lossy(bytes)).replace(secret, "[token]")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0abc";

    fn said(lines: &mut Lines, place: u64, bytes: &[u8]) -> Vec<String> {
        let mut said = Vec::new();
        lines.take(place, bytes, SECRET, |remark| said.push(remark.text));
        said
    }

    /// All that is said of an output that comes in pieces of this length.
    fn in_pieces(output: &[u8], length: usize) -> Vec<String> {
        let (mut lines, mut texts, mut place) = (Lines::default(), Vec::new(), 0);
        for piece in output.chunks(length) {
            texts.extend(said(&mut lines, place, piece));
            place += piece.len() as u64;
        }
        lines.end(SECRET, |remark| texts.push(remark.text));
        texts
    }

    #[test]
    fn lines_are_the_same_wherever_the_pieces_are_cut() {
        let output = format!("one\n\ntwo {SECRET} and\u{1b}[2J\r\n[1:1:0:ERROR:x] three\nno end");
        let expected = ["one", "two [token] and[2J", "[1:1:0:ERROR:x] three", "no end"];
        for length in [1, 2, 3, 7, 1000] {
            assert_eq!(in_pieces(output.as_bytes(), length), expected, "{length}");
        }
    }

    #[test]
    fn a_line_without_end_is_cut_and_nothing_of_it_is_lost_and_no_secret_is_cut_in_two() {
        for before in (0..PARTIAL_BYTES_MAX + 2000).step_by(37) {
            let output = format!("{}{SECRET}{}", "a".repeat(before), "b".repeat(20_000));
            let texts = in_pieces(output.as_bytes(), 5000);
            assert!(texts.iter().all(|text| text.len() <= TEXT_BYTES_MAX), "{before}");
            assert_eq!(texts.concat(), output.replace(SECRET, "[token]"), "{before}");
        }
    }

    #[test]
    fn what_came_before_is_left_out_and_what_is_missing_is_said() {
        let mut lines = Lines::default();
        assert_eq!(said(&mut lines, 0, b"one\nt"), ["one"]);
        assert!(said(&mut lines, 0, b"one\n").is_empty());
        assert_eq!(said(&mut lines, 2, b"e\ntwo\n"), ["two"]);
        assert_eq!(lines.place(), 8);
        let texts = said(&mut lines, 100, b"tail of a line\nthree\n");
        let dropped = "107 bytes of output came too fast, or while no service was there, and were dropped";
        assert_eq!(texts, [dropped, "three"]);
    }

    #[test]
    fn a_secret_of_which_a_part_is_missing_is_not_shown_in_part() {
        let (head, tail) = SECRET.split_at(30);
        let mut lines = Lines::default();
        let mut texts = said(&mut lines, 0, format!("{}{head}", "x".repeat(100)).as_bytes());
        texts.extend(said(&mut lines, 1000, format!("{}{}\n", &tail[5..], "y".repeat(100)).as_bytes()));
        assert!(!texts.concat().contains("c2V") && !texts.concat().contains("abc"), "{texts:?}");
        assert!(texts[0].starts_with("xxx") && texts[2].ends_with("yyy"), "{texts:?}");
    }

    #[test]
    fn another_service_hears_an_unfinished_line_from_its_beginning() {
        let mut lines = Lines::default();
        said(&mut lines, 0, b"one\nunfin");
        assert_eq!(lines.place(), 4);
        let mut next = Lines::after(lines.place());
        assert_eq!(said(&mut next, 0, b"one\nunfinished\n"), ["unfinished"]);
    }
}
