//! The table of metrics as a page for people, so that what is written of them cannot drift from what is counted.

use std::fmt::Write as _;

use super::table::{Described, Kind, Labels, METRICS};

/// What stands above the table.
const HEAD: &str = "\
# Metrics

Made from the program's own table by `make generate`; do not edit.

`GET /metrics` answers with these, in the text format of Prometheus, to whoever shows the token as a bearer. Counters and
histograms begin at 0 with each start of the service; the other values are read at the moment of the request. Labels hold
words of the contract alone, never a URL, a task or a caller, so the number of series is bounded.
[`packaging/prometheus/`](../packaging/prometheus/) has the scrape configuration and alerts,
[`packaging/grafana/`](../packaging/grafana/) a dashboard.

";

/// The page, as Markdown.
#[must_use]
pub fn metrics_page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| metric | type | labels | |\n|---|---|---|---|\n");
    for metric in METRICS {
        let Described { name, help, .. } = metric;
        let _ = writeln!(page, "| `{name}` | {} | {} | {help} |", metric.kind.name(), labels(metric.labels));
    }
    page.push_str("\n## Buckets\n\nThe upper bounds of the histograms; `+Inf` is always the last.\n\n");
    page.push_str("| histogram | bounds |\n|---|---|\n");
    for metric in METRICS {
        let Kind::Histogram(bounds) = metric.kind else { continue };
        let bounds: Vec<_> = bounds.iter().map(ToString::to_string).collect();
        let _ = writeln!(page, "| `{}` | {} |", metric.name, bounds.join(", "));
    }
    page
}

fn labels(labels: Labels) -> String {
    match labels {
        Labels::None => String::new(),
        Labels::Each(name, values) => {
            let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
            format!("`{name}`: {}", values.join(", "))
        }
        Labels::AsTheyCome(names) => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_has_its_row_and_each_histogram_its_bounds() {
        let page = metrics_page();
        for metric in METRICS {
            let rows = if matches!(metric.kind, Kind::Histogram(_)) { 2 } else { 1 };
            assert_eq!(page.matches(&format!("| `{}` |", metric.name)).count(), rows, "{}", metric.name);
        }
    }

    #[test]
    fn no_text_ends_its_cell() {
        for line in metrics_page().lines().filter(|line| line.starts_with("| `")) {
            assert!(matches!(line.matches('|').count(), 3 | 5), "{line}");
        }
    }
}
