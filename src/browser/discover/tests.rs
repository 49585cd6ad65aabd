//! Finding browsers on machines that are tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;

/// A machine made of a table: its files, links and environment.
pub(in crate::browser) struct Table {
    os: Os,
    env: BTreeMap<String, String>,
    files: BTreeMap<String, (Vec<u8>, bool)>,
    links: BTreeMap<String, String>,
}

impl Table {
    pub(in crate::browser) fn new(os: Os) -> Self {
        Self { os, env: BTreeMap::new(), files: BTreeMap::new(), links: BTreeMap::new() }
    }

    pub(in crate::browser) fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(in crate::browser) fn with_file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), (text.as_bytes().to_owned(), false));
        self
    }

    pub(in crate::browser) fn with_script(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), (text.as_bytes().to_owned(), true));
        self
    }

    pub(in crate::browser) fn with_program(mut self, path: &str) -> Self {
        self.files.insert(path.to_owned(), (b"\x7fELF...".to_vec(), true));
        self
    }

    pub(in crate::browser) fn with_link(mut self, path: &str, to: &str) -> Self {
        self.links.insert(path.to_owned(), to.to_owned());
        self
    }
}

impl Machine for Table {
    fn os(&self) -> Os {
        self.os
    }

    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn canonical(&self, path: &Path) -> Option<PathBuf> {
        let path = path.to_str()?;
        let path = self.links.get(path).map_or(path, String::as_str);
        self.files.contains_key(path).then(|| PathBuf::from(path))
    }

    fn is_executable(&self, path: &Path) -> bool {
        path.to_str().and_then(|path| self.files.get(path)).is_some_and(|(_, executable)| *executable)
    }

    fn read(&self, path: &Path, _bytes_max: u64) -> Option<Vec<u8>> {
        self.files.get(path.to_str()?).map(|(bytes, _)| bytes.clone())
    }

    fn list(&self, dir: &Path) -> Vec<String> {
        let dir = dir.to_str().unwrap_or_default();
        let below = self.files.keys().filter_map(|path| path.strip_prefix(dir));
        below.filter_map(|rest| rest[1..].split(['\\', '/']).next()).map(ToOwned::to_owned).collect()
    }
}

fn names(found: &Found) -> Vec<(&str, &str)> {
    found.browsers.iter().map(|browser| (browser.name.as_str(), browser.binary.to_str().unwrap())).collect()
}

#[test]
fn linux_finds_the_families_in_order_through_links_and_wrappers() {
    let machine = Table::new(Os::Linux)
        .with_env("PATH", "relative:/usr/bin:/usr/local/bin")
        .with_program("/usr/lib/firefox/firefox")
        .with_script(
            "/opt/brave.com/brave/brave-browser",
            "#!/bin/bash\nHERE=\"$(dirname \"$0\")\"\nexec -a \"$0\" \"$HERE/brave\" \"$@\"\n",
        )
        .with_program("/opt/brave.com/brave/brave")
        .with_link("/usr/bin/brave-browser", "/opt/brave.com/brave/brave-browser")
        .with_program("/usr/lib/chromium/chromium")
        .with_program("/opt/google/chrome/chrome")
        .with_program("/usr/local/bin/comet");
    let found = discover(&machine, &[]);
    assert_eq!(
        names(&found),
        [
            ("comet", "/usr/local/bin/comet"),
            ("chrome", "/opt/google/chrome/chrome"),
            ("chromium", "/usr/lib/chromium/chromium"),
            ("brave", "/opt/brave.com/brave/brave"),
            ("firefox", "/usr/lib/firefox/firefox"),
        ]
    );
    assert_eq!(found.problems, []);
    let kinds: Vec<_> = found.browsers.iter().map(|browser| browser.kind).collect();
    assert_eq!(kinds[3..], [Kind::Chromium, Kind::ExitOnly]);
}

