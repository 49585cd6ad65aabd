//! The integration tests: one binary, real processes, nothing left behind.

// The lint's own allowance for tests does not reach the functions that they share.
#![allow(clippy::unwrap_used)]

#[path = "it/admission.rs"]
mod admission;
#[path = "it/browser.rs"]
mod browser;
#[path = "it/browser_windows.rs"]
mod browser_windows;
#[path = "it/callback.rs"]
mod callback;
#[path = "it/caller.rs"]
mod caller;
#[path = "it/canary.rs"]
mod canary;
#[path = "it/cancel.rs"]
mod cancel;
#[path = "it/certificate.rs"]
mod certificate;
#[path = "it/cli/mod.rs"]
mod cli;
#[path = "it/client.rs"]
mod client;
#[path = "it/config.rs"]
mod config;
#[path = "it/conformance/mod.rs"]
mod conformance;
#[path = "it/crowd.rs"]
mod crowd;
#[path = "it/demo.rs"]
mod demo;
#[path = "it/desktop.rs"]
mod desktop;
#[path = "it/dialogs.rs"]
mod dialogs;
#[path = "it/display.rs"]
mod display;
#[path = "it/doctor.rs"]
mod doctor;
#[path = "it/downloads.rs"]
mod downloads;
#[path = "it/drain.rs"]
mod drain;
#[path = "it/drive_by.rs"]
mod drive_by;
#[path = "it/endings/mod.rs"]
mod endings;
#[path = "it/evidence.rs"]
mod evidence;
#[path = "it/execute.rs"]
mod execute;
#[path = "it/files.rs"]
mod files;
#[path = "it/firefox.rs"]
mod firefox;
#[path = "it/floods.rs"]
mod floods;
#[path = "it/grpc_web.rs"]
mod grpc_web;
#[path = "it/guard.rs"]
mod guard;
#[path = "it/history.rs"]
mod history;
#[path = "it/hostile_pages.rs"]
mod hostile_pages;
#[path = "it/http_callback.rs"]
mod http_callback;
#[path = "it/json.rs"]
mod json;
#[path = "it/ledger.rs"]
mod ledger;
#[path = "it/ledger_process.rs"]
mod ledger_process;
#[path = "it/legacy.rs"]
mod legacy;
#[path = "it/line.rs"]
mod line;
#[path = "it/lists.rs"]
mod lists;
#[path = "it/lives.rs"]
mod lives;
#[path = "it/log.rs"]
mod log;
#[path = "it/log_real.rs"]
mod log_real;
#[path = "it/many_watchers.rs"]
mod many_watchers;
#[path = "it/metrics.rs"]
mod metrics;
#[path = "it/no_call.rs"]
mod no_call;
#[path = "it/nothing_left.rs"]
mod nothing_left;
#[cfg(feature = "otel")]
#[path = "it/otel/mod.rs"]
mod otel;
#[path = "it/package.rs"]
mod package;
#[path = "it/page_callback.rs"]
mod page_callback;
#[path = "it/pages.rs"]
mod pages;
#[path = "it/painted.rs"]
mod painted;
#[path = "it/pipe_browser.rs"]
mod pipe_browser;
#[path = "it/plain_http.rs"]
mod plain_http;
#[path = "it/popups.rs"]
mod popups;
#[path = "it/probes.rs"]
mod probes;
#[path = "it/process/mod.rs"]
mod process;
#[path = "it/processes.rs"]
mod processes;
#[path = "it/profiles.rs"]
mod profiles;
#[path = "it/readme.rs"]
mod readme;
#[path = "it/real.rs"]
mod real;
#[path = "it/real_ends.rs"]
mod real_ends;
#[path = "it/real_timeouts.rs"]
mod real_timeouts;
#[path = "it/real_windows.rs"]
mod real_windows;
#[path = "it/reference.rs"]
mod reference;
#[path = "it/refusals.rs"]
mod refusals;
#[path = "it/request_ids.rs"]
mod request_ids;
#[path = "it/restart.rs"]
mod restart;
#[path = "it/restart_real.rs"]
mod restart_real;
#[path = "it/restart_storm.rs"]
mod restart_storm;
#[path = "it/runner.rs"]
mod runner;
#[path = "it/samples.rs"]
mod samples;
#[path = "it/sandbox.rs"]
mod sandbox;
#[path = "it/scopes.rs"]
mod scopes;
#[path = "it/screenshot.rs"]
mod screenshot;
#[path = "it/screenshot_states.rs"]
mod screenshot_states;
#[path = "it/service.rs"]
mod service;
#[path = "it/session.rs"]
mod session;
#[path = "it/soak.rs"]
mod soak;
#[path = "it/state.rs"]
mod state;
#[path = "it/stop_proof.rs"]
mod stop_proof;
#[path = "it/stub.rs"]
mod stub;
#[path = "it/supervisor.rs"]
mod supervisor;
#[path = "it/tidy.rs"]
mod tidy;
#[path = "it/tiers.rs"]
mod tiers;
#[path = "it/timeouts.rs"]
mod timeouts;
#[path = "it/tls.rs"]
mod tls;
#[path = "it/tls_reload.rs"]
mod tls_reload;
#[path = "it/tree_truth.rs"]
mod tree_truth;
#[path = "it/upgrade.rs"]
mod upgrade;
#[path = "it/user_browser.rs"]
mod user_browser;
#[path = "it/warm.rs"]
mod warm;
#[path = "it/watch.rs"]
mod watch;
#[path = "it/watch_jobs.rs"]
mod watch_jobs;
#[path = "it/watchers.rs"]
mod watchers;
#[path = "it/wayland.rs"]
mod wayland;
#[path = "it/webhook.rs"]
mod webhook;
#[path = "it/windows.rs"]
mod windows;
#[path = "it/windows_max.rs"]
mod windows_max;
#[path = "it/wire.rs"]
mod wire;
