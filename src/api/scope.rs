//! What a token lets its bearer do, and the one table of what each call needs.

use std::{fmt, str::FromStr};

use super::v1::get_runner_response::Scope as WireScope;

/// What a token lets its bearer do; each has what is before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Read and watch.
    Observe,
    /// Open, end, report on, show and picture tasks.
    Operate,
    /// All there is.
    Admin,
}

/// A word that names no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no scope; there are observe, operate and admin")]
pub struct ScopeError(String);

/// What each call of the contract needs, by the contract's order.
const NEEDED: [(&str, Scope); 16] = [
    ("Execute", Scope::Operate),
    ("GetStatus", Scope::Observe),
    ("Callback", Scope::Operate),
    ("WatchJob", Scope::Observe),
    ("ListJobs", Scope::Observe),
    ("WatchJobs", Scope::Observe),
    ("ReadLog", Scope::Observe),
    ("GetRunner", Scope::Observe),
    ("CancelJob", Scope::Operate),
    ("ListProfiles", Scope::Observe),
    ("RemoveProfile", Scope::Admin),
    ("CaptureScreenshot", Scope::Operate),
    ("ListWindows", Scope::Observe),
    ("FocusWindow", Scope::Operate),
    ("TileWindows", Scope::Operate),
    ("ReadFile", Scope::Observe),
];

impl Scope {
    /// Every scope, from the least to the most.
    pub const ALL: [Self; 3] = [Self::Observe, Self::Operate, Self::Admin];

    /// What a call of the contract needs, by its name; none where the contract has no such call.
    #[must_use]
    pub fn needed_by(call: &str) -> Option<Self> {
        NEEDED.iter().find(|(name, _)| *name == call).map(|(_, scope)| *scope)
    }

    /// What a caller is told whose token lacks it.
    #[must_use]
    pub const fn wanted(self) -> &'static str {
        match self {
            Self::Observe => "this needs a token of scope observe",
            Self::Operate => {
                "this needs a token of scope operate, and the one shown is of scope observe; `comet-task-runner token --add NAME --scope operate` makes one"
            }
            Self::Admin => {
                "this needs a token of scope admin; `comet-task-runner token` prints the service's own, and `comet-task-runner token --add NAME --scope admin` makes another"
            }
        }
    }

    /// Its word in files and on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        Self::ALL.into_iter().find(|scope| scope.word() == text).ok_or_else(|| ScopeError(text.to_owned()))
    }
}

impl From<Scope> for WireScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Observe => Self::Observe,
            Scope::Operate => Self::Operate,
            Scope::Admin => Self::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::json;

    #[test]
    fn every_call_of_the_contract_needs_a_scope_and_nothing_else_has_one() {
        let calls = json::calls();
        let told: BTreeSet<_> = NEEDED.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(told, calls);
        assert_eq!(told.len(), NEEDED.len(), "each stands there once");
    }

    #[test]
    fn what_only_reads_is_named_as_reading_and_nothing_else_is() {
        for (name, scope) in NEEDED {
            let reads = ["Get", "List", "Watch", "Read"].iter().any(|begin| name.starts_with(begin));
            assert_eq!(scope == Scope::Observe, reads, "{name}");
        }
    }

    #[test]
    fn a_scope_has_one_word_and_those_before_it() {
        for scope in Scope::ALL {
            assert_eq!(scope.word().parse(), Ok(scope));
        }
        assert!(Scope::Observe < Scope::Operate && Scope::Operate < Scope::Admin);
        for wrong in ["", "Admin", "OBSERVE", "all", "observe "] {
            assert!(wrong.parse::<Scope>().unwrap_err().to_string().contains("observe, operate and admin"), "{wrong}");
        }
    }
}
