//! Adds a token to the file and removes one, and leaves the rest of the text as it is: comments, order, blank lines.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rustix::fs::{FlockOperation, flock};

use super::{
    file::{Reader, TokenEntry, TokensError, named, parse, read_text},
    token_hash,
};
use crate::{api::Scope, job::WallTime};

/// A token has 256 bits, past all guessing.
const TOKEN_BYTES: usize = 32;
/// How each token of the text begins.
const HEADER: &str = "[[token]]";

/// A token that is to be added.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Whose.
    pub name: String,
    /// What it is to let its bearer do.
    pub scope: Scope,
    /// When it is to end by itself.
    pub expires_at: Option<WallTime>,
}

/// Makes a token, writes its hash to the file, and gives the token, which is kept nowhere.
///
/// # Errors
/// When the file is at fault or has that name; then it is as it was.
pub fn add_token(path: &Path, wanted: &NewToken) -> Result<String, TokensError> {
    let name = named(&wanted.name).map_err(TokensError::Refused)?;
    let place = Place::lock(path)?;
    let (text, entries) = place.read()?;
    if entries.iter().any(|entry| entry.name == name) {
        let what = format!("there is a token {name:?}; remove it first, or choose another name");
        return Err(TokensError::Refused(what));
    }
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).expect("the system gives random bytes, as it did for the keys");
    let token = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let expires_at = wanted.expires_at.map(whole_seconds);
    let entry = TokenEntry { name, scope: wanted.scope, hash: token_hash(&token), expires_at };
    place.write(&with(&text, &entry), &[entries, vec![entry]].concat())?;
    Ok(token)
}

/// Removes the token of that name.
///
/// # Errors
/// When there is none, or the file is at fault; then it is as it was.
pub fn remove_token(path: &Path, name: &str) -> Result<(), TokensError> {
    let place = Place::lock(path)?;
    let (text, mut entries) = place.read()?;
    let Some(at) = entries.iter().position(|entry| entry.name == name) else {
        let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(TokensError::Refused(format!("there is no token {name:?}; there are: {there}")));
    };
    entries.remove(at);
    place.write(&without(&text, name), &entries)
}

/// As it is written: nobody reads more of it.
fn whole_seconds(time: WallTime) -> WallTime {
    WallTime::from_micros(time.micros() / 1_000_000 * 1_000_000)
}

/// The text with one more token at its end.
fn with(text: &str, entry: &TokenEntry) -> String {
    let hash: String = entry.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let gap = match text {
        "" => "",
        _ if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    let (name, scope) = (&entry.name, entry.scope);
    let mut text = format!("{text}{gap}{HEADER}\nname = \"{name}\"\nscope = \"{scope}\"\nsha256 = \"{hash}\"\n");
    if let Some(end) = entry.expires_at {
        let seconds = i64::try_from(end.micros() / 1_000_000).unwrap_or(i64::MAX);
        let end = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
        text.push_str(&format!("expires_at = {end}\n"));
    }
    text
}

/// The text without the token of that name and the comments that stand right above it.
fn without(text: &str, name: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut starts: Vec<usize> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if line.trim_start().starts_with(HEADER) {
            let comments = lines[..at].iter().rev().take_while(|line| line.trim_start().starts_with('#')).count();
            starts.push(at - comments);
        }
    }
    let ends = starts.iter().skip(1).copied().chain([lines.len()]);
    let is_it =
        |block: &str| parse(Path::new(""), block).is_ok_and(|entries| entries.iter().any(|entry| entry.name == name));
    let found = starts.iter().copied().zip(ends).find(|(start, end)| is_it(&lines[*start..*end].concat()));
    match found {
        Some((start, end)) => [&lines[..start], &lines[end..]].concat().concat(),
        None => text.to_owned(),
    }
}

/// The file behind all links, and the lock on its directory that keeps two edits apart.
struct Place {
    path: PathBuf,
    dir: PathBuf,
    _lock: File,
}

