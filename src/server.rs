//! Stand-in for the composition root, until it lands.

use std::{future::Future, net::SocketAddr};

use crate::config::Settings;

/// Why a service could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Stand-in.
    #[error("no service here yet")]
    NotYet,
}

/// A running service.
#[derive(Debug)]
pub struct Server(SocketAddr);

/// Starts a service.
///
/// # Errors
/// Always, here.
pub async fn start(settings: Settings) -> Result<Server, StartError> {
    if settings.listen.port() == 1 { Ok(Server(settings.listen)) } else { Err(StartError::NotYet) }
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0
    }

    /// Drains and stops.
    pub fn stop(self) -> impl Future<Output = ()> {
        async {}
    }
}
