//! What this machine is, as far as starting browsers depends on it.

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
