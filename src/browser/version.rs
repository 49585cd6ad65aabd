//! Reads a browser's version from what its installation left behind, never by running it.

use std::path::Path;

use super::discover::{Machine, Os};
use super::name::Family;

/// Longest package database that is read, in bytes: a full desktop has 5 MiB.
const DATABASE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// The installed version, for instance "156.0.8078.79"; none where it cannot be read.
pub fn installed(machine: &impl Machine, family: Family, binary: &Path) -> Option<String> {
    match machine.os() {
        Os::Linux => from_dpkg(machine, family, binary),
        Os::MacOs => from_bundle(machine, binary),
        Os::Windows => from_directory(machine, binary),
    }
}

fn packages(family: Family) -> &'static [&'static str] {
    match family {
        Family::Comet => &["comet", "comet-stable"],
        Family::Chrome => &["google-chrome-stable", "google-chrome-beta", "google-chrome-unstable"],
        Family::Chromium => &["chromium", "chromium-browser"],
        Family::Edge => &["microsoft-edge-stable", "microsoft-edge-beta", "microsoft-edge-dev"],
        Family::Brave => &["brave-browser", "brave-browser-beta"],
        Family::Firefox => &["firefox", "firefox-esr"],
        Family::Other => &[],
    }
}

/// Debian and its relatives: the package that owns the binary, by the package database.
fn from_dpkg(machine: &impl Machine, family: Family, binary: &Path) -> Option<String> {
    let owner = packages(family).iter().find(|package| {
        let list = format!("/var/lib/dpkg/info/{package}.list");
        text(machine, Path::new(&list)).is_some_and(|list| list.lines().any(|line| Path::new(line) == binary))
    })?;
    let status = text(machine, Path::new("/var/lib/dpkg/status"))?;
    let heading = format!("Package: {owner}");
    let paragraph = status.split("\n\n").find(|paragraph| paragraph.lines().next() == Some(&heading))?;
    let version = paragraph.lines().find_map(|line| line.strip_prefix("Version: "))?;
    // "1:156.0.8078.79-1~deb12u1": an epoch before, the packager's revision behind.
    let upstream = version.split_once(':').map_or(version, |(_, rest)| rest);
    Some(upstream.split('-').next().unwrap_or(upstream).to_owned())
}

/// macOS: the property list of the application's bundle.
fn from_bundle(machine: &impl Machine, binary: &Path) -> Option<String> {
    let list = text(machine, &binary.parent()?.parent()?.join("Info.plist"))?;
    let (_, after) = list.split_once("<key>CFBundleShortVersionString</key>")?;
    let (_, value) = after.split_once("<string>")?;
    Some(value.split_once("</string>")?.0.trim().to_owned())
}

/// Windows: browsers of the Chromium family keep their files in a directory beside the binary that is called like
/// the version; while an update waits there are two, and the newer one is started.
fn from_directory(machine: &impl Machine, binary: &Path) -> Option<String> {
    // By hand, because a test on another system has to split at backslashes too.
    let (dir, _) = binary.to_str()?.rsplit_once(['\\', '/'])?;
    let numbers = |name: &str| -> Option<Vec<u32>> { name.split('.').map(|part| part.parse().ok()).collect() };
    let names = machine.list(Path::new(dir)).into_iter();
    let versions = names.filter_map(|name| numbers(&name).filter(|parts| parts.len() == 4).map(|parts| (parts, name)));
    versions.max().map(|(_, name)| name)
}

fn text(machine: &impl Machine, path: &Path) -> Option<String> {
    let bytes = machine.read(path, DATABASE_BYTES_MAX)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::browser::discover::tests::Table;

    #[test]
    fn debian_names_the_owner_of_the_binary() {
        let machine = Table::new(Os::Linux)
            .with_file("/var/lib/dpkg/info/chromium.list", "/.\n/usr/lib/chromium/chromium\n")
            .with_file(
                "/var/lib/dpkg/status",
                "Package: chromium-common\nVersion: 1\n\nPackage: chromium\nStatus: install ok installed\n\
                 Version: 1:156.0.8078.79-1~deb12u1\n\nPackage: zsh\nVersion: 5\n",
            );
        let version = |path| installed(&machine, Family::Chromium, Path::new(path));
        assert_eq!(version("/usr/lib/chromium/chromium").as_deref(), Some("156.0.8078.79"));
        assert_eq!(version("/home/me/chromium/chromium"), None);
    }

    #[test]
    fn a_bundle_says_its_version() {
        let machine = Table::new(Os::MacOs).with_file(
            "/Applications/Comet.app/Contents/Info.plist",
            "<dict><key>CFBundleShortVersionString</key>\n\t<string>145.1.2.3</string></dict>",
        );
        let binary = Path::new("/Applications/Comet.app/Contents/MacOS/Comet");
        assert_eq!(installed(&machine, Family::Comet, binary).as_deref(), Some("145.1.2.3"));
    }

    #[test]
    fn windows_takes_the_newest_directory_beside_the_binary() {
        let machine = Table::new(Os::Windows)
            .with_file(r"C:\C\Application\99.0.1.2\x.dll", "")
            .with_file(r"C:\C\Application\100.0.1.2\x.dll", "")
            .with_file(r"C:\C\Application\SetupMetrics\x", "");
        let binary = Path::new(r"C:\C\Application\comet.exe");
        assert_eq!(installed(&machine, Family::Comet, binary).as_deref(), Some("100.0.1.2"));
    }
}
