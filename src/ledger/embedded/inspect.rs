//! Looking at a store without touching it: for a person who wants to know whether it is well.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use url::Url;

use super::schema::{self, OpenError, SCHEMA_VERSION};

/// What was found of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// The version of its tables; 0 for one that is still empty.
    pub version: i64,
    /// The version that this program brings it to.
    pub newest: i64,
    /// How many jobs it remembers.
    pub jobs: u64,
}

/// Reads all of a store once and checks it. Blocks for as long as that takes.
pub(super) fn inspect(path: &Path) -> Result<Inspected, OpenError> {
    let failed = |error: rusqlite::Error| schema::open_error(path, &error);
    let store = open(path).map_err(failed)?;
    let version = schema::refuse_unknown(&store, path)?;
    let verdict: String = store.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if verdict != "ok" {
        return Err(OpenError::Damaged { path: path.to_owned(), detail: verdict });
    }
    let jobs = if version == 0 {
        0
    } else {
        store.query_row("SELECT count(*) FROM jobs", [], |row| row.get::<_, i64>(0)).map_err(failed)?
    };
    Ok(Inspected { version, newest: SCHEMA_VERSION, jobs: u64::try_from(jobs).unwrap_or_default() })
}

/// Where nothing waits in a write-ahead log, nobody has the store open: it is read without making one.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match Url::from_file_path(path) {
        Ok(mut url) if !Path::new(&log).exists() => {
            url.set_query(Some("immutable=1"));
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(url.as_str(), flags)
        }
        Ok(_) | Err(()) => schema::open_reader(path),
    }
}
