//! Lets connections in, so many at a time, through TLS where it is spoken; none of them can hold the others up.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::stream::unfold;
use rustix::process::{Resource, getrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, Sleep, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Most connections at once: a person's tabs, scripts and services come to a tenth. When they are all taken, the next
/// caller waits in the listener's backlog until one ends.
const CONNECTIONS_MAX: usize = 1024;
/// Most handshakes at once. When they are all silent, the next caller waits until the oldest has timed out.
const HANDSHAKES_MAX: usize = 256;
/// Longest handshake: two round trips over the worst of networks.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// As many bytes as HTTP/2 begins with: until they are there nobody knows which HTTP is spoken, and no other timeout
/// runs. Every request of HTTP/1 that names a host is longer.
const PREFACE_BYTES: usize = 24;
/// Longest wait for them, as long as HTTP/1 may take over its headers.
const PREFACE_WITHIN: Duration = Duration::from_secs(30);
/// Pause after a failed accept: without descriptors the listener would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often a failed accept is logged at most: it fails twenty times a second, for as long as descriptors are short.
const ACCEPT_LOG_EVERY: Duration = Duration::from_secs(60);
/// When a silent peer is asked whether it is there, how often, and how often in vain: a page whose machine sleeps holds
/// its connection for a minute, where HTTP/1 would hold it for ever.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

/// Where connections come in.
pub(super) struct Door {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<TlsAcceptor>,
    /// Cuts every connection, however busy.
    pub(super) cut: CancellationToken,
}

/// What waits at the door.
struct Waiting {
    door: Door,
    permits: Arc<Semaphore>,
    handshakes: JoinSet<io::Result<Connection>>,
    /// When a failed accept was last logged.
    logged: Option<Instant>,
}

impl Door {
    /// Connections as they come, for as long as somebody asks; half-open ones end with the stream.
    pub(super) fn connections(self) -> impl Stream<Item = io::Result<Connection>> {
        let permits = Arc::new(Semaphore::new(connections_max()));
        unfold(Waiting { door: self, permits, handshakes: JoinSet::new(), logged: None }, |mut waiting| async move {
            let connection = waiting.next().await;
            Some((Ok(connection), waiting))
        })
    }
}

impl Waiting {
    async fn next(&mut self) -> Connection {
        loop {
            tokio::select! {
                Some(shaken) = self.handshakes.join_next() => match shaken {
                    Ok(Ok(connection)) => return connection,
                    Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                    Err(error) => tracing::error!(%error, "a TLS handshake ended badly"),
                },
                (stream, permit) = accept(&self.door.listener, &self.permits, &mut self.logged),
                    if self.handshakes.len() < HANDSHAKES_MAX =>
                {
                    let cut = self.door.cut.clone();
                    let Some(acceptor) = self.door.tls.clone() else {
                        return Connection::new(Wire::Plain(stream), permit, cut);
                    };
                    self.handshakes.spawn(async move {
                        let stream = timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await??;
                        Ok(Connection::new(Wire::Tls(Box::new(stream)), permit, cut))
                    });
                }
            }
        }
    }
}

/// The next connection, once there is room for it. Safe to drop.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    logged: &mut Option<Instant>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = Arc::clone(permits).acquire_owned().await.expect("nobody closes the semaphore");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => match prepare(&stream) {
                Ok(()) => return (stream, permit),
                Err(error) => tracing::debug!(%error, "a connection was gone at once"),
            },
            Err(error) => {
                if logged.is_none_or(|at| at.elapsed() >= ACCEPT_LOG_EVERY) {
                    *logged = Some(Instant::now());
                    tracing::warn!(%error, "a connection could not be accepted; trying again until it can");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Changes are small and must not wait for more, and a peer that is gone must be noticed.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    rustix::net::sockopt::set_socket_keepalive(stream, true)?;
    rustix::net::sockopt::set_tcp_keepidle(stream, KEEPALIVE.0)?;
    rustix::net::sockopt::set_tcp_keepintvl(stream, KEEPALIVE.1)?;
    rustix::net::sockopt::set_tcp_keepcnt(stream, KEEPALIVE.2)?;
    Ok(())
}

/// Half of the descriptors at most: jobs, the ledger and the launcher need theirs.
fn connections_max() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(descriptors / 2).unwrap_or(CONNECTIONS_MAX).clamp(1, CONNECTIONS_MAX)
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// One connection; it takes one place until it is dropped.
pub(super) struct Connection {
    wire: Wire,
    /// Runs until the preface is there.
    too_slow: Option<Pin<Box<Sleep>>>,
    bytes_read: usize,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn new(wire: Wire, permit: OwnedSemaphorePermit, cut: CancellationToken) -> Self {
        Self::known_within(PREFACE_WITHIN, wire, permit, cut)
    }

    fn known_within(time: Duration, wire: Wire, permit: OwnedSemaphorePermit, cut: CancellationToken) -> Self {
        let (too_slow, cut) = (Some(Box::pin(sleep(time))), Box::pin(cut.cancelled_owned()));
        Self { wire, too_slow, bytes_read: 0, cut, _permit: permit }
    }

    /// Both directions end with the cut: whichever of them is asked is woken by it.
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the service has left")),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_cut(cx)?;
        let before = buf.filled().len();
        let read = match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Wire::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        self.bytes_read = self.bytes_read.saturating_add(buf.filled().len() - before);
        if self.bytes_read >= PREFACE_BYTES {
            self.too_slow = None;
        }
        match &mut self.too_slow {
            Some(too_slow) if read.is_pending() => {
                too_slow.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
            Some(_) | None => read,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_cut(cx)?;
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Wire::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_cut(cx)?;
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_cut(cx)?;
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_cut(cx)?;
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Wire::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.wire {
            Wire::Plain(stream) => stream.is_write_vectored(),
            Wire::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// How long a connection may take to show its preface: so long that what was sent is there before.
    const TIME: Duration = Duration::from_millis(300);

    /// A connection that must show its preface in that time, its other end, and what cuts it.
    async fn connection() -> (Connection, TcpStream, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, permit) = accept(&listener, &Arc::new(Semaphore::new(1)), &mut None).await;
        let cut = CancellationToken::new();
        (Connection::known_within(TIME, Wire::Plain(stream), permit, cut.clone()), peer, cut)
    }

    #[tokio::test]
    async fn a_peer_that_does_not_say_what_it_speaks_is_let_go() {
        for said in ["", "P", "PRI * HTTP/2.0"] {
            let (mut connection, mut peer, _cut) = connection().await;
            peer.write_all(said.as_bytes()).await.unwrap();
            let mut heard = Vec::new();
            let end = connection.read_to_end(&mut heard).await.unwrap_err();
            assert_eq!((end.kind(), heard.as_slice()), (io::ErrorKind::TimedOut, said.as_bytes()));
        }
    }

    #[tokio::test]
    async fn a_peer_that_said_it_is_timed_by_what_it_speaks_and_ends_with_the_cut() {
        let (mut connection, mut peer, cut) = connection().await;
        peer.write_all(&[7; PREFACE_BYTES]).await.unwrap();
        connection.read_exact(&mut [0; PREFACE_BYTES]).await.unwrap();
        let still = timeout(2 * TIME, connection.read_u8()).await;
        assert!(still.is_err(), "its silence is no matter any more: {still:?}");
        cut.cancel();
        assert_eq!(connection.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
