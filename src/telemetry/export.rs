//! Sends spans to a collector over OTLP, in batches, from a thread of its own.
//!
//! Nobody waits for the collector: spans that find 2048 others before them are dropped, and the log says so.

use std::{env, time::Duration};

use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig, tonic_types::transport::ClientTlsConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use url::Url;

/// How long a batch may take: a collector is near, and the next batch waits behind it.
const EXPORT_WITHIN: Duration = Duration::from_secs(5);
/// How long a service that has left everything else still tries to send its last batch.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("--otlp-endpoint {endpoint} cannot be used: {why}")]
pub struct ExportError {
    endpoint: String,
    why: String,
}

/// Sends the spans of this process, if anybody wants them.
pub struct Export(Option<SdkTracerProvider>);

impl Export {
    /// Begins to send what is made from now on; to nobody without an endpoint. Needs a runtime, and waits for nothing:
    /// the collector may come later.
    ///
    /// # Errors
    /// When the endpoint is of no use.
    pub fn start(endpoint: Option<&Url>) -> Result<Self, ExportError> {
        let Some(endpoint) = endpoint else { return Ok(Self(None)) };
        let mut exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint.as_str());
        if endpoint.scheme() == "https" {
            exporter = exporter.with_tls_config(ClientTlsConfig::new().with_native_roots());
        }
        let exporter = exporter.with_timeout(EXPORT_WITHIN).build();
        let exporter =
            exporter.map_err(|error| ExportError { endpoint: endpoint.to_string(), why: error.to_string() })?;
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build();
        global::set_tracer_provider(provider.clone());
        Ok(Self(Some(provider)))
    }

    /// Sends what is left, for a moment and no longer.
    pub async fn end(self) {
        let Some(provider) = self.0 else { return };
        // It waits for its thread.
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_WITHIN)).await;
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last spans were not taken"),
            Err(error) => tracing::warn!(%error, "the last spans were not taken"),
        }
    }
}

/// Who sends; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` go before what is said here.
fn resource() -> Resource {
    let resource = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let named = env::var_os("OTEL_SERVICE_NAME").is_some()
        || env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|all| all.contains("service.name="));
    if named { resource.build() } else { resource.with_service_name("comet-task-runner").build() }
}
