//! An X display without a screen, with a window manager, for tests with windows.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A display of a test's own; it ends when dropped.
pub(crate) struct Display {
    server: Child,
    manager: Child,
    /// What `DISPLAY` is set to.
    pub(crate) name: String,
}

impl Display {
    /// Starts a display on a free number.
    pub(crate) fn start() -> Self {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1600x1100x24", "-nolisten", "tcp", "-noreset"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut number = String::new();
        // The number is written once the display takes connections.
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        let name = format!(":{}", number.trim());
        let mut manager = Command::new("openbox")
            .args(["--startup", "echo started"])
            .env("DISPLAY", &name)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut started = String::new();
        // Windows that come before their manager are not given to the person's keys.
        let mut output = BufReader::new(manager.stdout.take().unwrap());
        output.read_line(&mut started).unwrap();
        Self { server, manager, name }
    }

    /// The window of a class, once it is shown.
    pub(crate) fn window(&self, class: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            // Waits by itself, but gives up when another window vanishes under its eyes: then it looks again.
            let found = self.run("xdotool", &["search", "--sync", "--onlyvisible", "--class", class]);
            if let Some(window) = found.lines().next() {
                return window.to_owned();
            }
        }
        panic!("no window of class {class} within a minute");
    }

    /// Runs a program on the display and gives its output.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).env("DISPLAY", &self.name).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        for child in [&mut self.manager, &mut self.server] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
