//! Reads a task's log over cut streams and restarts of the service: every entry once.

use super::{Error, link::Link, patience::Patience, reopened::Reopened};
use crate::api::v1::{ReadLogRequest, ReadLogResponse};

/// A log being read. Dropping it changes nothing.
#[derive(Debug)]
pub struct Log {
    stream: Reopened<ReadLogResponse>,
    request: ReadLogRequest,
}

impl Log {
    pub(super) fn new(link: Link, patience: Patience, request: ReadLogRequest) -> Self {
        Self { stream: Reopened::new(link, patience), request }
    }

    /// The next answer, which may have no entries; none after the last. Safe to drop.
    ///
    /// # Errors
    /// When the service refuses, or is away for too long.
    pub async fn next(&mut self) -> Result<Option<ReadLogResponse>, Error> {
        loop {
            let request = &self.request;
            match self
                .stream
                .receive(|mut client| {
                    let request = request.clone();
                    async move { client.read_log(request).await }
                })
                .await
            {
                Ok(Some(answer)) => {
                    self.stream.patience.heard();
                    self.request.after_number = answer.last_number;
                    return Ok(Some(answer));
                }
                Ok(None) => return Ok(None),
                Err(error) => self.stream.failed(error)?,
            }
        }
    }
}
