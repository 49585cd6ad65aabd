//! How much memory a browser could still have: the machine's, or less where a control group bounds us.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where what is left is read.
#[derive(Clone, Debug)]
pub struct SpareMemory {
    groups: Vec<Group>,
}

/// A control group that may bound us: our own, or one above it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    dir: PathBuf,
    files: Files,
}

/// What a version of control groups calls the limit, what is used of it, and, of that, what can be taken back at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Files {
    limit: &'static str,
    used: &'static str,
    reclaimable: &'static str,
}

const VERSION_1: Files =
    Files { limit: "memory.limit_in_bytes", used: "memory.usage_in_bytes", reclaimable: "total_inactive_file" };
const VERSION_2: Files = Files { limit: "memory.max", used: "memory.current", reclaimable: "inactive_file" };

impl SpareMemory {
    /// Finds the groups that this process lives in, and so its browsers.
    #[must_use]
    pub fn find() -> Self {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self { groups: groups(&mountinfo, &membership) }
    }

    /// Bytes that are available, without taking any from others; none where the system does not tell.
    #[must_use]
    pub fn read(&self) -> Option<u64> {
        let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
        machine.into_iter().chain(self.groups.iter().filter_map(Group::left)).min()
    }
}

impl Group {
    /// What its limit leaves; none without one.
    fn left(&self) -> Option<u64> {
        let number = |name: &str| fs::read_to_string(self.dir.join(name)).ok()?.trim().parse::<u64>().ok();
        // "max" is no number, and no limit.
        let limit = number(self.files.limit)?;
        let used = number(self.files.used)?;
        let stat = fs::read_to_string(self.dir.join("memory.stat")).unwrap_or_default();
        Some(limit.saturating_sub(used.saturating_sub(field(&stat, self.files.reclaimable).unwrap_or_default())))
    }
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib * 1024)
}

fn field(stat: &str, name: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Our own group and those above it, as far as they can be seen, of either version.
fn groups(mountinfo: &str, membership: &str) -> Vec<Group> {
    let mut found = Vec::new();
    for line in mountinfo.lines() {
        let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
        let (kind, options) = filesystem.split_once(' ').unwrap_or((filesystem, ""));
        let has_memory = || options.split([' ', ',']).any(|option| option == "memory");
        let files = match kind {
            "cgroup2" => VERSION_2,
            "cgroup" if has_memory() => VERSION_1,
            _ => continue,
        };
        let mut fields = mount.split(' ').skip(3);
        let (Some(root), Some(mount_point)) = (fields.next(), fields.next()) else { continue };
        let Some(path) = membership.lines().find_map(|line| own_path(line, files)) else { continue };
        // A container may see only a part of the tree mounted: our path is then relative to that part.
        let Ok(below) = Path::new(path).strip_prefix(root) else { continue };
        found.extend(below.ancestors().map(|path| Group { dir: Path::new(mount_point).join(path), files }));
    }
    found
}

/// The path that a line of /proc/self/cgroup gives for this version.
fn own_path(line: &str, files: Files) -> Option<&str> {
    let mut fields = line.splitn(3, ':');
    let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let is_it = if files == VERSION_2 { number == "0" } else { controllers.split(',').any(|name| name == "memory") };
    is_it.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_tells_and_no_group_leaves_more_than_it_has() {
        let machine = available(&fs::read_to_string("/proc/meminfo").unwrap()).unwrap();
        let spare = SpareMemory::find().read().unwrap();
        assert!(spare > 0 && spare <= machine.saturating_mul(2), "{spare} of {machine}");
    }

    #[test]
    fn our_group_and_those_above_it_are_found_in_either_version() {
        let dirs = |mountinfo: &str, membership: &str| {
            groups(mountinfo, membership).into_iter().map(|group| group.dir).collect::<Vec<_>>()
        };
        let unified = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(
            dirs(unified, "0::/system.slice/x.service\n"),
            [
                "/sys/fs/cgroup/system.slice/x.service".into(),
                "/sys/fs/cgroup/system.slice".into(),
                PathBuf::from("/sys/fs/cgroup")
            ]
        );
        let split =
            "32 31 0:29 / /g/cpu rw - cgroup cgroup rw,cpu\n35 31 0:32 / /g/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(dirs(split, "5:cpu:/a\n4:memory:/b\n"), [PathBuf::from("/g/memory/b"), "/g/memory".into()]);
        assert!(dirs(&unified.replace("0:26 /", "0:26 /docker/7"), "0::/docker/8\n").is_empty());
    }

    #[test]
    fn a_limit_leaves_what_is_not_used_and_what_can_be_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let group = Group { dir: dir.path().to_path_buf(), files: VERSION_2 };
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        assert_eq!(group.left(), None);
        write("memory.max", "max\n");
        write("memory.current", "700\n");
        assert_eq!(group.left(), None);
        write("memory.max", "1000\n");
        assert_eq!(group.left(), Some(300));
        write("memory.stat", "anon 400\ninactive_file 250\nfile 300\n");
        assert_eq!(group.left(), Some(550));
        write("memory.max", "100\n");
        assert_eq!(group.left(), Some(0));
    }
}
