//! Starts the browser: lock, `go`, pipes, control group, and a child that becomes the program or says why not.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::pipes::{Commands, Messages, Output};
use crate::process::birth::{Program, Stillborn, Wiring, give_birth};
use crate::process::clock::boot_now_ns;
use crate::process::identity::Identity;
use crate::process::message::{Go, Refused};
use crate::process::place::Place;

/// A browser that was started, seen from its parent.
#[derive(Debug)]
pub(super) struct Browser {
    pub(super) root: Pid,
    pub(super) identity: Identity,
    pub(super) commands: Commands,
    pub(super) messages: Messages,
    pub(super) output: Output,
    pub(super) in_cgroup: bool,
    /// When it was started (CLOCK_BOOTTIME).
    pub(super) born_ns: u64,
    /// Held as long as this process lives; the browser does not inherit it.
    _lock: Option<File>,
}

/// Starts it, or says at which stage and why not. On refusal nothing runs.
pub(super) fn start(go: &Go, place: &Place, cgroup: Option<BorrowedFd<'_>>, boot_id: &str) -> Result<Browser, Refused> {
    let path = go.argv.first().map_or("", String::as_str);
    let refuse =
        |stage: &'static str| move |error: io::Error| Refused::new(stage, &error, format!("cannot start {path:?}"));

    let program = program(go, place).map_err(refuse("arguments"))?;
    let lock = go.lock.as_deref().map(lock).transpose()?;
    let (output, output_theirs) = if go.left_alone {
        // Its words have to go somewhere when nobody is left to hear them.
        (None, null().map_err(refuse("output"))?)
    } else {
        let (output, theirs) = pipe_to_us().map_err(refuse("output"))?;
        (Some(output), theirs)
    };
    let pipes = if go.pipe {
        Some((pipe_to_them().map_err(refuse("pipes"))?, pipe_to_us().map_err(refuse("pipes"))?))
    } else {
        None
    };
    // From here on a browser may exist: once this file is there, nobody starts this job again.
    place.mark_gone().map_err(|errno| refuse("go")(errno.into()))?;

    let born_ns = boot_now_ns();
    let wiring = Wiring {
        outlives_us: go.left_alone,
        output: output_theirs.as_fd(),
        pipe: pipes.as_ref().map(|((reads, _), (_, writes))| (reads.as_fd(), writes.as_fd())),
    };
    let (root, in_cgroup) = match give_birth(&program, &wiring, cgroup) {
        Ok(born) => born,
        Err(Stillborn::Clone(error)) => return Err(refuse("clone")(error)),
        Err(Stillborn::Exec(child, error)) => {
            let _ = rustix::io::retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()));
            return Err(refuse("exec")(error));
        }
    };
    drop(output_theirs);

    let pid = u32::try_from(root.as_raw_nonzero().get()).unwrap_or_default();
    // Our own unreaped child is there to be read even when it has ended already.
    let identity = Identity::of(pid, boot_id).map_err(refuse("exec"))?;
    let (commands, messages) = match pipes {
        Some(((_, commands), (messages, _))) => (Some(commands), Some(messages)),
        None => (None, None),
    };
    Ok(Browser {
        root,
        identity,
        commands: Commands::new(commands),
        messages: Messages::new(messages),
        output: Output::new(output),
        in_cgroup,
        born_ns,
        _lock: lock,
    })
}

fn program(go: &Go, place: &Place) -> io::Result<Program> {
    if !go.argv.first().is_some_and(|path| path.starts_with('/')) {
        return Err(Errno::INVAL.into());
    }
    let mut env = go.env.clone();
    if !go.left_alone {
        env.retain(|(name, _)| name != "TMPDIR");
        env.push(("TMPDIR".to_owned(), place.tmp().to_string_lossy().into_owned()));
    }
    Program::new(&go.argv, &env).map_err(|_| Errno::INVAL.into())
}

fn lock(path: &Path) -> Result<File, Refused> {
    open_locked(path).map_err(|error| {
        let mut refused = Refused::new("lock", &error, format!("cannot lock {path:?}"));
        if error.kind() == io::ErrorKind::WouldBlock {
            // The same number as EAGAIN, but here it says that somebody else holds the lock.
            "EWOULDBLOCK".clone_into(&mut refused.errno_name);
        }
        refused
    })
}

fn open_locked(path: &Path) -> io::Result<File> {
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.mode(0o600).custom_flags(no_follow).open(path)?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

fn null() -> io::Result<OwnedFd> {
    Ok(OpenOptions::new().write(true).open("/dev/null")?.into())
}

/// (ours to read, theirs to write)
fn pipe_to_us() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reads, writes) = pipe_with(PipeFlags::CLOEXEC)?;
    // Only our end: a browser's writes must be able to wait.
    rustix::io::ioctl_fionbio(&reads, true)?;
    Ok((reads, writes))
}

/// (theirs to read, ours to write)
fn pipe_to_them() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reads, writes) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&writes, true)?;
    Ok((reads, writes))
}

/// Makes the control group that the browser is to be born in; none where that is not allowed.
pub(super) fn open_cgroup(path: &Path) -> Option<OwnedFd> {
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {
            rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
        }
        Err(_) => None,
    }
}
