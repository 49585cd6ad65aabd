//! What the shim has told and nobody has acknowledged yet, and how far it was written to the present connection.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::process::message::Told;

/// Every unacknowledged frame in order. Unbounded by itself: `may_grow` tells the reader of the browser's pipe to pause.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Said first on every connection, under no number.
    hello: Vec<u8>,
    frames: VecDeque<(u64, Vec<u8>)>,
    /// What is told under no number, once some of it was written: lost with the connection.
    loose: Option<Vec<u8>>,
    /// How many frames, and how many bytes of what comes next, were written to this connection.
    written: usize,
    offset: usize,
    greeted: bool,
    last_number: u64,
    unwritten_len: usize,
    held_len: usize,
}

/// What waits to be written before the browser's pipe is left alone: with no service attached that is all there is.
const UNWRITTEN_LEN_MAX: usize = 4 * 1024 * 1024;
/// What was written but not acknowledged before the browser's pipe is left alone: a service so far behind is stuck.
const HELD_LEN_MAX: usize = 64 * 1024 * 1024;

impl Outbox {
    /// Begins a new connection: Hello, then every unacknowledged frame again.
    pub(super) fn restart(&mut self, hello: Vec<u8>) {
        self.rewind();
        self.hello = hello;
        self.greeted = false;
    }

    /// Forgets what the lost connection had been given: it may never have arrived.
    pub(super) fn rewind(&mut self) {
        self.written = 0;
        self.offset = 0;
        self.loose = None;
        self.unwritten_len = self.held_len;
    }

    pub(super) fn push(&mut self, told: &Told) {
        self.last_number += 1;
        let frame = told.encode(self.last_number);
        self.unwritten_len += frame.len();
        self.held_len += frame.len();
        self.frames.push_back((self.last_number, frame));
    }

