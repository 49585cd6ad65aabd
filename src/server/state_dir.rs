//! The state directory: one service at a time, secrets that only its owner can read.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rustix::fs::{FlockOperation, flock};

use crate::runner::StateKey;

/// Holds the API token, for the command line and whoever may read it.
pub const TOKEN_FILE: &str = "token";
/// Holds the address of the running service, and on a second line the page's where that is another.
const ENDPOINT_FILE: &str = "endpoint";
/// Holds the certificate of the running service, in DER, when it speaks TLS.
pub const CERTIFICATE_FILE: &str = "certificate";
/// Is locked by the running service.
const LOCK_FILE: &str = "lock";
/// Holds the key that signs callback tokens and sessions; with another one they are all void.
const KEY_FILE: &str = "key";
/// Holds the secret that signs what is posted; its receiver needs it too.
const WEBHOOK_SECRET_FILE: &str = "webhook-secret";
/// Says up to where the ends of jobs have been posted.
const WEBHOOK_CURSOR_FILE: &str = "webhook";
/// Holds every job.
pub(super) const LEDGER_FILE: &str = "ledger.sqlite";
/// A token and a key have 256 bits, past all guessing.
const SECRET_BYTES: usize = 32;
/// How long a claim waits for those who only look whether there is one, which takes microseconds. Past that it is
/// refused, as if another service had it.
const CLAIM_WITHIN: Duration = Duration::from_secs(2);

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// It cannot be made, read or written.
    #[error("cannot use {0}: {1}")]
    Io(PathBuf, io::Error),
    /// Others can read or write it.
    #[error(
        "{0} belongs to user {1} with mode {2:o}; it must be the service's own and closed to others: chmod 700 it, or choose another --state-dir"
    )]
    Exposed(PathBuf, u32, u32),
    /// Another service uses it.
    #[error("another service uses {0}; stop it, or choose another --state-dir")]
    InUse(PathBuf),
    /// A secret's file holds something else.
    #[error("{0} does not hold a secret of this service; remove it to have a new one made")]
    NotASecret(PathBuf),
}

