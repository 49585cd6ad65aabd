//! A browser's birth: a child that borrows our memory until it becomes the program, inside its control group.
#![allow(unsafe_code)] // clone and exec exist in no safe form; each call says why it is sound.

use std::ffi::{CString, NulError, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid};

use super::raw;

/// Descriptors that end up at 1 to 4 are first moved up here, so that none overwrites another.
const ABOVE_TARGETS: RawFd = 10;
/// What the child runs on until it becomes the program: a dozen system calls need a tenth of it.
const STACK_LEN: usize = 64 * 1024;
/// From linux/sched.h; libc's constant of that name is an int into which the value does not fit.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// A program to become, with everything allocated beforehand.
pub(super) struct Program {
    argv: Words,
    envp: Words,
}

/// Terminated words, and the terminated array that points at them.
struct Words {
    pointers: Vec<*const c_char>,
    _words: Vec<CString>,
}

/// What ties a browser to us: the descriptors it is born with, and whether it dies with us.
pub(super) struct Wiring<'a> {
    /// It is not killed when this process dies.
    pub(super) outlives_us: bool,
    /// Becomes 1 and 2.
    pub(super) output: BorrowedFd<'a>,
    /// Become 3 and 4.
    pub(super) pipe: Option<(BorrowedFd<'a>, BorrowedFd<'a>)>,
}

/// Why there is no browser.
pub(super) enum Stillborn {
    /// No process could be made.
    Clone(io::Error),
    /// The process could not become the program, and is still to be reaped.
    Exec(Pid, io::Error),
}

impl Program {
    /// Fails where an argument holds a NUL.
    pub(super) fn new(argv: &[String], env: &[(String, String)]) -> Result<Program, NulError> {
        let argv = argv.iter().map(|word| CString::new(word.as_str())).collect::<Result<_, _>>()?;
        let envp = env.iter().map(|(name, value)| CString::new(format!("{name}={value}"))).collect::<Result<_, _>>()?;
        Ok(Program { argv: Words::new(argv), envp: Words::new(envp) })
    }
}

impl Words {
    fn new(words: Vec<CString>) -> Words {
        let pointers = words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect();
        Words { pointers, _words: words }
    }
}

/// What the child reads, and where it leaves its error: parent and child share their memory until the child is the program.
struct Birth<'a> {
    program: &'a Program,
    wiring: &'a Wiring<'a>,
    parent: Pid,
    errno: AtomicI32,
}

/// Starts the program in a process group of its own, to be killed when this process dies unless it is to outlive it, inside
/// the control group if that is allowed; says whether it is. Copying our page tables for a child that throws them away would be a third of the
/// cost of a short job, so they are shared, and this process waits until the child has no more use for them.
pub(super) fn give_birth(
    program: &Program,
    wiring: &Wiring<'_>,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<(Pid, bool), Stillborn> {
    let birth = Birth { program, wiring, parent: getpid(), errno: AtomicI32::new(0) };
    let grouped = cgroup.and_then(|cgroup| clone_into(&birth, cgroup).ok());
    let in_cgroup = grouped.is_some();
    let child = match grouped {
        Some(child) => child,
        None => clone(&birth).map_err(Stillborn::Clone)?,
    };
    match birth.errno.into_inner() {
        0 => Ok((child, in_cgroup)),
        errno => Err(Stillborn::Exec(child, io::Error::from_raw_os_error(errno))),
    }
}

