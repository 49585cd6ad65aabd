//! The frames of gRPC: a byte of flags, four bytes of length, a message.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::call::cut;
use crate::api::Failure;

/// Flags and length.
const HEAD_BYTES: usize = 5;

/// One message in its frame.
pub(super) fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("requests are bounded far below that");
    let mut frame = BytesMut::with_capacity(HEAD_BYTES + message.len());
    frame.put_u8(0);
    frame.put_u32(length);
    frame.put_slice(message);
    frame.freeze()
}

/// Finds the messages in pieces of a body. Holds one message at most, and what came with it.
#[derive(Default)]
pub(super) struct Frames(BytesMut);

impl Frames {
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.0.extend_from_slice(piece);
    }

    /// The next whole message.
    pub(super) fn next_message(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some((head, rest)) = self.0.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let [flags, length @ ..] = *head;
        // Nobody asked for compression, so there is none.
        if flags != 0 {
            return Err(cut("its frames are compressed"));
        }
        let length = u32::from_be_bytes(length) as usize;
        if rest.len() < length {
            return Ok(None);
        }
        self.0.advance(HEAD_BYTES);
        Ok(Some(self.0.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_the_body_is_cut() {
        let messages: [&[u8]; 3] = [b"one", b"", &[7; 300]];
        let body: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
        for piece_len in [1, 2, 7, body.len()] {
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for piece in body.chunks(piece_len) {
                frames.push(piece);
                while let Some(message) = frames.next_message().unwrap() {
                    found.push(message);
                }
            }
            assert_eq!(found, messages, "in pieces of {piece_len}");
        }
    }

    #[test]
    fn a_compressed_frame_is_no_message() {
        let mut frames = Frames::default();
        frames.push(&[1, 0, 0, 0, 0]);
        assert!(frames.next_message().is_err());
    }
}
