//! The store on disk: how its file is opened, checked and brought up to date.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::ledger::{LedgerId, Position};

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or its directory cannot be used.
    #[error("cannot use the store {}: {source}", path.display())]
    File {
        /// The store.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is some other program's.
    #[error("{} is not a store of this program; name another state directory", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer program wrote it.
    #[error(
        "the store {} has version {found}, and this program knows versions up to {SCHEMA_VERSION}; \
         use the newer program, or another state directory",
        path.display()
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// Its content cannot be right.
    #[error(
        "the store {} is damaged ({detail}); put back a copy of it, or move it aside to begin with an empty one",
        path.display()
    )]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The database refused.
    #[error("cannot open the store {}: {detail}", path.display())]
    Refused {
        /// The store.
        path: PathBuf,
        /// What the database says.
        detail: String,
    },
    /// The program was linked with a database that can lose commits.
    #[error("SQLite {found} can lose commits; this program needs 3.51.3 or later")]
    UnsafeDatabase {
        /// Its version.
        found: &'static str,
    },
}

/// SQLite before 3.51.3 could overwrite a WAL that another connection still needed.
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// "CTRL" as a number: tells our files from other SQLite files.
const APPLICATION_ID: i64 = 0x4354_524c;

/// The version that [`MIGRATIONS`] lead to.
pub(super) const SCHEMA_VERSION: i64 = 2;

/// Each entry leads from the version that is its index to the next. Entries are added, never edited.
///
/// The latest revision of a job sits where its row in `jobs` points. A job has an expiry once it is settled. The
/// others are looked for by reading the list, 10 ms for 100,000, so that no index of them costs each commit. A removal
/// takes the place of a job's changes in the tail.
///
/// From version 2 on, a row of `jobs` has what jobs are listed by, as it stands in the latest body. Labels have rows of
/// their own, in the order of the ids: each new one goes to the end, where a commit finds it cheapest.
const MIGRATIONS: [&str; 2] = [
    "
    CREATE TABLE store (ledger_id BLOB NOT NULL, forgotten_up_to INTEGER NOT NULL);
    INSERT INTO store VALUES (randomblob(16), 0);
    CREATE TABLE jobs (
        task_id BLOB PRIMARY KEY,
        revision INTEGER NOT NULL,
        position INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        request_id BLOB,
        request_hash BLOB
    ) WITHOUT ROWID;
    CREATE INDEX jobs_expiring ON jobs (expires_at) WHERE expires_at IS NOT NULL;
    CREATE UNIQUE INDEX jobs_by_request ON jobs (request_id) WHERE request_id IS NOT NULL;
    CREATE TABLE changes (
        position INTEGER PRIMARY KEY,
        task_id BLOB NOT NULL,
        revision INTEGER NOT NULL,
        event_id BLOB NOT NULL,
        body TEXT NOT NULL
    );
    CREATE UNIQUE INDEX changes_by_job ON changes (task_id, revision);
    CREATE TABLE removals (position INTEGER PRIMARY KEY, task_id BLOB NOT NULL);
",
    "
    ALTER TABLE jobs ADD COLUMN status TEXT;
    ALTER TABLE jobs ADD COLUMN finished_at INTEGER;
    ALTER TABLE jobs ADD COLUMN url TEXT;
    UPDATE jobs SET (status, finished_at, url) = (
        SELECT body ->> '$.status', body ->> '$.finished_at', body ->> '$.spec.url'
        FROM changes WHERE changes.position = jobs.position AND json_valid(body)
    );
    CREATE TABLE labels (
        task_id BLOB NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (task_id, key)
    ) WITHOUT ROWID;
    INSERT INTO labels SELECT jobs.task_id, label.key, label.value
        FROM jobs JOIN changes USING (position),
        json_each(CASE WHEN json_valid(body) THEN body ELSE '{}' END, '$.spec.labels') AS label;
",
];

/// How long one connection waits for another: far longer than any transaction of ours, short enough to be noticed.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Every statement of ours fits, so that each is parsed once per connection.
const STATEMENTS_CACHED: usize = 32;

/// A WAL that once grew large, as during a long read, gives its space back at the next checkpoint.
const WAL_BYTES_KEPT: i64 = 16 * 1024 * 1024;

/// A store that is ready to be written to.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) id: LedgerId,
    pub(super) position: Position,
}

