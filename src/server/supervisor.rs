//! The supervisor that started the service, where there is one: the socket that it passed on, and what it is told.
//!
//! It is spoken to in the ways of systemd, which others know too: `LISTEN_FDS` and `NOTIFY_SOCKET`. Nothing depends on
//! its being there.

use std::{
    env,
    ffi::OsStr,
    io,
    net::{SocketAddr, TcpListener},
    os::{
        linux::net::SocketAddrExt,
        unix::{ffi::OsStrExt, net},
    },
};

use rustix::net::sockopt::socket_acceptconn;

use crate::process;

/// Why the service cannot listen on what its supervisor passed on.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// One address is all that is served.
    #[error("the supervisor passed on {0} sockets, and the service listens on one; give its socket one ListenStream")]
    TooMany(usize),
    /// It is of another kind.
    #[error("descriptor 3 from the supervisor is no listening TCP socket; give ListenStream an address with a port")]
    NotTcp,
    /// The system refuses it.
    #[error("the socket from the supervisor cannot be listened on: {0}")]
    Refused(#[from] io::Error),
}

/// A socket that the supervisor bound. Calls that come while no service is there wait in it.
#[derive(Debug)]
pub(super) struct PassedOn {
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
}

/// What the supervisor passed on; once.
pub(super) fn socket() -> Result<Option<PassedOn>, SocketError> {
    let mut sockets = process::inherited_sockets();
    match sockets.len() {
        0 => return Ok(None),
        1 => {}
        more => return Err(SocketError::TooMany(more)),
    }
    let Some(socket) = sockets.pop() else { return Ok(None) };
    if !socket_acceptconn(&socket).unwrap_or(false) {
        return Err(SocketError::NotTcp);
    }
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().map_err(|_| SocketError::NotTcp)?;
    listener.set_nonblocking(true)?;
    Ok(Some(PassedOn { listener, address }))
}

/// How far the service has come.
#[derive(Clone, Debug)]
pub enum Progress {
    /// It takes calls, at this address.
    Ready(String),
    /// It leaves; its jobs go on.
    Stopping,
}

/// Tells the supervisor, if one wants to know. It is told, not asked: nothing waits for it.
pub fn tell(progress: &Progress) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) else { return };
    if let Err(error) = send(&socket, &message(progress)) {
        tracing::warn!(%error, socket = %socket.display(), "the supervisor could not be told");
    }
}

fn message(progress: &Progress) -> String {
    match progress {
        Progress::Ready(address) => format!("READY=1\nSTATUS=listening on {address}\n"),
        Progress::Stopping => "STOPPING=1\nSTATUS=draining; tasks go on without the service\n".to_owned(),
    }
}

fn send(socket: &OsStr, message: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        // Of Linux's own kind, which has no file.
        Some(name) => net::SocketAddr::from_abstract_name(name)?,
        None => net::SocketAddr::from_pathname(socket)?,
    };
    let from = net::UnixDatagram::unbound()?;
    // A supervisor that reads nothing must not hold the service up.
    from.set_nonblocking(true)?;
    from.send_to_addr(message.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use std::{io::ErrorKind, time::Duration};

    use super::*;

    fn heard(by: &net::UnixDatagram) -> String {
        by.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut buffer = [0; 256];
        let length = by.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn a_supervisor_hears_at_a_path_and_at_a_name_without_one() {
        let ready = message(&Progress::Ready("http://127.0.0.1:1".to_owned()));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("n");
        let supervisor = net::UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), &ready).unwrap();
        assert_eq!(heard(&supervisor), "READY=1\nSTATUS=listening on http://127.0.0.1:1\n");

        let name = format!("ctr-notify-{}", std::process::id());
        let address = net::SocketAddr::from_abstract_name(&name).unwrap();
        let supervisor = net::UnixDatagram::bind_addr(&address).unwrap();
        send(OsStr::new(&format!("@{name}")), "STOPPING=1\n").unwrap();
        assert_eq!(heard(&supervisor), "STOPPING=1\n");
    }

    #[test]
    fn a_supervisor_that_is_gone_or_hears_nothing_holds_nobody_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("n");
        assert_eq!(send(path.as_os_str(), "READY=1\n").unwrap_err().kind(), ErrorKind::NotFound);
        let _deaf = net::UnixDatagram::bind(&path).unwrap();
        let refused = (0..100_000).find_map(|_| send(path.as_os_str(), "READY=1\n").err());
        assert_eq!(refused.map(|error| error.kind()), Some(ErrorKind::WouldBlock));
    }
}
