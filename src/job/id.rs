//! The name of a task.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Names one task and its job: a UUIDv7, so that ids sort by the time they were made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(Uuid);

/// The text is not a task id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a task id: {0:?}; expected a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct TaskIdError(String);

/// How much of a malformed id an error repeats: enough to recognise it, too little to flood a log.
const ECHO_CHARS_MAX: usize = 64;

impl TaskId {
    /// Takes a UUID that the caller made for this task.
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The UUID itself, for storage and tokens.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl FromStr for TaskId {
    type Err = TaskIdError;

    fn from_str(text: &str) -> Result<Self, TaskIdError> {
        // Only the hyphenated form: a task has one spelling in logs, paths and tokens.
        let hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
        match Uuid::try_parse(text) {
            Ok(uuid) if hyphenated && !uuid.is_nil() => Ok(Self(uuid)),
            Ok(_) | Err(_) => Err(TaskIdError(text.chars().take(ECHO_CHARS_MAX).collect())),
        }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
