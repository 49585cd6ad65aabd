//! The files that are kept of jobs: where they lie, and when they go.
//!
//! ```text
//!   STATE/files/<task_id>/<name>              kept, and told in the job; gone when the job is forgotten
//!   STATE/files/<task_id>/.incoming/<guid>    what the browser writes; gone with the browser
//! ```
//!
//! A kept file never has a name that begins with a dot, so the two cannot meet. A job that keeps nothing has no
//! directory here: the browser makes it with its first download.

mod name;
mod read;

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

pub(super) use name::{safe_name, unique_name};
pub use read::{FileError, FileReader, Piece};

use super::{Host, host::in_thread};
use crate::job::TaskId;

/// Below `files/<task_id>`: what the browser writes.
const INCOMING: &str = ".incoming";
/// With less than that a disk takes no more of a download: browsers write in pieces of up to a MiB or two.
const DISK_ROOM_MIN: u64 = 4 * 1024 * 1024;

/// Where the files of all jobs lie.
#[derive(Clone, Debug)]
pub(super) struct Files {
    root: PathBuf,
}

/// What was found of a download that the browser calls complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// It has this size.
    Whole { size_bytes: u64 },
    /// It is not where the browser put it: it was kept before, or never there.
    Away,
}

impl Files {
    pub(super) fn below(state_dir: &Path) -> Self {
        Self { root: state_dir.join("files") }
    }

    /// Makes the directory that nobody else may look into.
    pub(super) fn prepare(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.root)
    }

    /// Where a kept file lies.
    pub(super) fn path(&self, id: TaskId, name: &str) -> PathBuf {
        self.dir(id).join(name)
    }

    /// Where the browser of this job writes.
    pub(super) fn incoming(&self, id: TaskId) -> PathBuf {
        self.dir(id).join(INCOMING)
    }

    fn dir(&self, id: TaskId) -> PathBuf {
        self.root.join(id.to_string())
    }

    /// Writes something that is not kept yet beside what the browser writes.
    pub(super) fn write_incoming(&self, id: TaskId, name: &str, bytes: &[u8]) -> io::Result<()> {
        let incoming = self.incoming(id);
        DirBuilder::new().recursive(true).mode(0o700).create(&incoming)?;
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(incoming.join(name))?;
        file.write_all(bytes)
    }

    /// Looks at what the browser wrote.
    pub(super) fn came(&self, id: TaskId, guid: &str) -> io::Result<Came> {
        match fs::symlink_metadata(self.incoming(id).join(guid)) {
            Ok(found) if found.is_file() => Ok(Came::Whole { size_bytes: found.len() }),
            Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "what the browser wrote is no plain file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Came::Away),
            Err(error) => Err(error),
        }
    }

    /// Gives a file its name. One that has that name without being told in the job was left by a service that ended
    /// between the two, and is this one.
    pub(super) fn keep(&self, id: TaskId, guid: &str, name: &str) -> io::Result<()> {
        let incoming = self.incoming(id).join(guid);
        fs::set_permissions(&incoming, Permissions::from_mode(0o600))?;
        fs::rename(incoming, self.path(id, name))
    }

    /// The size of a file that was given its name before it was told.
    pub(super) fn named_before(&self, id: TaskId, name: &str) -> Option<u64> {
        let found = fs::symlink_metadata(self.path(id, name)).ok()?;
        found.is_file().then_some(found.len())
    }

    /// Removes what there is of a download.
    pub(super) fn discard(&self, id: TaskId, guid: &str) {
        let incoming = self.incoming(id);
        for name in [guid.to_owned(), format!("{guid}.crdownload")] {
            // What is left, such as a file that the browser still writes, goes with the browser.
            let _ = fs::remove_file(incoming.join(name));
        }
    }

    /// Whether the disk takes no more.
    pub(super) fn is_disk_full(&self) -> bool {
        rustix::fs::statvfs(&self.root).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < DISK_ROOM_MIN)
    }

    /// Removes what is not kept, when there is no browser any more.
    pub(super) fn tidy(&self, id: TaskId) -> io::Result<()> {
        gone(fs::remove_dir_all(self.incoming(id)))?;
        match fs::remove_dir(self.dir(id)) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            removed => gone(removed),
        }
    }

    /// Removes all files of a job.
    pub(super) fn forget(&self, id: TaskId) -> io::Result<()> {
        gone(fs::remove_dir_all(self.dir(id)))
    }

    /// The jobs that have a directory here.
    fn jobs(&self) -> io::Result<Vec<TaskId>> {
        let entries = fs::read_dir(&self.root)?;
        Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
    }
}

