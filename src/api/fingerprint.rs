//! What was asked for, as a few bytes: a token carries them, so that it goes on only with what it was given for.

use sha2::{Digest, Sha256};

use crate::ledger::{JobFilter, ListOrder, ListQuery};

/// Bytes of a fingerprint: a caller who mixes tokens up is told, and nobody gains by forging one.
pub(super) const FINGERPRINT_BYTES: usize = 16;

/// Tells one wish from another, whatever the order in which its parts came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(pub(super) [u8; FINGERPRINT_BYTES]);

impl Fingerprint {
    /// Of a filter.
    pub(super) fn of_filter(filter: &JobFilter) -> Self {
        let mut print = Print::default();
        print.filter(filter);
        print.done()
    }

    /// Of a list: its filter, statuses and order, but neither where a page begins nor how long it is.
    pub(super) fn of_list(query: &ListQuery) -> Self {
        let mut print = Print::default();
        print.filter(&query.filter);
        let mut statuses: Vec<_> = query.statuses.iter().map(|status| format!("{status:?}")).collect();
        statuses.sort_unstable();
        statuses.dedup();
        print.count(statuses.len());
        statuses.iter().for_each(|status| print.text(status));
        print.count(match query.order {
            ListOrder::NewestFirst => 0,
            ListOrder::OldestFirst => 1,
        });
        print.done()
    }
}

/// Each part goes in with its length, so that no two wishes run together to the same bytes.
#[derive(Default)]
struct Print(Sha256);

impl Print {
    fn filter(&mut self, filter: &JobFilter) {
        let JobFilter { task_ids, labels, created_from, created_before, url_contains } = filter;
        self.count(task_ids.len());
        task_ids.iter().for_each(|id| self.0.update(id.uuid().as_bytes()));
        self.count(labels.len());
        for (key, value) in labels {
            self.text(key);
            self.text(value);
        }
        for time in [created_from, created_before] {
            self.count(time.iter().count());
            time.iter().for_each(|time| self.0.update(time.micros().to_be_bytes()));
        }
        self.text(url_contains);
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text);
    }

    fn count(&mut self, count: usize) {
        self.0.update(u64::try_from(count).unwrap_or(u64::MAX).to_be_bytes());
    }

    fn done(self) -> Fingerprint {
        let whole: [u8; 32] = self.0.finalize().into();
        Fingerprint(*whole.first_chunk().expect("a digest is longer than a fingerprint"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::job::{Status, TaskId, WallTime};

    fn filters() -> Vec<JobFilter> {
        let all = JobFilter::default();
        let labels = |labels: &[(&str, &str)]| JobFilter {
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..all.clone()
        };
        let time = Some(WallTime::from_micros(1));
        vec![
            all.clone(),
            labels(&[("a", "bc")]),
            labels(&[("ab", "c")]),
            labels(&[("a", ""), ("bc", "")]),
            JobFilter { url_contains: "a".to_owned(), ..all.clone() },
            JobFilter { created_from: time, ..all.clone() },
            JobFilter { created_before: time, ..all.clone() },
            JobFilter { created_from: Some(WallTime::from_micros(0)), ..all.clone() },
            JobFilter { task_ids: [TaskId::new(Uuid::from_u128(1))].into(), ..all.clone() },
            JobFilter { task_ids: [1, 2].map(|id| TaskId::new(Uuid::from_u128(id))).into(), ..all },
        ]
    }

    #[test]
    fn different_filters_have_different_fingerprints_and_the_same_one_the_same() {
        let prints: Vec<_> = filters().iter().map(Fingerprint::of_filter).collect();
        for (index, print) in prints.iter().enumerate() {
            assert_eq!(prints.iter().position(|other| other == print), Some(index));
            assert_eq!(*print, Fingerprint::of_filter(&filters()[index]));
        }
    }

    #[test]
    fn a_list_is_the_same_whatever_the_order_of_its_statuses_and_the_place_of_its_page() {
        let query = |statuses: &[Status], order| ListQuery {
            filter: Arc::new(filters().swap_remove(1)),
            statuses: statuses.to_vec(),
            order,
            ..ListQuery::default()
        };
        let print = |statuses: &[Status]| Fingerprint::of_list(&query(statuses, ListOrder::NewestFirst));
        let page =
            ListQuery { limit: 3, after: Some(TaskId::new(Uuid::from_u128(9))), ..query(&[], ListOrder::NewestFirst) };
        assert_eq!(print(&[Status::Done, Status::Lost]), print(&[Status::Lost, Status::Done, Status::Lost]));
        assert_eq!(print(&[]), Fingerprint::of_list(&page));
        assert_ne!(print(&[Status::Done]), print(&[]));
        assert_ne!(print(&[]), Fingerprint::of_list(&query(&[], ListOrder::OldestFirst)));
    }
}
