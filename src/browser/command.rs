//! Says how a browser is started: its arguments and its whole environment. Pure; the same plan gives the same command.

use std::path::{Path, PathBuf};

use super::Browser;
use super::name::Family;
use crate::job::Tier;

/// What a browser is started for.
pub struct LaunchPlan<'a> {
    /// Which one.
    pub browser: &'a Browser,
    /// What is to be asked of it.
    pub tier: Tier,
    /// Without a window.
    pub headless: bool,
    /// Its own profile directory.
    pub profile_dir: &'a Path,
    /// Marks the window: its class becomes `comet-task-<task_id>`.
    pub task_id: &'a str,
    /// Without the browser's sandbox. Only ever because the configuration says so.
    pub no_sandbox: bool,
    /// Whether `/dev/shm` is below [`DEV_SHM_BYTES_MIN`].
    pub small_dev_shm: bool,
    /// Where the page goes, http or https. A managed browser is told through its pipe instead.
    pub url: &'a str,
}

/// A command line and the whole environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The binary's absolute path, then its arguments.
    pub argv: Vec<String>,
    /// All that the browser sees; the service's own variables are not among it.
    pub env: Vec<(String, String)>,
}

/// Why there is no command for a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Commands travel as text.
    #[error("path {0:?} is not UTF-8")]
    NotUtf8(PathBuf),
    /// Anything else could be read as a switch, and switches run programs.
    #[error("url {0:?} does not begin with http:// or https://")]
    NotHttp(String),
}

/// Below this size a few windows fill `/dev/shm` and crash; containers often have 64 MiB.
pub const DEV_SHM_BYTES_MIN: u64 = 512 * 1024 * 1024;

/// The size of a page: that of a small laptop, so that sites do not take it for a phone.
const WINDOW_SIZE: &str = "--window-size=1280,900";

/// Switches for every Chromium: a fresh profile that asks nothing, phones nobody and never dozes.
const CHROMIUM: [&str; 17] = [
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-search-engine-choice-screen",
    "--hide-crash-restore-bubble",
    "--noerrdialogs",
    // A keyring would ask the person for a password.
    "--password-store=basic",
    "--use-mock-keychain",
    // The browser must leave when its last window does.
    "--disable-background-mode",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-breakpad",
    // Many windows side by side: those behind others have to keep their timers.
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    // One switch for all, because of several only the last may count: no offers to translate or cast, no hints
    // from a server, and no silent change of the http URL that was asked for.
    "--disable-features=Translate,MediaRouter,OptimizationHints,HttpsUpgrades",
];

/// Variables that a browser needs: to be found and understood by the person, the display, the sound, the input
/// method, the fonts and the network. Nothing else is passed on, so no secret of the service and no
/// `CHROMIUM_FLAGS` or `LD_PRELOAD` is.
const ENV: [&str; 37] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "XDG_SESSION_TYPE",
    "XDG_CURRENT_DESKTOP",
    "XDG_SESSION_DESKTOP",
    "XDG_DATA_DIRS",
    "XDG_CONFIG_DIRS",
    "DESKTOP_SESSION",
    "DBUS_SESSION_BUS_ADDRESS",
    "PULSE_SERVER",
    "PIPEWIRE_REMOTE",
    "XMODIFIERS",
    "GTK_IM_MODULE",
    "QT_IM_MODULE",
    "GDK_SCALE",
    "XCURSOR_THEME",
    "XCURSOR_SIZE",
    "FONTCONFIG_PATH",
    "FONTCONFIG_FILE",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// Variables that say, beside HOME, where the person's own profile is; a profile of ours is named by its path.
const OWN_PROFILE_ENV: [&str; 3] = ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"];

/// The command for a plan, with what it may have of the given environment.
///
/// # Errors
/// A path is not UTF-8, or the URL could be read as a switch.
pub fn command(
    plan: &LaunchPlan<'_>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Command, CommandError> {
    let mut argv = vec![text(&plan.browser.binary)?];
    match (plan.tier, plan.browser.family) {
        (Tier::UserBrowser, _) => own(plan, &mut argv)?,
        (Tier::Managed | Tier::ExitOnly, Family::Firefox) => firefox(plan, &mut argv)?,
        (Tier::Managed, _) => {
            chromium(plan, &mut argv)?;
            argv.extend(["--remote-debugging-pipe", "--no-startup-window"].map(str::to_owned));
        }
        (Tier::ExitOnly, _) => {
            chromium(plan, &mut argv)?;
            argv.extend(["--new-window".to_owned(), http_url(plan.url)?]);
        }
    }
    Ok(Command { argv, env: allowed(environment, plan.tier) })
}

/// As a person starts it: its own profile, and whatever window it has for the page.
fn own(plan: &LaunchPlan<'_>, argv: &mut Vec<String>) -> Result<(), CommandError> {
    if plan.no_sandbox && plan.browser.family != Family::Firefox {
        argv.push("--no-sandbox".to_owned());
    }
    argv.push(http_url(plan.url)?);
    Ok(())
}

