//! The lock by which a browser keeps others off its profile: who is named in it, and how it is taken away.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What Chromium leaves beside its lock, and the lock itself last: as long as it is there, the rest means something.
const CHROMIUM: [&str; 3] = ["SingletonCookie", "SingletonSocket", "SingletonLock"];
/// The same of Firefox.
const FIREFOX: [&str; 2] = [".parentlock", "lock"];

/// A lock that lies in a profile, held or left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileLock {
    /// The machine that is named in it, by its name or its address.
    pub host: String,
    /// The process that is named in it; none when it names none.
    pub pid: Option<u32>,
    files: Vec<PathBuf>,
}

impl ProfileLock {
    /// The lock of a profile; none when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(profile_dir: &Path) -> io::Result<Option<Self>> {
        // What stands between the machine and the process.
        for (names, between) in [(CHROMIUM.as_slice(), "-"), (&FIREFOX, ":+")] {
            let files: Vec<_> = names.iter().map(|name| profile_dir.join(name)).collect();
            let Some(lock) = files.last() else { continue };
            let target = match fs::read_link(lock) {
                Ok(target) => target.to_string_lossy().into_owned(),
                // No lock, or a file of that name that is none.
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => continue,
                Err(error) => return Err(error),
            };
            let (host, pid) = target.rsplit_once(between).unwrap_or((&target, ""));
            return Ok(Some(Self { host: host.to_owned(), pid: pid.parse().ok(), files }));
        }
        Ok(None)
    }

    /// Takes it away, the lock itself last.
    ///
    /// # Errors
    /// When a part of it cannot be removed; none that is gone already is an error.
    pub fn remove(&self) -> io::Result<()> {
        for file in &self.files {
            match fs::remove_file(file) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn each_browsers_lock_is_read_and_goes_with_all_that_belongs_to_it() {
        for (names, target, host, pid) in [
            (CHROMIUM.as_slice(), "my-host-4711", "my-host", Some(4711)),
            (&CHROMIUM, "host-", "host", None),
            (&CHROMIUM, "", "", None),
            (&FIREFOX, "127.0.1.1:+4711", "127.0.1.1", Some(4711)),
            (&FIREFOX, "odd", "odd", None),
        ] {
            let dir = tempfile::tempdir().unwrap();
            assert_eq!(ProfileLock::of(dir.path()).unwrap(), None);
            let (lock, rest) = names.split_last().unwrap();
            for name in rest {
                fs::write(dir.path().join(name), "").unwrap();
            }
            fs::write(dir.path().join("Cookies"), "").unwrap();
            if target.is_empty() {
                // No symlink is empty, and a file of that name is no lock.
                fs::write(dir.path().join(lock), "").unwrap();
                assert_eq!(ProfileLock::of(dir.path()).unwrap(), None);
                continue;
            }
            symlink(target, dir.path().join(lock)).unwrap();
            let found = ProfileLock::of(dir.path()).unwrap().unwrap();
            assert_eq!((found.host.as_str(), found.pid), (host, pid), "{target}");
            found.remove().unwrap();
            let left: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
            assert_eq!(left, ["Cookies"], "{target}");
            found.remove().unwrap();
        }
    }
}
