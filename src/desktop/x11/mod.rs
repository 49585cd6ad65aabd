//! The desktop of an X server: windows by the conventions that window managers keep, and by the server alone where no
//! manager runs.

mod arrange;
mod capture;
mod connection;
mod focus;
mod list;

use self::connection::{Connection, Fault};
use super::{Desktop, DesktopError, Focus, Picture, Rect, Window, WindowRef};

/// An X server by the name of its display.
#[derive(Debug)]
pub struct X11 {
    display: String,
}

impl X11 {
    /// The server of a display such as ":0". Nothing is asked of it yet.
    #[must_use]
    pub fn new(display: String) -> Self {
        Self { display }
    }

    /// Asks on a connection of this call's own.
    fn ask<T>(&self, window: u32, ask: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, DesktopError> {
        Connection::open(&self.display).and_then(|on| ask(&on)).map_err(|fault| match fault {
            Fault::Gone => DesktopError::Gone(window),
            Fault::NotShown => DesktopError::NotShown(window),
            Fault::NotDrawn => DesktopError::NotDrawn(window),
            Fault::Format(what) => DesktopError::Format { id: window, what },
            Fault::Lacks(extension, wanted) => {
                DesktopError::Extension { display: self.display.clone(), extension, wanted }
            }
            Fault::Lost(why) => DesktopError::Unreachable { display: self.display.clone(), why },
        })
    }
}

impl Desktop for X11 {
    fn windows(&self, is_ours: &mut dyn FnMut(u32) -> bool) -> Result<Vec<Window>, DesktopError> {
        self.ask(0, |on| list::windows(on, is_ours))
    }

    fn focus(&self, window: WindowRef) -> Result<Focus, DesktopError> {
        self.ask(window.id, |on| focus::focus(on, window))
    }

    fn tile(&self, windows: &[WindowRef]) -> Result<Vec<Option<Rect>>, DesktopError> {
        self.ask(0, |on| arrange::tile(on, windows))
    }

    fn capture(&self, window: WindowRef) -> Result<Picture, DesktopError> {
        self.ask(window.id, |on| capture::capture(on, window))
    }
}
