//! How a job begins: what is launched, with what, and what is not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use comet_task_runner::process::{ExitStatus, LaunchError, Nonce, Order, Refused, Shim, StopStep, Told, sweep};

use super::fixture::{Fixture, exited, farewell, go, go_pipe, gone, soon, told};
use crate::stub::stub_browser;

#[tokio::test]
async fn exit_codes_and_signals_are_told_as_they_were() {
    for fixture in Fixture::both().await {
        for code in [0, 3, 255] {
            let exited = fixture.run(go(&format!("/exit/{code}"))).await;
            assert_eq!(exited.status, ExitStatus::Code(code));
            assert!(exited.empty && exited.cause.is_none() && exited.killed == 0, "{exited:?}");
            assert_eq!(exited.stopped_by, StopStep::None);
        }
        for signal in [9, 11, 15] {
            assert_eq!(fixture.run(go(&format!("/signal/{signal}"))).await.status, ExitStatus::Signal(signal));
        }
        fixture.finish().await;
    }
}

#[tokio::test]
async fn hello_says_who_the_shim_is_and_started_who_the_browser_is() {
    for fixture in Fixture::both().await {
        let place = fixture.place();
        let nonce = Nonce::random();
        let shim = soon(fixture.launcher.fork_shim(&place, nonce)).await.unwrap();
        let hello = shim.hello().clone();
        assert_eq!((hello.nonce, hello.attaches, hello.went), (nonce, 1, false));
        assert!(hello.shim.is_same() && hello.browser.is_none());
        assert!(place.has_living_shim() && place.launched_any() && !place.went());
        drop(shim);
        gone(hello.shim.pid).await;

        let (first, pid) = fixture.started(&place, go_pipe("/pipe-echo")).await;
        assert!(place.went());
        let mut shim = Shim::attach(&place).await.unwrap().unwrap();
        drop(first);
        let browser = shim.hello().browser.clone().unwrap();
        assert!(browser.pid == pid && browser.is_same() && shim.hello().went);
        assert_eq!(shim.hello().cgroup, fixture.dirs.has_cgroups());
        shim.send(&Order::Stop(super::fixture::AT_ONCE)).await.unwrap();
        assert!(matches!(told(&mut shim).await, Told::Started(_)));
        exited(&mut shim).await;
        farewell(shim).await;
        fixture.finish().await;
    }
}

#[tokio::test]
async fn what_cannot_be_executed_is_refused_with_the_systems_reason() {
    let fixture = Fixture::new().await;
    let not_executable = fixture.path("plain");
    fs::write(&not_executable, "text").unwrap();
    let not_a_program = fixture.path("text");
    fs::write(&not_a_program, "text").unwrap();
    fs::set_permissions(&not_a_program, fs::Permissions::from_mode(0o700)).unwrap();
    let cases = [
        ("/nonexistent/browser".to_owned(), "exec", "ENOENT"),
        (not_executable.to_str().unwrap().to_owned(), "exec", "EACCES"),
        (not_a_program.to_str().unwrap().to_owned(), "exec", "ENOEXEC"),
        ("relative/browser".to_owned(), "arguments", "EINVAL"),
        ("/with\0nul".to_owned(), "arguments", "EINVAL"),
    ];
    for (path, stage, errno_name) in cases {
        let mut shim = fixture.shim(&fixture.place()).await;
        let mut refused = go("/sleep");
        refused.argv[0] = path.clone();
        shim.send(&Order::Go(refused)).await.unwrap();
        match told(&mut shim).await {
            Told::Refused(Refused { stage: found_stage, errno_name: found_name, message, errno }) => {
                assert_eq!((found_stage.as_str(), found_name.as_str()), (stage, errno_name), "{path}");
                assert!(errno > 0 && message.contains(&format!("{path:?}")), "{message}");
            }
            other => panic!("{other:?}"),
        }
        farewell(shim).await;
    }
    fixture.finish().await;
}

#[tokio::test]
async fn the_end_of_the_connection_before_go_launches_nothing_and_leaves_nothing() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    let shim = fixture.shim(&place).await;
    let pid = shim.hello().shim.pid;
    assert!(place.run_dir().exists());
    drop(shim);
    gone(pid).await;
    assert!(!place.launched_any());
    fixture.finish().await;
}

