//! What a caller asks for, before this host's choices fill it in.

use std::{collections::BTreeMap, time::Duration};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    browser::name::{NameError, check_name},
    job::{AfterFinish, CallbackDelivery, Completion, DialogPolicy, Isolation, Need, Profile, TaskUrl, Tier, Timeouts},
};

/// A checked request to open a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What to open.
    pub url: TaskUrl,
    /// The caller's key for this request.
    pub request_id: Option<Uuid>,
    /// A browser by name; none for the first one.
    pub browser: Option<String>,
    /// With a window or without.
    pub mode: Mode,
    /// Whose logins.
    pub profile: Profile,
    /// Which facts end the task.
    pub completion: Completion,
    /// An HTTP status of 400 and above is a failure.
    pub fail_on_http_error: bool,
    /// Origins whose pages may report; empty for the URL's own.
    pub callback_origins: Vec<String>,
    /// How the page learns how to report; none for the default of the tier.
    pub callback_delivery: Option<CallbackDelivery>,
    /// The five timeouts.
    pub timeouts: Timeouts,
    /// Each field asked for that not every tier can honour, and what it takes.
    pub needs: Vec<Need>,
    /// How long the browser may take to leave by itself.
    pub grace: Duration,
    /// What becomes of the browser; none for the default of the mode.
    pub after_finish: Option<AfterFinish>,
    /// How long the job is kept after its end.
    pub retention: Duration,
    /// The caller's own marks.
    pub labels: BTreeMap<String, String>,
    /// What is to be asked of the browser; none for the most that it can.
    pub tier: Option<Tier>,
    /// What the task shares with others.
    pub isolation: Isolation,
    /// Among those that wait, a higher one goes first.
    pub priority: i8,
    /// What becomes of the dialogs of its pages; none for the default of the mode.
    pub dialogs: Option<DialogPolicy>,
    /// The page's end ends the task only once the pages that it opened are closed as well.
    pub wait_for_popups: bool,
}

/// Where a caller stands in a trace of its own, in the words of W3C's headers; empty for nowhere. It is no part of what
/// is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerTrace {
    /// `traceparent`.
    pub parent: String,
    /// `tracestate`.
    pub state: String,
}

/// The profile that is kept under this name.
///
/// # Errors
/// Names the rule that the name breaks.
pub fn profile(name: &str) -> Result<Profile, NameError> {
    check_name(name)?;
    Ok(Profile::Named(name.to_owned()))
}

/// With a window or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// With a window when there is a display.
    Auto,
    /// With a window.
    Headed,
    /// Without.
    Headless,
}

impl Order {
    /// The same for two orders that ask for the same, whatever their request ids.
    #[must_use]
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        // The debug form names every field, so a field added later cannot be forgotten here.
        let asked = Self { request_id: None, ..self.clone() };
        Sha256::digest(format!("{asked:?}").as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(url: &str, request_id: Option<Uuid>) -> Order {
        Order {
            url: TaskUrl::parse(url).unwrap(),
            request_id,
            browser: None,
            mode: Mode::Auto,
            profile: Profile::Ephemeral,
            completion: Completion::Any,
            fail_on_http_error: false,
            callback_origins: Vec::new(),
            callback_delivery: None,
            timeouts: Timeouts { queue: None, launch: None, navigation: None, run: None, idle: None },
            needs: Vec::new(),
            grace: Duration::from_secs(5),
            after_finish: None,
            retention: Duration::from_secs(60),
            labels: BTreeMap::new(),
            tier: None,
            isolation: Isolation::Process,
            priority: 0,
            dialogs: None,
            wait_for_popups: false,
        }
    }

    #[test]
    fn the_fingerprint_ignores_the_request_id_and_nothing_else() {
        let plain = order("http://a/", None);
        assert_eq!(plain.fingerprint(), order("http://a/", Some(Uuid::from_u128(7))).fingerprint());
        assert_ne!(plain.fingerprint(), order("http://b/", None).fingerprint());
        let labelled = Order { labels: BTreeMap::from([("k".to_owned(), "v".to_owned())]), ..order("http://a/", None) };
        assert_ne!(plain.fingerprint(), labelled.fingerprint());
    }
}
