//! What this host is, what it can do, how busy it is, and what stands in the way of its tasks.

use std::path::PathBuf;

use super::{ExecuteError, Host, Runner};
use crate::{
    browser::{Browser, Kind},
    job::{Tier, WallTime},
    ledger::{Fault, Health},
};

/// A host at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The machine's name.
    pub host: String,
    /// When the service was started.
    pub started_at: WallTime,
    /// What tasks can ask for, the default one first.
    pub browsers: Vec<KnownBrowser>,
    /// How many jobs run at once.
    pub slots: usize,
    /// How many jobs may wait for a slot.
    pub queue_max: usize,
    /// Slots that are taken; more than there are after a restart that found more jobs alive.
    pub slots_taken: usize,
    /// Jobs that wait for one.
    pub queue_len: usize,
    /// Jobs that are looked after, finished ones with an open window included.
    pub jobs_live: usize,
    /// It can open windows.
    pub has_display: bool,
    /// It is about to leave.
    pub draining: bool,
    /// It takes tasks: at least one browser can be started, and jobs can be remembered.
    pub ready: bool,
    /// What stands in the way of tasks, or of some of them, and what to do about it. Never empty when not ready.
    pub problems: Vec<String>,
}

/// A browser that a task can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBrowser {
    /// The name to ask for.
    pub name: String,
    /// Its version, where that can be read without running it.
    pub version: Option<String>,
    /// What can be asked of it.
    pub tier: Tier,
    /// Its program.
    pub path: PathBuf,
}

impl Runner {
    /// What this host is, and how busy it is. Waits for nothing.
    #[must_use]
    pub fn about(&self) -> About {
        let host = &self.host;
        let (slots_taken, queue_len) = host.admission.load();
        let draining = host.leaving.is_cancelled();
        let startable = host.startable();
        let mut problems = obstacles(draining, startable, &host.ledger.health().borrow());
        let ready = problems.is_empty();
        if startable == Startable::Some {
            problems.push(ExecuteError::SandboxNeedsUser.to_string());
        }
        problems.extend(host.browser_problems.iter().cloned());
        About {
            host: host.name.clone(),
            started_at: host.started_at,
            browsers: host.browsers.iter().map(KnownBrowser::from).collect(),
            slots: host.admission.slots(),
            queue_max: host.admission.queue_max(),
            slots_taken,
            queue_len,
            jobs_live: host.live.len(),
            has_display: host.has_display(),
            draining,
            ready,
            problems,
        }
    }
}

/// Which of the browsers can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Startable {
    All,
    /// Not those whose sandbox will not run here.
    Some,
    /// None, for that reason.
    NoneAsRoot,
    /// There is none.
    Nothing,
}

impl Host {
    fn startable(&self) -> Startable {
        let refused = self.browsers.iter().filter(|browser| self.needs_sandbox(browser)).count();
        match (refused, self.browsers.len()) {
            (_, 0) => Startable::Nothing,
            (0, _) => Startable::All,
            (refused, all) if refused == all => Startable::NoneAsRoot,
            (_, _) => Startable::Some,
        }
    }

    /// True when this browser's sandbox will not run here.
    pub(super) fn needs_sandbox(&self, browser: &Browser) -> bool {
        tier(browser) == Tier::Managed && self.as_root && !self.no_sandbox
    }
}

/// What keeps every task from being taken, and what to do about it.
fn obstacles(draining: bool, startable: Startable, health: &Health) -> Vec<String> {
    let draining = draining.then(|| ExecuteError::Draining.to_string());
    let browser = match startable {
        Startable::All | Startable::Some => None,
        Startable::NoneAsRoot => Some(ExecuteError::SandboxNeedsUser.to_string()),
        Startable::Nothing => Some(ExecuteError::BrowserNotFound.to_string()),
    };
    let ledger = match health {
        Health::Writable => None,
        Health::Refusing(fault) => Some(format!("jobs cannot be remembered: {fault}; {}", remedy(fault))),
    };
    [draining, browser, ledger].into_iter().flatten().collect()
}

fn remedy(fault: &Fault) -> &'static str {
    match fault {
        Fault::Full => "make room on the disk of the state directory",
        Fault::Failed(_) => "look after the disk of the state directory",
        Fault::Closed | Fault::Broken(_) => "start the service anew",
    }
}

/// What can be asked of a browser.
pub(super) fn tier(browser: &Browser) -> Tier {
    match browser.kind {
        Kind::Chromium => Tier::Managed,
        Kind::ExitOnly => Tier::ExitOnly,
    }
}

impl From<&Browser> for KnownBrowser {
    fn from(browser: &Browser) -> Self {
        Self {
            name: browser.name.clone(),
            version: browser.version.clone(),
            tier: tier(browser),
            path: browser.binary.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_obstacle_is_named_with_its_remedy() {
        let writable = Health::Writable;
        assert_eq!(obstacles(false, Startable::All, &writable), Vec::<String>::new());
        assert_eq!(obstacles(false, Startable::Some, &writable), Vec::<String>::new());
        for (draining, startable, health, words) in [
            (true, Startable::All, &writable, ["about to leave", ""]),
            (false, Startable::Nothing, &writable, ["no browser", "install Chromium"]),
            (false, Startable::NoneAsRoot, &writable, ["as root", "--no-sandbox"]),
            (false, Startable::All, &Health::Refusing(Fault::Full), ["disk is full", "make room"]),
            (
                false,
                Startable::All,
                &Health::Refusing(Fault::Broken("x".to_owned())),
                [": x", "start the service anew"],
            ),
        ] {
            let told = obstacles(draining, startable, health);
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(words.iter().all(|word| told[0].contains(word)), "{told:?}");
        }
    }

    #[test]
    fn obstacles_that_come_together_are_all_told() {
        assert_eq!(obstacles(true, Startable::Nothing, &Health::Refusing(Fault::Closed)).len(), 3);
    }
}
