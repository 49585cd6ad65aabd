//! The browser's own side: its messages, its steps down the stop ladder, its end, and the end of all it started.

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, waitpid};

use super::stop::{kill_tree, signal_group};
use super::{Phase, Shim};
use crate::process::clock::boot_now_ns;
use crate::process::message::{Empty, ExitStatus, Exited, StopStep, Told};
use crate::process::raw;

/// What a signal descriptor gives for one signal.
const SIGNAL_LEN: usize = 128;

impl Shim {
    pub(super) fn read_messages(&mut self) {
        if let Some(browser) = &mut self.browser {
            browser.messages.read(|message| self.outbox.push(&Told::Browser(message)));
        }
    }

    pub(super) fn read_output(&mut self) {
        if let Some(browser) = &mut self.browser {
            browser.output.read();
        }
    }

    pub(super) fn write_commands(&mut self) {
        if let Some(browser) = &mut self.browser {
            browser.commands.write();
        }
    }

    /// Takes the steps of the stop ladder that are due.
    pub(super) fn climb(&mut self) {
        if self.phase != Phase::Running || self.ladder.next_ns().is_none() {
            return;
        }
        while let Some(step) = self.ladder.take_due(boot_now_ns()) {
            let Some(browser) = &mut self.browser else {
                return;
            };
            match step {
                StopStep::None => {}
                StopStep::PipeClosed => browser.commands.close(),
                StopStep::Terminated => signal_group(browser.root, Signal::TERM),
                StopStep::Killed => {
                    signal_group(browser.root, Signal::KILL);
                    kill_tree(self.place.cgroup());
                }
            }
        }
    }

    /// Some child changed: takes in every end, and tells the root's and the last one's.
    pub(super) fn reap(&mut self) {
        let _ = rustix::io::read(&self.signals, &mut [0; SIGNAL_LEN]);
        let root = self.browser.as_ref().filter(|_| self.phase == Phase::Running).map(|browser| browser.root);
        let mut root_ended = None;
        let childless = loop {
            match raw::peek_ended() {
                Ok(Some(pid)) if Some(pid) == root => root_ended = self.reap_root(pid),
                Ok(Some(pid)) => {
                    let ended = waitpid(Some(pid), WaitOptions::NOHANG).ok().flatten();
                    let killed = ended.is_some_and(|(_, status)| was_killed(status));
                    self.killed += u32::from(killed && self.phase == Phase::Emptying);
                }
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        if let Some((status, output_tail)) = root_ended {
            let (cause, stopped_by, killed) = (self.cause, self.ladder.furthest(), self.killed);
            self.outbox.push(&Told::Exited(Exited {
                status,
                cause,
                output_tail,
                empty: childless,
                stopped_by,
                killed,
            }));
            if childless {
                self.enter_over();
            }
        }
        if self.phase == Phase::Emptying {
            if childless {
                self.outbox.push(&Told::Empty(Empty { killed: self.killed }));
                self.enter_over();
            } else {
                kill_tree(self.place.cgroup());
            }
        }
    }

    /// Takes in all that the root said before it ended, then its end.
    fn reap_root(&mut self, root: Pid) -> Option<(ExitStatus, String)> {
        let browser = self.browser.as_mut()?;
        browser.messages.drain(|message| self.outbox.push(&Told::Browser(message)));
        browser.commands.close();
        let output_tail = browser.output.finish();
        // Under a number, so that it comes before the end and is in its file too.
        if let Some(output) = browser.output.untold() {
            self.outbox.push(&Told::Output(output));
            browser.output.rest(0, true);
        }
        // While it is a zombie, its group's number is nobody else's.
        signal_group(root, Signal::KILL);
        let (_, ended) = waitpid(Some(root), WaitOptions::NOHANG).ok().flatten()?;
        let status = exit_status(ended)?;
        // A kill that came from elsewhere was none of our steps.
        self.killed += u32::from(was_killed(ended) && self.ladder.furthest() == StopStep::Killed);
        self.ladder.end();
        self.away = None;
        self.phase = Phase::Emptying;
        Some((status, output_tail))
    }
}

fn was_killed(status: WaitStatus) -> bool {
    status.terminating_signal() == Some(Signal::KILL.as_raw())
}

fn exit_status(status: WaitStatus) -> Option<ExitStatus> {
    let code = status.exit_status().map(ExitStatus::Code);
    code.or_else(|| status.terminating_signal().map(ExitStatus::Signal))
}
