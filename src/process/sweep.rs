//! Clears what jobs leave behind: processes of a dead shim's control group, directories, the group itself.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::cgroup;
use super::place::{self, Place, RunDirs};

/// Pauses before each try to remove a directory: a browser's last helper may still be writing when its root is gone.
const RETRY_PAUSES_MS: [u64; 4] = [0, 50, 200, 1000];

impl Place {
    /// Kills what the control group still holds, then removes it, RUN/<16> and DIR/jobs/<task_id>.*. Blocks up to 1.3 s.
    ///
    /// For jobs that are over: a living shim would lose its socket.
    pub fn wipe(&self) -> io::Result<()> {
        self.clear_run()?;
        self.kept_files().iter().try_for_each(|file| absent_is_fine(fs::remove_file(file)))
    }

    /// The part of `wipe` that leaves DIR/jobs/<task_id>.* and so an exit file.
    pub(super) fn clear_run(&self) -> io::Result<()> {
        if let Some(cgroup) = self.cgroup() {
            insist(|| remove_cgroup(cgroup))?;
        }
        insist(|| remove_tree(self.run_dir()))
    }
}

/// At start: removes what is left of every job that `keep` (asked by task id) does not want and that no living shim holds.
/// Returns how many things could not be removed.
pub fn sweep(dirs: &RunDirs, keep: impl Fn(&str) -> bool) -> io::Result<usize> {
    let mut held = Vec::new();
    let mut failures = 0;
    for place in dirs.places()? {
        if keep(place.task_id()) || place.has_living_shim() {
            held.extend(place::key(place.task_id()));
        } else {
            failures += usize::from(place.wipe().is_err());
        }
    }
    // What is left has no job: a shim that died before it could say whose it was, or a group without its directory.
    for name in place::names_in(dirs.run())? {
        if !held.contains(&name) {
            failures += usize::from(insist(|| remove_tree(&dirs.run().join(&name))).is_err());
        }
    }
    if let Some(parent) = dirs.cgroup() {
        for entry in fs::read_dir(parent)?.flatten().filter(|entry| entry.path().is_dir()) {
            if !entry.file_name().to_str().is_some_and(|name| held.iter().any(|kept| kept == name)) {
                failures += usize::from(insist(|| remove_cgroup(&entry.path())).is_err());
            }
        }
    }
    Ok(failures)
}

/// Tries until it succeeds or the pauses are used up; then says why the last try failed.
fn insist(mut attempt: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let mut last = Ok(());
    for pause_ms in RETRY_PAUSES_MS {
        if pause_ms > 0 {
            thread::sleep(Duration::from_millis(pause_ms));
        }
        last = attempt();
        if last.is_ok() {
            break;
        }
    }
    last
}

fn remove_tree(path: &Path) -> io::Result<()> {
    absent_is_fine(fs::remove_dir_all(path))
}

fn remove_cgroup(path: &Path) -> io::Result<()> {
    let removed = absent_is_fine(fs::remove_dir(path));
    if removed.is_err() {
        // Busy: somebody lives there still, or a browser made groups of its own below.
        cgroup::kill(path)?;
        for entry in fs::read_dir(path)?.flatten().filter(|entry| entry.path().is_dir()) {
            remove_cgroup(&entry.path())?;
        }
        return absent_is_fine(fs::remove_dir(path));
    }
    removed
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVER: &str = "0190c1a2-3b4c-7d5e-8f60-718293a4b5c6";
    const KEPT: &str = "0190c1a2-3b4c-7d5e-8f60-718293a4b5c7";

    #[test]
    fn what_fails_is_tried_again_a_few_times() {
        let busy = || Err(io::Error::from(io::ErrorKind::DirectoryNotEmpty));
        let mut tries = 0;
        let third = insist(|| {
            tries += 1;
            if tries < 3 { busy() } else { Ok(()) }
        });
        assert!(third.is_ok() && tries == 3);
        let mut tries = 0;
        let never = insist(|| {
            tries += 1;
            busy()
        });
        assert_eq!((never.unwrap_err().kind(), tries), (io::ErrorKind::DirectoryNotEmpty, RETRY_PAUSES_MS.len()));
    }

    #[test]
    fn the_sweep_takes_what_is_over_and_leaves_what_is_kept() {
        let base = tempfile::tempdir().unwrap();
        let dirs = RunDirs::prepare_under(base.path(), &base.path().join("state"), "0badcafe").unwrap();
        let nameless = dirs.run().join("0000000000000000");
        fs::create_dir(&nameless).unwrap();
        for task_id in [OVER, KEPT] {
            let place = dirs.place(task_id);
            fs::create_dir_all(place.tmp().join("deep")).unwrap();
            place.mark_gone().unwrap();
            if let Some(cgroup) = place.cgroup() {
                fs::create_dir(cgroup).unwrap();
            }
        }

        assert_eq!(sweep(&dirs, |task_id| task_id == KEPT).unwrap(), 0);

        assert!(!nameless.exists());
        assert!(!dirs.place(OVER).launched_any());
        assert!(dirs.place(OVER).cgroup().is_none_or(|cgroup| !cgroup.exists()));
        let kept = dirs.place(KEPT);
        assert!(kept.tmp().exists() && kept.went());
        assert!(kept.cgroup().is_none_or(Path::exists));
        kept.wipe().unwrap();
        assert!(!kept.launched_any());
        dirs.release();
    }
}