fn chromium(plan: &LaunchPlan<'_>, argv: &mut Vec<String>) -> Result<(), CommandError> {
    argv.push(format!("--user-data-dir={}", text(plan.profile_dir)?));
    argv.extend(CHROMIUM.map(str::to_owned));
    argv.push(WINDOW_SIZE.to_owned());
    argv.push(if plan.headless {
        "--headless=new".to_owned()
    } else {
        format!("--class={}", window_class(plan.task_id))
    });
    if plan.browser.family == Family::Edge {
        // Else it may start itself again and lose the pipe.
        argv.push("--edge-skip-compat-layer-relaunch".to_owned());
    }
    if plan.small_dev_shm {
        argv.push("--disable-dev-shm-usage".to_owned());
    }
    if plan.no_sandbox {
        argv.push("--no-sandbox".to_owned());
    }
    Ok(())
}

fn firefox(plan: &LaunchPlan<'_>, argv: &mut Vec<String>) -> Result<(), CommandError> {
    argv.extend(["--no-remote", "--new-instance", "--profile"].map(str::to_owned));
    argv.push(text(plan.profile_dir)?);
    if plan.headless {
        argv.push("--headless".to_owned());
    }
    argv.push(http_url(plan.url)?);
    Ok(())
}

/// The class of a task's windows, by which they are found among all others.
#[must_use]
pub fn window_class(task_id: &str) -> String {
    format!("comet-task-{task_id}")
}

fn text(path: &Path) -> Result<String, CommandError> {
    path.to_str().map(str::to_owned).ok_or_else(|| CommandError::NotUtf8(path.to_owned()))
}

fn http_url(url: &str) -> Result<String, CommandError> {
    if url.starts_with("http://") || url.starts_with("https://") {
        Ok(url.to_owned())
    } else {
        Err(CommandError::NotHttp(url.to_owned()))
    }
}