/// What is not there is gone.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Forgets the files of jobs that are forgotten.
pub(super) async fn forget(host: &Host, jobs: Vec<TaskId>) {
    let files = host.files.clone();
    let forgetting = move || {
        for task_id in jobs {
            if let Err(error) = files.forget(task_id) {
                tracing::warn!(%task_id, %error, "the files of a forgotten job could not be removed");
            }
        }
    };
    // Only its own panic could end it, and that is told where it happens.
    drop(tokio::task::spawn_blocking(forgetting).await);
}

/// After a start: removes the files of jobs that are not known any more, and what browsers left that are gone.
pub(super) async fn sweep(host: Arc<Host>) {
    let files = host.files.clone();
    let jobs = match in_thread(move || files.jobs()).await {
        Ok(jobs) => jobs,
        Err(error) => return tracing::warn!(%error, "files of earlier jobs could not be looked for"),
    };
    let sweeping = async {
        for id in jobs {
            match host.ledger.latest(id).await {
                Ok(None) => forget(&host, vec![id]).await,
                Ok(Some(job)) if job.is_settled() && host.live.get(id).is_none() => tidy(&host, id).await,
                Ok(Some(_)) => {}
                Err(error) => tracing::warn!(task_id = %id, %error, "whether files are still wanted cannot be told"),
            }
        }
    };
    // The next start goes on.
    host.leaving.run_until_cancelled(sweeping).await;
}

/// Removes what a job's browser left that is not kept.
pub(super) async fn tidy(host: &Host, task_id: TaskId) {
    // Most jobs never have a file, and need no thread to hear so.
    if matches!(host.files.dir(task_id).try_exists(), Ok(false)) {
        return;
    }
    let files = host.files.clone();
    if let Err(error) = in_thread(move || files.tidy(task_id)).await {
        tracing::warn!(%task_id, %error, "unfinished downloads could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn incoming(files: &Files, id: TaskId, guid: &str, text: &str) {
        fs::create_dir_all(files.incoming(id)).unwrap();
        fs::write(files.incoming(id).join(guid), text).unwrap();
    }

    #[test]
    fn a_download_is_kept_for_its_owner_alone_and_the_rest_goes_with_the_browser() {
        let home = tempfile::tempdir().unwrap();
        let (files, id) = (Files::below(home.path()), TaskId::new(Uuid::now_v7()));
        files.prepare().unwrap();
        incoming(&files, id, "g", "abc");
        incoming(&files, id, "h.crdownload", "a");
        assert_eq!(files.came(id, "g").unwrap(), Came::Whole { size_bytes: 3 });
        files.keep(id, "g", "a.bin").unwrap();
        assert_eq!(files.came(id, "g").unwrap(), Came::Away);
        assert_eq!(files.named_before(id, "a.bin"), Some(3));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&files.path(id, "a.bin")), mode(&files.root)), (0o600, 0o700));
        files.tidy(id).unwrap();
        assert_eq!(fs::read_dir(files.dir(id)).unwrap().count(), 1);
        assert_eq!(files.jobs().unwrap(), [id]);
        files.forget(id).unwrap();
        files.forget(id).unwrap();
        assert!(files.jobs().unwrap().is_empty());
    }

    #[test]
    fn a_job_that_kept_nothing_leaves_no_directory() {
        let home = tempfile::tempdir().unwrap();
        let (files, id) = (Files::below(home.path()), TaskId::new(Uuid::now_v7()));
        incoming(&files, id, "g.crdownload", "a");
        files.discard(id, "g");
        assert_eq!(fs::read_dir(files.incoming(id)).unwrap().count(), 0);
        files.tidy(id).unwrap();
        assert!(!files.dir(id).exists());
        files.tidy(id).unwrap();
    }

    #[test]
    fn what_is_no_plain_file_is_not_kept() {
        let home = tempfile::tempdir().unwrap();
        let (files, id) = (Files::below(home.path()), TaskId::new(Uuid::now_v7()));
        fs::create_dir_all(files.incoming(id)).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", files.incoming(id).join("g")).unwrap();
        assert!(files.came(id, "g").is_err());
    }
}