#[tokio::test]
async fn a_job_that_went_is_never_started_again() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    fs::write(place.cdp().with_extension("go"), "").unwrap();
    let mut shim = fixture.shim(&place).await;
    shim.send(&Order::Go(go("/exit/0"))).await.unwrap();
    match told(&mut shim).await {
        Told::Refused(refused) => assert_eq!((refused.stage.as_str(), refused.errno_name.as_str()), ("go", "EEXIST")),
        other => panic!("{other:?}"),
    }
    farewell(shim).await;
    fixture.finish().await;
}

#[tokio::test]
async fn a_place_with_a_living_shim_gets_no_second_one_but_a_dead_ones_is_reused() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    let shim = fixture.shim(&place).await;
    match soon(fixture.launcher.fork_shim(&place, Nonce::random())).await {
        Err(LaunchError::Refused(refused)) => assert_eq!(refused.errno_name, "EEXIST"),
        other => panic!("{other:?}"),
    }
    let pid = shim.hello().shim.pid;
    kill(pid);
    gone(pid).await;
    assert!(place.run_dir().exists() && !place.has_living_shim());
    let (mut shim, _) = fixture.started(&place, go("/exit/4")).await;
    assert_eq!(exited(&mut shim).await.status, ExitStatus::Code(4));
    farewell(shim).await;
    fixture.finish().await;
}

#[tokio::test]
async fn the_browser_is_born_with_what_it_was_given_and_nothing_else() {
    for (fixture, pipe) in Fixture::both().await.into_iter().zip([true, false]) {
        let place = fixture.place();
        let file = fixture.path("dump");
        let mut clean = go(&format!("/dump?file={}", file.display()));
        clean.pipe = pipe;
        clean.env = vec![("LANG".to_owned(), "C.UTF-8".to_owned()), ("TMPDIR".to_owned(), "/elsewhere".to_owned())];
        clean.argv.insert(1, "--flag=ä b".to_owned());
        let argv = clean.argv.clone();
        let (mut shim, pid) = fixture.started(&place, clean).await;
        assert_eq!(exited(&mut shim).await.status, ExitStatus::Code(0));
        let dump = fs::read_to_string(&file).unwrap();
        let lines = |prefix: &str| -> Vec<String> {
            dump.lines().filter_map(|line| line.strip_prefix(prefix)).map(str::to_owned).collect()
        };
        assert_eq!(lines("arg "), argv);
        assert_eq!(lines("env "), ["LANG=C.UTF-8".to_owned(), format!("TMPDIR={}", place.tmp().display())]);
        let fds = lines("fd ");
        assert_eq!(fds.len(), if pipe { 5 } else { 3 }, "{fds:?}");
        assert_eq!(fds[0], "0 /dev/null");
        assert!(fds[1..].iter().enumerate().all(|(at, fd)| fd.starts_with(&format!("{} pipe:", at + 1))), "{fds:?}");
        assert_eq!(fds[1][2..], fds[2][2..]);
        assert_eq!(lines("ignored ").len() + lines("blocked ").len(), 0, "{dump}");
        assert_eq!(lines("group "), [format!("{pid} pid {pid}")]);
        farewell(shim).await;
        fixture.finish().await;
    }
}

#[tokio::test]
async fn a_locked_profile_refuses_a_second_browser_until_the_first_shim_left() {
    let fixture = Fixture::new().await;
    let locked = |path: &str| comet_task_runner::process::Go { lock: Some(fixture.path("lock")), ..go(path) };
    let (mut first, _) = fixture.started(&fixture.place(), locked("/sleep")).await;
    let mut second = fixture.shim(&fixture.place()).await;
    second.send(&Order::Go(locked("/sleep"))).await.unwrap();
    match told(&mut second).await {
        Told::Refused(refused) => {
            assert_eq!((refused.stage.as_str(), refused.errno_name.as_str()), ("lock", "EWOULDBLOCK"));
        }
        other => panic!("{other:?}"),
    }
    farewell(second).await;
    first.send(&Order::Stop(super::fixture::AT_ONCE)).await.unwrap();
    exited(&mut first).await;
    farewell(first).await;
    assert_eq!(fixture.run(locked("/exit/0")).await.status, ExitStatus::Code(0));
    fixture.finish().await;
}

