//! The frame of the relay and of the exit file: u32 length of the body, u8 kind, u64 number, body; little endian.

/// The bytes before a body.
pub(super) const HEADER_LEN: usize = 13;
/// The longest body, as long as the longest message Chromium itself would send (256 MiB); a longer one ends the connection.
pub(super) const BODY_LEN_MAX: usize = 256 * 1024 * 1024;

/// One frame as it came: what its kind means is `message`'s to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) number: u64,
    pub(super) body: Vec<u8>,
}

/// A length that no honest peer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("frame of {0} bytes exceeds {BODY_LEN_MAX}")]
pub(super) struct TooLong(pub(super) usize);

/// The bytes of one frame. The caller keeps bodies within `BODY_LEN_MAX`.
pub(super) fn encode(kind: u8, number: u64, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("bodies are kept within 256 MiB");
    let mut bytes = Vec::with_capacity(HEADER_LEN + body.len());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Turns a stream of bytes, cut anywhere, back into frames.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    bytes: Vec<u8>,
    /// Where the first frame not yet taken begins.
    start: usize,
}

impl Decoder {
    /// Adds what was read.
    pub(super) fn push(&mut self, read: &[u8]) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        } else if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(read);
    }

    /// Takes the next whole frame; None when more bytes are needed.
    pub(super) fn take(&mut self) -> Result<Option<Frame>, TooLong> {
        let rest = &self.bytes[self.start..];
        let Some((header, rest)) = rest.split_first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let [l0, l1, l2, l3, kind, number @ ..] = *header;
        let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        if length > BODY_LEN_MAX {
            return Err(TooLong(length));
        }
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let frame = Frame { kind, number: u64::from_le_bytes(number), body: body.to_vec() };
        self.start += HEADER_LEN + length;
        Ok(Some(frame))
    }

    /// Gives back a buffer larger than `kept_len_max` if nothing is in it.
    pub(super) fn shrink(&mut self, kept_len_max: usize) {
        if self.is_empty() && self.bytes.capacity() > kept_len_max {
            *self = Decoder::default();
        }
    }

    /// Whether every byte that was pushed belonged to a frame that was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_its_body_is_awaited() {
        let mut decoder = Decoder::default();
        decoder.push(&u32::MAX.to_le_bytes());
        decoder.push(&[0; 9]);
        assert_eq!(decoder.take(), Err(TooLong(0xffff_ffff)));
    }

    proptest! {
        #[test]
        fn frames_survive_any_cut(
            sent in prop::collection::vec((any::<u8>(), any::<u64>(), prop::collection::vec(any::<u8>(), 0..200)), 0..20),
            cut in 1_usize..64,
        ) {
            let bytes: Vec<u8> = sent.iter().flat_map(|(kind, number, body)| encode(*kind, *number, body)).collect();
            let mut decoder = Decoder::default();
            let mut got = Vec::new();
            for piece in bytes.chunks(cut) {
                decoder.push(piece);
                while let Some(frame) = decoder.take().unwrap() {
                    got.push((frame.kind, frame.number, frame.body));
                }
            }
            prop_assert_eq!(got, sent);
            prop_assert!(decoder.is_empty());
        }
    }
}
