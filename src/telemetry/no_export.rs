//! The place of `export` in a program without the feature `otel`: there is nothing to send.

use url::Url;

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("--otlp-endpoint needs a program that was built with `--features otel`")]
pub struct ExportError;

/// Sends nothing.
pub struct Export;

impl Export {
    /// Begins nothing.
    ///
    /// # Errors
    /// When something was to be begun.
    pub fn start(endpoint: Option<&Url>) -> Result<Self, ExportError> {
        if endpoint.is_some() { Err(ExportError) } else { Ok(Self) }
    }

    /// Ends nothing.
    pub async fn end(self) {}
}
