//! Serves the contract, with health and reflection, on one listener.

use std::{convert::Infallible, future::Future, io, time::Duration};

use axum::Router;
use futures_util::stream::unfold;
use http::{HeaderValue, Request, Response, StatusCode, header};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::Stream;
use tonic::{
    server::NamedService,
    service::Routes,
    transport::{Error, Server},
};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_web::GrpcWebLayer;
use tower::{Layer, Service as TowerService};

use super::{
    DESCRIPTORS,
    service::Service,
    status,
    v1::task_runner_server::{SERVICE_NAME, TaskRunnerServer},
};
use crate::runner::Runner;

/// What a response carries.
pub type Body = tonic::body::Body;

/// Largest request taken: the largest fields, a URL and a result, come to a tenth of it.
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// Largest response made: one job with its result and labels comes to a tenth of it.
const RESPONSE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a connection may be silent before it is asked whether it lives, and how long it may take to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// Streams of one connection: enough for a client that watches every job it has, bounded against floods.
const STREAMS_MAX: u32 = 256;
/// Bytes of request headers: a token and a URL's worth.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// Pause after a failed accept: without descriptors the listener would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The calls over gRPC and grpc-web, on a router that other routes can be put beside.
pub struct Calls {
    /// Answers every call, and UNIMPLEMENTED to paths that are none.
    pub router: Router,
    health: HealthReporter,
}

/// Makes the calls of the contract, with health and reflection, answerable. `watchers_max` streams may watch at once.
pub async fn calls(runner: Runner, watchers_max: usize) -> Calls {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status(SERVICE_NAME, ServingStatus::Serving).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let service = TaskRunnerServer::new(Service::new(runner, watchers_max))
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let built = "the descriptors that were compiled in are whole";
    let routes = Routes::new(service)
        .add_service(health_service)
        .add_service(reflection().build_v1().expect(built))
        .add_service(reflection().build_v1alpha().expect(built))
        .prepare();
    // Here and nowhere outside: it refuses whatever is neither grpc-web nor HTTP/2.
    Calls { router: routes.into_axum_router().layer(GrpcWebLayer::new()), health }
}

/// What is served, and until when.
pub struct Serve<S> {
    /// Where calls come in.
    pub listener: TcpListener,
    /// The calls, and the routes beside them.
    pub calls: Calls,
    /// Completes when no more calls are to be taken.
    pub shutdown: S,
}

/// Serves until the shutdown completes and every connection has ended. `guard` sees each request first.
///
/// # Errors
/// When the transport fails.
pub async fn serve<S, L>(serve: Serve<S>, guard: L) -> Result<(), Error>
where
    S: Future<Output = ()>,
    L: Layer<Routes> + Clone + Send + Sync + 'static,
    L::Service:
        TowerService<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    <L::Service as TowerService<Request<Body>>>::Future: Send + 'static,
{
    let Serve { listener, calls: Calls { router, health }, shutdown } = serve;
    let leaving = async move {
        shutdown.await;
        health.set_service_status(SERVICE_NAME, ServingStatus::NotServing).await;
        health.set_service_status("", ServingStatus::NotServing).await;
    };
    Server::builder()
        .accept_http1(true)
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .max_concurrent_streams(Some(STREAMS_MAX))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .layer(guard)
        .add_routes(Routes::from(router))
        .serve_with_incoming_shutdown(incoming(listener), leaving)
        .await
}

/// Connections as they come; a failed accept is waited out.
fn incoming(listener: TcpListener) -> impl Stream<Item = io::Result<TcpStream>> {
    unfold(listener, |listener| async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Changes are small and must not wait for more.
                    let stream = stream.set_nodelay(true).map(|()| stream);
                    return Some((stream, listener));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    })
}

/// The names of services whose calls need no token: they tell nothing of any job.
#[must_use]
pub fn is_open(path: &str) -> bool {
    [
        <tonic_health::pb::health_server::HealthServer<tonic_health::server::HealthService> as NamedService>::NAME,
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ]
    .into_iter()
    .any(|name| {
        path.strip_prefix('/').and_then(|path| path.strip_prefix(name)).is_some_and(|rest| rest.starts_with('/'))
    })
}

/// An answer in plain words to a request that is not gRPC.
#[must_use]
pub fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::new(text.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// The gRPC answer to a call without a token, or with a wrong one.
#[must_use]
pub fn unauthenticated(missing: bool) -> Response<Body> {
    status::unauthenticated(missing).into_http()
}
