//! The command line on a terminal: tables, colours, Ctrl-C, and words that command nothing.

use comet_task_runner::api::v1::{CallbackRequest, job::Status};
use rustix::process::Signal;

use super::{
    super::{
        service::{Options, Service, ended as job_ended, execute, job_when, stub_url},
        wire::begin,
    },
    on,
    tty::Tty,
};

const GREEN: vt100::Color = vt100::Color::Idx(2);
const CTRL_C: &str = "\u{3}";

fn slots(count: usize) -> Service {
    Service::start_with(Options::default().arg("--slots").arg(count.to_string()))
}

#[tokio::test]
async fn a_run_shows_how_it_stands_below_the_changes_and_leaves_only_these() {
    let service = Service::start();
    let mut client = service.client().await;
    let mut tty = Tty::start(&on(&service, &["run", &stub_url("/sleep")]), 24, 100);
    tty.until("the state below the changes", |lines| {
        lines.last().is_some_and(|line| line.starts_with(['|', '/', '-', '\\']) && line.contains(" RUNNING "))
    })
    .await;
    let task_id = tty.lines()[0].strip_prefix("task ").unwrap().to_owned();
    let progress = CallbackRequest {
        task_id: task_id.clone(),
        status: Status::Running.into(),
        progress: Some(45),
        message: "reading\u{1b}[2J\u{1b}]0;mine\u{7}\u{1b}[31m".to_owned(),
        ..CallbackRequest::default()
    };
    client.callback(progress.clone()).await.unwrap();
    tty.line_with("45 %").await;
    let lines = tty.lines();
    assert!(lines[0].starts_with("task ") && lines.last().unwrap().contains("[###########-----"), "{lines:?}");
    assert!(lines.last().unwrap().contains("reading") && lines.last().unwrap().contains("mine"), "{lines:?}");

    let done = CallbackRequest { status: Status::Done.into(), progress: None, ..progress };
    client.callback(done).await.unwrap();
    assert_eq!(tty.end().await, 0);
    let lines = tty.lines();
    assert!(lines.last().unwrap().contains("  DONE       CALLBACK            reading"), "{lines:?}");
    assert_eq!(lines.len(), 4, "the name and three changes: {lines:?}");
    assert_eq!(tty.colour_of("DONE"), GREEN);
    for text in ["\u{1b}[2J", "\u{1b}]0;", "\u{7}"] {
        assert!(!tty.raw().contains(text), "a page's {text:?} reached the terminal");
    }
}

#[tokio::test]
async fn several_are_a_table_that_ctrl_c_cancels_once_and_for_all() {
    let service = slots(2);
    let urls: Vec<_> = (0..3).map(|n| stub_url(&format!("/sleep?{n}"))).collect();
    let args = ["run", "--parallel", "2", &urls[0], &urls[1], &urls[2]];
    let mut tty = Tty::start(&on(&service, &args), 24, 90);
    tty.until("two rows", |lines| lines.iter().filter(|line| line.contains("  RUNNING  ")).count() == 2).await;
    let lines = tty.lines();
    assert!(lines[0].starts_with("TASK  ") && lines[0].contains("  STATUS  "), "{lines:?}");
    assert!(lines[3].contains("[-------------------------]  0 of 3"), "{lines:?}");
    assert_eq!(lines.len(), 4, "{lines:?}");
    tty.press(CTRL_C);
    assert_eq!(tty.end().await, 4);
    let lines = tty.lines();
    assert_eq!(lines.iter().filter(|line| line.starts_with("CANCELLED  CANCEL_REQUESTED  ")).count(), 2, "{lines:?}");
    assert!(lines.last().unwrap().ends_with(": 2 CANCELLED, 1 not begun"), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("RUNNING") || line.contains("cancelling")), "{lines:?}");
}

#[tokio::test]
async fn ctrl_c_twice_leaves_a_service_that_does_not_answer() {
    let service = Service::start();
    let mut tty = Tty::start(&on(&service, &["run", &stub_url("/sleep")]), 24, 100);
    tty.line_with(" RUNNING ").await;
    service.signal(Signal::STOP);
    tty.press(CTRL_C);
    tty.line_with("cancelling; Ctrl-C again").await;
    tty.press(CTRL_C);
    let code = tty.end().await;
    service.signal(Signal::CONT);
    assert_eq!(code, 4);
    let lines = tty.lines().join("");
    assert!(lines.contains("error: left before the task was over; `comet-task-runner watch "), "{lines}");
}

