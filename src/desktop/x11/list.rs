//! Reads which windows there are, whose they are, and how they stand to each other.

use std::collections::HashMap;

use x11rb::{
    errors::ReplyError,
    protocol::xproto::{AtomEnum, ConnectionExt as _, GetPropertyReply, MapState, WindowClass},
};

use super::connection::{Connection, Fault};
use crate::desktop::{Rect, Role, Window, WindowRef, WindowState, bounded_title};

/// Most windows that are looked at: past it the rest is not there for us.
const WINDOWS_MAX: usize = 1024;
/// Longest title read, in words of four bytes: more than is told of one in any letters.
const TITLE_WORDS_MAX: u32 = 512;
/// A window's state in the older of the conventions.
const ICONIC: u32 = 3;
/// The word by which browsers tell a window that a script opened.
const POPUP_ROLE: &[u8] = b"pop-up";

/// The windows of a screen and how they lie, at one moment.
pub(super) struct Stack {
    /// What the window manager says that it can do; none without one.
    pub(super) manager: Option<Vec<u32>>,
    /// The oldest first.
    by_age: Vec<u32>,
    /// The lowest first.
    by_height: Vec<u32>,
    /// What has the keyboard.
    active: u32,
    seen: HashMap<u32, Seen>,
}

/// What of any window has to be known to say whether another lies below it.
struct Seen {
    shown: bool,
    kept_above: bool,
    minimised: bool,
    parent: u32,
    is_dialog: bool,
}

