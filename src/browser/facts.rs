//! What a browser can say about the page of a task.

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
    /// The page asks something and stands still until it is answered.
    DialogOpened {
        /// "alert", "confirm", "prompt" or "beforeunload".
        kind: String,
        /// Whether it was accepted at once, because no person can see it.
        accepted: bool,
    },
    /// The dialog is gone.
    DialogClosed,
    /// The page was put before the other ones, as was asked.
    InFront,
}

/// A reading of what the page shows: not a change, only the latest counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSample {
    /// The address shown.
    pub url: String,
    /// The title shown.
    pub title: String,
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
