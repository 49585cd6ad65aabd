//! The end of what a browser wrote on its standard output and error, by its place in the whole.

use std::collections::VecDeque;

/// What is kept for a service that comes or comes back: some hundred lines, and nothing of a browser that says nothing.
pub(super) const KEPT_LEN_MAX: usize = 64 * 1024;
/// Enough for the few lines that explain a failed start; more belongs in a log.
const TEXT_LEN_MAX: usize = 4096;

/// Keeps the last `KEPT_LEN_MAX` bytes; older ones are dropped, and missed by their place.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    /// How many bytes were written in all.
    end: u64,
}

impl Tail {
    pub(super) fn push(&mut self, written: &[u8]) {
        let kept = &written[written.len().saturating_sub(KEPT_LEN_MAX)..];
        let excess = (self.bytes.len() + kept.len()).saturating_sub(KEPT_LEN_MAX);
        self.bytes.drain(..excess);
        self.bytes.extend(kept);
        self.end += u64::try_from(written.len()).unwrap_or(u64::MAX);
    }

    /// How many bytes were written in all.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// What is kept of everything from this place on, with the place where it begins.
    pub(super) fn from(&self, place: u64) -> (u64, Vec<u8>) {
        let first = self.end - u64::try_from(self.bytes.len()).unwrap_or_default();
        let begin = place.clamp(first, self.end);
        let skipped = usize::try_from(begin - first).unwrap_or(usize::MAX);
        (begin, self.bytes.range(skipped..).copied().collect())
    }

    /// The last of it as text for people: what is not UTF-8 is replaced, and no control character but tabs and line ends
    /// remains.
    pub(super) fn text(&self) -> String {
        let skipped = self.bytes.len().saturating_sub(TEXT_LEN_MAX);
        let bytes: Vec<u8> = self.bytes.range(skipped..).copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept_whatever_the_pieces() {
        let all: Vec<u8> = (0..200_000_u32).map(|n| b'a' + u8::try_from(n % 26).unwrap()).collect();
        for piece in [1, 7, 4096, 5000, 200_000] {
            let mut tail = Tail::default();
            all.chunks(piece).for_each(|piece| tail.push(piece));
            assert_eq!(tail.text().as_bytes(), &all[all.len() - TEXT_LEN_MAX..], "{piece}");
            let first = all.len() - KEPT_LEN_MAX;
            assert_eq!(tail.from(0), (first as u64, all[first..].to_vec()), "{piece}");
            assert!(tail.bytes.capacity() <= 2 * KEPT_LEN_MAX, "{piece}: {}", tail.bytes.capacity());
        }
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let mut tail = Tail::default();
        tail.push(b"first");
        assert_eq!(tail.from(0), (0, b"first".to_vec()));
        let told = tail.end();
        assert_eq!(tail.from(told), (5, Vec::new()));
        tail.push(b" second");
        assert_eq!(tail.from(told), (5, b" second".to_vec()));
    }

    #[test]
    fn the_text_cannot_command_a_terminal() {
        let mut tail = Tail::default();
        tail.push(b"a\x1b[2Jb\r\n\tc\x00\xff");
        assert_eq!(tail.text(), "a[2Jb\n\tc\u{fffd}");
    }
}
