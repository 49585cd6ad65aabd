//! Tokens with scopes: what each may do, over every form of a call, and what a change of their file means at once.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use comet_task_runner::{
    api::{Scope, json, v1},
    web::token_hash,
};
use http::{Method, StatusCode};
use hyper::body::Bytes;
use serde_json::{Value, json};
use tonic::{Code, Status};

use super::{
    caller::{Caller, path},
    cli::{Ended, ended, on, program},
    line::{Line, Transport, addressed},
    service::{Client, Options, SOON, Service, execute, next, stub_url, watch},
    wire::{begin, jobs_made, read_refusal, refused, report},
};

/// `token` with these arguments, on a service's state directory.
async fn token(service: &Service, args: &[&str]) -> Ended {
    ended(on(service, &[&["token"], args].concat())).await
}

/// Adds a token and gives it, once the service has said that it took it up.
async fn add(service: &Service, name: &str, scope: &str) -> String {
    let end = token(service, &["--add", name, "--scope", scope]).await;
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    service.log_until(&format!("\"begun\":\"{name}\""));
    end.stdout.trim().to_owned()
}

async fn scope_of(client: &mut Client) -> v1::get_runner_response::Scope {
    client.get_runner(v1::GetRunnerRequest {}).await.unwrap().into_inner().scope()
}

fn file(service: &Service) -> std::path::PathBuf {
    service.state_dir().join("tokens.toml")
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn hex(token: &str) -> String {
    token_hash(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn each_scope_may_do_what_it_says_and_is_told_what_the_rest_takes() {
    use v1::get_runner_response::Scope as Told;
    let service = Service::start();
    let (observe, operate, admin) = (
        add(&service, "eye", "observe").await,
        add(&service, "hand", "operate").await,
        add(&service, "head", "admin").await,
    );
    let mut observer = service.client_with(&observe).await;
    let mut operator = service.client_with(&operate).await;
    let mut administrator = service.client_with(&admin).await;
    for (client, told) in
        [(&mut observer, Told::Observe), (&mut operator, Told::Operate), (&mut administrator, Told::Admin)]
    {
        assert_eq!(scope_of(client).await, told);
    }
    assert_eq!(scope_of(&mut service.client().await).await, Told::Admin, "the service's own token");

    let job = begin(&mut operator, "/exit/0").await;
    let mut watched = observer.watch_job(watch(&job.task_id)).await.unwrap().into_inner();
    assert!(next(&mut watched).await.unwrap().is_some());

    let denied = refused(observer.execute(execute(&stub_url("/exit/0"))).await);
    assert_eq!((denied.code, denied.reason.as_str()), (Code::PermissionDenied, "SCOPE_INSUFFICIENT"));
    assert!(denied.message.contains("scope operate"), "{}", denied.message);
    assert_eq!(jobs_made(&service), 1, "nothing was made");

    let remove = || v1::RemoveProfileRequest { name: "none".to_owned(), ..Default::default() };
    let denied = refused(operator.remove_profile(remove()).await);
    assert_eq!((denied.code, denied.reason.as_str()), (Code::PermissionDenied, "SCOPE_INSUFFICIENT"));
    assert!(denied.message.contains("scope admin"), "{}", denied.message);
    assert_eq!(refused(administrator.remove_profile(remove()).await).reason, "PROFILE_NOT_FOUND");
}

#[tokio::test]
async fn an_observer_reports_on_a_task_with_that_tasks_own_token_alone() {
    let service = Service::start();
    let observe = add(&service, "eye", "observe").await;
    let mut observer = service.client_with(&observe).await;
    let job = begin(&mut service.client().await, "/sleep").await;
    let own = report(&job, v1::job::Status::Done);
    let without = v1::CallbackRequest { callback_token: String::new(), ..own.clone() };
    assert_eq!(refused(observer.callback(without).await).reason, "SCOPE_INSUFFICIENT");
    assert!(observer.callback(own).await.unwrap().into_inner().applied);
}

#[tokio::test]
async fn every_call_over_json_is_refused_below_its_scope_and_passes_from_it_on() {
    let service = Service::start();
    let (observe, operate) = (add(&service, "eye", "observe").await, add(&service, "hand", "operate").await);
    let mut caller = Caller::of(&service).await;
    for call in json::calls() {
        let needed = Scope::needed_by(&call).unwrap();
        for (token, scope) in [(&observe, Scope::Observe), (&operate, Scope::Operate)] {
            let bearer = format!("Bearer {token}");
            let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
            // No call takes this, so that none has an effect or a stream without end.
            let answer = caller.send(Method::POST, &path(&call), &headers, r#"{"noSuchField": 1}"#).await;
            // Callback may carry its task's token, so that its message is read first.
            let wanted = if scope >= needed || call == "Callback" { "JSON_INVALID" } else { "SCOPE_INSUFFICIENT" };
            assert_eq!(answer.refusal().2, wanted, "{call} by {scope}: {answer:?}");
        }
    }
    let bearer = format!("Bearer {observe}");
    let metrics = caller.send(Method::GET, "/metrics", &[("authorization", bearer.as_str())], "").await;
    assert_eq!(metrics.status, StatusCode::OK, "{metrics:?}");
}

/// Follows a stream to the error that ends it.
async fn cut(mut stream: tonic::Streaming<v1::WatchJobsResponse>) -> Status {
    let reading = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it does not end well"),
                Err(status) => return status,
            }
        }
    };
    tokio::time::timeout(SOON, reading).await.expect("the stream ends soon")
}

#[tokio::test]
async fn a_removed_tokens_streams_end_and_no_others() {
    let service = Service::start();
    let (gone, stays) = (add(&service, "gone", "observe").await, add(&service, "stays", "observe").await);
    let mut goner = service.client_with(&gone).await;
    let mut stayer = service.client_with(&stays).await;
    let ends = goner.watch_jobs(v1::WatchJobsRequest::default()).await.unwrap().into_inner();
    let mut goes_on = stayer.watch_jobs(v1::WatchJobsRequest::default()).await.unwrap().into_inner();
    let bearer = format!("Bearer {gone}");
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let mut lines = Caller::of(&service).await;
    let open = lines.begin(Method::POST, &path("WatchJobs"), &headers, "{}").await;
    assert_eq!(open.status(), StatusCode::OK);

    let end = token(&service, &["--remove", "gone"]).await;
    assert_eq!((end.code, end.stdout.as_str()), (Some(0), "removed gone\n"), "{}", end.stderr);
    let status = cut(ends).await;
    let why = read_refusal(&status);
    assert_eq!((why.code, why.reason.as_str()), (Code::Unauthenticated, "TOKEN_INVALID"), "{status:?}");
    let rest = tokio::time::timeout(SOON, http_body_util::BodyExt::collect(open.into_body())).await;
    let text = String::from_utf8(rest.expect("it ends soon").unwrap().to_bytes().to_vec()).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "unauthenticated", "{text}");
    assert_eq!(refused(goner.get_runner(v1::GetRunnerRequest {}).await).reason, "TOKEN_INVALID");

    begin(&mut service.client().await, "/exit/0").await;
    let change = async { while goes_on.message().await.unwrap().expect("it goes on").job.is_none() {} };
    tokio::time::timeout(SOON, change).await.expect("the other's stream goes on");
}

