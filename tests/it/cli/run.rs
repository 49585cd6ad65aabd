//! `run` with a running service: exit codes, lines, errors and Ctrl-C.

use rustix::process::Signal;

use super::super::service::{Service, ended as job_ended, job_when, stub_url};
use super::{Call, end_of, ended, on, program, states};

#[tokio::test]
async fn the_exit_code_tells_how_the_task_ended() {
    let service = Service::start();
    for (url, extra, code, last) in [
        ("/exit/0", None, 0, ("DONE", "PROCESS_EXITED")),
        ("/exit/3", None, 1, ("FAILED", "PROCESS_FAILED")),
        ("/sleep", Some("--timeout-run=200ms"), 4, ("TIMED_OUT", "RUN_TIMEOUT")),
    ] {
        let url = stub_url(url);
        let mut run = on(&service, &["run", &url]);
        run.args(extra);
        let end = ended(run).await;
        assert_eq!(end.code, Some(code), "{end:?}");
        let states = states(&end.stdout);
        assert_eq!(states[..2], [("CREATED", "ACCEPTED"), ("RUNNING", "LAUNCHED")], "{end:?}");
        assert_eq!(states.last(), Some(&last), "{end:?}");
    }
}

#[tokio::test]
async fn json_has_a_line_for_each_change_and_none_twice() {
    let service = Service::start();
    let url = stub_url("/exit/0");
    let end = ended(on(&service, &["run", &url, "--json", "--label", "team=docs"])).await;
    let lines = end.json();
    let revisions: Vec<_> = lines.iter().map(|line| line["job"]["revision"].as_str().unwrap()).collect();
    assert_eq!(revisions, ["1", "2", "3"], "{end:?}");
    assert!(lines.iter().all(|line| line["kind"] == "CHANGE"), "{end:?}");
    assert_eq!(lines[2]["job"]["status"], "DONE");
    assert_eq!(lines[2]["job"]["labels"]["team"], "docs");
    assert_eq!(lines[2]["final"], true);
    assert_eq!(end.stderr, "", "who reads JSON needs no words");
}

#[tokio::test]
async fn the_arguments_reach_the_job() {
    let service = Service::start();
    let url = stub_url("/exit/0");
    let args = [
        "run",
        &url,
        "--json",
        "--completion-policy",
        "require-report",
        "--request-id",
        "3c1f2f2e-8a37-4a0e-8d3c-1f0f60b6d2b9",
    ];
    let first = ended(on(&service, &args)).await;
    assert_eq!(first.code, Some(1), "{first:?}");
    let job = &first.json().pop().unwrap()["job"];
    assert_eq!(job["reason"], "NO_REPORT");

    let again = ended(on(&service, &args)).await;
    assert_eq!(&again.json().last().unwrap()["job"]["taskId"], &job["taskId"], "the same id is the same task");
}

#[tokio::test]
async fn errors_name_the_field_and_the_remedy() {
    let service = Service::start();
    for (args, code, words) in [
        (&["run", "file:///etc/passwd"][..], 2, &["url", "use http or https"][..]),
        (&["run", "http://stub.test/sleep", "--grace", "2h"], 2, &["termination_grace"]),
        (&["run", "http://stub.test/sleep", "--timeout-run", "soon"], 2, &["--timeout-run", "30s"]),
        (&["run", "http://stub.test/sleep", "--request-id", "seven"], 2, &["request_id"]),
        (&["run", "http://stub.test/sleep", "--label", "team"], 2, &["KEY=VALUE"]),
        (&["run", "http://stub.test/sleep#a", "--callback-delivery", "fragment"], 2, &["url", "fragment \"a\""]),
        (&["status", "seven"], 2, &["task_id", "seven"]),
        (
            &["watch", "01a20ca6-76f5-7271-9a36-060a04fd6865"],
            2,
            &["01a20ca6-76f5-7271-9a36-060a04fd6865", "TASK_NOT_FOUND"],
        ),
        (&["run", "http://stub.test/sleep", "--browser", "netscape"], 2, &["browser", "netscape"]),
    ] {
        let end = ended(on(&service, args)).await;
        assert_eq!(end.code, Some(code), "{args:?}: {end:?}");
        for word in words {
            assert!(end.stderr.contains(word), "{args:?} should say {word:?}: {}", end.stderr);
        }
        assert_eq!(end.stdout, "");
    }
}

