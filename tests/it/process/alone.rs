//! What is started and is not ours to end: nothing signals it, it outlives its shim, and only its exit is waited for.

use std::fs;

use comet_task_runner::process::{ExitStatus, Go, Order, Shim, StopStep, Told};
use rustix::process::{Pid, Signal, kill_process};

use super::fixture::{AT_ONCE, Fixture, exited, farewell, go, gone, soon, told};
use crate::{
    processes::{Ending, environment, status_line},
    service::eventually,
    wire::is_alive,
};

fn alone(path: &str) -> Go {
    Go { left_alone: true, away_max_ms: 1, run_deadline_boot_ns: Some(1), ..go(path) }
}

/// Whether the signal that cannot be handled is on its way.
fn is_killed(pid: u32) -> bool {
    const SIGKILL: u64 = 1 << (9 - 1);
    let pending = ["SigPnd", "ShdPnd"].into_iter().filter_map(|mask| status_line(pid, mask));
    pending.map(|mask| u64::from_str_radix(&mask, 16).unwrap()).any(|mask| mask & SIGKILL != 0)
}

fn kill(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn neither_a_stop_nor_the_time_without_a_service_ends_it() {
    for fixture in Fixture::both().await {
        let place = fixture.place();
        let mark = fixture.path("mark");
        let path = format!("/life?file={}&ms=0&code=0", mark.display());
        let (mut shim, pid) = fixture.started(&place, alone(&path)).await;
        eventually("that it lives", || mark.exists());
        assert!(!shim.hello().cgroup);
        assert!(environment(pid).iter().all(|entry| !entry.starts_with("TMPDIR=")));
        shim.send(&Order::Stop(AT_ONCE)).await.unwrap();
        shim.send(&Order::Disarm).await.unwrap();
        drop(shim);
        // Once it is attached anew, what was ordered before has been followed.
        let mut shim = soon(Shim::attach(&place)).await.unwrap().unwrap();
        assert!(matches!(told(&mut shim).await, Told::Started(started) if started.pid == pid));
        let ending = Ending::of(pid).unwrap();
        assert!(!ending.has_come());
        crate::wire::settled_pid(pid);
        kill(pid, Signal::TERM);
        let exited = exited(&mut shim).await;
        assert_eq!((exited.status, exited.stopped_by), (ExitStatus::Code(0), StopStep::None));
        assert!(exited.lived_ms.is_some_and(|lived_ms| lived_ms < 60_000), "{exited:?}");
        farewell(shim).await;
        fixture.finish().await;
    }
}

#[tokio::test]
async fn what_it_leaves_behind_lives_on_and_is_not_waited_for() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    let child = fixture.path("child");
    let (mut shim, pid) = fixture.started(&place, alone(&format!("/double-fork?file={}", child.display()))).await;
    eventually("that its child is on its own", || crate::wire::pid_in(&child).is_some());
    crate::wire::settled_pid(pid);
    kill(pid, Signal::TERM);
    let exited = exited(&mut shim).await;
    assert_eq!((exited.status, exited.empty, exited.killed), (ExitStatus::Code(0), false, 0));
    farewell(shim).await;
    let child = crate::wire::pid_in(&child).unwrap();
    assert!(Ending::of(child).is_some_and(|ending| !ending.has_come()), "it was ended");
    kill(child, Signal::KILL);
    gone(child).await;
    fixture.finish().await;
}

#[tokio::test]
async fn it_outlives_a_shim_that_is_killed() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    let (shim, pid) = fixture.started(&place, alone("/sleep")).await;
    let shim_pid = shim.hello().shim.pid;
    kill(shim_pid, Signal::KILL);
    gone(shim_pid).await;
    drop(shim);
    // Whatever the end of the shim sends it has been sent by now.
    assert!(is_alive(pid) && !is_killed(pid), "it dies with its shim");
    kill(pid, Signal::KILL);
    gone(pid).await;
    place.wipe().unwrap();
    let _ = fs::remove_dir_all(place.run_dir());
    fixture.finish().await;
}
