//! The named profiles that are kept: what there is, who uses it, and how one is removed.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    Host, Runner,
    admission::profile_key,
    host::in_thread,
    profile_lock::{self, ProfileInUse},
};
use crate::{
    browser::{
        name::check_name,
        profile::{self, ProfileName},
    },
    job::{Phase, Profile, TaskId, WallTime},
};

/// A kept profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownProfile {
    /// Which.
    pub key: ProfileKey,
    /// What it takes on the disk.
    pub size_bytes: u64,
    /// When anything in it was last written.
    pub last_used_at: WallTime,
    /// The task that uses it, a finished one with an open browser included.
    pub task_id: Option<TaskId>,
    /// How many tasks wait for it.
    pub waiting_count: usize,
}

/// Names a kept profile: each browser has its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProfileKey {
    /// The browser.
    pub browser: String,
    /// The profile.
    pub name: String,
}

/// Some of the kept profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfilePage {
    /// In the order of their keys.
    pub profiles: Vec<KnownProfile>,
    /// There are more.
    pub has_more: bool,
}

/// Why a profile was not listed or removed.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No such profile.
    #[error("no profile named {0:?} is kept here; ListProfiles tells which are")]
    Unknown(String),
    /// Several browsers have one of that name.
    #[error("several browsers have a profile named {name:?}; name one of them: {}", .browsers.join(", "))]
    BrowserNeeded {
        /// The profile.
        name: String,
        /// Whose there are.
        browsers: Vec<String>,
    },
    /// A task uses it or waits for it.
    #[error("the profile {0:?} is used by a task, or one waits for it; end that task first")]
    Busy(String),
    /// A browser that is not this service's holds it.
    #[error("{0}")]
    Held(String),
    /// The disk did not do it.
    #[error("the profiles cannot be read or removed: {0}")]
    Io(#[from] io::Error),
}

/// What a profile is called while it is being removed: no profile's own name ends so, for none begins with a dot.
const GOING: &str = "going";

impl Runner {
    /// The kept profiles after a key, at most `limit`.
    ///
    /// # Errors
    /// When their directories cannot be read.
    pub async fn profiles(&self, after: Option<ProfileKey>, limit: usize) -> Result<ProfilePage, ProfileError> {
        let root = self.host.profiles_dir();
        let (found, has_more) = in_thread(move || read_page(&root, after.as_ref(), limit)).await?;
        Ok(ProfilePage { profiles: found.into_iter().map(|found| self.host.known(found)).collect(), has_more })
    }

    /// Removes a kept profile with all that is in it; with no browser named, the only one of that name.
    ///
    /// # Errors
    /// When there is none, or it is in use, or the disk does not let it go.
    pub async fn remove_profile(&self, browser: Option<String>, name: String) -> Result<KnownProfile, ProfileError> {
        let root = self.host.profiles_dir();
        let found = in_thread(move || find(&root, browser.as_deref(), &name)).await?;
        let key = found.key.clone();
        // Jobs that ask for it from here on wait until it is gone, and then make it anew.
        let held = self.host.admission.hold_idle_profile(&profile_key(&key.browser, &key.name));
        let held = held.ok_or_else(|| ProfileError::Busy(key.name.clone()))?;
        let known = self.host.known(found);
        let place = self.host.profiles_dir().join(&key.browser);
        let removed = in_thread(move || remove(&place, &key.name)).await;
        drop(held);
        removed?;
        Ok(known)
    }
}

impl Host {
    fn profiles_dir(&self) -> PathBuf {
        profile::root(&self.state_dir)
    }

