//! `doctor`: that it tells what is so, what to do about it, and leaves everything as it was.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;
use tokio::process::Command;

use super::{
    cli::{Ended, ended, program},
    service::{Options, Service},
    stub::stub_browser,
};

/// `doctor` on a state directory, with the stub as a browser that needs no sandbox.
fn doctor(state_dir: &Path, args: &[&str]) -> Command {
    let mut doctor = program(&["doctor", "--no-sandbox", "--state-dir"]);
    doctor.arg(state_dir).arg("--browser").arg(format!("stub={},exit-only", stub_browser().display())).args(args);
    doctor
}

fn json(end: &Ended) -> Value {
    serde_json::from_str(&end.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", end.stdout, end.stderr))
}

/// The levels and words of everything found about something.
fn about(told: &Value, about: &str) -> Vec<(String, String)> {
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let findings = told["findings"].as_array().unwrap().iter().filter(|finding| finding["about"] == about);
    findings
        .map(|finding| (text(finding, "level"), format!("{} -> {}", text(finding, "what"), text(finding, "remedy"))))
        .collect()
}

fn setting<'a>(told: &'a Value, name: &str) -> (&'a Value, &'a str) {
    let found = told["settings"].as_array().unwrap().iter().find(|setting| setting["name"] == name).unwrap();
    (&found["value"], found["source"].as_str().unwrap())
}

fn files(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir).unwrap().flatten().map(|file| file.file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn each_setting_is_told_with_where_it_comes_from() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("c.toml");
    fs::write(&config, "slots = 3\nqueue = 4\nwebhook_url = \"https://example.org/receivers-own?key=receivers-own\"\n")
        .unwrap();
    let mut call = doctor(&home.path().join("s"), &["--json", "--watchers", "9", "--config", config.to_str().unwrap()]);
    call.env("COMET_TASK_RUNNER_QUEUE", "5");
    let end = ended(call).await;
    let told = json(&end);
    assert_eq!(setting(&told, "slots"), (&"3".into(), format!("{}:1", config.display()).as_str()));
    assert_eq!(setting(&told, "queue"), (&"5".into(), "COMET_TASK_RUNNER_QUEUE"));
    assert_eq!(setting(&told, "watchers"), (&"9".into(), "--watchers"));
    assert_eq!(setting(&told, "drain"), (&"10s".into(), "default"));
    assert_eq!(setting(&told, "tls_cert"), (&Value::Null, "default"));
    assert_eq!(setting(&told, "webhook_url").0, &"https://example.org/...");
    assert!(!end.stdout.contains("receivers-own"), "a receiver's secret is not told: {}", end.stdout);
    assert_eq!(end.code, Some(0), "{}", end.stdout);
    assert!(!home.path().join("s").exists(), "nothing was made");
}

#[tokio::test]
async fn what_keeps_tasks_away_is_a_problem_with_its_remedy_and_exit_code_three() {
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(home.path().join("ledger.sqlite"), "this is no store of ours, and never was one at all").unwrap();
    let args = ["--json", "--listen", "0.0.0.0:1", "--tls-key", "/k", "--browser", "gone=/nowhere/at/all"];
    let mut call = doctor(home.path(), &args);
    call.env("COMET_TASK_RUNNER_RUN_DIR", "/tmp/a-base-directory-that-is-far-too-long");
    let end = ended(call).await;
    assert_eq!(end.code, Some(3), "{}", end.stdout);
    let told = json(&end);
    for (what, level, words) in [
        ("state directory", "problem", "chmod 700"),
        ("ledger", "problem", "not a store of this program"),
        ("run directory", "problem", "COMET_TASK_RUNNER_RUN_DIR"),
        ("address", "problem", "--tls-cert"),
        ("certificate", "problem", "set both"),
        ("browser", "warning", "/nowhere/at/all"),
        ("browser", "ok", "stub"),
    ] {
        let found = about(&told, what);
        assert!(found.iter().any(|(is, text)| is == level && text.contains(words)), "{what}: {found:?}");
    }
    assert_eq!(files(home.path()), ["ledger.sqlite".to_owned()].into());
}

#[tokio::test]
async fn as_root_without_the_choice_to_go_unsandboxed_the_sandbox_is_a_problem() {
    if !rustix::process::geteuid().is_root() {
        return super::real::not_run("it has to be root, whom Chromium's sandbox refuses");
    }
    let home = tempfile::tempdir().unwrap();
    let mut call = program(&["doctor", "--json", "--state-dir"]);
    call.arg(home.path().join("s"));
    let end = ended(call).await;
    assert_eq!(end.code, Some(3));
    let found = about(&json(&end), "sandbox");
    assert!(found[0].0 == "problem" && found[0].1.contains("--no-sandbox"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_is_asked_how_it_fares_and_a_killed_one_is_not_taken_for_one() {
    let mut service = Service::start_with(Options::default().arg("--no-sandbox").arg("--slots").arg("3"));
    let before = files(&service.state_dir());
    let end = ended(doctor(&service.state_dir(), &["--json"])).await;
    let told = json(&end);
    assert_eq!(end.code, Some(0), "{}", end.stdout);
    assert_eq!(told["runner"]["limits"]["slots"], 3);
    let found = about(&told, "service");
    assert!(found[0].0 == "ok" && found[0].1.contains("0 of 3 slots taken"), "{found:?}");
    assert_eq!(about(&told, "ledger")[0].0, "ok");
    assert_eq!(files(&service.state_dir()), before);

    let end = ended(doctor(&service.state_dir(), &[])).await;
    assert_eq!(end.code, Some(0), "{}", end.stdout);
    assert!(end.stdout.contains("0 problems"), "{}", end.stdout);
    let listen = end.stdout.lines().find(|line| line.trim_start().starts_with("listen ")).unwrap();
    assert!(listen.ends_with("default") && listen.contains("127.0.0.1:50051"), "{listen}");

    service.kill();
    let end = ended(doctor(&service.state_dir(), &["--json"])).await;
    assert_eq!(end.code, Some(0), "{}", end.stdout);
    assert!(about(&json(&end), "service")[0].1.starts_with("none runs"), "{}", end.stdout);
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_a_problem() {
    let service = Service::start_with(Options::default().arg("--no-sandbox"));
    service.signal(rustix::process::Signal::STOP);
    let end = ended(doctor(&service.state_dir(), &["--json"])).await;
    assert_eq!(end.code, Some(3), "{}", end.stdout);
    let found = about(&json(&end), "service");
    assert!(found[0].0 == "problem" && found[0].1.contains("did not answer"), "{found:?}");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_told_first() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("c.toml");
    fs::write(&config, "slotz = 3\n").unwrap();
    let end = ended(doctor(&home.path().join("s"), &["--config", config.to_str().unwrap()])).await;
    assert_eq!((end.code, end.stdout.as_str()), (Some(2), ""));
    assert!(end.stderr.contains("did you mean \"slots\"?"), "{}", end.stderr);
}
