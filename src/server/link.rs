//! Links that open the page: its address, and a code that buys one session.

use std::{path::Path, time::SystemTime};

use super::state_dir::{Endpoint, StateDirError, read_endpoint, read_key};
use crate::{
    api::Scope,
    runner::StateKey,
    web::{self, Nonce},
};

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A link is for a service that runs.
    #[error("no service runs on {0}; `comet-task-runner serve` starts one, and prints a link too")]
    NotRunning(String),
    /// The state directory is another's, or broken.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
}

/// Makes a link to a session of that scope for the service that runs on a state directory. It is good for ten minutes,
/// and once.
///
/// # Errors
/// When no service runs there, or the directory cannot be read.
pub fn link(state_dir: &Path, scope: Scope) -> Result<String, LinkError> {
    let Some(Endpoint { page, .. }) = read_endpoint(state_dir)? else {
        return Err(LinkError::NotRunning(state_dir.display().to_string()));
    };
    Ok(page_link(&page, &read_key(state_dir)?, scope))
}

/// The code stands in the fragment, which browsers send to nobody.
pub(super) fn page_link(page: &str, key: &StateKey, scope: Scope) -> String {
    let mut nonce = Nonce::default();
    getrandom::fill(&mut nonce).expect("the system gives random bytes, as it did for the keys");
    format!("{page}/#code={}", web::code(key, scope, nonce, SystemTime::now().into()))
}
