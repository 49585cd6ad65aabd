//! Chromium's sandbox: refused as root with what to do, and on for whoever is an ordinary user.

use std::{fs, os::unix::fs::chown};

use comet_task_runner::api::v1::{
    self,
    job::{Reason, Status},
    page::LoadState,
};
use tonic::Code;
use tonic_types::StatusExt;

use super::{
    nothing_left::Tidy,
    pages::Pages,
    processes,
    real::{LONG, Seats, assert_told_well, headless, load_state, not_run, when},
    service::{Options, Service, to_end, watch},
};

/// An ordinary user and group that every Debian has, by number.
const NOBODY: u32 = 65534;

#[tokio::test]
async fn as_root_a_task_without_the_choice_to_go_unsandboxed_is_refused_with_the_remedy() {
    let Some(_seats) = root_with_a_browser() else { return };
    let service = Tidy::start_with(Options { real_browser: true, ..Options::default() });
    let mut client = service.client().await;
    let refused = client.execute(headless("http://127.0.0.1:9/")).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(refused.get_details_error_info().unwrap().reason, "SANDBOX_NEEDS_USER");
    assert!(refused.message().contains("--no-sandbox") && refused.message().contains("user"), "{}", refused.message());
    drop(client);
}

#[tokio::test]
async fn an_ordinary_users_pages_are_sandboxed_and_can_report() {
    let Some(_seats) = root_with_a_browser() else { return };
    let home = tempfile::Builder::new().prefix("ct").tempdir_in("/tmp").unwrap();
    for dir in ["r", "s", "h"] {
        fs::create_dir(home.path().join(dir)).unwrap();
        fs::set_permissions(home.path().join(dir), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        chown(home.path().join(dir), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut options = Options { real_browser: true, ..Options::default() };
    options = options.env("HOME", home.path().join("h").to_str().unwrap());
    options.env.push(("XDG_RUNTIME_DIR".to_owned(), None));
    let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
    options.through = ["setpriv", &user, &group, "--clear-groups"].map(str::to_owned).to_vec();
    let mut service = Tidy::watch(Service::start_in(home, options));
    let pages = Pages::start();
    let url = pages.script("/done", "fetch('/gate').then(() => cometTask.done())");

    let mut client = service.client().await;
    let begun = client.execute(headless(&url)).await.unwrap().into_inner();
    when(&mut client, &begun.task_id, |job| load_state(job) == LoadState::Committed).await;
    assert_sandboxed(begun.process_id);
    pages.open_gate();
    let request =
        v1::WatchJobRequest { until: v1::watch_job_request::Until::ProcessExited.into(), ..watch(&begun.task_id) };
    let mut stream = client.watch_job(request).await.unwrap().into_inner();
    let messages = tokio::time::timeout(LONG, to_end(&mut stream)).await.expect("the job ends");
    let job = assert_told_well(&messages);
    assert_eq!((job.status(), job.reason()), (Status::Done, Reason::Callback), "{job:?}");
    drop((stream, client));
    // Its directories are another user's, so it has to remove them itself.
    assert!(service.terminate().success());
}

/// Each renderer filters its system calls, sees another user namespace than ours, and has no way back to root.
fn assert_sandboxed(browser: u32) {
    assert_eq!(processes::status_line(browser, "Uid").unwrap().split('\t').next(), Some("65534"));
    assert!(!processes::command_line(browser).contains("--no-sandbox"));
    let renderers: Vec<u32> = processes::descendants(browser)
        .into_iter()
        .filter(|pid| processes::command_line(*pid).contains("--type=renderer"))
        .collect();
    assert!(!renderers.is_empty());
    for renderer in renderers {
        assert_eq!(processes::status_line(renderer, "Seccomp").as_deref(), Some("2"), "no filter on system calls");
        assert_eq!(processes::status_line(renderer, "NoNewPrivs").as_deref(), Some("1"));
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
        assert_ne!(namespace(&renderer.to_string()), namespace("self"), "no user namespace of its own");
    }
}

fn root_with_a_browser() -> Option<Seats> {
    if !rustix::process::geteuid().is_root() {
        not_run("it has to be root, to be refused and to become somebody else");
        return None;
    }
    Seats::take(1, &["setpriv"])
}
