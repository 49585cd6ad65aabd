//! What stands in the way of a service on this machine, told before it is started or while it runs.
//!
//! Looking changes nothing: no directory is made, no lock is taken for longer than a look, no store is brought up to
//! date.

mod edge;
mod machine;
mod state;

use std::path::Path;

pub use state::is_running;

use crate::config::Settings;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Some tasks, or some callers, will meet it.
    Warning,
    /// No task will be taken, or no service will start.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What was looked at, in a word or two.
    pub about: &'static str,
    /// What was found, and what it means.
    pub what: String,
    /// What to do about it; empty when there is nothing to do.
    pub remedy: String,
}

impl Finding {
    /// As it should be.
    #[must_use]
    pub fn ok(about: &'static str, what: impl Into<String>) -> Self {
        Self { level: Level::Ok, about, what: what.into(), remedy: String::new() }
    }

    /// Some will meet it.
    #[must_use]
    pub fn warning(about: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Warning, about, what: what.into(), remedy: remedy.into() }
    }

    /// Nothing will work.
    #[must_use]
    pub fn problem(about: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Problem, about, what: what.into(), remedy: remedy.into() }
    }

    /// An error of ours, whose words are "what is wrong; what to do".
    fn of_error(about: &'static str, error: &dyn std::error::Error) -> Self {
        let text = error.to_string();
        let (what, remedy) = text.split_once("; ").unwrap_or((&text, ""));
        Self::problem(about, what, remedy)
    }
}

/// Looks at everything that a service with these settings would need. Blocks while a store is read.
#[must_use]
pub fn examine(settings: &Settings, config_file: Option<&Path>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(config_file.map(state::config_file));
    findings.extend(machine::browsers(settings));
    findings.push(machine::sandbox(settings));
    findings.extend(machine::machine(settings));
    findings.extend(state::state_dir(&settings.state_dir));
    findings.push(state::run_dir());
    findings.extend(edge::edge(settings));
    findings
}
