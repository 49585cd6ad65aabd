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

/// Whether groups can be made where those of jobs go; none when there is none to be seen.
#[must_use]
pub fn is_writable() -> Option<bool> {
    let own = own()?;
    let own = delegated_above(&own, is_delegated).unwrap_or(&own);
    Some(rustix::fs::access(own, rustix::fs::Access::WRITE_OK).is_ok())
}

/// Makes a directory for the jobs of one ledger below our own group, or beside it where that is for us to decide; None
/// when that is refused.
pub(super) fn prepare(own: &Path, name: &str) -> Option<PathBuf> {
    let own = delegated_above(own, is_delegated).unwrap_or(own);
    let parent = own.join(name);
    match fs::create_dir(&parent) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(_) => return None,
    }
    // Without the kill switch (before Linux 5.14) a group buys nothing that the process tree does not give.
    if parent.join("cgroup.kill").exists() {
        delegate_memory(own, &parent);
        return Some(parent);
    }
    let _ = fs::remove_dir(&parent);
    None
}

/// The group above ours, where it was handed over to the service as a whole and we were put into one below it: it has no
/// processes of its own, and so can have memory counted in the groups below, which ours cannot.
fn delegated_above(own: &Path, is_delegated: impl Fn(&Path) -> bool) -> Option<&Path> {
    own.parent().filter(|above| is_delegated(above) && !is_delegated(own))
}

/// Whether the service manager says of this group that it leaves all below it alone.
fn is_delegated(group: &Path) -> bool {
    // Of a user's own service manager, and of the system's.
    ["user.delegate", "trusted.delegate"].iter().any(|name| {
        let mut value = [0; 8];
        rustix::fs::getxattr(group, *name, &mut value).is_ok_and(|length| value.get(..length) == Some(b"1"))
    })
}

/// Has memory counted in each job's group, where we may decide that: all of a group's ancestors have to agree, and one
/// that has processes of its own must not, unless it is the root. A refusal leaves the groups as they are.
fn delegate_memory(own: &Path, parent: &Path) {
    for group in [own, parent] {
        let is_on = |file: &str| {
            fs::read_to_string(group.join(file)).is_ok_and(|list| list.split_whitespace().any(|word| word == "memory"))
        };
        if is_on("cgroup.controllers") && !is_on("cgroup.subtree_control") {
            let _ = fs::write(group.join("cgroup.subtree_control"), "+memory");
        }
    }
}

/// How many processes live in the group and the groups below it.
pub(super) fn count(cgroup: &Path) -> io::Result<u32> {
    let own = fs::read_to_string(cgroup.join("cgroup.procs"))?.lines().count();
    let mut all = u32::try_from(own).unwrap_or(u32::MAX);
    for entry in fs::read_dir(cgroup)?.flatten().filter(|entry| entry.path().is_dir()) {
        all = all.saturating_add(count(&entry.path())?);
    }
    Ok(all)
}

/// The most memory that the group was ever charged with at once, in bytes; none where it does not count it: without the
/// memory controller of the second version, or before Linux 5.19. Hierarchies of the first version are left alone.
pub(super) fn memory_peak_bytes(cgroup: &Path) -> Option<u64> {
    fs::read_to_string(cgroup.join("memory.peak")).ok()?.trim().parse().ok()
}

/// How many processes of the group the kernel has killed for want of memory; none where it does not say.
pub(super) fn oom_kills(cgroup: &Path) -> Option<u64> {
    let events = fs::read_to_string(cgroup.join("memory.events")).ok()?;
    events.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
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

    /// A group as the kernel shows one.
    fn group(files: &[(&str, &str)]) -> tempfile::TempDir {
        let group = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(group.path().join(name), text).unwrap();
        }
        group
    }

    #[test]
    fn a_group_that_counts_memory_tells_its_peak_and_who_was_killed_for_it() {
        let events = "low 0\nhigh 0\nmax 31\noom 2\noom_kill 1\noom_group_kill 4\n";
        let counting = group(&[("memory.peak", "268435456\n"), ("memory.events", events), ("cgroup.procs", "")]);
        assert_eq!((memory_peak_bytes(counting.path()), oom_kills(counting.path())), (Some(268_435_456), Some(1)));
        // Linux 5.14 to 5.18.
        let older = group(&[("memory.events", "low 0\noom_kill 0\n")]);
        assert_eq!((memory_peak_bytes(older.path()), oom_kills(older.path())), (None, Some(0)));
    }

    #[test]
    fn a_group_that_does_not_count_memory_tells_nothing() {
        // As on a hybrid machine, where the controller is in the first version's hierarchy.
        let hybrid = group(&[("cgroup.procs", "7\n"), ("cpu.stat", "usage_usec 5\n")]);
        assert_eq!((memory_peak_bytes(hybrid.path()), oom_kills(hybrid.path())), (None, None));
        let first = group(&[("memory.max_usage_in_bytes", "4096\n"), ("memory.oom_control", "oom_kill 3\n")]);
        assert_eq!((memory_peak_bytes(first.path()), oom_kills(first.path())), (None, None));
    }

    #[test]
    fn memory_is_delegated_where_it_can_be_and_once() {
        let with =
            |enabled| group(&[("cgroup.controllers", "cpuset cpu memory\n"), ("cgroup.subtree_control", enabled)]);
        let text = |group: &tempfile::TempDir| fs::read_to_string(group.path().join("cgroup.subtree_control")).unwrap();
        let (own, parent) = (with("cpu\n"), with("cpu memory\n"));
        delegate_memory(own.path(), parent.path());
        assert_eq!((text(&own).as_str(), text(&parent).as_str()), ("+memory", "cpu memory\n"));
        let hybrid = group(&[("cgroup.controllers", "hugetlb\n"), ("cgroup.subtree_control", "")]);
        delegate_memory(hybrid.path(), hybrid.path());
        assert_eq!(text(&hybrid), "");
    }

    #[test]
    fn jobs_have_their_groups_beside_ours_only_where_what_is_above_was_handed_over() {
        let own = Path::new("/sys/fs/cgroup/ctr.service/main");
        let service = Path::new("/sys/fs/cgroup/ctr.service");
        assert_eq!(delegated_above(own, |group| group == service), Some(service));
        assert_eq!(delegated_above(own, |_| false), None);
        assert_eq!(delegated_above(service, |group| group == service), None, "handed over itself");
        assert_eq!(delegated_above(Path::new("/"), |_| true), None);
    }

    #[test]
    fn what_was_handed_over_is_marked() {
        let marked = group(&[]);
        assert!(!is_delegated(marked.path()));
        let flags = rustix::fs::XattrFlags::empty();
        // Not every file system of a temporary directory keeps marks.
        match rustix::fs::setxattr(marked.path(), "user.delegate", b"1", flags) {
            Ok(()) => assert!(is_delegated(marked.path())),
            Err(error) => eprintln!("NOT RUN: a mark cannot be set here: {error}"),
        }
    }

    #[test]
    fn those_in_groups_below_are_counted_too() {
        let own = group(&[("cgroup.procs", "7\n8\n")]);
        let below = own.path().join("below");
        fs::create_dir(&below).unwrap();
        fs::write(below.join("cgroup.procs"), "9\n").unwrap();
        assert_eq!(count(own.path()).unwrap(), 3);
        assert!(count(&own.path().join("gone")).is_err());
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
