//! What becomes of a job while no service is there.

use comet_task_runner::process::{
    AwayCause, ExitStatus, Exited, Go, Numbered, Order, Place, Shim, StopStep, Told, boot_now_ns, exit_file,
};

use super::fixture::{Fixture, exited, farewell, go, go_pipe, gone, soon, told};

/// The exit file of a shim that has left.
async fn recorded(place: &Place, pid: u32) -> Vec<Numbered> {
    gone(pid).await;
    assert!(!place.run_dir().exists());
    assert!(soon(Shim::attach(place)).await.unwrap().is_none());
    let file = exit_file::read(place).unwrap().expect("there is an exit file");
    assert_eq!(file.hello.shim.pid, pid);
    exit_file::remove(place).unwrap();
    assert!(!place.launched_any());
    file.frames
}

fn last_exit(frames: &[Numbered]) -> &Exited {
    match frames {
        [.., Numbered { told: Told::Exited(exited), .. }] => exited,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_end_without_a_service_is_written_down_with_every_word_before_it() {
    for fixture in Fixture::both().await {
        let place = fixture.place();
        let (mut shim, _) = fixture.started(&place, go_pipe("/pipe-echo")).await;
        let pid = shim.hello().shim.pid;
        shim.send(&Order::Browser(b"word".to_vec())).await.unwrap();
        told(&mut shim).await;
        // The end of the echo's command pipe ends it, after we are gone.
        let stop = comet_task_runner::process::Stop {
            asked: false,
            close_pipe_after_ms: 20,
            term_after_ms: 9000,
            kill_after_ms: 9000,
        };
        shim.send(&Order::Stop(stop)).await.unwrap();
        shim.send(&Order::Ack(1)).await.unwrap();
        shim.send(&Order::Browser(b"last".to_vec())).await.unwrap();
        drop(shim);
        let frames = recorded(&place, pid).await;
        let told: Vec<_> = frames.iter().map(|frame| frame.number).collect();
        assert_eq!(told, [2, 3, 4]);
        assert_eq!(frames[0].told, Told::Browser(b"word".to_vec()));
        assert_eq!(frames[1].told, Told::Browser(b"last".to_vec()));
        let exited = last_exit(&frames);
        assert_eq!((exited.status, exited.stopped_by, exited.cause), (ExitStatus::Code(0), StopStep::PipeClosed, None));
        fixture.finish().await;
    }
}

#[tokio::test]
async fn an_end_that_nobody_acknowledges_is_written_down_too() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    let (mut shim, _) = fixture.started(&place, go("/exit/7")).await;
    let pid = shim.hello().shim.pid;
    assert_eq!(exited(&mut shim).await.status, ExitStatus::Code(7));
    assert_eq!(soon(shim.next()).await, None);
    let frames = recorded(&place, pid).await;
    assert_eq!(frames.len(), 2);
    assert_eq!(last_exit(&frames).status, ExitStatus::Code(7));
    fixture.finish().await;
}

#[tokio::test]
async fn a_refusal_that_nobody_acknowledges_is_written_down_too() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    let mut shim = fixture.shim(&place).await;
    let pid = shim.hello().shim.pid;
    let mut missing = go("/exit/0");
    missing.argv[0] = "/nonexistent".to_owned();
    shim.send(&Order::Go(missing)).await.unwrap();
    drop(shim);
    let frames = recorded(&place, pid).await;
    assert!(matches!(&frames[..], [Numbered { number: 1, told: Told::Refused(_) }]), "{frames:?}");
    fixture.finish().await;
}

#[tokio::test]
async fn a_browser_that_no_service_comes_back_for_is_ended() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    let (shim, _) = fixture.started(&place, Go { away_max_ms: 20, ..go("/sleep") }).await;
    let pid = shim.hello().shim.pid;
    drop(shim);
    let frames = recorded(&place, pid).await;
    let exited = last_exit(&frames);
    assert_eq!((exited.status, exited.cause), (ExitStatus::Code(0), Some(AwayCause::ServiceAway)));
    assert_eq!(exited.stopped_by, StopStep::Terminated);
    fixture.finish().await;
}

#[tokio::test]
async fn one_that_ignores_it_is_killed_after_its_grace() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    let (shim, _) = fixture.started(&place, Go { away_max_ms: 1, grace_ms: 20, ..go("/ignore-term") }).await;
    let pid = shim.hello().shim.pid;
    drop(shim);
    let frames = recorded(&place, pid).await;
    let exited = last_exit(&frames);
    assert_eq!((exited.status, exited.cause), (ExitStatus::Signal(9), Some(AwayCause::ServiceAway)));
    fixture.finish().await;
}

#[tokio::test]
async fn the_run_deadline_acts_only_while_nobody_is_attached() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    let passed = Go { run_deadline_boot_ns: Some(boot_now_ns() - 1), ..go_pipe("/pipe-echo") };
    let (mut shim, _) = fixture.started(&place, passed).await;
    let pid = shim.hello().shim.pid;
    for _ in 0..100 {
        shim.send(&Order::Browser(b"alive".to_vec())).await.unwrap();
        assert_eq!(told(&mut shim).await, Told::Browser(b"alive".to_vec()));
    }
    shim.send(&Order::Ack(u64::MAX)).await.unwrap();
    drop(shim);
    let frames = recorded(&place, pid).await;
    assert_eq!(last_exit(&frames).cause, Some(AwayCause::RunTimeout));
    fixture.finish().await;
}

#[tokio::test]
async fn a_disarmed_run_deadline_no_longer_counts_but_the_time_away_does() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    let passed = Go { run_deadline_boot_ns: Some(boot_now_ns() - 1), away_max_ms: 30, ..go("/sleep") };
    let (mut shim, _) = fixture.started(&place, passed).await;
    let pid = shim.hello().shim.pid;
    shim.send(&Order::Disarm).await.unwrap();
    drop(shim);
    let frames = recorded(&place, pid).await;
    assert_eq!(last_exit(&frames).cause, Some(AwayCause::ServiceAway));
    fixture.finish().await;
}

#[tokio::test]
async fn a_service_that_comes_back_in_time_stops_the_clock() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    let (shim, _) = fixture.started(&place, Go { away_max_ms: 60_000, ..go_pipe("/pipe-echo") }).await;
    drop(shim);
    let mut shim = soon(Shim::attach(&place)).await.unwrap().unwrap();
    assert!(matches!(told(&mut shim).await, Told::Started(_)));
    shim.send(&Order::Browser(b"alive".to_vec())).await.unwrap();
    assert_eq!(told(&mut shim).await, Told::Browser(b"alive".to_vec()));
    shim.send(&Order::Stop(super::fixture::AT_ONCE)).await.unwrap();
    assert_eq!(exited(&mut shim).await.cause, None);
    farewell(shim).await;
    fixture.finish().await;
}
