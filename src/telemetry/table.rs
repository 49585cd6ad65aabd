//! The table of metrics: each one's name, kind, labels and meaning.

/// One metric.
#[derive(Debug)]
pub struct Described {
    /// By the conventions of Prometheus: unit last, and `_total` after what only grows.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What tells its series apart.
    pub labels: Labels,
    /// What it means.
    pub help: &'static str,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts what was measured by these upper bounds, ascending.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word that Prometheus has for it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// What tells the series of a metric apart. Only words of our own, so that their number is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// There is one series.
    None,
    /// One for each of these values, there from the start.
    Each(&'static str, &'static [&'static str]),
    /// One for each combination that has come, by these names.
    AsTheyCome(&'static [&'static str]),
}

impl Labels {
    /// Whether these are the labels that a series has.
    pub(super) fn take(self, key: &metrics::Key) -> bool {
        let labels: Vec<_> = key.labels().collect();
        match self {
            Self::None => labels.is_empty(),
            Self::Each(name, values) => {
                matches!(labels.as_slice(), [one] if one.key() == name && values.contains(&one.value()))
            }
            Self::AsTheyCome(names) => labels.iter().map(|label| label.key()).eq(names.iter().copied()),
        }
    }
}

/// From a tenth of what an exit takes to reach a watcher on an idle machine, to what a person notices.
const PUSH_SECONDS: &[f64] = &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];
/// From a commit without a disk beneath, to a disk on which a service is no pleasure.
const COMMIT_SECONDS: &[f64] = &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];
/// Powers of two, up to the most that are committed together.
const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// From a fork and an exec, to the default launch timeout.
const LAUNCH_SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// From not at all, over the launch of another browser, to as long as a task may well run.
const QUEUE_SECONDS: &[f64] =
    &[0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0];

