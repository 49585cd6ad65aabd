//! Launcher, shims and relay, end to end with the stub browser.

mod away;
mod fixture;
mod output;
mod relay;
mod start;
mod stop;
