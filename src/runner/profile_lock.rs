//! Locks that browsers left in kept profiles: one of a living browser is respected, any other is taken away.

use std::{io, path::Path};

use crate::{
    browser::lock::ProfileLock,
    process::{self, uses_directory},
};

/// A browser that is not this service's holds the profile, or nobody can tell.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProfileInUse {
    #[error("process {pid}, a browser that is not this service's, holds the profile; close it or use another profile")]
    ByProcess { pid: u32 },
    #[error("the profile's lock cannot be read or removed ({0}); look after {1:?}, or use another profile")]
    Unknown(io::Error, std::path::PathBuf),
}

/// Frees a profile of a lock that nobody holds: of a process that is gone, or of another machine.
///
/// Chromium itself waits for ever for the browser of another machine, as after a container was made anew over a kept
/// profile. Only the process counts that uses the profile here and now: its number may be a stranger's by now, and a
/// machine's name may have changed under a living browser.
pub(super) fn heal(profile_dir: &Path) -> Result<(), ProfileInUse> {
    let unknown = |error| ProfileInUse::Unknown(error, profile_dir.to_owned());
    let Some(lock) = ProfileLock::of(profile_dir).map_err(unknown)? else { return Ok(()) };
    if let Some(pid) = lock.pid.filter(|pid| uses_directory(*pid, profile_dir)) {
        return Err(ProfileInUse::ByProcess { pid });
    }
    let here = process::host_name();
    tracing::info!(profile = %profile_dir.display(), host = lock.host, pid = lock.pid, here, "a stale lock is removed");
    lock.remove().map_err(unknown)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::symlink};

    use super::*;

    /// A number that no process has: above what the kernel ever gives.
    const NOBODY: u32 = 4_194_305;

    #[test]
    fn only_the_lock_of_a_process_that_uses_the_profile_is_respected() {
        let here = process::host_name();
        let this = std::process::id();
        for (name, target) in [
            ("SingletonLock", format!("another-host-{this}")),
            ("SingletonLock", format!("{here}-{NOBODY}")),
            // A number that is a stranger's by now.
            ("SingletonLock", format!("{here}-{this}")),
            ("lock", format!("127.0.0.1:+{NOBODY}")),
            ("lock", format!("10.1.2.3:+{this}")),
        ] {
            let profile = tempfile::tempdir().unwrap();
            let lock = profile.path().join(name);
            symlink(&target, &lock).unwrap();
            heal(profile.path()).unwrap();
            assert!(lock.symlink_metadata().is_err(), "{target} is left");
        }
        for (name, target) in [("SingletonLock", format!("{here}-{this}")), ("lock", format!("127.0.0.1:+{this}"))] {
            let profile = tempfile::tempdir().unwrap();
            let lock = profile.path().join(name);
            symlink(&target, &lock).unwrap();
            let open = File::create(profile.path().join("Cookies")).unwrap();
            let refused = heal(profile.path()).unwrap_err();
            assert!(matches!(refused, ProfileInUse::ByProcess { pid } if pid == this), "{refused}");
            assert!(refused.to_string().contains(&this.to_string()));
            assert!(lock.symlink_metadata().is_ok(), "it is not touched");
            drop(open);
        }
    }
}
