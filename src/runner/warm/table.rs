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

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use uuid::Uuid;

    use super::*;

    fn task(number: u128) -> Task {
        Task::new(Uuid::from_u128(number))
    }

    fn hears(table: &mut Table, task: Task, number: u64) {
        table.hears(number);
        table.tells(task, number, Told::Browser(Vec::new()));
    }

    #[test]
    fn a_message_is_acknowledged_once_everybody_before_it_has_taken_in_theirs() {
        let ((tell, _told), mut table) = (mpsc::channel(1), Table::default());
        let [first, second] = [task(1), task(2)];
        table.seat(first, tell.clone(), Stage::Open);
        table.seat(second, tell, Stage::Open);
        hears(&mut table, first, 3);
        hears(&mut table, second, 4);
        table.hears(5);
        table.took_in(second, 4);
        assert_eq!(table.acknowledge(true), Some(2), "the first has not taken in the third");
        assert_eq!(table.acknowledge(true), None, "once is enough");
        table.took_in(first, 3);
        assert_eq!(table.acknowledge(false), None, "there is no hurry");
        assert_eq!(table.acknowledge(true), Some(5));
        table.hears(5 + UNACKNOWLEDGED_MAX);
        assert_eq!(table.acknowledge(false), Some(5 + UNACKNOWLEDGED_MAX), "what is nobody's is not kept for ever");
    }

    #[test]
    fn who_listens_no_more_holds_nothing_back() {
        let (tell, told) = mpsc::channel(1);
        let mut table = Table::default();
        table.seat(task(1), tell, Stage::Open);
        hears(&mut table, task(1), 1);
        assert!(table.clear().is_empty() && table.has_waiting());
        drop(told);
        assert_eq!(table.clear().len(), 1);
        assert!(table.is_empty() && !table.has_waiting() && table.all_taken_in());
        assert_eq!(table.acknowledge(true), Some(1));
    }

    #[test]
    fn an_end_is_due_at_the_earliest_word_and_not_once_it_was_told() {
        let ((tell, _told), mut table) = (mpsc::channel(1), Table::default());
        table.seat(task(1), tell, Stage::Open);
        table.end_within(task(1), Duration::from_secs(60));
        table.end_within(task(1), Duration::ZERO);
        table.end_within(task(1), Duration::from_secs(60));
        assert!(table.end_by().is_some_and(|by| by <= Instant::now()));
        table.moves_to(task(1), Stage::Over);
        assert_eq!(table.end_by(), None);
    }
}
