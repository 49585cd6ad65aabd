//! The pages that the task's page opens: which they are, and whether the task has to wait for them.

use super::{Session, Step};
use crate::browser::cdp::message::TargetInfo;
use crate::browser::facts::Fact;

/// Most popups that are remembered; those beyond it are neither counted nor waited for. No person looks at so many.
const POPUPS_MAX: usize = 256;

impl Session {
    /// Remembers a page if the task's page, or one of its popups, has opened it; says whether it is such a one.
    ///
    /// Measured: windows without an opener in their script (`noopener`) name it here all the same; pages that a
    /// person or an extension opens name none.
    pub(super) fn meet_popup(&mut self, info: &TargetInfo, session: Option<&str>, step: &mut Step) -> bool {
        if let Some(heard_by) = self.state.popups.get_mut(&info.target_id) {
            if heard_by.is_none() && session.is_some() {
                *heard_by = session.map(str::to_owned);
                self.changed = true;
            }
            return true;
        }
        let of_task = |opener: &String| self.owns(opener) || self.state.popups.contains_key(opener);
        let is_popup =
            info.kind == "page" && !self.owns(&info.target_id) && info.opener_id.as_ref().is_some_and(of_task);
        if !is_popup || self.state.popups.len() >= POPUPS_MAX {
            return false;
        }
        self.state.popups.insert(info.target_id.clone(), session.map(str::to_owned));
        self.changed = true;
        self.tell_sample(step);
        true
    }

    /// A page that is not the task's is closed, or shows nothing any more.
    pub(super) fn popup_gone(&mut self, target: &str, step: &mut Step) {
        let Some(heard_by) = self.state.popups.remove(target) else { return };
        self.changed = true;
        if let Some(session) = heard_by {
            self.dialog_closed(Some(&session), step);
        }
        self.tell_sample(step);
        if self.state.closed {
            self.tell_closed(step);
        }
    }

    /// After an adoption: which of the popups are there. The opener's name is lost with the opener, so those that were
    /// remembered need none.
    pub(super) fn count_popups(&mut self, pages: &[TargetInfo], step: &mut Step) {
        let before = self.state.popups.len();
        self.state.popups.retain(|target, _| pages.iter().any(|info| info.target_id == *target));
        self.changed |= self.state.popups.len() != before;
        // A popup may be listed before its opener: until nothing is new.
        let mut known = usize::MAX;
        while known != self.state.popups.len() {
            known = self.state.popups.len();
            for info in pages {
                self.meet_popup(info, None, step);
            }
        }
        self.tell_sample(step);
    }

    /// Tells once that the task's page is closed, when nothing has to be waited for any more.
    pub(super) fn tell_closed(&mut self, step: &mut Step) {
        let waits = self.plan.wait_for_popups && !self.state.popups.is_empty();
        if !waits && !self.state.close_told {
            self.state.close_told = true;
            self.changed = true;
            step.facts.push(Fact::PageClosed);
        }
    }
}
