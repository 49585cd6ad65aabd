//! A terminal with a call in it, as a person sees it.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    num::NonZeroU16,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    process::Stdio,
    sync::{Arc, Mutex},
    thread,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tokio::{
    process::{Child, Command},
    sync::mpsc,
    time::timeout,
};

use super::super::service::SOON;

/// What a terminal has been sent, and what it shows of it.
struct Shown {
    parser: vt100::Parser,
    raw: Vec<u8>,
}

/// A terminal of its own, controlled by the call in it.
pub(crate) struct Tty {
    child: Child,
    keys: File,
    shown: Arc<Mutex<Shown>>,
    news: mpsc::UnboundedReceiver<()>,
}

impl Tty {
    /// Runs the call in a terminal of so many rows and columns.
    pub(crate) fn start(call: &Command, rows: u16, columns: u16) -> Self {
        super::heed_signals();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = OpenOptions::new().read(true).write(true).open(name).unwrap();
        set_size(&master, rows, columns);
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(call.as_std().get_program()).args(call.as_std().get_args());
        for (name, value) in call.as_std().get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if !call.as_std().get_envs().any(|(name, _)| name == "NO_COLOR") {
            command.env_remove("NO_COLOR");
        }
        let end = || Stdio::from(OwnedFd::from(slave.try_clone().unwrap()));
        command.env("TERM", "xterm-256color").stdin(end()).stdout(end()).stderr(end()).kill_on_drop(true);
        let child = command.spawn().unwrap();

        let size = |count| NonZeroU16::new(count).unwrap();
        let parser = vt100::Parser::new(size(rows), size(columns), 0);
        let shown = Arc::new(Mutex::new(Shown { parser, raw: Vec::new() }));
        let (keys, screen) = (File::from(master), Arc::clone(&shown));
        let mut output = keys.try_clone().unwrap();
        let (tell, news) = mpsc::unbounded_channel();
        // Ends with the last process that has the terminal.
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                let mut shown = screen.lock().unwrap();
                shown.parser.process(&bytes[..length]);
                shown.raw.extend_from_slice(&bytes[..length]);
                let _ = tell.send(());
            }
        });
        Self { child, keys, shown, news }
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Makes the terminal another size.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let size = |count| NonZeroU16::new(count).unwrap();
        self.shown.lock().unwrap().parser.set_size(size(rows), size(columns));
        set_size(&self.keys, rows, columns);
    }

    /// What it shows now: its lines, without what is empty behind them.
    pub(crate) fn lines(&self) -> Vec<String> {
        let shown = self.shown.lock().unwrap();
        shown.parser.screen().contents().trim_end().lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// The colour in which a text stands, in its first place.
    pub(crate) fn colour_of(&self, text: &str) -> vt100::Color {
        let lines = self.lines();
        let (row, column) = lines.iter().enumerate().find_map(|(row, line)| Some((row, line.find(text)?))).unwrap();
        let shown = self.shown.lock().unwrap();
        let cell = shown.parser.screen().cell(row.try_into().unwrap(), column.try_into().unwrap());
        cell.unwrap().fgcolor()
    }

    /// All that was ever written to it.
    pub(crate) fn raw(&self) -> String {
        String::from_utf8(self.shown.lock().unwrap().raw.clone()).unwrap()
    }

    /// Waits until it shows what is wanted.
    pub(crate) async fn until(&mut self, what: &str, wanted: impl Fn(&[String]) -> bool) {
        let waiting = async {
            while !wanted(&self.lines()) {
                self.news.recv().await.unwrap_or_else(|| panic!("{what} does not come; the call is over"));
            }
        };
        let came = timeout(SOON, waiting).await.is_ok();
        assert!(came, "{what} does not come:\n{}", self.lines().join("\n"));
    }

    /// Waits for a line with a text in it.
    pub(crate) async fn line_with(&mut self, text: &str) {
        self.until(text, |lines| lines.iter().any(|line| line.contains(text))).await;
    }

    /// How the call ends, once all that it wrote is shown. By a signal it is 128 and the signal's number.
    pub(crate) async fn end(&mut self) -> i32 {
        let status = timeout(SOON, self.child.wait()).await.expect("the call ends soon").unwrap();
        let rest = async { while self.news.recv().await.is_some() {} };
        timeout(SOON, rest).await.expect("nobody else has the terminal");
        status.code().or_else(|| Some(128 + status.signal()?)).unwrap()
    }
}

fn set_size(terminal: impl std::os::fd::AsFd, rows: u16, columns: u16) {
    tcsetwinsize(terminal, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}
