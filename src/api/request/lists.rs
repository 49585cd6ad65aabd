//! What is asked of many jobs: filters, pages, watches.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{Faults, HEARTBEAT_DEFAULT, SPAN_MAX, Violation, heartbeat, labels};
use crate::{
    api::v1,
    job::{Status, TaskId, WallTime},
    ledger::{JobFilter, ListOrder, ListQuery},
};

/// Most jobs that a filter names: a page of the largest size.
const TASK_IDS_MAX: usize = 1000;
/// Longest text to look for in a URL, in bytes: most URLs are shorter.
const URL_CONTAINS_BYTES_MAX: usize = 1024;
/// Jobs of a page when no size is asked for.
const PAGE_SIZE_DEFAULT: usize = 100;
/// Most jobs of a page; it is cut by its bytes too.
const PAGE_SIZE_MAX: usize = 1000;

/// A page of jobs, as it is wanted.
#[derive(Debug)]
pub(in crate::api) struct Listing {
    /// Which jobs; where to begin and how many to read is the page's own matter.
    pub(in crate::api) query: ListQuery,
    /// At most so many on the page.
    pub(in crate::api) page_size: usize,
}

pub(in crate::api) fn listing(request: &v1::ListJobsRequest) -> Result<Listing, Vec<Violation>> {
    let mut faults = Faults::default();
    let page_size = match usize::try_from(request.page_size) {
        Ok(0) => PAGE_SIZE_DEFAULT,
        Ok(size) => size.min(PAGE_SIZE_MAX),
        Err(_) => {
            let remedy = format!("{} is negative; give 1 to {PAGE_SIZE_MAX}, or 0 for the default", request.page_size);
            faults.add("page_size", "PAGE_SIZE_INVALID", remedy);
            PAGE_SIZE_DEFAULT
        }
    };
    let filter = Arc::new(filter(&mut faults, request.filter.as_ref()));
    let statuses = statuses(&mut faults, &request.statuses);
    let order = order(&mut faults, request.order);
    let query = ListQuery { filter, statuses, order, ..ListQuery::default() };
    faults.ok(Some(Listing { query, page_size }))
}

/// A watch of many jobs, as it is wanted.
#[derive(Debug)]
pub(in crate::api) struct ManyWatched {
    /// Which jobs.
    pub(in crate::api) filter: Arc<JobFilter>,
    /// A snapshot also has what finished within this time.
    pub(in crate::api) since: Option<Duration>,
    /// Longest silence.
    pub(in crate::api) heartbeat: Duration,
}

pub(in crate::api) fn many_watched(request: &v1::WatchJobsRequest) -> Result<ManyWatched, Vec<Violation>> {
    let mut faults = Faults::default();
    let filter = Arc::new(filter(&mut faults, request.filter.as_ref()));
    let since = faults.span("since", request.since.as_ref(), SPAN_MAX);
    let heartbeat = heartbeat(request.heartbeat_interval.as_ref()).unwrap_or_else(|violations| {
        faults.0.extend(violations);
        HEARTBEAT_DEFAULT
    });
    faults.ok(Some(ManyWatched { filter, since, heartbeat }))
}

fn filter(faults: &mut Faults, filter: Option<&v1::JobFilter>) -> JobFilter {
    let Some(given) = filter else { return JobFilter::default() };
    if given.url_contains.len() > URL_CONTAINS_BYTES_MAX {
        let length = given.url_contains.len();
        let remedy = format!("has {length} bytes; at most {URL_CONTAINS_BYTES_MAX} are taken");
        faults.add("filter.url_contains", "TEXT_TOO_LONG", remedy);
    }
    let created_from = time(faults, "filter.created_after", given.created_after.as_ref());
    let created_before = time(faults, "filter.created_before", given.created_before.as_ref());
    if created_from.zip(created_before).is_some_and(|(from, before)| from > before) {
        let remedy = "lies before created_after, so no job could match; exchange them";
        faults.add("filter.created_before", "TIME_RANGE_INVALID", remedy);
    }
    JobFilter {
        task_ids: task_ids(faults, &given.task_ids),
        labels: labels(faults, "filter.labels", &given.labels),
        created_from,
        created_before,
        url_contains: given.url_contains.clone(),
    }
}

