//! A collector that keeps what it gets: OTLP over gRPC, as far as the tests look at it.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
    time::timeout,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService, UnaryService},
    transport::Server,
};
use tonic_prost::ProstCodec;
use tower::Service;

use crate::service::SOON;

#[derive(Clone, PartialEq, prost::Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    of_resources: Vec<OfResource>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OfResource {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    of_scopes: Vec<OfScope>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OfScope {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

/// A span as it came.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    pub(super) name: String,
    #[prost(fixed64, tag = "7")]
    pub(super) start_ns: u64,
    #[prost(fixed64, tag = "8")]
    pub(super) end_ns: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<Attribute>,
    #[prost(message, repeated, tag = "11")]
    events: Vec<Event>,
    #[prost(message, repeated, tag = "13")]
    links: Vec<Link>,
    #[prost(message, optional, tag = "15")]
    outcome: Option<Outcome>,
    /// Of its resource; under a number that the contract does not use.
    #[prost(string, tag = "1000")]
    pub(super) service: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Event {
    #[prost(string, tag = "2")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Link {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Outcome {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Value {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(bool, optional, tag = "2")]
    flag: Option<bool>,
    #[prost(int64, optional, tag = "3")]
    number: Option<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Nothing {}

fn value<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Span {
    pub(super) fn trace(&self) -> String {
        hex(&self.trace_id)
    }

    pub(super) fn id(&self) -> String {
        hex(&self.span_id)
    }

    pub(super) fn parent(&self) -> String {
        hex(&self.parent_span_id)
    }

    pub(super) fn text(&self, key: &str) -> String {
        value(&self.attributes, key).and_then(|value| value.text.clone()).unwrap_or_default()
    }

    pub(super) fn number(&self, key: &str) -> Option<i64> {
        value(&self.attributes, key)?.number
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        value(&self.attributes, key).and_then(|value| value.flag).unwrap_or_default()
    }

    pub(super) fn steps(&self) -> Vec<&str> {
        self.events.iter().map(|event| event.name.as_str()).collect()
    }

    pub(super) fn links(&self) -> Vec<(String, String)> {
        self.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect()
    }

    /// 0 for none, 1 for a good one, 2 for a bad one with its word.
    pub(super) fn outcome(&self) -> (i32, &str) {
        self.outcome.as_ref().map_or((0, ""), |outcome| (outcome.code, outcome.message.as_str()))
    }
}

/// Takes spans until it is dropped.
pub(super) struct Collector {
    pub(super) endpoint: String,
    taken: UnboundedReceiver<Export>,
    waiting: VecDeque<Span>,
    seen: Vec<String>,
    serving: JoinHandle<()>,
}

impl Collector {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (takes, taken) = unbounded_channel();
        let server = Server::builder().add_service(Takes(takes));
        let serving = tokio::spawn(async move {
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Self { endpoint, taken, waiting: VecDeque::new(), seen: Vec::new(), serving }
    }

    /// The next span of this task.
    pub(super) async fn span_of(&mut self, task_id: &str) -> Span {
        loop {
            if let Some(at) = self.waiting.iter().position(|span| span.text("task_id") == task_id) {
                return self.waiting.remove(at).unwrap();
            }
            let export = timeout(SOON, self.taken.recv()).await.expect("the span comes soon").unwrap();
            for of in export.of_resources {
                let attributes = of.resource.unwrap_or_default().attributes;
                let service = value(&attributes, "service.name").and_then(|name| name.text.clone()).unwrap_or_default();
                for span in of.of_scopes.into_iter().flat_map(|of| of.spans) {
                    self.seen.push(span.text("task_id"));
                    self.waiting.push_back(Span { service: service.clone(), ..span });
                }
            }
        }
    }

    /// Whose spans have come so far.
    pub(super) fn task_ids(&self) -> Vec<String> {
        self.seen.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The one call of a collector.
#[derive(Clone)]
struct Takes(UnboundedSender<Export>);

impl NamedService for Takes {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl UnaryService<Export> for Takes {
    type Response = Nothing;
    type Future = Ready<Result<Response<Nothing>, Status>>;

    fn call(&mut self, request: Request<Export>) -> Self::Future {
        // The test may be over.
        let _ = self.0.send(request.into_inner());
        ready(Ok(Response::new(Nothing {})))
    }
}

impl Service<http::Request<Body>> for Takes {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let takes = self.clone();
        Box::pin(async move { Ok(Grpc::new(ProstCodec::<Nothing, Export>::default()).unary(takes, request).await) })
    }
}
