//! The state directory and the secrets in it: whose they are, and where they never show.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use comet_task_runner::api::v1::{CallbackRequest, job::Status};

use super::{
    service::{Options, Service, ended, eventually, execute, stub_url},
    stub::stub_browser,
    wire::{begin, report},
};

/// Runs a service that is not expected to come up, to its end.
fn try_serve(home: &Path, listen: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_comet-task-runner"));
    command.args(["serve", "--listen", listen, "--state-dir"]).arg(home.join("s"));
    command.arg("--browser").arg(format!("stub={},exit-only", stub_browser().display()));
    command.env("COMET_TASK_RUNNER_RUN_DIR", home).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that comes up after all says so first, and would stay for ever.
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    if !said.is_empty() {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(said, "", "a service that must not start says no address");
    output
}

fn refusal(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8(output.stderr.clone()).unwrap())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn only_the_owner_can_read_what_is_remembered() {
    let service = Service::start();
    let dir = service.state_dir();
    let task = begin(&mut service.client().await, "/exit/0").await;
    ended(&mut service.client().await, &task.task_id).await;
    assert_eq!(mode(&dir), 0o700);
    for file in ["token", "key", "ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "lock", "endpoint"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
}

#[test]
fn the_token_has_256_random_bits_and_stays_over_a_restart() {
    let mut service = Service::start();
    let (token, other) = (service.token(), Service::start().token());
    assert_eq!((token.len(), other.len()), (43, 43), "32 bytes in base64url without padding");
    assert_ne!(token, other);
    service.terminate();
    service.restart();
    assert_eq!(service.token(), token);
}

#[test]
fn a_state_directory_open_to_others_is_refused_with_the_remedy() {
    for open in [0o755, 0o770, 0o711] {
        let home = tempfile::tempdir_in("/tmp").unwrap();
        fs::create_dir(home.path().join("s")).unwrap();
        fs::set_permissions(home.path().join("s"), fs::Permissions::from_mode(open)).unwrap();
        let (code, text) = refusal(&try_serve(home.path(), "127.0.0.1:0"));
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("chmod 700") && text.contains(&format!("{open:o}")), "{text}");
        assert_eq!(fs::read_dir(home.path().join("s")).unwrap().count(), 0, "nothing is put into it");
    }
}

#[test]
fn a_second_service_on_one_directory_is_refused_and_the_first_goes_on() {
    let service = Service::start();
    let home = service.state_dir().parent().unwrap().to_path_buf();
    let endpoint = fs::read_to_string(service.state_dir().join("endpoint")).unwrap();
    let (code, text) = refusal(&try_serve(&home, "127.0.0.1:0"));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("another service uses") && text.contains("--state-dir"), "{text}");
    assert_eq!(fs::read_to_string(service.state_dir().join("endpoint")).unwrap(), endpoint);
}

#[test]
fn a_port_in_use_is_named_and_costs_no_store() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let home = tempfile::tempdir_in("/tmp").unwrap();
    let (code, text) = refusal(&try_serve(home.path(), &address.to_string()));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains(&format!("port {} is in use", address.port())), "{text}");
    let left: Vec<_> = fs::read_dir(home.path().join("s")).unwrap().flatten().map(|file| file.file_name()).collect();
    assert_eq!(left, ["lock"]);
}

#[test]
fn an_address_that_others_can_reach_is_refused_with_the_remedy() {
    for wide in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let home = tempfile::tempdir_in("/tmp").unwrap();
        let (code, text) = refusal(&try_serve(home.path(), wide));
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(wide) && text.contains("127.0.0.1"), "{text}");
        assert!(!home.path().join("s").exists());
    }
}

#[test]
fn a_secret_that_is_none_is_refused_and_not_replaced() {
    for file in ["token", "key"] {
        let mut service = Service::start();
        service.terminate();
        let home = service.state_dir().parent().unwrap().to_path_buf();
        fs::write(service.state_dir().join(file), "guess me\n").unwrap();
        let (code, text) = refusal(&try_serve(&home, "127.0.0.1:0"));
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(file) && text.contains("remove it"), "{text}");
        assert_eq!(fs::read_to_string(service.state_dir().join(file)).unwrap(), "guess me\n");
    }
}