/// Every metric, in the order in which they are shown.
pub const METRICS: &[Described] = &[
    Described {
        name: "comet_task_runner_build_info",
        kind: Kind::Gauge,
        labels: Labels::AsTheyCome(&["version"]),
        help: "1, for the version that runs.",
    },
    Described {
        name: "comet_task_runner_ready",
        kind: Kind::Gauge,
        labels: Labels::None,
        help: "1 when tasks are taken, else 0; /readyz says why.",
    },
    Described {
        name: "comet_task_runner_jobs",
        kind: Kind::Gauge,
        labels: Labels::AsTheyCome(&["status"]),
        help: "Jobs that are looked after, finished ones with an open window included.",
    },
    Described {
        name: "comet_task_runner_jobs_finished_total",
        kind: Kind::Counter,
        labels: Labels::AsTheyCome(&["status", "reason"]),
        help: "Jobs whose status became terminal.",
    },
    Described {
        name: "comet_task_runner_queue_length",
        kind: Kind::Gauge,
        labels: Labels::None,
        help: "Jobs that wait to be let go.",
    },
    Described {
        name: "comet_task_runner_slots_taken",
        kind: Kind::Gauge,
        labels: Labels::None,
        help: "Slots that are taken.",
    },
    Described {
        name: "comet_task_runner_slots",
        kind: Kind::Gauge,
        labels: Labels::None,
        help: "Slots that there are.",
    },
    Described {
        name: "comet_task_runner_launches_in_flight",
        kind: Kind::Gauge,
        labels: Labels::None,
        help: "Browsers that are coming up.",
    },
    Described {
        name: "comet_task_runner_windows_open",
        kind: Kind::Gauge,
        labels: Labels::None,
        help: "Windows that are open, those of finished jobs included.",
    },
    Described {
        name: "comet_task_runner_windows_kept",
        kind: Kind::Gauge,
        labels: Labels::None,
        help: "Windows of finished jobs that are open.",
    },
    Described {
        name: "comet_task_runner_queue_seconds",
        kind: Kind::Histogram(QUEUE_SECONDS),
        labels: Labels::None,
        help: "From the entrance of the queue until a job is let go; 0 for one that need not wait.",
    },
    Described {
        name: "comet_task_runner_limit_refusals_total",
        kind: Kind::Counter,
        labels: Labels::Each("limit", &["queue", "watchers"]),
        help: "Calls that were refused, by the limit that they met.",
    },
    Described {
        name: "comet_task_runner_launches_total",
        kind: Kind::Counter,
        labels: Labels::Each("outcome", &["running", "failed", "timed_out"]),
        help: "Browsers that were to be started, by what came of it.",
    },
    Described {
        name: "comet_task_runner_launch_seconds",
        kind: Kind::Histogram(LAUNCH_SECONDS),
        labels: Labels::None,
        help: "From the word that lets a browser start until its job is recorded as RUNNING.",
    },
    Described {
        name: "comet_task_runner_exit_to_push_seconds",
        kind: Kind::Histogram(PUSH_SECONDS),
        labels: Labels::None,
        help: "From the decision that a job is over, before its commit, until a watcher that was up to date gets it.",
    },
    Described {
        name: "comet_task_runner_commit_seconds",
        kind: Kind::Histogram(COMMIT_SECONDS),
        labels: Labels::None,
        help: "What a commit of the ledger takes, failed ones included.",
    },
    Described {
        name: "comet_task_runner_commit_batch_size",
        kind: Kind::Histogram(BATCH),
        labels: Labels::None,
        help: "Pieces of work that are committed together.",
    },
    Described {
        name: "comet_task_runner_watchers",
        kind: Kind::Gauge,
        labels: Labels::Each("kind", &["job", "jobs", "log"]),
        help: "Streams that watch one job or many, or read what a browser says.",
    },
    Described {
        name: "comet_task_runner_resumes_total",
        kind: Kind::Counter,
        labels: Labels::None,
        help: "Streams that went on from their resume token.",
    },
    Described {
        name: "comet_task_runner_resets_total",
        kind: Kind::Counter,
        labels: Labels::None,
        help: "Streams that began anew because their resume token could not be honoured.",
    },
    Described {
        name: "comet_task_runner_callbacks_total",
        kind: Kind::Counter,
        labels: Labels::Each("outcome", &["applied", "known", "refused", "denied", "unavailable"]),
        help: "Reports of pages and of services on their behalf, by what came of them.",
    },
    Described {
        name: "comet_task_runner_refused_total",
        kind: Kind::Counter,
        labels: Labels::AsTheyCome(&["reason"]),
        help: "Requests that did not pass the guard.",
    },
    Described {
        name: "comet_task_runner_webhook_deliveries_total",
        kind: Kind::Counter,
        labels: Labels::Each("outcome", &["delivered", "failed", "given_up"]),
        help: "Attempts to post the end of a job, by what came of them; a failed one is made again.",
    },
    Described {
        name: "process_start_time_seconds",
        kind: Kind::Gauge,
        labels: Labels::None,
        help: "When the service was started, since 1970.",
    },
    Described {
        name: "process_cpu_seconds_total",
        kind: Kind::Counter,
        labels: Labels::None,
        help: "Processor time of the service itself, without its browsers.",
    },
    Described {
        name: "process_resident_memory_bytes",
        kind: Kind::Gauge,
        labels: Labels::None,
        help: "Memory of the service itself, without its browsers.",
    },
    Described {
        name: "process_open_fds",
        kind: Kind::Gauge,
        labels: Labels::None,
        help: "Descriptors that the service has open.",
    },
    Described {
        name: "process_max_fds",
        kind: Kind::Gauge,
        labels: Labels::None,
        help: "Descriptors that it may have open.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bounds_follow_the_conventions() {
        for metric in METRICS {
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted(), "{}", metric.name);
            }
            assert_eq!(METRICS.iter().filter(|other| other.name == metric.name).count(), 1, "{}", metric.name);
        }
    }
}
