//! What this host is, what it can do, how busy it is, and what stands in the way of its tasks.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::{Host, Limits, Load, Runner, admission};
use crate::{
    browser::{self, Browser, Kind},
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
    /// What bounds it.
    pub limits: Limits,
    /// How much of that is in use.
    pub load: Load,
    /// Memory that browsers could have; none where the system does not tell.
    pub memory_available_bytes: Option<u64>,
    /// Jobs that are looked after, finished ones with an open window included.
    pub jobs_live: usize,
    /// It can open windows.
    pub has_display: bool,
    /// It is about to leave.
    pub draining: bool,
    /// It takes tasks: at least one browser can be started, and jobs can be remembered.
    pub ready: bool,
    /// What stands in the way of tasks, or of some of them. Never empty when not ready.
    pub problems: Vec<Problem>,
}

/// Something that stands in the way of tasks, or of some of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// What to do about it; empty when there is nothing to do but to wait.
    pub remedy: String,
}

/// A problem that is always the same.
pub(super) struct Known {
    what: &'static str,
    remedy: &'static str,
}

/// The service is leaving.
pub(super) const DRAINING: Known = Known { what: "the service is about to leave", remedy: "" };
/// No browser at all.
pub(super) const BROWSER_NOT_FOUND: Known =
    Known { what: "no browser was found", remedy: "install Chromium, or name one with --browser NAME=PATH" };
/// Chromium's sandbox does not run as root.
pub(super) const SANDBOX_NEEDS_USER: Known = Known {
    what: "Chromium's sandbox does not run as root",
    remedy: "run the service as an ordinary user, or start it with --no-sandbox and trust every page",
};

impl fmt::Display for Known {
    /// As one sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
}

impl From<&browser::Problem> for Problem {
    fn from(problem: &browser::Problem) -> Self {
        let remedy = "repair it, or name another program with --browser NAME=PATH";
        Self { what: problem.to_string(), remedy: remedy.to_owned() }
    }
}

impl From<Known> for Problem {
    fn from(Known { what, remedy }: Known) -> Self {
        Self { what: what.to_owned(), remedy: remedy.to_owned() }
    }
}

/// A browser that a task can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBrowser {
    /// The name to ask for.
    pub name: String,
    /// Its version, where that can be read without running it.
    pub version: Option<String>,
    /// What is asked of it where a task says nothing else.
    pub tier: Tier,
    /// All that can be asked of it, that first.
    pub tiers: &'static [Tier],
    /// Its program.
    pub path: PathBuf,
}

impl Runner {
    /// What this host is, and how busy it is. Waits for nothing.
    #[must_use]
    pub fn about(&self) -> About {
        let host = &self.host;
        let (limits, load) = (host.admission.limits(), host.admission.load());
        let memory_available_bytes = host.admission.memory_available();
        let draining = host.leaving.is_cancelled();
        let startable = host.startable();
        let mut problems = obstacles(draining, startable, &host.ledger.health().borrow());
        let ready = problems.is_empty();
        if startable == Startable::Some {
            problems.push(SANDBOX_NEEDS_USER.into());
        }
        problems.extend(admission::shortages(&limits, &load, memory_available_bytes));
        problems.extend(host.browser_problems.iter().cloned());
        About {
            host: host.name.clone(),
            started_at: host.started_at,
            browsers: host.browsers.iter().map(KnownBrowser::from).collect(),
            limits,
            load,
            memory_available_bytes,
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
        // Whichever tier: it refuses to start.
        browser.kind == Kind::Chromium && self.as_root && !self.no_sandbox
    }
}

/// What keeps every task from being taken.
fn obstacles(draining: bool, startable: Startable, health: &Health) -> Vec<Problem> {
    let draining = draining.then(|| DRAINING.into());
    let browser = match startable {
        Startable::All | Startable::Some => None,
        Startable::NoneAsRoot => Some(SANDBOX_NEEDS_USER.into()),
        Startable::Nothing => Some(BROWSER_NOT_FOUND.into()),
    };
    let ledger = match health {
        Health::Writable => None,
        Health::Refusing(fault) => {
            Some(Problem { what: format!("jobs cannot be remembered: {fault}"), remedy: remedy(fault).to_owned() })
        }
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

/// What is asked of a browser where a task says nothing else: the most that it can.
pub(super) fn tier(browser: &Browser) -> Tier {
    match browser.kind {
        Kind::Chromium => Tier::Managed,
        Kind::ExitOnly => Tier::ExitOnly,
    }
}

/// All that can be asked of a browser, the most first.
pub(super) fn tiers(browser: &Browser) -> &'static [Tier] {
    match browser.kind {
        Kind::Chromium => &Tier::ALL,
        Kind::ExitOnly => &[Tier::ExitOnly, Tier::UserBrowser],
    }
}

impl From<&Browser> for KnownBrowser {
    fn from(browser: &Browser) -> Self {
        Self {
            name: browser.name.clone(),
            version: browser.version.clone(),
            tier: tier(browser),
            tiers: tiers(browser),
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
        assert_eq!(obstacles(false, Startable::All, &writable), []);
        assert_eq!(obstacles(false, Startable::Some, &writable), []);
        for (draining, startable, health, words) in [
            (true, Startable::All, &writable, ["about to leave", ""]),
            (false, Startable::Nothing, &writable, ["no browser", "install Chromium"]),
            (false, Startable::NoneAsRoot, &writable, ["as root", "--no-sandbox"]),
            (false, Startable::All, &Health::Refusing(Fault::Full), ["disk is full", "make room"]),
            // What the system says may look like a remedy.
            (
                false,
                Startable::All,
                &Health::Refusing(Fault::Broken("x; y".to_owned())),
                [": x; y", "start the service anew"],
            ),
        ] {
            let [what, remedy] = words;
            match obstacles(draining, startable, health).as_slice() {
                [told] => assert!(told.what.contains(what) && told.remedy.contains(remedy), "{told:?}"),
                told => panic!("{told:?}"),
            }
        }
    }

    #[test]
    fn obstacles_that_come_together_are_all_told() {
        assert_eq!(obstacles(true, Startable::Nothing, &Health::Refusing(Fault::Closed)).len(), 3);
    }
}
