//! Finds the browsers of a machine: those named by hand first, then the known families in order of preference.

mod by_hand;
mod machine;
mod tables;
#[cfg(test)]
pub(super) mod tests;

use std::path::{Path, PathBuf};

pub use by_hand::{ByHand, ByHandError};
pub use machine::{LocalMachine, Machine, Os};

use super::name::Family;
use super::version;
use super::wrapper::{self, Unresolved};
use super::{Browser, Kind};

/// What was found, and what was looked at in vain.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The best first; no name twice.
    pub browsers: Vec<Browser>,
    /// What somebody may want to repair.
    pub problems: Vec<Problem>,
}

/// Something that was expected to be a browser and cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("browser {name:?} at {}: {why}", path.display())]
pub struct Problem {
    /// The name it would have had.
    pub name: String,
    /// Where it was looked for.
    pub path: PathBuf,
    /// Why it cannot be started.
    pub why: Unresolved,
}

/// Finds the browsers of a machine. The named ones are taken at their word or reported, never replaced.
pub fn discover(machine: &impl Machine, by_hand: &[ByHand]) -> Found {
    let mut found = Found::default();
    for given in by_hand {
        found.add_by_hand(machine, given);
    }
    for family in Family::KNOWN {
        found.add_family(machine, family);
    }
    found
}

impl Found {
    fn add_by_hand(&mut self, machine: &impl Machine, given: &ByHand) {
        match wrapper::resolve(machine, &given.path) {
            Ok(binary) => {
                let family = family_of(&given.path, &binary);
                let kind = if given.exit_only { Kind::ExitOnly } else { kind_of(family) };
                self.add(machine, Browser { name: given.name.clone(), kind, binary, version: None, family });
            }
            Err(why) => self.report(&given.name, &given.path, why),
        }
    }

    fn add_family(&mut self, machine: &impl Machine, family: Family) {
        for candidate in candidates(machine, family) {
            let path = candidate.path;
            match wrapper::resolve(machine, &path) {
                Ok(binary) => {
                    let name = family.name().to_owned();
                    self.add(machine, Browser { name, kind: kind_of(family), binary, version: None, family });
                    return;
                }
                // That a usual place is empty is no problem; that a named one is, is.
                Err(Unresolved::Missing) if !candidate.named => {}
                Err(why) => self.report(family.name(), &path, why),
            }
        }
    }

    /// The first of a name stays: a family can be replaced by hand.
    fn add(&mut self, machine: &impl Machine, mut browser: Browser) {
        if self.browsers.iter().any(|other| other.name == browser.name) {
            return;
        }
        browser.version = version::installed(machine, browser.family, &browser.binary);
        self.browsers.push(browser);
    }

    fn report(&mut self, name: &str, path: &Path, why: Unresolved) {
        let problem = Problem { name: name.to_owned(), path: path.to_owned(), why };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

fn kind_of(family: Family) -> Kind {
    if family.has_pipe() { Kind::Chromium } else { Kind::ExitOnly }
}

/// The binary's name tells the family, else that of the wrapper it was found through.
fn family_of(given: &Path, binary: &Path) -> Family {
    let of = |path: &Path| Family::of_file_name(&path.file_name().unwrap_or_default().to_string_lossy());
    match of(binary) {
        Family::Other => of(given),
        known
        @ (Family::Comet | Family::Chrome | Family::Chromium | Family::Edge | Family::Brave | Family::Firefox) => known,
    }
}

/// A place to look at.
struct Candidate {
    path: PathBuf,
    /// Whether somebody named it, so that its absence is worth a word.
    named: bool,
}

fn candidates(machine: &impl Machine, family: Family) -> Vec<Candidate> {
    let places = tables::places(machine.os(), family);
    let own = places.env.iter().filter_map(|name| machine.env(name));
    let any = tables::ANY_BROWSER_ENV
        .iter()
        .filter_map(|name| machine.env(name))
        .filter(|path| family_of(Path::new(path), Path::new(path)) == family);
    let named = own.chain(any).filter(|path| !path.is_empty());
    let known = places.paths.iter().filter_map(|path| expand(machine, path));
    let search = machine.env("PATH").filter(|_| !places.names.is_empty()).unwrap_or_default();
    let on_path = places.names.iter().flat_map(|name| {
        let dirs = search.split(':').filter(|dir| dir.starts_with('/'));
        dirs.map(|dir| Path::new(dir).join(name)).collect::<Vec<_>>()
    });
    named
        .map(|path| Candidate { path: PathBuf::from(path), named: true })
        .chain(known.chain(on_path).map(|path| Candidate { path, named: false }))
        .collect()
}

/// Replaces a leading `{NAME}` by the environment's value; no place without it.
fn expand(machine: &impl Machine, path: &str) -> Option<PathBuf> {
    match path.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((name, rest)) => machine.env(name).map(|value| PathBuf::from(value + rest)),
        None => Some(PathBuf::from(path)),
    }
}
