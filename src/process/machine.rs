//! What this machine is, and who uses what on it, as far as starting browsers depends on it.

use std::{fs, io, path::Path};

/// The machine's name.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// True when the service runs as root, where Chromium's sandbox does not.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The size of `/dev/shm` in bytes; none when there is none.
#[must_use]
pub fn dev_shm_bytes() -> Option<u64> {
    let about = rustix::fs::statvfs("/dev/shm").ok()?;
    Some(about.f_blocks * about.f_frsize)
}

/// True when a process has a file in the directory open, or was started with the directory among its arguments. One whose
/// files may not be seen is taken for a user of it.
#[must_use]
pub fn uses_directory(pid: u32, directory: &Path) -> bool {
    let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let named = directory.as_os_str().as_encoded_bytes();
    let is_named = arguments.split(|byte| *byte == 0).any(|argument| argument.ends_with(named));
    let opened = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(opened) => opened,
        // There is no such process, or it is a zombie.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
        Err(_) => return true,
    };
    is_named || opened.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|file| file.starts_with(&directory)))
}