    /// With what the tasks of this moment make of it.
    fn known(&self, found: Found) -> KnownProfile {
        let Found { key, size_bytes, last_used_at } = found;
        let mut task_id = None;
        let mut waiting_count = 0;
        for live in self.live.all() {
            let job = live.log.latest();
            let is_meant = matches!(&job.spec.profile, Profile::Named(name) if *name == key.name);
            if !is_meant || job.spec.browser != key.browser || job.is_settled() {
                continue;
            }
            match job.status.phase() {
                Phase::Waiting if live.sample().queued.is_some() => waiting_count += 1,
                Phase::Waiting | Phase::Running | Phase::Stopping | Phase::Over => task_id = Some(job.id),
            }
        }
        KnownProfile { key, size_bytes, last_used_at: last_used_at.into(), task_id, waiting_count }
    }
}

/// A profile as it lies on the disk.
struct Found {
    key: ProfileKey,
    size_bytes: u64,
    last_used_at: SystemTime,
}

/// Only those that are asked for are looked into.
fn read_page(root: &Path, after: Option<&ProfileKey>, limit: usize) -> io::Result<(Vec<Found>, bool)> {
    let keys: Vec<_> = keys(root)?.into_iter().filter(|key| after.is_none_or(|after| key > after)).collect();
    let has_more = keys.len() > limit;
    let found = keys.into_iter().take(limit).filter_map(|key| look(root, key).transpose());
    Ok((found.collect::<io::Result<_>>()?, has_more))
}

fn find(root: &Path, browser: Option<&str>, name: &str) -> Result<Found, ProfileError> {
    let unknown = || ProfileError::Unknown(name.to_owned());
    let mut keys: Vec<_> = keys(root)?.into_iter().filter(|key| key.name == name).collect();
    keys.retain(|key| browser.is_none_or(|browser| key.browser == browser));
    let key = match keys.as_slice() {
        [] => return Err(unknown()),
        [key] => key.clone(),
        [_, ..] => {
            let browsers = keys.into_iter().map(|key| key.browser).collect();
            return Err(ProfileError::BrowserNeeded { name: name.to_owned(), browsers });
        }
    };
    look(root, key)?.ok_or_else(unknown)
}

fn keys(root: &Path) -> io::Result<Vec<ProfileKey>> {
    let mut keys = Vec::new();
    for browser in names_in(root)? {
        let names = names_in(&root.join(&browser))?;
        keys.extend(names.into_iter().map(|name| ProfileKey { browser: browser.clone(), name }));
    }
    keys.sort();
    Ok(keys)
}

/// The directories with the name of a browser or a profile; none where there is nothing yet.
fn names_in(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let dirs = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(dirs.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| check_name(name).is_ok()).collect())
}

