//! The proof that nothing of a service is left once its test is over.

use std::{
    collections::BTreeSet,
    fs,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    thread,
};

use super::{
    processes::{self, Named},
    service::{Options, Service, eventually},
};

/// A service that is looked after when it is gone: dropped, it fails its test if anything of it is left.
pub(crate) struct Tidy {
    /// Taken at the end only.
    service: Option<Service>,
    /// The control groups of its jobs are named so.
    groups: BTreeSet<String>,
}

impl Tidy {
    pub(crate) fn start_with(options: Options) -> Self {
        Self::watch(Service::start_with(options))
    }

    /// Looks after a service that runs.
    pub(crate) fn watch(service: Service) -> Self {
        let groups = names_in(&service.run_base());
        assert_eq!(groups.len(), 1, "a service has one run directory");
        Self { service: Some(service), groups }
    }
}

impl Deref for Tidy {
    type Target = Service;

    fn deref(&self) -> &Service {
        self.service.as_ref().expect("only its drop takes the service")
    }
}

impl DerefMut for Tidy {
    fn deref_mut(&mut self) -> &mut Service {
        self.service.as_mut().expect("only its drop takes the service")
    }
}

impl Drop for Tidy {
    fn drop(&mut self) {
        let Some(service) = self.service.take() else { return };
        let home = service.home().to_owned();
        let mut known = tree(&service);
        known.extend(processes_about(&home));
        drop(service);
        if thread::panicking() {
            return;
        }
        eventually("that every process of the service has ended", || {
            known.iter().all(|process| !process.lives()) && processes_about(&home).is_empty()
        });
        for group in &self.groups {
            for root in group_roots() {
                // The service's own release may have come before that of its last watcher; only an empty one goes.
                let _ = fs::remove_dir(root.join(group));
                assert!(!root.join(group).exists(), "the control group {group} is left");
            }
        }
        assert!(!home.exists(), "{} is left", home.display());
    }
}

/// The service, its launcher, and the shims with all below them, including those that an earlier service started.
fn tree(service: &Service) -> Vec<Named> {
    let shims = shims(service);
    let roots = shims.iter().map(|shim| shim.pid).chain([service.pid()]);
    let below: Vec<u32> = roots.flat_map(|root| [vec![root], processes::descendants(root)].concat()).collect();
    below.into_iter().filter_map(Named::of).collect()
}

/// The shims that have published themselves and not left.
pub(crate) fn shims(service: &Service) -> Vec<Named> {
    let runs = names_in(&service.run_base());
    let ids = runs.iter().flat_map(|run| {
        let run = service.run_base().join(run);
        names_in(&run).into_iter().map(move |job| run.join(job).join("id"))
    });
    ids.filter_map(|id| published(&id)).filter(|shim| shim.lives()).collect()
}

/// Who a shim's `id` says that it is.
pub(crate) fn published(id: &Path) -> Option<Named> {
    let id: serde_json::Value = serde_json::from_slice(&fs::read(id).ok()?).ok()?;
    Some(Named { pid: u32::try_from(id.get("pid")?.as_u64()?).ok()?, start_ticks: id.get("start_ticks")?.as_u64()? })
}

fn processes_about(home: &Path) -> Vec<Named> {
    let about = processes::all().into_iter().filter(|pid| processes::mentions(*pid, home));
    about.filter_map(Named::of).filter(|process| process.lives()).collect()
}

fn names_in(directory: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(directory) else { return BTreeSet::new() };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Where control groups of the second version are mounted.
fn group_roots() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    mounts.filter(|fields| fields.get(2) == Some(&"cgroup2")).map(|fields| PathBuf::from(fields[1])).collect()
}
