//! The task's page: prepared before it runs, then listened to.

use serde_json::{Value, json};

use super::navigation::Outcome;
use super::{Call, Session, Step};
use crate::browser::cdp::message::{self, Frame};
use crate::browser::facts::Fact;
use crate::browser::report::{self, BINDING, Refusal};

/// Most contexts of the page's own frame that are remembered: it has one at a time, two while it navigates.
const CONTEXTS_MAX: usize = 16;

impl Session {
    /// Prepares the task's page while it waits, or again after an adoption; each command may be repeated.
    pub(super) fn take_page(&mut self, session: &str, step: &mut Step) {
        if self.state.session.as_deref() != Some(session) {
            self.state.session = Some(session.to_owned());
            self.changed = true;
            self.heard.again();
        }
        self.prepared = true;
        self.attaching = false;
        let undecided = !self.state.navigation.is_decided();
        let script = json!({ "source": self.report_script(), "runImmediately": true });
        let mut prepare = |call, method, params: &Value| self.call_page(step, call, session, method, params);
        prepare(Call::Prepare, "Page.enable", &json!({}));
        if undecided {
            prepare(Call::Prepare, "Network.enable", &json!({}));
        }
        // Contexts before the binding, so that no report comes from one that is not known.
        prepare(Call::Prepare, "Runtime.enable", &json!({}));
        prepare(Call::Prepare, "Runtime.addBinding", &json!({ "name": BINDING }));
        prepare(Call::Inject, "Page.addScriptToEvaluateOnNewDocument", &script);
    }

    /// Lets the page run once its script is in place. Only the answer proves that: measured, a page that is let go
    /// in the same breath can be faster than its own preparation.
    pub(super) fn injected(&mut self, step: &mut Step) {
        let Some(session) = self.state.session.clone() else {
            return;
        };
        self.send(step, Some(&session), "Runtime.runIfWaitingForDebugger", &json!({}));
        // Off the way of the start: what was said before is told then.
        self.send(step, Some(&session), "Log.enable", &json!({}));
        if !self.state.navigation.is_decided() {
            // Measured: it may be there since before the page could be listened to, and is then not announced.
            self.call_page(step, Call::FrameTree, &session, "Page.getFrameTree", &json!({}));
        }
        self.stop_holding_pages(step);
        self.release_documents(step);
    }

    pub(super) fn take_page_event(&mut self, method: &str, message: &[u8], step: &mut Step) {
        match method {
            "Runtime.bindingCalled" => {
                if let Some(called) = message::params::<message::BindingCalled>(message) {
                    self.take_report(&called, step);
                }
            }
            "Runtime.executionContextCreated" => {
                if let Some(created) = message::params::<message::ContextCreated>(message) {
                    self.remember_context(created.context);
                }
            }
            "Runtime.executionContextDestroyed" => {
                if let Some(destroyed) = message::params::<message::ContextDestroyed>(message) {
                    self.changed |= self.state.contexts.remove(&destroyed.execution_context_id).is_some();
                }
            }
            "Runtime.executionContextsCleared" => {
                self.changed |= !self.state.contexts.is_empty();
                self.state.contexts.clear();
            }
            "Page.frameNavigated" => {
                if let Some(navigated) = message::params::<message::FrameNavigated>(message) {
                    // A person may load a page again whose renderer died.
                    self.crashed &= navigated.frame.parent_id.is_some();
                    self.judge_document(&navigated.frame, step);
                }
            }
            // Measured: a new title alone is not announced.
            "Page.domContentEventFired" | "Page.loadEventFired" => self.ask_title(step),
            "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded" => {
                self.take_console_event(method, message, step);
            }
            _ if !self.state.navigation.is_decided() => {
                self.take_navigation_event(method, message, step);
            }
            _ => {}
        }
    }

    /// What the session that holds the page hears of its navigation; the one to keep may have come too late for it.
    pub(super) fn take_holding_event(&mut self, method: &str, message: &[u8], step: &mut Step) {
        if self.state.navigation.is_decided() {
            return;
        }
        if method == "Page.frameNavigated" {
            if let Some(navigated) = message::params::<message::FrameNavigated>(message) {
                self.judge_document(&navigated.frame, step);
            }
        } else {
            self.take_navigation_event(method, message, step);
        }
    }

