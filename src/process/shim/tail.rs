//! The last of what a browser wrote on its standard output and error.

/// Enough for the few lines that explain a failed start; more belongs in a log file.
const TAIL_LEN_MAX: usize = 4096;

/// Keeps the last `TAIL_LEN_MAX` bytes; older ones are dropped.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    pub(super) fn push(&mut self, written: &[u8]) {
        let kept = &written[written.len().saturating_sub(TAIL_LEN_MAX)..];
        let excess = (self.bytes.len() + kept.len()).saturating_sub(TAIL_LEN_MAX);
        self.bytes.drain(..excess);
        self.bytes.extend_from_slice(kept);
    }

    /// As text for people: what is not UTF-8 is replaced, and no control character but tabs and line ends remains.
    pub(super) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept_whatever_the_pieces() {
        let all: Vec<u8> = (0..20_000_u32).map(|n| b'a' + u8::try_from(n % 26).unwrap()).collect();
        for piece in [1, 7, 4096, 5000, 20_000] {
            let mut tail = Tail::default();
            all.chunks(piece).for_each(|piece| tail.push(piece));
            assert_eq!(tail.text().as_bytes(), &all[all.len() - TAIL_LEN_MAX..], "{piece}");
        }
    }

    #[test]
    fn the_text_cannot_command_a_terminal() {
        let mut tail = Tail::default();
        tail.push(b"a\x1b[2Jb\r\n\tc\x00\xff");
        assert_eq!(tail.text(), "a[2Jb\n\tc\u{fffd}");
    }
}
