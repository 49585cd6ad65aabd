//! The choices of an order, one by one: each word that is known, and what is said of any other.

use std::ops::RangeInclusive;

use super::Faults;
use crate::{
    api::v1,
    job::{AfterFinish, Completion, DialogPolicy, Isolation, Tier},
    runner::Mode,
};

/// Lowest and highest priority: room on both sides of what most jobs have.
const PRIORITIES: RangeInclusive<i8> = -100..=100;

pub(super) fn mode(faults: &mut Faults, value: i32) -> Mode {
    use v1::execute_request::Mode as Wire;
    match Wire::try_from(value) {
        Ok(Wire::Unspecified | Wire::Auto) => Mode::Auto,
        Ok(Wire::Headed) => Mode::Headed,
        Ok(Wire::Headless) => Mode::Headless,
        Err(_) => {
            faults.add("mode", "ENUM_UNKNOWN", format!("{value} is not a mode; give AUTO, HEADED or HEADLESS"));
            Mode::Auto
        }
    }
}

pub(super) fn completion(faults: &mut Faults, value: i32) -> Completion {
    use v1::execute_request::CompletionPolicy as Wire;
    match Wire::try_from(value) {
        Ok(Wire::Unspecified | Wire::Any) => Completion::Any,
        Ok(Wire::RequireReport) => Completion::RequireReport,
        Ok(Wire::ProcessExit) => Completion::ProcessExit,
        Err(_) => {
            let remedy = format!("{value} is not a policy; give ANY, REQUIRE_REPORT or PROCESS_EXIT");
            faults.add("completion_policy", "ENUM_UNKNOWN", remedy);
            Completion::Any
        }
    }
}

pub(super) fn after_finish(faults: &mut Faults, value: i32) -> Option<AfterFinish> {
    use v1::execute_request::AfterFinish as Wire;
    match Wire::try_from(value) {
        Ok(Wire::Unspecified) => None,
        Ok(Wire::Close) => Some(AfterFinish::Close),
        Ok(Wire::KeepOpen) => Some(AfterFinish::KeepOpen),
        Err(_) => {
            faults.add("after_finish", "ENUM_UNKNOWN", format!("{value} is not known; give CLOSE or KEEP_OPEN"));
            None
        }
    }
}

pub(super) fn isolation(faults: &mut Faults, value: i32) -> Isolation {
    use v1::browser::Isolation as Wire;
    match Wire::try_from(value) {
        Ok(Wire::Unspecified | Wire::Process) => Isolation::Process,
        Ok(Wire::Context) => Isolation::Context,
        Err(_) => {
            faults.add("isolation", "ENUM_UNKNOWN", format!("{value} is not known; give PROCESS or CONTEXT"));
            Isolation::Process
        }
    }
}

pub(super) fn tier(faults: &mut Faults, value: i32) -> Option<Tier> {
    use v1::browser::Tier as Wire;
    match Wire::try_from(value) {
        Ok(Wire::Unspecified) => None,
        Ok(Wire::Managed) => Some(Tier::Managed),
        Ok(Wire::ExitOnly) => Some(Tier::ExitOnly),
        Ok(Wire::UserBrowser) => Some(Tier::UserBrowser),
        Err(_) => {
            let remedy = format!("{value} is not a tier; give MANAGED, EXIT_ONLY or USER_BROWSER");
            faults.add("tier", "ENUM_UNKNOWN", remedy);
            None
        }
    }
}

pub(super) fn dialogs(faults: &mut Faults, value: i32) -> Option<DialogPolicy> {
    use v1::execute_request::DialogPolicy as Wire;
    match Wire::try_from(value) {
        Ok(Wire::Unspecified) => None,
        Ok(Wire::Accept) => Some(DialogPolicy::Accept),
        Ok(Wire::Dismiss) => Some(DialogPolicy::Dismiss),
        Ok(Wire::Leave) => Some(DialogPolicy::Leave),
        Err(_) => {
            faults.add("dialogs", "ENUM_UNKNOWN", format!("{value} is not a policy; give ACCEPT, DISMISS or LEAVE"));
            None
        }
    }
}

pub(super) fn priority(faults: &mut Faults, value: i32) -> i8 {
    match i8::try_from(value) {
        Ok(priority) if PRIORITIES.contains(&priority) => priority,
        Ok(_) | Err(_) => {
            faults.add("priority", "PRIORITY_INVALID", format!("{value} is out of range; give -100 to 100"));
            0
        }
    }
}
