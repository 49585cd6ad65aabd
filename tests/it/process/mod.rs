//! Launcher, shims and relay, end to end with the stub browser.

mod alone;
mod away;
mod fixture;
mod output;
mod proof;
mod relay;
mod start;
mod stop;
