//! The metrics, as Prometheus reads them: for those with a token, since they tell what the service does.

use axum::{Router, body::Body, routing::get};
use http::{HeaderValue, Response, header};

use crate::{
    runner::Runner,
    telemetry::{self, Reading},
};

/// The text format that every collector of metrics reads.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Beside the calls.
pub(super) fn routes(runner: Runner) -> Router {
    Router::new().route("/metrics", get(async move || answer(&runner)))
}

fn answer(runner: &Runner) -> Response<Body> {
    let mut readings = readings(runner);
    readings.extend(telemetry::own_readings());
    let mut response = Response::new(Body::from(telemetry::registry().render(&readings)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(FORMAT));
    response
}

/// What stands somewhere anyway is read there, so that it cannot drift from the truth.
fn readings(runner: &Runner) -> Vec<Reading> {
    #[expect(clippy::cast_precision_loss, reason = "counts of jobs are far below what a float holds")]
    let float = |count: usize| count as f64;
    let about = runner.about();
    let version = ("version", env!("CARGO_PKG_VERSION").to_owned());
    let mut readings = vec![
        Reading { name: "comet_task_runner_build_info", label: Some(version), value: 1.0 },
        Reading::of("comet_task_runner_ready", float(usize::from(about.ready))),
        Reading::of("comet_task_runner_queue_length", float(about.load.waiting)),
        Reading::of("comet_task_runner_slots_taken", float(about.load.running)),
        Reading::of("comet_task_runner_slots", float(about.limits.slots.get())),
        Reading::of("comet_task_runner_launches_in_flight", float(about.load.launching)),
        Reading::of("comet_task_runner_windows_open", float(about.load.windows)),
        Reading::of("comet_task_runner_windows_kept", float(about.load.windows_kept)),
    ];
    readings.extend(runner.jobs_by_status().into_iter().map(|(status, count)| Reading {
        name: "comet_task_runner_jobs",
        label: Some(("status", status)),
        value: float(count),
    }));
    readings
}
