//! The browser's pages: which one is the task's, and whether it is still there.

use serde_json::json;

use super::{Call, Held, Session, Step, capture::NoAnswer};
use crate::browser::cdp::message::{self, TargetInfo};
use crate::browser::facts::{Fact, bounded};

/// The browser's words for a process that died for want of memory.
const OUT_OF_MEMORY: [&str; 3] = ["oom", "oom killed", "evicted for memory"];

impl Session {
    pub(super) fn take_target_event(&mut self, method: &str, message: &[u8], step: &mut Step) {
        match method {
            "Target.attachedToTarget" => {
                if let Some(attached) = message::params::<message::Attached>(message) {
                    self.attached(attached, step);
                }
            }
            "Target.targetCreated" => {
                if let Some(created) = message::params::<message::InfoChanged>(message) {
                    self.created(&created.target_info, step);
                }
            }
            "Target.detachedFromTarget" => {
                if let Some(detached) = message::params::<message::Detached>(message) {
                    self.detached(&detached.session_id, step);
                }
            }
            "Target.targetInfoChanged" => {
                if let Some(changed) = message::params::<message::InfoChanged>(message) {
                    self.sample(&changed.target_info, step);
                }
            }
            "Target.targetDestroyed" => {
                if let Some(destroyed) = message::params::<message::Destroyed>(message) {
                    self.held.retain(|held| held.target != destroyed.target_id);
                    if self.owns(&destroyed.target_id) {
                        self.page_closed(step);
                    } else {
                        self.popup_gone(&destroyed.target_id, step);
                    }
                }
            }
            "Target.targetCrashed" => {
                if let Some(crashed) = message::params::<message::Crashed>(message) {
                    if self.owns(&crashed.target_id) {
                        self.crashed = true;
                        self.nobody_answers(&NoAnswer::Crashed, step);
                        let oom = OUT_OF_MEMORY.contains(&crashed.status.as_str());
                        step.facts.push(Fact::PageCrashed { status: bounded(crashed.status), oom });
                    } else {
                        // It shows nothing any more, and without a window nobody would ever close it.
                        self.popup_gone(&crashed.target_id, step);
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn owns(&self, target: &str) -> bool {
        self.state.target.as_deref() == Some(target)
    }

    fn attached(&mut self, attached: message::Attached, step: &mut Step) {
        let info = attached.target_info;
        self.meet_popup(&info, Some(&attached.session_id), step);
        let page = Held { target: info.target_id, session: attached.session_id, early: Vec::new() };
        if self.owns(&page.target) {
            if attached.waiting_for_debugger && self.state.session.is_none() {
                self.listen(&page.session, step);
            }
            self.attached_own(&page.session, attached.waiting_for_debugger, step);
        } else if self.state.target.is_none() && info.kind == "page" && info.opener_id.is_none() {
            // It may come before the answer that says which page is the task's.
            self.listen(&page.session, step);
            self.held.push(page);
        } else {
            self.let_run(&page, step);
        }
    }

    /// Hears how the navigation goes from the first moment: the page is held, but its document is on its way.
    fn listen(&mut self, session: &str, step: &mut Step) {
        self.send(step, Some(session), "Page.enable", &json!({}));
        self.send(step, Some(session), "Network.enable", &json!({}));
    }

    /// The session that holds the page still is not the one to keep: it ends with the holding. Until then it is the
    /// one that hears everything.
    fn attached_own(&mut self, session: &str, waiting: bool, step: &mut Step) {
        if !waiting {
            self.take_page(session, step);
        } else if self.state.session.is_none() {
            self.state.holding = Some(session.to_owned());
            self.changed = true;
            self.attach(step);
        } else {
            // It has a session to keep, and whoever waits is let go.
            self.send(step, Some(session), "Runtime.runIfWaitingForDebugger", &json!({}));
        }
    }

    /// A page that came later. Where new pages are not held, those of the task are attached to, to hear of their
    /// dialogs.
    fn created(&mut self, info: &TargetInfo, step: &mut Step) {
        if self.meet_popup(info, None, step) && self.prepared && !self.answers_dialogs() {
            self.attach_to(&info.target_id, step);
        }
    }

    /// Learns which page is the task's, and lets go of those that were held because they might have been.
    pub(super) fn own_target(&mut self, target: &str, step: &mut Step) {
        if self.state.target.is_some() {
            return;
        }
        self.state.target = Some(target.to_owned());
        self.changed = true;
        step.facts.push(Fact::Created { target: target.to_owned() });
        for page in std::mem::take(&mut self.held) {
            if page.target == target {
                self.attached_own(&page.session, true, step);
                for (method, message) in &page.early {
                    self.take_holding_event(method, message, step);
                }
            } else {
                self.let_run(&page, step);
            }
        }
    }

    /// The browser refused to make a page.
    pub(super) fn give_up_page(&mut self, message: String, step: &mut Step) {
        step.facts.push(Fact::NotCreated { message: bounded(message) });
        self.release_documents(step);
        for page in std::mem::take(&mut self.held) {
            self.let_run(&page, step);
        }
    }

    /// Lets a page go on that is not the task's, and hears of its dialogs where they matter.
    fn let_run(&mut self, page: &Held, step: &mut Step) {
        if self.answers_dialogs() || self.state.popups.contains_key(&page.target) {
            self.send(step, Some(&page.session), "Page.enable", &json!({}));
        }
        // Whether or not it says that it waits: measured, a popup that does not say so can stop its opener.
        self.send(step, Some(&page.session), "Runtime.runIfWaitingForDebugger", &json!({}));
    }

    fn detached(&mut self, session: &str, step: &mut Step) {
        self.held.retain(|held| held.session != session);
        self.session_gone(session, step);
        if self.state.holding.as_deref() == Some(session) {
            self.state.holding = None;
            self.changed = true;
        }
        if self.state.session.as_deref() == Some(session) {
            self.attach_again(step);
        }
    }

    /// The session is gone; if the page is not, it gets another.
    pub(super) fn attach_again(&mut self, step: &mut Step) {
        if let Some(session) = self.state.session.take() {
            self.session_gone(&session, step);
            self.state.contexts.clear();
            self.changed = true;
            self.prepared = false;
            self.attaching = false;
            self.nobody_answers(&NoAnswer::NotOpen, step);
            self.attach(step);
        }
    }

    fn attach(&mut self, step: &mut Step) {
        if let Some(target) = self.state.target.clone().filter(|_| !self.state.closed && !self.attaching) {
            self.attaching = true;
            self.attach_to(&target, step);
        }
    }

    fn attach_to(&mut self, target: &str, step: &mut Step) {
        let params = json!({ "targetId": target, "flatten": true });
        self.call(step, Call::AttachToTarget, "Target.attachToTarget", &params);
    }

    /// Where dialogs are left to a person, those of popups that came while nobody listened have to be heard of too.
    fn hear_popups(&mut self, step: &mut Step) {
        if self.answers_dialogs() {
            return;
        }
        let unheard = self.state.popups.iter().filter(|(_, heard_by)| heard_by.is_none());
        let unheard: Vec<String> = unheard.map(|(target, _)| target.clone()).collect();
        for target in unheard {
            self.attach_to(&target, step);
        }
    }

    /// After an adoption and its replay: finds the task's page among those that are there.
    pub(super) fn take_stock(&mut self, pages: &[TargetInfo], step: &mut Step) {
        if self.state.closed {
            self.count_popups(pages, step);
            self.hear_popups(step);
            return self.tell_closed(step);
        }
        if self.state.target.is_none() {
            let Some(page) = self.likely_page(pages) else {
                return self.create_page(step);
            };
            self.own_target(&page, step);
        }
        self.count_popups(pages, step);
        self.hear_popups(step);
        let Some(info) = pages.iter().find(|info| self.owns(&info.target_id)) else {
            return self.page_closed(step);
        };
        self.sample(info, step);
        match self.state.session.clone() {
            Some(_) if self.prepared => {}
            Some(session) => self.take_page(&session, step),
            None => self.attach(step),
        }
    }

    /// The page that an earlier service made, if it left no word which one: no popup, and at the URL if possible.
    fn likely_page(&self, pages: &[TargetInfo]) -> Option<String> {
        let own = || pages.iter().filter(|info| info.kind == "page" && info.opener_id.is_none());
        let page = own().find(|info| self.shown(&info.url) == self.plan.url).or_else(|| own().next())?;
        Some(page.target_id.clone())
    }

    fn page_closed(&mut self, step: &mut Step) {
        if !self.state.closed {
            self.state.closed = true;
            self.changed = true;
            if let Some(session) = self.state.session.take() {
                self.session_gone(&session, step);
            }
            self.nobody_answers(&NoAnswer::Closed, step);
        }
        self.tell_closed(step);
    }

    pub(super) fn ask_title(&mut self, step: &mut Step) {
        if let Some(target) = self.state.target.clone().filter(|_| !self.state.closed) {
            let params = json!({ "targetId": target });
            self.call(step, Call::TargetInfo, "Target.getTargetInfo", &params);
        }
    }

    pub(super) fn sample(&mut self, info: &TargetInfo, step: &mut Step) {
        if !self.owns(&info.target_id) {
            return;
        }
        self.sample.url = self.shown(&info.url);
        self.sample.title = self.shown(&info.title);
        self.tell_sample(step);
    }

    /// Tells what is shown, if it is something else than what was told.
    pub(super) fn tell_sample(&mut self, step: &mut Step) {
        self.sample.dialog = self.state.dialogs.first().map(|open| open.dialog.clone());
        self.sample.popup_count = self.state.popups.len();
        if self.sample != self.told {
            self.told = self.sample.clone();
            step.facts.push(Fact::Sampled(self.sample.clone()));
        }
    }
}
