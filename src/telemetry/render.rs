//! Writes what was counted as Prometheus reads it: the text format, version 0.0.4.

use std::{fmt::Write as _, sync::atomic::Ordering};

use super::registry::{Family, LabelSet, Registry, Series};

/// A value that is read when somebody asks, instead of being kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Of which metric.
    pub name: &'static str,
    /// What tells it apart from others of that metric.
    pub label: Option<(&'static str, String)>,
    /// What was read.
    pub value: f64,
}

impl Reading {
    /// The only one of a metric.
    #[must_use]
    pub fn of(name: &'static str, value: f64) -> Self {
        Self { name, label: None, value }
    }
}

impl Registry {
    /// Everything that is counted, with what was read just now.
    #[must_use]
    pub fn render(&self, readings: &[Reading]) -> String {
        let mut text = String::new();
        for family in self.families() {
            let mine: Vec<_> = readings.iter().filter(|reading| reading.name == family.described.name).collect();
            family.describe(&mut text);
            for reading in &mine {
                let labels = reading.label.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
                line(&mut text, reading.name, &labels, reading.value);
            }
            // What is read is not kept as well.
            if mine.is_empty() {
                for (labels, series) in family.all() {
                    family.write(&mut text, &labels, &series);
                }
            }
        }
        text
    }
}

impl Family {
    fn describe(&self, text: &mut String) {
        let name = self.described.name;
        let kind = self.described.kind.name();
        let help = self.described.help;
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn write(&self, text: &mut String, labels: &LabelSet, series: &Series) {
        let name = self.described.name;
        match series {
            Series::Counter(count) => whole_line(text, name, labels, count.load(Ordering::Relaxed)),
            Series::Gauge(bits) => line(text, name, labels, f64::from_bits(bits.load(Ordering::Relaxed))),
            Series::Histogram(buckets) => {
                let (counts, sum) = buckets.read();
                let bounds = buckets.bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
                for (bound, count) in bounds.zip(&counts) {
                    let mut labels = labels.clone();
                    labels.push(("le".to_owned(), bound));
                    whole_line(text, &format!("{name}_bucket"), &labels, *count);
                }
                line(text, &format!("{name}_sum"), labels, sum);
                whole_line(text, &format!("{name}_count"), labels, counts.last().copied().unwrap_or_default());
            }
        }
    }
}

fn whole_line(text: &mut String, name: &str, labels: &LabelSet, value: u64) {
    let _ = writeln!(text, "{name}{} {value}", braces(labels));
}

fn line(text: &mut String, name: &str, labels: &LabelSet, value: f64) {
    let _ = writeln!(text, "{name}{} {value}", braces(labels));
}

fn braces(labels: &LabelSet) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let escape = |value: &str| value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
    let pairs: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_cannot_end_their_line_or_their_quotes() {
        let labels = vec![("a".to_owned(), "x\"y\\z\n".to_owned()), ("b".to_owned(), String::new())];
        let mut text = String::new();
        whole_line(&mut text, "m", &labels, 3);
        assert_eq!(text, "m{a=\"x\\\"y\\\\z\\n\",b=\"\"} 3\n");
    }
}