/// The child's whole life as our code.
extern "C" fn be_born(birth: *mut c_void) -> c_int {
    // SAFETY: points at the `Birth` of a parent that is suspended until we exec or exit, so nothing changes under us.
    let birth = unsafe { &*birth.cast::<Birth<'_>>().cast_const() };
    let errno = match rewire(birth) {
        Ok(()) => exec(birth.program),
        Err(errno) => errno,
    };
    birth.errno.store(errno.raw_os_error(), Ordering::Relaxed);
    raw::leave(127)
}

fn rewire(birth: &Birth<'_>) -> Result<(), Errno> {
    rustix::process::setpgid(None, None)?;
    if !birth.wiring.outlives_us {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    }
    if rustix::process::getppid() != Some(birth.parent) {
        // It died before it could be told to take us along.
        return Err(Errno::SRCH);
    }
    for signal in raw::IGNORED {
        raw::set_disposition(signal.as_raw(), libc::SIG_DFL);
    }
    let above = |fd: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, ABOVE_TARGETS);
    let output = above(birth.wiring.output)?;
    let pipe = birth.wiring.pipe.map(|(reads, writes)| Ok::<_, Errno>((above(reads)?, above(writes)?))).transpose()?;
    raw::place_at(output.as_fd(), 1)?;
    raw::place_at(output.as_fd(), 2)?;
    if let Some((reads, writes)) = &pipe {
        raw::place_at(reads.as_fd(), 3)?;
        raw::place_at(writes.as_fd(), 4)?;
    }
    let first_closed = if pipe.is_some() { 5 } else { 3 };
    // SAFETY: only marks descriptors to be closed by exec. Ours all are already; this is for any that was inherited.
    unsafe { libc::syscall(libc::SYS_close_range, first_closed, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    raw::set_mask(&raw::no_signals());
    Ok(())
}

/// Returns only when it failed.
fn exec(program: &Program) -> Errno {
    let (argv, envp) = (&program.argv.pointers, &program.envp.pointers);
    // SAFETY: both arrays end with null and point at terminated words that outlive the call.
    unsafe { libc::execve(argv.first().copied().unwrap_or(ptr::null()), argv.as_ptr(), envp.as_ptr()) };
    raw::last_errno()
}

/// Through the C library, which knows every machine.
fn clone(birth: &Birth<'_>) -> io::Result<Pid> {
    let mut stack = Vec::<u8>::with_capacity(STACK_LEN);
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: within the allocation. Stacks grow down from its end, aligned as every machine wants it.
    let top = unsafe { stack.as_mut_ptr().add(STACK_LEN) };
    let top = top.wrapping_sub(top.addr() % 16);
    // SAFETY: the child runs on a stack of its own while this single thread is suspended, and ends by exec or exit.
    let child = unsafe { libc::clone(be_born, top.cast(), flags, ptr::from_ref(birth).cast_mut().cast()) };
    Pid::from_raw(child.max(0)).ok_or_else(io::Error::last_os_error)
}

/// Through the system call itself, which the C library does not offer.
#[cfg(target_arch = "x86_64")]
fn clone_into(birth: &Birth<'_>, cgroup: BorrowedFd<'_>) -> io::Result<Pid> {
    let mut stack = Vec::<u128>::with_capacity(STACK_LEN / size_of::<u128>());
    let flags = libc::CLONE_VM | libc::CLONE_VFORK;
    // SAFETY: all zeroes is a valid value of this structure of integers.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_INTO_CGROUP | u64::from(flags.unsigned_abs());
    args.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    args.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    args.stack = u64::try_from(stack.as_mut_ptr().expose_provenance()).unwrap_or_default();
    args.stack_size = u64::try_from(STACK_LEN).unwrap_or_default();
    // SAFETY: as in `clone`; `birth`, the arguments and the stack outlive the child's use of them.
    let returned = unsafe { clone3(&args, ptr::from_ref(birth).cast_mut().cast()) };
    match i32::try_from(returned) {
        Ok(pid) if pid > 0 => Pid::from_raw(pid).ok_or_else(|| Errno::SRCH.into()),
        Ok(negative) => Err(io::Error::from_raw_os_error(negative.saturating_neg())),
        Err(_) => Err(Errno::INVAL.into()),
    }
}

/// Elsewhere the child is born outside the group: this call was tried on no other machine.
#[cfg(not(target_arch = "x86_64"))]
fn clone_into(_: &Birth<'_>, _: BorrowedFd<'_>) -> io::Result<Pid> {
    Err(Errno::NOSYS.into())
}

/// In the parent: the child's pid, or a negative error. The child calls `be_born` on its own, empty stack.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(args: &libc::clone_args, birth: *mut c_void) -> i64 {
    let returned: i64;
    // SAFETY: the child leaves this block only by a call that never returns; in the parent it is a plain system call.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r8",
            "call r9",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => returned,
            in("rdi") ptr::from_ref(args),
            in("rsi") size_of::<libc::clone_args>(),
            in("r8") birth,
            in("r9") be_born as extern "C" fn(*mut c_void) -> c_int,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    returned
}
