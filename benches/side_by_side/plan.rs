//! How much of each figure a run takes: bounded in count and in time.

use std::time::Duration;

use crate::side::Kind;

/// The counts and spans of one run.
pub(crate) struct Plan {
    /// What stands in for ours: the floor itself in a calibration.
    pub(crate) ours: Kind,
    pub(crate) latency_rounds: u32,
    pub(crate) latency_jobs: u32,
    pub(crate) row_jobs: u32,
    pub(crate) rate_rounds: u32,
    pub(crate) rate_span: Duration,
    pub(crate) running_jobs: usize,
    pub(crate) watchers: usize,
    pub(crate) idle_span: Duration,
    pub(crate) stored_jobs: usize,
    pub(crate) listings: u32,
    pub(crate) pages: u32,
    pub(crate) browsers: usize,
    pub(crate) families: usize,
    pub(crate) watched_span: Duration,
}

impl Plan {
    /// About three minutes: 600 samples a side hold six above the 99th percentile.
    pub(crate) const FULL: Self = Self {
        ours: Kind::Ours,
        latency_rounds: 24,
        latency_jobs: 25,
        row_jobs: 400,
        rate_rounds: 7,
        rate_span: Duration::from_secs(2),
        running_jobs: 200,
        watchers: 1_000,
        idle_span: Duration::from_secs(20),
        stored_jobs: 10_000,
        listings: 500,
        pages: 10,
        browsers: 4,
        families: 50,
        watched_span: Duration::from_secs(10),
    };

    /// A few seconds: that everything still works, not how fast it is.
    pub(crate) const QUICK: Self = Self {
        ours: Kind::Ours,
        latency_rounds: 2,
        latency_jobs: 10,
        row_jobs: 20,
        rate_rounds: 2,
        rate_span: Duration::from_millis(300),
        running_jobs: 20,
        watchers: 60,
        idle_span: Duration::from_secs(1),
        stored_jobs: 300,
        listings: 30,
        pages: 1,
        browsers: 2,
        families: 5,
        watched_span: Duration::from_secs(2),
    };
}
