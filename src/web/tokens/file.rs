//! The file of tokens: TOML, for its owner alone, each mistake told with its line and no token in any message.
//!
//! ```toml
//! [[token]]
//! name = "grafana"
//! scope = "observe"            # or operate, or admin
//! sha256 = "9f86d081…"         # of the token; or the token itself as `token = "…"`
//! expires_at = 2027-01-31T00:00:00Z   # may be left out
//! ```

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{TokenHash, token_hash};
use crate::{api::Scope, job::WallTime};

/// Longest file: a thousand tokens with a comment each.
const BYTES_MAX: u64 = 256 * 1024;
/// Most tokens: each request is compared with all of them, some 20 ns each.
const TOKENS_MAX: usize = 1000;
/// Longest name: it stands in logs.
const NAME_CHARS_MAX: usize = 64;
/// Shortest token that a person may give: 128 bits as base64 have 22 characters.
const TOKEN_CHARS_MIN: usize = 22;

/// What every token begins with.
pub(super) const TABLE: &str = "token";

/// One token of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEntry {
    /// Whose, for people and logs.
    pub name: String,
    /// What it lets its bearer do.
    pub scope: Scope,
    /// By which it is known.
    pub hash: TokenHash,
    /// When it ends by itself.
    pub expires_at: Option<WallTime>,
}

/// What is wrong with a file of tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It cannot be read.
    #[error("the tokens file {0} cannot be read: {1}")]
    Unreadable(PathBuf, io::Error),
    /// It cannot be written.
    #[error("the tokens file {0} cannot be written: {1}")]
    Unwritable(PathBuf, io::Error),
    /// Others can read or write it.
    #[error(
        "the tokens file {0} belongs to user {1} with mode {2:o}; it must be the service's own and closed to others: chown it to the service's user and chmod 600 it"
    )]
    Exposed(PathBuf, u32, u32),
    /// It is not TOML, or an entry is at fault.
    #[error("{0}:{1}: {2}")]
    Wrong(PathBuf, usize, String),
    /// What was to be added is there, or cannot be.
    #[error("{0}")]
    Refused(String),
}

/// Who reads the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The service that goes by it.
    Service,
    /// A person, who as root may look after the file of a service that is another user's.
    Person,
}

impl Reader {
    /// Whether a file of user `owner`, in a directory of user `dir_owner`, may be read by user `own`.
    fn takes(self, own: u32, owner: u32, dir_owner: u32) -> bool {
        let is_of_service = match self {
            Self::Service => false,
            Self::Person => own == 0 && owner == dir_owner,
        };
        owner == own || owner == 0 || is_of_service
    }
}

/// Reads the tokens; none when there is no such file.
///
/// # Errors
/// When the file is open to others, or is not what it should be: with the line that is at fault.
pub fn read_tokens(path: &Path, reader: Reader) -> Result<Option<Vec<TokenEntry>>, TokensError> {
    match read_text(path, reader)? {
        Some(text) => parse(path, &text).map(Some),
        None => Ok(None),
    }
}

/// The text of a file that is its owner's alone.
pub(super) fn read_text(path: &Path, reader: Reader) -> Result<Option<String>, TokensError> {
    let unreadable = |error| TokensError::Unreadable(path.to_owned(), error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let about = file.metadata().map_err(unreadable)?;
    let (mode, uid) = (about.mode() & 0o777, about.uid());
    let dir = fs::canonicalize(path).map_err(unreadable)?;
    let dir = fs::metadata(dir.parent().unwrap_or(Path::new("/"))).map_err(unreadable)?;
    if mode & 0o077 != 0 || !reader.takes(rustix::process::geteuid().as_raw(), uid, dir.uid()) {
        return Err(TokensError::Exposed(path.to_owned(), uid, mode));
    }
    let mut text = String::new();
    file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(unreadable(io::Error::other(format!("it is longer than {BYTES_MAX} bytes"))));
    }
    Ok(Some(text))
}