fn task_ids(faults: &mut Faults, texts: &[String]) -> BTreeSet<TaskId> {
    if texts.len() > TASK_IDS_MAX {
        let count = texts.len();
        faults.add("filter.task_ids", "TOO_MANY", format!("has {count} entries; at most {TASK_IDS_MAX} are taken"));
        return BTreeSet::new();
    }
    let mut ids = BTreeSet::new();
    for (index, text) in texts.iter().enumerate() {
        match text.parse() {
            Ok(id) => drop(ids.insert(id)),
            Err(error) => {
                let error: crate::job::TaskIdError = error;
                faults.add(format!("filter.task_ids[{index}]"), "TASK_ID_INVALID", error.to_string());
            }
        }
    }
    ids
}

/// The first microsecond at or after a time: jobs are accepted at whole ones, so both bounds mean the same then. A time
/// before 1970 lies before every job, as 1970 does.
fn time(faults: &mut Faults, field: &str, time: Option<&prost_types::Timestamp>) -> Option<WallTime> {
    const MICROS_PER_SECOND: i64 = 1_000_000;
    const NANOS_PER_MICRO: i32 = 1_000;
    const NANOS_MAX: i32 = 999_999_999;
    let time = time?;
    let micros = time.seconds.checked_mul(MICROS_PER_SECOND);
    match micros {
        Some(micros) if (0..=NANOS_MAX).contains(&time.nanos) => {
            let within = (time.nanos + NANOS_PER_MICRO - 1) / NANOS_PER_MICRO;
            Some(WallTime::from_micros(u64::try_from(micros.saturating_add(within.into())).unwrap_or_default()))
        }
        Some(_) | None => {
            faults.add(field, "TIMESTAMP_INVALID", "is not a time; give one such as \"2027-01-15T08:00:00Z\"");
            None
        }
    }
}

fn statuses(faults: &mut Faults, values: &[i32]) -> Vec<Status> {
    use v1::job::Status as Wire;
    let mut statuses = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let status = match Wire::try_from(*value) {
            Ok(Wire::Created) => Status::Created,
            Ok(Wire::Running) => Status::Running,
            Ok(Wire::Done) => Status::Done,
            Ok(Wire::Failed) => Status::Failed,
            Ok(Wire::Stopping) => Status::Stopping,
            Ok(Wire::Cancelled) => Status::Cancelled,
            Ok(Wire::TimedOut) => Status::TimedOut,
            Ok(Wire::Lost) => Status::Lost,
            Ok(Wire::Unspecified) | Err(_) => {
                let remedy = format!("{value} is not a status; give one such as RUNNING, or none for any");
                faults.add(format!("statuses[{index}]"), "ENUM_UNKNOWN", remedy);
                continue;
            }
        };
        // A status that is named twice means the same, and the list stays as short as there are statuses.
        if !statuses.contains(&status) {
            statuses.push(status);
        }
    }
    statuses
}

fn order(faults: &mut Faults, value: i32) -> ListOrder {
    use v1::list_jobs_request::Order as Wire;
    match Wire::try_from(value) {
        Ok(Wire::Unspecified | Wire::NewestFirst) => ListOrder::NewestFirst,
        Ok(Wire::OldestFirst) => ListOrder::OldestFirst,
        Err(_) => {
            let remedy = format!("{value} is not an order; give NEWEST_FIRST or OLDEST_FIRST");
            faults.add("order", "ENUM_UNKNOWN", remedy);
            ListOrder::NewestFirst
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(seconds: i64, nanos: i32) -> Option<u64> {
        let mut faults = Faults::default();
        let read = time(&mut faults, "filter.created_after", Some(&prost_types::Timestamp { seconds, nanos }));
        assert_eq!(read.is_none(), faults.0.len() == 1);
        read.map(WallTime::micros)
    }

    #[test]
    fn a_time_between_two_microseconds_is_the_later_one() {
        assert_eq!(read(5, 1000), Some(5_000_001));
        assert_eq!(read(5, 1001), Some(5_000_002));
        assert_eq!(read(5, 999_999_999), Some(6_000_000));
        assert_eq!((read(0, 0), read(-7, 5)), (Some(0), Some(0)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (seconds, nanos) in [(0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MIN, 0)] {
            assert_eq!(read(seconds, nanos), None);
        }
    }
}
