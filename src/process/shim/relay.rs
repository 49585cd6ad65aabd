//! The shim's side of its socket: who is attached, what they order, and what is done while nobody is.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use rustix::process::Pid;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};

use super::{Away, Connection, Phase, Shim, left, spawn, timespec};
use crate::process::clock::{NS_PER_MS, boot_now_ns};
use crate::process::frame::Decoder;
use crate::process::message::{AwayCause, ExitStatus, Exited, Go, Order, Started, Stop, StopStep, Told};
use crate::process::proof::Proof;
use crate::process::raw;

/// One read of orders: GO, the longest that most shims are ever given, fits.
const READ_LEN: usize = 8 * 1024;

impl Shim {
    /// A service is here: it replaces an older one, and hears everything that was not acknowledged.
    pub(super) fn attach(&mut self, socket: OwnedFd) {
        self.attaches = self.attaches.saturating_add(1);
        self.connection = Some(Connection { socket, decoder: Decoder::default() });
        self.away = None;
        self.tell_output_again();
        self.outbox.restart(self.hello().encode());
        if matches!(self.phase, Phase::Over { .. }) {
            self.enter_over();
        }
    }

    pub(super) fn accept(&mut self) {
        let Ok(socket) = accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) else {
            return;
        };
        let own = rustix::process::geteuid();
        if rustix::net::sockopt::socket_peercred(&socket).is_ok_and(|peer| peer.uid == own) {
            self.attach(socket);
        }
    }

    pub(super) fn write(&mut self) {
        let Some(connection) = &self.connection else {
            return;
        };
        match self.outbox.write_to(&connection.socket) {
            Ok(false) => {}
            // Whoever is still reading is given the time to answer.
            Ok(true) if matches!(self.phase, Phase::Over { .. }) => self.enter_over(),
            Ok(true) => {}
            Err(_) => self.detach(),
        }
    }

    /// Passes on what was written, at a bounded rate and only to a service that keeps up.
    pub(super) fn tell_output(&mut self) {
        let (Some(browser), Some(connection)) = (&mut self.browser, &self.connection) else {
            return;
        };
        let now_ns = boot_now_ns();
        if self.outbox.wants_to_write() || browser.output.tell_at_ns().is_none_or(|at_ns| at_ns > now_ns) {
            return;
        }
        let Some(output) = browser.output.untold() else {
            return;
        };
        match self.outbox.tell_loose(Told::Output(output).encode(0), &connection.socket) {
            Ok(told) => browser.output.rest(now_ns, told),
            Err(_) => self.detach(),
        }
    }

    /// When output may be told next, where only time stands in its way.
    pub(super) fn tell_at_ns(&self) -> Option<u64> {
        let browser = self.browser.as_ref().filter(|_| self.connection.is_some() && !self.outbox.wants_to_write())?;
        browser.output.tell_at_ns()
    }

    pub(super) fn read_orders(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let mut buffer = [0; READ_LEN];
        let alive = match rustix::io::read(&connection.socket, &mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                connection.decoder.push(&buffer[..length]);
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => true,
            Err(_) => false,
        };
        let mut sensible = true;
        // In place while orders are followed: what they cause is told to whoever gave them.
        let mut decoder = std::mem::take(&mut connection.decoder);
        self.connection = Some(connection);
        while sensible {
            match decoder.take().map(|frame| frame.map(Order::decode)) {
                Ok(Some(Ok(Some(order)))) => self.follow(order),
                Ok(Some(Ok(None))) => {}
                Ok(None) => break,
                Ok(Some(Err(_))) | Err(_) => sensible = false,
            }
        }
        match &mut self.connection {
            Some(connection) if alive && sensible => connection.decoder = decoder,
            Some(_) | None => self.detach(),
        }
    }

    fn follow(&mut self, order: Order) {
        match order {
            Order::Go(go) if self.phase == Phase::Waiting => self.start(go),
            // Told twice, as by a service that could not know: once is enough.
            Order::Go(_) => {}
            Order::Browser(command) => {
                if let Some(browser) = &mut self.browser {
                    browser.commands.push(&command);
                }
            }
            Order::Ack(number) => {
                self.outbox.acknowledge(number);
                if matches!(self.phase, Phase::Over { .. }) {
                    self.enter_over();
                }
            }
            Order::Stop(stop) if self.phase == Phase::Running && !self.leaves_alone() => {
                if stop.asked && self.browser.as_ref().is_some_and(|browser| browser.commands.is_open()) {
                    self.note(StopStep::PipeClosed);
                }
                self.ladder.begin(stop, boot_now_ns());
            }
            // Before GO there is nothing to stop, after the root's end all is being stopped, and some things are not
            // ours to stop.
            Order::Stop(_) => {}
            Order::Disarm => self.disarmed = true,
        }
    }

    fn start(&mut self, go: Go) {
        let cgroup = self.cgroup.take().filter(|_| !go.left_alone);
        match spawn::start(&go, &self.place, cgroup.as_ref().map(AsFd::as_fd), &self.identity.boot_id) {
            Ok(browser) => {
                let (pid, start_ticks) = (browser.identity.pid, browser.identity.start_ticks);
                self.outbox.push(&Told::Started(Started { pid, start_ticks }));
                self.browser = Some(browser);
                self.phase = Phase::Running;
                self.write();
                rehearse_end(self.group());
            }
            Err(refused) => {
                self.outbox.push(&Told::Refused(refused));
                self.enter_over();
            }
        }
        self.go = Some(go);
    }

    /// Nobody is attached any more: from now on the deadlines are ours to keep.
    fn detach(&mut self) {
        self.connection = None;
        self.tell_output_again();
        self.outbox.rewind();
        match self.phase {
            Phase::Running => {
                self.away = self.go.as_ref().and_then(|go| Away::begin(go, self.disarmed));
            }
            Phase::Over { .. } => self.enter_over(),
            Phase::Waiting | Phase::Emptying => {}
        }
    }

    /// Whoever comes next may have heard none of it. After the end it is told under a number, once.
    fn tell_output_again(&mut self) {
        if let Some(browser) = self.browser.as_mut().filter(|_| self.phase == Phase::Running) {
            browser.output.tell_again();
        }
    }

    pub(super) fn away_is_over(&mut self) {
        let (Some(away), Some(go)) = (self.away.take(), &self.go) else {
            return;
        };
        if !self.ladder.has_begun() {
            self.cause = Some(away.cause);
        }
        let stop = Stop { asked: false, close_pipe_after_ms: 0, term_after_ms: 0, kill_after_ms: go.grace_ms };
        self.ladder.begin(stop, boot_now_ns());
    }
}

