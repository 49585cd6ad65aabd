//! The id of a request: on its answer, in the details of its refusal, and in every log line about it.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that carries it, both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken over: a UUID, a trace id and what proxies make of them come to half of it.
const CHARS_MAX: usize = 64;

/// The id of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The caller's own, if it is one that a log line can hold; else a new one.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut given = headers.get_all(REQUEST_ID).iter();
        match (given.next(), given.next()) {
            (Some(id), None) if is_valid(id) => Self(id.clone()),
            (_, _) => Self::new(),
        }
    }

    /// One that nobody had before.
    #[must_use]
    pub fn new() -> Self {
        let id = Uuid::now_v7().hyphenated().to_string();
        Self(HeaderValue::try_from(id).expect("digits and hyphens make a header"))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("it is made of visible ASCII alone")
    }

    /// For the answer.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Letters, digits and what joins them in ids: nothing that a log, a header or a shell reads as more than text.
fn is_valid(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=CHARS_MAX).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:+/=".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &[&str]) -> String {
        let ids = ids.iter().map(|id| (REQUEST_ID, HeaderValue::from_bytes(id.as_bytes()).unwrap()));
        RequestId::of(&ids.collect()).to_string()
    }

    #[test]
    fn a_callers_own_id_is_taken_over_when_it_is_one() {
        for id in ["a", "0198f2a0-7c1e-7000-8000-000000000001", "Root=1-67891233-abcdef", &"x".repeat(64)] {
            assert_eq!(of(&[id]), id);
        }
        for ids in [&["a", "a"][..], &[""], &[&"x".repeat(65)], &["a b"], &["a\"b"], &["\u{e9}"], &["a,b"], &[]] {
            let made: Uuid = of(ids).parse().unwrap_or_else(|error| panic!("{ids:?}: {error}"));
            assert_eq!(made.get_version_num(), 7);
        }
        assert_ne!(of(&[]), of(&[]));
    }
}
