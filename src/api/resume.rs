//! Resume tokens: opaque to callers, valid over restarts.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::{job::TaskId, ledger::LedgerId};

/// The layout of a token; another number may mean another layout.
const VERSION: u8 = 1;
/// Version, ledger id, task id, revision.
const BYTES: usize = 1 + 16 + 16 + 8;

/// How far a watcher of one job has come, in one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ResumeToken {
    pub(super) ledger: LedgerId,
    pub(super) task: TaskId,
    pub(super) revision: u64,
}

/// The text is not a token that this service gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a resume token of this service; give one from a message of an earlier stream of this job, or none")]
pub(super) struct NotAToken;

impl ResumeToken {
    pub(super) fn to_text(self) -> String {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.ledger.bytes());
        bytes.extend_from_slice(self.task.uuid().as_bytes());
        bytes.extend_from_slice(&self.revision.to_be_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(super) fn parse(text: &str) -> Result<Self, NotAToken> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAToken)?;
        let bytes: [u8; BYTES] = bytes.try_into().map_err(|_| NotAToken)?;
        let (version, rest) = bytes.split_first().ok_or(NotAToken)?;
        let (ledger, rest) = rest.split_first_chunk::<16>().ok_or(NotAToken)?;
        let (task, revision) = rest.split_first_chunk::<16>().ok_or(NotAToken)?;
        let revision = revision.try_into().map_err(|_| NotAToken)?;
        if *version != VERSION {
            return Err(NotAToken);
        }
        Ok(Self {
            ledger: LedgerId::new(*ledger),
            task: TaskId::new(uuid::Uuid::from_bytes(*task)),
            revision: u64::from_be_bytes(revision),
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_token_reads_back_and_anything_else_is_refused() {
        let token = ResumeToken { ledger: LedgerId::new([3; 16]), task: TaskId::new(Uuid::from_u128(5)), revision: 9 };
        let text = token.to_text();
        assert_eq!(ResumeToken::parse(&text), Ok(token));
        for wrong in ["", "x", &text[1..], &format!("{text}A"), &text.replacen("AQ", "Ag", 1)] {
            assert_eq!(ResumeToken::parse(wrong), Err(NotAToken), "{wrong}");
        }
    }
}
