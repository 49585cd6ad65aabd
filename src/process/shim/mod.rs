//! The shim process: a browser's parent, which outlives the service and tells the next one what became of it.
//!
//! ```text
//! Waiting --GO--> Running --root ended--> Emptying --no child left--> Over --acknowledged--> gone, without a trace
//!    |                                                                  \--nobody listens--> gone, with an exit file
//!    \--connection closed--> gone, nothing was launched
//! ```
//!
//! One thread, one `poll`. What it tells goes into one ordered outbox, the browser's messages and its exit alike, and the
//! pipe is drained before the exit is told. It understands nothing of what the browser says. What the browser writes on its
//! output is passed on where that costs nobody anything: it is told under no number and may be missed, by its place.

mod leave;
mod left;
mod outbox;
mod pipes;
mod reap;
mod relay;
mod spawn;
mod stop;
mod tail;

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Pid;

use self::outbox::Outbox;
use self::spawn::Browser;
use self::stop::Ladder;
use super::clock::{NS_PER_S, boot_now_ns};
use super::frame::Decoder;
use super::identity::{Identity, Nonce};
use super::launcher::Request;
use super::message::{ACKNOWLEDGE_MAX, AwayCause, Go, Hello, Refused, StopStep, Told, VERSION};
use super::place::Place;
use super::{exit_file, raw};

/// When the exit file could not be written (a full disk), the shim stays and tries again after this.
const RECORD_RETRY_NS: u64 = 5 * NS_PER_S;

/// Lives as a shim until its job is over. Called in a freshly forked process.
pub(super) fn run(connection: OwnedFd, request: Request, boot_id: &str) {
    match Shim::begin(&connection, request, boot_id) {
        Ok(mut shim) => {
            shim.attach(connection);
            shim.write();
            shim.cgroup = shim.place.cgroup().and_then(spawn::open_cgroup);
            shim.serve();
        }
        Err(refused) => {
            let _ = rustix::io::write(&connection, &Told::Refused(refused).encode(0));
        }
    }
}

struct Shim {
    place: Place,
    nonce: Nonce,
    identity: Identity,
    listener: OwnedFd,
    signals: OwnedFd,
    /// Made while GO is waited for, so that it costs the start of the browser nothing.
    cgroup: Option<OwnedFd>,
    attaches: u32,
    outbox: Outbox,
    phase: Phase,
    /// Set by GO and kept to the end.
    go: Option<Go>,
    browser: Option<Browser>,
    ladder: Ladder,
    away: Option<Away>,
    disarmed: bool,
    cause: Option<AwayCause>,
    /// The furthest step that was taken before the root ended.
    stopped_by: StopStep,
    killed: u32,
    /// More children have ended than were taken in at once.
    unreaped: bool,
    /// Last, as fields are dropped in order: its end tells the service that all else, locks too, is released.
    connection: Option<Connection>,
}

struct Connection {
    socket: OwnedFd,
    decoder: Decoder,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Running,
    /// The root ended; others have not.
    Emptying,
    Over {
        /// When the exit file is written, if all is not acknowledged by then.
        record_at_ns: u64,
    },
}

/// A timer that also counts suspended time, and what it means when it fires.
struct Away {
    timer: OwnedFd,
    cause: AwayCause,
}

/// What can wake a shim.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Signals,
    Connection,
    Listener,
    Messages,
    Output,
    Commands,
    Away,
}

impl Shim {
    fn begin(connection: &OwnedFd, request: Request, boot_id: &str) -> Result<Shim, Refused> {
        let Request { place, nonce } = request;
        let refuse = |error: std::io::Error| {
            Refused::new("directories", &error, format!("cannot prepare {:?}", place.run_dir()))
        };
        let starting = || {
            rustix::process::setsid()?;
            rustix::process::set_child_subreaper(Some(Pid::INIT))?;
            let signals = raw::watch_children()?;
            let identity = Identity::of(std::process::id(), boot_id)?;
            let listener = leave::publish(&place, nonce, &identity)?;
            rustix::io::ioctl_fionbio(connection, true)?;
            Ok((signals, identity, listener))
        };
        let (signals, identity, listener) = starting().map_err(refuse)?;
        Ok(Shim {
            place,
            nonce,
            identity,
            listener,
            signals,
            cgroup: None,
            connection: None,
            attaches: 0,
            outbox: Outbox::default(),
            phase: Phase::Waiting,
            go: None,
            browser: None,
            ladder: Ladder::new(),
            away: None,
            disarmed: false,
            cause: None,
            stopped_by: StopStep::None,
            killed: 0,
            unreaped: false,
        })
    }

