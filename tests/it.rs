//! End-to-end tests in one binary: real browsers, real pages, loopback only.

// The lint spares test functions, but not what they call.
#![allow(clippy::unwrap_used)]

#[path = "it/browser.rs"]
mod browser;
#[path = "it/browser_windows.rs"]
mod browser_windows;
#[path = "it/display.rs"]
mod display;
#[path = "it/pages.rs"]
mod pages;
#[path = "it/pipe_browser.rs"]
mod pipe_browser;
