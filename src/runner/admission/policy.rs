//! Who may go now, and why the others wait: limits, what is in use, and the line. Knows no lock and no clock.

use std::{
    collections::{BTreeSet, HashMap},
    num::NonZeroUsize,
    sync::Arc,
};

use super::line::{Line, Want};
use crate::job::WallTime;

/// What bounds a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many jobs run at once.
    pub slots: NonZeroUsize,
    /// How many browsers may be coming up at once.
    pub launches_max: NonZeroUsize,
    /// Nothing is started while less memory than this is available; 0 for no such bound.
    pub memory_floor_bytes: u64,
    /// How many windows may be open, of jobs that run and of finished ones that were kept open.
    pub windows_max: NonZeroUsize,
    /// Whether the window that was kept open the longest is closed when another is wanted.
    pub windows_evict: bool,
    /// How many jobs may wait. One more is refused.
    pub queue_max: usize,
}

/// How busy a host is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Jobs that run; more than there are slots after a restart that found more of them alive.
    pub running: usize,
    /// Browsers that are coming up.
    pub launching: usize,
    /// Windows that are open.
    pub windows: usize,
    /// Those of them whose jobs are finished.
    pub windows_kept: usize,
    /// Jobs that wait.
    pub waiting: usize,
}

/// Why a job waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueReason {
    /// All slots are taken, or will be by those before it.
    Slot,
    /// There is a slot for it; other browsers are coming up.
    Launch,
    /// Too little memory is available.
    Memory,
    /// All the windows that there may be are open.
    Window,
    /// The browser of another job has its profile.
    Profile,
}

/// What is in use, and who waits for it.
#[derive(Debug)]
pub(super) struct Policy {
    limits: Limits,
    pub(super) line: Line,
    running: usize,
    launching: usize,
    windows: HashMap<u64, Window>,
    /// Those that were kept open, the longest first.
    kept: BTreeSet<(WallTime, u64)>,
    closing: usize,
}

/// An open window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Window {
    /// Its job runs, or its browser leaves by itself.
    InUse,
    /// Its job was finished then.
    Kept(WallTime),
    /// It was kept open, and was told to go.
    Closing,
}

impl Policy {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            line: Line::default(),
            running: 0,
            launching: 0,
            windows: HashMap::new(),
            kept: BTreeSet::new(),
            closing: 0,
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn load(&self) -> Load {
        Load {
            running: self.running,
            launching: self.launching,
            windows: self.windows.len(),
            windows_kept: self.kept.len() + self.closing,
            waiting: self.line.len(),
        }
    }

    /// The job that can go now, if there is enough memory for it.
    pub(super) fn next(&self) -> Option<u64> {
        if self.running >= self.limits.slots.get() || self.launching >= self.limits.launches_max.get() {
            return None;
        }
        self.line.first(self.has_window())
    }

    fn has_window(&self) -> bool {
        self.windows.len() < self.limits.windows_max.get()
    }

    /// Where a job that waits stands, and why it does.
    pub(super) fn standing(&self, number: u64) -> Option<(usize, QueueReason)> {
        let position = self.line.position(number, self.has_window())?;
        Some((position, self.reason(self.line.get(number)?, position)))
    }

    /// The same of all that wait, in their order.
    pub(super) fn standings(&self) -> impl Iterator<Item = (u64, usize, QueueReason)> {
        let numbered = (1..).zip(self.line.order(self.has_window()));
        numbered.filter_map(|(at, number)| Some((number, at, self.reason(self.line.get(number)?, at))))
    }

    /// Lets a job of the line go.
    pub(super) fn go(&mut self, number: u64) -> Option<Want> {
        let want = self.line.take(number)?;
        self.launching += 1;
        self.occupy(number, &want);
        Some(want)
    }

    /// Counts a job that runs, whatever the limits.
    pub(super) fn occupy(&mut self, number: u64, want: &Want) {
        self.running += 1;
        self.occupy_browser(number, want);
    }

