//! Where a job's files lie: RUN/<16> lives as long as the boot, DIR/jobs/<task_id>.{go,exit,cdp} outlive it.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::cgroup;
use super::identity::Published;

/// The longest RUN path in bytes: Chromium appends a socket path of 60 characters to the directory we give it and aborts past 108.
const RUN_LEN_MAX: usize = 40;
/// Names the base directory of RUN, where the usual ones do not suit.
const RUN_DIR_VARIABLE: &str = "COMET_TASK_RUNNER_RUN_DIR";
/// Only the owner may look into what a job leaves on disk: it holds cookies, tokens and page content.
const PRIVATE: u32 = 0o700;
/// The same for files.
const PRIVATE_FILE: u32 = 0o600;

/// Why the directories of this service cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Browsers would abort in so long a path.
    #[error("run directory {0:?} is longer than {RUN_LEN_MAX} bytes; set {RUN_DIR_VARIABLE} to a shorter base")]
    TooLong(PathBuf),
    /// Somebody else could read or replace what lies there.
    #[error("{0:?} is not a directory of our own")]
    Foreign(PathBuf),
    /// Paths travel as text between our processes.
    #[error("{0:?} is not valid UTF-8")]
    NotText(PathBuf),
    /// The system refused.
    #[error("cannot prepare {path:?}: {error}")]
    Io {
        /// What was being prepared.
        path: PathBuf,
        /// Why it failed.
        error: io::Error,
    },
}

/// The empty file in DIR/jobs that every `go` is a further name of; a file system that cannot do so gets files of their own.
const GO_FILE: &str = ".go";

/// The file in DIR that names the base of RUN, for the next service.
const BASE_FILE: &str = "run-base";

/// The two roots under which every job of one ledger has its place.
#[derive(Debug, Clone)]
pub struct RunDirs {
    run: PathBuf,
    jobs: PathBuf,
    cgroup: Option<PathBuf>,
}

impl RunDirs {
    /// Chooses and makes the roots: RUN under `COMET_TASK_RUNNER_RUN_DIR`, else `$XDG_RUNTIME_DIR`, `/run` or `/tmp`,
    /// whichever is writable first, and DIR/jobs under `state_dir`.
    pub fn prepare(state_dir: &Path, ledger_id: &str) -> Result<RunDirs, PlaceError> {
        RunDirs::prepare_again(state_dir, ledger_id, || {
            std::env::var_os(RUN_DIR_VARIABLE).map_or_else(usual_base, PathBuf::from)
        })
    }

    /// Jobs of an earlier service are where that one chose, whatever would be chosen now.
    fn prepare_again(
        state_dir: &Path,
        ledger_id: &str,
        choose: impl FnOnce() -> PathBuf,
    ) -> Result<RunDirs, PlaceError> {
        let base = earlier_base(state_dir, ledger_id).unwrap_or_else(choose);
        let dirs = RunDirs::prepare_under(&base, state_dir, ledger_id)?;
        let note = state_dir.join(BASE_FILE);
        fs::write(&note, base.as_os_str().as_encoded_bytes()).map_err(|error| PlaceError::Io { path: note, error })?;
        Ok(dirs)
    }

    /// The base that a service would choose for RUN, without making anything there.
    pub fn foresee() -> Result<PathBuf, PlaceError> {
        let base = std::env::var_os(RUN_DIR_VARIABLE).map_or_else(usual_base, PathBuf::from);
        // As long as any ledger's.
        let run = base.join("ctr-00000000");
        if run.as_os_str().len() > RUN_LEN_MAX { Err(PlaceError::TooLong(run)) } else { Ok(base) }
    }

