//! The latest entries, bounded in number and in bytes: the oldest go.

use std::{collections::VecDeque, sync::Arc};

use super::{LogBatch, LogEntry};

/// Most entries: what a person scrolls through.
const ENTRIES_MAX: usize = 1000;
/// Most bytes of them: a hundred live jobs then take no more than a browser tab does.
const BYTES_MAX: usize = 256 * 1024;
/// What an entry takes beside its texts, about.
const ENTRY_BYTES: usize = 64;
/// Most entries of one message to a reader, and most bytes of their texts: it is then answered in pieces.
const BATCH_ENTRIES_MAX: usize = 200;
const BATCH_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Ring {
    /// Without holes, so that a number is a place.
    entries: VecDeque<Arc<LogEntry>>,
    bytes: usize,
    last: u64,
}

impl Ring {
    /// Those of an earlier service, the last of which had this number.
    pub(super) fn of(last: u64, entries: Vec<Arc<LogEntry>>) -> Self {
        let mut ring = Self { last, ..Self::default() };
        // Of a file that others may have changed: only an unbroken end is believed.
        for entry in entries.into_iter().rev() {
            if entry.number != ring.first_number() - 1 || entry.number == 0 {
                break;
            }
            ring.bytes += bytes(&entry);
            ring.entries.push_front(entry);
        }
        ring.shrink();
        ring
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn entries(&self) -> Vec<Arc<LogEntry>> {
        self.entries.iter().map(Arc::clone).collect()
    }

    pub(super) fn push(&mut self, entry: impl FnOnce(u64) -> LogEntry) {
        self.last += 1;
        let entry = Arc::new(entry(self.last));
        self.bytes += bytes(&entry);
        self.entries.push_back(entry);
        self.shrink();
    }

    pub(super) fn after(&self, number: u64, wanted: impl Fn(&LogEntry) -> bool) -> LogBatch {
        let first = self.first_number();
        let begin = number.saturating_add(1).max(first);
        let dropped = begin - number.saturating_add(1).min(begin);
        let mut batch = LogBatch { dropped, last: number.max(first - 1), ..LogBatch::default() };
        let mut bytes_taken = 0;
        let skipped = usize::try_from(begin - first).unwrap_or(usize::MAX);
        for entry in self.entries.iter().skip(skipped) {
            if wanted(entry) {
                bytes_taken += bytes(entry);
                let full = batch.entries.len() == BATCH_ENTRIES_MAX || bytes_taken > BATCH_BYTES_MAX;
                if full && !batch.entries.is_empty() {
                    batch.more = true;
                    break;
                }
                batch.entries.push(Arc::clone(entry));
            }
            batch.last = entry.number;
        }
        batch
    }

    /// The number of the oldest that is still there; of the next one when none is.
    fn first_number(&self) -> u64 {
        self.last + 1 - u64::try_from(self.entries.len()).unwrap_or_default()
    }

    fn shrink(&mut self) {
        while self.entries.len() > ENTRIES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= bytes(&oldest);
        }
    }
}

fn bytes(entry: &LogEntry) -> usize {
    entry.text.len() + entry.url.len() + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        job::WallTime,
        runner::log::{LogLevel, LogSource},
    };

    fn entry(number: u64, text: &str) -> LogEntry {
        let (source, level) =
            (LogSource::Output, if number.is_multiple_of(2) { LogLevel::Error } else { LogLevel::Info });
        LogEntry {
            number,
            at: WallTime::from_micros(number),
            source,
            level,
            text: text.to_owned(),
            url: String::new(),
            line: None,
        }
    }

    fn of(count: u64, text: &str) -> Ring {
        let mut ring = Ring::default();
        (0..count).for_each(|_| ring.push(|number| entry(number, text)));
        ring
    }

    fn numbers(batch: &LogBatch) -> Vec<u64> {
        batch.entries.iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn the_oldest_go_first_by_number_and_by_bytes() {
        let ring = of(2500, "x");
        assert_eq!((ring.first_number(), ring.last()), (1501, 2500));
        let ring = of(500, &"x".repeat(4096));
        assert!(ring.bytes <= BYTES_MAX && ring.entries.len() == BYTES_MAX / (4096 + ENTRY_BYTES), "{}", ring.bytes);
        assert_eq!(ring.bytes, ring.entries.iter().map(|entry| bytes(entry)).sum::<usize>());
    }

    #[test]
    fn a_reader_is_told_how_many_were_gone_before_it_came() {
        let ring = of(2500, "x");
        for (after, dropped, first) in [(0, 1500, 1501), (1000, 500, 1501), (1500, 0, 1501), (1700, 0, 1701)] {
            let batch = ring.after(after, |_| true);
            assert_eq!((batch.dropped, numbers(&batch)[0]), (dropped, first), "after {after}");
        }
        let batch = ring.after(2500, |_| true);
        assert_eq!((batch.dropped, batch.last, batch.entries.len(), batch.more), (0, 2500, 0, false));
        assert_eq!(Ring::default().after(0, |_| true).last, 0);
    }

    #[test]
    fn a_log_is_read_in_pieces_without_a_hole_whatever_is_wanted() {
        for text in ["x".to_owned(), "x".repeat(4000)] {
            let ring = of(900, &text);
            let (mut told, mut read, mut pieces) = (0, Vec::new(), 0);
            loop {
                let batch = ring.after(told, |entry| entry.level == LogLevel::Error);
                let bytes: usize = batch.entries.iter().map(|entry| bytes(entry)).sum();
                assert!(batch.entries.len() <= BATCH_ENTRIES_MAX && bytes <= BATCH_BYTES_MAX);
                (told, pieces) = (batch.last, pieces + 1);
                read.extend(numbers(&batch));
                if !batch.more {
                    break;
                }
            }
            let expected: Vec<u64> = (ring.first_number()..=900).filter(|number| number % 2 == 0).collect();
            assert_eq!((read, told), (expected, 900));
            assert!(pieces > 1, "it is more than goes into one message");
        }
    }

    #[test]
    fn of_a_file_only_an_unbroken_end_is_believed() {
        let kept = |numbers: &[u64]| numbers.iter().map(|number| Arc::new(entry(*number, "x"))).collect::<Vec<_>>();
        for (last, numbers, believed) in [
            (5, vec![3, 4, 5], vec![3, 4, 5]),
            (5, vec![1, 2, 4, 5], vec![4, 5]),
            (9, vec![4, 5], vec![]),
            (1, vec![0, 1], vec![1]),
        ] {
            let ring = Ring::of(last, kept(&numbers));
            let found: Vec<u64> = ring.entries.iter().map(|entry| entry.number).collect();
            assert_eq!((found, ring.last()), (believed, last), "{numbers:?}");
        }
    }
}