    /// Drops what was taken in. A number that was never written on this connection is not believed.
    pub(super) fn acknowledge(&mut self, number: u64) {
        while self.written > 0 && self.frames.front().is_some_and(|(first, _)| *first <= number) {
            if let Some((_, frame)) = self.frames.pop_front() {
                self.held_len -= frame.len();
                self.written -= 1;
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn wants_to_write(&self) -> bool {
        !self.greeted || self.loose.is_some() || self.written < self.frames.len()
    }

    /// Tells what need not arrive, to a service that has taken everything else: under no number, never again. False when
    /// nothing of it could be written; then it was not told.
    pub(super) fn tell_loose(&mut self, frame: Vec<u8>, connection: &OwnedFd) -> Result<bool, Errno> {
        if self.wants_to_write() {
            return Ok(false);
        }
        self.loose = Some(frame);
        let begun = self.write_to(connection)?;
        if !begun {
            self.loose = None;
        }
        Ok(begun)
    }

    /// Whether more of the browser's messages may be read.
    pub(super) fn may_grow(&self) -> bool {
        self.unwritten_len < UNWRITTEN_LEN_MAX && self.held_len < HELD_LEN_MAX
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.frames.iter().map(|(_, frame)| frame.as_slice())
    }

    /// Writes until all is written or the socket is full; true when anything was.
    pub(super) fn write_to(&mut self, connection: &OwnedFd) -> Result<bool, Errno> {
        let mut progress = false;
        while let Some(next) = self.next_bytes() {
            let length = next.len();
            let written = match rustix::io::write(connection, next) {
                Ok(written) => written,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            };
            progress = true;
            self.offset += written;
            let numbered = self.greeted && self.loose.is_none();
            if numbered {
                self.unwritten_len -= written;
            }
            if written == length {
                self.offset = 0;
                self.written += usize::from(numbered);
                self.loose = None;
                self.greeted = true;
            }
        }
        Ok(progress)
    }

    fn next_bytes(&self) -> Option<&[u8]> {
        if !self.greeted {
            return self.hello.get(self.offset..);
        }
        match &self.loose {
            Some(frame) => frame.get(self.offset..),
            None => self.frames.get(self.written).map(|(_, frame)| &frame[self.offset..]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::process::frame::Decoder;
    use crate::process::message::Output;

    fn numbers(stream: &mut UnixStream, count: usize) -> Vec<u64> {
        let mut decoder = Decoder::default();
        let mut numbers = Vec::new();
        let mut buffer = [0; 4096];
        while numbers.len() < count {
            let length = stream.read(&mut buffer).unwrap();
            decoder.push(&buffer[..length]);
            while let Some(frame) = decoder.take().unwrap() {
                numbers.push(frame.number);
            }
        }
        assert!(decoder.is_empty());
        numbers
    }

    fn pair() -> (OwnedFd, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (ours.into(), theirs)
    }

    fn hello() -> Vec<u8> {
        Told::Browser(Vec::new()).encode(0)
    }

    #[test]
    fn a_new_connection_hears_hello_and_exactly_what_was_not_acknowledged() {
        let mut outbox = Outbox::default();
        outbox.restart(hello());
        let (first, mut reader) = pair();
        for _ in 0..5 {
            outbox.push(&Told::Browser(vec![7; 100]));
        }
        outbox.write_to(&first).unwrap();
        assert_eq!(numbers(&mut reader, 6), [0, 1, 2, 3, 4, 5]);
        outbox.acknowledge(3);

        outbox.restart(hello());
        let (second, mut reader) = pair();
        outbox.write_to(&second).unwrap();
        assert_eq!(numbers(&mut reader, 3), [0, 4, 5]);
        outbox.acknowledge(5);
        assert!(outbox.is_empty() && !outbox.wants_to_write());
    }

    #[test]
    fn an_acknowledgement_of_what_was_never_written_is_not_believed() {
        let mut outbox = Outbox::default();
        outbox.restart(hello());
        outbox.push(&Told::Browser(vec![1]));
        outbox.acknowledge(u64::MAX);
        assert!(!outbox.is_empty());
    }

    #[test]
    fn a_frame_cut_by_a_full_socket_is_whole_on_the_next_connection() {
        let mut outbox = Outbox::default();
        outbox.restart(hello());
        outbox.push(&Told::Browser(vec![7; 3 * 1024 * 1024]));
        assert!(outbox.may_grow());
        outbox.push(&Told::Browser(vec![8; 2 * 1024 * 1024]));
        assert!(!outbox.may_grow());
        let (first, _reader) = pair();
        outbox.write_to(&first).unwrap();
        assert!(outbox.wants_to_write());

        outbox.restart(hello());
        let (second, mut reader) = pair();
        let reading = std::thread::spawn(move || numbers(&mut reader, 3));
        while outbox.wants_to_write() {
            let mut poll = [rustix::event::PollFd::new(&second, rustix::event::PollFlags::OUT)];
            rustix::event::poll(&mut poll, None).unwrap();
            outbox.write_to(&second).unwrap();
        }
        assert_eq!(reading.join().unwrap(), [0, 1, 2]);
        assert!(outbox.may_grow());
    }

    #[test]
    fn what_need_not_arrive_is_told_whole_or_not_at_all_and_never_again() {
        let mut outbox = Outbox::default();
        outbox.restart(hello());
        let (first, mut reader) = pair();
        assert!(!outbox.tell_loose(loose(1), &first).unwrap(), "Hello is said first");
        outbox.push(&Told::Browser(vec![7; 100]));
        outbox.write_to(&first).unwrap();
        // More than the socket takes: what follows waits for the rest of it.
        assert!(outbox.tell_loose(loose(8 * 1024 * 1024), &first).unwrap());
        assert!(outbox.wants_to_write());
        assert!(!outbox.tell_loose(loose(1), &first).unwrap());
        outbox.push(&Told::Browser(vec![8; 100]));
        let reading = std::thread::spawn(move || (numbers(&mut reader, 4), reader));
        while outbox.wants_to_write() {
            let mut poll = [rustix::event::PollFd::new(&first, rustix::event::PollFlags::OUT)];
            rustix::event::poll(&mut poll, None).unwrap();
            outbox.write_to(&first).unwrap();
        }
        assert_eq!(reading.join().unwrap().0, [0, 1, 0, 2]);

        outbox.restart(hello());
        let (second, mut reader) = pair();
        outbox.write_to(&second).unwrap();
        assert_eq!(numbers(&mut reader, 3), [0, 1, 2]);
        outbox.acknowledge(2);
        assert!(outbox.is_empty() && outbox.unwritten_len == 0);
    }

    #[test]
    fn what_was_cut_with_its_connection_is_not_told_on_the_next() {
        let mut outbox = Outbox::default();
        outbox.restart(hello());
        let (first, _reader) = pair();
        outbox.write_to(&first).unwrap();
        assert!(outbox.tell_loose(loose(8 * 1024 * 1024), &first).unwrap());
        outbox.push(&Told::Browser(vec![7; 100]));
        outbox.restart(hello());
        let (second, mut reader) = pair();
        outbox.write_to(&second).unwrap();
        assert!(!outbox.wants_to_write());
        assert_eq!(numbers(&mut reader, 2), [0, 1]);
    }

    #[test]
    fn what_a_full_socket_does_not_take_was_not_told() {
        let mut outbox = Outbox::default();
        outbox.restart(hello());
        let (first, _reader) = pair();
        outbox.write_to(&first).unwrap();
        while rustix::io::write(&first, &[0; 64 * 1024]).is_ok() {}
        assert!(!outbox.tell_loose(loose(10), &first).unwrap());
        assert!(!outbox.wants_to_write());
    }

    fn loose(length: usize) -> Vec<u8> {
        Told::Output(Output { place: 0, bytes: vec![9; length] }).encode(0)
    }
}
