//! How far something is that takes long, on a terminal behind standard error; elsewhere nothing.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use super::live::bar;

/// What is over sooner than this needs no words.
const SAY_AFTER: Duration = Duration::from_millis(500);
/// Time between two looks at it: more than a person can read.
const SAY_EVERY: Duration = Duration::from_millis(100);
const MIB: f64 = 1024.0 * 1024.0;

/// Bytes that come, of so many.
pub(super) struct Progress {
    total: u64,
    come: u64,
    next: Option<Instant>,
    said: bool,
}

impl Progress {
    /// Of so many bytes; zero when that is not known.
    pub(super) fn of(total: u64) -> Self {
        Self { total, come: 0, next: io::stderr().is_terminal().then(|| Instant::now() + SAY_AFTER), said: false }
    }

    /// Of what nobody waits to see.
    pub(super) fn unseen() -> Self {
        Self { total: 0, come: 0, next: None, said: false }
    }

    /// More has come.
    pub(super) fn add(&mut self, bytes: usize) {
        self.come += bytes as u64;
        let now = Instant::now();
        if self.next.is_some_and(|next| now >= next) {
            self.next = Some(now + SAY_EVERY);
            self.said = true;
            // Nobody reading it is no reason to stop.
            let _ = write!(io::stderr(), "\r{}\u{1b}[K", words(self.come, self.total));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.said {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

fn words(come: u64, total: u64) -> String {
    if total == 0 {
        return format!("{:.1} MiB", come as f64 / MIB);
    }
    format!("{}  {:.1} of {:.1} MiB", bar(come, total), come as f64 / MIB, total as f64 / MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_much_of_how_much_has_come() {
        assert_eq!(words(3 << 19, 3 << 20), "[############-------------]  1.5 of 3.0 MiB");
        assert_eq!(words(3 << 19, 0), "1.5 MiB");
    }
}
