//! What is written on the output: passed on where that costs nobody anything, by its place in the whole.

use comet_task_runner::process::{ExitStatus, Numbered, Output, Shim, Told, exit_file};
use rustix::process::{Pid, Signal, kill_process};

use super::fixture::{Fixture, farewell, go, gone, make_fifo, soon, told};

/// The next piece of output, which needs no acknowledgement.
async fn loose(shim: &mut Shim) -> Output {
    match soon(shim.next()).await {
        Some(Numbered { number: 0, told: Told::Output(output) }) => output,
        other => panic!("expected output, was told {other:?}"),
    }
}

async fn say(pipe: &std::path::Path, text: &'static str) {
    let pipe = pipe.to_owned();
    soon(tokio::task::spawn_blocking(move || std::fs::write(pipe, text).unwrap())).await.unwrap();
}

fn output(place: u64, text: &str) -> Output {
    Output { place, bytes: text.as_bytes().to_vec() }
}

#[tokio::test]
async fn output_is_told_once_to_each_service_and_the_end_of_it_before_the_exit() {
    let fixture = Fixture::new().await;
    let (place, pipe) = (fixture.place(), fixture.path("pipe"));
    make_fifo(&pipe);
    let (mut first, _) = fixture.started(&place, go(&format!("/tell?file={}", pipe.display()))).await;
    say(&pipe, "one\n").await;
    assert_eq!(loose(&mut first).await, output(0, "one\n"));
    say(&pipe, "two\n").await;
    assert_eq!(loose(&mut first).await, output(4, "two\n"));
    drop(first);

    let mut second = soon(Shim::attach(&place)).await.unwrap().unwrap();
    assert!(matches!(soon(second.next()).await, Some(Numbered { number: 1, told: Told::Started(_) })));
    assert_eq!(loose(&mut second).await, output(0, "one\ntwo\n"));
    say(&pipe, "three\n!exit\n").await;
    // It may be told before the end, and again not; but it is told before the end is.
    let mut heard = Vec::new();
    let end = loop {
        match told(&mut second).await {
            Told::Output(output) => heard.push(output),
            Told::Exited(exited) => break exited,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(end.status, ExitStatus::Code(0));
    let bytes: Vec<u8> = heard.iter().flat_map(|output| output.bytes.clone()).collect();
    assert_eq!((heard[0].place, bytes.as_slice()), (8, b"three\n!exit\n".as_slice()), "{heard:?}");
    farewell(second).await;
    fixture.finish().await;
}

#[tokio::test]
async fn what_was_written_while_nobody_listened_is_in_the_exit_file() {
    let fixture = Fixture::new().await;
    let place = fixture.place();
    let (mut shim, pid) = fixture.started(&place, go("/flood-on")).await;
    let keeper = shim.hello().shim.pid;
    // The flood is over once its end was told.
    while !loose(&mut shim).await.bytes.ends_with(b"the end\n") {}
    drop(shim);
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::TERM).unwrap();
    gone(keeper).await;
    let left = exit_file::read(&place).unwrap().unwrap();
    let [.., Numbered { told: Told::Output(kept), .. }, Numbered { told: Told::Exited(end), .. }] = &left.frames[..]
    else {
        panic!("{:?}", left.frames)
    };
    assert_eq!(kept.bytes.len(), 64 * 1024, "as much as is kept");
    assert_eq!(kept.place + 64 * 1024, (1 << 30) + 8, "and it is the end");
    assert!(kept.bytes.ends_with(b"ffthe end\n") && end.output_tail.ends_with("ffthe end\n"));
    exit_file::remove(&place).unwrap();
    fixture.finish().await;
}
