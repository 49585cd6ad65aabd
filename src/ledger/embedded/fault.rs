//! What an error of the database means for those who rely on it.

use rusqlite::{ErrorCode, ffi};

use crate::ledger::{Fault, ReadError};

impl From<rusqlite::Error> for Fault {
    /// Sorts an error by what can be done about it.
    fn from(error: rusqlite::Error) -> Self {
        let detail = error.to_string();
        let extended = error.sqlite_error().map(|error| error.extended_code);
        match (error.sqlite_error_code(), extended) {
            (Some(ErrorCode::DiskFull), _) => Self::Full,
            // The shared index beside the WAL cannot grow: a full disk by another name.
            (_, Some(ffi::SQLITE_IOERR_SHMSIZE)) => Self::Full,
            // After a failed sync the system may have dropped what it could not write, and a second one would
            // succeed without it.
            (_, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC)) => Self::Broken(detail),
            (Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase), _) => Self::Broken(detail),
            // Codes of the database, not ours: what is left may pass.
            (_, _) => Self::Failed(detail),
        }
    }
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
