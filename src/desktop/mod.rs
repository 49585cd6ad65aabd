//! The windows of this machine's desktop: found by the processes that they belong to, focused, tiled and pictured.
//!
//! ```text
//!   runner --whose processes?--> Desktop --asks--> X server
//!                                        <--reads back--
//! ```
//!
//! Invariants:
//! * A window is known by its server and its process. Whoever acts on one first has the server prove that it is still
//!   that process's: ids are used again, and titles, classes and process ids that a window says of itself can be lies.
//! * Of windows of others nothing is read but whether they lie above one of ours, and nothing is done to them.
//! * What was done is read back; nothing is claimed because it was asked for.
//! * Every call ends within [`CALL_MAX`], whatever the server does. A server that is gone is an error.
//!
//! Every call has a connection of its own: it costs a millisecond, and there is none to lose or to mend.
//!
//! It knows no task and no browser, and of a desktop without an X server only that nothing can be asked of it. Under
//! Wayland no program may see or move the windows of another; Windows and macOS would each be one more [`Desktop`]
//! beside `x11`, and nothing is said here of what they would allow.

mod grid;
mod region;
mod x11;

use std::{fmt, sync::Arc, time::Duration};

pub use x11::X11;

/// Longest time for one call: a thousand times what one takes, and an end when the server stands still.
pub const CALL_MAX: Duration = Duration::from_secs(5);

/// Longest title that is told: pages write them, and some write books.
pub const TITLE_CHARS_MAX: usize = 256;

/// A window as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WindowRef {
    /// Its number on its server; never 0.
    pub id: u32,
    /// The process that made it, as the server knows it.
    pub pid: u32,
}

/// A place on the screen, in pixels from its left upper corner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rect {
    /// From the left; negative when part of it lies outside.
    pub x: i32,
    /// From the top.
    pub y: i32,
    /// How wide.
    pub width: u32,
    /// How high.
    pub height: u32,
}

impl Rect {
    /// The first column and row that are not in it any more.
    fn end(self) -> (i64, i64) {
        (i64::from(self.x) + i64::from(self.width), i64::from(self.y) + i64::from(self.height))
    }

    /// Whether both have a pixel in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let ((right, bottom), (other_right, other_bottom)) = (self.end(), other.end());
        i64::from(self.x) < other_right
            && i64::from(other.x) < right
            && i64::from(self.y) < other_bottom
            && i64::from(other.y) < bottom
    }
}

/// What a window is for, as far as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A window of its own.
    Normal,
    /// One that a script opened with a size of its own, without tabs.
    Popup,
    /// One that belongs to another: a question, a choice of files.
    Dialog,
}

/// How a window stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowState {
    /// It, or a dialog of it, has the keyboard.
    pub focused: bool,
    /// It is not on the screen but in a list of windows.
    pub minimised: bool,
    /// No window lies above it, but for its own dialogs and for those that are kept above all, such as panels.
    pub on_top: bool,
}

/// A window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Names it.
    pub at: WindowRef,
    /// What it says of itself: hostile text, bounded and without control characters.
    pub title: String,
    /// What it is for.
    pub role: Role,
    /// Where it is, with its frame.
    pub bounds: Rect,
    /// How it stands.
    pub state: WindowState,
}

/// What became of a wish to have a window before all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// It has the keyboard and nothing lies above it, as was read back.
    Confirmed(WindowState),
    /// The window manager was asked, and did not do it in time; the window stands like this.
    Asked(WindowState),
}

/// A picture, row by row from the top, four bytes a pixel: red, green, blue, and 255.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// How many pixels a row has.
    pub width: u32,
    /// How many rows.
    pub height: u32,
    /// All of them.
    pub rgba: Vec<u8>,
}

impl fmt::Debug for Picture {
    /// Without its pixels, which are what a person sees.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picture").field("width", &self.width).field("height", &self.height).finish_non_exhaustive()
    }
}

/// Why something about windows was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DesktopError {
    /// There is none.
    #[error("the service has no display; start it in a session with one, so that DISPLAY is set")]
    NoDisplay,
    /// Under Wayland.
    #[error(
        "under Wayland no program may see another's windows; start the service with DISPLAY set to an X server, and without WAYLAND_DISPLAY"
    )]
    Wayland,
    /// The X server lacks what is needed.
    #[error("the X server of display {display:?} has no {extension}, without which {wanted}; use one that has it")]
    Extension {
        /// Which server.
        display: String,
        /// What it lacks.
        extension: &'static str,
        /// What cannot be known or done.
        wanted: &'static str,
    },
    /// No answer.
    #[error("the display {display:?} does not answer: {why}; see that its X server runs and lets this user in")]
    Unreachable {
        /// Which.
        display: String,
        /// What happened.
        why: String,
    },
    /// The window is not there any more, or its number is another's now.
    #[error("window {0} is gone; list the windows again")]
    Gone(u32),
    /// There is nothing to be pictured.
    #[error("window {0} is minimised, so that there is nothing of it to picture; focus it first")]
    NotShown(u32),
    /// What was covered did not come.
    #[error("window {0} did not draw the part of it that others cover in time; focus it, or try again")]
    NotDrawn(u32),
    /// It cannot be pictured.
    #[error("window {id} has {what}, which cannot be pictured")]
    Format {
        /// Which.
        id: u32,
        /// What is the matter with it.
        what: String,
    },
}

