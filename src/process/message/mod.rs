//! What service and shim say to each other.

mod wire;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::process::identity::{Identity, Nonce};
use crate::process::proof::Proof;

pub(super) use wire::FromShim;

/// The version of this conversation; a shim of another version is still understood, as unknown kinds are skipped.
pub(in crate::process) const VERSION: u32 = 1;

/// The first word of a shim on every connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the relay that the shim speaks.
    pub version: u32,
    /// The launch this shim was made for.
    pub nonce: Nonce,
    /// The shim itself.
    pub shim: Identity,
    /// How often a service attached, this time included; the first is 1.
    pub attaches: u32,
    /// Whether GO was received.
    pub went: bool,
    /// The browser's root process, once it was started, alive or not.
    pub browser: Option<Identity>,
    /// Whether the browser was put into a control group of its own.
    pub cgroup: bool,
}

/// What the service tells a shim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Start the browser.
    Go(Go),
    /// One complete command for the browser, without the NUL that ends it on the pipe.
    Browser(Vec<u8>),
    /// Everything up to this number was taken in and need not be told again.
    Ack(u64),
    /// End the browser, step by step.
    Stop(Stop),
    /// The job is over: its run deadline no longer counts (a window kept open still ends after `away_max_ms`).
    Disarm,
}

/// How a browser is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Go {
    /// The absolute path of the binary, then its arguments.
    pub argv: Vec<String>,
    /// The whole environment; TMPDIR is added (or replaced) by the shim.
    pub env: Vec<(String, String)>,
    /// Whether the browser is spoken to over descriptors 3 (it reads) and 4 (it writes), messages ended by NUL.
    pub pipe: bool,
    /// A file the shim locks as long as it lives; one that is locked already refuses the start with EWOULDBLOCK.
    pub lock: Option<PathBuf>,
    /// When the run time is over (CLOCK_BOOTTIME); the shim acts on it only while no service is attached.
    pub run_deadline_boot_ns: Option<u64>,
    /// How long the browser may live with no service attached, in milliseconds.
    pub away_max_ms: u64,
    /// How long the browser has between SIGTERM and SIGKILL when the shim ends it by itself, in milliseconds.
    pub grace_ms: u64,
    /// Whether it is not ours to end: then nothing signals it, it outlives the shim, keeps its own TMPDIR, is born into
    /// no control group, and nothing is waited for but the exit of its root.
    #[serde(default)]
    pub left_alone: bool,
}

/// When each step of the stop ladder is taken, in milliseconds from now; 0 is at once.
///
/// A second Stop never delays a step that the first has set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The browser was just asked over its pipe to close, which is the first step; what asks is not understood here.
    #[serde(default)]
    pub asked: bool,
    /// Our end of the browser's command pipe closes.
    pub close_pipe_after_ms: u64,
    /// SIGTERM goes to the browser's process group.
    pub term_after_ms: u64,
    /// SIGKILL goes to everything the browser started.
    pub kill_after_ms: u64,
}

/// What a shim tells the service, with the number under which it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// 1, 2, 3 … without holes over the life of the shim; 0 for what need not be acknowledged and is not told again.
    pub number: u64,
    /// What is told.
    pub told: Told,
}

/// What a shim tells the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The browser runs.
    Started(Started),
    /// The browser could not be started; nothing follows.
    Refused(Refused),
    /// One complete message of the browser, without its NUL.
    Browser(Vec<u8>),
    /// Something that the browser wrote on its standard output or error.
    Output(Output),
    /// The browser's root process ended.
    Exited(Exited),
    /// Everything the browser started is gone, proven by having no child left; nothing follows.
    Empty(Empty),
}

/// The browser's root process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Its process id, and that of its group.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
}

/// A piece of what the browser wrote on its standard output and error, mixed, as it came.
///
/// Pieces can be missing and can come twice: the place tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How many bytes were written before it.
    pub place: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Why nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}: {errno_name} at {stage}")]
pub struct Refused {
    /// What was being done: fork, directories, go, lock, pipes, output, arguments, clone, or exec.
    pub stage: String,
    /// The system's error number.
    pub errno: i32,
    /// Its name, such as ENOENT.
    pub errno_name: String,
    /// The same for a person, naming what it was about.
    pub message: String,
}