/// The tokens of a text, in its order.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<TokenEntry>, TokensError> {
    let line_of = |at: usize| text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
    let wrong = |at: usize, what: String| TokensError::Wrong(path.to_owned(), line_of(at), what);
    let table = DeTable::parse(text)
        .map_err(|error| wrong(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
    let mut entries: Vec<TokenEntry> = Vec::new();
    for (key, value) in table.get_ref() {
        let DeValue::Array(tokens) = value.get_ref() else {
            return Err(wrong(key.span().start, "there is nothing but [[token]] tables in a tokens file".to_owned()));
        };
        if key.get_ref() != TABLE {
            return Err(wrong(key.span().start, "there is nothing but [[token]] tables in a tokens file".to_owned()));
        }
        for token in tokens {
            let entry = entry(token).map_err(|(at, what)| wrong(at, what))?;
            let before = entries.iter().find(|other| other.name == entry.name || other.hash == entry.hash);
            match before {
                Some(other) if other.name == entry.name => {
                    return Err(wrong(token.span().start, format!("the name {:?} is there twice", entry.name)));
                }
                Some(other) => {
                    let what = format!("{:?} has the token of {:?}; give each its own", entry.name, other.name);
                    return Err(wrong(token.span().start, what));
                }
                None => entries.push(entry),
            }
            if entries.len() > TOKENS_MAX {
                return Err(wrong(token.span().start, format!("there are more than {TOKENS_MAX} tokens")));
            }
        }
    }
    Ok(entries)
}

/// Where something is wrong, and what.
type Fault = (usize, String);

fn entry(value: &Spanned<DeValue<'_>>) -> Result<TokenEntry, Fault> {
    let whole = value.span().start;
    let DeValue::Table(fields) = value.get_ref() else {
        return Err((whole, "a token is a table: [[token]]".to_owned()));
    };
    let (mut name, mut scope, mut hash, mut expires_at) = (None, None, None, None);
    for (key, value) in fields {
        let at = value.span().start;
        let text =
            || value.get_ref().as_str().ok_or_else(|| (at, format!("{} is to be text in quotes", key.get_ref())));
        let hash_before = hash.is_some();
        match key.get_ref().as_ref() {
            "name" => name = Some(named(text()?).map_err(|what| (at, what))?),
            "scope" => scope = Some(text()?.parse::<Scope>().map_err(|error| (at, error.to_string()))?),
            "expires_at" => expires_at = Some(instant(value.get_ref()).map_err(|what| (at, what))?),
            "sha256" | "token" if hash_before => {
                return Err((at, "one of sha256 and token is enough".to_owned()));
            }
            "sha256" => hash = Some(hexadecimal(text()?).map_err(|what| (at, what))?),
            "token" => hash = Some(plain(text()?).map_err(|what| (at, what))?),
            other => {
                let what =
                    format!("{other:?} is no part of a token; there are name, scope, sha256, token and expires_at");
                return Err((key.span().start, what));
            }
        }
    }
    let missing = |what: &str| (whole, format!("the token has no {what}"));
    Ok(TokenEntry {
        name: name.ok_or_else(|| missing("name"))?,
        scope: scope.ok_or_else(|| missing("scope: observe, operate or admin"))?,
        hash: hash.ok_or_else(|| missing("sha256, and no token either"))?,
        expires_at,
    })
}

/// A name that a log line and a shell take as it is.
pub(super) fn named(text: &str) -> Result<String, String> {
    let good = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.@".contains(c));
    if (1..=NAME_CHARS_MAX).contains(&text.len()) && good {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is no name for a token; use up to {NAME_CHARS_MAX} letters, digits and any of - _ . @"))
}

/// A token in plain text; the message does not repeat it.
fn plain(token: &str) -> Result<TokenHash, String> {
    if token.len() < TOKEN_CHARS_MIN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "a token has at least {TOKEN_CHARS_MIN} visible characters and no spaces; `comet-task-runner token --add` makes one"
        ));
    }
    Ok(token_hash(token))
}

fn hexadecimal(text: &str) -> Result<TokenHash, String> {
    let wrong = || "sha256 is to be 64 hexadecimal digits".to_owned();
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut hash = TokenHash::default();
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(hash)
}

