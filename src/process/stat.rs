//! The line that the kernel keeps of each process: its name, its parent, its start.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};

/// What is read of `/proc/PID/stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    /// Its name, as the system has it: at most 15 bytes.
    pub(super) name: String,
    /// The kernel's letter for what it does (field 3).
    state: char,
    /// The process id of its parent (field 4).
    pub(super) parent: u32,
    /// When it started, in clock ticks since boot (field 22).
    pub(super) start_ticks: u64,
}

impl Stat {
    /// Whether it has ended, and only waits to be counted.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    /// Of the process with this pid now.
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        let path = format!("/proc/{pid}/stat");
        Self::read(&rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// Of the process whose directory below `/proc` this is: once it ended there is none, whoever has its pid then.
    pub(super) fn within(dir: &OwnedFd) -> io::Result<Self> {
        Self::read(&rustix::fs::openat(dir, "stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
    }

    fn read(file: &OwnedFd) -> io::Result<Self> {
        // One read gives the whole line, which is shorter than this.
        let mut line = [0; 1024];
        let length = rustix::io::read(file, &mut line)?;
        parse(&String::from_utf8_lossy(&line[..length]))
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a process's stat is cut short"))
    }
}

/// The name in field 2 may hold spaces and parentheses, so the fields after it count from its last ')'.
fn parse(stat: &str) -> Option<Stat> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let mut fields = after.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    // Field 5 is the next one.
    let start_ticks = fields.nth(17)?.parse().ok()?;
    Some(Stat { name: name.to_owned(), state, parent, start_ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_parentheses_does_not_shift_the_fields() {
        let line = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9";
        let read = Stat { name: "a) b (c)".to_owned(), state: 'S', parent: 1, start_ticks: 4242 };
        assert_eq!(parse(line), Some(read));
        assert!(parse(&line.replace("S 1", "Z 1")).unwrap().is_over() && !parse(line).unwrap().is_over());
        assert_eq!(parse("7 (a) S 1 2"), None);
    }

    #[test]
    fn a_process_is_read_by_its_pid_and_through_its_directory() {
        let mine = Stat::of(std::process::id()).unwrap();
        assert_eq!(mine.parent, std::os::unix::process::parent_id());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open("/proc/self", flags, Mode::empty()).unwrap();
        let within = Stat::within(&dir).unwrap();
        // What it does may have changed in between.
        assert_eq!((within.name, within.start_ticks), (mine.name, mine.start_ticks));
    }
}
