//! The one connection that the calls of a client share, made anew once it has failed.

use std::sync::{Arc, Mutex, MutexGuard};

use super::{
    Error,
    target::{Client, Target},
};

/// A service, and the connection to it if there is one. Clones share that connection.
#[derive(Clone, Debug)]
pub(super) struct Link {
    target: Arc<Target>,
    current: Arc<Mutex<Current>>,
}

/// What the link is at.
#[derive(Debug, Default)]
struct Current {
    client: Option<Client>,
    /// Counts connections, so that who met the end of an old one does not close the new one.
    generation: u64,
}

impl Link {
    /// Without a connection as yet.
    pub(super) fn new(target: Target) -> Self {
        Self { target: Arc::new(target), current: Arc::default() }
    }

    /// A client on the connection that there is, or else on a new one, and which one that is.
    pub(super) async fn client(&self) -> Result<(Client, u64), Error> {
        if let Some(found) = self.lock().found() {
            return Ok(found);
        }
        // Not under the lock: a service that does not answer would make each caller wait for all those before it.
        let client = self.target.connect().await?;
        let mut current = self.lock();
        // Several may have connected at once; all go on with the first one's connection.
        if current.client.is_none() {
            current.client = Some(client);
            current.generation += 1;
        }
        Ok(current.found().expect("there is a connection by now"))
    }

    /// There is a connection, which has not failed as yet.
    pub(super) fn is_up(&self) -> bool {
        self.lock().client.is_some()
    }

    /// Lets go of a connection that failed.
    pub(super) fn leave(&self, generation: u64) {
        let mut current = self.lock();
        if current.generation == generation && current.client.take().is_some() {
            // Once, however many wait for it.
            tracing::warn!("the service does not answer; trying again");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().expect("nobody panics while holding it")
    }
}

impl Current {
    fn found(&self) -> Option<(Client, u64)> {
        self.client.clone().map(|client| (client, self.generation))
    }
}