impl Refused {
    /// Whether the lock that was asked for is held by somebody else.
    #[must_use]
    pub fn is_lock_held(&self) -> bool {
        self.stage == "lock" && self.errno == Errno::WOULDBLOCK.raw_os_error()
    }

    /// Whether the job's directories were in use, or taken away meanwhile: another shim of this job has not left yet.
    #[must_use]
    pub fn is_place_taken(&self) -> bool {
        let taken = [Errno::EXIST, Errno::NOENT, Errno::NOTEMPTY, Errno::ADDRINUSE];
        self.stage == "directories" && taken.iter().any(|errno| errno.raw_os_error() == self.errno)
    }

    /// For what the browser itself refused, or did not live to do.
    #[must_use]
    pub fn by_peer(stage: &str, message: String) -> Refused {
        Refused::new(stage, &Errno::PROTO.into(), message)
    }

    pub(in crate::process) fn new(stage: &str, error: &io::Error, message: String) -> Refused {
        let errno = error.raw_os_error().unwrap_or_default();
        Refused { stage: stage.to_owned(), errno, errno_name: errno_name(errno), message }
    }
}

/// The names of the errors that starting a process meets; the number itself for any other.
fn errno_name(errno: i32) -> String {
    let known = [
        (Errno::PERM, "EPERM"),
        (Errno::NOENT, "ENOENT"),
        (Errno::IO, "EIO"),
        (Errno::TOOBIG, "E2BIG"),
        (Errno::NOEXEC, "ENOEXEC"),
        (Errno::AGAIN, "EAGAIN"),
        (Errno::NOMEM, "ENOMEM"),
        (Errno::ACCESS, "EACCES"),
        (Errno::EXIST, "EEXIST"),
        (Errno::NOTDIR, "ENOTDIR"),
        (Errno::ISDIR, "EISDIR"),
        (Errno::INVAL, "EINVAL"),
        (Errno::NFILE, "ENFILE"),
        (Errno::MFILE, "EMFILE"),
        (Errno::TXTBSY, "ETXTBSY"),
        (Errno::NOSPC, "ENOSPC"),
        (Errno::ROFS, "EROFS"),
        (Errno::NAMETOOLONG, "ENAMETOOLONG"),
        (Errno::LOOP, "ELOOP"),
        (Errno::LIBBAD, "ELIBBAD"),
        (Errno::DQUOT, "EDQUOT"),
        (Errno::PROTO, "EPROTO"),
    ];
    let name = known.iter().find(|(known, _)| known.raw_os_error() == errno);
    name.map_or_else(|| format!("errno {errno}"), |(_, name)| (*name).to_owned())
}

/// How the browser's root process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exited {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// Why the shim ended it by itself, if it did.
    pub cause: Option<AwayCause>,
    /// The end of its standard output and error, mixed, without control characters but for line ends.
    pub output_tail: String,
    /// Whether nothing it started is left. Else Empty follows, unless it is left alone.
    pub empty: bool,
    /// The furthest step of the stop ladder that was taken.
    pub stopped_by: StopStep,
    /// How many processes had to be killed so far, the root among them if it came to that.
    pub killed: u32,
    /// Whether the kernel ended it, as there was no memory left for its control group.
    #[serde(default)]
    pub out_of_memory: bool,
    /// How the whole tree ended, when nothing of it is left; shims of an earlier version do not say.
    #[serde(default)]
    pub proof: Option<Proof>,
    /// How long the root lived, in milliseconds; earlier shims do not tell.
    #[serde(default)]
    pub lived_ms: Option<u64>,
}

/// Everything the browser started is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {
    /// How many processes had to be killed in all, the root among them if it came to that.
    pub killed: u32,
    /// How the whole tree ended; shims of an earlier version do not say.
    #[serde(default)]
    pub proof: Option<Proof>,
}

/// How long a shim waits for the end that it told to be acknowledged, before it writes it down: a commit takes a few ms.
pub(in crate::process) const ACKNOWLEDGE_MAX: Duration = Duration::from_millis(200);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// It left with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// Why a shim ended a browser while no service was attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AwayCause {
    /// The run deadline passed.
    RunTimeout,
    /// No service came back within `away_max_ms`.
    ServiceAway,
}

/// A step of the stop ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopStep {
    /// Nobody stopped it.
    None,
    /// It was asked over its command pipe to close, or that was closed.
    PipeClosed,
    /// SIGTERM was sent.
    Terminated,
    /// SIGKILL was sent.
    Killed,
}