/// What can be asked of a desktop. Every call blocks, for [`CALL_MAX`] at most.
pub trait Desktop: fmt::Debug + Send + Sync {
    /// The windows of those processes that `is_ours` says yes to, the oldest first. It is asked before anything of a
    /// window is read.
    ///
    /// # Errors
    /// When the desktop cannot be asked.
    fn windows(&self, is_ours: &mut dyn FnMut(u32) -> bool) -> Result<Vec<Window>, DesktopError>;

    /// Puts a window before all others, restored if it was minimised, and gives it the keyboard.
    ///
    /// # Errors
    /// When the desktop cannot be asked, or the window is gone.
    fn focus(&self, window: WindowRef) -> Result<Focus, DesktopError>;

    /// Lays windows side by side over the screen, in this order; minimised and maximised ones are restored. Gives where
    /// each is then, with its frame; none for one that is gone.
    ///
    /// # Errors
    /// When the desktop cannot be asked.
    fn tile(&self, windows: &[WindowRef]) -> Result<Vec<Option<Rect>>, DesktopError>;

    /// What a window shows, without its frame, whatever lies above it: never a pixel of another window.
    ///
    /// # Errors
    /// When the desktop cannot be asked, the window is gone or minimised, or does not draw itself.
    fn capture(&self, window: WindowRef) -> Result<Picture, DesktopError>;
}

/// A desktop of which nothing can be asked.
#[derive(Debug)]
struct Absent(DesktopError);

impl Desktop for Absent {
    fn windows(&self, _is_ours: &mut dyn FnMut(u32) -> bool) -> Result<Vec<Window>, DesktopError> {
        Err(self.0.clone())
    }

    fn focus(&self, _window: WindowRef) -> Result<Focus, DesktopError> {
        Err(self.0.clone())
    }

    fn tile(&self, _windows: &[WindowRef]) -> Result<Vec<Option<Rect>>, DesktopError> {
        Err(self.0.clone())
    }

    fn capture(&self, _window: WindowRef) -> Result<Picture, DesktopError> {
        Err(self.0.clone())
    }
}

/// The desktop that the variables of an environment lead to; empty ones lead nowhere.
#[must_use]
pub fn desktop(variable: impl Fn(&str) -> Option<String>) -> Arc<dyn Desktop> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    match (set("DISPLAY"), set("WAYLAND_DISPLAY")) {
        // Browsers may take either; where they took the other, there is no window here.
        (Some(display), _) => Arc::new(X11::new(display)),
        (None, Some(_)) => Arc::new(Absent(DesktopError::Wayland)),
        (None, None) => Arc::new(Absent(DesktopError::NoDisplay)),
    }
}

/// A title as it may be told: without control characters and those that turn the direction of what follows.
fn bounded_title(title: &str) -> String {
    let shown = |c: char| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns { ' ' } else { c }
    };
    title.chars().take(TITLE_CHARS_MAX).map(shown).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desktop_without_an_x_server_says_what_would_help() {
        for (variables, error) in [
            (&[("WAYLAND_DISPLAY", "wayland-0")][..], DesktopError::Wayland),
            (&[("DISPLAY", ""), ("WAYLAND_DISPLAY", "")], DesktopError::NoDisplay),
            (&[], DesktopError::NoDisplay),
        ] {
            let given =
                |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
            let desktop = desktop(given);
            let window = WindowRef { id: 1, pid: 1 };
            assert_eq!(desktop.windows(&mut |_| true), Err(error.clone()));
            assert_eq!(desktop.focus(window), Err(error.clone()));
            assert_eq!(desktop.tile(&[window]), Err(error.clone()));
            assert_eq!(desktop.capture(window), Err(error));
        }
    }

    #[test]
    fn a_display_where_no_server_is_is_an_error_that_names_it() {
        let desktop = desktop(|name| (name == "DISPLAY").then(|| ":64999".to_owned()));
        let error = desktop.windows(&mut |_| true).unwrap_err();
        assert!(matches!(error, DesktopError::Unreachable { .. }) && error.to_string().contains(":64999"), "{error}");
    }

    #[test]
    fn a_title_is_bounded_and_cannot_steer_a_terminal() {
        assert_eq!(bounded_title("a\u{1b}]0;b\nc\u{202e}d "), "a ]0;b c d");
        assert_eq!(bounded_title(&"é".repeat(TITLE_CHARS_MAX + 9)).chars().count(), TITLE_CHARS_MAX);
    }

    #[test]
    fn places_overlap_when_they_share_a_pixel_and_not_when_they_touch() {
        let place = |x, y, width, height| Rect { x, y, width, height };
        assert!(place(0, 0, 10, 10).overlaps(place(9, 9, 10, 10)));
        assert!(!place(0, 0, 10, 10).overlaps(place(10, 0, 10, 10)));
        assert!(!place(0, 0, 10, 10).overlaps(place(0, -10, 10, 10)));
    }
}
