//! What the service tells of itself: log events as they happen, metrics when somebody asks, and spans where a collector
//! takes them.
//!
//! Events are written where things happen, by `tracing`; metrics are counted there, by the macros of `metrics`. Either
//! may be done in any layer, and costs next to nothing while nobody listens.

#[cfg(feature = "otel")]
mod export;
#[cfg(not(feature = "otel"))]
#[path = "no_export.rs"]
mod export;
mod log;
mod own;
mod reference;
mod registry;
mod render;
mod table;

pub use export::{Export, ExportError};
pub use log::{Logging, start};
pub use own::own_readings;
pub use reference::metrics_page;
pub use registry::{Registry, install, registry};
pub use render::Reading;
pub use table::{Described, Kind, Labels, METRICS};
