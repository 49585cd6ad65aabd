//! The browser's pipes: commands to it, messages from it, both ended by NUL, and its output.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::tail::Tail;
use crate::process::clock::NS_PER_MS;
use crate::process::message;

/// One read of messages: what a pipe holds by default.
const READ_LEN: usize = 64 * 1024;
/// One read of output; a larger buffer would cost a silent browser its pages.
const OUTPUT_READ_LEN: usize = 4 * 1024;
/// Between two tellings of output: at most 256 KiB a second of a flood are anybody's to read, the rest is dropped.
const TELL_PAUSE_NS: u64 = 250 * NS_PER_MS;
/// A browser that leaves so much unread will not read again: its command pipe is closed, which ends one that still can.
const QUEUED_LEN_MAX: usize = 16 * 1024 * 1024;
/// The longest message (256 MiB, as much as Chromium itself would send); a longer one closes the pipe as broken.
const MESSAGE_LEN_MAX: usize = crate::process::frame::BODY_LEN_MAX;

/// Commands on their way to the browser.
#[derive(Debug, Default)]
pub(super) struct Commands {
    fd: Option<OwnedFd>,
    queued: Vec<u8>,
}

impl Commands {
    pub(super) fn new(fd: Option<OwnedFd>) -> Commands {
        Commands { fd, queued: Vec::new() }
    }

    /// The descriptor, while something waits to be written to it.
    pub(super) fn wants_to_write(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().filter(|_| !self.queued.is_empty()).map(AsFd::as_fd)
    }

    /// Whether commands can still reach the browser.
    pub(super) fn is_open(&self) -> bool {
        self.fd.is_some()
    }

    /// Queues one complete command and writes what can be written.
    pub(super) fn push(&mut self, command: &[u8]) {
        if self.fd.is_none() || command.contains(&0) {
            return;
        }
        self.queued.extend_from_slice(command);
        self.queued.push(0);
        self.write();
        if self.queued.len() > QUEUED_LEN_MAX {
            self.close();
        }
    }

    pub(super) fn write(&mut self) {
        let Some(fd) = &self.fd else { return };
        let mut written = 0;
        while written < self.queued.len() {
            match rustix::io::write(fd, &self.queued[written..]) {
                Ok(length) => written += length,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return self.close(),
            }
        }
        self.queued.drain(..written);
    }

    pub(super) fn close(&mut self) {
        *self = Commands::default();
    }
}

/// Messages from the browser.
#[derive(Debug, Default)]
pub(super) struct Messages {
    fd: Option<OwnedFd>,
    /// The beginning of a message whose end has not come.
    partial: Vec<u8>,
}

impl Messages {
    pub(super) fn new(fd: Option<OwnedFd>) -> Messages {
        Messages { fd, partial: Vec::new() }
    }

    /// The descriptor, if it is to be read: a message once begun is always read to its end.
    pub(super) fn wants_to_read(&self, may_grow: bool) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().filter(|_| may_grow || !self.partial.is_empty()).map(AsFd::as_fd)
    }

    /// One read; gives each complete message to `take`.
    pub(super) fn read(&mut self, take: impl FnMut(Vec<u8>)) {
        let mut buffer = [0; READ_LEN];
        self.read_into(&mut buffer, take);
    }

    /// Reads what the pipe holds now, and no more: others may hold it open and keep on writing.
    pub(super) fn drain(&mut self, mut take: impl FnMut(Vec<u8>)) {
        let mut rest = self.fd.as_ref().map_or(0, held_len);
        let mut buffer = vec![0; rest.min(READ_LEN)];
        while rest > 0 {
            let wanted = rest.min(READ_LEN);
            match self.read_into(&mut buffer[..wanted], &mut take) {
                0 => break,
                length => rest -= length,
            }
        }
        self.fd = None;
    }

    fn read_into(&mut self, buffer: &mut [u8], mut take: impl FnMut(Vec<u8>)) -> usize {
        let Some(fd) = &self.fd else { return 0 };
        let length = match rustix::io::read(fd, &mut *buffer) {
            Ok(length) => length,
            Err(Errno::AGAIN | Errno::INTR) => return 0,
            Err(_) => 0,
        };
        if length == 0 {
            self.fd = None;
        }
        let mut pieces = buffer[..length].split(|byte| *byte == 0);
        // What follows the last NUL begins the next message.
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            let mut message = std::mem::take(&mut self.partial);
            message.extend_from_slice(piece);
            take(message);
        }
        self.partial.extend_from_slice(last);
        if self.partial.len() > MESSAGE_LEN_MAX {
            *self = Messages::default();
        }
        length
    }
}

