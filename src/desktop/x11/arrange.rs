//! Lays windows side by side, and reads back where they are.

use std::time::{Duration, Instant};

use x11rb::{
    connection::Connection as _,
    protocol::xproto::{AtomEnum, ConfigureWindowAux, ConnectionExt as _, EventMask},
};

use super::{
    connection::{Connection, Fault},
    list::{Frame, Stack, frame, inside},
};
use crate::desktop::{
    Rect, WindowRef,
    grid::{Smallest, cells},
};

/// Longest wait for all windows to be in place: each takes some 20 ms, one after the other.
const SETTLE_MAX: Duration = Duration::from_secs(2);
/// The place that is given is that of the frame's left upper corner.
const NORTH_WEST: u32 = 1;
/// Which of the numbers are given: all four; and for whom, a person.
const ALL_FOUR_FOR_A_PERSON: u32 = (0b1111 << 8) | (2 << 12);
/// Whoever asks does so for a person.
const FOR_A_PERSON: u32 = 2;
/// Takes a state away.
const REMOVE: u32 = 0;
/// Where a program's smallest size is in what it says of its sizes, and the mark that it is said.
const SMALLEST_AT: (usize, usize) = (5, 6);
const SMALLEST_GIVEN: u32 = 1 << 4;

/// A window on its way to its place.
struct Moving {
    window: WindowRef,
    /// Where it is to be, with its frame.
    wanted: Rect,
    /// For which frame it was asked to go there: a frame can change on the way.
    asked_for: Option<Frame>,
    /// Where it is; none when it is gone.
    at: Option<Rect>,
}

pub(super) fn tile(on: &Connection, windows: &[WindowRef]) -> Result<Vec<Option<Rect>>, Fault> {
    let stack = Stack::read(on)?;
    let mut smallest = Smallest::default();
    let mut there = Vec::new();
    for window in windows {
        match restore(on, &stack, *window) {
            Ok(least) => {
                smallest.width = smallest.width.max(least.width);
                smallest.height = smallest.height.max(least.height);
                there.push(*window);
            }
            Err(Fault::Gone) => {}
            Err(fault) => return Err(fault),
        }
    }
    let places = cells(work_area(on)?, u32::try_from(there.len()).unwrap_or(u32::MAX), smallest);
    let moving = there.into_iter().zip(places);
    let mut moving: Vec<_> =
        moving.map(|(window, wanted)| Moving { window, wanted, asked_for: None, at: Some(Rect::default()) }).collect();
    settle(on, &stack, &mut moving)?;
    let place = |window: &WindowRef| moving.iter().find(|it| it.window == *window).and_then(|it| it.at);
    Ok(windows.iter().map(place).collect())
}

/// Makes a window one that can be moved, and gives how small it can be, with its frame.
fn restore(on: &Connection, stack: &Stack, window: WindowRef) -> Result<Smallest, Fault> {
    on.prove(window)?;
    on.hear_of(window.id, EventMask::PROPERTY_CHANGE | EventMask::STRUCTURE_NOTIFY)?;
    if stack.state(window.id).is_some_and(|state| state.minimised) {
        on.x.map_window(window.id)?.check()?;
    }
    let atoms = &on.atoms;
    let held = on.numbers(window.id, atoms._NET_WM_STATE)?;
    for (one, other) in
        [(atoms._NET_WM_STATE_MAXIMIZED_VERT, atoms._NET_WM_STATE_MAXIMIZED_HORZ), (atoms._NET_WM_STATE_FULLSCREEN, 0)]
    {
        if held.contains(&one) || held.contains(&other) {
            on.ask_manager(window.id, atoms._NET_WM_STATE, [REMOVE, one, other, FOR_A_PERSON, 0])?;
        }
    }
    let sizes = on.numbers(window.id, AtomEnum::WM_NORMAL_HINTS.into())?;
    let given = sizes.first().is_some_and(|flags| flags & SMALLEST_GIVEN != 0);
    let size = |at: usize| sizes.get(at).copied().filter(|_| given).unwrap_or_default().min(u32::from(u16::MAX));
    let inside = Rect { x: 0, y: 0, width: size(SMALLEST_AT.0), height: size(SMALLEST_AT.1) };
    let whole = frame(on, window.id)?.around(inside);
    Ok(Smallest { width: whole.width, height: whole.height })
}

/// What of the screen is free of panels.
fn work_area(on: &Connection) -> Result<Rect, Fault> {
    let desktop = on.numbers(on.root, on.atoms._NET_CURRENT_DESKTOP)?.first().copied().unwrap_or_default();
    let areas = on.numbers(on.root, on.atoms._NET_WORKAREA)?;
    let first = usize::try_from(desktop).unwrap_or_default().saturating_mul(4);
    match areas.get(first..first.saturating_add(4)) {
        Some(&[x, y, width, height]) => Ok(Rect { x: x.cast_signed(), y: y.cast_signed(), width, height }),
        Some(_) | None => inside(on, on.root),
    }
}

/// Asks each window to go to its place until it is there, or is where its program and its manager let it be.
fn settle(on: &Connection, stack: &Stack, moving: &mut [Moving]) -> Result<(), Fault> {
    let deadline = Instant::now() + SETTLE_MAX;
    loop {
        for it in moving.iter_mut() {
            match step(on, stack, it) {
                Ok(at) => it.at = Some(at),
                Err(Fault::Gone) => it.at = None,
                Err(fault) => return Err(fault),
            }
        }
        if moving.iter().all(|it| it.at.is_none_or(|at| at == it.wanted)) || on.next_event(deadline)?.is_none() {
            return Ok(());
        }
        // Many come at once, and one look answers them all.
        while on.x.poll_for_event()?.is_some() {}
    }
}

/// Where the window is; asks it to go where it is wanted, once for each frame that it turns out to have.
fn step(on: &Connection, stack: &Stack, it: &mut Moving) -> Result<Rect, Fault> {
    let frame = frame(on, it.window.id)?;
    let at = frame.around(inside(on, it.window.id)?);
    if at != it.wanted && it.asked_for != Some(frame) {
        it.asked_for = Some(frame);
        go(on, stack, it.window.id, it.wanted, frame)?;
    }
    Ok(at)
}

fn go(on: &Connection, stack: &Stack, window: u32, wanted: Rect, frame: Frame) -> Result<(), Fault> {
    let width = wanted.width.saturating_add_signed(-(frame.left + frame.right)).max(1);
    let height = wanted.height.saturating_add_signed(-(frame.top + frame.bottom)).max(1);
    // The frame that is counted from is the manager's; what lies beyond the program's own shadow is not.
    let (x, y) = (wanted.x + frame.left.min(0), wanted.y + frame.top.min(0));
    if stack.does(on.atoms._NET_MOVERESIZE_WINDOW) {
        let words = [NORTH_WEST | ALL_FOUR_FOR_A_PERSON, x.cast_unsigned(), y.cast_unsigned(), width, height];
        return on.ask_manager(window, on.atoms._NET_MOVERESIZE_WINDOW, words);
    }
    let place = ConfigureWindowAux::new().x(x).y(y).width(width).height(height);
    Ok(on.x.configure_window(window, &place)?.check()?)
}
