//! What pages ask and stand still for: answered at once, or left to a person and told.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Session, Step};
use crate::browser::cdp::message;
use crate::browser::facts::{Dialog, DialogKind, Fact};
use crate::job::DialogPolicy;

/// Longest message of a dialog that is told, in bytes: what a person reads before they look themselves.
const MESSAGE_BYTES_MAX: usize = 1024;

/// Most dialogs that are remembered: each page has one at a time, so more are only there where pages do nothing but
/// ask. Those beyond it are not told.
const DIALOGS_MAX: usize = 16;

/// A dialog that waits for a person, and the session that told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenDialog {
    pub(super) session: String,
    pub(super) dialog: Dialog,
}

impl Session {
    /// Whether dialogs never wait for a person.
    pub(super) fn answers_dialogs(&self) -> bool {
        match self.plan.dialogs {
            DialogPolicy::Accept | DialogPolicy::Dismiss => true,
            DialogPolicy::Leave => false,
        }
    }

    /// A dialog of any page that is listened to.
    pub(super) fn take_dialog(&mut self, session: Option<&str>, message: &[u8], step: &mut Step) {
        let (Some(session), Some(opening)) = (session, message::params::<message::DialogOpening>(message)) else {
            return;
        };
        let accepted = match self.plan.dialogs {
            DialogPolicy::Accept => true,
            DialogPolicy::Dismiss => false,
            DialogPolicy::Leave => return self.leave_dialog(session, &opening, step),
        };
        let params = json!({ "accept": accepted, "promptText": opening.default_prompt.unwrap_or_default() });
        self.send(step, Some(session), "Page.handleJavaScriptDialog", &params);
        if self.hears_task(session) {
            step.facts.push(Fact::DialogAnswered { kind: self.shown(&opening.kind), accepted });
        }
    }

    /// Tells of a dialog; a page has at most one, so a second word about it replaces the first.
    fn leave_dialog(&mut self, session: &str, opening: &message::DialogOpening, step: &mut Step) {
        let Some(kind) = kind(&opening.kind).filter(|_| self.hears_task(session)) else { return };
        let mut message = self.shown(&opening.message);
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        let dialog = Dialog { kind, message };
        self.state.dialogs.retain(|open| open.session != session);
        if self.state.dialogs.len() < DIALOGS_MAX {
            self.state.dialogs.push(OpenDialog { session: session.to_owned(), dialog });
        }
        self.changed = true;
        self.tell_sample(step);
    }

    /// The dialog of this session's page was answered.
    pub(super) fn dialog_closed(&mut self, session: Option<&str>, step: &mut Step) {
        let before = self.state.dialogs.len();
        self.state.dialogs.retain(|open| session != Some(&open.session));
        if self.state.dialogs.len() != before {
            self.changed = true;
            self.tell_sample(step);
        }
    }

    /// What a session told of is no longer known once it has ended.
    pub(super) fn session_gone(&mut self, session: &str, step: &mut Step) {
        for heard_by in self.state.popups.values_mut().filter(|heard_by| heard_by.as_deref() == Some(session)) {
            *heard_by = None;
            self.changed = true;
        }
        self.dialog_closed(Some(session), step);
    }

    /// Whether this session hears the task's page or one that it opened.
    fn hears_task(&self, session: &str) -> bool {
        let mut of_popups = self.state.popups.values().flatten();
        self.state.session.as_deref() == Some(session) || of_popups.any(|heard_by| heard_by == session)
    }
}

/// The browser's word for it.
fn kind(word: &str) -> Option<DialogKind> {
    match word {
        "alert" => Some(DialogKind::Alert),
        "confirm" => Some(DialogKind::Confirm),
        "prompt" => Some(DialogKind::Prompt),
        "beforeunload" => Some(DialogKind::Beforeunload),
        _ => None,
    }
}
