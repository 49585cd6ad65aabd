//! The browser's own side: its messages, its steps down the stop ladder, its end, and the end of all it started.

use std::path::Path;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, waitpid};

use super::left::{self, kill_tree, signal_group};
use super::spawn::Browser;
use super::{Phase, Shim};
use crate::process::clock::{NS_PER_MS, boot_now_ns};
use crate::process::message::{Empty, ExitStatus, Exited, StopStep, Told};
use crate::process::place::Place;
use crate::process::proof::Proof;
use crate::process::{cgroup, raw};

/// What a signal descriptor gives for one signal.
const SIGNAL_LEN: usize = 128;
/// How many ends are taken in at once: a tree that makes processes as fast as they are reaped must not keep this process
/// from the steps of its stop. The rest is taken in with the next turn, which comes at once.
const REAPED_AT_ONCE_MAX: usize = 64;

/// The end of a root.
struct RootEnd {
    status: ExitStatus,
    output_tail: String,
    out_of_memory: bool,
}

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
            // A browser without a command pipe, or whose pipe broke, is not asked anything by this.
            let is_felt =
                step != StopStep::PipeClosed || self.browser.as_ref().is_some_and(|browser| browser.commands.is_open());
            if is_felt {
                self.note(step);
            }
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

    /// Remembers a step that is about to be taken, with how many processes it meets.
    pub(super) fn note(&mut self, step: StopStep) {
        let cgroup = group(self.browser.as_ref(), &self.place);
        self.ladder.note(step, || left::count(cgroup));
    }

    /// The same of the end of what the root left behind, if any of that lives.
    fn note_rest(&mut self) {
        if self.ladder.has_taken(StopStep::Killed) {
            return;
        }
        let left = left::count(self.group());
        if left > 0 {
            self.ladder.note(StopStep::Killed, || left);
        }
    }

    /// The control group that the browser lives in.
    pub(super) fn group(&self) -> Option<&Path> {
        group(self.browser.as_ref(), &self.place)
    }

    /// Some child changed: takes in every end, and tells the root's and the last one's.
    pub(super) fn reap(&mut self) {
        let _ = rustix::io::read(&self.signals, &mut [0; SIGNAL_LEN]);
        let root = self.browser.as_ref().filter(|_| self.phase == Phase::Running).map(|browser| browser.root);
        let mut root_end = None;
        let mut childless = false;
        self.unreaped = false;
        for turn in 0..=REAPED_AT_ONCE_MAX {
            match raw::peek_ended() {
                Ok(Some(_)) if turn == REAPED_AT_ONCE_MAX => self.unreaped = true,
                Ok(Some(pid)) if Some(pid) == root => root_end = self.reap_root(pid),
                Ok(Some(pid)) => self.reap_other(pid),
                Ok(None) => break,
                Err(_) => {
                    childless = true;
                    break;
                }
            }
        }
        let proof = (childless && self.phase == Phase::Emptying).then(|| self.prove());
        let is_empty = proof.is_some();
        // What somebody's own browser leaves behind is somebody's own: it goes on under another parent.
        let is_over = is_empty || (root_end.is_some() && self.leaves_alone());
        if let Some(RootEnd { status, output_tail, out_of_memory }) = root_end {
            let lived_ms =
                self.browser.as_ref().map(|browser| boot_now_ns().saturating_sub(browser.born_ns) / NS_PER_MS);
            self.outbox.push(&Told::Exited(Exited {
                status,
                cause: self.cause,
                output_tail,
                empty: is_empty,
                stopped_by: self.stopped_by,
                killed: self.killed,
                out_of_memory,
                proof,
                lived_ms,
            }));
        } else if is_empty {
            self.outbox.push(&Told::Empty(Empty { killed: self.killed, proof }));
        }
        if is_over {
            self.enter_over();
        } else if self.phase == Phase::Emptying {
            self.note_rest();
            kill_tree(self.place.cgroup());
        }
    }

    fn reap_other(&mut self, pid: Pid) {
        let ended = waitpid(Some(pid), WaitOptions::NOHANG).ok().flatten();
        let killed = ended.is_some_and(|(_, status)| was_killed(status));
        // Before the root ended, only the last step kills others.
        let by_us = self.phase == Phase::Emptying || self.ladder.has_taken(StopStep::Killed);
        self.killed += u32::from(killed && by_us);
    }

    /// What became of the tree, now that no child is left.
    fn prove(&mut self) -> Proof {
        // One that came and was killed with its group between two looks was there all the same.
        if self.killed > 0 {
            self.ladder.note(StopStep::Killed, || self.killed);
        }
        Proof::now(self.stopped_by, self.ladder.taken().to_vec(), self.group())
    }

    /// Takes in all that the root said before it ended, then its end.
    fn reap_root(&mut self, root: Pid) -> Option<RootEnd> {
        let browser = self.browser.as_mut()?;
        browser.messages.drain(|message| self.outbox.push(&Told::Browser(message)));
        browser.commands.close();
        let output_tail = browser.output.finish();
        // Under a number, so that it comes before the end and is in its file too.
        if let Some(output) = browser.output.untold() {
            self.outbox.push(&Told::Output(output));
            browser.output.rest(0, true);
        }
        self.stopped_by = self.ladder.furthest();
        if !self.leaves_alone() {
            if left::is_more_than(root) {
                self.note_rest();
            }
            // While it is a zombie, its group's number is nobody else's.
            signal_group(root, Signal::KILL);
        }
        let (_, ended) = waitpid(Some(root), WaitOptions::NOHANG).ok().flatten()?;
        let status = exit_status(ended)?;
        // A kill that came from elsewhere was none of our steps.
        let by_us = self.stopped_by == StopStep::Killed;
        self.killed += u32::from(was_killed(ended) && by_us);
        let out_of_memory = was_killed(ended) && !by_us && self.group().and_then(cgroup::oom_kills) > Some(0);
        self.ladder.end();
        self.away = None;
        self.phase = Phase::Emptying;
        Some(RootEnd { status, output_tail, out_of_memory })
    }
}

fn group<'a>(browser: Option<&Browser>, place: &'a Place) -> Option<&'a Path> {
    place.cgroup().filter(|_| browser.is_some_and(|browser| browser.in_cgroup))
}

fn was_killed(status: WaitStatus) -> bool {
    status.terminating_signal() == Some(Signal::KILL.as_raw())
}

fn exit_status(status: WaitStatus) -> Option<ExitStatus> {
    let code = status.exit_status().map(ExitStatus::Code);
    code.or_else(|| status.terminating_signal().map(ExitStatus::Signal))
}
