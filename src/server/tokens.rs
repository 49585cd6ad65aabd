//! The tokens file of a service: where it lies, and what the command line does with it.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use crate::{
    config::Settings,
    web::{self, Reader, read_tokens},
};

pub use web::{NewToken, TokenEntry, TokensError};

/// Its name in the state directory.
const TOKENS_FILE: &str = "tokens.toml";

/// The one that was named, or the one in the state directory.
pub(super) fn file(settings: &Settings, state_dir: &Path) -> PathBuf {
    settings.tokens_file.clone().unwrap_or_else(|| state_dir.join(TOKENS_FILE))
}

/// What is in the file. One that was named must be there.
pub(super) fn read(settings: &Settings, file: &Path, reader: Reader) -> Result<Vec<TokenEntry>, TokensError> {
    match read_tokens(file, reader)? {
        Some(entries) => Ok(entries),
        None if settings.tokens_file.is_none() => Ok(Vec::new()),
        None => Err(TokensError::Unreadable(file.to_owned(), io::ErrorKind::NotFound.into())),
    }
}

/// When a token ends by itself.
pub(super) fn ends(entry: &TokenEntry) -> Option<jiff::Timestamp> {
    let seconds = i64::try_from(entry.expires_at?.micros() / 1_000_000).unwrap_or(i64::MAX);
    Some(jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX))
}

/// Adds a token to the file of a service with these settings, and gives it; its hash alone is kept.
///
/// # Errors
/// When the file is at fault, or has that name.
pub fn add_token(settings: &Settings, wanted: &NewToken) -> Result<String, TokensError> {
    let file = file(settings, &settings.state_dir);
    if settings.tokens_file.is_none() {
        // As a service makes it, so that a token can be there before the first start.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&settings.state_dir);
        made.map_err(|error| TokensError::Unwritable(file.clone(), error))?;
    }
    web::add_token(&file, wanted)
}

/// Removes the token of that name.
///
/// # Errors
/// When there is none, or the file is at fault.
pub fn remove_token(settings: &Settings, name: &str) -> Result<(), TokensError> {
    web::remove_token(&file(settings, &settings.state_dir), name)
}

/// The tokens of the file, each with when it ends.
///
/// # Errors
/// When the file is at fault.
pub fn list_tokens(settings: &Settings) -> Result<Vec<(TokenEntry, Option<jiff::Timestamp>)>, TokensError> {
    let entries = read(settings, &file(settings, &settings.state_dir), Reader::Person)?;
    Ok(entries.into_iter().map(|entry| (entry.clone(), ends(&entry))).collect())
}
