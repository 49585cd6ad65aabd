//! Where browsers are on each operating system, as data.

use super::Os;
use crate::browser::name::Family;

/// Where a family may be found, the best place first.
#[derive(Debug)]
pub(super) struct Places {
    /// Environment variables that name an executable.
    pub(super) env: &'static [&'static str],
    /// Files. A leading `{NAME}` stands for an environment variable.
    pub(super) paths: &'static [&'static str],
    /// Names on the `PATH`.
    pub(super) names: &'static [&'static str],
}

/// Environment variables that name a browser of whatever family; its file name tells which.
pub(super) const ANY_BROWSER_ENV: [&str; 4] = ["COMET_TASK_BROWSER", "CHROME_PATH", "CHROME", "CHROME_EXECUTABLE_PATH"];

/// The places of a family. Real binaries come before names on the `PATH`, which are often wrapper scripts.
pub(super) fn places(os: Os, family: Family) -> Places {
    let env: &[&str] = match family {
        Family::Comet => &["COMET_PATH"],
        Family::Chrome | Family::Chromium | Family::Edge | Family::Brave | Family::Firefox | Family::Other => &[],
    };
    match os {
        Os::Linux => linux(family, env),
        Os::MacOs => Places { env, paths: mac_os(family), names: &[] },
        Os::Windows => Places { env, paths: windows(family), names: &[] },
    }
}

fn linux(family: Family, env: &'static [&'static str]) -> Places {
    let (paths, names): (&[&str], &[&str]) = match family {
        // There is no build for Linux yet; should one appear, it will be called so.
        Family::Comet => (&[], &["comet", "comet-browser", "comet-stable"]),
        Family::Chrome => (
            &["/opt/google/chrome/chrome", "/opt/google/chrome-beta/chrome", "/opt/google/chrome-unstable/chrome"],
            &["google-chrome-stable", "google-chrome", "google-chrome-beta", "google-chrome-unstable"],
        ),
        Family::Chromium => (
            &[
                "/usr/lib/chromium/chromium",
                "/usr/lib/chromium-browser/chromium-browser",
                "/usr/lib64/chromium-browser/chromium-browser",
                "/usr/lib64/chromium/chromium",
            ],
            &["chromium", "chromium-browser"],
        ),
        Family::Edge => (
            &["/opt/microsoft/msedge/msedge", "/opt/microsoft/msedge-beta/msedge", "/opt/microsoft/msedge-dev/msedge"],
            &["microsoft-edge-stable", "microsoft-edge", "microsoft-edge-beta", "microsoft-edge-dev"],
        ),
        Family::Brave => (
            &["/opt/brave.com/brave/brave", "/opt/brave.com/brave-beta/brave", "/usr/lib/brave-browser/brave"],
            &["brave-browser-stable", "brave-browser", "brave"],
        ),
        Family::Firefox => (
            &["/usr/lib/firefox/firefox", "/usr/lib64/firefox/firefox", "/usr/lib/firefox-esr/firefox-esr"],
            &["firefox", "firefox-esr"],
        ),
        Family::Other => (&[], &[]),
    };
    Places { env, paths, names }
}

fn mac_os(family: Family) -> &'static [&'static str] {
    match family {
        Family::Comet => {
            &["/Applications/Comet.app/Contents/MacOS/Comet", "{HOME}/Applications/Comet.app/Contents/MacOS/Comet"]
        }
        Family::Chrome => &[
            "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
            "{HOME}/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
            "/Applications/Google Chrome Canary.app/Contents/MacOS/Google Chrome Canary",
        ],
        Family::Chromium => &[
            "/Applications/Chromium.app/Contents/MacOS/Chromium",
            "{HOME}/Applications/Chromium.app/Contents/MacOS/Chromium",
        ],
        Family::Edge => &[
            "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
            "{HOME}/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
        ],
        Family::Brave => &[
            "/Applications/Brave Browser.app/Contents/MacOS/Brave Browser",
            "{HOME}/Applications/Brave Browser.app/Contents/MacOS/Brave Browser",
        ],
        Family::Firefox => &[
            "/Applications/Firefox.app/Contents/MacOS/firefox",
            "{HOME}/Applications/Firefox.app/Contents/MacOS/firefox",
        ],
        Family::Other => &[],
    }
}

fn windows(family: Family) -> &'static [&'static str] {
    match family {
        Family::Comet => &[
            r"{LOCALAPPDATA}\Perplexity\Comet\Application\comet.exe",
            r"{ProgramFiles}\Perplexity\Comet\Application\comet.exe",
            r"{ProgramFiles(x86)}\Perplexity\Comet\Application\comet.exe",
        ],
        Family::Chrome => &[
            r"{ProgramFiles}\Google\Chrome\Application\chrome.exe",
            r"{ProgramFiles(x86)}\Google\Chrome\Application\chrome.exe",
            r"{LOCALAPPDATA}\Google\Chrome\Application\chrome.exe",
        ],
        Family::Chromium => {
            &[r"{LOCALAPPDATA}\Chromium\Application\chrome.exe", r"{ProgramFiles}\Chromium\Application\chrome.exe"]
        }
        Family::Edge => &[
            r"{ProgramFiles(x86)}\Microsoft\Edge\Application\msedge.exe",
            r"{ProgramFiles}\Microsoft\Edge\Application\msedge.exe",
        ],
        Family::Brave => &[
            r"{ProgramFiles}\BraveSoftware\Brave-Browser\Application\brave.exe",
            r"{ProgramFiles(x86)}\BraveSoftware\Brave-Browser\Application\brave.exe",
            r"{LOCALAPPDATA}\BraveSoftware\Brave-Browser\Application\brave.exe",
        ],
        Family::Firefox => {
            &[r"{ProgramFiles}\Mozilla Firefox\firefox.exe", r"{ProgramFiles(x86)}\Mozilla Firefox\firefox.exe"]
        }
        Family::Other => &[],
    }
}
