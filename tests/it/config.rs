//! Settings from flags, environment and file, as a started service shows them.

use std::fs;

use comet_task_runner::api::v1::GetRunnerRequest;
use tokio::process::Command;

use super::{
    cli::{ended, program},
    service::{Options, Service},
};

/// A home for a service, with a configuration file in its state directory.
fn home_with(config: &str) -> tempfile::TempDir {
    let home = tempfile::Builder::new().prefix("ct").tempdir_in("/tmp").unwrap();
    fs::create_dir(home.path().join("r")).unwrap();
    let mut dir = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut dir, 0o700).create(home.path().join("s")).unwrap();
    fs::write(home.path().join("s/config.toml"), config).unwrap();
    home
}

#[tokio::test]
async fn a_service_holds_what_flags_environment_and_file_came_to() {
    let home = home_with("slots = 2\nqueue = 3\nwatchers = 4\n");
    let options = Options::default()
        .env("COMET_TASK_RUNNER_SLOTS", "5")
        .env("COMET_TASK_RUNNER_QUEUE", "6")
        .arg("--slots")
        .arg("7");
    let service = Service::start_in(home, options);
    let told = service.client().await.get_runner(GetRunnerRequest {}).await.unwrap().into_inner();
    let limits = told.limits.unwrap();
    assert_eq!((limits.slots, limits.queue_max, limits.watchers_max), (7, 6, 4));
}

/// `serve` on a fresh state directory, with no browser by hand.
fn serve(home: &tempfile::TempDir, args: &[&str]) -> Command {
    let mut serve = program(&["serve", "--listen", "127.0.0.1:0", "--state-dir"]);
    serve.arg(home.path().join("s")).args(args).env("COMET_TASK_RUNNER_RUN_DIR", home.path().join("r"));
    serve
}

#[tokio::test]
async fn a_mistake_is_told_with_its_place_and_nothing_is_started() {
    for (config, told) in [
        ("slots = 1\nslotz = 2\n", "config.toml:2: unknown setting \"slotz\"; did you mean \"slots\"?"),
        ("\ndrain = 10\n", "config.toml:2: drain: 10 has no unit; write the duration as \"10s\""),
        ("slots = \"many\"\n", "config.toml:1: slots: expected a whole number from 1 on, found the text \"many\""),
        ("slots 1\n", "config.toml:1: "),
    ] {
        let home = home_with(config);
        let end = ended(serve(&home, &[])).await;
        assert_eq!((end.code, end.stdout.as_str()), (Some(2), ""), "{}", end.stderr);
        assert!(end.stderr.starts_with("error: ") && end.stderr.contains(told), "{}", end.stderr);
        assert!(!home.path().join("s/ledger.sqlite").exists());
    }
}

#[cfg(not(feature = "otel"))]
#[tokio::test]
async fn a_program_without_tracing_says_how_to_get_one_that_has_it() {
    let end = ended(serve(&home_with(""), &["--otlp-endpoint", "http://127.0.0.1:4317"])).await;
    assert_eq!(end.code, Some(2));
    assert!(
        end.stderr.contains("--otlp-endpoint: needs a program with tracing in it; build one with"),
        "{}",
        end.stderr
    );
}

#[tokio::test]
async fn a_file_that_is_named_goes_before_the_state_directorys_own() {
    let home = home_with("slotz = 1\n");
    let end = ended(serve(&home, &["--config", "/nowhere/at/all.toml"])).await;
    assert_eq!(end.code, Some(2));
    assert!(end.stderr.contains("/nowhere/at/all.toml cannot be read"), "{}", end.stderr);

    let named = home.path().join("named.toml");
    fs::write(&named, "watchers = 9\n").unwrap();
    let service = Service::start_in(home, Options::default().env("COMET_TASK_RUNNER_CONFIG", named.to_str().unwrap()));
    let told = service.client().await.get_runner(GetRunnerRequest {}).await.unwrap().into_inner();
    assert_eq!(told.limits.unwrap().watchers_max, 9);
}

#[tokio::test]
async fn what_is_logged_is_a_setting() {
    let quiet = Options { env: vec![("RUST_LOG".to_owned(), None)], ..Options::default() };
    let mut service = Service::start_with(quiet.clone().arg("--log").arg("error"));
    service.terminate();
    assert_eq!(service.log_to_end(), "");

    let mut service = Service::start_with(quiet.clone());
    service.terminate();
    let log = service.log_to_end();
    let events: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().any(|event| event["message"] == "serving"), "{log}");

    let mut service = Service::start_with(quiet.arg("--log-format").arg("pretty"));
    service.terminate();
    let log = service.log_to_end();
    assert!(log.contains("serving") && log.lines().all(|line| !line.starts_with('{')), "{log}");
}

#[tokio::test]
async fn a_logged_name_can_neither_begin_a_line_nor_speak_to_a_terminal() {
    let hostile = "gone=/nowhere\u{1b}[2J\r\n2026-01-01T00:00:00Z INFO all is well\u{202e}";
    for format in ["pretty", "json"] {
        let mut service =
            Service::start_with(Options::default().arg("--browser").arg(hostile).arg("--log-format").arg(format));
        service.terminate();
        let log = service.log_to_end();
        assert_eq!(log.lines().filter(|line| line.contains("all is well")).count(), 1, "{log}");
        assert!(log.lines().all(|line| !line.starts_with("2026-01-01")), "{log}");
        assert!(!log.contains(['\u{1b}', '\r', '\u{202e}']), "{log:?}");
    }
}
