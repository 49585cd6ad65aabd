//! How far messages have been sent: a place in the ledger's tail, kept over restarts and kills.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::durable::{keep_name, replace};
use crate::ledger::{LedgerId, Position};

/// A place in the tail of one ledger, in a file.
#[derive(Debug)]
pub(super) struct Cursor {
    path: PathBuf,
    ledger: LedgerId,
    at: Position,
    /// What the file says.
    written: Position,
}

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    ledger: String,
    position: u64,
}

/// Entries that may be passed without a note of it, when none of them was worth a message: they are read again after a
/// restart, a page of the tail at most.
pub(super) const UNWRITTEN_MAX: u64 = 256;

impl Cursor {
    /// Goes on where the file says, or begins at `end` and says so in the file.
    pub(super) fn open(path: &Path, ledger: LedgerId, end: Position) -> io::Result<Self> {
        let stored = match fs::read(path) {
            Ok(bytes) => {
                let stored: Stored = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
                Some(stored)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let known = stored.filter(|stored| {
            let ours = stored.ledger == ledger.to_string();
            if !ours {
                tracing::warn!(path = %path.display(), "the store was replaced; webhooks begin with what comes now");
            }
            ours
        });
        let at = known.map_or(end, |stored| Position::new(stored.position));
        let cursor = Self { path: path.to_owned(), ledger, at, written: at };
        // Before anything can finish: what finishes from now on is not to be missed, whatever happens.
        replace(path, &cursor.content())?;
        keep_name(path)?;
        Ok(cursor)
    }

    pub(super) fn at(&self) -> Position {
        self.at
    }

    /// Everything up to there is done with.
    pub(super) fn pass(&mut self, position: Position) {
        self.at = position;
    }

    /// True when so much was passed that it should be written.
    pub(super) fn lags(&self) -> bool {
        self.at.number().saturating_sub(self.written.number()) >= UNWRITTEN_MAX
    }

    /// Writes it down. Dropped on the way, it is written all the same.
    pub(super) async fn write(&mut self) -> io::Result<()> {
        let (path, content, at) = (self.path.clone(), self.content(), self.at);
        let written = tokio::task::spawn_blocking(move || replace(&path, &content)).await;
        written.unwrap_or_else(|gone| Err(io::Error::other(gone)))?;
        self.written = at;
        Ok(())
    }

    fn content(&self) -> Vec<u8> {
        let stored = Stored { ledger: self.ledger.to_string(), position: self.at.number() };
        serde_json::to_vec(&stored).expect("a name and a number have no part that JSON cannot say")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEDGER: LedgerId = LedgerId::new([7; 16]);

    #[tokio::test]
    async fn a_cursor_begins_at_the_end_and_goes_on_where_it_was() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("webhook");
        let open = |end| Cursor::open(&path, LEDGER, Position::new(end)).unwrap();
        assert_eq!(open(5).at(), Position::new(5));
        let mut cursor = open(9);
        assert_eq!(cursor.at(), Position::new(5), "it was there before");
        cursor.pass(Position::new(8));
        assert!(!cursor.lags());
        cursor.write().await.unwrap();
        assert_eq!(open(9).at(), Position::new(8));
        cursor.pass(Position::new(8 + UNWRITTEN_MAX));
        assert!(cursor.lags());
    }

    #[test]
    fn another_ledgers_cursor_is_not_ours_and_a_damaged_one_is_told() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("webhook");
        drop(Cursor::open(&path, LedgerId::new([1; 16]), Position::new(3)).unwrap());
        assert_eq!(Cursor::open(&path, LEDGER, Position::new(1)).unwrap().at(), Position::new(1));
        fs::write(&path, "half").unwrap();
        Cursor::open(&path, LEDGER, Position::new(1)).unwrap_err();
    }
}
