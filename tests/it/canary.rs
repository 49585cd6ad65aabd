//! What a caller may not bring into a browser: switches, other schemes, and the service's own secrets.

use std::{collections::HashMap, fs, path::Path};

use comet_task_runner::api::v1::{self, job::Status};
use tonic::Code;
use tonic_types::StatusExt;

use super::{
    processes,
    real::{Real, Seats, chromium_by_hand, headless},
    service::{Options, eventually},
};

/// A script that leaves a mark when it runs, and where the mark will be.
fn canary(dir: &Path) -> (String, std::path::PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let (script, mark) = (dir.join("canary"), dir.join("mark"));
    fs::write(&script, format!("#!/bin/sh\n: > {}\nexec \"$@\"\n", mark.display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    (script.to_str().unwrap().to_owned(), mark)
}

#[tokio::test]
async fn a_url_that_is_a_switch_or_of_another_scheme_starts_nothing() {
    let Some(mut real) = Real::start().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let (script, mark) = canary(dir.path());
    let page = real.pages.url("/");
    let port = page.trim_end_matches('/').rsplit_once(':').unwrap().1.to_owned();
    let urls = [
        format!("--renderer-cmd-prefix={script}"),
        format!("--utility-cmd-prefix={script}"),
        format!(" --renderer-cmd-prefix={script}"),
        format!("{page} --renderer-cmd-prefix={script}\n"),
        format!("{page}\n--renderer-cmd-prefix={script}"),
        format!("{page}\t"),
        " --x".to_owned(),
        "-".to_owned(),
        "--".to_owned(),
        String::new(),
        "about:blank".to_owned(),
        "file:///etc/passwd".to_owned(),
        "FILE:///etc/passwd".to_owned(),
        "view-source:http://127.0.0.1/".to_owned(),
        "javascript:alert(1)".to_owned(),
        " javascript:alert(1)".to_owned(),
        "java\nscript:alert(1)".to_owned(),
        "data:text/html,<script>1</script>".to_owned(),
        "chrome://version".to_owned(),
        "devtools://devtools/bundled/inspector.html".to_owned(),
        "ftp://127.0.0.1/".to_owned(),
        "//127.0.0.1/".to_owned(),
        "http://".to_owned(),
        format!("{page}{}", "a".repeat(9 * 1024)),
        format!("http://user:secret@127.0.0.1:{port}/"),
        format!("http://user@127.0.0.1:{port}/"),
    ];
    let before = processes::descendants(real.service.pid()).len();
    for url in urls {
        let refused = match real.client.execute(headless(&url)).await {
            Err(refused) => refused,
            Ok(begun) => panic!("{url:?} was taken: {:?}", begun.into_inner().job),
        };
        assert_eq!(refused.code(), Code::InvalidArgument, "{url:?}: {refused:?}");
        let fields = refused.get_details_bad_request().unwrap().field_violations;
        assert_eq!(fields.iter().map(|at| at.field.as_str()).collect::<Vec<_>>(), ["url"], "{url:?}");
    }
    // The launcher is there from the start; a task would have a shim below it.
    assert_eq!(processes::descendants(real.service.pid()).len(), before);
    assert!(super::history::read(&real.service.state_dir()).is_empty(), "a refused request made a job");

    // A browser that does run, run as tasks are, has not been led to the script either.
    let url = real.pages.script("/done", "cometTask.done()");
    let url = format!("{url}?--renderer-cmd-prefix={script}#--utility-cmd-prefix={script}");
    assert_eq!(real.run(headless(&url)).await.status(), Status::Done);
    assert!(!mark.exists(), "the canary ran");
}

#[test]
fn the_canary_sings_when_chromium_is_given_its_switch() {
    let Some(_seats) = Seats::take(1, &[]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (script, mark) = canary(dir.path());
    let mut command = chromium_by_hand(&dir.path().join("p"), None);
    // A sandboxed renderer is started by a helper that knows no prefix.
    command.args(["--no-sandbox", "--no-zygote", &format!("--renderer-cmd-prefix={script}"), "about:blank"]);
    let mut browser = command.spawn().unwrap();
    eventually("that the canary sings", || mark.exists());
    let tree = processes::descendants(browser.id());
    let endings: Vec<_> = tree.into_iter().filter_map(processes::Ending::of).collect();
    browser.kill().unwrap();
    browser.wait().unwrap();
    endings.iter().for_each(processes::Ending::wait);
}

#[tokio::test]
async fn no_secret_of_the_service_reaches_its_browsers() {
    let Some(seats) = Seats::take(1, &[]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let secret_file = dir.path().join("secret-file");
    fs::write(&secret_file, "secret").unwrap();
    let mut options = Options::chromium()
        .env("AWS_SECRET_ACCESS_KEY", "xyzzy-secret")
        .env("COMET_TASK_RUNNER_TOKEN", "xyzzy-secret")
        .env("CHROMIUM_FLAGS", "--xyzzy-secret")
        .env("GOOGLE_API_KEY", "xyzzy-secret");
    // With a descriptor that it was not asked to take, as from a careless supervisor.
    let open = format!("exec 9<{}; exec \"$0\" \"$@\"", secret_file.display());
    options.through = ["sh", "-c", &open].map(str::to_owned).to_vec();
    let Some(mut real) = Real::start_with(options, seats).await else { return };
    let pid = real.service.pid();
    assert!(processes::descriptors(pid).contains(&secret_file), "the service has it");
    assert!(processes::environment(pid).iter().any(|entry| entry.ends_with("xyzzy-secret")), "the service has it");

    let url = real.pages.html("/idle", "idle");
    let begun = real.begin(headless(&url)).await;
    real.shown(&begun.task_id).await;
    let token = real.service.token();
    let secrets = ["xyzzy-secret", token.as_str(), begun.callback_token.as_str()];
    let tree: Vec<u32> = [vec![begun.process_id], processes::descendants(begun.process_id)].concat();
    assert!(tree.len() > 2);
    for pid in &tree {
        let words = [processes::environment(*pid), vec![processes::command_line(*pid)]].concat();
        for secret in secrets {
            assert!(words.iter().all(|word| !word.contains(secret)), "{secret} in process {pid}: {words:?}");
        }
    }
    assert_eq!(foreign_descriptors(&real, &tree, &secret_file), HashMap::new());
    let names: Vec<String> = processes::environment(begun.process_id)
        .into_iter()
        .map(|entry| entry.split('=').next().unwrap_or_default().to_owned())
        .collect();
    assert!(names.contains(&"PATH".to_owned()) && names.contains(&"TMPDIR".to_owned()), "{names:?}");
    real.cancel(&begun.task_id).await;
    real.finish(&begun.task_id).await;
}

/// Descriptors of browser processes that lead to what is the service's: its state, its sockets, what it was given.
fn foreign_descriptors(real: &Real, tree: &[u32], given: &Path) -> HashMap<u32, Vec<std::path::PathBuf>> {
    let state = real.service.state_dir();
    let of_service: Vec<_> = processes::descriptors(real.service.pid())
        .into_iter()
        // What has a number of its own: sockets and pipes, not /dev/null.
        .filter(|path| path.to_str().is_some_and(|text| text.starts_with("socket:") || text.starts_with("pipe:")))
        .collect();
    let is_foreign = |path: &std::path::PathBuf| path == given || path.starts_with(&state) || of_service.contains(path);
    let found = tree.iter().map(|pid| (*pid, processes::descriptors(*pid).into_iter().filter(is_foreign).collect()));
    found.filter(|(_, paths): &(u32, Vec<_>)| !paths.is_empty()).collect()
}

#[tokio::test]
async fn a_browser_is_named_never_described() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.html("/idle", "idle");
    for browser in ["/usr/bin/chromium", "../chromium", "chromium --x", "--x"] {
        let request = v1::ExecuteRequest { browser: browser.to_owned(), ..headless(&url) };
        let refused = real.client.execute(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{browser:?}: {refused:?}");
        let fields = refused.get_details_bad_request().unwrap().field_violations;
        assert_eq!(fields[0].field, "browser", "{browser:?}");
    }
}