impl Stack {
    pub(super) fn read(on: &Connection) -> Result<Self, Fault> {
        let manager = manager(on)?;
        let (mut by_age, mut by_height, active) = match &manager {
            Some(_) => managed(on)?,
            None => unmanaged(on)?,
        };
        by_age.truncate(WINDOWS_MAX);
        by_height.truncate(WINDOWS_MAX);
        let mut stack = Self { manager, by_age, by_height, active, seen: HashMap::new() };
        for window in stack.by_height.iter().chain(&stack.by_age) {
            if stack.seen.contains_key(window) {
                continue;
            }
            // One that goes away meanwhile lies above nothing.
            match stack.look_at(on, *window) {
                Ok(seen) => drop(stack.seen.insert(*window, seen)),
                Err(Fault::Gone) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(stack)
    }

    /// Whether the manager said that it does this.
    pub(super) fn does(&self, what: u32) -> bool {
        self.manager.as_ref().is_some_and(|does| does.contains(&what))
    }

    /// How a window stands; none for one that is gone.
    pub(super) fn state(&self, window: u32) -> Option<WindowState> {
        let seen = self.seen.get(&window)?;
        let is_of = |other: u32| other == window || self.seen.get(&other).is_some_and(|other| other.parent == window);
        let above = self.by_height.iter().rev().take_while(|other| **other != window);
        let is_below = |other: &u32| {
            let covers = |other: &Seen| other.shown && !other.minimised && !other.kept_above;
            !is_of(*other) && self.seen.get(other).is_some_and(covers)
        };
        Some(WindowState {
            focused: is_of(self.active),
            minimised: seen.minimised,
            on_top: seen.shown && !seen.minimised && !above.into_iter().any(is_below),
        })
    }

    fn look_at(&self, on: &Connection, window: u32) -> Result<Seen, Fault> {
        let attributes = on.x.get_window_attributes(window)?;
        let word = |name| on.x.get_property(false, window, name, AtomEnum::ANY, 0, 64);
        let (state, kind) = (word(on.atoms._NET_WM_STATE)?, word(on.atoms._NET_WM_WINDOW_TYPE)?);
        let (old_state, parent) = (word(on.atoms.WM_STATE)?, word(AtomEnum::WM_TRANSIENT_FOR.into())?);
        let shown = attributes.reply()?.map_state == MapState::VIEWABLE;
        let (state, kind) = (numbers(&state.reply()?), numbers(&kind.reply()?));
        let (old_state, parent) = (numbers(&old_state.reply()?), numbers(&parent.reply()?));
        // The older state has no word for a window on another desktop.
        let minimised = if self.does(on.atoms._NET_WM_STATE_HIDDEN) {
            state.contains(&on.atoms._NET_WM_STATE_HIDDEN)
        } else {
            old_state.first() == Some(&ICONIC)
        };
        Ok(Seen {
            shown,
            kept_above: kind.contains(&on.atoms._NET_WM_WINDOW_TYPE_DOCK)
                || state.contains(&on.atoms._NET_WM_STATE_ABOVE),
            minimised,
            parent: parent.first().copied().unwrap_or_default(),
            is_dialog: kind.contains(&on.atoms._NET_WM_WINDOW_TYPE_DIALOG),
        })
    }
}

/// What the running window manager can do. One that died leaves its mark on the root, but not its window.
fn manager(on: &Connection) -> Result<Option<Vec<u32>>, Fault> {
    let mark = on.atoms._NET_SUPPORTING_WM_CHECK;
    let Some(window) = on.numbers(on.root, mark)?.first().copied() else { return Ok(None) };
    match on.numbers(window, mark) {
        Ok(same) if same.first() == Some(&window) => Ok(Some(on.numbers(on.root, on.atoms._NET_SUPPORTED)?)),
        Ok(_) | Err(Fault::Gone) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// The windows that the manager lists, by age and by height, and the active one.
fn managed(on: &Connection) -> Result<(Vec<u32>, Vec<u32>, u32), Fault> {
    let by_age = on.numbers(on.root, on.atoms._NET_CLIENT_LIST)?;
    let mut by_height = on.numbers(on.root, on.atoms._NET_CLIENT_LIST_STACKING)?;
    if by_height.is_empty() {
        by_height.clone_from(&by_age);
    }
    let active = on.numbers(on.root, on.atoms._NET_ACTIVE_WINDOW)?.first().copied().unwrap_or_default();
    Ok((by_age, by_height, active))
}

/// The windows that the server shows by itself, and the one with the keyboard.
fn unmanaged(on: &Connection) -> Result<(Vec<u32>, Vec<u32>, u32), Fault> {
    let mut by_height = on.x.query_tree(on.root)?.reply()?.children;
    by_height.truncate(WINDOWS_MAX);
    let asked: Vec<_> = by_height.iter().map(|window| on.x.get_window_attributes(*window)).collect::<Result<_, _>>()?;
    let mut shown = Vec::new();
    for (window, asked) in by_height.into_iter().zip(asked) {
        match asked.reply() {
            Ok(it) if it.map_state == MapState::VIEWABLE && !it.override_redirect => {
                if it.class == WindowClass::INPUT_OUTPUT {
                    shown.push(window);
                }
            }
            Ok(_) | Err(ReplyError::X11Error(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut by_age = shown.clone();
    // A program numbers its windows upwards.
    by_age.sort_unstable();
    let active = on.x.get_input_focus()?.reply()?.focus;
    Ok((by_age, shown, active))
}

pub(super) fn windows(on: &Connection, is_ours: &mut dyn FnMut(u32) -> bool) -> Result<Vec<Window>, Fault> {
    let stack = Stack::read(on)?;
    let owners = on.owners(&stack.by_age)?;
    let mut found = Vec::new();
    for (id, owner) in stack.by_age.iter().copied().zip(owners) {
        let Some(pid) = owner.filter(|pid| is_ours(*pid)) else { continue };
        let Some(state) = stack.state(id) else { continue };
        let read = || -> Result<Window, Fault> {
            let bounds = frame(on, id)?.around(inside(on, id)?);
            Ok(Window { at: WindowRef { id, pid }, title: title(on, id)?, role: role(on, &stack, id)?, bounds, state })
        };
        match read() {
            Ok(window) => found.push(window),
            Err(Fault::Gone) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(found)
}

/// How far a window's frame reaches beyond what its program draws; less than nothing where that draws its own shadow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) left: i32,
    pub(super) right: i32,
    pub(super) top: i32,
    pub(super) bottom: i32,
}

impl Frame {
    pub(super) fn around(self, inside: Rect) -> Rect {
        Rect {
            x: inside.x - self.left,
            y: inside.y - self.top,
            width: inside.width.saturating_add_signed(self.left + self.right),
            height: inside.height.saturating_add_signed(self.top + self.bottom),
        }
    }
}

/// Longest side of a frame that is believed: what a program says of its own shadow can be any number.
const FRAME_MAX: u32 = 512;

pub(super) fn frame(on: &Connection, window: u32) -> Result<Frame, Fault> {
    let given = on.numbers(window, on.atoms._NET_FRAME_EXTENTS)?;
    let shadow = on.numbers(window, on.atoms._GTK_FRAME_EXTENTS)?;
    let side = |nth: usize| {
        let of = |sides: &[u32]| sides.get(nth).map_or(0, |side| (*side).min(FRAME_MAX).cast_signed());
        of(&given) - of(&shadow)
    };
    Ok(Frame { left: side(0), right: side(1), top: side(2), bottom: side(3) })
}

/// Where a window is without its frame. Its own place is told as seen from its frame, so the root is asked.
pub(super) fn inside(on: &Connection, window: u32) -> Result<Rect, Fault> {
    let size = on.x.get_geometry(window)?;
    let place = on.x.translate_coordinates(window, on.root, 0, 0)?;
    let (size, place) = (size.reply()?, place.reply()?);
    Ok(Rect { x: place.dst_x.into(), y: place.dst_y.into(), width: size.width.into(), height: size.height.into() })
}

fn title(on: &Connection, window: u32) -> Result<String, Fault> {
    let read = |name| on.x.get_property(false, window, name, AtomEnum::ANY, 0, TITLE_WORDS_MAX);
    let (named, old) = (read(on.atoms._NET_WM_NAME)?, read(AtomEnum::WM_NAME.into())?);
    let (named, old) = (named.reply()?, old.reply()?);
    let title = if named.value.is_empty() { old.value } else { named.value };
    Ok(bounded_title(&String::from_utf8_lossy(&title)))
}

fn role(on: &Connection, stack: &Stack, window: u32) -> Result<Role, Fault> {
    let popup = on.property(window, on.atoms.WM_WINDOW_ROLE)?.value == POPUP_ROLE;
    let dialog = stack.seen.get(&window).is_some_and(|seen| seen.is_dialog || seen.parent != 0);
    Ok(match (popup, dialog) {
        (true, _) => Role::Popup,
        (false, true) => Role::Dialog,
        (false, false) => Role::Normal,
    })
}

fn numbers(property: &GetPropertyReply) -> Vec<u32> {
    property.value32().map(Iterator::collect).unwrap_or_default()
}