/// Walks once through what tells of an end, so that its code and heap are in this process's memory when the end comes:
/// a forked process meets each page anew, which would make the end of an otherwise idle job known later.
fn rehearse_end(cgroup: Option<&Path>) {
    let exited = Exited {
        status: ExitStatus::Code(0),
        cause: None,
        output_tail: String::new(),
        empty: true,
        stopped_by: StopStep::None,
        killed: 0,
        out_of_memory: false,
        proof: Some(Proof::now(StopStep::None, Vec::new(), cgroup)),
        lived_ms: Some(0),
    };
    let _ = left::is_more_than(Pid::INIT);
    std::hint::black_box(Told::Exited(exited).encode(0));
    let _ = raw::peek_ended();
}

impl Away {
    /// Whichever comes first: the run deadline, unless the job is over, or the longest time without a service. None for
    /// what is not ours to end.
    fn begin(go: &Go, disarmed: bool) -> Option<Away> {
        if go.left_alone {
            return None;
        }
        let away_at_ns = boot_now_ns().saturating_add(go.away_max_ms.saturating_mul(NS_PER_MS));
        let run_at_ns = go.run_deadline_boot_ns.filter(|_| !disarmed);
        let (at_ns, cause) = match run_at_ns {
            Some(run_at_ns) if run_at_ns <= away_at_ns => (run_at_ns, AwayCause::RunTimeout),
            Some(_) | None => (away_at_ns, AwayCause::ServiceAway),
        };
        let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK).ok()?;
        // Zero would switch the timer off.
        let when = Itimerspec { it_interval: timespec(0), it_value: timespec(at_ns.max(1)) };
        timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME, &when).ok()?;
        Some(Away { timer, cause })
    }
}
