//! One task's share of a browser: its context, its connection, and what lies in them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::browser::cdp::message::{self, TargetInfo};

/// Most pages, and most sessions, that are told apart in one context: a task has one, and some popups. What comes
/// beyond is let go and nobody's, as it would be without anybody listening.
const PAGES_MAX: usize = 256;

/// One task's share.
pub(super) enum Share {
    /// Both halves were asked for.
    Asked { context: Option<String>, root: Option<String>, unwanted: bool },
    /// Its context is there.
    Open(Open),
    /// Its context is being ended; once stock was taken, what is left is known.
    Ending { open: Open, stock_taken: bool },
}

/// A context and what lies in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) context: String,
    /// The task's own connection to the browser as a whole.
    pub(super) root: String,
    sessions: BTreeSet<String>,
    targets: BTreeSet<String>,
}

/// What an event of the browser as a whole means.
#[derive(Default)]
pub(super) struct RootEvent {
    /// It is about the task's own context.
    pub(super) own: bool,
    pub(super) changed: bool,
    /// A session of a page that is no business of this task.
    pub(super) let_run: Option<String>,
    /// A request for a document that is none.
    pub(super) let_load: Option<String>,
}

impl Share {
    pub(super) fn asked() -> Self {
        Self::Asked { context: None, root: None, unwanted: false }
    }

    pub(super) fn open(&self) -> Option<&Open> {
        match self {
            Self::Asked { .. } => None,
            Self::Open(open) | Self::Ending { open, .. } => Some(open),
        }
    }

    pub(super) fn open_mut(&mut self) -> Option<&mut Open> {
        match self {
            Self::Asked { .. } => None,
            Self::Open(open) | Self::Ending { open, .. } => Some(open),
        }
    }

    pub(super) fn has_context(&mut self, given: Option<String>) {
        if let Self::Asked { context, .. } = self {
            *context = given;
        }
    }

    pub(super) fn has_root(&mut self, given: Option<String>) {
        if let Self::Asked { root, .. } = self {
            *root = given;
        }
    }

    /// The context of a share that did not come to be.
    pub(super) fn context_alone(&self) -> Option<String> {
        match self {
            Self::Asked { context, .. } => context.clone(),
            Self::Open(_) | Self::Ending { .. } => None,
        }
    }

    /// Opens once both halves are there; says whether nobody wants it any more.
    pub(super) fn open_if_complete(&mut self) -> Option<bool> {
        let Self::Asked { context, root, unwanted } = self else { return None };
        let (Some(context), Some(root)) = (context.clone(), root.clone()) else { return None };
        let unwanted = *unwanted;
        *self = Self::Open(Open { context, root, sessions: BTreeSet::new(), targets: BTreeSet::new() });
        Some(unwanted)
    }

    /// Begins to end, and names the context; none when it is not open.
    pub(super) fn begin_to_end(&mut self) -> Option<String> {
        let Self::Open(open) = self else { return None };
        let (open, context) = (open.clone(), open.context.clone());
        *self = Self::Ending { open, stock_taken: false };
        Some(context)
    }

    /// What is left of its pages by the browser's word, after its context was ended.
    pub(super) fn take_stock(&mut self, pages: &[TargetInfo]) {
        if let Self::Ending { open, stock_taken } = self {
            let left = pages.iter().filter(|page| open.is_own(page));
            open.targets = left.map(|page| page.target_id.clone()).collect();
            *stock_taken = true;
        }
    }

    /// The connection of a share whose context is gone with every page in it.
    pub(super) fn gone(&self) -> Option<String> {
        match self {
            Self::Ending { open, stock_taken: true } if open.targets.is_empty() => Some(open.root.clone()),
            Self::Asked { .. } | Self::Open(_) | Self::Ending { .. } => None,
        }
    }
}

impl Open {
    pub(super) fn hears(&self, session: &str) -> bool {
        self.root == session || self.sessions.contains(session)
    }

    /// An event of the task's connection to the browser as a whole, which speaks of all contexts.
    pub(super) fn take_root_event(&mut self, method: &str, message: &[u8]) -> RootEvent {
        match method {
            "Target.attachedToTarget" => {
                message::params(message).map_or_else(RootEvent::default, |it| self.attached(it))
            }
            "Target.detachedFromTarget" => {
                message::params::<message::Detached>(message).map_or_else(RootEvent::default, |it| {
                    let own = self.sessions.remove(&it.session_id);
                    RootEvent { own, changed: own, ..RootEvent::default() }
                })
            }
            "Target.targetCreated" | "Target.targetInfoChanged" => message::params::<message::InfoChanged>(message)
                .map_or_else(RootEvent::default, |it| {
                    let own = self.is_own(&it.target_info);
                    let changed = own && self.knows_now(&it.target_info);
                    RootEvent { own, changed, ..RootEvent::default() }
                }),
            "Target.targetDestroyed" => {
                message::params::<message::Destroyed>(message).map_or_else(RootEvent::default, |it| {
                    let own = self.targets.remove(&it.target_id);
                    RootEvent { own, changed: own, ..RootEvent::default() }
                })
            }
            "Target.targetCrashed" => {
                message::params::<message::Crashed>(message).map_or_else(RootEvent::default, |it| RootEvent {
                    own: self.targets.contains(&it.target_id),
                    ..RootEvent::default()
                })
            }
            "Fetch.requestPaused" => message::params(message).map_or_else(RootEvent::default, |it| self.paused(it)),
            _ => RootEvent { own: true, ..RootEvent::default() },
        }
    }

    fn attached(&mut self, attached: message::Attached) -> RootEvent {
        if self.is_own(&attached.target_info) && self.sessions.len() < PAGES_MAX {
            let is_new = self.sessions.insert(attached.session_id);
            let changed = self.knows_now(&attached.target_info) || is_new;
            return RootEvent { own: true, changed, ..RootEvent::default() };
        }
        // Whether or not it says that it waits, as one that does not say so can stop its opener.
        RootEvent { let_run: Some(attached.session_id), ..RootEvent::default() }
    }

    /// The frame of a page's own document has the page's id.
    fn paused(&self, paused: message::Paused) -> RootEvent {
        if paused.frame_id.is_some_and(|frame| self.targets.contains(&frame)) {
            RootEvent { own: true, ..RootEvent::default() }
        } else {
            RootEvent { let_load: Some(paused.request_id), ..RootEvent::default() }
        }
    }

    fn is_own(&self, page: &TargetInfo) -> bool {
        page.browser_context_id.as_deref() == Some(self.context.as_str())
    }

    fn knows_now(&mut self, page: &TargetInfo) -> bool {
        self.targets.len() < PAGES_MAX && self.targets.insert(page.target_id.clone())
    }
}
