//! A stream of the service that is opened anew after each cut, for as long as patience lasts.

use tokio::time::Instant;
use tonic::{Response, Status, Streaming};

use super::{Client, Error, link::Link, patience::Patience};

/// A stream, and what it takes to have it again. What is known lies here, so that every call is safe to drop.
#[derive(Debug)]
pub(super) struct Reopened<T> {
    link: Link,
    pub(super) patience: Patience,
    /// Which connection the stream is on.
    generation: u64,
    stream: Option<Streaming<T>>,
}

impl<T> Reopened<T> {
    pub(super) fn new(link: Link, patience: Patience) -> Self {
        Self { link, patience, generation: 0, stream: None }
    }

    /// The next message of the stream, which `open` opens if there is none; none after its OK.
    pub(super) async fn receive<F>(&mut self, open: impl FnOnce(Client) -> F) -> Result<Option<T>, Error>
    where
        F: Future<Output = Result<Response<Streaming<T>>, Status>>,
    {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                self.patience.wait().await;
                let (client, generation) = self.link.client().await?;
                self.generation = generation;
                self.stream.insert(open(client).await?.into_inner())
            }
        };
        Ok(stream.message().await?)
    }

    /// Lets go of what failed, so that the next call tries anew; the error when that is not worth it.
    pub(super) fn failed(&mut self, error: Error) -> Result<(), Error> {
        self.stream = None;
        if error.ends_connection() {
            self.link.leave(self.generation);
        }
        self.patience.failed(error, Instant::now())
    }
}
