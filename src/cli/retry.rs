//! How long a service that is away is worth another try.

use std::time::Duration;

use clap::Args;

use super::span;

/// How long a cut stream is worth another try.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct RetryFor {
    /// How long to try again when the service is away; 0 means without limit
    #[arg(long, value_name = "TIME", value_parser = span::parse, default_value = "2m")]
    pub(super) retry_for: Duration,
}
