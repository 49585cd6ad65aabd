//! What an error of the database means for those who rely on it.

use rusqlite::{ErrorCode, ffi};

use crate::ledger::Fault;

/// Sorts an error by what can be done about it.
pub(super) fn fault(error: &rusqlite::Error) -> Fault {
    let detail = error.to_string();
    let extended = error.sqlite_error().map(|error| error.extended_code);
    match (error.sqlite_error_code(), extended) {
        (Some(ErrorCode::DiskFull), _) => Fault::Full,
        // The shared index beside the WAL cannot grow: a full disk by another name.
        (_, Some(ffi::SQLITE_IOERR_SHMSIZE)) => Fault::Full,
        // After a failed sync the system may have dropped what it could not write, and a second one would succeed
        // without it.
        (_, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC)) => Fault::Broken(detail),
        (Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase), _) => Fault::Broken(detail),
        // Codes of the database, not ours: what is left may pass.
        (_, _) => Fault::Failed(detail),
    }
}
