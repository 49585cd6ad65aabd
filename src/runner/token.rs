//! Callback tokens: the right to report on one task, computed instead of stored.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::job::TaskId;

/// The secret that is made with the store and signs what must survive a restart.
#[derive(Clone)]
pub struct StateKey([u8; 32]);

impl StateKey {
    /// Takes 32 random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The token with which a page may report on this task: base64url without padding.
    #[must_use]
    pub fn callback_token(&self, id: TaskId) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        // The purpose comes first, so that no other use of the key can yield the same bytes.
        mac.update(b"callback\0");
        mac.update(id.uuid().as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }

    /// Compares a caller's token in constant time.
    #[must_use]
    pub fn accepts_callback(&self, id: TaskId, token: &str) -> bool {
        self.callback_token(id).as_bytes().ct_eq(token.as_bytes()).into()
    }
}

impl std::fmt::Debug for StateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StateKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_token_opens_its_own_task_and_no_other() {
        let key = StateKey::new([7; 32]);
        let (mine, other) = (TaskId::new(Uuid::from_u128(1)), TaskId::new(Uuid::from_u128(2)));
        let token = key.callback_token(mine);
        assert!(key.accepts_callback(mine, &token));
        assert!(!key.accepts_callback(other, &token));
        assert!(!key.accepts_callback(mine, ""));
        assert!(!StateKey::new([8; 32]).accepts_callback(mine, &token));
    }
}
