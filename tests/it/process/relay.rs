//! What is told: in order, once per connection, and never lost.

use std::fs;
use std::sync::Arc;

use comet_task_runner::process::{ExitStatus, Numbered, Order, Shim, Told};

use super::super::processes::peak_kib;
use super::fixture::{Fixture, exited, farewell, go, go_pipe, gone, soon, told};

#[tokio::test]
async fn commands_and_messages_pass_whole_in_both_directions() {
    let fixture = Fixture::new().await;
    let (mut shim, _) = fixture.started(&fixture.place(), go_pipe("/pipe-echo")).await;
    for length in [0, 1, 70_000, 3_000_000] {
        let command = vec![b'c'; length];
        shim.send(&Order::Browser(command.clone())).await.unwrap();
        assert_eq!(told(&mut shim).await, Told::Browser(command));
    }
    shim.send(&Order::Stop(super::fixture::AT_ONCE)).await.unwrap();
    exited(&mut shim).await;
    farewell(shim).await;
    fixture.finish().await;
}

#[tokio::test]
async fn a_last_word_is_never_overtaken_by_the_exit() {
    let fixture = Arc::new(Fixture::new().await);
    let mut runs = tokio::task::JoinSet::new();
    for lane in 0..20 {
        let fixture = Arc::clone(&fixture);
        runs.spawn(async move {
            for run in 0..50 {
                let word = format!("word-{lane}-{run}");
                let (mut shim, _) =
                    fixture.started(&fixture.place(), go_pipe(&format!("/pipe-last-word?text={word}"))).await;
                assert_eq!(told(&mut shim).await, Told::Browser(word.into_bytes()));
                match soon(shim.next()).await {
                    Some(Numbered { number: 3, told: Told::Exited(exited) }) => {
                        assert_eq!(exited.status, ExitStatus::Code(0));
                    }
                    other => panic!("{other:?}"),
                }
                farewell(shim).await;
            }
        });
    }
    while let Some(run) = runs.join_next().await {
        run.unwrap();
    }
    Arc::into_inner(fixture).unwrap().finish().await;
}

#[tokio::test]
async fn a_new_attachment_hears_exactly_what_was_not_acknowledged() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    let (mut first, _) = fixture.started(&place, go_pipe("/pipe-echo")).await;
    for word in ["a", "b", "c"] {
        first.send(&Order::Browser(word.into())).await.unwrap();
        told(&mut first).await;
    }
    first.send(&Order::Ack(2)).await.unwrap();
    // The answer proves that the acknowledgement before it was taken in.
    first.send(&Order::Browser(b"d".to_vec())).await.unwrap();
    told(&mut first).await;
    drop(first);

    let mut second = soon(Shim::attach(&place)).await.unwrap().unwrap();
    assert_eq!(second.hello().attaches, 2);
    for (number, word) in [(3, "b"), (4, "c"), (5, "d")] {
        let expected = Numbered { number, told: Told::Browser(word.into()) };
        assert_eq!(soon(second.next()).await, Some(expected));
    }
    second.send(&Order::Browser(b"e".to_vec())).await.unwrap();
    assert_eq!(soon(second.next()).await, Some(Numbered { number: 6, told: Told::Browser(b"e".to_vec()) }));
    second.send(&Order::Stop(super::fixture::AT_ONCE)).await.unwrap();
    exited(&mut second).await;
    farewell(second).await;
    fixture.finish().await;
}

#[tokio::test]
async fn a_newer_connection_replaces_the_older() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    let (mut older, _) = fixture.started(&place, go_pipe("/pipe-echo")).await;
    let mut newer = soon(Shim::attach(&place)).await.unwrap().unwrap();
    assert_eq!(soon(older.next()).await, None);
    assert!(matches!(told(&mut newer).await, Told::Started(_)));
    newer.send(&Order::Browser(b"x".to_vec())).await.unwrap();
    assert_eq!(told(&mut newer).await, Told::Browser(b"x".to_vec()));
    newer.send(&Order::Stop(super::fixture::AT_ONCE)).await.unwrap();
    exited(&mut newer).await;
    farewell(newer).await;
    fixture.finish().await;
}

#[tokio::test]
async fn a_flood_while_the_service_is_away_is_held_back_and_nothing_of_it_is_lost() {
    const COUNT: usize = 2000;
    const SIZE: usize = 100_000;
    let fixture = Fixture::new().await;
    // Most of a shim is the program itself: what one has that holds nothing back.
    let (mut quiet, _) = fixture.started(&fixture.place(), go("/sleep")).await;
    let program_kib = peak_kib(quiet.hello().shim.pid);
    quiet.send(&Order::Stop(super::fixture::AT_ONCE)).await.unwrap();
    exited(&mut quiet).await;
    farewell(quiet).await;

    let place = fixture.place();
    let (first, _) = fixture.started(&place, go_pipe(&format!("/pipe-flood?n={COUNT}&size={SIZE}"))).await;
    let pid = first.hello().shim.pid;
    drop(first);

    let mut second = soon(Shim::attach(&place)).await.unwrap().unwrap();
    assert!(matches!(told(&mut second).await, Told::Started(_)));
    for index in 0..COUNT {
        let Some(Numbered { number, told: Told::Browser(message) }) = soon(second.next()).await else {
            panic!("message {index} is missing")
        };
        assert!(message.starts_with(format!("{index}:x").as_bytes()) && message.len() == SIZE, "message {index}");
        second.send(&Order::Ack(number)).await.unwrap();
    }
    // 200 MB went through it; what it ever held is the buffer and itself.
    let held_kib = peak_kib(pid).saturating_sub(program_kib);
    assert!(held_kib < 9 * 1024, "{held_kib} KiB beside {program_kib}");
    assert_eq!(exited(&mut second).await.status, ExitStatus::Code(0));
    farewell(second).await;
    fixture.finish().await;
}

#[tokio::test]
async fn there_is_no_attaching_where_no_shim_lives() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    assert!(Shim::attach(&place).await.unwrap().is_none());

    let (mut shim, _) = fixture.started(&place, go("/sleep")).await;
    let id = place.run_dir().join("id");
    let published = fs::read_to_string(&id).unwrap();
    let ticks = shim.hello().shim.start_ticks;
    let boot_id = comet_task_runner::process::boot_id();
    let nonce = shim.hello().nonce.to_string();
    for (from, to) in [
        (format!("\"start_ticks\":{ticks}"), format!("\"start_ticks\":{}", ticks + 1)),
        (boot_id, "00000000-0000-0000-0000-000000000000".to_owned()),
        (nonce, "0".repeat(32)),
    ] {
        let forged = published.replace(&from, &to);
        assert_ne!(forged, published);
        fs::write(&id, forged).unwrap();
        assert!(soon(Shim::attach(&place)).await.unwrap().is_none(), "{to}");
    }
    fs::write(&id, &published).unwrap();
    drop(shim);
    shim = soon(Shim::attach(&place)).await.unwrap().unwrap();
    let pid = shim.hello().shim.pid;
    super::start::kill(pid);
    gone(pid).await;
    assert!(soon(Shim::attach(&place)).await.unwrap().is_none());
    place.wipe().unwrap();
    fixture.finish().await;
}