fn instant(value: &DeValue<'_>) -> Result<WallTime, String> {
    let text = match value {
        DeValue::Datetime(time) => time.to_string(),
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    let wrong = || "expires_at is to be a time with its zone, such as 2027-01-31T00:00:00Z".to_owned();
    let time: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    u64::try_from(time.as_microsecond()).map(WallTime::from_micros).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const SHA256: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

    fn wrong(text: &str) -> String {
        parse(Path::new("t"), text).expect_err(text).to_string()
    }

    #[test]
    fn a_token_is_given_by_its_hash_or_itself() {
        let text = format!(
            "[[token]]\nname = \"ci\"\nscope = \"operate\"\nsha256 = \"{SHA256}\"\n\n\
             [[token]]\nname = \"eye\"\nscope = \"observe\"\ntoken = \"aaaaaaaaaaaaaaaaaaaaaa\"\n\
             expires_at = 2027-01-31T00:00:00+01:00\n"
        );
        let entries = parse(Path::new("t"), &text).unwrap();
        assert_eq!(entries[0].hash, token_hash("foo"));
        assert_eq!((entries[0].scope, entries[0].expires_at), (Scope::Operate, None));
        assert_eq!((entries[1].hash, entries[1].scope), (token_hash(&"a".repeat(22)), Scope::Observe));
        assert_eq!(entries[1].expires_at.map(WallTime::micros), Some(1_801_350_000_000_000));
        assert_eq!(parse(Path::new("t"), "").unwrap(), []);
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_without_the_token() {
        let token = |rest: &str| format!("[[token]]\nname = \"a\"\n{rest}\n");
        let secret = "sssssssssssssssssssssssss";
        for (text, told) in [
            ("x = 1".to_owned(), "t:1: there is nothing but [[token]]"),
            ("[token]\nname = \"a\"".to_owned(), "t:1: there is nothing but [[token]]"),
            ("[[tokens]]\nname = \"a\"".to_owned(), "t:1: there is nothing but [[token]]"),
            ("token = [1]".to_owned(), "t:1: a token is a table"),
            ("[[token]\n".to_owned(), "t:1: "),
            (token("scope = \"all\""), "t:3: \"all\" is no scope; there are observe, operate and admin"),
            (token("scope = 1"), "t:3: scope is to be text in quotes"),
            (token(&format!("sha256 = \"{SHA256}\"")), "t:1: the token has no scope"),
            (token("scope = \"admin\""), "t:1: the token has no sha256"),
            (token("sha256 = \"12\""), "t:3: sha256 is to be 64 hexadecimal digits"),
            (token("token = \"ssssss\""), "t:3: a token has at least 22 visible characters"),
            (token(&format!("token = \"{secret}\"\nsha256 = \"{SHA256}\"")), "one of sha256 and token is enough"),
            (token("expires_at = 2027-01-31"), "t:3: expires_at is to be a time with its zone"),
            (token("expires_at = 2027-01-31T00:00:00"), "t:3: expires_at is to be a time with its zone"),
            (token("expire = 1"), "t:3: \"expire\" is no part of a token"),
            ("[[token]]\nname = \"a b\"".to_owned(), "t:2: \"a b\" is no name for a token"),
        ] {
            let found = wrong(&text);
            assert!(found.contains(told), "{text}\n{found}");
            assert!(!found.contains("sss"), "{found}");
        }
    }

    #[test]
    fn neither_a_name_nor_a_token_is_there_twice() {
        let two = |name: &str, hash: &str| {
            format!(
                "[[token]]\nname = \"a\"\nscope = \"admin\"\nsha256 = \"{SHA256}\"\n\
                 [[token]]\nname = \"{name}\"\nscope = \"admin\"\nsha256 = \"{hash}\"\n"
            )
        };
        assert_eq!(wrong(&two("a", &"0".repeat(64))), "t:5: the name \"a\" is there twice");
        assert_eq!(wrong(&two("b", &SHA256.to_uppercase())), "t:5: \"b\" has the token of \"a\"; give each its own");
        assert_eq!(parse(Path::new("t"), &two("b", &"0".repeat(64))).unwrap().len(), 2);
    }

    #[test]
    fn a_file_that_others_can_read_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("tokens.toml");
        assert!(read_tokens(&path, Reader::Service).unwrap().is_none(), "none is no mistake");
        fs::write(&path, "").unwrap();
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = read_tokens(&path, Reader::Service);
            assert_eq!(read.is_ok(), good, "{mode:o}: {read:?}");
            if let Err(error) = read {
                assert!(error.to_string().contains(&format!("mode {mode:o}; it must be")), "{error}");
            }
        }
    }

    #[test]
    fn root_looks_after_the_file_of_another_users_service_and_nobody_elses() {
        const SERVICE: u32 = 990;
        const OTHER: u32 = 1000;
        for (reader, own, owner, dir_owner, good) in [
            (Reader::Person, 0, SERVICE, SERVICE, true),
            (Reader::Person, 0, OTHER, SERVICE, false),
            (Reader::Person, OTHER, SERVICE, SERVICE, false),
            (Reader::Person, OTHER, OTHER, SERVICE, true),
            (Reader::Service, 0, SERVICE, SERVICE, false),
            (Reader::Service, SERVICE, OTHER, OTHER, false),
            (Reader::Service, SERVICE, SERVICE, OTHER, true),
        ] {
            assert_eq!(reader.takes(own, owner, dir_owner), good, "{reader:?} {own} {owner} {dir_owner}");
        }
    }
}
