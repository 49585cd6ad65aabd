//! What a ledger remembers, read from its file behind the service's back, and the promises that it must keep.

use std::{collections::BTreeMap, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

/// Longest wait for a writer; far longer than any transaction.
const BUSY_WAIT: Duration = Duration::from_secs(20);

/// One revision of a job.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) revision: u64,
    pub(crate) event: Vec<u8>,
    pub(crate) body: serde_json::Value,
}

impl Entry {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_default()
    }

    pub(crate) fn status(&self) -> &str {
        self.text("status")
    }

    pub(crate) fn is_terminal(&self) -> bool {
        phase(self.status()) == 3
    }
}

/// Every job with every revision.
pub(crate) type Histories = BTreeMap<String, Vec<Entry>>;

pub(crate) fn read(state_dir: &Path) -> Histories {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(state_dir.join("ledger.sqlite"), flags).unwrap();
    connection.busy_timeout(BUSY_WAIT).unwrap();
    let mut query =
        connection.prepare("SELECT task_id, revision, event_id, body FROM changes ORDER BY task_id, position").unwrap();
    let rows = query.query_map([], |row| {
        let task_id: [u8; 16] = row.get(0)?;
        let (revision, event, body): (i64, Vec<u8>, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
        Ok((
            task_id,
            Entry { revision: u64::try_from(revision).unwrap(), event, body: serde_json::from_str(&body).unwrap() },
        ))
    });
    let mut histories = Histories::new();
    for row in rows.unwrap() {
        let (task_id, entry) = row.unwrap();
        histories.entry(uuid::Uuid::from_bytes(task_id).to_string()).or_default().push(entry);
    }
    histories
}

/// The file, to be edited while no service has it, or locked while one does.
pub(crate) fn open(state_dir: &Path) -> Connection {
    let connection = Connection::open(state_dir.join("ledger.sqlite")).unwrap();
    connection.busy_timeout(BUSY_WAIT).unwrap();
    connection
}

/// Every transition once and in order, revisions without holes, each event once, a terminal status final.
pub(crate) fn assert_orderly(histories: &Histories) {
    for (task_id, entries) in histories {
        let told = || {
            let lines = entries.iter().map(|entry| format!("{} {}", entry.revision, entry.status()));
            format!("{task_id}: {}", lines.collect::<Vec<_>>().join(", "))
        };
        assert!(entries.iter().map(|entry| entry.revision).eq(1..=entries.len() as u64), "a hole: {}", told());
        let mut events: Vec<_> = entries.iter().map(|entry| &entry.event).collect();
        events.sort();
        events.dedup();
        assert_eq!(events.len(), entries.len(), "an event counted twice: {}", told());
        assert_eq!(entries[0].status(), "Created", "{}", told());
        let requeued = entries.iter().filter(|entry| entry.text("reason") == "Requeued").count();
        assert!(requeued <= 1, "started anew more than once: {}", told());
        let launched = entries.windows(2).filter(|pair| pair[0].body["process"] != pair[1].body["process"]).count();
        assert!(launched <= 1, "launched more than once: {}", told());
        for pair in entries.windows(2) {
            let (before, after) = (&pair[0], &pair[1]);
            assert!(phase(before.status()) <= phase(after.status()), "back in time: {}", told());
            if before.is_terminal() {
                for field in ["status", "reason", "message", "finished_at"] {
                    assert_eq!(before.body[field], after.body[field], "an end that changed: {}", told());
                }
            }
        }
    }
}

/// How far a status is on its way.
fn phase(status: &str) -> u8 {
    match status {
        "Created" => 0,
        "Running" => 1,
        "Stopping" => 2,
        "Done" | "Failed" | "Cancelled" | "TimedOut" | "Lost" => 3,
        other => panic!("unknown status {other:?}"),
    }
}