#[test]
fn mac_os_and_windows_find_comet_in_both_of_its_places() {
    for (os, name, value, path) in [
        (Os::MacOs, "HOME", "/Users/me", "/Applications/Comet.app/Contents/MacOS/Comet"),
        (Os::MacOs, "HOME", "/Users/me", "/Users/me/Applications/Comet.app/Contents/MacOS/Comet"),
        (
            Os::Windows,
            "LOCALAPPDATA",
            r"C:\Users\me\AppData\Local",
            r"C:\Users\me\AppData\Local\Perplexity\Comet\Application\comet.exe",
        ),
        (Os::Windows, "ProgramFiles", r"C:\Program Files", r"C:\Program Files\Perplexity\Comet\Application\comet.exe"),
    ] {
        let machine = Table::new(os).with_env(name, value).with_script(path, "MZ");
        assert_eq!(names(&discover(&machine, &[])), [("comet", path)], "{os:?}");
    }
}

#[test]
fn every_known_place_on_every_system_is_found_as_its_family() {
    for os in [Os::Linux, Os::MacOs, Os::Windows] {
        for family in Family::KNOWN {
            for path in tables::places(os, family).paths {
                let full = path.replace(['{', '}'], "");
                let mut machine = Table::new(os).with_program(&full);
                for name in ["HOME", "LOCALAPPDATA", "ProgramFiles", "ProgramFiles(x86)"] {
                    machine = machine.with_env(name, name);
                }
                assert_eq!(names(&discover(&machine, &[])), [(family.name(), full.as_str())]);
            }
        }
    }
}

#[test]
fn the_environment_names_a_browser_of_whatever_family() {
    let machine = Table::new(Os::Linux)
        .with_env("CHROME_PATH", "/a/chrome")
        .with_env("COMET_TASK_BROWSER", "/a/msedge")
        .with_env("COMET_PATH", "/a/gone")
        .with_program("/a/chrome")
        .with_program("/a/msedge")
        .with_program("/opt/google/chrome/chrome");
    let found = discover(&machine, &[]);
    assert_eq!(names(&found), [("chrome", "/a/chrome"), ("edge", "/a/msedge")]);
    assert_eq!(found.problems[0].to_string(), r#"browser "comet" at /a/gone: there is no such file"#);
}

#[test]
fn by_hand_comes_first_and_replaces_a_family_of_the_same_name() {
    let machine = Table::new(Os::Linux)
        .with_program("/usr/lib/chromium/chromium")
        .with_program("/opt/google/chrome/chrome")
        .with_program("/a/vivaldi-bin");
    let by_hand = ["chromium=/a/vivaldi-bin", "plain=/opt/google/chrome/chrome,exit-only", "gone=/x", "gone=/x"];
    let found = discover(&machine, &by_hand.map(|text| text.parse().unwrap()));
    assert_eq!(
        names(&found),
        [
            ("chromium", "/a/vivaldi-bin"),
            ("plain", "/opt/google/chrome/chrome"),
            ("chrome", "/opt/google/chrome/chrome"),
        ]
    );
    assert_eq!((found.browsers[0].family, found.browsers[0].kind), (Family::Other, Kind::Chromium));
    assert_eq!((found.browsers[1].family, found.browsers[1].kind), (Family::Chrome, Kind::ExitOnly));
    assert_eq!(found.problems.len(), 1);
}

#[test]
fn a_confined_browser_is_reported_and_not_offered() {
    let machine = Table::new(Os::Linux)
        .with_env("PATH", "/snap/bin")
        .with_program("/usr/bin/snap")
        .with_link("/snap/bin/chromium", "/usr/bin/snap");
    let found = discover(&machine, &[]);
    assert_eq!(found.browsers, []);
    assert_eq!(found.problems[0].why, Unresolved::Confined("snap".to_owned()));
}

#[test]
fn this_machine_can_be_asked() {
    let found = discover(&LocalMachine, &[]);
    for browser in &found.browsers {
        assert!(browser.binary.is_absolute() && browser.binary.exists(), "{browser:?}");
    }
    let missing: ByHand = "gone=/nonexistent/browser".parse().unwrap();
    assert_eq!(discover(&LocalMachine, &[missing]).problems[0].why, Unresolved::Missing);
}
