//! The service's side of the launcher: starts it, hands it requests, starts it again when it died, ends it.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, sendmsg,
    shutdown, socketpair,
};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::identity::Nonce;
use super::launcher::{LAUNCHER_ARGUMENT, REQUEST_LEN_MAX, Request};
use super::message::Refused;
use super::place::Place;
use super::relay::{RelayError, Shim};

/// This very program, even if its file was replaced or deleted since: old launchers never meet new services.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// How long a shim may take to say Hello; a healthy one needs about a millisecond, so the machine is stuck.
const HELLO_MAX: Duration = Duration::from_secs(10);
/// How long a launcher may take to leave once its requests end; it does nothing but that.
const LEAVE_MAX: Duration = Duration::from_secs(2);
/// How long after its first sign the death of a launcher may take to show; the kernel needs microseconds.
const DEATH_MAX: Duration = Duration::from_millis(200);
/// A launcher that dies under a request is replaced, and the request is made once more: nothing was launched by then.
const ATTEMPTS: usize = 2;

/// Why there is no shim.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The launcher could not be started.
    #[error("cannot start the launcher: {0}")]
    Start(io::Error),
    /// The launcher was stopped by us.
    #[error("the launcher was stopped")]
    Stopped,
    /// The request could not be handed over.
    #[error("cannot hand a request to the launcher: {0}")]
    Send(io::Error),
    /// The shim could not be made, or could not make its directories.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The shim left before its first word.
    #[error("the shim left before its first word")]
    Gone,
    /// The shim did not speak in time.
    #[error("the shim did not speak within {HELLO_MAX:?}")]
    Silent,
    /// What spoke was not the shim that was asked for.
    #[error("the shim has another nonce than it was given")]
    Foreign,
}

/// A handle on the launcher; clones share it.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: Arc<Path>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
enum State {
    Running(Arc<Running>),
    Stopped,
}

#[derive(Debug)]
struct Running {
    /// Packets, not a stream; the type is used for its readiness only.
    requests: UnixStream,
    /// Taken by whoever waits for its end.
    child: Mutex<Option<Child>>,
}

impl Launcher {
    /// Starts the launcher from the running program's own file.
    pub async fn start() -> Result<Launcher, LaunchError> {
        Launcher::start_with(Path::new(OWN_PROGRAM)).await
    }

    /// The same from a named file, for a process that is not itself the program.
    pub async fn start_with(program: &Path) -> Result<Launcher, LaunchError> {
        let running = Running::start(program).map_err(LaunchError::Start)?;
        Ok(Launcher {
            program: Arc::from(PathBuf::from(program)),
            state: Arc::new(Mutex::new(State::Running(Arc::new(running)))),
        })
    }

    /// The launcher's process id; None once it was stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running().ok()?.child.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.id()
    }

    /// Makes a shim for one job and returns once it said Hello. Nothing is launched before it gets its GO.
    pub async fn fork_shim(&self, place: &Place, nonce: Nonce) -> Result<Shim, LaunchError> {
        let request = serde_json::to_vec(&Request { place: place.clone(), nonce })
            .map_err(|error| LaunchError::Send(error.into()))?;
        if request.len() > REQUEST_LEN_MAX {
            return Err(LaunchError::Send(Errno::MSGSIZE.into()));
        }
        let mut outcome = Err(LaunchError::Gone);
        for _ in 0..ATTEMPTS {
            let running = self.running()?;
            outcome = running.fork_shim(&request, nonce).await;
            match &outcome {
                Err(LaunchError::Send(_) | LaunchError::Gone) => {
                    self.replace_if_dead(&running).await?;
                }
                Ok(_) | Err(_) => break,
            }
        }
        outcome
    }

    /// Closes the launcher and waits until it is gone. Shims live on.
    pub async fn stop(self) {
        let before = std::mem::replace(&mut *self.lock(), State::Stopped);
        match before {
            State::Running(running) => running.end().await,
            State::Stopped => {}
        }
    }

    fn running(&self) -> Result<Arc<Running>, LaunchError> {
        match &*self.lock() {
            State::Running(running) => Ok(Arc::clone(running)),
            State::Stopped => Err(LaunchError::Stopped),
        }
    }

    /// Puts a new launcher in the place of this one, unless it still lives or somebody else has done so already.
    async fn replace_if_dead(&self, dead: &Arc<Running>) -> Result<(), LaunchError> {
        if !dead.is_dead().await {
            return Ok(());
        }
        match &mut *self.lock() {
            State::Stopped => return Err(LaunchError::Stopped),
            State::Running(current) if Arc::ptr_eq(current, dead) => {
                *current = Arc::new(Running::start(&self.program).map_err(LaunchError::Start)?);
            }
            State::Running(_) => return Ok(()),
        }
        tracing::warn!("the launcher died and was started again");
        dead.end().await;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Every change under this lock is a single assignment, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn start(program: &Path) -> io::Result<Running> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        // No hook runs between fork and exec: with one, the standard library copies our page tables for it.
        let child = Command::new(program)
            .arg0("comet-task-runner")
            .arg(LAUNCHER_ARGUMENT)
            .env_clear()
            .process_group(0)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Running { requests: UnixStream::from_std(StdUnixStream::from(ours))?, child: Mutex::new(Some(child)) })
    }

    async fn fork_shim(&self, request: &[u8], nonce: Nonce) -> Result<Shim, LaunchError> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(|errno| LaunchError::Send(errno.into()))?;
        // Full means that the launcher is behind: we wait, and so do those who asked us.
        let sent = self.requests.async_io(Interest::WRITABLE, || send(&self.requests, request, theirs.as_fd())).await;
        sent.map_err(LaunchError::Send)?;
        drop(theirs);
        match timeout(HELLO_MAX, Shim::greet(ours)).await {
            Ok(Ok(shim)) if shim.hello().nonce == nonce => Ok(shim),
            Ok(Ok(_)) => Err(LaunchError::Foreign),
            Ok(Err(RelayError::Refused(refused))) => Err(LaunchError::Refused(refused)),
            Ok(Err(RelayError::Gone | RelayError::Foreign(_) | RelayError::Silent)) => Err(LaunchError::Gone),
            Ok(Err(RelayError::Io(error))) => Err(LaunchError::Send(error)),
            Err(_) => Err(LaunchError::Silent),
        }
    }

    /// Whether the launcher lets go of its end. A dying one may close a request's connection a moment before that.
    async fn is_dead(&self) -> bool {
        // It never writes, so the only thing to be read is the end.
        timeout(DEATH_MAX, self.requests.readable()).await.is_ok()
    }

    /// Closes the requests and waits for the process; one that does not leave is killed.
    async fn end(&self) {
        let _ = shutdown(&self.requests, Shutdown::Both);
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut child) = child
            && timeout(LEAVE_MAX, child.wait()).await.is_err()
        {
            let _ = child.kill().await;
        }
    }
}

fn send(requests: &UnixStream, request: &[u8], connection: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [connection];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(requests, &[IoSlice::new(request)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}
