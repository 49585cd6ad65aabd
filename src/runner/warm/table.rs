//! Who sits in one warm browser: what each is still to be told, what it has taken in, until when its end may take.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{OwnedPermit, Sender};

use super::Task;
use crate::process::{Numbered, Told};

/// Everybody who sits in one warm browser.
#[derive(Default)]
pub(super) struct Table {
    guests: BTreeMap<Task, Guest>,
    /// What was heard and waits for room; nothing more is heard meanwhile.
    waiting: VecDeque<(Task, Numbered)>,
    heard: u64,
    acknowledged: u64,
}

/// One job.
struct Guest {
    tell: Sender<Numbered>,
    /// What it was told and has not taken in; at most what its channel holds and one more.
    unheard: VecDeque<u64>,
    stage: Stage,
    /// When its context must be gone.
    end_by: Option<Instant>,
}

/// How far a job's share has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not got the word.
    Seated,
    /// Its context is asked for.
    Opening,
    /// Its context is there.
    Open,
    /// It was told the end: nothing more is.
    Over,
}

/// How many messages may stay unacknowledged by us although everybody has taken them in: most mean nothing.
const UNACKNOWLEDGED_MAX: u64 = 64;

impl Table {
    pub(super) fn seat(&mut self, task: Task, tell: Sender<Numbered>, stage: Stage) {
        self.guests.insert(task, Guest { tell, unheard: VecDeque::new(), stage, end_by: None });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.guests.is_empty()
    }

    pub(super) fn stage(&self, task: Task) -> Option<Stage> {
        self.guests.get(&task).map(|guest| guest.stage)
    }

    pub(super) fn moves_to(&mut self, task: Task, stage: Stage) {
        if let Some(guest) = self.guests.get_mut(&task) {
            guest.stage = stage;
        }
    }

    /// Those at one of these stages.
    pub(super) fn at(&self, stages: &[Stage]) -> Vec<Task> {
        self.guests.iter().filter(|(_, guest)| stages.contains(&guest.stage)).map(|(task, _)| *task).collect()
    }

    /// A message of the browser's shim came.
    pub(super) fn hears(&mut self, number: u64) {
        self.heard = self.heard.max(number);
    }

    /// It says this to that job.
    pub(super) fn tells(&mut self, task: Task, number: u64, told: Told) {
        let Some(guest) = self.guests.get_mut(&task) else { return };
        guest.unheard.push_back(number);
        self.waiting.push_back((task, Numbered { number, told }));
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whom the next message is for.
    pub(super) fn next_listener(&self) -> Option<Sender<Numbered>> {
        let (task, _) = self.waiting.front()?;
        self.guests.get(task).map(|guest| guest.tell.clone())
    }

    /// Tells the next message, now that there is room.
    pub(super) fn tell_next(&mut self, permit: OwnedPermit<Numbered>) {
        if let Some((_, numbered)) = self.waiting.pop_front() {
            permit.send(numbered);
        }
    }

    /// A job has taken in everything up to this number.
    pub(super) fn took_in(&mut self, task: Task, number: u64) {
        if let Some(guest) = self.guests.get_mut(&task) {
            while guest.unheard.front().is_some_and(|first| *first <= number) {
                guest.unheard.pop_front();
            }
        }
    }

    /// Up to where everybody has taken in everything, if it is time to say so.
    pub(super) fn acknowledge(&mut self, at_once: bool) -> Option<u64> {
        let open = self.guests.values().filter_map(|guest| guest.unheard.front());
        let upto = open.min().map_or(self.heard, |first| first - 1);
        let news = upto.saturating_sub(self.acknowledged);
        let due = news >= UNACKNOWLEDGED_MAX || (at_once && news > 0);
        due.then(|| {
            self.acknowledged = upto;
            upto
        })
    }

    /// Whether there is nothing that a job has been told and not taken in.
    pub(super) fn all_taken_in(&self) -> bool {
        self.guests.values().all(|guest| guest.unheard.is_empty())
    }

    /// Takes away those that listen no more, and names them with how far they had come.
    pub(super) fn clear(&mut self) -> Vec<(Task, Stage)> {
        let gone: Vec<(Task, Stage)> = self
            .guests
            .iter()
            .filter(|(_, guest)| guest.tell.is_closed())
            .map(|(task, guest)| (*task, guest.stage))
            .collect();
        for (task, _) in &gone {
            self.guests.remove(task);
        }
        self.waiting.retain(|(task, _)| self.guests.contains_key(task));
        gone
    }

    /// A job's context must be gone within this time; an earlier word stands.
    pub(super) fn end_within(&mut self, task: Task, span: Duration) {
        if let Some(guest) = self.guests.get_mut(&task) {
            let by = Instant::now() + span;
            guest.end_by = Some(guest.end_by.map_or(by, |before| before.min(by)));
        }
    }

    /// When the first context must be gone.
    pub(super) fn end_by(&self) -> Option<Instant> {
        let ending = self.guests.values().filter(|guest| guest.stage != Stage::Over);
        ending.filter_map(|guest| guest.end_by).min()
    }

    /// Nobody will be told anything any more.
    pub(super) fn dissolve(&mut self) {
        self.guests.clear();
        self.waiting.clear();
    }
}
