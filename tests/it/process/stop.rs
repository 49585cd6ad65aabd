//! How a browser is ended, whatever it does about it, with all that it started.

use comet_task_runner::process::{Empty, ExitStatus, Order, Stop, StopStep, Told};
use rustix::process::{Pid, Signal, kill_process};

use super::fixture::{AT_ONCE, Fixture, exited, farewell, first_line_of, go, go_pipe, gone, make_fifo, soon, told};

const NEVER_MS: u64 = 24 * 60 * 60 * 1000;

#[tokio::test]
async fn each_step_of_the_ladder_ends_what_listens_to_it() {
    let close = Stop { asked: false, close_pipe_after_ms: 0, term_after_ms: NEVER_MS, kill_after_ms: NEVER_MS };
    let term = Stop { asked: false, close_pipe_after_ms: NEVER_MS, term_after_ms: 0, kill_after_ms: NEVER_MS };
    let all = Stop { asked: false, close_pipe_after_ms: 0, term_after_ms: 5, kill_after_ms: 10 };
    for fixture in Fixture::both().await {
        for (go, stop, status, stopped_by) in [
            (go_pipe("/sleep"), close, ExitStatus::Code(0), StopStep::PipeClosed),
            (go("/sleep"), term, ExitStatus::Code(0), StopStep::Terminated),
            (go_pipe("/pipe-ignore"), term, ExitStatus::Signal(15), StopStep::Terminated),
            (go("/ignore-term"), all, ExitStatus::Signal(9), StopStep::Killed),
            (go("/stop-self"), all, ExitStatus::Signal(9), StopStep::Killed),
        ] {
            let (mut shim, _) = fixture.started(&fixture.place(), go).await;
            shim.send(&Order::Stop(stop)).await.unwrap();
            let exited = exited(&mut shim).await;
            // A signal may come before the stub has said what it does about it.
            let early = exited.status == ExitStatus::Signal(15) && exited.stopped_by == StopStep::Terminated;
            assert!(early || (exited.status, exited.stopped_by) == (status, stopped_by), "{exited:?}");
            farewell(shim).await;
        }
        fixture.finish().await;
    }
}

#[tokio::test]
async fn the_ladder_goes_on_when_the_service_is_gone() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    let (mut shim, browser) = fixture.started(&place, go("/ignore-term")).await;
    let pid = shim.hello().shim.pid;
    let stop = Stop { asked: false, close_pipe_after_ms: 0, term_after_ms: 0, kill_after_ms: 20 };
    shim.send(&Order::Stop(stop)).await.unwrap();
    drop(shim);
    gone(pid).await;
    gone(browser).await;
    place.wipe().unwrap();
    fixture.finish().await;
}

#[tokio::test]
async fn a_grandchild_in_a_session_of_its_own_does_not_outlive_the_job() {
    for fixture in Fixture::both().await {
        for signal in [Signal::TERM, Signal::KILL] {
            let fifo = fixture.path("grandchild");
            make_fifo(&fifo);
            let (mut shim, browser) =
                fixture.started(&fixture.place(), go(&format!("/double-fork?file={}", fifo.display()))).await;
            let grandchild: u32 = first_line_of(fifo.clone()).await.parse().unwrap();
            let (grandchild_at, _) = (Pid::from_raw(grandchild.try_into().unwrap()).unwrap(), browser);
            assert!(rustix::process::test_kill_process(grandchild_at).is_ok());
            kill_process(Pid::from_raw(browser.try_into().unwrap()).unwrap(), signal).unwrap();

            let exited = exited(&mut shim).await;
            assert!(!exited.empty, "{exited:?}");
            match told(&mut shim).await {
                // The one between them had ended long before, and the root by no step of ours.
                Told::Empty(Empty { killed, .. }) => assert_eq!(killed, 1),
                other => panic!("{other:?}"),
            }
            // Reaped by the shim, so not even a zombie is left of it now.
            assert!(rustix::process::test_kill_process(grandchild_at).is_err());
            farewell(shim).await;
            std::fs::remove_file(&fifo).unwrap();
        }
        fixture.finish().await;
    }
}

#[tokio::test]
async fn the_kill_step_reaches_a_stopped_tree_and_its_far_grandchild() {
    for fixture in Fixture::both().await {
        let fifo = fixture.path("grandchild");
        make_fifo(&fifo);
        let (mut shim, browser) =
            fixture.started(&fixture.place(), go(&format!("/double-fork?file={}", fifo.display()))).await;
        let grandchild: u32 = first_line_of(fifo).await.parse().unwrap();
        for pid in [browser, grandchild] {
            kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::STOP).unwrap();
        }
        shim.send(&Order::Stop(AT_ONCE)).await.unwrap();
        let exited = exited(&mut shim).await;
        assert_eq!(exited.status, ExitStatus::Signal(9));
        if !exited.empty {
            assert!(matches!(told(&mut shim).await, Told::Empty(_)));
        }
        assert!(rustix::process::test_kill_process(Pid::from_raw(grandchild.try_into().unwrap()).unwrap()).is_err());
        farewell(shim).await;
        fixture.finish().await;
    }
}

#[tokio::test]
async fn a_child_that_keeps_writing_does_not_keep_its_directory() {
    for fixture in Fixture::both().await {
        let place = fixture.place();
        let profile = place.profile();
        let mut shim = fixture.shim(&place).await;
        std::fs::create_dir(&profile).unwrap();
        shim.send(&Order::Go(go(&format!("/late-write?file={}", profile.display())))).await.unwrap();
        assert!(matches!(told(&mut shim).await, Told::Started(_)));
        let exited = exited(&mut shim).await;
        assert_eq!(exited.status, ExitStatus::Code(0));
        farewell(shim).await;
        assert!(!place.launched_any());
        fixture.finish().await;
    }
}

#[tokio::test]
async fn a_shim_that_is_killed_takes_its_browser_along_and_tells_no_exit() {
    for fixture in Fixture::both().await {
        let place = fixture.place();
        let (mut shim, browser) = fixture.started(&place, go("/ignore-term")).await;
        super::start::kill(shim.hello().shim.pid);
        assert_eq!(soon(shim.next()).await, None);
        gone(browser).await;
        assert!(comet_task_runner::process::exit_file::read(&place).unwrap().is_none());
        assert!(place.went() && !place.has_living_shim());
        place.wipe().unwrap();
        fixture.finish().await;
    }
}

#[tokio::test]
async fn a_stray_signal_does_not_cost_the_truth_about_a_job() {
    let fixture = Fixture::new().await;
    let (mut shim, _) = fixture.started(&fixture.place(), go_pipe("/pipe-echo")).await;
    let pid = Pid::from_raw(shim.hello().shim.pid.try_into().unwrap()).unwrap();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        kill_process(pid, signal).unwrap();
    }
    shim.send(&Order::Browser(b"still here".to_vec())).await.unwrap();
    assert_eq!(told(&mut shim).await, Told::Browser(b"still here".to_vec()));
    shim.send(&Order::Stop(AT_ONCE)).await.unwrap();
    exited(&mut shim).await;
    farewell(shim).await;
    fixture.finish().await;
}
