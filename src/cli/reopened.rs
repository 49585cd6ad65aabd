//! A stream of the service that is opened anew after each cut, for as long as patience lasts.

use tokio::time::Instant;
use tonic::{Response, Status, Streaming};

use super::{
    Problem,
    connect::{Client, Target},
    patience::Patience,
};

/// A stream, and what it takes to have it again. What is known lies here, so that every call is safe to drop.
pub(super) struct Reopened<T> {
    target: Target,
    pub(super) patience: Patience,
    client: Option<Client>,
    stream: Option<Streaming<T>>,
}

impl<T> Reopened<T> {
    pub(super) fn new(target: Target, client: Client, patience: Patience) -> Self {
        Self { target, patience, client: Some(client), stream: None }
    }

    /// The next message of the stream, which `open` opens if there is none; none after its OK.
    pub(super) async fn receive(
        &mut self,
        open: impl AsyncFnOnce(&mut Client) -> Result<Response<Streaming<T>>, Status>,
    ) -> Result<Option<T>, Problem> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                self.patience.wait().await;
                let client = match &mut self.client {
                    Some(client) => client,
                    None => self.client.insert(self.target.connect().await?),
                };
                self.stream.insert(open(client).await?.into_inner())
            }
        };
        Ok(stream.message().await?)
    }

    /// Lets go of what failed, so that the next call tries anew; the problem when that is not worth it.
    pub(super) fn failed(&mut self, problem: Problem) -> Result<(), Problem> {
        self.stream = None;
        self.client = None;
        self.patience.failed(problem, Instant::now())
    }
}
