//! What a service keeps on disk: whose it is, whether it is whole, whether there is room, and whether one runs on it.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use rustix::fs::{Access, access, statvfs};

use super::Finding;
use crate::{
    ledger::EmbeddedLedger,
    process::RunDirs,
    server::state_dir::{LEDGER_FILE, is_claimed},
};

/// Less room than this is soon used up: some days of a busy service.
const ROOM_BYTES_LOW: u64 = 100 * 1024 * 1024;
/// With less, not even the files of a few tasks can be written.
const ROOM_BYTES_MIN: u64 = 1024 * 1024;

/// Whether a service runs on a state directory; none when that cannot be told.
#[must_use]
pub fn is_running(state_dir: &Path) -> Option<bool> {
    is_claimed(state_dir).ok()
}

/// The directory, its room and its store.
pub(super) fn state_dir(path: &Path) -> Vec<Finding> {
    let about = "state directory";
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return vec![yet_to_be_made(path)],
        Err(error) => {
            let what = format!("{} cannot be looked at: {error}", path.display());
            return vec![Finding::problem(about, what, "make it this user's own, or choose another --state-dir")];
        }
    };
    let (owner, mode, me) = (metadata.uid(), metadata.mode() & 0o777, rustix::process::geteuid().as_raw());
    let mut findings = vec![if !metadata.is_dir() {
        Finding::problem(about, format!("{} is no directory", path.display()), "choose another --state-dir")
    } else if owner != me || mode & 0o077 != 0 {
        Finding::problem(
            about,
            format!(
                "{} belongs to user {owner} with mode {mode:o}, and you are user {me}; no service starts on it",
                path.display()
            ),
            "run as its owner and chmod 700 it, or choose another --state-dir",
        )
    } else {
        Finding::ok(about, format!("{}, mode {mode:o}, your own", path.display()))
    }];
    findings.push(room(path));
    findings.push(store(&path.join(LEDGER_FILE)));
    findings
}

/// A directory that is not there is made at the first start, if that can be.
fn yet_to_be_made(path: &Path) -> Finding {
    let about = "state directory";
    let parent = path.ancestors().skip(1).find(|parent| parent.exists()).unwrap_or(Path::new("/"));
    match access(parent, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::ok(about, format!("{} will be made at the first start", path.display())),
        Err(error) => Finding::problem(
            about,
            format!("{} cannot be made in {}: {error}", path.display(), parent.display()),
            "choose another --state-dir",
        ),
    }
}

fn room(path: &Path) -> Finding {
    const MIB: u64 = 1024 * 1024;
    let about = "room";
    let remedy = "make room on the disk of the state directory";
    match statvfs(path) {
        Ok(disk) => match disk.f_bavail.saturating_mul(disk.f_frsize) {
            bytes if bytes < ROOM_BYTES_MIN => {
                Finding::problem(about, format!("{} KiB are left, so jobs cannot be remembered", bytes / 1024), remedy)
            }
            bytes if bytes < ROOM_BYTES_LOW => Finding::warning(about, format!("{} MiB are left", bytes / MIB), remedy),
            bytes => Finding::ok(about, format!("{} MiB are left", bytes / MIB)),
        },
        Err(error) => Finding::warning(about, format!("the disk does not tell how much is left: {error}"), ""),
    }
}

fn store(path: &Path) -> Finding {
    let about = "ledger";
    if !path.exists() {
        return Finding::ok(about, "none yet; it will be made at the first start");
    }
    match EmbeddedLedger::inspect(path) {
        Ok(found) if found.version < found.newest => Finding::ok(
            about,
            format!(
                "whole, {} jobs; of version {}, and will be brought to version {} at the next start",
                found.jobs, found.version, found.newest
            ),
        ),
        Ok(found) => Finding::ok(about, format!("whole, {} jobs, version {}", found.jobs, found.version)),
        Err(error) => Finding::of_error(about, &error),
    }
}

/// Where the files of running jobs go; browsers abort in a long path.
pub(super) fn run_dir() -> Finding {
    match RunDirs::foresee() {
        Ok(path) => Finding::ok("run directory", format!("{}, short enough for browsers' sockets", path.display())),
        Err(error) => Finding::of_error("run directory", &error),
    }
}

/// Whoever can write the file can have programs started.
pub(super) fn config_file(path: &Path) -> Finding {
    let about = "configuration";
    match fs::metadata(path) {
        Ok(metadata) if metadata.mode() & 0o022 != 0 => Finding::warning(
            about,
            format!(
                "{} has mode {:o}, so others can have the service start programs of theirs",
                path.display(),
                metadata.mode() & 0o777
            ),
            format!("chmod go-w {}", path.display()),
        ),
        Ok(_) => Finding::ok(about, format!("read from {}", path.display())),
        Err(error) => Finding::warning(about, format!("{} is gone: {error}", path.display()), ""),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{super::Level, *};

    fn levels(findings: &[Finding]) -> Vec<(&'static str, Level)> {
        findings.iter().map(|finding| (finding.about, finding.level)).collect()
    }

    #[test]
    fn a_directory_that_can_be_made_is_well_and_nothing_is_made() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b");
        assert_eq!(levels(&state_dir(&path)), [("state directory", Level::Ok)]);
        assert!(!home.path().join("a").exists());
    }

    #[test]
    fn a_directory_that_others_can_read_is_a_problem_with_its_mode() {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let findings = state_dir(home.path());
        assert_eq!(findings[0].level, Level::Problem);
        assert!(findings[0].what.contains("755") && findings[0].remedy.contains("chmod 700"), "{findings:?}");
    }

    #[test]
    fn what_is_no_store_is_a_problem_and_stays_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(LEDGER_FILE);
        fs::write(&path, "not a database, but long enough to have been one in other circumstances").unwrap();
        assert_eq!(store(&path).level, Level::Problem);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_store_that_is_whole_is_read_without_a_trace() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(LEDGER_FILE);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(crate::ledger::Ledger::close(&EmbeddedLedger::open(&path).unwrap()));
        let before = fs::read(&path).unwrap();
        let found = store(&path);
        assert_eq!(found.level, Level::Ok);
        assert!(found.what.starts_with("whole, 0 jobs, version "), "{found:?}");
        assert_eq!((fs::read(&path).unwrap(), fs::read_dir(home.path()).unwrap().count()), (before, 1));
    }

    #[test]
    fn a_configuration_that_others_can_write_is_a_warning() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("c.toml");
        fs::write(&path, "").unwrap();
        for (mode, level) in [(0o600, Level::Ok), (0o644, Level::Ok), (0o664, Level::Warning)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(config_file(&path).level, level, "{mode:o}");
        }
    }
}