#[tokio::test]
async fn a_wrong_token_or_address_is_told_apart() {
    let service = Service::start();
    let home = tempfile::tempdir().unwrap();
    let wrong = home.path().join("wrong");
    std::fs::write(&wrong, "c2VjcmV0").unwrap();
    let refusing = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refusing = format!("http://{refusing}");
    for (server, words) in [(service.address.as_str(), "TOKEN_INVALID"), (refusing.as_str(), refusing.as_str())] {
        let mut status =
            program(&["status", "01a20ca6-76f5-7271-9a36-060a04fd6865", "--server", server, "--token-file"]);
        status.arg(&wrong);
        let end = ended(status).await;
        assert_eq!(end.code, Some(3), "{end:?}");
        assert!(end.stderr.contains(words), "{end:?}");
    }
}

#[tokio::test]
async fn the_first_signal_cancels_and_the_second_forces() {
    let service = Service::start();
    let url = stub_url("/ignore-term");
    let mut run = Call::start(on(&service, &["run", &url, "--grace", "5m"]));
    run.line_with("RUNNING").await;
    run.signal(Signal::INT);
    run.line_with("STOPPING").await;
    run.signal(Signal::INT);
    let end = run.end().await;
    assert_eq!(end.code, Some(4), "{end:?}");
    assert_eq!(states(&end.stdout), [("CANCELLED", "CANCEL_REQUESTED")], "{end:?}");
    assert!(end.stderr.ends_with("cancelling; Ctrl-C again kills the browser\nkilling the browser\n"), "{end:?}");
}

#[tokio::test]
async fn a_reader_that_leaves_ends_the_call_in_silence_and_the_task_goes_on() {
    let service = Service::start();
    let url = stub_url("/sleep");
    let mut run = Call::start(on(&service, &["run", &url, "--json"]));
    let line: serde_json::Value = serde_json::from_str(&run.line().await.unwrap()).unwrap();
    let task_id = line["job"]["taskId"].as_str().unwrap().to_owned();
    let (child, stderr) = run.stop_reading();

    let mut client = service.client().await;
    assert_eq!(job_when(&mut client, &task_id, |_| true).await.status().as_str_name(), "RUNNING");
    let end = ended(on(&service, &["cancel", &task_id])).await;
    assert_eq!(end.code, Some(0), "{end:?}");
    let (status, words) = end_of(child, stderr).await;
    assert_eq!((status.code(), words.as_str()), (Some(141), ""));
    assert_eq!(job_ended(&mut client, &task_id).await.status().as_str_name(), "CANCELLED");
}

#[tokio::test]
async fn the_environment_names_the_service() {
    let service = Service::start();
    let url = stub_url("/exit/0");
    let mut by_directory = program(&["run", &url]);
    by_directory.env("COMET_TASK_RUNNER_STATE_DIR", service.state_dir());
    let mut by_address = program(&["run", &url]);
    by_address
        .env("COMET_TASK_RUNNER_SERVER", &service.address)
        .env("COMET_TASK_RUNNER_TOKEN_FILE", service.state_dir().join("token"));
    let mut flag_first = on(&service, &["run", &url]);
    flag_first.env("COMET_TASK_RUNNER_SERVER", "http://127.0.0.1:1");
    for run in [by_directory, by_address, flag_first] {
        let end = ended(run).await;
        assert_eq!(end.code, Some(0), "{end:?}");
    }
}
