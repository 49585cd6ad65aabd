//! The latest entries of the tail in memory, so that many who follow a busy ledger do not each read the store.

use std::{
    collections::{HashSet, VecDeque},
    sync::{PoisonError, RwLock},
};

use super::{Position, TailEntry};
use crate::job::TaskId;

/// Entries kept: four of the largest commits, so that whoever is a few wakes behind is still served from here. When
/// it is full the oldest goes, and is read from the store by whoever still needs it.
const ENTRIES_MAX: usize = 1024;

/// Bytes kept, by the length of the entries at rest: a few jobs with large reports must not take as much memory as
/// many ordinary ones. Far more than ordinary ones take.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// The end of the tail, grown by the writer before it rings.
#[derive(Debug)]
pub(super) struct Recent(RwLock<Entries>);

#[derive(Debug)]
struct Entries {
    /// Everything after this position is here, one entry for each.
    base: Position,
    held: VecDeque<Held>,
    bytes: usize,
}

#[derive(Debug)]
struct Held {
    /// None once the job is forgotten.
    entry: Option<TailEntry>,
    bytes: usize,
}

impl Recent {
    /// Empty, behind what the store holds.
    pub(super) fn new(base: Position) -> Self {
        Self(RwLock::new(Entries { base, held: VecDeque::new(), bytes: 0 }))
    }

    /// Adds the entry of the next position, which takes so many bytes at rest.
    pub(super) fn push(&self, position: Position, entry: TailEntry, bytes: usize) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        debug_assert_eq!(position, entries.position_of(entries.held.len()), "an entry was never published");
        entries.held.push_back(Held { entry: Some(entry), bytes });
        entries.bytes += bytes;
        while entries.held.len() > ENTRIES_MAX || entries.bytes > BYTES_MAX {
            entries.drop_oldest();
        }
    }

    /// Takes the changes of these jobs away, as the store did.
    pub(super) fn forget(&self, jobs: &[TaskId]) {
        let jobs: HashSet<&TaskId> = jobs.iter().collect();
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut freed = 0;
        for held in &mut entries.held {
            if matches!(&held.entry, Some(TailEntry::Change(job)) if jobs.contains(&job.id)) {
                held.entry = None;
                freed += std::mem::take(&mut held.bytes);
            }
        }
        entries.bytes -= freed;
    }

    /// At most `limit` entries after a position.
    pub(super) fn after(&self, after: Position, limit: usize) -> Answered {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let end = Position::new(entries.position_of(entries.held.len()).number() - 1);
        if after > end {
            return Answered::Ahead;
        }
        let Some(skipped) = after.number().checked_sub(entries.base.number()) else {
            return Answered::InStore { up_to: end };
        };
        let known = entries.held.iter().enumerate().skip(usize::try_from(skipped).unwrap_or(usize::MAX));
        let entry = |(index, held): (usize, &Held)| Some((entries.position_of(index), held.entry.clone()?));
        Answered::Here(known.filter_map(entry).take(limit).collect())
    }
}

/// What is known here of the tail behind a position.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// These entries follow.
    Here(Vec<(Position, TailEntry)>),
    /// Only the store knows. It may hold more than has been shown, which ends at this position.
    InStore {
        /// That position.
        up_to: Position,
    },
    /// Nothing has been shown that far.
    Ahead,
}

impl Entries {
    fn position_of(&self, index: usize) -> Position {
        Position::new(self.base.number() + u64::try_from(index).unwrap_or(u64::MAX) + 1)
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.held.pop_front() {
            self.base = Position::new(self.base.number() + 1);
            self.bytes -= oldest.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(number: u64) -> TaskId {
        TaskId::new(Uuid::from_u128(u128::from(number)))
    }

    fn filled(base: u64, count: u64, bytes: usize) -> Recent {
        let recent = Recent::new(Position::new(base));
        for number in base + 1..=base + count {
            recent.push(Position::new(number), TailEntry::Removed(id(number)), bytes);
        }
        recent
    }

    fn positions(recent: &Recent, after: u64, limit: usize) -> Option<Vec<u64>> {
        match recent.after(Position::new(after), limit) {
            Answered::Here(entries) => Some(entries.into_iter().map(|(position, _)| position.number()).collect()),
            Answered::InStore { .. } | Answered::Ahead => None,
        }
    }

    #[test]
    fn it_answers_from_its_base_on_and_knows_its_end() {
        let recent = filled(10, 5, 1);
        assert_eq!(recent.after(Position::new(9), 9), Answered::InStore { up_to: Position::new(15) });
        assert_eq!(positions(&recent, 10, 9), Some(vec![11, 12, 13, 14, 15]));
        assert_eq!(positions(&recent, 12, 2), Some(vec![13, 14]));
        assert_eq!(positions(&recent, 15, 9), Some(vec![]));
        assert_eq!(recent.after(Position::new(16), 9), Answered::Ahead);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_too_large() {
        let most = u64::try_from(ENTRIES_MAX).unwrap();
        let recent = filled(0, most + 3, 1);
        assert_eq!(positions(&recent, 2, 1), None);
        assert_eq!(positions(&recent, 3, 1), Some(vec![4]));
        let large = filled(0, 9, BYTES_MAX / 3);
        assert_eq!(positions(&large, 6, 9), Some(vec![7, 8, 9]));
        assert_eq!(positions(&large, 5, 9), None);
        let larger = filled(0, 1, BYTES_MAX + 1);
        assert_eq!(positions(&larger, 0, 9), None, "one that is too large by itself is not kept either");
        assert_eq!(positions(&larger, 1, 9), Some(vec![]));
    }
}
