//! What a browser can say about the page of a task.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::report::{Refusal, Report};

/// Something that the browser said about the task's page; the runner decides what it means for the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The browser spoke for the first time on its pipe.
    Answered {
        /// For instance "Chrome/156.0.8078.79".
        product: String,
    },
    /// The task's page exists.
    Created {
        /// The browser's id of the page.
        target: String,
    },
    /// The browser refused to make a page at all.
    NotCreated {
        /// The browser's own words.
        message: String,
    },
    /// The task's document arrived.
    Committed {
        /// Where redirects led.
        url: String,
        /// The status of its HTTP answer; none where it was not seen, as after an adoption.
        http_status: Option<u16>,
    },
    /// The task's document did not arrive.
    NavigationFailed {
        /// What was asked for, or where redirects led.
        url: String,
        /// For instance "net::ERR_NAME_NOT_RESOLVED".
        net_error: String,
    },
    /// A person or a script closed the page.
    PageClosed,
    /// The page's process died; the browser may well live on.
    PageCrashed {
        /// The browser's word: "crashed", "killed", "oom" and others.
        status: String,
        /// Whether it was for want of memory.
        oom: bool,
    },
    /// The page reported.
    Reported(Report),
    /// A script sent something through the report binding that is not a report of this task.
    ReportRefused(Refusal),
    /// A newer reading of what the page shows.
    Sampled(PageSample),
    /// A page asked something and was answered at once.
    DialogAnswered {
        /// What kind of dialog, in the browser's word.
        kind: String,
        /// Whether with yes.
        accepted: bool,
    },
    /// The page was put before the other ones, as was asked.
    InFront,
    /// What the task's URL leads to is a file, and it has begun to come.
    DownloadBegan {
        /// What it is to be called.
        name: String,
    },
    /// More of that file is there.
    DownloadGrew {
        /// What it is to be called.
        name: String,
        /// How much of it.
        received_bytes: u64,
        /// Of how much; none when nobody said.
        total_bytes: Option<u64>,
    },
    /// A file is there, whole.
    DownloadDone(Download),
    /// A file is not coming.
    DownloadFailed {
        /// Which.
        download: Download,
        /// Why.
        why: DownloadFailure,
    },
}

/// A file that a page downloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// What the browser calls it, on the disk too: hexadecimal digits and dashes.
    pub guid: String,
    /// What it is to be called.
    pub name: String,
    /// Whether the task's URL leads to it, not a page.
    pub is_task: bool,
}

/// Why a download came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DownloadFailure {
    /// A person cancelled it, its connection broke, or it could not be written: the browser does not say which.
    #[error("it was cancelled or broke off after {received_bytes} bytes")]
    BrokenOff {
        /// How much of it had come.
        received_bytes: u64,
    },
    /// The files of the task would take more room than they may.
    #[error("the files of a task may take {bytes_max} bytes, see --downloads-max-mb")]
    TooLarge {
        /// What they may take.
        bytes_max: u64,
    },
    /// The task has as many files as it may.
    #[error("a task may keep {files_max} files")]
    TooMany {
        /// How many it may.
        files_max: usize,
    },
}

/// A reading of what the page shows: not a change, only the latest counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSample {
    /// The address shown.
    pub url: String,
    /// The title shown.
    pub title: String,
    /// A dialog that is left to a person, of the page or of one that it opened.
    pub dialog: Option<Dialog>,
    /// How many pages that it opened, and those opened in turn, are open.
    pub popup_count: usize,
}

/// A question of a page, which stands still until it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialog {
    /// What kind of question.
    pub kind: DialogKind,
    /// The page's words; may be empty.
    pub message: String,
}

/// What kind of question a page asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DialogKind {
    /// It only tells.
    Alert,
    /// Yes or no.
    Confirm,
    /// It wants a text.
    Prompt,
    /// Whether to leave the page.
    Beforeunload,
}

impl fmt::Display for DialogKind {
    /// The word of the debugging protocol.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alert => "alert",
            Self::Confirm => "confirm",
            Self::Prompt => "prompt",
            Self::Beforeunload => "beforeunload",
        })
    }
}

/// Longest URL or title that is kept of what a page shows, in bytes: pages can make both megabytes long (data
/// URLs), and every watcher is sent them.
pub const TEXT_BYTES_MAX: usize = 8 * 1024;

/// Cuts a text of the page to [`TEXT_BYTES_MAX`], between characters.
#[must_use]
pub fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(bounded("é".repeat(TEXT_BYTES_MAX)).len(), TEXT_BYTES_MAX);
        assert_eq!(bounded(format!("x{}", "é".repeat(TEXT_BYTES_MAX))).len(), TEXT_BYTES_MAX - 1);
        assert_eq!(bounded("short".to_owned()), "short");
    }
}
