//! Where a browser keeps its cookies and logins: a directory of one task, or a named one that outlives it.

use std::path::{Path, PathBuf};

use super::name::{NameError, check_name};

/// The name of a profile that outlives its tasks, safe as a file name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProfileName(String);

impl ProfileName {
    /// Takes a caller's text as a profile's name.
    ///
    /// # Errors
    /// Names the rule that is broken.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check_name(text)?;
        Ok(Self(text.to_owned()))
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which profile a task uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Made for one task and removed with it.
    Ephemeral,
    /// Kept, and used by one task at a time.
    Named(ProfileName),
}

/// The directory and the lock of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfilePlace {
    /// What `--user-data-dir` is given.
    pub dir: PathBuf,
    /// The file to lock while the profile is used; none for a profile that nobody else can know.
    pub lock: Option<PathBuf>,
}

/// Where the named profiles are, below a directory for each browser.
#[must_use]
pub fn root(state_dir: &Path) -> PathBuf {
    state_dir.join("profiles")
}

/// The lock of a profile beside it, never in it: browsers clean up files that they do not know. No profile is called so: a
/// name cannot begin with a dot.
#[must_use]
pub fn lock_beside(browser_dir: &Path, name: &ProfileName) -> PathBuf {
    browser_dir.join(format!(".{}.lock", name.as_str()))
}

impl Profile {
    /// Where the profile is: `p` in the task's own run directory, or below `state_dir`, where each browser has
    /// its own, because no browser can read the profile of a newer one.
    #[must_use]
    pub fn place(&self, run_dir: &Path, state_dir: &Path, browser: &str) -> ProfilePlace {
        match self {
            Self::Ephemeral => ProfilePlace { dir: run_dir.join("p"), lock: None },
            Self::Named(name) => {
                let profiles = root(state_dir).join(browser);
                let lock = lock_beside(&profiles, name);
                ProfilePlace { dir: profiles.join(name.as_str()), lock: Some(lock) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ephemeral_profile_lives_in_the_run_directory_without_a_lock() {
        let place = Profile::Ephemeral.place(Path::new("/run/ctr-1/x"), Path::new("/state"), "chrome");
        assert_eq!(place, ProfilePlace { dir: PathBuf::from("/run/ctr-1/x/p"), lock: None });
    }

    #[test]
    fn a_named_profile_is_kept_per_browser_and_locked_beside_it() {
        let named = Profile::Named(ProfileName::parse("mail").unwrap());
        let place = named.place(Path::new("/run/x"), Path::new("/state"), "chrome");
        assert_eq!(place.dir, PathBuf::from("/state/profiles/chrome/mail"));
        assert_eq!(place.lock, Some(PathBuf::from("/state/profiles/chrome/.mail.lock")));
    }

    #[test]
    fn a_profile_name_cannot_leave_its_directory() {
        for bad in ["..", "../x", "/etc", ".mail.lock", ""] {
            assert!(ProfileName::parse(bad).is_err(), "{bad}");
        }
    }
}
