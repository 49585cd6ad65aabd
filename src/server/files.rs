//! Tells when files change, in whichever way: written over, replaced, or a link on the way to them led elsewhere.
//!
//! Directories are watched, not files: a file that is renamed into a place is another than the one that was there. So is
//! what a link leads to, as with certificates that certbot renews (`live/x/cert.pem -> ../../archive/x/cert2.pem`) or
//! secrets that Kubernetes mounts (`tls.crt -> ..data/tls.crt`, `..data -> ..2027_01_31`).

use std::{
    collections::{BTreeSet, HashMap},
    ffi::{OsStr, OsString},
    fs,
    io::{self, PipeReader},
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};

/// Links that are followed on the way to one file: the kernel's own bound.
const LINKS_MAX: usize = 40;
/// Room for the events of one read: some with the longest of names. What does not fit is read next.
const EVENTS_BYTES: usize = 4096;

/// What tells of a change to a name in a directory, or that the directory itself is another.
const ASKED: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);
/// What matters without a name: the directory is gone or elsewhere, or events were lost.
const WHOLE: ReadFlags = ReadFlags::DELETE_SELF
    .union(ReadFlags::MOVE_SELF)
    .union(ReadFlags::UNMOUNT)
    .union(ReadFlags::IGNORED)
    .union(ReadFlags::QUEUE_OVERFLOW);

/// Watches the ways to some files, as they were when it was made.
pub(super) struct FileWatch(Arc<Watched>);

struct Watched {
    inotify: OwnedFd,
    /// The names that matter in each directory.
    names: HashMap<i32, BTreeSet<OsString>>,
    /// Files and links that are watched themselves, where their directory cannot be.
    alone: BTreeSet<i32>,
}

impl FileWatch {
    /// Sees every change from now on. The files need not be there.
    ///
    /// # Errors
    /// When the system gives no more watches.
    pub(super) fn on<'a>(paths: impl IntoIterator<Item = &'a Path>) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let mut watched = Watched { inotify, names: HashMap::new(), alone: BTreeSet::new() };
        for (dir, name) in paths.into_iter().flat_map(steps) {
            watched.add(&dir, name)?;
        }
        Ok(Self(Arc::new(watched)))
    }

    /// Waits until something on the way to one of the files changes. Dropped, it may have heard of a change that nobody
    /// was told: look after that.
    ///
    /// # Errors
    /// When the system does not tell any more.
    pub(super) async fn changed(&self) -> io::Result<()> {
        // A thread waits, which costs less than to be sure of a descriptor's life in the reactor. It ends with this
        // future: then nobody holds the pipe's other end.
        let (is_dropped, _held) = io::pipe()?;
        let watched = Arc::clone(&self.0);
        let waited = tokio::task::spawn_blocking(move || watched.wait(&is_dropped)).await;
        waited.map_err(io::Error::other)?
    }
}

