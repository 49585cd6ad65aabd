//! The families of browsers that are known by name, and the names that may be given by hand.

use std::fmt;

/// Whose switches, paths and habits a browser has. The order is the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Perplexity Comet.
    Comet,
    /// Google Chrome.
    Chrome,
    /// Chromium.
    Chromium,
    /// Microsoft Edge.
    Edge,
    /// Brave.
    Brave,
    /// Mozilla Firefox, which has no Chromium pipe.
    Firefox,
    /// Any other, taken for a relative of Chromium.
    Other,
}

/// Words in an executable's name, the more telling before the more general: "msedge" also contains "edge".
const WORDS: [(&str, Family); 7] = [
    ("comet", Family::Comet),
    ("chromium", Family::Chromium),
    ("google chrome", Family::Chrome),
    ("chrome", Family::Chrome),
    ("edge", Family::Edge),
    ("brave", Family::Brave),
    ("firefox", Family::Firefox),
];

impl Family {
    /// Every family that is looked for, in the order of preference.
    pub const KNOWN: [Self; 6] = [Self::Comet, Self::Chrome, Self::Chromium, Self::Edge, Self::Brave, Self::Firefox];

    /// The family's name as callers write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Comet => "comet",
            Self::Chrome => "chrome",
            Self::Chromium => "chromium",
            Self::Edge => "edge",
            Self::Brave => "brave",
            Self::Firefox => "firefox",
            Self::Other => "other",
        }
    }

    /// The family that an executable's file name suggests.
    #[must_use]
    pub fn of_file_name(file_name: &str) -> Self {
        let lower = file_name.to_ascii_lowercase();
        WORDS.iter().find(|(word, _)| lower.contains(word)).map_or(Self::Other, |(_, family)| *family)
    }

    /// Whether it speaks the debugging protocol over a pipe.
    #[must_use]
    pub fn has_pipe(self) -> bool {
        match self {
            Self::Comet | Self::Chrome | Self::Chromium | Self::Edge | Self::Brave | Self::Other => true,
            Self::Firefox => false,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Longest name: it is a file name below the profiles directory, whose path has to stay short.
pub const NAME_LEN_MAX: usize = 40;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or more than [`NAME_LEN_MAX`] bytes.
    #[error("name {0:?} has {1} bytes; 1 to {NAME_LEN_MAX} are taken")]
    Length(String, usize),
    /// A character that could mean something to a file system or a shell.
    #[error("name {0:?} holds {1:?}; only a-z, 0-9, '.', '_' and '-' are taken")]
    Character(String, char),
    /// A leading dot (hidden, or a parent directory) or dash (a switch).
    #[error("name {0:?} begins with {1:?}; begin it with a letter, a digit or '_'")]
    Beginning(String, char),
}

/// Checks a name for a browser or a profile: `[a-z0-9._-]{1,40}`, beginning with neither dot nor dash.
///
/// # Errors
/// Names the rule that is broken.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        return Err(NameError::Length(name.chars().take(NAME_LEN_MAX).collect(), name.len()));
    }
    if let Some(bad) = name.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-')) {
        return Err(NameError::Character(name.to_owned(), bad));
    }
    match name.chars().next() {
        Some(first @ ('.' | '-')) => Err(NameError::Beginning(name.to_owned(), first)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_tell_the_family() {
        for (file_name, family) in [
            ("comet", Family::Comet),
            ("Comet", Family::Comet),
            ("comet.exe", Family::Comet),
            ("chrome", Family::Chrome),
            ("Google Chrome", Family::Chrome),
            ("google-chrome-stable", Family::Chrome),
            ("chromium", Family::Chromium),
            ("chromium-browser", Family::Chromium),
            ("msedge", Family::Edge),
            ("Microsoft Edge", Family::Edge),
            ("brave.exe", Family::Brave),
            ("firefox-esr", Family::Firefox),
            ("vivaldi-bin", Family::Other),
            ("snap", Family::Other),
        ] {
            assert_eq!(Family::of_file_name(file_name), family, "{file_name}");
        }
    }

    #[test]
    fn names_that_could_leave_their_directory_are_refused() {
        for good in ["a", "work", "mail.2", "a_b-c", "_x", &"a".repeat(40)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", ".hidden", "-x", "a/b", "a\\b", "A", "é", "a b", "a\0", "a\n", &"a".repeat(41)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
