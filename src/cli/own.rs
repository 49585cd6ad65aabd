//! A service for one call: it lives in this process and leaves nothing behind.

use std::{
    fs::Permissions,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::timeout;

use super::Problem;
use crate::{
    client::Target,
    config::Settings,
    server::{self, Server},
};

/// How long a browser may take to be gone after its task: the longest default grace, and what it takes to clean up.
const IDLE_MAX: Duration = Duration::from_secs(15);

/// How long the browser may outlive this process: nobody comes back to it, so only as long as it takes to be sure.
const AWAY_MAX: Duration = Duration::from_secs(5);

/// A service with a state directory of its own.
pub(super) struct Own {
    server: Server,
    state_dir: TempDir,
}

impl Own {
    /// Starts it, for so many tasks at once, with a browser beside those that are found if one is given.
    pub(super) async fn start(slots: NonZeroUsize, browser: Option<String>, no_sandbox: bool) -> Result<Self, Problem> {
        let state_dir = tempfile::Builder::new()
            .prefix("comet-task-runner-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(|error| Problem::NoService(format!("no temporary directory can be made: {error}")))?;
        let settings = Settings {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            slots,
            // A task may wait for memory or for the launch of another; a retry of its Execute is the same task.
            queue_max: slots.get(),
            browsers: browser.into_iter().collect(),
            no_sandbox,
            away_max: AWAY_MAX,
            // It would go with the directory before anybody could look at it.
            evidence: false,
            // It would keep the call from its end.
            warm_idle: Duration::ZERO,
            ..Settings::defaults(state_dir.path().to_owned())
        };
        let server = server::start(settings).await.map_err(|error| Problem::from_start(&error))?;
        Ok(Self { server, state_dir })
    }

    /// How to reach it.
    pub(super) fn target(&self) -> Target {
        Target::On(self.state_dir.path().to_owned())
    }

    /// Ends it and removes its directory. No task is live by now; what is left of a browser is waited for.
    pub(super) async fn stop(self) {
        // The task is over, and its browser is on its way out; its directory must not go before it.
        if timeout(IDLE_MAX, self.server.idle()).await.is_err() {
            tracing::warn!("the task's browser has not left yet; leaving it to its watcher");
        }
        self.server.stop().await;
        let path = self.state_dir.path().to_owned();
        if let Err(error) = self.state_dir.close() {
            tracing::warn!(path = %path.display(), %error, "the temporary state directory could not be removed");
        }
    }
}
