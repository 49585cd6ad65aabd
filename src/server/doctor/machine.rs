//! What a machine has for browsers: the browsers, their sandbox, memory to share, a display, control groups, descriptors.

use std::env;

use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::{
    browser::{self, Browser, ByHand, Kind, LocalMachine, command::DEV_SHM_BYTES_MIN},
    config::Settings,
    process,
    runner::Problem,
};

/// Fewer descriptors are used up by some hundred callers and tasks: the usual soft limit is this.
const DESCRIPTORS_MIN: u64 = 1024;

/// Each browser, or that there is none, and what was taken for one in vain.
pub(super) fn browsers(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut by_hand: Vec<ByHand> = Vec::new();
    for text in &settings.browsers {
        match text.parse() {
            Ok(given) => by_hand.push(given),
            Err(error) => findings.push(Finding::problem("browser", error.to_string(), "write it as NAME=PATH")),
        }
    }
    let found = browser::discover(&LocalMachine, &by_hand);
    findings
        .extend(found.browsers.iter().enumerate().map(|(at, browser)| Finding::ok("browser", tell(browser, at == 0))));
    if found.browsers.is_empty() {
        findings.push(Finding::problem(
            "browser",
            "none was found, so no task can be opened",
            "install Chromium, or name a browser with --browser NAME=PATH",
        ));
    }
    let in_vain = found.problems.iter().map(Problem::from);
    findings.extend(in_vain.map(|Problem { what, remedy }| Finding::warning("browser", what, remedy)));
    findings
}

fn tell(browser: &Browser, first: bool) -> String {
    let tier = match browser.kind {
        Kind::Chromium => "managed",
        Kind::ExitOnly => "exit-only",
    };
    let version = browser.version.as_deref().unwrap_or("of a version that cannot be read");
    let default = if first { ", taken when a task names none" } else { "" };
    format!("{} {version}, {tier}, at {}{default}", browser.name, browser.binary.display())
}

/// Whether pages are kept in their sandbox.
pub(super) fn sandbox(settings: &Settings) -> Finding {
    let about = "sandbox";
    match (process::is_root(), settings.no_sandbox) {
        (false, false) => Finding::ok(about, "pages run in Chromium's sandbox"),
        (false, true) => Finding::warning(
            about,
            "no_sandbox is set, so a page that breaks its renderer is in this account",
            "leave it out: only root needs it",
        ),
        (true, true) => Finding::warning(
            about,
            "pages run as root without a sandbox, so every page must be trusted",
            "run the service as an ordinary user",
        ),
        (true, false) => Finding::problem(
            about,
            "Chromium's sandbox does not run as root, so its tasks are refused",
            "run the service as an ordinary user, or start it with --no-sandbox and trust every page",
        ),
    }
}

/// What browsers and callers share.
pub(super) fn machine(settings: &Settings) -> Vec<Finding> {
    let available = process::SpareMemory::find().read();
    vec![
        memory(available, settings.memory_floor_mb),
        shared_memory(),
        display(),
        control_groups(),
        descriptors(getrlimit(Resource::Nofile).current),
    ]
}

/// So many bytes to a MiB.
const MIB: u64 = 1024 * 1024;

fn memory(available: Option<u64>, floor_mb: usize) -> Finding {
    let about = "memory";
    match available.map(|bytes| usize::try_from(bytes / MIB).unwrap_or(usize::MAX)) {
        Some(available_mb) if available_mb < floor_mb => Finding::warning(
            about,
            format!("{available_mb} MiB are available, and no task is started below {floor_mb} MiB"),
            "end what takes it, or lower memory_floor_mb",
        ),
        Some(available_mb) if floor_mb == 0 => Finding::ok(about, format!("{available_mb} MiB are available")),
        Some(available_mb) => {
            Finding::ok(about, format!("{available_mb} MiB are available; no task is started below {floor_mb} MiB"))
        }
        None => Finding::ok(about, "how much is available cannot be told, and bounds nothing"),
    }
}

fn shared_memory() -> Finding {
    match process::dev_shm_bytes() {
        Some(bytes) if bytes >= DEV_SHM_BYTES_MIN => Finding::ok("/dev/shm", format!("{} MiB", bytes / MIB)),
        Some(bytes) => Finding::warning(
            "/dev/shm",
            format!("{} MiB is little, so browsers share memory by slower files instead", bytes / MIB),
            format!("give it {} MiB (docker run --shm-size)", DEV_SHM_BYTES_MIN / MIB),
        ),
        None => Finding::warning("/dev/shm", "there is none, and Chromium may not start", "mount a tmpfs there"),
    }
}

fn display() -> Finding {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty()).map(|value| format!("{name}={value}"));
    match set("WAYLAND_DISPLAY").or_else(|| set("DISPLAY")) {
        Some(display) => {
            Finding::ok("display", format!("{display}; tasks open with a window unless they say otherwise"))
        }
        None => Finding::ok("display", "none; tasks open without a window, and those that want one are refused"),
    }
}

fn control_groups() -> Finding {
    let about = "control groups";
    match process::cgroup_is_writable() {
        Some(true) => Finding::ok(about, "version 2, writable: whatever a browser starts is ended with it"),
        Some(false) | None => Finding::ok(about, "none to write to; process trees are ended process by process"),
    }
}

fn descriptors(limit: Option<u64>) -> Finding {
    match limit {
        Some(limit) if limit < DESCRIPTORS_MIN => Finding::warning(
            "descriptors",
            format!("only {limit} may be open at once, which some hundred callers use up"),
            format!("raise the limit to {DESCRIPTORS_MIN} or more (ulimit -n, or LimitNOFILE=)"),
        ),
        Some(limit) => Finding::ok("descriptors", format!("{limit} may be open at once")),
        None => Finding::ok("descriptors", "any number may be open at once"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Level, *};

    #[test]
    fn too_little_memory_is_a_warning_with_both_numbers() {
        assert_eq!(memory(Some(512 * MIB), 512).level, Level::Ok);
        assert_eq!(memory(Some(0), 0).level, Level::Ok);
        assert_eq!(memory(None, 512).level, Level::Ok);
        let little = memory(Some(511 * MIB), 512);
        assert_eq!(little.level, Level::Warning);
        assert!(little.what.contains("511") && little.remedy.contains("memory_floor_mb"), "{little:?}");
    }

    #[test]
    fn few_descriptors_are_a_warning_with_the_number_to_give() {
        assert_eq!(descriptors(Some(1024)).level, Level::Ok);
        assert_eq!(descriptors(None).level, Level::Ok);
        let few = descriptors(Some(256));
        assert_eq!(few.level, Level::Warning);
        assert!(few.what.contains("256") && few.remedy.contains("1024"), "{few:?}");
    }

    #[test]
    fn a_browser_that_is_named_wrongly_is_a_problem_and_one_that_is_gone_a_warning() {
        let mut settings = Settings::defaults("/nowhere".into());
        settings.browsers = vec!["wrong".to_owned(), "gone=/nowhere/at/all".to_owned()];
        let findings = browsers(&settings);
        let with =
            |text: &str| findings.iter().find(|finding| finding.what.contains(text)).map(|finding| finding.level);
        assert_eq!((with("\"wrong\""), with("/nowhere/at/all")), (Some(Level::Problem), Some(Level::Warning)));
    }
}
