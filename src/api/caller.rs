//! Who calls, as the guard found out: an extension of the request.

use tokio_util::sync::CancellationToken;

use super::Scope;
use crate::job::WallTime;

/// Who calls; absent for those who showed no token.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What the caller may do.
    pub scope: Scope,
    /// When the right to call ends by itself.
    pub ends_at: Option<WallTime>,
    /// Cancelled when it is taken away before; none where it cannot be.
    pub revoked: Option<CancellationToken>,
}

impl Caller {
    /// Somebody whose right to call neither ends nor is taken away while the service runs.
    #[must_use]
    pub fn lasting(scope: Scope) -> Self {
        Self { scope, ends_at: None, revoked: None }
    }
}
