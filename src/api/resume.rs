//! Tokens with which a call goes on where another ended: opaque to callers, valid over restarts.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::fingerprint::{FINGERPRINT_BYTES, Fingerprint};
use crate::{
    job::TaskId,
    ledger::{LedgerId, Position},
};

/// What a token is for and how it is laid out; another number may mean another layout.
const OF_ONE_JOB: u8 = 1;
/// The same, of a token that goes on with many jobs.
const OF_MANY_JOBS: u8 = 2;
/// The same, of a token for the next page of a list.
const OF_A_PAGE: u8 = 3;

/// How far a watcher of one job has come, in one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ResumeToken {
    pub(super) ledger: LedgerId,
    pub(super) task: TaskId,
    pub(super) revision: u64,
}

/// How far a watcher of many jobs has come, in one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JobsToken {
    pub(super) ledger: LedgerId,
    pub(super) filter: Fingerprint,
    pub(super) position: Position,
}

/// Where the next page of a list begins, and where the store stood when the first one did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageToken {
    pub(super) ledger: LedgerId,
    pub(super) list: Fingerprint,
    pub(super) after: TaskId,
    pub(super) begun_at: Position,
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start<At> {
    /// With a snapshot, because there is no token.
    Fresh,
    /// After the place that a token names.
    After(At),
    /// With a snapshot, because the token is of another store.
    Reset,
}

/// The text is not a token that this service gave for such a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a resume token of this service; give one from a message of an earlier stream of this job, or none")]
pub(super) struct NotAToken;

impl ResumeToken {
    pub(super) fn to_text(self) -> String {
        let revision = self.revision.to_be_bytes();
        write(OF_ONE_JOB, &[&self.ledger.bytes(), self.task.uuid().as_bytes(), &revision])
    }

    pub(super) fn parse(text: &str) -> Result<Self, NotAToken> {
        Self::read(text).ok_or(NotAToken)
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = Parts::of(text, OF_ONE_JOB)?;
        let token = Self { ledger: parts.ledger()?, task: parts.task()?, revision: parts.number()? };
        parts.end(token)
    }
}

impl JobsToken {
    pub(super) fn to_text(self) -> String {
        let position = self.position.number().to_be_bytes();
        write(OF_MANY_JOBS, &[&self.ledger.bytes(), &self.filter.0, &position])
    }

    /// None for any other text.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = Parts::of(text, OF_MANY_JOBS)?;
        let token =
            Self { ledger: parts.ledger()?, filter: parts.fingerprint()?, position: Position::new(parts.number()?) };
        parts.end(token)
    }
}

impl PageToken {
    pub(super) fn to_text(self) -> String {
        let begun_at = self.begun_at.number().to_be_bytes();
        write(OF_A_PAGE, &[&self.ledger.bytes(), &self.list.0, self.after.uuid().as_bytes(), &begun_at])
    }

    /// None for any other text.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = Parts::of(text, OF_A_PAGE)?;
        let token = Self {
            ledger: parts.ledger()?,
            list: parts.fingerprint()?,
            after: parts.task()?,
            begun_at: Position::new(parts.number()?),
        };
        parts.end(token)
    }
}

fn write(kind: u8, parts: &[&[u8]]) -> String {
    let mut bytes = vec![kind];
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a token, taken part by part.
struct Parts {
    bytes: Vec<u8>,
    at: usize,
}

impl Parts {
    fn of(text: &str, kind: u8) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.first() == Some(&kind)).then_some(Self { bytes, at: 1 })
    }

    fn take<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let part = *self.bytes.get(self.at..)?.first_chunk()?;
        self.at += LENGTH;
        Some(part)
    }

    fn ledger(&mut self) -> Option<LedgerId> {
        self.take().map(LedgerId::new)
    }

    fn task(&mut self) -> Option<TaskId> {
        self.take().map(uuid::Uuid::from_bytes).map(TaskId::new)
    }

    fn fingerprint(&mut self) -> Option<Fingerprint> {
        self.take::<FINGERPRINT_BYTES>().map(Fingerprint)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    /// The token, if nothing is left over.
    fn end<T>(self, token: T) -> Option<T> {
        (self.at == self.bytes.len()).then_some(token)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const LEDGER: LedgerId = LedgerId::new([3; 16]);
    const PRINT: Fingerprint = Fingerprint([7; FINGERPRINT_BYTES]);

    fn task() -> TaskId {
        TaskId::new(Uuid::from_u128(5))
    }

    #[test]
    fn a_token_reads_back_and_anything_else_is_refused() {
        let token = ResumeToken { ledger: LEDGER, task: task(), revision: 9 };
        let text = token.to_text();
        assert_eq!(ResumeToken::parse(&text), Ok(token));
        for wrong in ["", "x", &text[1..], &format!("{text}A"), &text.replacen("AQ", "Ag", 1)] {
            assert_eq!(ResumeToken::parse(wrong), Err(NotAToken), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_good_for_its_own_call_only() {
        let one = ResumeToken { ledger: LEDGER, task: task(), revision: 9 };
        let many = JobsToken { ledger: LEDGER, filter: PRINT, position: Position::new(9) };
        let page = PageToken { ledger: LEDGER, list: PRINT, after: task(), begun_at: Position::new(9) };
        let texts = [one.to_text(), many.to_text(), page.to_text()];
        assert_eq!(texts.each_ref().map(|text| ResumeToken::read(text)), [Some(one), None, None]);
        assert_eq!(texts.each_ref().map(|text| JobsToken::read(text)), [None, Some(many), None]);
        assert_eq!(texts.each_ref().map(|text| PageToken::read(text)), [None, None, Some(page)]);
        for text in texts {
            for wrong in [&text[..text.len() - 2], &format!("{text}AA"), &format!("{text}=")] {
                assert!(JobsToken::read(wrong).is_none() && PageToken::read(wrong).is_none(), "{wrong}");
            }
        }
    }
}
