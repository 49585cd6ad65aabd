//! Sessions of the page: a one-time code buys a token that lasts a month, and neither is stored.
//!
//! ```text
//! code  = issued at (8 bytes) scope (1) nonce (12) mac (16)   once, within ten minutes, at the service it was made for
//! token = ends at   (8 bytes) scope (1) nonce (12) mac (32)   until its end, restarts or not
//! ```
//!
//! Both are signed with the state key, so another key ends every session. Times are the wall clock's, since they must
//! mean the same after a restart; they come in as arguments.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;

use crate::{
    api::{Caller, Scope},
    job::WallTime,
    runner::{Purpose, StateKey},
};

/// How long a code may be used: the time to copy a link from a terminal, and to answer the telephone first.
pub const CODE_LIFE: Duration = Duration::from_secs(10 * 60);
/// How long a session lasts: a page that is opened once a month never asks again.
pub const SESSION_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Codes that are remembered as used. Only who holds the state key can make more; when it is full, a code is refused
/// until an older one expires.
const USED_MAX: usize = 4096;

/// Keeps two codes of one millisecond apart.
const NONCE_BYTES: usize = 12;
/// What is signed: a time, a scope and the nonce.
const CLAIM_BYTES: usize = 8 + 1 + NONCE_BYTES;
/// A code's signature is cut to 128 bits, past all guessing in ten minutes: links stay short.
const CODE_MAC_BYTES: usize = 16;
/// A token's signature is whole.
const TOKEN_MAC_BYTES: usize = 32;

/// A time, a scope and a nonce.
type Claim = [u8; CLAIM_BYTES];
/// A nonce, random for every code and token.
pub type Nonce = [u8; NONCE_BYTES];

/// Why a code begins no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeError {
    /// It is none of this service's.
    Invalid,
    /// It was used.
    Used,
    /// It is too old, or was made for an earlier run of the service.
    Expired,
    /// Too many were used within the last minutes.
    TooMany,
}

/// A session that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its token.
    pub token: String,
    /// When it ends.
    pub ends_at: WallTime,
}

/// Gives out sessions and knows them again.
pub struct Sessions {
    key: StateKey,
    /// Codes from before are void: which of them were used is forgotten.
    since: WallTime,
    /// Each with when it may be forgotten.
    used: Mutex<HashMap<Claim, WallTime>>,
}

impl Sessions {
    /// From the start of the service on.
    #[must_use]
    pub fn new(key: StateKey, now: WallTime) -> Self {
        Self { key, since: now, used: Mutex::default() }
    }

    /// Ends a code and begins a session.
    ///
    /// # Errors
    /// When the code is not good, or no longer.
    pub fn begin(&self, code: &str, nonce: Nonce, now: WallTime) -> Result<Session, CodeError> {
        let claim: Claim = opened(&self.key, Purpose::SessionCode, code, CODE_MAC_BYTES).ok_or(CodeError::Invalid)?;
        let (issued, scope) = read(&claim).ok_or(CodeError::Invalid)?;
        let void_at = issued.saturating_add(CODE_LIFE);
        // One from the future could be used again after a restart with a clock set back.
        if issued < self.since || issued > now || now >= void_at {
            return Err(CodeError::Expired);
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, void_at| *void_at > now);
        if used.contains_key(&claim) {
            return Err(CodeError::Used);
        }
        if used.len() >= USED_MAX {
            return Err(CodeError::TooMany);
        }
        used.insert(claim, void_at);
        let ends_at = now.saturating_add(SESSION_LIFE);
        let token = signed(&self.key, Purpose::SessionToken, &claimed(ends_at, scope, nonce), TOKEN_MAC_BYTES);
        Ok(Session { token, ends_at })
    }

    /// Whose session a token is of; none when it is no token of one, or the session has ended.
    #[must_use]
    pub fn find(&self, token: &str, now: WallTime) -> Option<Caller> {
        let claim: Claim = opened(&self.key, Purpose::SessionToken, token, TOKEN_MAC_BYTES)?;
        let (ends_at, scope) = read(&claim)?;
        (now < ends_at).then_some(Caller { scope, ends_at: Some(ends_at), revoked: None })
    }
}

/// Makes a code that begins one session of that scope at the service that runs at `now`.
#[must_use]
pub fn code(key: &StateKey, scope: Scope, nonce: Nonce, now: WallTime) -> String {
    signed(key, Purpose::SessionCode, &claimed(now, scope, nonce), CODE_MAC_BYTES)
}

fn claimed(time: WallTime, scope: Scope, nonce: Nonce) -> Claim {
    let mut claim = [0; CLAIM_BYTES];
    claim[..8].copy_from_slice(&time.micros().to_be_bytes());
    claim[8] = byte(scope);
    claim[9..].copy_from_slice(&nonce);
    claim
}

/// What a claim says; none when it names no scope that this program knows.
fn read(claim: &Claim) -> Option<(WallTime, Scope)> {
    let (time, rest) = claim.split_first_chunk::<8>().expect("a claim begins with a time");
    let scope = Scope::ALL.into_iter().find(|scope| byte(*scope) == rest[0])?;
    Some((WallTime::from_micros(u64::from_be_bytes(*time)), scope))
}

/// A scope as it is signed. The numbers outlive the program: none may come to mean another scope.
const fn byte(scope: Scope) -> u8 {
    match scope {
        Scope::Observe => 1,
        Scope::Operate => 2,
        Scope::Admin => 3,
    }
}