#[tokio::test]
async fn the_last_words_on_standard_error_come_with_the_exit() {
    let fixture = Fixture::new().await;
    let exited = fixture.run(go("/stderr?text=cannot\x1b[31mopen")).await;
    assert_eq!((exited.status, exited.output_tail.as_str()), (ExitStatus::Code(1), "cannot[31mopen"));
    fixture.finish().await;
}

#[tokio::test]
async fn a_gigabyte_on_standard_output_neither_blocks_the_browser_nor_is_kept() {
    let fixture = Fixture::new().await;
    let exited = fixture.run(go("/flood")).await;
    assert_eq!(exited.status, ExitStatus::Code(0));
    assert!(exited.output_tail.ends_with("ffthe end\n") && exited.output_tail.len() == 4096);
    fixture.finish().await;
}

#[tokio::test]
async fn the_launcher_is_started_again_when_it_died_and_running_jobs_do_not_notice() {
    let fixture = Fixture::new().await;
    let (mut running, _) = fixture.started(&fixture.place(), go_pipe("/pipe-echo")).await;
    let launcher = fixture.launcher.pid().unwrap();
    kill(launcher);
    assert_eq!(fixture.run(go("/exit/6")).await.status, ExitStatus::Code(6));
    assert_ne!(fixture.launcher.pid().unwrap(), launcher);
    running.send(&Order::Browser(b"still here".to_vec())).await.unwrap();
    assert_eq!(told(&mut running).await, Told::Browser(b"still here".to_vec()));
    running.send(&Order::Stop(super::fixture::AT_ONCE)).await.unwrap();
    exited(&mut running).await;
    farewell(running).await;
    fixture.finish().await;
}

#[tokio::test]
async fn a_stopped_launcher_is_gone_and_makes_no_more_shims() {
    let fixture = Fixture::new().await;
    let pid = fixture.launcher.pid().unwrap();
    let handle = fixture.launcher.clone();
    let place = fixture.place();
    fixture.finish().await;
    gone(pid).await;
    assert!(matches!(handle.fork_shim(&place, Nonce::random()).await, Err(LaunchError::Stopped)));
}

#[tokio::test]
async fn the_sweep_leaves_a_living_shim_and_takes_what_a_dead_one_left() {
    for fixture in Fixture::both().await {
        let place = fixture.place();
        let (shim, browser) = fixture.started(&place, go("/sleep")).await;
        assert_eq!(sweep(&fixture.dirs, |_| false).unwrap(), 0);
        assert!(place.has_living_shim() && place.run_dir().join("s").exists());
        kill(shim.hello().shim.pid);
        gone(shim.hello().shim.pid).await;
        gone(browser).await;
        assert_eq!(sweep(&fixture.dirs, |_| false).unwrap(), 0);
        assert!(!place.launched_any());
        fixture.finish().await;
    }
}

pub(super) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn the_stub_without_a_url_says_that_it_was_used_wrongly() {
    let status = std::process::Command::new(stub_browser()).status().unwrap();
    assert_eq!(status.code(), Some(64));
}

#[tokio::test]
async fn launchers_that_die_under_a_crowd_of_requests_cost_none_of_them() {
    let fixture = std::sync::Arc::new(Fixture::new().await);
    for _ in 0..5 {
        let mut runs = tokio::task::JoinSet::new();
        for code in 0..20 {
            let lane = std::sync::Arc::clone(&fixture);
            runs.spawn(async move { (code, lane.run(go(&format!("/exit/{code}"))).await.status) });
            if code == 10 {
                tokio::task::yield_now().await;
                kill(fixture.launcher.pid().unwrap());
            }
        }
        while let Some(run) = runs.join_next().await {
            let (code, status) = run.unwrap();
            assert_eq!(status, ExitStatus::Code(code));
        }
    }
    std::sync::Arc::into_inner(fixture).unwrap().finish().await;
}