/// The browser's standard output and error.
#[derive(Debug, Default)]
pub(super) struct Output {
    fd: Option<OwnedFd>,
    tail: Tail,
    /// The place up to which it was told to the connected service.
    told: u64,
    /// Before this it is not told again.
    tell_at_ns: u64,
}

impl Output {
    pub(super) fn new(fd: Option<OwnedFd>) -> Output {
        Output { fd, ..Output::default() }
    }

    pub(super) fn wants_to_read(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// Reads about what the pipe holds, so that a flood is not waited for piece by piece.
    pub(super) fn read(&mut self) {
        for _ in 0..READ_LEN / OUTPUT_READ_LEN {
            if self.read_once() < OUTPUT_READ_LEN {
                break;
            }
        }
    }

    fn read_once(&mut self) -> usize {
        let mut buffer = [0; OUTPUT_READ_LEN];
        let Some(fd) = &self.fd else { return 0 };
        match rustix::io::read(fd, &mut buffer) {
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Ok(0) | Err(_) => {
                self.fd = None;
                0
            }
            Ok(length) => {
                self.tail.push(&buffer[..length]);
                length
            }
        }
    }

    /// Reads what the pipe holds now, and no more, and closes it; returns the end of it all.
    pub(super) fn finish(&mut self) -> String {
        let mut rest = self.fd.as_ref().map_or(0, held_len);
        while rest > 0 {
            match self.read_once() {
                0 => break,
                length => rest = rest.saturating_sub(length),
            }
        }
        self.fd = None;
        self.tail.text()
    }

    /// When there is something to tell and it may be told; none while there is nothing.
    pub(super) fn tell_at_ns(&self) -> Option<u64> {
        (self.told < self.tail.end()).then_some(self.tell_at_ns)
    }

    /// What was not told and is still kept; none when there is nothing.
    pub(super) fn untold(&self) -> Option<message::Output> {
        self.tell_at_ns()?;
        let (place, bytes) = self.tail.from(self.told);
        Some(message::Output { place, bytes })
    }

    /// Everything up to now was told, or could not be.
    pub(super) fn rest(&mut self, now_ns: u64, told: bool) {
        self.tell_at_ns = now_ns.saturating_add(TELL_PAUSE_NS);
        if told {
            self.told = self.tail.end();
        }
    }

    /// For another service, which may know nothing of what was told.
    pub(super) fn tell_again(&mut self) {
        self.told = 0;
        self.tell_at_ns = 0;
    }
}

fn held_len(fd: &OwnedFd) -> usize {
    rustix::io::ioctl_fionread(fd).ok().and_then(|length| usize::try_from(length).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};

    fn messages() -> (Messages, OwnedFd) {
        let (reads, writes) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        rustix::io::ioctl_fionbio(&reads, true).unwrap();
        (Messages::new(Some(reads)), writes)
    }

    #[test]
    fn messages_are_cut_at_nul_wherever_the_reads_fall() {
        let (mut messages, writes) = messages();
        let mut got = Vec::new();
        for piece in [&b"one\0t"[..], b"wo", b"\0\0th"] {
            rustix::io::write(&writes, piece).unwrap();
            messages.read(|message| got.push(message));
        }
        assert_eq!(got, [&b"one"[..], b"two", b""]);
        assert!(messages.wants_to_read(false).is_some(), "a message once begun is read to its end");
        rustix::io::write(&writes, b"ree\0").unwrap();
        messages.read(|message| got.push(message));
        assert_eq!(got.last().unwrap(), b"three");
        assert!(messages.wants_to_read(false).is_none());
    }

    #[test]
    fn a_drain_takes_all_there_is_and_does_not_wait_for_the_other_end() {
        let (mut messages, writes) = messages();
        rustix::io::write(&writes, b"last\0word\0half").unwrap();
        let mut got = Vec::new();
        messages.drain(|message| got.push(message));
        assert_eq!(got, [b"last", b"word"]);
        assert!(messages.wants_to_read(true).is_none());
    }

    #[test]
    fn only_complete_commands_are_written_and_an_unread_flood_closes_the_pipe() {
        let (reads, writes) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        rustix::io::ioctl_fionbio(&writes, true).unwrap();
        let mut commands = Commands::new(Some(writes));
        commands.push(b"ok");
        commands.push(b"sm\0uggled");
        let mut buffer = [0; 64];
        assert_eq!(rustix::io::read(&reads, &mut buffer).unwrap(), 3);
        assert_eq!(&buffer[..3], b"ok\0");
        let large = vec![b'x'; 1024 * 1024];
        for _ in 0..QUEUED_LEN_MAX / large.len() {
            commands.push(&large);
            assert!(commands.wants_to_write().is_some());
        }
        commands.push(&large);
        assert!(commands.wants_to_write().is_none());
    }
}