/// None when it is gone by now.
fn look(root: &Path, key: ProfileKey) -> io::Result<Option<Found>> {
    let dir = root.join(&key.browser).join(&key.name);
    let Ok(about) = fs::symlink_metadata(&dir) else { return Ok(None) };
    let mut found = Found { key, size_bytes: size_of(&about), last_used_at: about.modified()? };
    let mut waiting = vec![dir];
    while let Some(dir) = waiting.pop() {
        // A living browser removes things under our eyes.
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(about) = entry.metadata() else { continue };
            found.size_bytes += size_of(&about);
            found.last_used_at = about.modified()?.max(found.last_used_at);
            if about.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(Some(found))
}

/// What a file takes, holes not counted.
fn size_of(about: &fs::Metadata) -> u64 {
    /// The unit in which the system counts, whatever the disk's own is.
    const BLOCK_BYTES: u64 = 512;
    about.blocks().saturating_mul(BLOCK_BYTES)
}

/// At once under its own name, then piece by piece; what an earlier removal did not finish goes too.
fn remove(browser_dir: &Path, name: &str) -> Result<(), ProfileError> {
    let dir = browser_dir.join(name);
    let parsed = ProfileName::parse(name).map_err(|_| ProfileError::Unknown(name.to_owned()))?;
    let lock = profile::lock_beside(browser_dir, &parsed);
    if fs::File::open(&lock).is_ok_and(|lock| lock.try_lock().is_err()) {
        // A shim that nobody looks after any more still holds it.
        return Err(ProfileError::Busy(name.to_owned()));
    }
    profile_lock::heal(&dir).map_err(|error| match error {
        ProfileInUse::ByProcess { .. } => ProfileError::Held(error.to_string()),
        ProfileInUse::Unknown(error, _) => ProfileError::Io(error),
    })?;
    let going = browser_dir.join(format!(".{name}.{GOING}"));
    absent_is_fine(fs::remove_dir_all(&going))?;
    absent_is_fine(fs::rename(&dir, &going))?;
    absent_is_fine(fs::remove_dir_all(&going))?;
    Ok(absent_is_fine(fs::remove_file(&lock))?)
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(()) | Err(_) => done,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn profile(root: &Path, browser: &str, name: &str, bytes: usize) {
        let dir = root.join(browser).join(name).join("Default");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("Cookies"), vec![7; bytes]).unwrap();
    }

    fn names(found: &[Found]) -> Vec<String> {
        found.iter().map(|found| format!("{}/{}", found.key.browser, found.key.name)).collect()
    }

    #[test]
    fn profiles_are_read_in_order_page_by_page_and_nothing_else_is_taken_for_one() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(names(&read_page(&root.join("none"), None, 9).unwrap().0), Vec::<String>::new());
        for (browser, name) in [("chrome", "work"), ("chrome", "mail"), ("firefox", "work")] {
            profile(root, browser, name, 100_000);
        }
        fs::write(root.join("chrome/.work.lock"), "").unwrap();
        fs::create_dir(root.join("chrome/.mail.going")).unwrap();
        fs::write(root.join("chrome/file"), "").unwrap();
        symlink("/", root.join("chrome/elsewhere")).unwrap();

        let (first, has_more) = read_page(root, None, 2).unwrap();
        assert_eq!((names(&first), has_more), (vec!["chrome/mail".to_owned(), "chrome/work".to_owned()], true));
        assert!(first.iter().all(|found| (100_000..200_000).contains(&found.size_bytes)), "{}", first[0].size_bytes);
        assert!(first.iter().all(|found| found.last_used_at.elapsed().is_ok()));
        let (rest, has_more) = read_page(root, Some(&first[1].key), 2).unwrap();
        assert_eq!((names(&rest), has_more), (vec!["firefox/work".to_owned()], false));
    }

    #[test]
    fn one_of_several_of_a_name_is_found_only_with_its_browser() {
        let root = tempfile::tempdir().unwrap();
        profile(root.path(), "chrome", "work", 1);
        assert_eq!(find(root.path(), None, "work").map(|found| found.key.browser).unwrap(), "chrome");
        profile(root.path(), "firefox", "work", 1);
        assert!(matches!(find(root.path(), None, "work"), Err(ProfileError::BrowserNeeded { browsers, .. })
            if browsers == ["chrome", "firefox"]));
        assert_eq!(find(root.path(), Some("firefox"), "work").map(|found| found.key.browser).unwrap(), "firefox");
        for (browser, name) in [(Some("brave"), "work"), (None, "mail"), (None, ".."), (Some(".."), "chrome")] {
            assert!(matches!(find(root.path(), browser, name), Err(ProfileError::Unknown(_))), "{browser:?} {name}");
        }
    }

    #[test]
    fn a_removal_takes_what_an_earlier_one_left_and_nothing_that_is_used() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("chrome");
        profile(root.path(), "chrome", "work", 1);
        profile(root.path(), "chrome", ".work.going", 1);
        let lock = fs::File::create(dir.join(".work.lock")).unwrap();
        lock.try_lock().unwrap();
        assert!(matches!(remove(&dir, "work"), Err(ProfileError::Busy(_))));
        drop(lock);
        symlink(format!("elsewhere-{}", std::process::id()), dir.join("work/SingletonLock")).unwrap();
        let open = fs::File::open(dir.join("work/Default/Cookies")).unwrap();
        assert!(matches!(remove(&dir, "work"), Err(ProfileError::Held(_))));
        drop(open);
        remove(&dir, "work").unwrap();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        remove(&dir, "work").unwrap();
    }
}