#[tokio::test]
async fn a_file_at_fault_takes_nothing_away_and_the_log_says_so() {
    let service = Service::start();
    let kept = add(&service, "kept", "observe").await;
    let mut client = service.client_with(&kept).await;
    let whole = fs::read_to_string(file(&service)).unwrap();
    // Each of these at once, then one that is good: what is told of it comes after all that was told of them.
    write_private(&file(&service), &whole.replace("observe", "everything"));
    service.log_until("\"everything\\\" is no scope");
    scope_of(&mut client).await;
    fs::set_permissions(file(&service), fs::Permissions::from_mode(0o644)).unwrap();
    service.log_until("mode 644");
    scope_of(&mut client).await;
    write_private(&file(&service), &whole.replace("observe", "operate"));
    service.log_until("the tokens changed");
    assert_eq!(scope_of(&mut client).await, v1::get_runner_response::Scope::Operate);
}

#[tokio::test]
async fn a_service_starts_with_its_file_and_not_with_one_that_is_open_to_others() {
    let home = tempfile::Builder::new().prefix("ct").tempdir_in("/tmp").unwrap();
    fs::create_dir(home.path().join("r")).unwrap();
    let tokens = home.path().join("elsewhere.toml");
    let secret = "chosen-by-a-person-with-care";
    let by_hash = "[[token]]\nname = \"hashed\"\nscope = \"operate\"\n";
    let text = format!(
        "[[token]]\nname = \"plain\"\nscope = \"observe\"\ntoken = \"{secret}\"\n{by_hash}sha256 = \"{}\"\n",
        hex("another-one-of-some-length")
    );
    write_private(&tokens, &text);
    let service = Service::start_in(home, Options::default().arg("--tokens-file").arg(tokens.to_str().unwrap()));
    let mut plain = service.client_with(secret).await;
    assert_eq!(scope_of(&mut plain).await, v1::get_runner_response::Scope::Observe);
    let mut hashed = service.client_with("another-one-of-some-length").await;
    assert_eq!(scope_of(&mut hashed).await, v1::get_runner_response::Scope::Operate);
    drop((plain, hashed));
    let log = service.left().await;
    assert!(log.contains("a token is in use") && log.contains("hashed"), "{log}");
    assert!(!log.contains(secret) && !log.contains(&hex(secret)), "no token stands in a log");

    let fresh = tempfile::tempdir().unwrap();
    let tokens = fresh.path().join("t.toml");
    let serve = |tokens: &Path| {
        let mut serve = program(&["serve", "--listen", "127.0.0.1:0", "--state-dir"]);
        serve.arg(fresh.path().join("s")).arg("--tokens-file").arg(tokens);
        serve
    };
    let end = ended(serve(&tokens)).await;
    assert_eq!(end.code, Some(2), "{}", end.stderr);
    assert!(end.stderr.contains("t.toml cannot be read"), "{}", end.stderr);
    write_private(&tokens, &text);
    fs::set_permissions(&tokens, fs::Permissions::from_mode(0o640)).unwrap();
    let end = ended(serve(&tokens)).await;
    assert_eq!(end.code, Some(2), "{}", end.stderr);
    assert!(end.stderr.contains("mode 640") && end.stderr.contains("chmod 600"), "{}", end.stderr);
}

