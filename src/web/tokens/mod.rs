//! Those who may call beside the service's own token: each with a name, a scope and a token of which the hash is kept.
//!
//! ```text
//!   file.rs   the file: [[token]] name, scope, sha256 or token, expires_at
//!   edit.rs   adds and removes one, and leaves the rest of the text as it is
//!   here      what the guard asks: whose token is this? Exchanged whole when the file changes
//! ```

mod edit;
mod file;

use std::{
    collections::BTreeMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

pub use edit::{NewToken, add_token, remove_token};
pub use file::{Reader, TokenEntry, TokensError, read_tokens};

use crate::{
    api::{Caller, Scope},
    job::WallTime,
};

/// How often the use of each token is logged at most: whether it is used at all is the question, not how often.
const LOG_EVERY: Duration = Duration::from_secs(3600);

/// The hash of a token. Tokens are random, so that one round is past all guessing.
pub type TokenHash = [u8; 32];

/// The hash by which a token is known.
#[must_use]
pub fn token_hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// The tokens that hold now.
#[derive(Debug, Default)]
pub struct Tokens {
    held: RwLock<Vec<Held>>,
}

/// One token and who uses it.
#[derive(Debug)]
struct Held {
    entry: TokenEntry,
    /// Ends every stream that was begun with it.
    revoked: CancellationToken,
    /// When its use was last logged, in microseconds; 0 for never.
    logged_at: AtomicU64,
}

impl Held {
    fn of(entry: TokenEntry) -> Self {
        Self { entry, revoked: CancellationToken::new(), logged_at: AtomicU64::new(0) }
    }

    /// The token never stands in a log, its name does.
    fn note_use(&self, now: WallTime) {
        let (logged, now) = (self.logged_at.load(Ordering::Relaxed), now.micros());
        let again = logged == 0 || u128::from(now.saturating_sub(logged)) >= LOG_EVERY.as_micros();
        // Of those who come at once, one tells.
        if again && self.logged_at.compare_exchange(logged, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::info!(token = self.entry.name, scope = self.entry.scope.word(), "a token is in use");
        }
    }
}

/// What an exchange came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Exchanged {
    /// Names of tokens that hold from now on.
    pub begun: Vec<String>,
    /// Names of tokens that held, and do not any more or not so.
    pub ended: Vec<String>,
}

impl Tokens {
    /// These hold.
    #[must_use]
    pub fn new(entries: Vec<TokenEntry>) -> Self {
        Self { held: RwLock::new(entries.into_iter().map(Held::of).collect()) }
    }

    /// These hold from now on. Streams of a token that is gone, or that is another now, end.
    pub fn exchange(&self, entries: Vec<TokenEntry>) -> Exchanged {
        let mut exchanged = Exchanged::default();
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let mut before: BTreeMap<String, Held> = held.drain(..).map(|held| (held.entry.name.clone(), held)).collect();
        for entry in entries {
            match before.remove(&entry.name) {
                Some(same) if same.entry == entry => held.push(same),
                other => {
                    exchanged.begun.push(entry.name.clone());
                    held.push(Held::of(entry));
                    before.extend(other.map(|other| (other.entry.name.clone(), other)));
                }
            }
        }
        for (name, gone) in before {
            gone.revoked.cancel();
            exchanged.ended.push(name);
        }
        exchanged
    }

    /// Whose token it is; none when it is nobody's, or not any more.
    pub(super) fn find(&self, hash: &TokenHash, now: WallTime) -> Option<Caller> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        // All are compared, whichever fits: the time tells nothing of which.
        let found = held.iter().fold(None, |found, held| {
            let fits: bool = held.entry.hash.ct_eq(hash).into();
            if fits { Some(held) } else { found }
        })?;
        let TokenEntry { scope, expires_at, .. } = found.entry;
        if expires_at.is_some_and(|end| now >= end) {
            return None;
        }
        found.note_use(now);
        Some(Caller { scope, ends_at: expires_at, revoked: Some(found.revoked.clone()) })
    }
}

/// The one of the service itself, which may do everything.
pub(super) fn own_caller() -> Caller {
    Caller::lasting(Scope::Admin)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime::from_micros(1_000_000);

    fn entry(name: &str, token: &str, scope: Scope) -> TokenEntry {
        TokenEntry { name: name.to_owned(), scope, hash: token_hash(token), expires_at: None }
    }

    fn scope(tokens: &Tokens, token: &str, now: WallTime) -> Option<Scope> {
        tokens.find(&token_hash(token), now).map(|caller| caller.scope)
    }

    #[test]
    fn a_token_is_known_by_its_hash_until_it_expires() {
        let end = NOW.saturating_add(Duration::from_secs(1));
        let tokens = Tokens::new(vec![
            entry("a", "token-a", Scope::Observe),
            TokenEntry { expires_at: Some(end), ..entry("b", "token-b", Scope::Admin) },
        ]);
        assert_eq!(scope(&tokens, "token-a", end), Some(Scope::Observe));
        assert_eq!(scope(&tokens, "token-b", NOW), Some(Scope::Admin));
        assert_eq!(scope(&tokens, "token-b", end), None, "its end is past it");
        for none in ["", "a", "token-c", "token-a "] {
            assert_eq!(scope(&tokens, none, NOW), None, "{none:?}");
        }
    }

    #[test]
    fn an_exchange_ends_what_is_gone_or_changed_and_leaves_the_rest_alone() {
        let tokens = Tokens::new(vec![
            entry("kept", "1", Scope::Observe),
            entry("gone", "2", Scope::Observe),
            entry("less", "3", Scope::Admin),
            entry("rolled", "4", Scope::Operate),
        ]);
        let revoked = ["1", "2", "3", "4"].map(|token| tokens.find(&token_hash(token), NOW).unwrap().revoked.unwrap());
        let exchanged = tokens.exchange(vec![
            entry("kept", "1", Scope::Observe),
            entry("less", "3", Scope::Operate),
            entry("rolled", "5", Scope::Operate),
            entry("new", "6", Scope::Operate),
        ]);
        let words = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(exchanged.begun, words(&["less", "rolled", "new"]));
        assert_eq!(exchanged.ended, words(&["gone", "less", "rolled"]));
        assert_eq!(revoked.map(|revoked| revoked.is_cancelled()), [false, true, true, true]);
        let now = ["1", "2", "3", "4", "5", "6"].map(|token| scope(&tokens, token, NOW));
        let (observe, operate) = (Some(Scope::Observe), Some(Scope::Operate));
        assert_eq!(now, [observe, None, operate, None, operate, operate]);
    }
}