fn allowed(environment: impl IntoIterator<Item = (String, String)>, tier: Tier) -> Vec<(String, String)> {
    let finds_profile = |name: &str| match tier {
        Tier::UserBrowser => OWN_PROFILE_ENV.contains(&name),
        Tier::Managed | Tier::ExitOnly => false,
    };
    let may = |name: &str| ENV.contains(&name) || name.starts_with("LC_") || finds_profile(name);
    let mut env: Vec<_> = environment.into_iter().filter(|(name, _)| may(name)).collect();
    env.sort();
    env
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::browser::Kind;

    const URL: &str = "https://example.org/a?b#c";

    fn browser(family: Family, kind: Kind) -> Browser {
        let binary = PathBuf::from("/opt/b/chrome");
        Browser { name: family.name().to_owned(), kind, binary, version: None, family }
    }

    fn plan<'a>(browser: &'a Browser, headless: bool) -> LaunchPlan<'a> {
        let tier = match browser.kind {
            Kind::Chromium => Tier::Managed,
            Kind::ExitOnly => Tier::ExitOnly,
        };
        LaunchPlan {
            browser,
            tier,
            headless,
            profile_dir: Path::new("/run/ctr-1/x/p"),
            task_id: "0190",
            no_sandbox: false,
            small_dev_shm: false,
            url: URL,
        }
    }

    fn argv(plan: &LaunchPlan<'_>) -> Vec<String> {
        command(plan, []).unwrap().argv
    }

    const COMMON: &str = "--no-first-run --no-default-browser-check --disable-search-engine-choice-screen \
        --hide-crash-restore-bubble --noerrdialogs --password-store=basic --use-mock-keychain \
        --disable-background-mode --disable-background-networking --disable-component-update --disable-sync \
        --disable-default-apps --disable-breakpad --disable-backgrounding-occluded-windows \
        --disable-renderer-backgrounding --disable-background-timer-throttling \
        --disable-features=Translate,MediaRouter,OptimizationHints,HttpsUpgrades --window-size=1280,900";

    #[test]
    fn a_managed_window_has_a_pipe_and_a_class_and_no_url() {
        let browser = browser(Family::Comet, Kind::Chromium);
        let golden = format!(
            "/opt/b/chrome --user-data-dir=/run/ctr-1/x/p {COMMON} --class=comet-task-0190 \
             --remote-debugging-pipe --no-startup-window"
        );
        assert_eq!(argv(&plan(&browser, false)).join(" "), golden);
    }

    #[test]
    fn a_managed_headless_browser_has_no_class() {
        let browser = browser(Family::Chrome, Kind::Chromium);
        let golden = format!(
            "/opt/b/chrome --user-data-dir=/run/ctr-1/x/p {COMMON} --headless=new \
             --remote-debugging-pipe --no-startup-window"
        );
        assert_eq!(argv(&plan(&browser, true)).join(" "), golden);
    }

    #[test]
    fn an_exit_only_browser_gets_its_url_last_and_no_pipe() {
        let browser = browser(Family::Other, Kind::ExitOnly);
        let golden =
            format!("/opt/b/chrome --user-data-dir=/run/ctr-1/x/p {COMMON} --class=comet-task-0190 --new-window {URL}");
        assert_eq!(argv(&plan(&browser, false)).join(" "), golden);
    }

    #[test]
    fn a_chromium_that_is_asked_for_its_exit_alone_gets_its_url_last_and_no_pipe() {
        let browser = browser(Family::Chrome, Kind::Chromium);
        let golden = format!("/opt/b/chrome --user-data-dir=/run/ctr-1/x/p {COMMON} --headless=new --new-window {URL}");
        assert_eq!(argv(&LaunchPlan { tier: Tier::ExitOnly, ..plan(&browser, true) }).join(" "), golden);
    }

    #[test]
    fn the_persons_own_browser_gets_its_url_and_nothing_else() {
        for (family, unsandboxed) in [(Family::Comet, " --no-sandbox"), (Family::Firefox, "")] {
            let browser = browser(family, Kind::Chromium);
            let own = LaunchPlan { tier: Tier::UserBrowser, ..plan(&browser, false) };
            assert_eq!(argv(&own).join(" "), format!("/opt/b/chrome {URL}"));
            let as_root = LaunchPlan { no_sandbox: true, ..own };
            assert_eq!(argv(&as_root).join(" "), format!("/opt/b/chrome{unsandboxed} {URL}"));
            let refused = command(&LaunchPlan { url: "--version", ..as_root }, []);
            assert_eq!(refused, Err(CommandError::NotHttp("--version".to_owned())));
        }
    }

    #[test]
    fn only_the_persons_own_browser_is_told_where_that_persons_settings_are() {
        let browser = browser(Family::Chrome, Kind::Chromium);
        for (tier, expected) in [
            (Tier::Managed, ["HOME"].as_slice()),
            (Tier::ExitOnly, &["HOME"]),
            (Tier::UserBrowser, &["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"]),
        ] {
            let given = ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "LD_PRELOAD"];
            let given = given.map(|name| (name.to_owned(), "v".to_owned()));
            let env = command(&LaunchPlan { tier, ..plan(&browser, false) }, given).unwrap().env;
            assert_eq!(env.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), expected, "{tier:?}");
        }
    }

    #[test]
    fn firefox_gets_its_own_switches() {
        let browser = browser(Family::Firefox, Kind::ExitOnly);
        let golden = format!("/opt/b/chrome --no-remote --new-instance --profile /run/ctr-1/x/p --headless {URL}");
        assert_eq!(argv(&plan(&browser, true)).join(" "), golden);
    }

    #[test]
    fn risky_switches_come_only_with_their_reason() {
        let edge = browser(Family::Edge, Kind::Chromium);
        let given = argv(&LaunchPlan { no_sandbox: true, small_dev_shm: true, ..plan(&edge, true) });
        let only = ["--edge-skip-compat-layer-relaunch", "--disable-dev-shm-usage", "--no-sandbox"];
        for switch in only {
            assert!(given.iter().any(|argument| argument == switch), "{switch}");
        }
        let chrome = browser(Family::Chrome, Kind::Chromium);
        let given = argv(&plan(&chrome, true));
        for switch in only {
            assert!(!given.iter().any(|argument| argument == switch), "{switch}");
        }
    }

    #[test]
    fn features_are_disabled_by_one_switch() {
        let browser = browser(Family::Edge, Kind::Chromium);
        let switches = argv(&plan(&browser, false));
        assert_eq!(switches.iter().filter(|argument| argument.starts_with("--disable-features")).count(), 1);
    }

    #[test]
    fn a_url_that_could_be_a_switch_is_refused() {
        for kind_of in [Family::Chrome, Family::Firefox] {
            let browser = browser(kind_of, Kind::ExitOnly);
            for url in ["--renderer-cmd-prefix=/tmp/x", "-g", "", " http://x", "file:///etc/passwd", "httpx://"] {
                let refused = command(&LaunchPlan { url, ..plan(&browser, false) }, []);
                assert_eq!(refused, Err(CommandError::NotHttp(url.to_owned())));
            }
        }
    }

    #[test]
    fn the_environment_is_an_allow_list() {
        let browser = browser(Family::Chrome, Kind::Chromium);
        let given =
            ["LC_ALL", "DISPLAY", "COMET_TOKEN", "CHROMIUM_FLAGS", "LD_PRELOAD", "GTK_MODULES", "TMPDIR", "HOME"];
        let env = command(&plan(&browser, false), given.map(|name| (name.to_owned(), "v".to_owned()))).unwrap().env;
        let names: Vec<_> = env.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["DISPLAY", "HOME", "LC_ALL"]);
    }
}
