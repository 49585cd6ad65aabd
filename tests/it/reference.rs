//! Pages, dashboard and alerts beside the tables that they speak of: what is stale or misspelt fails here.

use std::{collections::BTreeSet, fs, path::Path};

use comet_task_runner::telemetry::{Kind, Labels, METRICS};
use serde_json::Value;

use super::cli::{ended, program};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[tokio::test]
async fn the_pages_say_what_the_programs_tables_say() {
    for (page, path) in [("metrics", "docs/metrics.md"), ("configuration", "docs/configuration.md")] {
        let printed = ended(program(&["reference", page])).await;
        assert_eq!(printed.code, Some(0), "{}", printed.stderr);
        assert!(printed.stdout == read(path), "{path} is stale; `make generate` writes it anew");
    }
}

#[tokio::test]
async fn the_file_to_begin_with_is_one_that_the_program_takes() {
    let printed = ended(program(&["reference", "config-file"])).await;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config.toml");
    fs::write(&file, printed.stdout).unwrap();
    let mut doctor = program(&["doctor", "--state-dir"]);
    doctor.arg(home.path().join("s")).arg("--config").arg(&file);
    let told = ended(doctor).await;
    assert!(told.stdout.contains(file.to_str().unwrap()), "{}{}", told.stdout, told.stderr);
}

/// Labels that a scrape adds, and the one of a histogram's buckets.
const LABELS_OF_PROMETHEUS: [&str; 3] = ["job", "instance", "le"];

/// The words of an expression: names of metrics, labels and functions. What is quoted is a value.
fn words(expression: &str) -> Vec<String> {
    let code: String = expression.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let parts = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '$');
    parts.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The metrics of the table that an expression names, and what is wrong with it.
fn check(expression: &str) -> (BTreeSet<&'static str>, Vec<String>) {
    let (mut named, mut wrong) = (BTreeSet::new(), Vec::new());
    let mut labels = BTreeSet::from(LABELS_OF_PROMETHEUS);
    for word in
        words(expression).iter().filter(|word| word.starts_with("comet_task_runner_") || word.starts_with("process_"))
    {
        let of_histogram = |name: &str| ["_bucket", "_sum", "_count"].iter().any(|end| *word == format!("{name}{end}"));
        let metric = METRICS.iter().find(|metric| match metric.kind {
            Kind::Counter | Kind::Gauge => metric.name == word,
            Kind::Histogram(_) => of_histogram(metric.name),
        });
        match metric {
            None => wrong.push(format!("{word} is no metric: {expression}")),
            Some(metric) => {
                named.insert(metric.name);
                match metric.labels {
                    Labels::None => {}
                    Labels::Each(name, _) => drop(labels.insert(name)),
                    Labels::AsTheyCome(names) => labels.extend(names),
                }
            }
        }
    }
    let lists = expression.match_indices("by (").map(|(at, begin)| &expression[at + begin.len()..]);
    let grouped = lists.flat_map(|rest| rest.split(')').next().unwrap().split(',')).map(|name| name.trim().to_owned());
    let braces = expression.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(inside, _)| inside);
    let matched = braces.flat_map(words);
    for label in grouped.chain(matched) {
        if !labels.contains(label.as_str()) {
            wrong.push(format!("no metric of it has the label {label}: {expression}"));
        }
    }
    (named, wrong)
}

#[test]
fn a_misspelt_metric_or_label_is_caught() {
    assert_eq!(check("sum by (status) (comet_task_runner_jobs{job=~\"$job\"})").1, Vec::<String>::new());
    assert_eq!(check("comet_task_runner_jobz").1.len(), 1);
    assert_eq!(check("sum by (state) (comet_task_runner_jobs)").1.len(), 1);
    assert_eq!(check("comet_task_runner_queue_length{status=\"x\"}").1.len(), 1);
    assert_eq!(check("rate(comet_task_runner_commit_seconds[5m])").1.len(), 1, "a histogram has no such series");
    assert_eq!(check("rate(comet_task_runner_commit_seconds_bucket[5m])").0.len(), 1);
}

fn dashboard() -> Value {
    serde_json::from_str(&read("packaging/grafana/comet-task-runner.json")).unwrap()
}

fn texts<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key).and_then(Value::as_str));
            fields.values().for_each(|field| texts(field, key, found));
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, key, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_dashboard_shows_every_metric_and_none_that_there_is_not() {
    let dashboard = dashboard();
    let mut expressions = Vec::new();
    texts(&dashboard, "expr", &mut expressions);
    assert!(expressions.len() > 30, "the expressions are found");
    let checked: Vec<_> = expressions.iter().map(|expression| check(expression)).collect();
    let wrong: Vec<_> = checked.iter().flat_map(|(_, wrong)| wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let shown: BTreeSet<_> = checked.into_iter().flat_map(|(named, _)| named).collect();
    let missing: Vec<_> = METRICS.iter().map(|metric| metric.name).filter(|name| !shown.contains(name)).collect();
    assert!(missing.is_empty(), "no panel shows {missing:?}");
}

#[test]
fn the_dashboard_takes_its_source_from_a_variable_and_its_panels_lie_side_by_side() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!((&variables[0]["name"], &variables[0]["type"]), (&"datasource".into(), &"datasource".into()));
    let mut sources = Vec::new();
    texts(&dashboard, "uid", &mut sources);
    assert!(sources.iter().all(|uid| ["${datasource}", "comet-task-runner"].contains(uid)), "{sources:?}");

    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels have one id: {panel}");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(x + w <= 24, "{}", panel["title"]);
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{} lies over another panel", panel["title"]);
        }
    }
}

#[test]
fn the_alerts_name_metrics_and_labels_that_there_are() {
    let alerts = read("packaging/prometheus/alerts.yml");
    let mut expressions = Vec::new();
    let mut lines = alerts.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(expression) = line.trim().strip_prefix("expr:") else { continue };
        let mut expression = expression.trim_start_matches(" |").to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with("          ")) {
            expression.push_str(more);
        }
        expressions.push(expression);
    }
    assert_eq!(expressions.len(), alerts.matches("- alert:").count());
    let wrong: Vec<_> = expressions.iter().flat_map(|expression| check(expression).1).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(expressions.iter().all(|expression| words(expression).len() > 1), "{expressions:#?}");
}