/// Opens the store for writing; makes it when the file is not there or empty.
pub(super) fn open(path: &Path) -> Result<Opened, OpenError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(OpenError::UnsafeDatabase { found: rusqlite::version() });
    }
    make_file(path).map_err(|source| OpenError::File { path: path.to_owned(), source })?;
    prepare(path)
}

/// Opens one more connection, for reading only.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE,
    )?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    Ok(connection)
}

/// Only its owner may read what pages were opened and what they reported. The database gives its side files the
/// same mode.
fn make_file(path: &Path) -> io::Result<()> {
    const OWNER_ONLY: u32 = 0o600;
    let made = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path);
    match made {
        Ok(file) => {
            file.sync_all()?;
            // Without this the name of a new file may be gone after a power loss.
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY))
        }
        Err(error) => Err(error),
    }
}

fn prepare(path: &Path) -> Result<Opened, OpenError> {
    let failed = |error: rusqlite::Error| open_error(path, &error);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_WAIT).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    let version = refuse_unknown(&connection, path)?;
    use_wal(&connection, path)?;
    // FULL: each commit reaches the disk, so an answer survives a power loss.
    connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT).map_err(failed)?;
    check(&connection, path)?;
    migrate(&mut connection, version).map_err(failed)?;
    let id = connection.query_row("SELECT ledger_id FROM store", [], |row| row.get(0)).map_err(failed)?;
    let position = last_position(&connection).map_err(failed)?;
    Ok(Opened { connection, id: LedgerId::new(id), position })
}

/// Refuses a file of another program or of a newer version, before a byte of it is changed.
pub(super) fn refuse_unknown(connection: &Connection, path: &Path) -> Result<i64, OpenError> {
    let failed = |error: rusqlite::Error| open_error(path, &error);
    let read = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(failed);
    let (application, version) = (read("application_id")?, read("user_version")?);
    let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    let empty = tables.map_err(failed)? == 0 && version == 0;
    if application != APPLICATION_ID && !(empty && application == 0) {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if version > SCHEMA_VERSION {
        return Err(OpenError::Newer { path: path.to_owned(), found: version });
    }
    Ok(version)
}

/// Readers and the writer do not wait for each other only in this mode, which some network file systems cannot have.
fn use_wal(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let mode = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0));
    match mode.map_err(|error| open_error(path, &error))?.as_str() {
        "wal" => Ok(()),
        mode => Err(OpenError::Refused {
            path: path.to_owned(),
            detail: format!("its file system allows only journal mode {mode}; use a local disk"),
        }),
    }
}

/// Looks for damage in what every start relies on: the list of jobs and its indexes, a few milliseconds for 100,000.
///
/// The changes are ten times larger; each is checked when it is read.
fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |error: rusqlite::Error| open_error(path, &error);
    let known = connection.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'jobs'", [], |row| row.get(0));
    if known.map_err(failed)? {
        let verdict: String =
            connection.query_row("PRAGMA quick_check('jobs')", [], |row| row.get(0)).map_err(failed)?;
        if verdict != "ok" {
            return Err(OpenError::Damaged { path: path.to_owned(), detail: verdict });
        }
    }
    Ok(())
}

/// Steps forward in one transaction: after a crash the store has the old version or the new one.
fn migrate(connection: &mut Connection, from: i64) -> rusqlite::Result<()> {
    let steps = MIGRATIONS.iter().skip(usize::try_from(from).unwrap_or_default());
    if from == SCHEMA_VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

pub(super) fn last_position(connection: &Connection) -> rusqlite::Result<Position> {
    const LAST: &str = "SELECT max(
        (SELECT coalesce(max(position), 0) FROM changes), (SELECT coalesce(max(position), 0) FROM removals),
        (SELECT forgotten_up_to FROM store))";
    let last: i64 = connection.query_row(LAST, [], |row| row.get(0))?;
    Ok(Position::new(u64::try_from(last).unwrap_or_default()))
}

pub(super) fn open_error(path: &Path, error: &rusqlite::Error) -> OpenError {
    let (path, detail) = (path.to_owned(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path, detail },
        Some(ErrorCode::NotADatabase) => OpenError::Foreign { path },
        // Codes of the database, not ours; and errors of decoding have none.
        Some(_) | None => OpenError::Refused { path, detail },
    }
}
