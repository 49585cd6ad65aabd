//! The sockets that this process was started with: its supervisor bound them, and keeps them when the service leaves.

use std::{
    env,
    os::fd::{OwnedFd, RawFd},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::io::{FdFlags, fcntl_setfd};

use super::raw;

/// The first number after standard error: where a supervisor places what it passes on.
const FIRST_FD: RawFd = 3;
/// Most of them: more than one address each of both families, and less than what a mistaken number could come to.
const SOCKETS_MAX: usize = 16;

/// They are somebody's from the first call on.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes what the supervisor passed on by `LISTEN_FDS` and `LISTEN_PID`, in its order; the children of this process will
/// not have it. Empty without a supervisor, when the variables were meant for another process, and from the second call
/// on.
#[must_use]
pub fn inherited_sockets() -> Vec<OwnedFd> {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let count = count(&variable("LISTEN_PID"), &variable("LISTEN_FDS"), std::process::id());
    if count == 0 || TAKEN.swap(true, Ordering::Relaxed) {
        return Vec::new();
    }
    let numbers = (FIRST_FD..).take(count);
    // A number with nothing behind it would come to be another's.
    let sockets: Vec<_> = numbers.take_while(|number| raw::is_open(*number)).map(raw::adopt).collect();
    for socket in &sockets {
        // It is open, so this cannot fail.
        let _ = fcntl_setfd(socket, FdFlags::CLOEXEC);
    }
    sockets
}

/// How many sockets are meant for the process `own_pid`.
fn count(pid: &str, count: &str, own_pid: u32) -> usize {
    if pid.parse::<u32>() != Ok(own_pid) {
        return 0;
    }
    count.parse::<usize>().unwrap_or_default().min(SOCKETS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_meant_for_this_process_is_taken() {
        assert_eq!(count("7", "2", 7), 2);
        for (pid, given) in [("8", "2"), ("", "2"), ("7", ""), ("7", "-1"), ("seven", "1")] {
            assert_eq!(count(pid, given, 7), 0, "{pid:?} {given:?}");
        }
        assert_eq!(count("7", "100000", 7), SOCKETS_MAX);
    }
}