#[test]
fn the_endpoint_is_there_while_the_service_takes_calls() {
    let mut service = Service::start();
    let endpoint = service.state_dir().join("endpoint");
    assert_eq!(fs::read_to_string(&endpoint).unwrap().trim_end(), service.address);
    assert!(service.terminate().success());
    assert!(!endpoint.exists());
    service.restart();
    assert_eq!(fs::read_to_string(&endpoint).unwrap().trim_end(), service.address);
}

#[test]
fn who_listens_where_a_killed_service_did_is_not_shown_the_token() {
    let mut service = Service::start();
    service.kill();
    assert!(service.state_dir().join("endpoint").exists(), "it had no time to remove it");
    let another = TcpListener::bind(service.address.strip_prefix("http://").unwrap()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_comet-task-runner"));
    let list = command.args(["list", "--state-dir"]).arg(service.state_dir()).output().unwrap();
    assert_eq!(list.status.code(), Some(3), "{list:?}");
    assert!(String::from_utf8_lossy(&list.stderr).contains("no service runs on"), "{list:?}");
    another.set_nonblocking(true).unwrap();
    assert!(another.accept().is_err(), "nobody called it");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_ever_in_the_log() {
    let mut service = Service::start_with(Options::default().env("RUST_LOG", "debug"));
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let wrong = "wrong-token-0123456789abcdefghijklmnopqrstu";
    let guess = CallbackRequest { callback_token: wrong.to_owned(), ..report(&task, Status::Done) };
    client.callback(guess).await.unwrap_err();
    let mut stranger = service.client_with(wrong).await;
    stranger.execute(execute(&stub_url("/exit/0"))).await.unwrap_err();
    let result = CallbackRequest { result: "\"page-content-7731\"".to_owned(), ..report(&task, Status::Done) };
    client.callback(result).await.unwrap();
    ended(&mut client, &task.task_id).await;
    let key = fs::read_to_string(service.state_dir().join("key")).unwrap();
    let secrets = [service.token(), key.trim().to_owned(), task.callback_token.clone(), wrong.to_owned()];
    service.terminate();
    let log = service.log_to_end();
    assert!(log.contains(&task.task_id) && log.contains("refused a request"), "the log is there: {log}");
    for secret in secrets.iter().map(String::as_str).chain(["page-content-7731"]) {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_browser_inherits_no_secret_and_no_descriptor_of_the_service() {
    let service = Service::start_with(Options::default().env("SECRET_OF_THE_SERVICE", "hidden-4421"));
    let mut client = service.client().await;
    let file = service.state_dir().join("dump");
    let task = begin(&mut client, &format!("/dump?file={}", file.display())).await;
    assert_eq!(ended(&mut client, &task.task_id).await.status(), Status::Done);
    let dump = fs::read_to_string(&file).unwrap();
    assert!(dump.ends_with("end\n") && dump.contains("env PATH="), "{dump}");
    for secret in ["hidden-4421", &service.token(), &task.callback_token, "SECRET", "COMET_TASK_RUNNER", "RUST_LOG"] {
        assert!(!dump.contains(secret), "{secret}: {dump}");
    }
    let open: Vec<_> = dump.lines().filter_map(|line| line.strip_prefix("fd ")).collect();
    let numbers: Vec<_> = open.iter().filter_map(|fd| fd.split_once(' ')).map(|(number, _)| number).collect();
    assert_eq!(numbers, ["0", "1", "2"], "{dump}");
    assert!(open[0].ends_with("/dev/null") && open[1].contains("pipe:") && open[2].contains("pipe:"), "{dump}");
}

#[tokio::test]
async fn what_a_job_leaves_on_disk_goes_with_it() {
    let service = Service::start();
    let mut client = service.client().await;
    for path in ["/exit/0", "/exit/3", "/signal/9"] {
        let task = begin(&mut client, path).await;
        ended(&mut client, &task.task_id).await;
    }
    // But for the one file that every job shares.
    let empty = |dir: &Path| fs::read_dir(dir).unwrap().flatten().all(|file| file.file_name() == ".go");
    eventually("the jobs' directories are removed", || {
        let run = fs::read_dir(service.run_base()).unwrap().flatten().next().unwrap().path();
        empty(&service.state_dir().join("jobs")) && empty(&run)
    });
}