#[tokio::test]
async fn the_command_line_adds_lists_and_removes_before_a_service_was_ever_there() {
    let home = tempfile::tempdir().unwrap();
    let state_dir = home.path().join("s");
    let run = async |args: &[&str]| {
        let mut call = program(&["token", "--state-dir"]);
        call.arg(&state_dir).args(args);
        ended(call).await
    };
    let made = run(&["--add", "ci", "--scope", "operate", "--expires", "30d"]).await;
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert_eq!(made.stdout.trim().len(), 43, "{}", made.stdout);
    assert!(made.stderr.contains("no service ever ran on"), "{}", made.stderr);
    assert_eq!(fs::metadata(&state_dir).unwrap().permissions().mode() & 0o777, 0o700);
    fs::write(state_dir.join("token"), "").unwrap();
    let silent = run(&["--add", "eye", "--scope", "observe"]).await;
    assert!(silent.stderr.is_empty(), "a service ran here: {}", silent.stderr);
    let listed = run(&["--list"]).await;
    let lines: Vec<_> = listed.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(
        (lines[0].as_slice(), &lines[1][..2], &lines[2][..]),
        (&["NAME", "SCOPE", "UNTIL"][..], &["ci", "operate"][..], &["eye", "observe"][..])
    );
    let until: jiff::Timestamp = lines[1][2].parse().unwrap();
    let days = (until.as_second() - jiff::Timestamp::now().as_second() + 60) / 86_400;
    assert_eq!(days, 30);
    assert!(!listed.stdout.contains(made.stdout.trim()));

    for (args, told) in [
        (&["--add", "eye", "--scope", "observe"][..], "there is a token \"eye\""),
        (&["--add", "a b", "--scope", "observe"], "is no name for a token"),
        (&["--add", "x", "--scope", "all"], "there are observe, operate and admin"),
        (&["--add", "x"], "--scope"),
        (&["--add", "x", "--scope", "admin", "--expires", "0"], "a second at least"),
        (&["--scope", "admin"], "--scope goes with --add NAME or --link"),
        (&["--remove", "nobody"], "there is no token \"nobody\"; there are: ci, eye"),
        (&["--list", "--path"], "cannot be used with"),
    ] {
        let end = run(args).await;
        assert_eq!((end.code, end.stdout.as_str()), (Some(2), ""), "{args:?}: {}", end.stderr);
        assert!(end.stderr.contains(told), "{args:?}: {}", end.stderr);
    }
    assert_eq!(run(&["--remove", "ci"]).await.stdout, "removed ci\n");
    assert!(!run(&["--list"]).await.stdout.contains("ci"));
}

