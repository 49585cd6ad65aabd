//! `doctor`: tells what a service is set up with, what it would meet here, and how a running one fares.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use clap::Args;
use serde_json::{Value, json};
use tonic::Code;

use super::{Exit, Problem, args::Format, print::plain, settings::SettingFlags};
use crate::{
    api::{
        json::message,
        v1::{GetRunnerRequest, GetRunnerResponse, get_runner_response::Problem as Obstacle},
    },
    client::Target,
    config::Effective,
    server::doctor::{self, Finding, Level},
};

/// Arguments of `doctor`: those of `serve`, so that it looks at what such a service would meet.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    flags: SettingFlags,
    #[command(flatten)]
    format: Format,
}

impl Doctor {
    pub(super) async fn run(self) -> Result<Exit, Problem> {
        let effective = self.flags.resolve()?;
        let (settings, file) = (effective.settings.clone(), effective.file.clone());
        let examined = tokio::task::spawn_blocking(move || doctor::examine(&settings, file.as_deref())).await;
        let mut findings = examined.map_err(|error| Problem::NoService(format!("looking failed: {error}")))?;
        let (runner, more) = ask(&effective).await;
        findings.extend(more);
        let text = if self.format.json {
            as_json(&effective, &findings, runner.as_ref())
        } else {
            lines(&effective, &findings)
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()?;
        let well = findings.iter().all(|finding| finding.level != Level::Problem);
        Ok(if well { Exit::Done } else { Exit::NoService })
    }
}

/// What a running service says of itself.
async fn ask(effective: &Effective) -> (Option<GetRunnerResponse>, Vec<Finding>) {
    let about = "service";
    let state_dir = &effective.settings.state_dir;
    match doctor::is_running(state_dir) {
        Some(true) => {}
        Some(false) => return (None, vec![Finding::ok(about, "none runs on the state directory")]),
        None => return (None, vec![Finding::warning(about, "whether one runs cannot be told", "run as its user")]),
    }
    let answered = async {
        let mut client = Target::On(state_dir.clone()).connect().await?;
        Ok::<_, Problem>(client.get_runner(GetRunnerRequest {}).await?.into_inner())
    };
    match answered.await {
        Ok(runner) => {
            let findings = of_runner(&runner);
            (Some(runner), findings)
        }
        Err(Problem::Refused(refused)) if refused.code == Code::Unimplemented => {
            let what = "one runs that is older than this program, and does not tell how it fares";
            (None, vec![Finding::warning(about, what, "restart it with this program")])
        }
        Err(problem) => {
            let why = problem.text().unwrap_or_default();
            let what = format!("one runs on the state directory, and cannot be asked: {why}");
            (None, vec![Finding::problem(about, what, "restart it")])
        }
    }
}

fn of_runner(runner: &GetRunnerResponse) -> Vec<Finding> {
    let about = "service";
    let load = runner.load.unwrap_or_default();
    let limits = runner.limits.unwrap_or_default();
    let what = format!(
        "version {} runs: {} of {} slots taken, {} of {} launches under way, {} of {} windows open, {} waiting, {} watching; the token's scope is {}",
        runner.version,
        load.slots_taken,
        limits.slots,
        load.launches_in_flight,
        limits.launches_max,
        load.windows_open,
        limits.windows_max,
        load.queue_len,
        load.watchers,
        runner.scope().as_str_name()
    );
    let mut findings = vec![if runner.version == env!("CARGO_PKG_VERSION") {
        Finding::ok(about, what)
    } else {
        Finding::warning(about, what, format!("restart it to run version {}", env!("CARGO_PKG_VERSION")))
    }];
    // An unready service has obstacles before whatever else it has to say.
    let finding = if runner.ready { Finding::warning } else { Finding::problem };
    findings.extend(runner.problems.iter().cloned().map(|Obstacle { what, remedy }| finding(about, what, remedy)));
    findings
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Warning => "warning",
        Level::Problem => "problem",
    }
}

fn lines(effective: &Effective, findings: &[Finding]) -> String {
    let mut text = String::from("settings\n");
    let shown: Vec<_> = effective
        .shown()
        .map(|shown| (shown.name, shown.value.unwrap_or_else(|| "-".to_owned()), shown.source))
        .collect();
    let width = |of: &dyn Fn(usize) -> usize| (0..shown.len()).map(of).max().unwrap_or_default();
    let name_width = width(&|at| shown[at].0.len());
    // One long list must not push every source off the screen.
    let value_width = width(&|at| shown[at].1.chars().count()).min(VALUE_WIDTH_MAX);
    for (name, value, source) in &shown {
        let (value, source) = (plain(value), plain(&source.to_string()));
        let _ = writeln!(text, "  {name:name_width$}  {value:value_width$}  {source}");
    }
    text.push_str("\nfindings\n");
    let about_width = findings.iter().map(|finding| finding.about.len()).max().unwrap_or_default();
    for finding in findings {
        let level = word(finding.level);
        let _ = writeln!(text, "  {level:LEVEL_WIDTH$}  {:about_width$}  {}", finding.about, plain(&finding.what));
        if !finding.remedy.is_empty() {
            let _ = writeln!(text, "  {:LEVEL_WIDTH$}  {:about_width$}  -> {}", "", "", plain(&finding.remedy));
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let _ = write!(text, "\n{} problems, {} warnings", count(Level::Problem), count(Level::Warning));
    text
}

/// Widest level ("problem"), so that columns stand.
const LEVEL_WIDTH: usize = 7;
/// Widest value that moves the column behind it.
const VALUE_WIDTH_MAX: usize = 40;

fn as_json(effective: &Effective, findings: &[Finding], runner: Option<&GetRunnerResponse>) -> String {
    let settings: Vec<_> = effective
        .shown()
        .map(|shown| json!({"name": shown.name, "value": shown.value, "source": shown.source.to_string()}))
        .collect();
    let findings: Vec<_> = findings
        .iter()
        .map(|finding| {
            json!({
                "level": word(finding.level),
                "about": finding.about,
                "what": finding.what,
                "remedy": finding.remedy,
            })
        })
        .collect();
    let runner: Option<Value> =
        runner.and_then(|runner| serde_json::from_str(&message("GetRunnerResponse", runner)).ok());
    json!({"settings": settings, "findings": findings, "runner": runner}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn obstacles_of_a_service_are_problems_and_the_rest_are_warnings() {
        let runner = |ready, problems: &[(&str, &str)]| GetRunnerResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready,
            problems: problems
                .iter()
                .map(|(what, remedy)| Obstacle { what: (*what).to_owned(), remedy: (*remedy).to_owned() })
                .collect(),
            ..GetRunnerResponse::default()
        };
        let levels =
            |runner: &GetRunnerResponse| of_runner(runner).iter().map(|finding| finding.level).collect::<Vec<_>>();
        assert_eq!(levels(&runner(true, &[])), [Level::Ok]);
        assert_eq!(levels(&runner(true, &[("a", "b")])), [Level::Ok, Level::Warning]);
        let unready = of_runner(&runner(false, &[("the disk is full; so it is", "make room")]));
        let told = (unready[1].level, unready[1].what.as_str(), unready[1].remedy.as_str());
        assert_eq!(told, (Level::Problem, "the disk is full; so it is", "make room"));
    }
}
