//! What the figures were taken on.

use std::{fs, path::Path, thread};

/// One line about the machine; what cannot be read is left out.
pub(crate) fn describe(disk: &Path) -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let cpu = read("/proc/cpuinfo");
    let cpu = cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{cores} cores of {}, Linux {}, {}, store on {}",
        cpu.map_or("an unnamed CPU", |(_, name)| name.trim()),
        kernel.trim(),
        load(),
        file_system(disk).unwrap_or_else(|| "an unknown file system".to_owned()),
    )
}

/// The load averages over 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    format!("load {}", read("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}

fn file_system(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = read("/proc/self/mounts");
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let around = fields.filter(|fields| fields.len() > 2 && path.starts_with(fields[1]));
    around.max_by_key(|fields| fields[1].len()).map(|fields| fields[2].to_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
