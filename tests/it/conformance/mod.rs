//! What every ledger promises: each rule runs against a store that can be opened again and again.

use std::{future::Future, sync::Arc, time::Duration};

use comet_task_runner::{
    job::{Job, TaskId},
    ledger::{Append, Appended, JobLog, Ledger, Position, TailEntry},
};

pub(crate) mod appending;
pub(crate) mod keeping;
pub(crate) mod listing;
pub(crate) mod logs;
pub(crate) mod tailing;

/// A store on which the rules are tried. Empty at first; opened anew, it is what it was when it was closed.
pub(crate) trait Store {
    fn open(&self) -> Arc<dyn Ledger>;
}

/// Far longer than anything here takes on a busy machine; reached only when something hangs.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("answered within the deadline")
}

pub(crate) async fn append(ledger: &dyn Ledger, append: &Append) -> Appended {
    within(ledger.append(append.clone())).await
}

pub(crate) async fn committed(ledger: &dyn Ledger, change: &Append) -> Arc<JobLog> {
    match append(ledger, change).await {
        Appended::Committed(log) => log,
        other => panic!("not committed: {other:?}"),
    }
}

/// Appends a life, or a part of one. The log is held by whoever takes it.
pub(crate) async fn lived(ledger: &dyn Ledger, life: &[Append]) -> Arc<JobLog> {
    let mut log = None;
    for change in life {
        log = Some(committed(ledger, change).await);
    }
    log.expect("a life has changes")
}

pub(crate) fn jobs(life: &[Append]) -> Vec<Arc<Job>> {
    life.iter().map(|change| Arc::clone(&change.job)).collect()
}

pub(crate) fn id_of(life: &[Append]) -> TaskId {
    life[0].job.id
}

pub(crate) fn last(life: &[Append]) -> Arc<Job> {
    Arc::clone(&life.last().unwrap().job)
}

/// The tail from its start, read three entries at a time so that the seams are tried too.
pub(crate) async fn whole_tail(ledger: &dyn Ledger) -> Vec<(Position, TailEntry)> {
    let mut entries: Vec<(Position, TailEntry)> = Vec::new();
    loop {
        let after = entries.last().map_or(Position::START, |(position, _)| *position);
        let more = within(ledger.tail(after, 3)).await.unwrap();
        if more.is_empty() {
            return entries;
        }
        assert!(more.len() <= 3, "no more than were asked for");
        assert!(more[0].0 > after && more.is_sorted_by(|one, next| one.0 < next.0), "each position once, forward");
        entries.extend(more);
    }
}
