//! What every ledger promises: each rule runs against a store that can be opened again and again.

use std::{collections::HashSet, future::Future, sync::Arc, time::Duration};

use comet_task_runner::{
    job::{EventId, Job, TaskId, WallTime},
    ledger::{Append, Appended, Fault, Health, JobLog, Ledger, Position, ReadError, RequestKey, TailEntry},
};
use uuid::Uuid;

use crate::lives::{BORN_AT, RETENTION, life, life_from};

/// A store on which the rules are tried. Empty at first; opened anew, it is what it was when it was closed.
pub(crate) trait Store {
    fn open(&self) -> Arc<dyn Ledger>;
}

/// Far longer than anything here takes on a busy machine; reached only when something hangs.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("answered within the deadline")
}

pub(crate) async fn committed(ledger: &dyn Ledger, append: &Append) -> Arc<JobLog> {
    match within(ledger.append(append.clone())).await {
        Appended::Committed(log) => log,
        other => panic!("not committed: {other:?}"),
    }
}

/// Appends a whole life; the log is still held.
pub(crate) async fn lived(ledger: &dyn Ledger, life: &[Append]) -> Arc<JobLog> {
    let mut log = None;
    for append in life {
        log = Some(committed(ledger, append).await);
    }
    log.unwrap()
}

pub(crate) fn jobs(life: &[Append]) -> Vec<Arc<Job>> {
    life.iter().map(|append| Arc::clone(&append.job)).collect()
}

fn id_of(life: &[Append]) -> TaskId {
    life[0].job.id
}

pub(crate) async fn a_life_is_read_back_as_it_was_appended(store: &impl Store) {
    let ledger = store.open();
    let life = life();
    let log = lived(&*ledger, &life).await;
    assert_eq!(log.all_after(0), jobs(&life));
    assert_eq!(log.latest(), life.last().unwrap().job);
    drop(log);
    let id = id_of(&life);
    assert_eq!(within(ledger.latest(id)).await, Ok(Some(Arc::clone(&life.last().unwrap().job))));
    assert_eq!(within(ledger.history(id, 0)).await, Ok(jobs(&life)));
    assert_eq!(within(ledger.history(id, 7)).await, Ok(jobs(&life[7..])));
    assert_eq!(within(ledger.history(id, 99)).await, Ok(Vec::new()));
    within(ledger.close()).await;
}