impl Watched {
    fn add(&mut self, dir: &Path, name: OsString) -> io::Result<()> {
        match inotify::add_watch(&self.inotify, dir, ASKED) {
            Ok(watch) => drop(self.names.entry(watch).or_default().insert(name)),
            // What it holds is a directory too, which tells of its own moves.
            Err(Errno::ACCESS) if is_dir(&dir.join(&name)) => {}
            // A directory that this user may pass and not look into, as some that hold keys.
            Err(Errno::ACCESS) => self.add_alone(&dir.join(name))?,
            // It went just now, and so did what lies above it, which is watched.
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// What is there by that name, for as long as it is the same: written over, and once replaced.
    fn add_alone(&mut self, path: &Path) -> io::Result<()> {
        match inotify::add_watch(&self.inotify, path, ASKED.union(WatchFlags::DONT_FOLLOW)) {
            Ok(watch) => drop(self.alone.insert(watch)),
            Err(error @ (Errno::ACCESS | Errno::NOENT | Errno::NOTDIR)) => {
                tracing::warn!(path = %path.display(), %error, "changes of this file are not seen, and take a restart");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn wait(&self, is_dropped: &PipeReader) -> io::Result<()> {
        loop {
            let mut fds = [PollFd::new(&self.inotify, PollFlags::IN), PollFd::new(is_dropped, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if !fds[1].revents().is_empty() || self.read()? {
                return Ok(());
            }
        }
    }

    /// Reads every event that is there; whether one of them matters.
    fn read(&self) -> io::Result<bool> {
        let mut room = [MaybeUninit::uninit(); EVENTS_BYTES];
        let mut reader = Reader::new(&self.inotify, &mut room);
        let mut matters = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                    let names = self.names.get(&event.wd());
                    matters |= name.zip(names).is_some_and(|(name, names)| names.contains(name))
                        || self.alone.contains(&event.wd())
                        || event.events().intersects(WHOLE);
                }
                Err(Errno::WOULDBLOCK) => return Ok(matters),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn is_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_dir())
}

/// Each directory with the name in it on which the way to a file depends: of every directory and link, and of the file
/// itself, or of the first part of the way that is not there.
fn steps(path: &Path) -> Vec<(PathBuf, OsString)> {
    let parts = |path: &Path| -> Vec<OsString> {
        let named = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
        named.map(|part| part.as_os_str().to_owned()).rev().collect()
    };
    let (mut steps, mut at, mut rest) = (Vec::new(), PathBuf::from("/"), parts(path));
    let mut links = 0;
    while let Some(name) = rest.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let here = at.join(&name);
        let target = fs::symlink_metadata(&here).and_then(|about| match about.is_symlink() {
            true => fs::read_link(&here).map(Some),
            false => Ok(None),
        });
        match target {
            Ok(Some(target)) if links < LINKS_MAX => {
                links += 1;
                steps.push((at.clone(), name));
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                rest.extend(parts(&target));
            }
            Ok(None) if !rest.is_empty() => {
                steps.push((at, name));
                at = here;
            }
            Ok(None | Some(_)) | Err(_) => {
                steps.push((at, name));
                break;
            }
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, time::Duration};

    use tokio::time::timeout;

    use super::*;

    /// Longest wait for the kernel to tell.
    const SOON: Duration = Duration::from_secs(10);

    async fn is_told(path: &Path, change: impl FnOnce()) -> bool {
        let watch = FileWatch::on([path]).unwrap();
        change();
        // The kernel queues an event before the change's own call returns.
        timeout(Duration::from_millis(200), watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn each_way_of_changing_a_file_is_told_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(home.path()).unwrap();
        let (path, other) = (dir.join("a"), dir.join("b"));
        assert!(is_told(&path, || fs::write(&path, "1").unwrap()).await, "made");
        assert!(is_told(&path, || fs::write(&path, "2").unwrap()).await, "written over");
        assert!(!is_told(&path, || fs::write(&other, "3").unwrap()).await, "another");
        assert!(!is_told(&path, || drop(fs::read(&path).unwrap())).await, "read");
        assert!(is_told(&path, || fs::rename(&other, &path).unwrap()).await, "replaced");
        let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
        assert!(is_told(&path, || fs::set_permissions(&path, mode(0o600)).unwrap()).await, "closed to others");
        assert!(is_told(&path, || fs::remove_file(&path).unwrap()).await, "removed");
    }

    #[tokio::test]
    async fn a_link_that_leads_elsewhere_is_told_wherever_it_lies() {
        let home = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(home.path()).unwrap();
        // As Kubernetes lays a secret out.
        for version in ["..1", "..2"] {
            fs::create_dir(dir.join(version)).unwrap();
            fs::write(dir.join(version).join("tls.crt"), version).unwrap();
        }
        symlink("..1", dir.join("..data")).unwrap();
        symlink("..data/tls.crt", dir.join("tls.crt")).unwrap();
        let swap = || {
            symlink("..2", dir.join("..data_tmp")).unwrap();
            fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
        };
        assert!(is_told(&dir.join("tls.crt"), swap).await);
        assert_eq!(fs::read_to_string(dir.join("tls.crt")).unwrap(), "..2");
        let written = || fs::write(dir.join("..2/tls.crt"), "3").unwrap();
        assert!(is_told(&dir.join("tls.crt"), written).await, "the file behind the links");
        let old = || fs::write(dir.join("..1/tls.crt"), "4").unwrap();
        assert!(!is_told(&dir.join("tls.crt"), old).await, "they do not lead there any more");
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_or_goes_is_told() {
        let home = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(home.path()).unwrap();
        let path = dir.join("later/a");
        assert!(is_told(&path, || fs::create_dir(dir.join("later")).unwrap()).await, "the way begins");
        assert!(is_told(&path, || fs::write(&path, "1").unwrap()).await);
        assert!(is_told(&path, || fs::rename(dir.join("later"), dir.join("away")).unwrap()).await, "the way ends");
    }

    #[tokio::test]
    async fn a_directory_far_above_that_is_exchanged_is_told() {
        let home = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(home.path()).unwrap();
        for name in ["tls", "tls.new"] {
            fs::create_dir_all(dir.join(name).join("live/x")).unwrap();
            fs::write(dir.join(name).join("live/x/cert.pem"), name).unwrap();
        }
        let path = dir.join("tls/live/x/cert.pem");
        assert!(is_told(&path, || fs::rename(dir.join("tls"), dir.join("tls.old")).unwrap()).await, "gone");
        assert!(is_told(&path, || fs::rename(dir.join("tls.new"), dir.join("tls")).unwrap()).await, "another");
        assert!(!is_told(&path, || fs::create_dir(dir.join("tls/live/y")).unwrap()).await, "beside the way");
    }

    #[tokio::test]
    async fn a_file_whose_directory_cannot_be_watched_is_watched_itself() {
        let home = tempfile::tempdir().unwrap();
        let (path, other) = (home.path().join("a"), home.path().join("b"));
        let changes: [(&str, &dyn Fn()); 3] = [
            ("written over", &|| fs::write(&path, "2").unwrap()),
            ("replaced", &|| fs::rename(&other, &path).unwrap()),
            ("removed", &|| fs::remove_file(&path).unwrap()),
        ];
        for (what, change) in changes {
            fs::write(&path, "1").unwrap();
            fs::write(&other, "1").unwrap();
            let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
            let mut watched = Watched { inotify, names: HashMap::new(), alone: BTreeSet::new() };
            watched.add_alone(&path).unwrap();
            assert!(!watched.read().unwrap(), "{what}: not yet");
            change();
            assert!(watched.read().unwrap(), "{what}");
        }
        let mut watched = Watched {
            inotify: inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap(),
            names: HashMap::new(),
            alone: BTreeSet::new(),
        };
        watched.add_alone(&home.path().join("none")).unwrap();
        assert!(watched.alone.is_empty(), "what is not there is no error");
    }

    #[tokio::test]
    async fn links_in_a_circle_are_followed_no_further_than_the_kernel_does() {
        let home = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(home.path()).unwrap();
        symlink("b", dir.join("a")).unwrap();
        symlink("a", dir.join("b")).unwrap();
        assert_eq!(steps(&dir.join("a")).iter().filter(|(at, _)| *at == dir).count(), LINKS_MAX + 1);
        let watch = FileWatch::on([dir.join("a").as_path()]).unwrap();
        fs::remove_file(dir.join("b")).unwrap();
        timeout(SOON, watch.changed()).await.unwrap().unwrap();
    }
}