/// A claimed state directory.
#[derive(Debug)]
pub(super) struct StateDir {
    path: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl StateDir {
    /// Makes the directory if need be, and claims it for this process.
    pub(super) fn claim(path: &Path) -> Result<Self, StateDirError> {
        let failed = |error| StateDirError::Io(path.to_path_buf(), error);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let path = fs::canonicalize(path).map_err(failed)?;
        let about = fs::metadata(&path).map_err(failed)?;
        let mode = about.permissions().mode() & 0o777;
        if about.uid() != rustix::process::geteuid().as_raw() || mode & 0o077 != 0 {
            return Err(StateDirError::Exposed(path, about.uid(), mode));
        }
        let lock = private_file(&path.join(LOCK_FILE)).map_err(failed)?;
        if !lock_alone(&lock).map_err(failed)? {
            return Err(StateDirError::InUse(path));
        }
        let claimed = Self { path, _lock: lock };
        // One that a killed service left leads to whoever listens there by now, and they are not to be shown the token.
        claimed.remove(ENDPOINT_FILE).map_err(|error| StateDirError::Io(claimed.path.clone(), error))?;
        Ok(claimed)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the webhook's secret is made when no other is named.
    pub(super) fn webhook_secret_path(&self) -> PathBuf {
        self.path.join(WEBHOOK_SECRET_FILE)
    }

    pub(super) fn webhook_cursor_path(&self) -> PathBuf {
        self.path.join(WEBHOOK_CURSOR_FILE)
    }

    pub(super) fn ledger_path(&self) -> PathBuf {
        self.path.join(LEDGER_FILE)
    }

    /// The API token, made at the first start: base64url without padding.
    pub(super) fn token(&self) -> Result<String, StateDirError> {
        Ok(BASE64_URL_SAFE_NO_PAD.encode(self.secret(TOKEN_FILE)?))
    }

    /// The key that signs callback tokens and sessions, made at the first start.
    pub(super) fn key(&self) -> Result<StateKey, StateDirError> {
        Ok(StateKey::new(self.secret(KEY_FILE)?))
    }

    /// Tells the command line where the service is, and by which certificate it is known.
    pub(super) fn write_endpoint(&self, endpoint: &Endpoint, certificate: Option<&[u8]>) -> Result<(), StateDirError> {
        match certificate {
            Some(certificate) => self.write_whole(CERTIFICATE_FILE, certificate)?,
            // One that a killed service left would be another's by now.
            None => self.remove(CERTIFICATE_FILE).map_err(|error| StateDirError::Io(self.path.clone(), error))?,
        }
        let Endpoint { service, page } = endpoint;
        let text = if service == page { format!("{service}\n") } else { format!("{service}\n{page}\n") };
        self.write_whole(ENDPOINT_FILE, text.as_bytes())
    }

    /// Whole or not at all, for a reader at any moment.
    fn write_whole(&self, name: &str, content: &[u8]) -> Result<(), StateDirError> {
        let path = self.path.join(name);
        let unfinished = path.with_extension("new");
        let written = private_file(&unfinished)
            .and_then(|mut file| {
                file.set_len(0)?;
                file.write_all(content)
            })
            .and_then(|()| fs::rename(&unfinished, &path));
        written.map_err(|error| StateDirError::Io(path, error))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Leaves: nobody is to call an address where nobody answers.
    pub(super) fn release(&self) {
        for name in [ENDPOINT_FILE, CERTIFICATE_FILE] {
            if let Err(error) = self.remove(name) {
                tracing::warn!(path = %self.path.join(name).display(), %error, "a file could not be removed");
            }
        }
    }

    fn secret(&self, name: &str) -> Result<[u8; SECRET_BYTES], StateDirError> {
        let path = self.path.join(name);
        let failed = |error| StateDirError::Io(path.clone(), error);
        match fs::read_to_string(&path) {
            Ok(text) => parse_secret(&text).ok_or(StateDirError::NotASecret(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = [0; SECRET_BYTES];
                getrandom::fill(&mut bytes).map_err(|error| failed(io::Error::other(error)))?;
                // Under another name until it is whole and on the disk: half a secret would lock everybody out.
                let unfinished = path.with_extension("new");
                let mut file = private_file(&unfinished).map_err(failed)?;
                file.set_len(0).map_err(failed)?;
                writeln!(file, "{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)).map_err(failed)?;
                file.sync_all().map_err(failed)?;
                fs::rename(&unfinished, &path).map_err(failed)?;
                File::open(&self.path).and_then(|dir| dir.sync_all()).map_err(failed)?;
                Ok(bytes)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

fn parse_secret(text: &str) -> Option<[u8; SECRET_BYTES]> {
    BASE64_URL_SAFE_NO_PAD.decode(text.trim_end()).ok()?.try_into().ok()
}

/// Takes the lock, if no service has it. Those who look hold it together for a moment, and stand in nobody's way.
fn lock_alone(lock: &File) -> io::Result<bool> {
    let begun = Instant::now();
    while begun.elapsed() < CLAIM_WITHIN {
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(error) => return Err(error.into()),
        }
        match flock(lock, FlockOperation::NonBlockingLockShared) {
            Ok(()) => flock(lock, FlockOperation::Unlock)?,
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        std::thread::yield_now();
    }
    Ok(false)
}

/// The address of the service that runs on a state directory, such as "http://127.0.0.1:50051"; none when none does.
///
/// # Errors
/// When the directory cannot be read.
pub fn running_at(state_dir: &Path) -> Result<Option<String>, StateDirError> {
    Ok(read_endpoint(state_dir)?.map(|endpoint| endpoint.service))
}

/// Where a running service is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Where it listens, such as "http://127.0.0.1:50051".
    pub(super) service: String,
    /// How a browser is to call it: by a name that its certificate has.
    pub(super) page: String,
}

/// Where the service of this directory is; none when none runs there.
pub(super) fn read_endpoint(state_dir: &Path) -> Result<Option<Endpoint>, StateDirError> {
    if !is_claimed(state_dir)? {
        return Ok(None);
    }
    let path = state_dir.join(ENDPOINT_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let mut lines = text.lines().map(str::to_owned);
            let service = lines.next().unwrap_or_default();
            Ok(Some(Endpoint { page: lines.next().unwrap_or_else(|| service.clone()), service }))
        }
        // It has only just begun, or is leaving.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StateDirError::Io(path, error)),
    }
}

/// The key of a directory that some service has claimed.
pub(super) fn read_key(state_dir: &Path) -> Result<StateKey, StateDirError> {
    let path = state_dir.join(KEY_FILE);
    let text = fs::read_to_string(&path).map_err(|error| StateDirError::Io(path.clone(), error))?;
    parse_secret(&text).map(StateKey::new).ok_or(StateDirError::NotASecret(path))
}

/// Whether a service runs on the directory: a killed one leaves its files, and no lock.
pub(super) fn is_claimed(state_dir: &Path) -> Result<bool, StateDirError> {
    let path = state_dir.join(LOCK_FILE);
    let failed = |error| StateDirError::Io(path.clone(), error);
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    match flock(&lock, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(failed(error.into())),
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn state_dir() -> tempfile::TempDir {
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir().unwrap()
    }

    #[test]
    fn who_looks_whether_a_service_runs_stands_in_no_services_way() {
        let (dir, over) = (state_dir(), AtomicBool::new(false));
        drop(StateDir::claim(dir.path()).unwrap());
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    is_claimed(dir.path()).unwrap();
                }
            });
            let refused: Vec<_> = (0..2000).filter_map(|_| StateDir::claim(dir.path()).err()).collect();
            over.store(true, Ordering::Relaxed);
            assert!(refused.is_empty(), "{} times: {}", refused.len(), refused[0]);
        });
        let _first = StateDir::claim(dir.path()).unwrap();
        assert!(matches!(StateDir::claim(dir.path()), Err(StateDirError::InUse(_))));
    }

    #[test]
    fn an_endpoint_that_a_killed_service_left_is_nobodys() {
        let dir = state_dir();
        let endpoint = || Endpoint { service: "http://a".to_owned(), page: "http://b".to_owned() };
        let running = || running_at(dir.path()).unwrap();
        assert_eq!(running(), None, "no service was ever here");
        let killed = StateDir::claim(dir.path()).unwrap();
        killed.write_endpoint(&endpoint(), None).unwrap();
        assert_eq!(running().as_deref(), Some("http://a"));
        drop(killed);
        assert!(dir.path().join(ENDPOINT_FILE).exists());
        assert_eq!(running(), None, "nobody claims the directory");
        let _next = StateDir::claim(dir.path()).unwrap();
        assert_eq!(running(), None, "the next one does not listen yet");
    }
}
