//! Opens a URL as a task in a browser process, knows how and why it ends, and pushes every change.

pub mod api;
pub mod browser;
pub mod config;
pub mod job;
pub mod ledger;
pub mod process;
pub mod runner;
pub mod server;
pub mod web;