    /// Counts what its browser takes as long as anything of it is left.
    pub(super) fn occupy_browser(&mut self, number: u64, want: &Want) {
        if want.window {
            self.windows.insert(number, Window::InUse);
        }
        if let Some(profile) = &want.profile {
            self.line.set_taken(profile, true);
        }
    }

    pub(super) fn free_slot(&mut self) {
        self.running -= 1;
    }

    pub(super) fn free_launch(&mut self) {
        self.launching -= 1;
    }

    pub(super) fn free_browser(&mut self, number: u64, profile: Option<&Arc<str>>) {
        match self.windows.remove(&number) {
            Some(Window::Kept(since)) => drop(self.kept.remove(&(since, number))),
            Some(Window::Closing) => self.closing -= 1,
            Some(Window::InUse) | None => {}
        }
        if let Some(profile) = profile {
            self.line.set_taken(profile, false);
        }
    }

    /// Its job was finished then, and its window stays. False when there is none, or this was known.
    pub(super) fn keep_window(&mut self, number: u64, since: WallTime) -> bool {
        match self.windows.get_mut(&number) {
            Some(window @ Window::InUse) => {
                *window = Window::Kept(since);
                self.kept.insert((since, number))
            }
            Some(Window::Kept(_) | Window::Closing) | None => false,
        }
    }

    /// A window that was kept open was told to go.
    pub(super) fn close_window(&mut self, number: u64) {
        if let Some(window) = self.windows.get_mut(&number)
            && let Window::Kept(since) = *window
        {
            *window = Window::Closing;
            self.kept.remove(&(since, number));
            self.closing += 1;
        }
    }

    /// The window to close now, so that a job that waits for one alone can go; call again until there is none.
    pub(super) fn evict(&mut self) -> Option<u64> {
        let Limits { slots, launches_max, windows_max, windows_evict, .. } = self.limits;
        let free = (slots.get().saturating_sub(self.running)).min(launches_max.get().saturating_sub(self.launching));
        if !windows_evict || free == 0 || self.has_window() {
            return None;
        }
        // What was told to go makes room first for those that are too many.
        let making_room = (self.closing + windows_max.get()).saturating_sub(self.windows.len());
        if self.line.wanting_windows(free) <= making_room {
            return None;
        }
        let (_, number) = *self.kept.first()?;
        self.close_window(number);
        Some(number)
    }

    /// Why a job waits, at this place in the line.
    fn reason(&self, want: &Want, position: usize) -> QueueReason {
        let slots_free = self.limits.slots.get().saturating_sub(self.running);
        if want.profile.as_ref().is_some_and(|profile| self.line.is_taken(profile)) {
            QueueReason::Profile
        } else if want.window && !self.has_window() {
            QueueReason::Window
        } else if position > slots_free {
            QueueReason::Slot
        } else if self.launching >= self.limits.launches_max.get() {
            QueueReason::Launch
        } else {
            QueueReason::Memory
        }
    }

    /// The same in words, for a person.
    pub(super) fn words(&self, reason: QueueReason, want: &Want) -> String {
        let Limits { slots, launches_max, memory_floor_bytes, windows_max, .. } = &self.limits;
        match reason {
            QueueReason::Slot => format!("waits for a slot; this runner has {slots}"),
            QueueReason::Launch => format!("waits for other browsers to come up; {launches_max} may do so at once"),
            QueueReason::Memory => format!("waits for memory; less than {} MiB is available", memory_floor_bytes / MIB),
            QueueReason::Window => {
                let kept = self.load().windows_kept;
                format!("waits for a window; {windows_max} may be open, and {kept} are kept open")
            }
            QueueReason::Profile => {
                let key = want.profile.as_deref().unwrap_or_default();
                let (_, name) = key.split_once('/').unwrap_or(("", key));
                format!("waits for the profile {name:?}, which the browser of another task has")
            }
        }
    }
}

/// So many bytes to a MiB.
pub(super) const MIB: u64 = 1 << 20;
