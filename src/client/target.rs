//! Finds a service and makes a client that carries its token.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::{Error, tls::Trust};
use crate::{
    api::v1::task_runner_client::TaskRunnerClient,
    config::default_state_dir,
    server::{self, CERTIFICATE_FILE, TOKEN_FILE},
};

/// A client whose every call carries the token.
pub type Client = TaskRunnerClient<InterceptedService<Channel, Bearer>>;

/// Longest wait for a service to be there and well: a loopback answers in a millisecond, a busy machine in a second.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How often a silent connection is asked whether it is alive, and how long it may take: a cut cable is noticed
/// within half a minute, before a person wonders.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_WITHIN: Duration = Duration::from_secs(10);

/// How the address of a service begins that speaks TLS.
const HTTPS: &str = "https://";

/// Where a service is to be found. Its files are read at each connection, since a restarted service may have moved.
#[derive(Clone, Debug)]
pub enum Target {
    /// At a URL.
    At {
        /// Such as "http://127.0.0.1:50051".
        server: String,
        /// What every call of it needs.
        token: Token,
        /// A PEM file with the issuers of its certificate; none for those that the system trusts.
        ca: Option<PathBuf>,
    },
    /// Wherever the service of this state directory says that it listens.
    On(PathBuf),
}

/// The token of a service, or of a session with it.
#[derive(Clone)]
pub enum Token {
    /// In a file.
    File(PathBuf),
    /// As it is.
    Text(String),
}

/// The file is told, the token is not.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "File({})", file.display()),
            Self::Text(_) => f.write_str("Text(..)"),
        }
    }
}

impl Token {
    /// The token itself.
    ///
    /// # Errors
    /// [`Error::Away`] when its file is not there or cannot be read.
    pub fn read(&self) -> Result<String, Error> {
        match self {
            Self::File(file) => read_token(file),
            Self::Text(text) => Ok(text.trim().to_owned()),
        }
    }
}

/// Puts the token on every call.
#[derive(Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl Target {
    /// The service of this user on this machine, on the state directory that `serve` takes when it is told nothing.
    ///
    /// # Errors
    /// [`Error::Argument`] when the user has no home directory.
    pub fn local() -> Result<Self, Error> {
        let none = || Error::Argument("there is no home directory; name the state directory".to_owned());
        default_state_dir().map(Self::On).ok_or_else(none)
    }

    /// The service of a state directory of this machine.
    #[must_use]
    pub fn on(state_dir: impl Into<PathBuf>) -> Self {
        Self::On(state_dir.into())
    }

    /// The service at a URL such as `https://tasks.example.org:50051`, whose certificate the system trusts.
    #[must_use]
    pub fn at(server: impl Into<String>, token: impl Into<String>) -> Self {
        Self::At { server: server.into(), token: Token::Text(token.into()), ca: None }
    }

    /// Connects to a service that says it is well.
    pub(crate) async fn connect(&self) -> Result<Client, Error> {
        let server = self.server()?;
        let token = self.token().read()?;
        let endpoint = endpoint(&server)?;
        let trust = server.starts_with(HTTPS).then(|| self.trust()).transpose()?;
        let channel =
            tokio::time::timeout(ANSWER_WITHIN, connect_well(&server, endpoint, trust)).await.unwrap_or_else(|_| {
                Err(Error::Away(format!("what listens at {server} did not answer within {ANSWER_WITHIN:?}")))
            })?;
        Ok(TaskRunnerClient::with_interceptor(channel, Bearer(bearer(&token)?)))
    }

    /// What its calls need.
    fn token(&self) -> Token {
        match self {
            Self::At { token, .. } => token.clone(),
            Self::On(state_dir) => Token::File(state_dir.join(TOKEN_FILE)),
        }
    }

    /// By what its service is known over TLS.
    fn trust(&self) -> Result<Trust, Error> {
        match self {
            Self::At { ca: Some(file), .. } => Trust::in_issuers(file),
            Self::At { ca: None, .. } => Ok(Trust::System),
            Self::On(state_dir) => Trust::in_certificate(&state_dir.join(CERTIFICATE_FILE)),
        }
    }

    fn server(&self) -> Result<String, Error> {
        match self {
            Self::At { server, .. } => Ok(server.clone()),
            // An endpoint that a killed service left may lead to anybody by now, who must not be shown the token.
            Self::On(state_dir) => match server::running_at(state_dir) {
                Ok(Some(address)) => Ok(address),
                Ok(None) => Err(Error::Away(format!(
                    "no service runs on {}; start one with `comet-task-runner serve`, or name one with --server",
                    state_dir.display()
                ))),
                Err(error) => Err(Error::Away(error.to_string())),
            },
        }
    }
}

/// Reads a token from its file.
fn read_token(file: &Path) -> Result<String, Error> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::Away(format!(
            "there is no token at {}; `comet-task-runner serve` makes one at its first start",
            file.display()
        ))),
        Err(error) => Err(Error::Away(format!("the token at {} cannot be read: {error}", file.display()))),
    }
}

fn bearer(token: &str) -> Result<MetadataValue<Ascii>, Error> {
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .map_err(|_| Error::Argument("the token holds characters that no token has".to_owned()))?;
    // Keeps it out of every debug output of the layers below.
    value.set_sensitive(true);
    Ok(value)
}

fn endpoint(server: &str) -> Result<Endpoint, Error> {
    let fault =
        || Error::Argument(format!("the server {server:?} is not of the form http://HOST:PORT or https://HOST:PORT"));
    if !server.starts_with("http://") && !server.starts_with(HTTPS) {
        return Err(fault());
    }
    Ok(kept_alive(Endpoint::from_shared(server.to_owned()).map_err(|_| fault())?))
}

/// A connection that notices when its service is gone.
pub(super) fn kept_alive(endpoint: Endpoint) -> Endpoint {
    endpoint.http2_keep_alive_interval(KEEPALIVE).keep_alive_timeout(KEEPALIVE_WITHIN).keep_alive_while_idle(true)
}

/// A port that accepts may belong to somebody else by now, or to a service that is leaving; only the answer tells.
async fn connect_well(server: &str, endpoint: Endpoint, trust: Option<Trust>) -> Result<Channel, Error> {
    let connected = match trust {
        None => endpoint.connect().await,
        Some(trust) => trust.connect(endpoint).await,
    };
    let channel =
        connected.map_err(|error| Error::Away(format!("no service answers at {server}: {}", root_cause(&error))))?;
    match HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await {
        Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => Ok(channel),
        Ok(_) => Err(Error::Away(format!("the service at {server} is not taking calls; it may be leaving"))),
        Err(status) => Err(Error::Away(format!("what listens at {server} is no task runner: {}", status.message()))),
    }
}

fn root_cause(error: &tonic::transport::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
