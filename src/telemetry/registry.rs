//! Keeps what is counted: one family for each metric of the table, and nothing else.
//!
//! A histogram is a row of counters, so what it takes is fixed however long nobody asks, and nothing has to be tidied
//! up on a timer. Recording is two additions to atomic numbers; handles are looked up once by those who record often.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::table::{Described, Kind, Labels, METRICS};

/// Series of one metric: the most that labels of ours can come to is some hundred. More are not kept, and are a bug.
const SERIES_MAX: usize = 256;

/// Names and values, as they are shown.
pub(super) type LabelSet = Vec<(String, String)>;

/// Everything that is counted.
#[derive(Debug)]
pub struct Registry {
    families: Vec<Family>,
}

/// One metric with all its series.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) described: &'static Described,
    series: Mutex<BTreeMap<LabelSet, Series>>,
}

/// One series.
#[derive(Clone, Debug)]
pub(super) enum Series {
    Counter(Arc<AtomicU64>),
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Buckets>),
}

/// How often something was measured, by upper bound.
#[derive(Debug)]
pub(super) struct Buckets {
    pub(super) bounds: &'static [f64],
    /// One more than there are bounds: the last one is for what is above them all.
    counts: Box<[AtomicU64]>,
    /// The bits of a float.
    sum: AtomicU64,
}

static REGISTRY: OnceLock<Registry> = OnceLock::new();

/// Begins to count, for the whole program. Calling it again changes nothing.
pub fn install() {
    super::own::started_s();
    // The first one stays: another recorder can only be one of a test.
    drop(metrics::set_global_recorder(registry()));
}

/// What is counted.
pub fn registry() -> &'static Registry {
    REGISTRY.get_or_init(Registry::new)
}

impl Registry {
    fn new() -> Self {
        let families = METRICS.iter().map(Family::new).collect();
        Self { families }
    }

    pub(super) fn families(&self) -> &[Family] {
        &self.families
    }

    fn series(&self, key: &Key, wanted: &str) -> Option<Series> {
        let Some(family) = self.families.iter().find(|family| family.described.name == key.name()) else {
            debug_assert!(false, "{} is not in the table of metrics", key.name());
            return None;
        };
        debug_assert!(family.described.labels.take(key), "{wanted} {key} has other labels than the table says");
        let labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
        let series = family.get(labels);
        debug_assert!(series.is_some(), "{wanted} {key} has more series than labels of ours can make");
        series
    }
}

impl Family {
    fn new(described: &'static Described) -> Self {
        let family = Self { described, series: Mutex::default() };
        // There from the start, so that the first event is seen as a step and not as a beginning.
        match described.labels {
            Labels::None => drop(family.get(Vec::new())),
            Labels::Each(name, values) => {
                for value in values {
                    drop(family.get(vec![(name.to_owned(), (*value).to_owned())]));
                }
            }
            Labels::AsTheyCome(_) => {}
        }
        family
    }

    fn get(&self, labels: LabelSet) -> Option<Series> {
        let mut series = self.lock();
        if let Some(series) = series.get(&labels) {
            return Some(series.clone());
        }
        if series.len() >= SERIES_MAX {
            return None;
        }
        let new = match self.described.kind {
            Kind::Counter => Series::Counter(Arc::default()),
            Kind::Gauge => Series::Gauge(Arc::default()),
            Kind::Histogram(bounds) => Series::Histogram(Arc::new(Buckets::new(bounds))),
        };
        series.insert(labels, new.clone());
        Some(new)
    }

    /// Every series at this moment, in the order of its labels.
    pub(super) fn all(&self) -> Vec<(LabelSet, Series)> {
        self.lock().iter().map(|(labels, series)| (labels.clone(), series.clone())).collect()
    }

    /// The map holds after a panic elsewhere: its edits are single calls.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<LabelSet, Series>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buckets {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::default() }
    }

    /// How often the value was at most each bound, and how often at all; the sum of all values.
    pub(super) fn read(&self) -> (Vec<u64>, f64) {
        let mut total = 0;
        let counts = self.counts.iter().map(|count| {
            total += count.load(Ordering::Relaxed);
            total
        });
        (counts.collect(), f64::from_bits(self.sum.load(Ordering::Relaxed)))
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts[at].fetch_add(1, Ordering::Relaxed);
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

impl Recorder for Registry {
    // Everything is described in the table.
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.series(key, "the counter") {
            Some(Series::Counter(count)) => Counter::from_arc(count),
            Some(Series::Gauge(_) | Series::Histogram(_)) | None => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.series(key, "the gauge") {
            Some(Series::Gauge(value)) => Gauge::from_arc(value),
            Some(Series::Counter(_) | Series::Histogram(_)) | None => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.series(key, "the histogram") {
            Some(Series::Histogram(buckets)) => Histogram::from_arc(buckets),
            Some(Series::Counter(_) | Series::Gauge(_)) | None => Histogram::noop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets() -> Buckets {
        Buckets::new(&[1.0, 2.0, 4.0])
    }

    #[test]
    fn a_value_counts_at_its_bound_and_at_all_above() {
        let buckets = buckets();
        for value in [0.5, 1.0, 1.5, 4.0, 9.0] {
            buckets.record(value);
        }
        assert_eq!(buckets.read(), (vec![2, 3, 4, 5], 16.0));
    }

    #[test]
    fn values_from_many_threads_are_all_counted() {
        let buckets = buckets();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| buckets.record(1.5)));
            }
        });
        assert_eq!(buckets.read(), (vec![0, 40_000, 40_000, 40_000], 60_000.0));
    }

    #[test]
    fn the_same_labels_are_the_same_series_and_their_number_is_bounded() {
        let described = METRICS.iter().find(|metric| metric.name.ends_with("refused_total")).unwrap();
        let family = Family::new(described);
        for _ in 0..2 {
            for number in 0..2 * SERIES_MAX {
                let got = family.get(vec![("reason".to_owned(), number.to_string())]);
                assert_eq!(got.is_some(), number < SERIES_MAX);
            }
        }
        assert_eq!(family.all().len(), SERIES_MAX);
    }
}
