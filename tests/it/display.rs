//! An X display without a screen, with a window manager, for tests with windows.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use x11rb::{
    connection::Connection,
    protocol::xproto::{ClientMessageEvent, ConnectionExt as _, CreateWindowAux, EventMask, WindowClass},
};

/// Longest wait for a window manager that has started.
const MANAGER_MAX: Duration = Duration::from_secs(20);

/// A display of a test's own; it ends when dropped.
pub(crate) struct Display {
    server: Child,
    manager: Option<Child>,
    /// What `DISPLAY` is set to.
    pub(crate) name: String,
}

impl Display {
    /// Starts a display on a free number, with a window manager.
    pub(crate) fn start() -> Self {
        let mut display = Self::bare();
        display.manage();
        display
    }

    /// Starts a display on a free number, where no window manager runs.
    pub(crate) fn bare() -> Self {
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
        Self { server, manager: None, name: format!(":{}", number.trim()) }
    }

    fn manage(&mut self) {
        let mut manager = Command::new("openbox")
            .args(["--startup", "echo started"])
            .env("DISPLAY", &self.name)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut started = String::new();
        // Windows that come before their manager are not given to the person's keys.
        let mut output = BufReader::new(manager.stdout.take().unwrap());
        output.read_line(&mut started).unwrap();
        self.manager = Some(manager);
        self.wait_for_manager();
    }

    /// Waits until the manager answers. It can leave what came while it started until something else comes, so it is
    /// asked more than once.
    fn wait_for_manager(&self) {
        let (x, screen) = x11rb::connect(Some(&self.name)).unwrap();
        let root = x.setup().roots[screen].root;
        let window = x.generate_id().unwrap();
        let look = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        x.create_window(0, window, root, 0, 0, 1, 1, 0, WindowClass::INPUT_OUTPUT, 0, &look).unwrap();
        let request = x.intern_atom(false, b"_NET_REQUEST_FRAME_EXTENTS").unwrap().reply().unwrap().atom;
        let deadline = Instant::now() + MANAGER_MAX;
        while x.poll_for_event().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the window manager does not answer");
            let asked = ClientMessageEvent::new(32, window, request, [0; 5]);
            let hearers = EventMask::SUBSTRUCTURE_REDIRECT | EventMask::SUBSTRUCTURE_NOTIFY;
            x.send_event(false, root, hearers, asked).unwrap();
            x.flush().unwrap();
            let pause = Timespec::try_from(Duration::from_millis(50)).unwrap();
            poll(&mut [PollFd::new(x.stream(), PollFlags::IN)], Some(&pause)).unwrap();
        }
    }

    /// The X server, for a test that has it stand still.
    pub(crate) fn server_pid(&self) -> u32 {
        self.server.id()
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
        for child in self.manager.iter_mut().chain([&mut self.server]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
