//! Puts a window before all others, and reads back whether it is there.

use std::time::{Duration, Instant};

use x11rb::{
    connection::Connection as _,
    protocol::xproto::{ConfigureWindowAux, ConnectionExt as _, EventMask, InputFocus, StackMode},
};

use super::{
    connection::{Connection, Fault},
    list::Stack,
};
use crate::desktop::{Focus, WindowRef};

/// Longest wait for the window manager: measured, it takes 16 ms, and 32 at most.
const FOCUS_MAX: Duration = Duration::from_secs(1);
/// Whoever asks does so for a person, as a panel does: a program that asks for itself may be refused.
const FOR_A_PERSON: u32 = 2;
/// The time of the click that asks; there is none.
const NOW: u32 = x11rb::CURRENT_TIME;

pub(super) fn focus(on: &Connection, window: WindowRef) -> Result<Focus, Fault> {
    on.prove(window)?;
    // Before it is asked for, so that no change is missed.
    on.hear_of(on.root, EventMask::PROPERTY_CHANGE | EventMask::SUBSTRUCTURE_NOTIFY)?;
    on.hear_of(window.id, EventMask::PROPERTY_CHANGE | EventMask::STRUCTURE_NOTIFY | EventMask::FOCUS_CHANGE)?;
    let stack = Stack::read(on)?;
    if stack.does(on.atoms._NET_ACTIVE_WINDOW) {
        on.ask_manager(window.id, on.atoms._NET_ACTIVE_WINDOW, [FOR_A_PERSON, NOW, 0, 0, 0])?;
    } else {
        raise(on, window.id)?;
    }
    let deadline = Instant::now() + FOCUS_MAX;
    loop {
        let state = Stack::read(on)?.state(window.id).ok_or(Fault::Gone)?;
        if state.focused && state.on_top && !state.minimised {
            return Ok(Focus::Confirmed(state));
        }
        if on.next_event(deadline)?.is_none() {
            return Ok(Focus::Asked(state));
        }
        // Many come at once, and one look answers them all.
        while on.x.poll_for_event()?.is_some() {}
    }
}

/// What a window manager would do, where none does.
fn raise(on: &Connection, window: u32) -> Result<(), Fault> {
    on.x.map_window(window)?.check()?;
    on.x.configure_window(window, &ConfigureWindowAux::new().stack_mode(StackMode::ABOVE))?.check()?;
    Ok(on.x.set_input_focus(InputFocus::PARENT, window, NOW)?.check()?)
}
