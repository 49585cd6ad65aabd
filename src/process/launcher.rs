//! The launcher process: takes requests from its standard input and forks one shim for each, with one thread and no more.

use std::ffi::OsStr;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use serde::{Deserialize, Serialize};

use super::clock;
use super::identity::Nonce;
use super::message::{Refused, Told};
use super::place::Place;
use super::{raw, shim};

/// The first argument that makes this program a launcher.
pub(super) const LAUNCHER_ARGUMENT: &str = "__launcher";
/// The longest request: three paths of 4096 bytes with every byte escaped would still fit.
pub(super) const REQUEST_LEN_MAX: usize = 128 * 1024;
/// Where the launcher keeps its requests and a shim its connection: the first number after standard error.
const FIRST_FD: i32 = 3;

/// One shim to be made; the descriptor that comes with it is the shim's first connection.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) place: Place,
    pub(super) nonce: Nonce,
}

/// To be called first thing in `main`, before any thread exists: if this process was started as a launcher, it becomes
/// one and the call never returns.
pub fn become_launcher_if_asked() {
    if std::env::args_os().nth(1).as_deref() == Some(OsStr::new(LAUNCHER_ARGUMENT)) {
        raw::leave(match launch_until_closed() {
            Ok(()) => 0,
            Err(_) => 1,
        });
    }
}

fn launch_until_closed() -> Result<(), Errno> {
    raw::calm_signals();
    raw::set_name(c"ctr-launcher");
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    rustix::process::chdir("/")?;
    let requests = raw::keep_only(raw::adopt(0), FIRST_FD).map_err(|_| Errno::BADF)?;
    silence_stdio()?;
    let boot_id = clock::boot_id();
    // The first reading of a clock looks for the kernel's fast way to do it; found here, it is found for every shim.
    let _ = clock::boot_now_ns();
    let mut buffer = vec![0; REQUEST_LEN_MAX];
    while let Some((length, connection)) = receive(&requests, &mut buffer)? {
        let Some(connection) = connection else {
            continue;
        };
        match raw::fork() {
            // The parent's copy of the connection closes here: from now on it is the shim's alone.
            Ok(Some(_)) => {}
            Ok(None) => {
                std::mem::forget(requests);
                become_shim(connection, &buffer[..length], &boot_id);
            }
            Err(error) => refuse(&connection, &error),
        }
    }
    Ok(())
}

/// The next request's length in the buffer and its connection; None when the service closed its end.
fn receive(requests: &OwnedFd, buffer: &mut [u8]) -> Result<Option<(usize, Option<OwnedFd>)>, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(requests, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut connection = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message {
            connection = fds.next();
        }
    }
    // A request that does not fit is not half understood: its connection closes, and the service sees that.
    let whole = !received.flags.contains(ReturnFlags::TRUNC);
    Ok(Some((received.bytes, connection.filter(|_| whole))))
}

fn become_shim(connection: OwnedFd, request: &[u8], boot_id: &str) -> ! {
    raw::set_name(c"ctr-shim");
    let code = match (raw::keep_only(connection, FIRST_FD), serde_json::from_slice::<Request>(request)) {
        (Ok(connection), Ok(request)) => {
            shim::run(connection, request, boot_id);
            0
        }
        // The closing connection tells the service that there is no shim.
        (Err(_), _) | (_, Err(_)) => 1,
    };
    raw::leave(code)
}

fn refuse(connection: &OwnedFd, error: &std::io::Error) {
    let refused = Refused::new("fork", error, "cannot make a shim".to_owned());
    let _ = rustix::io::write(connection, &Told::Refused(refused).encode(0));
}

/// Shims and browsers inherit these: none of them may hold, or write into, what the service was started with.
fn silence_stdio() -> Result<(), Errno> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    (0..FIRST_FD).try_for_each(|at| raw::place_at(null.as_fd(), at))
}
