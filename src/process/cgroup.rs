//! A control group per job where the kernel lets us make one: its kill switch reaches what left the process group.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The control group (v2) this process lives in, as a directory; None when there is none to be seen.
pub(super) fn own() -> Option<PathBuf> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    locate(&mountinfo, &membership)
}

/// Whether groups can be made below our own; none when there is none to be seen.
#[must_use]
pub fn is_writable() -> Option<bool> {
    let own = own()?;
    Some(rustix::fs::access(&own, rustix::fs::Access::WRITE_OK).is_ok())
}

/// Makes a directory for the jobs of one ledger below our own group; None when that is refused.
pub(super) fn prepare(own: &Path, name: &str) -> Option<PathBuf> {
    let parent = own.join(name);
    match fs::create_dir(&parent) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(_) => return None,
    }
    // Without the kill switch (before Linux 5.14) a group buys nothing that the process tree does not give.
    if parent.join("cgroup.kill").exists() {
        return Some(parent);
    }
    let _ = fs::remove_dir(&parent);
    None
}

/// Sends SIGKILL to every process in the group and its descendants, atomically against forks.
pub(super) fn kill(cgroup: &Path) -> io::Result<()> {
    fs::write(cgroup.join("cgroup.kill"), "1")
}

fn locate(mountinfo: &str, membership: &str) -> Option<PathBuf> {
    let path = membership.lines().find_map(|line| line.strip_prefix("0::"))?;
    mountinfo.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        if filesystem.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, mount_point) = (fields.next()?, fields.next()?);
        // A container may see only a part of the tree mounted: our path is then relative to that part.
        let below = Path::new(path).strip_prefix(root).ok()?;
        Some(Path::new(mount_point).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIFIED: &str =
        "24 1 0:21 / /proc rw - proc proc rw\n30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
    const HYBRID: &str = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn our_group_is_found_on_unified_and_hybrid_machines() {
        let unified = locate(UNIFIED, "0::/system.slice/ctr.service\n");
        assert_eq!(unified, Some("/sys/fs/cgroup/system.slice/ctr.service".into()));
        let hybrid = locate(HYBRID, "4:memory:/x\n0::/\n");
        assert_eq!(hybrid, Some("/sys/fs/cgroup/unified".into()));
    }

    #[test]
    fn a_mount_that_does_not_hold_our_group_is_not_taken() {
        let part = UNIFIED.replace("0:26 / /sys", "0:26 /docker/7 /sys");
        assert_eq!(locate(&part, "0::/docker/7/a\n"), Some("/sys/fs/cgroup/a".into()));
        assert_eq!(locate(&part, "0::/docker/8\n"), None);
        assert_eq!(locate("24 1 0:21 / /proc rw - proc proc rw\n", "0::/\n"), None);
        assert_eq!(locate(UNIFIED, "1:name=systemd:/\n"), None);
    }
}