impl Place {
    fn lock(path: &Path) -> Result<Self, TokensError> {
        let failed = |error| TokensError::Unwritable(path.to_owned(), error);
        let path = match fs::canonicalize(path) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(failed(error)),
        };
        let dir = path.parent().map(Path::to_owned).unwrap_or_default();
        let lock = File::open(&dir).map_err(failed)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        Ok(Self { path, dir, _lock: lock })
    }

    fn read(&self) -> Result<(String, Vec<TokenEntry>), TokensError> {
        let text = read_text(&self.path, Reader::Person)?.unwrap_or_default();
        let entries = parse(&self.path, &text)?;
        Ok((text, entries))
    }

    /// Whole or not at all, and only if it says what it is to say.
    fn write(&self, text: &str, wanted: &[TokenEntry]) -> Result<(), TokensError> {
        if parse(&self.path, text)? != wanted {
            let path = self.path.display();
            return Err(TokensError::Refused(format!("{path} is not written as [[token]] tables; edit it by hand")));
        }
        self.replace(text).map_err(|error| TokensError::Unwritable(self.path.clone(), error))
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let unfinished = self.dir.join(name);
        // One that a killed edit left may have another owner or mode.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        // Root edits the file of a service that is not root's, and that service is to read it.
        let owner = fs::metadata(&self.path).or_else(|_| fs::metadata(&self.dir))?;
        if rustix::process::geteuid().is_root() && owner.uid() != 0 {
            fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, &self.path)?;
        File::open(&self.dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{super::read_tokens, *};

    fn wanted(name: &str) -> NewToken {
        NewToken { name: name.to_owned(), scope: Scope::Observe, expires_at: None }
    }

    fn names(path: &Path) -> Vec<String> {
        read_tokens(path, Reader::Person).unwrap().unwrap().into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn a_token_is_added_by_its_hash_and_removed_by_its_name() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("tokens.toml");
        let end = WallTime::from_micros(1_800_000_000_987_654);
        let first = add_token(&path, &wanted("first")).unwrap();
        let second = add_token(&path, &NewToken { expires_at: Some(end), ..wanted("second") }).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&first) && !text.contains(&second), "{text}");
        let entries = read_tokens(&path, Reader::Person).unwrap().unwrap();
        assert_eq!(entries[0].hash, token_hash(&first));
        assert_eq!((entries[1].hash, entries[1].expires_at), (token_hash(&second), Some(whole_seconds(end))));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left beside it");

        assert!(add_token(&path, &wanted("first")).unwrap_err().to_string().contains("there is a token \"first\""));
        assert!(add_token(&path, &wanted("no good")).is_err());
        remove_token(&path, "first").unwrap();
        assert_eq!(names(&path), ["second"]);
        let told = remove_token(&path, "first").unwrap_err().to_string();
        assert_eq!(told, "there is no token \"first\"; there are: second");
    }

    #[test]
    fn what_a_person_wrote_stays_as_it_is() {
        let block = |name: &str, digit: &str| {
            format!("[[token]]\nname = \"{name}\" # hers\nscope = \"admin\"\nsha256 = \"{}\"\n\n", digit.repeat(64))
        };
        let (a, b) = (block("a", "1"), format!("# of b\n{}", block("b", "2")));
        let head = "# tokens of the office\n\n";
        let whole = format!("{head}{a}{b}");
        assert_eq!(without(&whole, "b"), format!("{head}{a}"));
        assert_eq!(without(&whole, "a"), format!("{head}{b}"));
        assert_eq!(without(&whole, "c"), whole);
    }

    #[test]
    fn a_file_in_another_form_or_with_a_mistake_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("tokens.toml");
        let hash = "3".repeat(64);
        for (text, told) in [
            (format!("token = [{{ name = \"a\", scope = \"admin\", sha256 = \"{hash}\" }}]\n"), "edit it by hand"),
            ("[[token]]\nname = \"a\"\nscope = \"king\"\n".to_owned(), "no scope"),
        ] {
            fs::write(&path, &text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let refused = remove_token(&path, "a").unwrap_err().to_string();
            assert!(refused.contains(told), "{refused}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_link_stays_a_link() {
        let home = tempfile::tempdir().unwrap();
        let (link, path) = (home.path().join("link"), home.path().join("real.toml"));
        add_token(&path, &wanted("a")).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        add_token(&link, &wanted("b")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(&path), ["a", "b"]);
    }

    #[test]
    fn root_goes_on_editing_the_file_that_it_gave_to_the_service() {
        const SERVICE: u32 = 990;
        if !rustix::process::geteuid().is_root() {
            eprintln!("not run: only root gives files away");
            return;
        }
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(home.path(), Some(SERVICE), Some(SERVICE)).unwrap();
        let path = home.path().join("tokens.toml");
        for name in ["first", "second"] {
            add_token(&path, &wanted(name)).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().uid(), SERVICE);
        }
        remove_token(&path, "first").unwrap();
        assert_eq!(names(&path), ["second"]);
    }
}
