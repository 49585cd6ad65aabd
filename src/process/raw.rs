//! The few system calls that have no safe wrapper: making processes, their signal state, and becoming another program.
#![allow(unsafe_code)] // fork, clone3, exec and signal state exist in no safe form; each call says why it is sound.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

/// Ignored by launcher and shims: each only leaves when the other end of its socket is gone or its browser ended, so a
/// stray `pkill` or a service manager's SIGTERM to the whole group does not lose the truth about a job. PIPE is ignored
/// because a closed peer is an error code here.
pub(super) const IGNORED: [Signal; 5] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::PIPE,
];

/// Descriptors of the browser's that end up at 0..=4 are first moved up here, so that none overwrites another.
const ABOVE_TARGETS: RawFd = 10;

/// Takes over the descriptor that another process of ours left at this number.
pub(super) fn adopt(fd: RawFd) -> OwnedFd {
    // SAFETY: called once per process for a descriptor that our parent placed there for us alone.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Puts this descriptor at number `at`, closes every other from there on, and returns it.
pub(super) fn keep_only(fd: OwnedFd, at: RawFd) -> io::Result<OwnedFd> {
    let from = fd.as_raw_fd();
    // SAFETY: numbers from `at` on belong to objects that the caller has given up (forgotten) before.
    let moved = if from == at {
        at
    } else {
        unsafe { libc::dup3(from, at, libc::O_CLOEXEC) }
    };
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
    // SAFETY: launcher and shims have one thread, so the child may do whatever the parent may.
    child_or_parent(i64::from(unsafe { libc::fork() }))
}

/// The same, with the child born inside a control group.
pub(super) fn fork_into(cgroup: BorrowedFd<'_>) -> io::Result<Option<Pid>> {
    // SAFETY: all zeroes is a valid value of this structure of integers.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_INTO_CGROUP;
    args.exit_signal = u64::try_from(libc::SIGCHLD).unwrap_or_default();
    args.cgroup = u64::try_from(cgroup.as_raw_fd()).unwrap_or_default();
    // SAFETY: shares nothing with the child, as fork does; one thread, as above; the structure outlives the call.
    child_or_parent(unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const args,
            size_of::<libc::clone_args>(),
        )
    })
}

/// From linux/sched.h; libc's constant of that name is an int into which the value does not fit.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

fn child_or_parent(returned: i64) -> io::Result<Option<Pid>> {
    match i32::try_from(returned) {
        Ok(pid) if pid >= 0 => Ok(Pid::from_raw(pid)),
        _ => Err(io::Error::last_os_error()),
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
    if fd < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(adopt(fd))
    }
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

fn set_disposition(signal: i32, disposition: libc::sighandler_t) {
    // SAFETY: default and ignore run no code of ours. Signals that may not be changed are refused, which is fine.
    unsafe { libc::signal(signal, disposition) };
}

fn child_signal() -> libc::sigset_t {
    let mut mask = no_signals();
    // SAFETY: the set is initialised.
    unsafe { libc::sigaddset(&raw mut mask, libc::SIGCHLD) };
    mask
}

fn no_signals() -> libc::sigset_t {
    // SAFETY: all zeroes is a valid value, and sigemptyset initialises it.
    unsafe {
        let mut mask = std::mem::zeroed();
        libc::sigemptyset(&raw mut mask);
        mask
    }
}

fn set_mask(mask: &libc::sigset_t) {
    // SAFETY: the set is initialised.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, mask, ptr::null_mut()) };
}

/// A program to become, with everything allocated beforehand.
pub(super) struct Program {
    argv: Vec<CString>,
    envp: Vec<CString>,
}

impl Program {
    /// Fails where an argument holds a NUL.
    pub(super) fn new(
        argv: &[String],
        env: &[(String, String)],
    ) -> Result<Program, std::ffi::NulError> {
        let argv = argv
            .iter()
            .map(|word| CString::new(word.as_str()))
            .collect::<Result<_, _>>()?;
        let envp = env
            .iter()
            .map(|(name, value)| CString::new(format!("{name}={value}")))
            .collect::<Result<_, _>>()?;
        Ok(Program { argv, envp })
    }
}

/// The descriptors a browser is born with.
pub(super) struct Wiring<'a> {
    /// Becomes 1 and 2.
    pub(super) output: BorrowedFd<'a>,
    /// Become 3 and 4.
    pub(super) pipe: Option<(BorrowedFd<'a>, BorrowedFd<'a>)>,
    /// Receives the error number if the program cannot be started; closed when it is.
    pub(super) failure: BorrowedFd<'a>,
}

/// In a freshly forked child: becomes the program, in its own process group, to be killed when `parent` dies.
pub(super) fn become_program(program: &Program, wiring: &Wiring<'_>, parent: Pid) -> ! {
    let errno = match rewire(wiring, parent) {
        Ok(failure) => {
            let errno = exec(program);
            let _ = rustix::io::write(&failure, &errno.to_ne_bytes());
            leave(127)
        }
        Err(errno) => errno,
    };
    let _ = rustix::io::write(wiring.failure, &errno.raw_os_error().to_ne_bytes());
    leave(127)
}

fn rewire(wiring: &Wiring<'_>, parent: Pid) -> Result<OwnedFd, Errno> {
    rustix::process::setpgid(None, None)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != Some(parent) {
        // It died before it could be told to take us along.
        leave(127);
    }
    for signal in IGNORED {
        set_disposition(signal.as_raw(), libc::SIG_DFL);
    }
    let above = |fd: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, ABOVE_TARGETS);
    let output = above(wiring.output)?;
    let failure = above(wiring.failure)?;
    let pipe = wiring
        .pipe
        .map(|(reads, writes)| Ok::<_, Errno>((above(reads)?, above(writes)?)))
        .transpose()?;
    place_at(output.as_fd(), 1)?;
    place_at(output.as_fd(), 2)?;
    if let Some((reads, writes)) = &pipe {
        place_at(reads.as_fd(), 3)?;
        place_at(writes.as_fd(), 4)?;
    }
    let first_closed = if pipe.is_some() { 5 } else { 3 };
    // SAFETY: only marks descriptors to be closed by exec. Ours all are already; this is for any that was inherited.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first_closed,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    set_mask(&no_signals());
    Ok(failure)
}

/// Makes `at` a further number of this descriptor, one that exec keeps.
pub(super) fn place_at(fd: BorrowedFd<'_>, at: RawFd) -> Result<(), Errno> {
    // SAFETY: only used for the numbers 0 to 4 of a process that owns nothing there that it still means to use.
    match unsafe { libc::dup2(fd.as_raw_fd(), at) } {
        moved if moved < 0 => Err(last_errno()),
        _ => Ok(()),
    }
}

/// Returns only when it failed.
fn exec(program: &Program) -> i32 {
    let pointers = |words: &[CString]| -> Vec<*const libc::c_char> {
        words
            .iter()
            .map(|word| word.as_ptr())
            .chain([ptr::null()])
            .collect()
    };
    let (argv, envp) = (pointers(&program.argv), pointers(&program.envp));
    let Some(path) = program.argv.first() else {
        return libc::EINVAL;
    };
    // SAFETY: the arrays end with null and point at terminated words that outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    last_errno().raw_os_error()
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}
