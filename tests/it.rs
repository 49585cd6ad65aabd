//! End-to-end tests in one binary: real browsers, real pages, loopback only.

#[path = "it/browser.rs"]
mod browser;
#[path = "it/display.rs"]
mod display;
#[path = "it/pages.rs"]
mod pages;
#[path = "it/pipe_browser.rs"]
mod pipe_browser;
