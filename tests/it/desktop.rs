//! The desktop layer on real displays: what it tells, what it does, and whose windows it leaves alone.

use std::time::Instant;

use comet_task_runner::desktop::{CALL_MAX, Desktop, DesktopError, Focus, Picture, Rect, Window, WindowRef, X11};
use x11rb::{
    connection::Connection,
    protocol::xproto::{AtomEnum, ConnectionExt as _, CreateWindowAux, PropMode, WindowClass},
    wrapper::ConnectionExt as _,
};

use super::{
    display::Display,
    painted::{Painted, Screen},
    pipe_browser::has_program,
    processes::signal,
    service::eventually,
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

#[test]
fn a_window_that_draws_itself_no_more_is_not_pictured_with_the_pixels_of_another() {
    let Some((display, desktop)) = display(false) else { return };
    let red = Painted::show(&display, "red", RED, (100, 100));
    let blue = Painted::show(&display, "blue", BLUE, (150, 150));
    blue.raise();
    red.freeze();
    assert_eq!(desktop.capture(red.at), Err(DesktopError::NotDrawn(red.at.id)));
}

#[test]
fn the_windows_of_the_wanted_processes_are_listed_and_no_others() {
    for managed in [false, true] {
        let Some((display, desktop)) = display(managed) else { return };
        let red = Painted::show(&display, "red\u{1b}[2J", RED, (100, 100));
        let blue = Painted::show(&display, "blue", BLUE, (500, 300));
        let found = own(&desktop);
        assert_eq!(found.iter().map(|it| it.at).collect::<Vec<_>>(), [red.at, blue.at]);
        assert_eq!(found[0].title, "red [2J");
        if !managed {
            assert_eq!(found[1].bounds, Rect { x: 500, y: 300, width: 300, height: 200 });
        }
        assert_eq!(desktop.windows(&mut |_| false), Ok(Vec::new()));
    }
}

/// Focuses each window in turn, and looks at all of them each time.
fn focus_each(desktop: &X11, windows: &[WindowRef]) {
    for at in windows {
        let focus = desktop.focus(*at).unwrap();
        let Focus::Confirmed(state) = focus else { panic!("{focus:?}") };
        assert!(state.focused && state.on_top && !state.minimised, "{state:?}");
        for window in own(desktop) {
            assert_eq!((window.state.focused, window.state.on_top), (window.at == *at, window.at == *at), "{window:?}");
        }
    }
}

#[test]
fn a_window_comes_to_the_front_with_a_window_manager_and_without() {
    for managed in [false, true] {
        let Some((display, desktop)) = display(managed) else { return };
        let shown = [RED, BLUE, RED].map(|colour| Painted::show(&display, "one of three", colour, (100, 100)));
        let order = [0, 2, 1, 0].map(|nth: usize| shown[nth].at);
        focus_each(&desktop, &order);
    }
}

#[test]
fn a_minimised_window_has_no_picture_and_is_restored_by_focus_and_by_tiling() {
    let Some((display, desktop)) = display(true) else { return };
    let (red, screen) = (Painted::show(&display, "red", RED, (100, 100)), Screen::of(&display));
    let is_minimised = || own(&desktop)[0].state.minimised;
    let minimise = || {
        red.minimise(&screen);
        eventually("the window is minimised", is_minimised);
    };
    minimise();
    assert!(!own(&desktop)[0].state.on_top);
    assert_eq!(desktop.capture(red.at), Err(DesktopError::NotShown(red.at.id)));
    assert!(matches!(desktop.focus(red.at), Ok(Focus::Confirmed(_))));
    assert!(!is_minimised() && is_all(&desktop.capture(red.at).unwrap(), RED_PIXEL));
    minimise();
    assert_eq!(desktop.tile(&[red.at]), Ok(vec![Some(own(&desktop)[0].bounds)]));
    assert!(!is_minimised());
}

#[test]
fn windows_are_tiled_over_the_whole_screen_and_no_window_of_others_is_moved() {
    for managed in [false, true] {
        let Some((display, desktop)) = display(managed) else { return };
        let shown: Vec<_> = (0..5).map(|_| Painted::show(&display, "tile", RED, (100, 100))).collect();
        let other = Painted::show(&display, "other", BLUE, (37, 41));
        let place_of_other = || own(&desktop).iter().find(|it| it.at == other.at).unwrap().bounds;
        let before = place_of_other();
        // Known by another process, it is no window of whoever asks.
        let foreign = WindowRef { pid: std::process::id() + 1, ..other.at };
        let mut asked: Vec<_> = shown.iter().map(|it| it.at).collect();
        asked.push(foreign);
        let placed = desktop.tile(&asked).unwrap();
        assert_eq!(placed[5], None);
        assert_eq!(place_of_other(), before);
        let placed: Vec<Rect> = placed[..5].iter().map(|it| it.unwrap()).collect();
        let area: u32 = placed.iter().map(|it| it.width * it.height).sum();
        assert_eq!(area, 1600 * 1100, "{placed:?}, managed: {managed}");
        for (nth, place) in placed.iter().enumerate() {
            assert!(!placed[nth + 1..].iter().any(|it| it.overlaps(*place)), "{placed:?}");
            assert_eq!(own(&desktop)[nth].bounds, *place);
        }
        assert_eq!(desktop.focus(foreign), Err(DesktopError::Gone(other.at.id)));
        assert_eq!(desktop.capture(foreign), Err(DesktopError::Gone(other.at.id)));
    }
}

#[test]
fn a_window_manager_that_does_nothing_is_told_of_within_seconds() {
    let Some((display, desktop)) = display(false) else { return };
    let shown = [RED, BLUE].map(|colour| Painted::show(&display, "one of two", colour, (100, 100)));
    let screen = Screen::of(&display);
    let atom = |name: &str| screen.x.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom;
    let set = |on: u32, name: &str, kind: AtomEnum, words: &[u32]| {
        screen.x.change_property32(PropMode::REPLACE, on, atom(name), kind, words).unwrap();
    };
    let mark = screen.x.generate_id().unwrap();
    let class = WindowClass::INPUT_OUTPUT;
    screen.x.create_window(0, mark, screen.root, 0, 0, 1, 1, 0, class, 0, &CreateWindowAux::new()).unwrap();
    for on in [screen.root, mark] {
        set(on, "_NET_SUPPORTING_WM_CHECK", AtomEnum::WINDOW, &[mark]);
    }
    set(screen.root, "_NET_SUPPORTED", AtomEnum::ATOM, &[atom("_NET_ACTIVE_WINDOW"), atom("_NET_MOVERESIZE_WINDOW")]);
    for list in ["_NET_CLIENT_LIST", "_NET_CLIENT_LIST_STACKING"] {
        set(screen.root, list, AtomEnum::WINDOW, &[shown[0].at.id, shown[1].at.id]);
    }
    screen.x.sync().unwrap();
    let focus = desktop.focus(shown[0].at).unwrap();
    assert!(matches!(focus, Focus::Asked(state) if !state.focused && !state.on_top), "{focus:?}");
    let before = own(&desktop)[0].bounds;
    assert_eq!(desktop.tile(&[shown[0].at]), Ok(vec![Some(before)]), "what was read back, not what was asked for");
}

#[test]
fn a_server_that_stands_still_and_one_that_is_gone_are_errors_in_time() {
    let Some((display, desktop)) = display(false) else { return };
    let red = Painted::show(&display, "red", RED, (100, 100));
    signal(display.server_pid(), rustix::process::Signal::STOP);
    let began = Instant::now();
    let stuck = desktop.focus(red.at);
    signal(display.server_pid(), rustix::process::Signal::CONT);
    assert!(matches!(stuck, Err(DesktopError::Unreachable { .. })), "{stuck:?}");
    assert!(began.elapsed() < CALL_MAX * 2, "{:?}", began.elapsed());
    assert_eq!(own(&desktop).len(), 1, "the next call works");
    drop(red);
    drop(display);
    assert!(matches!(desktop.windows(&mut |_| true), Err(DesktopError::Unreachable { .. })));
}
