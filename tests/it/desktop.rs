//! The desktop layer on real displays: what it tells, what it does, and whose windows it leaves alone.

use comet_task_runner::desktop::{Desktop, DesktopError, Focus, Picture, Rect, Window, WindowRef, X11};

use super::{
    display::Display,
    painted::{Painted, Screen},
    pipe_browser::has_program,
};

const RED: u32 = 0x00ff_0000;
const BLUE: u32 = 0x0000_00ff;
const RED_PIXEL: [u8; 4] = [255, 0, 0, 255];

/// A display with a manager or without, and its desktop; none where the programs are missing.
fn display(managed: bool) -> Option<(Display, X11)> {
    if !["Xvfb", "openbox"].into_iter().all(has_program) {
        return None;
    }
    let display = if managed { Display::start() } else { Display::bare() };
    let desktop = X11::new(display.name.clone());
    Some((display, desktop))
}

fn own(desktop: &X11) -> Vec<Window> {
    desktop.windows(&mut |pid| pid == std::process::id()).unwrap()
}

fn is_all(picture: &Picture, colour: [u8; 4]) -> bool {
    picture.rgba.chunks_exact(4).all(|pixel| pixel == colour)
}

#[test]
fn a_window_is_pictured_whole_whatever_lies_above_it() {
    for managed in [false, true] {
        let Some((display, desktop)) = display(managed) else { return };
        let red = Painted::show(&display, "red", RED, (100, 100));
        let seen = desktop.capture(red.at).unwrap();
        assert_eq!((seen.width, seen.height), (300, 200));
        assert!(is_all(&seen, RED_PIXEL), "uncovered, managed: {managed}");
        let blue = Painted::show(&display, "blue", BLUE, (150, 150));
        blue.raise();
        assert!(is_all(&desktop.capture(red.at).unwrap(), RED_PIXEL), "partly covered, managed: {managed}");
        let over = Painted::show(&display, "over", BLUE, (100, 100));
        over.raise();
        let screen = Screen::of(&display);
        let plain = screen.pixel_of(red.at.id, 150, 100).unwrap();
        assert_ne!(plain, [255, 0, 0], "reading the window itself would have done");
        for _ in 0..3 {
            assert!(is_all(&desktop.capture(red.at).unwrap(), RED_PIXEL), "covered, managed: {managed}");
        }
    }
}
