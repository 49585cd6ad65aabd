//! Serves the contract, with health and reflection, on one listener.

use std::{
    convert::Infallible,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, middleware};
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_stream::{Stream, StreamExt};
use tonic::{
    server::NamedService,
    service::Routes,
    transport::{Error, Server, server::Connected},
};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_web::GrpcWebLayer;
use tower::{Layer, Service as TowerService};

use super::{
    DESCRIPTORS,
    service::Service,
    told::told,
    v1::task_runner_server::{SERVICE_NAME, TaskRunnerServer},
};
use crate::runner::Runner;

/// What a response carries.
pub type Body = tonic::body::Body;

/// Largest request taken: the largest fields, a URL and a result, come to a tenth of it.
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// Largest response made: one job with its result and labels comes to a tenth of it.
const RESPONSE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest question about health or reflection, which everybody may ask: the name of a service, a file or a type.
const QUESTION_BYTES_MAX: usize = 4 * 1024;
/// How long a connection may be silent before it is asked whether it lives, and how long it may take to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// Streams of one connection: enough for a client that watches every job it has, bounded against floods.
const STREAMS_MAX: u32 = 256;
/// Bytes of request headers: a token and a URL's worth.
pub const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// Streams of one connection that were reset before they were looked at: h2's own bound, said here because a flood of
/// them is the best known one.
const RESETS_UNSEEN_MAX: usize = 20;
/// Streams of one connection that its own faults made us reset: hyper's own bound, which tonic takes away by default.
const RESETS_MADE_MAX: usize = 1024;

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
            // The details of refusals, which grpcurl shows in words only so.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let service = TaskRunnerServer::new(Service::new(runner, watchers_max))
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let built = "the descriptors that were compiled in are whole";
    let routes = Routes::new(service)
        .add_service(health_service.max_decoding_message_size(QUESTION_BYTES_MAX))
        .add_service(reflection().build_v1().expect(built).max_decoding_message_size(QUESTION_BYTES_MAX))
        .add_service(reflection().build_v1alpha().expect(built).max_decoding_message_size(QUESTION_BYTES_MAX))
        .prepare();
    let router = routes.into_axum_router().layer(middleware::from_fn(told));
    // Here and nowhere outside: it refuses whatever is neither grpc-web nor HTTP/2.
    Calls { router: router.layer(GrpcWebLayer::new()), health }
}

/// What is served, and until when.
pub struct Serve<I, S> {
    /// Connections on which calls come in.
    pub incoming: I,
    /// The calls, and the routes beside them.
    pub calls: Calls,
    /// Completes when no more calls are to be taken.
    pub shutdown: S,
}

/// Serves until the shutdown completes and every connection has ended. `guard` sees each request first.
///
/// # Errors
/// When the transport fails.
pub async fn serve<I, C, S, L>(serve: Serve<I, S>, guard: L) -> Result<(), Error>
where
    I: Stream<Item = io::Result<C>>,
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Future<Output = ()>,
    L: Layer<Routes> + Clone + Send + Sync + 'static,
    L::Service:
        TowerService<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    <L::Service as TowerService<Request<Body>>>::Future: Send + 'static,
{
    let Serve { incoming, calls: Calls { router, mut health }, shutdown } = serve;
    let leaving = async move {
        shutdown.await;
        // Told, then ended: a watch of the health would go on, and hold its connection, for as long as its caller likes.
        for name in [SERVICE_NAME, ""] {
            health.set_service_status(name, ServingStatus::NotServing).await;
            health.clear_service_status(name).await;
        }
    };
    Server::builder()
        .accept_http1(true)
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .max_concurrent_streams(Some(STREAMS_MAX))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESETS_UNSEEN_MAX))
        .http2_max_local_error_reset_streams(Some(RESETS_MADE_MAX))
        .layer(guard)
        .add_routes(Routes::from(router))
        .serve_with_incoming_shutdown(incoming.map(|connection| connection.map(Connection)), leaving)
        .await
}

/// A connection, of which no call needs to know anything.
struct Connection<C>(C);

impl<C> Connected for Connection<C> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl<C: AsyncRead + Unpin> AsyncRead for Connection<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Connection<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
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
