//! Who a process is: its boot, pid and start time together name it for ever, a pid alone never does.

use std::fmt;
use std::io;
use std::str::FromStr;

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use super::clock;
use super::stat::Stat;

/// A process of this machine, named so that a reused pid cannot pass for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The boot in which the process lives.
    pub boot_id: String,
    /// Its process id.
    pub pid: u32,
    /// When it started, in clock ticks since boot (field 22 of /proc/PID/stat).
    pub start_ticks: u64,
}

impl Identity {
    /// The identity of the process with this pid now, or why it cannot be read.
    pub fn of(pid: u32, boot_id: &str) -> io::Result<Identity> {
        let start_ticks = Stat::of(pid)?.start_ticks;
        Ok(Identity { boot_id: boot_id.to_owned(), pid, start_ticks })
    }

    /// Whether the named process still exists (a zombie does): same boot, same pid, same start time.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.boot_id == clock::boot_id() && Stat::of(self.pid).is_ok_and(|stat| stat.start_ticks == self.start_ticks)
    }
}

/// A random value that ties a shim to the one launch it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// A fresh one from the system's random source.
    ///
    /// # Panics
    /// When the kernel has no random source, without which nothing here is safe.
    #[must_use]
    pub fn random() -> Nonce {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
        Nonce(bytes)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is not 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nonce {0:?} is not 32 hexadecimal digits")]
pub struct NonceError(String);

impl FromStr for Nonce {
    type Err = NonceError;

    fn from_str(text: &str) -> Result<Nonce, NonceError> {
        let malformed = || NonceError(text.to_owned());
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(malformed());
        }
        let mut bytes = [0; 16];
        for (byte, at) in bytes.iter_mut().zip((0..32).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| malformed())?;
        }
        Ok(Nonce(bytes))
    }
}

impl From<Nonce> for String {
    fn from(nonce: Nonce) -> String {
        nonce.to_string()
    }
}

impl TryFrom<String> for Nonce {
    type Error = NonceError;

    fn try_from(text: String) -> Result<Nonce, NonceError> {
        text.parse()
    }
}

/// What a shim publishes in `id`: enough to tell, without speaking to it, whether it can still be alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Published {
    pub(super) task_id: String,
    pub(super) nonce: Nonce,
    #[serde(flatten)]
    pub(super) shim: Identity,
}

/// A kernel pid from a number of ours; None for 0 and for what no pid can be.
pub(super) fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_itself_and_another_start_time_is_not() {
        let mine = Identity::of(std::process::id(), &clock::boot_id()).unwrap();
        assert!(mine.is_same());
        let reused = Identity { start_ticks: mine.start_ticks + 1, ..mine.clone() };
        assert!(!reused.is_same());
        let other_boot = Identity { boot_id: "elsewhere".to_owned(), ..mine };
        assert!(!other_boot.is_same());
    }

    #[test]
    fn a_nonce_survives_its_text_and_refuses_other_text() {
        let nonce = Nonce::random();
        assert_eq!(nonce.to_string().parse(), Ok(nonce));
        assert_ne!(nonce, Nonce::random());
        assert!("00".parse::<Nonce>().is_err());
        assert!("+1".repeat(16).parse::<Nonce>().is_err());
    }
}
