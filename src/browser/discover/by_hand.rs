//! A browser that was named in the configuration.

use std::path::PathBuf;
use std::str::FromStr;

use crate::browser::name::{NameError, check_name};

/// A browser given as `NAME=PATH[,exit-only]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByHand {
    /// What callers ask for.
    pub name: String,
    /// Its executable, absolute.
    pub path: PathBuf,
    /// Whether only its process is to be watched.
    pub exit_only: bool,
}

/// Why a text is not `NAME=PATH[,exit-only]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ByHandError {
    /// No equals sign.
    #[error("browser {0:?} is not NAME=PATH or NAME=PATH,exit-only")]
    NoPath(String),
    /// A name that callers could not use.
    #[error("browser {0:?}: {1}")]
    Name(String, NameError),
    /// A path that depends on where the service was started.
    #[error("browser {0:?}: path {1:?} is not absolute")]
    NotAbsolute(String, String),
}

impl FromStr for ByHand {
    type Err = ByHandError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, rest) = text.split_once('=').ok_or_else(|| ByHandError::NoPath(text.to_owned()))?;
        check_name(name).map_err(|error| ByHandError::Name(text.to_owned(), error))?;
        let (path, exit_only) = match rest.strip_suffix(",exit-only") {
            Some(path) => (path, true),
            None => (rest, false),
        };
        let path_buf = PathBuf::from(path);
        if !path_buf.is_absolute() {
            return Err(ByHandError::NotAbsolute(text.to_owned(), path.to_owned()));
        }
        Ok(Self { name: name.to_owned(), path: path_buf, exit_only })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_by_hand_is_a_name_a_path_and_perhaps_exit_only() {
        let expected = |exit_only| ByHand { name: "work".to_owned(), path: PathBuf::from("/opt/a=b,c/x"), exit_only };
        assert_eq!("work=/opt/a=b,c/x".parse(), Ok(expected(false)));
        assert_eq!("work=/opt/a=b,c/x,exit-only".parse(), Ok(expected(true)));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, message) in [
            ("work", r#"browser "work" is not NAME=PATH or NAME=PATH,exit-only"#),
            ("Work=/x", r#"browser "Work=/x": name "Work" holds 'W'; only a-z, 0-9, '.', '_' and '-' are taken"#),
            ("work=bin/x", r#"browser "work=bin/x": path "bin/x" is not absolute"#),
            ("work=", r#"browser "work=": path "" is not absolute"#),
        ] {
            assert_eq!(text.parse::<ByHand>().unwrap_err().to_string(), message);
        }
    }
}
