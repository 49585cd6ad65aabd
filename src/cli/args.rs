//! Arguments that several verbs share: which service, and how to print.

use std::{env, path::PathBuf};

use clap::Args;

use super::{Problem, retry::RetryFor};
use crate::{
    client::{Runner, Target, Token},
    config::default_state_dir,
    server::TOKEN_FILE,
};

/// Names the state directory.
const STATE_DIR_ENV: &str = "COMET_TASK_RUNNER_STATE_DIR";
/// Names the service.
const SERVER_ENV: &str = "COMET_TASK_RUNNER_SERVER";
/// Names the file with its token.
const TOKEN_FILE_ENV: &str = "COMET_TASK_RUNNER_TOKEN_FILE";

/// Names the file with the issuers of its certificate.
const CA_FILE_ENV: &str = "COMET_TASK_RUNNER_CA_FILE";

/// Which state directory.
#[derive(Clone, Debug, Args)]
pub(super) struct StateDir {
    /// Where the service keeps what it remembers [default: $XDG_STATE_HOME or ~/.local/state, /comet-task-runner]
    #[arg(long, value_name = "DIR", env = STATE_DIR_ENV, hide_env_values = true)]
    pub(super) state_dir: Option<PathBuf>,
}

impl StateDir {
    /// The directory that was named, or the default one.
    pub(super) fn path(&self) -> Result<PathBuf, Problem> {
        let dir = self.state_dir.clone().or_else(default_state_dir);
        let dir = dir.ok_or_else(|| Problem::Usage("there is no home directory; name a --state-dir".to_owned()))?;
        std::path::absolute(&dir)
            .map_err(|error| Problem::Usage(format!("the state directory {} is no path: {error}", dir.display())))
    }
}

/// Which service.
#[derive(Clone, Debug, Args)]
pub(super) struct Reach {
    #[command(flatten)]
    state_dir: StateDir,
    /// The service's address, such as http://127.0.0.1:50051, instead of the one on the state directory
    #[arg(long, value_name = "URL", env = SERVER_ENV, hide_env_values = true)]
    server: Option<String>,
    /// The file with the token of --server [default: `token` in the state directory]
    #[arg(long, value_name = "FILE", env = TOKEN_FILE_ENV, hide_env_values = true)]
    token_file: Option<PathBuf>,
    /// The file with the issuers of the certificate of an https --server [default: those that the system trusts]
    #[arg(long, value_name = "FILE", env = CA_FILE_ENV, hide_env_values = true)]
    ca: Option<PathBuf>,
}

impl Reach {
    /// The service that is meant. A flag goes before the environment, and --server before --state-dir.
    pub(super) fn target(&self) -> Result<Target, Problem> {
        let state_dir = self.state_dir.path()?;
        match &self.server {
            Some(server) if !self.only_the_directory_is_a_flag() => Ok(Target::At {
                server: server.clone(),
                token: Token::File(self.token_file.clone().unwrap_or_else(|| state_dir.join(TOKEN_FILE))),
                ca: self.ca.clone(),
            }),
            Some(_) | None => Ok(Target::On(state_dir)),
        }
    }

    /// The state directory of the service that is meant, for what only its owner can do.
    pub(super) fn state_dir(&self) -> Result<PathBuf, Problem> {
        match self.target()? {
            Target::On(state_dir) => Ok(state_dir),
            Target::At { .. } => Err(Problem::Usage(
                "this is done in the state directory, on the service's own machine; leave --server out".to_owned(),
            )),
        }
    }

    /// That directory if somebody named it; none for the default one.
    pub(super) fn named_state_dir(&self) -> Result<Option<PathBuf>, Problem> {
        match self.state_dir.state_dir {
            Some(_) => self.state_dir().map(Some),
            // Refuses --server all the same.
            None if self.server.is_some() => self.state_dir().map(|_| None),
            None => Ok(None),
        }
    }

    /// The file with the token of the service that is meant.
    pub(super) fn token_file(&self) -> Result<PathBuf, Problem> {
        match &self.token_file {
            Some(file) => Ok(file.clone()),
            None => Ok(self.state_dir.path()?.join(TOKEN_FILE)),
        }
    }

    /// The service that is meant, which may be away for so long in the midst of what it is asked.
    pub(super) async fn runner(&self, retry: RetryFor) -> Result<Runner, Problem> {
        Ok(Runner::connect(self.target()?).await?.retry_for(retry.retry_for))
    }

    fn only_the_directory_is_a_flag(&self) -> bool {
        let server_by_environment = self.server.as_ref().map(Into::into) == env::var_os(SERVER_ENV);
        let directory_by_flag =
            self.state_dir.state_dir.as_ref().is_some_and(|dir| Some(dir.into()) != env::var_os(STATE_DIR_ENV));
        server_by_environment && directory_by_flag
    }
}

/// How to print.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Format {
    /// Print JSON, one object per line
    #[arg(long)]
    pub(super) json: bool,
}
