//! Readings of other processes from /proc: memory, CPU time and descent.

use std::{collections::HashMap, fs, path::Path};

use anyhow::{Context, Result};

/// One reading of a process's memory, in kB.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Proportional share of everything that is mapped.
    pub(crate) pss_kb: f64,
    /// The share of it that belongs to no file.
    pub(crate) anonymous_kb: f64,
    /// What nobody else maps.
    pub(crate) private_kb: f64,
}

/// Reads `smaps_rollup`.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).context(path)?;
    let field = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    };
    Ok(Memory {
        pss_kb: field("Pss:"),
        anonymous_kb: field("Pss_Anon:") + field("Pss_Shmem:"),
        private_kb: field("Private_Clean:") + field("Private_Dirty:"),
    })
}

/// What each thread of some processes has spent on a CPU, in seconds, exact to the nanosecond.
#[derive(Default)]
pub(crate) struct ThreadTimes(HashMap<u32, f64>);

impl ThreadTimes {
    /// Adds the threads that a process has now.
    pub(crate) fn read(&mut self, pid: u32) -> Result<()> {
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let path = thread?.path();
            let id = path.file_name().and_then(|name| name.to_str()?.parse().ok()).context("a thread's id")?;
            let text = fs::read_to_string(path.join("schedstat"))?;
            let ns: f64 = text.split_whitespace().next().context("schedstat is empty")?.parse()?;
            self.0.insert(id, ns / 1e9);
        }
        Ok(())
    }

    /// Seconds spent since an earlier reading. A thread that ended meanwhile is left out: it ended for want of work.
    pub(crate) fn since(&self, earlier: &Self) -> f64 {
        self.0.iter().map(|(id, seconds)| seconds - earlier.0.get(id).copied().unwrap_or_default()).sum()
    }
}

/// User and system seconds of a process, its ended threads included, in steps of a clock tick.
pub(crate) fn process_cpu_s(pid: u32) -> Result<f64> {
    let stat = Stat::read(pid).context("the process is gone")?;
    // The unit of /proc/PID/stat on every Linux that Rust runs on.
    const TICKS_PER_S: f64 = 100.0;
    Ok(stat.cpu_ticks / TICKS_PER_S)
}

/// Every descendant of a process.
pub(crate) fn descendants(ancestor: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some((pid, stat)) = pid.and_then(|pid| Some((pid, Stat::read(pid)?))) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = vec![ancestor];
    let mut at = 0;
    while let Some(parent) = found.get(at) {
        found.extend(children.remove(parent).unwrap_or_default());
        at += 1;
    }
    found.split_off(1)
}

/// The children among the descendants.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    descendants(parent).into_iter().filter(|&pid| Stat::read(pid).is_some_and(|stat| stat.parent == parent)).collect()
}

/// Whether a process runs this program.
pub(crate) fn runs(pid: u32, program: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|path| path == program)
}

struct Stat {
    parent: u32,
    cpu_ticks: f64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold anything, so the fields are counted from its closing parenthesis: state is the third.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |nth: usize| fields.get(nth - 3)?.parse::<u32>().ok();
        Some(Self { parent: number(4)?, cpu_ticks: f64::from(number(14)?) + f64::from(number(15)?) })
    }
}