#[tokio::test]
async fn who_wants_no_colour_gets_none() {
    let service = Service::start();
    let mut run = on(&service, &["run", &stub_url("/exit/0")]);
    run.env("NO_COLOR", "1");
    let mut tty = Tty::start(&run, 24, 100);
    assert_eq!(tty.end().await, 0);
    assert_eq!(tty.colour_of("DONE"), vt100::Color::Default);
    assert!(!tty.raw().contains("\u{1b}[3"), "{:?}", tty.raw());
}

#[tokio::test]
async fn a_watch_of_all_is_a_table_that_changes_in_its_place_and_fits_every_width() {
    let service = slots(2);
    let mut client = service.client().await;
    let first = begin(&mut client, "/sleep?first").await.task_id;
    let mut tty = Tty::start(&on(&service, &["watch"]), 10, 130);
    tty.until("a live row", |lines| lines.len() == 3 && lines[1].starts_with(&format!("{first}  RUNNING"))).await;
    assert!(tty.lines()[0].contains("  REASON  "), "{:?}", tty.lines());
    let second = begin(&mut client, "/sleep?second").await.task_id;
    tty.until("the newer one above", |lines| lines.len() == 4 && lines[1].starts_with(&second)).await;
    let report = CallbackRequest { task_id: second.clone(), status: Status::Done.into(), ..CallbackRequest::default() };
    client.callback(report).await.unwrap();
    tty.until("what is over below", |lines| lines.len() == 4 && lines[2].starts_with(&format!("{second}  DONE"))).await;
    assert_eq!(tty.lines()[3], "1 live, 1 over; Ctrl-C leaves them to go on");

    // As it becomes narrower, lines that are there may be wrapped; what is drawn next is not.
    tty.resize(10, 60);
    tty.until("a narrow table", |lines| {
        lines.iter().any(|line| line.starts_with("STATUS  ")) && lines.iter().all(|line| line.chars().count() <= 60)
    })
    .await;
    tty.press(CTRL_C);
    assert_eq!(tty.end().await, 130);
    assert!(job_when(&mut client, &first, |_| true).await.status() == Status::Running, "a watch cancels nothing");
}

#[tokio::test]
async fn a_list_fits_the_terminal() {
    let service = Service::start();
    let mut client = service.client().await;
    for _ in 0..3 {
        let made = client.execute(execute(&stub_url(&format!("/exit/0?{}", "x".repeat(300))))).await.unwrap();
        job_ended(&mut client, &made.into_inner().task_id).await;
    }
    for columns in [50, 80, 140] {
        let mut tty = Tty::start(&on(&service, &["list"]), 24, columns);
        assert_eq!(tty.end().await, 0);
        let lines = tty.lines();
        assert_eq!(lines.len(), 4, "no line is wrapped at {columns}: {lines:?}");
        assert!(lines[1..].iter().all(|line| line.contains("DONE") && line.ends_with('\u{2026}')), "{lines:?}");
        assert_eq!(tty.colour_of("DONE"), GREEN);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_away_is_told_below_and_forgotten_when_it_is_back() {
    let mut service = Service::start();
    let mut tty = Tty::start(&on(&service, &["run", &stub_url("/sleep")]), 24, 100);
    tty.line_with(" RUNNING ").await;
    tokio::task::block_in_place(|| service.kill());
    tty.line_with("the service does not answer; trying again").await;
    tokio::task::block_in_place(|| service.restart());
    tty.until("the word of the service", |lines| !lines.iter().any(|line| line.contains("does not answer"))).await;
    let task_id = tty.lines()[0].strip_prefix("task ").unwrap().to_owned();
    let report = CallbackRequest { task_id, status: Status::Failed.into(), ..CallbackRequest::default() };
    service.client().await.callback(report).await.unwrap();
    assert_eq!(tty.end().await, 1);
    let lines = tty.lines();
    assert_eq!(lines.len(), 5, "the name, three changes and what to do next: {lines:?}");
    assert!(lines[4].starts_with("comet-task-runner log "), "{lines:?}");
}
