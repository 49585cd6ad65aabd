//! What becomes of a request that the guard refuses: an answer that names the remedy, a count, and now and then a word
//! in the log.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::StatusCode;

use super::guard::Why;
use crate::api::{Refusal, Scope, TOKEN_MISSING};

/// How often each reason is logged at most: a flood of refusals is one line a minute, with their number.
const LOG_EVERY: Duration = Duration::from_secs(60);
/// Characters of a refused path that are logged: more than any of ours has.
const PATH_LOGGED: usize = 100;

/// Every reason.
const REASONS: [Why; 12] = [
    Why::HeadersTooLong,
    Why::ForeignHost,
    Why::UnknownPath,
    Why::WrongMethod,
    Why::ForeignOrigin,
    Why::WrongContentType,
    Why::WrongVersion,
    Why::TokenMissing,
    Why::TokenInvalid,
    Why::ScopeInsufficient(Scope::Observe),
    Why::ScopeInsufficient(Scope::Operate),
    Why::ScopeInsufficient(Scope::Admin),
];

impl Why {
    /// Its name among the metrics and in the log.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::HeadersTooLong => "headers",
            Self::ForeignHost => "host",
            Self::UnknownPath => "path",
            Self::WrongMethod => "method",
            Self::ForeignOrigin => "origin",
            Self::WrongContentType => "content_type",
            Self::WrongVersion => "http_version",
            Self::TokenMissing => "token_missing",
            Self::TokenInvalid => "token_invalid",
            Self::ScopeInsufficient(_) => "scope",
        }
    }

    /// What its caller is told.
    pub(super) const fn refusal(self) -> Refusal {
        let (status, reason, message) = match self {
            Self::HeadersTooLong => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "HEADERS_TOO_LONG",
                "the request's headers come to more than 16 KiB",
            ),
            Self::ForeignHost => (
                StatusCode::MISDIRECTED_REQUEST,
                "HOST_NOT_ALLOWED",
                "this service answers only to localhost, to the address it listens on, each with its port, and to names given by --host",
            ),
            Self::UnknownPath => (StatusCode::NOT_FOUND, "PATH_UNKNOWN", "there is nothing at this path"),
            Self::WrongMethod => (
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "this path takes another method; calls are POSTed, the page is read by GET",
            ),
            Self::ForeignOrigin => {
                (StatusCode::FORBIDDEN, "ORIGIN_NOT_ALLOWED", "pages of other origins have no business here")
            }
            Self::WrongContentType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "CONTENT_TYPE_NOT_ALLOWED",
                "content-type is to be application/json, or application/grpc over HTTP/2; try curl --json, or grpcurl -plaintext",
            ),
            Self::WrongVersion => (
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "HTTP_VERSION_NOT_SUPPORTED",
                "gRPC needs HTTP/2: use prior knowledge (h2c), or TLS",
            ),
            Self::TokenMissing => (StatusCode::UNAUTHORIZED, "TOKEN_MISSING", TOKEN_MISSING),
            Self::TokenInvalid => (
                StatusCode::UNAUTHORIZED,
                "TOKEN_INVALID",
                "the token is not this service's, or its session has ended; `comet-task-runner token` prints the API token, and `comet-task-runner token --link` opens the page",
            ),
            Self::ScopeInsufficient(needed) => (StatusCode::FORBIDDEN, "SCOPE_INSUFFICIENT", needed.wanted()),
        };
        Refusal { status, reason, message }
    }
}

/// What was refused lately: one entry for each reason, however many requests come.
#[derive(Default)]
pub(super) struct Refusals {
    logged: Mutex<[Logged; REASONS.len()]>,
}

/// When a reason was last logged, and how often it came since without being.
#[derive(Clone, Copy, Default)]
struct Logged {
    at: Option<Instant>,
    since: u64,
}

impl Refusals {
    /// Counts a refusal, and logs it if its reason was not logged lately. The path only: the rest of a request can hold
    /// tokens.
    pub(super) fn note(&self, why: Why, path: &str, now: Instant) {
        metrics::counter!("comet_task_runner_refused_total", "reason" => why.name()).increment(1);
        let path: String = path.chars().take(PATH_LOGGED).collect();
        match self.is_news(why, now) {
            Some(not_logged) => tracing::warn!(reason = why.name(), path, not_logged, "refused a request"),
            // A caller with a token is no flood, and may ask what became of its request.
            None if matches!(why, Why::ScopeInsufficient(_)) => {
                tracing::info!(reason = why.name(), path, "refused a request");
            }
            None => tracing::debug!(reason = why.name(), path, "refused a request"),
        }
    }

    /// How many of this reason were not logged since the last one that was, if this one is to be.
    fn is_news(&self, why: Why, now: Instant) -> Option<u64> {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = REASONS.iter().position(|reason| *reason == why).map(|at| &mut logged[at])?;
        if entry.at.is_some_and(|at| now.saturating_duration_since(at) < LOG_EVERY) {
            entry.since += 1;
            return None;
        }
        let since = entry.since;
        *entry = Logged { at: Some(now), since: 0 };
        Some(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_minute_for_each_reason() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        for why in REASONS {
            assert_eq!(refusals.is_news(why, start), Some(0), "{why:?} is its own");
        }
        for _ in 0..1000 {
            assert_eq!(refusals.is_news(Why::ForeignHost, start + LOG_EVERY / 2), None);
        }
        assert_eq!(refusals.is_news(Why::ForeignHost, start + LOG_EVERY), Some(1000));
        assert_eq!(refusals.is_news(Why::TokenMissing, start + LOG_EVERY), Some(0));
    }
}
