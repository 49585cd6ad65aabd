//! Finds a service and makes a client that carries its token.

use std::{
    io,
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

use super::{Problem, tls::Trust};
use crate::{
    api::v1::task_runner_client::TaskRunnerClient,
    server::{self, CERTIFICATE_FILE, TOKEN_FILE},
};

/// A client whose every call carries the token.
pub(super) type Client = TaskRunnerClient<InterceptedService<Channel, Bearer>>;

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
pub(super) enum Target {
    /// At a URL, with the token in a file.
    At {
        /// Such as "http://127.0.0.1:50051".
        server: String,
        /// Holds the token.
        token_file: PathBuf,
        /// Holds the issuers of its certificate; none for those that the system trusts.
        ca: Option<PathBuf>,
    },
    /// Wherever the service of this state directory says that it listens.
    On(PathBuf),
}

/// Puts the token on every call.
#[derive(Clone)]
pub(super) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl Target {
    /// Connects to a service that says it is well.
    pub(super) async fn connect(&self) -> Result<Client, Problem> {
        let server = self.server()?;
        let token = read_token(&self.token_file())?;
        let endpoint = endpoint(&server)?;
        let trust = server.starts_with(HTTPS).then(|| self.trust()).transpose()?;
        let channel =
            tokio::time::timeout(ANSWER_WITHIN, connect_well(&server, endpoint, trust)).await.unwrap_or_else(|_| {
                Err(Problem::NoService(format!("what listens at {server} did not answer within {ANSWER_WITHIN:?}")))
            })?;
        Ok(TaskRunnerClient::with_interceptor(channel, Bearer(bearer(&token)?)))
    }

    /// The file that holds the token.
    pub(super) fn token_file(&self) -> PathBuf {
        match self {
            Self::At { token_file, .. } => token_file.clone(),
            Self::On(state_dir) => state_dir.join(TOKEN_FILE),
        }
    }

    /// By what its service is known over TLS.
    fn trust(&self) -> Result<Trust, Problem> {
        match self {
            Self::At { ca: Some(file), .. } => Trust::in_issuers(file),
            Self::At { ca: None, .. } => Ok(Trust::System),
            Self::On(state_dir) => Trust::in_certificate(&state_dir.join(CERTIFICATE_FILE)),
        }
    }

    fn server(&self) -> Result<String, Problem> {
        match self {
            Self::At { server, .. } => Ok(server.clone()),
            // An endpoint that a killed service left may lead to anybody by now, who must not be shown the token.
            Self::On(state_dir) => match server::running_at(state_dir) {
                Ok(Some(address)) => Ok(address),
                Ok(None) => Err(Problem::NoService(format!(
                    "no service runs on {}; start one with `comet-task-runner serve`, or name one with --server",
                    state_dir.display()
                ))),
                Err(error) => Err(Problem::NoService(error.to_string())),
            },
        }
    }
}

/// Reads a token from its file.
pub(super) fn read_token(file: &Path) -> Result<String, Problem> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Problem::NoService(format!(
            "there is no token at {}; `comet-task-runner serve` makes one at its first start",
            file.display()
        ))),
        Err(error) => Err(Problem::NoService(format!("the token at {} cannot be read: {error}", file.display()))),
    }
}

fn bearer(token: &str) -> Result<MetadataValue<Ascii>, Problem> {
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .map_err(|_| Problem::Usage("the token file holds characters that no token has".to_owned()))?;
    // Keeps it out of every debug output of the layers below.
    value.set_sensitive(true);
    Ok(value)
}

fn endpoint(server: &str) -> Result<Endpoint, Problem> {
    let fault =
        || Problem::Usage(format!("the server {server:?} is not of the form http://HOST:PORT or https://HOST:PORT"));
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
async fn connect_well(server: &str, endpoint: Endpoint, trust: Option<Trust>) -> Result<Channel, Problem> {
    let connected = match trust {
        None => endpoint.connect().await,
        Some(trust) => trust.connect(endpoint).await,
    };
    let channel = connected
        .map_err(|error| Problem::NoService(format!("no service answers at {server}: {}", root_cause(&error))))?;
    match HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await {
        Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => Ok(channel),
        Ok(_) => Err(Problem::NoService(format!("the service at {server} is not taking calls; it may be leaving"))),
        Err(status) => {
            Err(Problem::NoService(format!("what listens at {server} is no task runner: {}", status.message())))
        }
    }
}

fn root_cause(error: &tonic::transport::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