    fn serve(mut self) {
        loop {
            self.climb();
            self.write();
            self.tell_output();
            match self.phase {
                Phase::Waiting if self.connection.is_none() => {
                    return leave::clear_all(&self.place);
                }
                Phase::Over { .. } if self.outbox.is_empty() => {
                    return leave::clear_all(&self.place);
                }
                Phase::Over { record_at_ns } if record_at_ns <= boot_now_ns() => {
                    match exit_file::write(&self.place, &self.hello(), self.outbox.frames()) {
                        Ok(()) => return leave::clear_run(&self.place),
                        // Somebody removed the job's directory: nobody is left who wants to know.
                        Err(error) if error.kind() == ErrorKind::NotFound => {
                            return leave::clear_run(&self.place);
                        }
                        Err(_) => {}
                    }
                    self.phase = Phase::Over { record_at_ns: boot_now_ns().saturating_add(RECORD_RETRY_NS) };
                }
                Phase::Waiting | Phase::Running | Phase::Emptying | Phase::Over { .. } => {}
            }
            for source in self.wait() {
                match source {
                    Source::Signals => self.reap(),
                    Source::Connection => self.read_orders(),
                    Source::Listener => self.accept(),
                    Source::Messages => self.read_messages(),
                    Source::Output => self.read_output(),
                    Source::Commands => self.write_commands(),
                    Source::Away => self.away_is_over(),
                }
            }
        }
    }

    /// Waits for the next thing to do; empty when it is a time that has come.
    fn wait(&self) -> Vec<Source> {
        let browser = self.browser.as_ref();
        let may_grow = self.outbox.may_grow();
        let connection_flags =
            if self.outbox.wants_to_write() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let connection = self.connection.as_ref().map(|connection| connection.socket.as_fd());
        // A source that is not wanted is left out altogether: its hang-up alone would wake us for ever.
        let wanted: [(Source, Option<BorrowedFd<'_>>, PollFlags); 7] = [
            (Source::Signals, Some(self.signals.as_fd()), PollFlags::IN),
            (Source::Connection, connection, connection_flags),
            (Source::Listener, Some(self.listener.as_fd()), PollFlags::IN),
            (Source::Messages, browser.and_then(|browser| browser.messages.wants_to_read(may_grow)), PollFlags::IN),
            (Source::Output, browser.and_then(|browser| browser.output.wants_to_read()), PollFlags::IN),
            (Source::Commands, browser.and_then(|browser| browser.commands.wants_to_write()), PollFlags::OUT),
            (Source::Away, self.away.as_ref().map(|away| away.timer.as_fd()), PollFlags::IN),
        ];
        let mut sources = Vec::with_capacity(wanted.len());
        let mut fds = Vec::with_capacity(wanted.len());
        for (source, fd, flags) in wanted {
            if let Some(fd) = fd {
                sources.push(source);
                fds.push(PollFd::from_borrowed_fd(fd, flags));
            }
        }
        let next_ns = if self.unreaped { Some(0) } else { self.next_time_ns() };
        let timeout = next_ns.map(|at_ns| timespec(at_ns.saturating_sub(boot_now_ns())));
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return Vec::new();
        }
        let woken = || sources.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
        let has_left =
            woken().any(|(source, fd)| *source == Source::Connection && fd.revents().contains(PollFlags::HUP));
        let mut woken: Vec<Source> = woken().map(|(source, _)| *source).collect();
        if has_left {
            // Before an end that it cannot hear of: what it was told of the output is then told to the next one too.
            woken.sort_by_key(|source| *source != Source::Connection);
        }
        if self.unreaped && !woken.contains(&Source::Signals) {
            woken.push(Source::Signals);
        }
        woken
    }

    fn hello(&self) -> Hello {
        Hello {
            version: VERSION,
            nonce: self.nonce,
            shim: self.identity.clone(),
            attaches: self.attaches,
            went: self.phase != Phase::Waiting,
            browser: self.browser.as_ref().map(|browser| browser.identity.clone()),
            cgroup: self.browser.as_ref().is_some_and(|browser| browser.in_cgroup),
        }
    }

    /// True when what runs is not ours to end.
    fn leaves_alone(&self) -> bool {
        self.go.as_ref().is_some_and(|go| go.left_alone)
    }

    /// Nothing more will happen here: what is left is to be taken in, or to be written down.
    fn enter_over(&mut self) {
        let patience = if self.connection.is_some() { ACKNOWLEDGE_MAX } else { Duration::ZERO };
        let patience_ns = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        self.phase = Phase::Over { record_at_ns: boot_now_ns().saturating_add(patience_ns) };
    }

    fn next_time_ns(&self) -> Option<u64> {
        let record_at_ns = match self.phase {
            Phase::Over { record_at_ns } => Some(record_at_ns),
            Phase::Waiting | Phase::Running | Phase::Emptying => None,
        };
        record_at_ns.into_iter().chain(self.ladder.next_ns()).chain(self.tell_at_ns()).min()
    }
}

fn timespec(ns: u64) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(ns / NS_PER_S).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(ns % NS_PER_S).unwrap_or_default(),
    }
}
