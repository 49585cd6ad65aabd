//! The service's side of a shim's socket: attach, read what is told in order, send orders.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::frame::Decoder;
use super::message::{FromShim, Hello, Numbered, Order, Refused, Told};
use super::place::Place;

/// How long a living shim may take to answer an attachment; it does nothing that takes long.
const HELLO_MAX: Duration = Duration::from_secs(5);
/// How much is read at once; lives on the stack while it is.
const READ_LEN: usize = 16 * 1024;
/// A buffer that one long message made larger than this is given back once it is empty.
const KEPT_LEN_MAX: usize = 64 * 1024;

/// Why a shim cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The connection ended: the shim left, died, or has a newer connection.
    #[error("the shim is gone")]
    Gone,
    /// The shim could not make its directories.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The socket belongs to a process of another user.
    #[error("the socket belongs to user {0}")]
    Foreign(u32),
    /// The shim lives but did not answer.
    #[error("the shim did not speak within {HELLO_MAX:?}")]
    Silent,
    /// The system refused.
    #[error("cannot speak to the shim: {0}")]
    Io(#[from] io::Error),
}

/// A connection to one shim. Dropping it leaves the shim alone, which then counts its time away.
#[derive(Debug)]
pub struct Shim {
    stream: UnixStream,
    decoder: Decoder,
    /// Orders not yet written, kept here so that a cancelled call loses no half of one. Grows by what one caller sends
    /// while the socket is full; every call first waits until it is empty.
    unwritten: Vec<u8>,
    hello: Hello,
}

impl Shim {
    /// Takes over the shim of this job if there is a living one.
    ///
    /// None when there is none: no socket, nobody listening, gone before its Hello, or another process than the one
    /// that published itself. Read the exit file next.
    pub async fn attach(place: &Place) -> Result<Option<Shim>, RelayError> {
        let Some(published) = place.published().filter(|published| published.shim.is_same()) else {
            return Ok(None);
        };
        let stream = match UnixStream::connect(place.socket()).await {
            Ok(stream) => stream,
            Err(error) if means_nobody(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let peer = stream.peer_cred()?.uid();
        if peer != rustix::process::geteuid().as_raw() {
            return Err(RelayError::Foreign(peer));
        }
        match timeout(HELLO_MAX, Shim::hear(stream)).await {
            Ok(Ok(shim)) => {
                let same = shim.hello.nonce == published.nonce && shim.hello.shim == published.shim;
                Ok(same.then_some(shim))
            }
            Ok(Err(RelayError::Gone)) => Ok(None),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(RelayError::Silent),
        }
    }

    /// What the shim said of itself when this connection began.
    #[must_use]
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// The next thing told; None when the connection is gone. Safe to drop at any point: nothing is lost.
    pub async fn next(&mut self) -> Option<Numbered> {
        loop {
            match self.take() {
                Ok(Some(FromShim::Numbered(numbered))) => return Some(numbered),
                Ok(Some(FromShim::Hello(_))) => {}
                Ok(None) => self.read_and_write().await.ok()?,
                Err(error) => {
                    tracing::warn!(shim = self.hello.shim.pid, %error, "gave up a connection that made no sense");
                    return None;
                }
            }
        }
    }

    /// Sends an order. Safe to drop: an order is then sent by a later call, whole, or by `next`.
    pub async fn send(&mut self, order: &Order) -> Result<(), RelayError> {
        self.flush().await?;
        self.unwritten = order.encode();
        self.flush().await
    }

    /// The first contact over the socket pair that a new shim was born with.
    pub(super) async fn greet(socket: OwnedFd) -> Result<Shim, RelayError> {
        Shim::hear(UnixStream::from_std(StdUnixStream::from(socket))?).await
    }

    async fn hear(stream: UnixStream) -> Result<Shim, RelayError> {
        let mut decoder = Decoder::default();
        loop {
            match take(&mut decoder)? {
                Some(FromShim::Hello(hello)) => {
                    return Ok(Shim { stream, decoder, unwritten: Vec::new(), hello });
                }
                Some(FromShim::Numbered(Numbered { told: Told::Refused(refused), .. })) => return Err(refused.into()),
                Some(FromShim::Numbered(_)) => return Err(RelayError::Gone),
                None => {
                    stream.readable().await?;
                    read(&stream, &mut decoder)?;
                }
            }
        }
    }

    fn take(&mut self) -> Result<Option<FromShim>, RelayError> {
        take(&mut self.decoder)
    }

    async fn read_and_write(&mut self) -> Result<(), RelayError> {
        let interest =
            if self.unwritten.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
        let ready = self.stream.ready(interest).await?;
        if ready.is_writable() && !self.unwritten.is_empty() {
            // A shim that leaves may still have said something: only the end of reading ends the connection.
            if self.write().is_err() {
                self.unwritten.clear();
            }
        }
        if ready.is_readable() || ready.is_read_closed() { read(&self.stream, &mut self.decoder) } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), RelayError> {
        while !self.unwritten.is_empty() {
            self.write()?;
            if !self.unwritten.is_empty() {
                self.stream.writable().await?;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), RelayError> {
        match self.stream.try_write(&self.unwritten) {
            // The memory too: GO is large, and the longest that most shims are ever told.
            Ok(written) if written == self.unwritten.len() => {
                self.unwritten = Vec::new();
                Ok(())
            }
            Ok(written) => {
                self.unwritten.drain(..written);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(_) => Err(RelayError::Gone),
        }
    }
}

/// Reads what is there; an end of the connection is `Gone`.
fn read(stream: &UnixStream, decoder: &mut Decoder) -> Result<(), RelayError> {
    let mut buffer = [0; READ_LEN];
    match stream.try_read(&mut buffer) {
        Ok(0) => Err(RelayError::Gone),
        Ok(length) => {
            decoder.push(&buffer[..length]);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(RelayError::Gone),
        Err(error) => Err(error.into()),
    }
}

/// The next frame of a kind we know.
fn take(decoder: &mut Decoder) -> Result<Option<FromShim>, RelayError> {
    let broken = |error: String| RelayError::Io(io::Error::new(io::ErrorKind::InvalidData, error));
    while let Some(frame) = decoder.take().map_err(|error| broken(error.to_string()))? {
        if let Some(known) = FromShim::decode(frame).map_err(|error| broken(error.to_string()))? {
            return Ok(Some(known));
        }
    }
    decoder.shrink(KEPT_LEN_MAX);
    Ok(None)
}

fn means_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}