    /// The same with a base directory that the caller has chosen.
    pub fn prepare_under(base: &Path, state_dir: &Path, ledger_id: &str) -> Result<RunDirs, PlaceError> {
        let name = format!("ctr-{ledger_id}");
        let run = base.join(&name);
        let jobs = state_dir.join("jobs");
        if run.as_os_str().len() > RUN_LEN_MAX {
            return Err(PlaceError::TooLong(run));
        }
        for path in [&run, &jobs] {
            if path.to_str().is_none() {
                return Err(PlaceError::NotText(path.clone()));
            }
            make_own(path)?;
        }
        let go = jobs.join(GO_FILE);
        let made = OpenOptions::new().append(true).create(true).mode(PRIVATE_FILE).open(&go);
        made.map_err(|error| PlaceError::Io { path: go, error })?;
        let cgroup = cgroup::own().and_then(|own| cgroup::prepare(&own, &name));
        Ok(RunDirs { run, jobs, cgroup })
    }

    /// The same roots, but jobs get no control group: what a machine without a writable one does.
    #[must_use]
    pub fn without_cgroups(self) -> RunDirs {
        if let Some(parent) = &self.cgroup {
            // Stays if an earlier service of this ledger has jobs in it.
            let _ = fs::remove_dir(parent);
        }
        RunDirs { cgroup: None, ..self }
    }

    /// Whether jobs get a control group of their own.
    #[must_use]
    pub fn has_cgroups(&self) -> bool {
        self.cgroup.is_some()
    }

    /// The root of what lives as long as the boot.
    #[must_use]
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// Where the job of this task has its files.
    ///
    /// # Panics
    /// When `task_id` is not the text of a UUID: ids are parsed long before they come here.
    #[must_use]
    pub fn place(&self, task_id: &str) -> Place {
        let key = key(task_id).expect("a task id is the text of a UUID");
        Place {
            task_id: task_id.to_owned(),
            run: self.run.join(&key),
            jobs: self.jobs.clone(),
            cgroup: self.cgroup.as_ref().map(|parent| parent.join(&key)),
        }
    }

    /// Every job that has left anything on disk here, in no order.
    pub fn places(&self) -> io::Result<Vec<Place>> {
        let mut kept: Vec<String> = names_in(&self.jobs)?
            .iter()
            .filter_map(|name| name.split_once('.').map(|(task_id, _)| task_id))
            .filter(|task_id| key(task_id).is_some())
            .map(str::to_owned)
            .collect();
        kept.sort_unstable();
        kept.dedup();
        let mut places: Vec<_> = kept.iter().map(|task_id| self.place(task_id)).collect();
        for name in names_in(&self.run)? {
            let Some(published) = read_published(&self.run.join(name).join("id")) else {
                continue;
            };
            if key(&published.task_id).is_some() && !places.iter().any(|place| place.task_id == published.task_id) {
                places.push(self.place(&published.task_id));
            }
        }
        Ok(places)
    }

    /// Removes the roots if they are empty, as when the last job is over and the service ends.
    pub fn release(&self) {
        let _ = fs::remove_dir(&self.run);
        if let Some(cgroup) = &self.cgroup {
            let _ = fs::remove_dir(cgroup);
        }
    }

    pub(super) fn cgroup(&self) -> Option<&Path> {
        self.cgroup.as_deref()
    }
}

/// The files of one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    task_id: String,
    run: PathBuf,
    jobs: PathBuf,
    cgroup: Option<PathBuf>,
}

impl Place {
    /// The task whose job this is.
    #[must_use]
    pub fn task_id(&self) -> &str {
        &self.task_id
    }

    /// RUN/<16>, gone after a reboot.
    #[must_use]
    pub fn run_dir(&self) -> &Path {
        &self.run
    }