#[tokio::test]
async fn a_token_goes_where_the_services_configuration_says_and_nowhere_by_chance() {
    let home = tempfile::tempdir().unwrap();
    let add = async |args: &[&str]| {
        let mut call = program(&["token", "--add", "ci", "--scope", "operate"]);
        call.args(args).env("HOME", home.path()).env_remove("XDG_STATE_HOME");
        ended(call).await
    };
    // As an administrator does whose service is another user's, with a state directory of its own.
    let refused = add(&[]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{}", refused.stderr);
    assert!(refused.stderr.contains("no service ever ran on") && refused.stderr.contains("--config"), "{refused:?}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing was made");

    let (config, tokens) = (home.path().join("config.toml"), home.path().join("office.toml"));
    fs::write(&config, format!("tokens_file = {tokens:?}\n")).unwrap();
    let made = add(&["--config", config.to_str().unwrap()]).await;
    assert_eq!((made.code, made.stderr.as_str()), (Some(0), ""));
    assert!(fs::read_to_string(&tokens).unwrap().contains(&hex(made.stdout.trim())));

    let state_dir = home.path().join("service");
    fs::write(&config, format!("state_dir = {state_dir:?}\n")).unwrap();
    let mut call = program(&["token", "--add", "ci", "--scope", "operate"]);
    call.env("HOME", home.path()).env("COMET_TASK_RUNNER_CONFIG", &config);
    let made = ended(call).await;
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert!(fs::read_to_string(state_dir.join("tokens.toml")).unwrap().contains(&hex(made.stdout.trim())));
}

#[tokio::test]
async fn a_links_session_has_the_links_scope_and_operate_where_none_is_given() {
    use v1::get_runner_response::Scope as Told;
    let service = Service::start();
    let host = service.address.strip_prefix("http://").unwrap();
    let admin = token(&service, &["--link", "--scope", "admin"]).await.stdout;
    let observe = token(&service, &["--link", "--scope", "observe"]).await.stdout;
    for (link, told) in [(&service.link, Told::Operate), (&admin, Told::Admin), (&observe, Told::Observe)] {
        let code = link.trim().split_once("/#code=").unwrap().1;
        let request = addressed(Transport::Http1, host, "/session").method(Method::POST);
        let request = request.header("content-type", "application/json");
        let body = Bytes::from(json!({ "code": code }).to_string());
        let reply = Line::new(Transport::Http1, host, None).send(&request.body(body).unwrap()).await;
        let json: Value = serde_json::from_slice(&reply.body).unwrap();
        let mut page = service.client_with(json["token"].as_str().unwrap()).await;
        assert_eq!(scope_of(&mut page).await, told);
    }
}

#[tokio::test]
async fn doctor_tells_names_and_scopes_and_what_is_wrong_and_no_token() {
    let service = Service::start();
    let secret = add(&service, "eye", "observe").await;
    let doctor = async || {
        let end = ended(on(&service, &["doctor", "--no-sandbox", "--json"])).await;
        let told: Value = serde_json::from_str(&end.stdout).unwrap_or_else(|error| panic!("{error}: {end:?}"));
        let tokens = told["findings"].as_array().unwrap().iter().find(|finding| finding["about"] == "tokens").cloned();
        assert!(!end.stdout.contains(&secret) && !end.stdout.contains(&hex(&secret)));
        let tokens = tokens.unwrap();
        (tokens["level"].as_str().unwrap().to_owned(), tokens.to_string())
    };
    let whole = fs::read_to_string(file(&service)).unwrap();
    let (level, told) = doctor().await;
    assert!(level == "ok" && told.contains("eye (observe)"), "{told}");
    for (text, mode, wanted, words) in [
        (whole.clone(), 0o644, "problem", "mode 644"),
        (whole.replace("observe", "see"), 0o600, "problem", "no scope"),
        (format!("{whole}{}", whole.replace(&hex(&secret), &"0".repeat(64))), 0o600, "problem", "is there twice"),
        (format!("{whole}expires_at = 2020-01-01T00:00:00Z\n"), 0o600, "warning", "eye in"),
    ] {
        write_private(&file(&service), &text);
        fs::set_permissions(file(&service), fs::Permissions::from_mode(mode)).unwrap();
        let (level, told) = doctor().await;
        assert!(level == wanted && told.contains(words), "{words}: {told}");
    }
}
