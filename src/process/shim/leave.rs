//! How a shim begins and ends on disk: directories, socket and identity; then the exit file, or nothing at all.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};

use crate::process::identity::{Identity, Nonce, Published};
use crate::process::place::Place;

/// One service attaches at a time; a few more in a row are taken in order.
const BACKLOG: i32 = 4;

/// Makes the job's directories, listens, and says who we are, in that order: who reads `id` can connect.
pub(super) fn publish(place: &Place, nonce: Nonce, shim: &Identity) -> io::Result<OwnedFd> {
    make_run_dir(place)?;
    rustix::fs::mkdir(place.tmp(), Mode::RWXU)?;
    let listener =
        socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    bind(&listener, &SocketAddrUnix::new(place.socket())?)?;
    listen(&listener, BACKLOG)?;

    let published = Published { task_id: place.task_id().to_owned(), nonce, shim: shim.clone() };
    let unfinished = place.run_dir().join("id.new");
    fs::write(&unfinished, serde_json::to_vec(&published)?)?;
    fs::rename(&unfinished, place.id())?;
    Ok(listener)
}

fn make_run_dir(place: &Place) -> io::Result<()> {
    match rustix::fs::mkdir(place.run_dir(), Mode::RWXU) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) if !place.has_living_shim() => {
            // Left by a shim that died. Never through a symlink: removal refuses one, and so does this second try.
            place.clear_run()?;
            Ok(rustix::fs::mkdir(place.run_dir(), Mode::RWXU)?)
        }
        Err(errno) => Err(errno.into()),
    }
}

/// Removes everything of the job: all it had to say was taken in, or it never began.
pub(super) fn clear_all(place: &Place) {
    clear_run(place);
    for file in [place.go(), place.cdp()] {
        let _ = rustix::fs::unlink(file);
    }
}

/// Removes what the exit file does not need.
pub(super) fn clear_run(place: &Place) {
    clear_cgroup(place);
    if unlink_all(place.run_dir(), &["s", "id"], &["t"]).is_err() {
        let _ = place.clear_run();
    }
}

fn clear_cgroup(place: &Place) {
    match place.cgroup().map(rustix::fs::rmdir) {
        None | Some(Ok(()) | Err(Errno::NOENT)) => {}
        // A browser made groups of its own below, or the kernel still counts somebody who is gone: the thorough way.
        Some(Err(_)) => drop(place.clear_run()),
    }
}

/// The usual contents by name, without listing; whoever calls falls back to the thorough way, which retries.
fn unlink_all(directory: &Path, files: &[&str], directories: &[&str]) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(directory, flags, Mode::empty())?;
    for (names, how) in [(files, AtFlags::empty()), (directories, AtFlags::REMOVEDIR)] {
        for name in names {
            match rustix::fs::unlinkat(&opened, *name, how) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    rustix::fs::unlinkat(CWD, directory, AtFlags::REMOVEDIR)
}