    /// The browser's temporary directory.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.run.join("t")
    }

    /// Where an ephemeral profile goes; whoever wants one makes it.
    #[must_use]
    pub fn profile(&self) -> PathBuf {
        self.run.join("p")
    }

    /// What the layer above remembers of its conversation with the browser.
    #[must_use]
    pub fn cdp(&self) -> PathBuf {
        self.kept("cdp")
    }

    /// Whether a browser may have been started: `go` exists.
    #[must_use]
    pub fn went(&self) -> bool {
        self.go().exists()
    }

    /// Whether a shim was ever made for this job and has not cleared its traces.
    #[must_use]
    pub fn launched_any(&self) -> bool {
        self.run.exists() || self.kept_files().iter().any(|file| file.exists())
    }

    /// Whether anything is left of the job, once its shim is gone.
    #[must_use]
    pub fn has_leftovers(&self) -> bool {
        self.launched_any() || self.cgroup().is_some_and(Path::exists)
    }

    /// Whether the shim that published itself here still exists.
    #[must_use]
    pub fn has_living_shim(&self) -> bool {
        self.published().is_some_and(|published| published.shim.is_same())
    }

    pub(super) fn published(&self) -> Option<Published> {
        read_published(&self.id())
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.run.join("s")
    }

    pub(super) fn id(&self) -> PathBuf {
        self.run.join("id")
    }

    pub(super) fn go(&self) -> PathBuf {
        self.kept("go")
    }

    pub(super) fn exit(&self) -> PathBuf {
        self.kept("exit")
    }

    /// DIR/jobs, kept over a reboot.
    pub(super) fn jobs(&self) -> &Path {
        &self.jobs
    }

    /// All that can be in DIR/jobs for this job. Files without a directory of their own: on a disk, making and removing
    /// one would be a fifth of the cost of a short job.
    pub(super) fn kept_files(&self) -> [PathBuf; 3] {
        [self.go(), self.exit(), self.cdp()]
    }

    /// Marks the job as one whose browser may have been started; fails when it is marked already.
    pub(super) fn mark_gone(&self) -> Result<(), Errno> {
        // A further name of one empty file, so that no file has to be made.
        match rustix::fs::link(self.jobs.join(GO_FILE), self.go()) {
            Err(Errno::MLINK | Errno::PERM | Errno::OPNOTSUPP | Errno::NOENT) => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                rustix::fs::open(self.go(), flags, Mode::RUSR | Mode::WUSR).map(drop)
            }
            linked => linked,
        }
    }

    fn kept(&self, what: &str) -> PathBuf {
        self.jobs.join(format!("{}.{what}", self.task_id))
    }

    pub(super) fn cgroup(&self) -> Option<&Path> {
        self.cgroup.as_deref()
    }
}

/// The last 16 hexadecimal digits of a UUID's text; None when it is not one.
pub(super) fn key(task_id: &str) -> Option<String> {
    let shape = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    };
    let well_formed = task_id.len() == 36 && task_id.bytes().enumerate().all(shape);
    well_formed.then(|| format!("{}{}", &task_id[19..23], &task_id[24..]))
}

pub(super) fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    // A name that is not text is not one of ours.
    entries.filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose()).collect()
}

fn read_published(path: &Path) -> Option<Published> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Where an earlier service has put RUN, if anything of it is still there.
fn earlier_base(state_dir: &Path, ledger_id: &str) -> Option<PathBuf> {
    let base = PathBuf::from(fs::read_to_string(state_dir.join(BASE_FILE)).ok()?);
    base.join(format!("ctr-{ledger_id}")).is_dir().then_some(base)
}

fn usual_base() -> PathBuf {
    let xdg = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    xdg.into_iter()
        .chain([PathBuf::from("/run")])
        .find(|base| rustix::fs::access(base, Access::WRITE_OK | Access::EXEC_OK).is_ok())
        .unwrap_or_else(|| PathBuf::from("/tmp"))
}

