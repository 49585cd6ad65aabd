//! Starts the browser: lock, `go`, pipes, control group, and a child that becomes the program or says why not.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, getpid, waitpid};

use super::pipes::{Commands, Messages, Output};
use crate::process::identity::Identity;
use crate::process::message::{Go, Refused};
use crate::process::place::Place;
use crate::process::raw::{self, Program, Wiring};

/// A browser that was started, seen from its parent.
#[derive(Debug)]
pub(super) struct Browser {
    pub(super) root: Pid,
    pub(super) identity: Identity,
    pub(super) commands: Commands,
    pub(super) messages: Messages,
    pub(super) output: Output,
    pub(super) in_cgroup: bool,
    /// Held as long as this process lives; the browser does not inherit it.
    _lock: Option<File>,
}

/// Starts it, or says at which stage and why not. On refusal nothing runs.
pub(super) fn start(go: &Go, place: &Place, boot_id: &str) -> Result<Browser, Refused> {
    let path = go.argv.first().map_or("", String::as_str);
    let refuse = |stage: &'static str| {
        move |error: io::Error| Refused::new(stage, &error, format!("cannot start {path:?}"))
    };

    let program = program(go, place).map_err(refuse("arguments"))?;
    let lock = go.lock.as_deref().map(|path| {
        lock(path).map_err(|error| Refused::new("lock", &error, format!("cannot lock {path:?}")))
    });
    let lock = lock.transpose()?;
    let (output, output_theirs) = pipe_to_us().map_err(refuse("output"))?;
    let pipes = if go.pipe {
        Some((
            pipe_to_them().map_err(refuse("pipes"))?,
            pipe_to_us().map_err(refuse("pipes"))?,
        ))
    } else {
        None
    };
    let (failure, failure_theirs) =
        pipe_with(PipeFlags::CLOEXEC).map_err(|errno| refuse("pipes")(errno.into()))?;
    // From here on a browser may exist: once this file is there, nobody starts this job again.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(place.go())
        .map_err(refuse("go"))?;

    let wiring = Wiring {
        output: output_theirs.as_fd(),
        pipe: pipes
            .as_ref()
            .map(|((reads, _), (_, writes))| (reads.as_fd(), writes.as_fd())),
        failure: failure_theirs.as_fd(),
    };
    let shim = getpid();
    let cgroup = place.cgroup().and_then(open_cgroup);
    let (forked, in_cgroup) = fork(cgroup.as_ref());
    let Some(root) = forked.map_err(refuse("clone"))? else {
        raw::become_program(&program, &wiring, shim)
    };
    drop((output_theirs, failure_theirs));

    // Ends at once when exec closes the other end.
    let mut errno = [0; 4];
    if rustix::io::retry_on_intr(|| rustix::io::read(&failure, &mut errno)) == Ok(errno.len()) {
        let _ = rustix::io::retry_on_intr(|| waitpid(Some(root), WaitOptions::empty()));
        return Err(refuse("exec")(io::Error::from_raw_os_error(
            i32::from_ne_bytes(errno),
        )));
    }
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
        _lock: lock,
    })
}

fn program(go: &Go, place: &Place) -> io::Result<Program> {
    if !go.argv.first().is_some_and(|path| path.starts_with('/')) {
        return Err(Errno::INVAL.into());
    }
    let mut env: Vec<_> = go
        .env
        .iter()
        .filter(|(name, _)| name != "TMPDIR")
        .cloned()
        .collect();
    env.push((
        "TMPDIR".to_owned(),
        place.tmp().to_string_lossy().into_owned(),
    ));
    Program::new(&go.argv, &env).map_err(|_| Errno::INVAL.into())
}

fn lock(path: &Path) -> io::Result<File> {
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_follow)
        .open(path)?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
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

fn open_cgroup(path: &Path) -> Option<OwnedFd> {
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => rustix::fs::open(
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .ok(),
        Err(_) => None,
    }
}

/// Forks into the group where that is allowed, else without one; says which.
fn fork(cgroup: Option<&OwnedFd>) -> (io::Result<Option<Pid>>, bool) {
    if let Some(cgroup) = cgroup {
        let forked = raw::fork_into(cgroup.as_fd());
        if forked.is_ok() {
            return (forked, true);
        }
    }
    (raw::fork(), false)
}