    fn take_navigation_event(&mut self, method: &str, message: &[u8], step: &mut Step) {
        match method {
            "Page.frameStartedNavigating" => {
                if let Some(started) = message::params::<message::StartedNavigating>(message)
                    && self.is_main_frame(&started.frame_id)
                    && started.url.starts_with("http")
                {
                    // What is remembered of it is written to the disk.
                    let url = self.shown(&started.url);
                    self.changed |= self.state.navigation.start(&started.loader_id, &url);
                }
            }
            "Network.requestWillBeSent" | "Network.responseReceived" => {
                if let Some(request) = message::params::<message::Request>(message) {
                    self.take_document_request(&request);
                }
            }
            "Network.loadingFailed" => {
                if let Some(failed) = message::params::<message::LoadingFailed>(message) {
                    let outcome = self.state.navigation.fail(&failed);
                    self.navigation_decided(outcome, step);
                }
            }
            _ => {}
        }
    }

    fn take_document_request(&mut self, request: &message::Request) {
        let ours =
            request.kind == "Document" && request.frame_id.as_deref().is_some_and(|frame| self.is_main_frame(frame));
        if !ours {
            return;
        }
        if let Some(body) = &request.request {
            let url = self.shown(&body.url);
            self.changed |= self.state.navigation.start(&request.request_id, &url);
        }
        if let Some(response) = &request.response {
            self.changed |= self.state.navigation.respond(&request.request_id, response.status);
        }
    }

    /// A document is there; if it is the page's first, that decides the task's navigation.
    pub(super) fn judge_document(&mut self, frame: &Frame, step: &mut Step) {
        if frame.parent_id.is_some() {
            return;
        }
        if self.state.main_frame.as_deref() != Some(&frame.id) {
            self.state.main_frame = Some(frame.id.clone());
            self.changed = true;
        }
        let outcome = self.state.navigation.arrive(frame);
        self.navigation_decided(outcome, step);
    }

    fn navigation_decided(&mut self, outcome: Option<Outcome>, step: &mut Step) {
        let Some(outcome) = outcome else { return };
        self.changed = true;
        step.facts.push(match outcome {
            Outcome::Committed { url, http_status } => Fact::Committed { url: self.shown_url(&url), http_status },
            Outcome::Failed { url, net_error } => {
                Fact::NavigationFailed { url: self.shown_url(&url), net_error: self.shown(&net_error) }
            }
        });
        self.leave_network(step);
    }

    /// What the page loads from now on is its own affair, and would only fill the pipe.
    pub(super) fn leave_network(&mut self, step: &mut Step) {
        for session in [self.state.session.clone(), self.state.holding.clone()].into_iter().flatten() {
            self.send(step, Some(&session), "Network.disable", &json!({}));
        }
    }

    fn shown_url(&self, url: &str) -> String {
        self.shown(if url.is_empty() { &self.plan.url } else { url })
    }

    /// The top frame has the target's id, unless a prerendered document took its place.
    pub(super) fn is_main_frame(&self, frame: &str) -> bool {
        let main_frame = self.state.main_frame.as_deref().or(self.state.target.as_deref());
        main_frame == Some(frame)
    }

    fn remember_context(&mut self, context: message::Context) {
        let own = context.aux_data.is_some_and(|aux| {
            aux.is_default && aux.frame_id.as_deref().is_some_and(|frame| self.is_main_frame(frame))
        });
        if !own {
            return;
        }
        if self.state.contexts.len() >= CONTEXTS_MAX {
            self.state.contexts.pop_first();
        }
        self.state.contexts.insert(context.id, context.origin);
        self.changed = true;
    }

    fn take_report(&mut self, called: &message::BindingCalled, step: &mut Step) {
        if called.name != BINDING {
            return;
        }
        let checked = match self.state.contexts.get(&called.execution_context_id) {
            Some(origin) if !self.plan.allowed_origins.contains(origin) => Err(Refusal::Origin),
            None if self.contexts_known => Err(Refusal::Frame),
            Some(_) | None => report::check(&called.payload, &self.plan.callback_token),
        };
        step.facts.push(match checked {
            Ok(report) => Fact::Reported(report),
            Err(refusal) => Fact::ReportRefused(refusal),
        });
    }
}
