//! The state key: signs what must survive a restart, and above all the callback tokens.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::job::TaskId;

/// The secret that is made with the store and signs what must survive a restart.
///
/// Another key makes everything void that this one signed: callback tokens of running tasks, one-time codes, and every
/// session of the page.
#[derive(Clone)]
pub struct StateKey([u8; 32]);

/// What a signature is for. No signature for one purpose is one for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The right to report on one task.
    Callback,
    /// The right to begin one session.
    SessionCode,
    /// The right to call, for as long as a session lasts.
    SessionToken,
}

impl Purpose {
    /// What is signed before the content. Each ends with the only zero byte in it, so none begins another.
    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Callback => b"callback\0",
            Self::SessionCode => b"session code\0",
            Self::SessionToken => b"session token\0",
        }
    }
}

impl StateKey {
    /// Takes 32 random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Signs content for one purpose. Compare signatures in constant time.
    #[must_use]
    pub fn mac(&self, purpose: Purpose, content: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(purpose.prefix());
        mac.update(content);
        mac.finalize().into_bytes().into()
    }

    /// The token with which a page may report on this task: base64url without padding.
    #[must_use]
    pub fn callback_token(&self, id: TaskId) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.mac(Purpose::Callback, id.uuid().as_bytes()))
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

    #[test]
    fn a_signature_is_good_for_one_purpose() {
        let key = StateKey::new([7; 32]);
        let purposes = [Purpose::Callback, Purpose::SessionCode, Purpose::SessionToken];
        let signed = purposes.map(|purpose| key.mac(purpose, b"x"));
        assert!(signed[0] != signed[1] && signed[1] != signed[2] && signed[0] != signed[2]);
    }
}