/// Makes the directory, or makes sure that the one there is ours, no symlink, and closed to others.
fn make_own(path: &Path) -> Result<(), PlaceError> {
    let failed = |error| PlaceError::Io { path: path.to_owned(), error };
    DirBuilder::new().mode(PRIVATE).recursive(true).create(path).map_err(failed)?;
    let found = fs::symlink_metadata(path).map_err(failed)?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(PlaceError::Foreign(path.to_owned()));
    }
    if found.mode() & 0o777 != PRIVATE {
        fs::set_permissions(path, Permissions::from_mode(PRIVATE)).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = "0190c1a2-3b4c-7d5e-8f60-718293a4b5c6";

    #[test]
    fn a_place_is_named_by_the_end_of_the_task_id() {
        let base = tempfile::tempdir().unwrap();
        let dirs = RunDirs::prepare_under(base.path(), &base.path().join("state"), "0badcafe").unwrap();
        let place = dirs.place(TASK);
        assert_eq!(place.run_dir(), base.path().join("ctr-0badcafe/8f60718293a4b5c6"));
        assert_eq!(place.cdp(), base.path().join("state/jobs").join(format!("{TASK}.cdp")));
        assert!(!place.went() && !place.launched_any() && !place.has_living_shim());
        dirs.release();
        assert!(!dirs.run().exists());
    }

    #[test]
    fn what_is_not_a_uuid_names_no_place() {
        for text in ["", "../../etc", "0190C1A2-3B4C-7D5E-8F60-718293A4B5C6", "0190c1a23b4c7d5e8f60718293a4b5c6"] {
            assert_eq!(key(text), None, "{text}");
        }
    }

    #[test]
    fn a_run_path_in_which_browsers_abort_is_refused() {
        let base = Path::new("/tmp/a-base-directory-that-is-far-too-long");
        let refused = RunDirs::prepare_under(base, Path::new("/nowhere"), "0badcafe");
        assert!(matches!(refused, Err(PlaceError::TooLong(_))), "{refused:?}");
        assert!(!base.exists());
    }

    #[test]
    fn a_job_is_marked_as_gone_once_whether_or_not_files_can_have_two_names() {
        let base = tempfile::tempdir().unwrap();
        let dirs = RunDirs::prepare_under(base.path(), &base.path().join("state"), "0badcafe").unwrap();
        let place = dirs.place(TASK);
        for _ in 0..2 {
            place.mark_gone().unwrap();
            assert!(place.went() && place.launched_any());
            assert_eq!(place.mark_gone(), Err(Errno::EXIST));
            assert_eq!(dirs.places().unwrap(), std::slice::from_ref(&place));
            place.wipe().unwrap();
            assert!(!place.went());
            // Then as where there is nothing to make another name of.
            fs::remove_file(place.jobs().join(GO_FILE)).ok();
        }
    }

    #[test]
    fn the_next_service_looks_where_the_last_one_left_jobs() {
        let (state, first, second) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let prepare = |base: &Path| RunDirs::prepare_again(state.path(), "0badcafe", || base.to_owned()).unwrap();
        let dirs = prepare(first.path());
        assert_eq!(prepare(second.path()).run(), first.path().join("ctr-0badcafe"));
        dirs.release();
        let dirs = prepare(second.path());
        assert_eq!(dirs.run(), second.path().join("ctr-0badcafe"));
        dirs.release();
    }

    #[test]
    fn a_symlink_in_the_place_of_a_root_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let target = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(target.path(), base.path().join("ctr-0badcafe")).unwrap();
        let refused = RunDirs::prepare_under(base.path(), &base.path().join("state"), "0badcafe");
        assert!(matches!(refused, Err(PlaceError::Foreign(_))), "{refused:?}");
    }

    #[test]
    fn a_root_that_others_could_read_is_closed() {
        let base = tempfile::tempdir().unwrap();
        let run = base.path().join("ctr-0badcafe");
        fs::create_dir(&run).unwrap();
        fs::set_permissions(&run, Permissions::from_mode(0o755)).unwrap();
        RunDirs::prepare_under(base.path(), &base.path().join("state"), "0badcafe").unwrap().release();
        let again = RunDirs::prepare_under(base.path(), &base.path().join("state"), "0badcafe").unwrap();
        assert_eq!(fs::metadata(again.run()).unwrap().mode() & 0o777, 0o700);
        again.release();
    }
}