fn signed(key: &StateKey, purpose: Purpose, claim: &Claim, mac_bytes: usize) -> String {
    BASE64_URL_SAFE_NO_PAD.encode([claim.as_slice(), &key.mac(purpose, claim)[..mac_bytes]].concat())
}

/// The claim of what this key signed for this purpose; none of anything else.
fn opened(key: &StateKey, purpose: Purpose, text: &str, mac_bytes: usize) -> Option<Claim> {
    // A longer one is not even decoded.
    let length = (CLAIM_BYTES + mac_bytes).div_ceil(3) * 4;
    let bytes = (text.len() <= length).then(|| BASE64_URL_SAFE_NO_PAD.decode(text).ok()).flatten()?;
    let (claim, mac) = bytes.split_first_chunk::<CLAIM_BYTES>()?;
    let right: bool = key.mac(purpose, claim)[..mac_bytes].ct_eq(mac).into();
    right.then_some(*claim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: Nonce = [3; NONCE_BYTES];
    const SCOPE: Scope = Scope::Operate;
    const START: WallTime = WallTime::from_micros(1_000_000);
    const TICK: Duration = Duration::from_micros(1);

    fn before(time: WallTime) -> WallTime {
        WallTime::from_micros(time.micros() - 1)
    }

    fn after(time: WallTime) -> WallTime {
        time.saturating_add(TICK)
    }

    fn key() -> StateKey {
        StateKey::new([7; 32])
    }

    fn sessions() -> Sessions {
        Sessions::new(key(), START)
    }

    #[test]
    fn a_code_begins_one_session_that_ends_after_a_month() {
        let sessions = sessions();
        let code = code(&key(), SCOPE, NONCE, START);
        let session = sessions.begin(&code, NONCE, after(START)).unwrap();
        assert_eq!(session.ends_at, after(START).saturating_add(SESSION_LIFE));
        assert!(sessions.finds(&session.token, after(START)));
        assert!(sessions.finds(&session.token, before(session.ends_at)));
        assert!(!sessions.finds(&session.token, session.ends_at));
        assert_eq!(sessions.begin(&code, NONCE, after(START)), Err(CodeError::Used));
    }

    impl Sessions {
        fn finds(&self, token: &str, now: WallTime) -> bool {
            self.find(token, now).is_some()
        }
    }

    #[test]
    fn a_session_has_the_scope_of_its_code() {
        for scope in Scope::ALL {
            let session = sessions().begin(&code(&key(), scope, NONCE, START), NONCE, START).unwrap();
            let caller = sessions().find(&session.token, START).unwrap();
            assert_eq!((caller.scope, caller.ends_at), (scope, Some(session.ends_at)));
        }
        let mut claim = claimed(START, Scope::Admin, NONCE);
        claim[8] = 4;
        assert!(read(&claim).is_none(), "a scope of a later program");
    }

    #[test]
    fn a_session_outlives_the_service_and_no_other_key() {
        let session = sessions().begin(&code(&key(), SCOPE, NONCE, START), NONCE, START).unwrap();
        assert!(Sessions::new(key(), after(START)).finds(&session.token, after(START)));
        assert!(!Sessions::new(StateKey::new([8; 32]), START).finds(&session.token, START));
    }

    #[test]
    fn an_old_code_is_void_and_so_is_one_from_before_the_service_or_from_the_future() {
        let void = START.saturating_add(CODE_LIFE);
        let begin = |issued, now| sessions().begin(&code(&key(), SCOPE, NONCE, issued), NONCE, now);
        assert!(begin(START, before(void)).is_ok());
        assert_eq!(begin(START, void), Err(CodeError::Expired));
        assert_eq!(begin(before(START), START), Err(CodeError::Expired));
        assert_eq!(begin(after(START), START), Err(CodeError::Expired));
        assert_eq!(begin(WallTime::from_micros(u64::MAX), START), Err(CodeError::Expired));
    }

    #[test]
    fn neither_a_changed_code_nor_a_token_of_another_purpose_is_one() {
        let sessions = sessions();
        let code = code(&key(), SCOPE, NONCE, START);
        let token = sessions.begin(&code, NONCE, START).unwrap().token;
        for at in 0..code.len() {
            let mut changed = code.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(sessions.begin(&changed, NONCE, START), Err(CodeError::Invalid), "{changed}");
        }
        for other in ["", "=", &token, &code[1..], &format!("{code}A"), &"A".repeat(100_000)] {
            assert_eq!(sessions.begin(other, NONCE, START), Err(CodeError::Invalid), "{other}");
        }
        assert!(!sessions.finds(&code, START));
        let callback = key().callback_token(crate::job::TaskId::new(uuid::Uuid::from_u128(1)));
        assert!(!sessions.finds(&callback, START));
    }

    #[test]
    fn used_codes_are_forgotten_when_they_are_void_and_bounded_until_then() {
        let sessions = sessions();
        let nonce = |number: usize| {
            let mut nonce = NONCE;
            nonce[..8].copy_from_slice(&number.to_be_bytes());
            nonce
        };
        for number in 0..USED_MAX {
            sessions.begin(&code(&key(), SCOPE, nonce(number), START), NONCE, START).unwrap();
        }
        let more = |now| sessions.begin(&code(&key(), SCOPE, nonce(USED_MAX), now), NONCE, now);
        assert_eq!(more(START), Err(CodeError::TooMany));
        assert!(more(START.saturating_add(CODE_LIFE)).is_ok());
        assert_eq!(sessions.used.lock().unwrap().len(), 1);
    }
}
