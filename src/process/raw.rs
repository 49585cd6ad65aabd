//! The few system calls that have no safe wrapper: fork, descriptors by number, signal state.
#![allow(unsafe_code)] // These exist in no safe form; each call says why it is sound.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

/// Ignored by launcher and shims: each only leaves when the other end of its socket is gone or its browser ended, so a
/// stray `pkill` or a service manager's SIGTERM to the whole group does not lose the truth about a job. PIPE is ignored
/// because a closed peer is an error code here.
pub(super) const IGNORED: [Signal; 5] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::PIPE];

/// Takes over the descriptor that another process of ours left at this number.
pub(super) fn adopt(fd: RawFd) -> OwnedFd {
    // SAFETY: called once per process for a descriptor that our parent placed there for us alone.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Whether anything is open at this number.
pub(super) fn is_open(fd: RawFd) -> bool {
    // SAFETY: asks about a number, whatever is behind it.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Puts this descriptor at number `at`, closes every other from there on, and returns it.
pub(super) fn keep_only(fd: OwnedFd, at: RawFd) -> io::Result<OwnedFd> {
    let from = fd.as_raw_fd();
    // SAFETY: numbers from `at` on belong to objects that the caller has given up (forgotten) before.
    let moved = if from == at { at } else { unsafe { libc::dup3(from, at, libc::O_CLOEXEC) } };
    if moved < 0 {
        return Err(io::Error::last_os_error());
    }
    std::mem::forget(fd);
    // SAFETY: closes numbers above `at` only, which nothing in this process owns any more.
    unsafe { libc::syscall(libc::SYS_close_range, at + 1, u32::MAX, 0) };
    Ok(adopt(at))
}

/// Makes a second process like this one; None in the child.
pub(super) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the launcher has one thread, so the child may do whatever the parent may.
    match unsafe { libc::fork() } {
        pid if pid < 0 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// Ends this process at once, without running what the parent it was forked from had registered.
pub(super) fn leave(code: i32) -> ! {
    // SAFETY: always sound.
    unsafe { libc::_exit(code) }
}

/// Names this process for `ps`.
pub(super) fn set_name(name: &CStr) {
    // SAFETY: the name is terminated and is copied by the kernel.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Every signal as a fresh process has it, then `IGNORED` ignored, and SIGCHLD blocked and ignored: children vanish by themselves.
pub(super) fn calm_signals() {
    for number in 1..=libc::SIGRTMAX() {
        set_disposition(number, libc::SIG_DFL);
    }
    for signal in IGNORED {
        set_disposition(signal.as_raw(), libc::SIG_IGN);
    }
    set_disposition(libc::SIGCHLD, libc::SIG_IGN);
    set_mask(&child_signal());
}

/// Undoes the ignoring of SIGCHLD, so that this process can wait for its children, and returns a descriptor that is
/// readable when one of them changed.
pub(super) fn watch_children() -> io::Result<OwnedFd> {
    set_disposition(libc::SIGCHLD, libc::SIG_DFL);
    let mask = child_signal();
    // SAFETY: the mask is initialised and outlives the call.
    let fd = unsafe { libc::signalfd(-1, &raw const mask, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(adopt(fd)) }
}

/// A child that ended and was not reaped yet, left as it is; None when none has ended, ECHILD when there is no child.
pub(super) fn peek_ended() -> io::Result<Option<Pid>> {
    // SAFETY: all zeroes is a valid value; the kernel fills it in.
    let mut found: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the structure outlives the call.
    if unsafe { libc::waitid(libc::P_ALL, 0, &raw mut found, options) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: waitid either filled in the fields of a child or left the zeroes.
    Ok(Pid::from_raw(unsafe { found.si_pid() }))
}

/// What the kernel counted of all descendants that were waited for, by us or by one another.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChildrenUsage {
    pub(super) cpu_time_us: u64,
    /// Of the one that had the most resident.
    pub(super) largest_resident_kib: u64,
}

/// What children took that were waited for.
pub(super) fn children_usage() -> ChildrenUsage {
    // SAFETY: all zeroes is a valid value; the kernel fills it in.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the structure outlives the call, which cannot fail with these arguments.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    let us = |time: libc::timeval| {
        let (seconds, micros) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_usec));
        seconds.unwrap_or_default().saturating_mul(1_000_000).saturating_add(micros.unwrap_or_default())
    };
    ChildrenUsage {
        cpu_time_us: us(usage.ru_utime).saturating_add(us(usage.ru_stime)),
        largest_resident_kib: u64::try_from(usage.ru_maxrss).unwrap_or_default(),
    }
}

pub(super) fn set_disposition(signal: i32, disposition: libc::sighandler_t) {
    // SAFETY: default and ignore run no code of ours. Signals that may not be changed are refused, which is fine.
    unsafe { libc::signal(signal, disposition) };
}

fn child_signal() -> libc::sigset_t {
    let mut mask = no_signals();
    // SAFETY: the set is initialised.
    unsafe { libc::sigaddset(&raw mut mask, libc::SIGCHLD) };
    mask
}

pub(super) fn no_signals() -> libc::sigset_t {
    // SAFETY: all zeroes is a valid value, and sigemptyset initialises it.
    unsafe {
        let mut mask = std::mem::zeroed();
        libc::sigemptyset(&raw mut mask);
        mask
    }
}

pub(super) fn set_mask(mask: &libc::sigset_t) {
    // SAFETY: the set is initialised.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, mask, ptr::null_mut()) };
}

/// Makes `at` a further number of this descriptor, one that exec keeps.
pub(super) fn place_at(fd: BorrowedFd<'_>, at: RawFd) -> Result<(), Errno> {
    // SAFETY: only used for the numbers 0 to 4 of a process that owns nothing there that it still means to use.
    match unsafe { libc::dup2(fd.as_raw_fd(), at) } {
        moved if moved < 0 => Err(last_errno()),
        _ => Ok(()),
    }
}

pub(super) fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}
