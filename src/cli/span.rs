//! Durations: as arguments, and on the wire.

use std::time::Duration;

use crate::config::span;

/// Reads a duration with its unit; a bare `0` needs none.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    span::parse(text)
}

/// The same on the wire.
pub(super) fn to_proto(span: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(span).ok()
}
