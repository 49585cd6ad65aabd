//! How many windows may be open, and what becomes of those that were kept open when another is wanted.

use comet_task_runner::api::v1::{
    self,
    execute_request::{AfterFinish, Mode},
    job::{Reason, Status},
    sample::QueueReason,
    tree_end::Step,
};

use super::{
    display::Display,
    real::{Real, Seats, assert_ended},
    service::{Client, Options, Service, ended, execute, job_when, stub_url},
    wire::{cancel, report, settled, status},
};

/// The stub opens no window, so it does not mind that there is no such display.
fn windows(windows_max: usize) -> Options {
    let options = Options::default().arg("--slots").arg("3").arg("--windows-max").arg(windows_max.to_string());
    options.arg("--no-sandbox").env("DISPLAY", ":no-display")
}

fn headed(path: &str) -> v1::ExecuteRequest {
    v1::ExecuteRequest { mode: Mode::Headed.into(), ..execute(&stub_url(path)) }
}

/// A task that is over, and whose window was kept open.
async fn kept(client: &mut Client) -> v1::ExecuteResponse {
    let task = settled(client.execute(headed("/sleep")).await.unwrap().into_inner());
    let job = client.callback(report(&task, Status::Done)).await.unwrap().into_inner().job.unwrap();
    assert!(job.done && job.is_process_alive);
    task
}

async fn runner(client: &mut Client) -> v1::GetRunnerResponse {
    client.get_runner(v1::GetRunnerRequest {}).await.unwrap().into_inner()
}

async fn assert_waits_for_a_window(client: &mut Client, task: &v1::ExecuteResponse) {
    let sample = status(client, &task.task_id).await.sample.unwrap();
    assert_eq!((sample.queue_position, sample.queue_reason()), (Some(1), QueueReason::Window));
    assert_eq!(sample.queue_message, "waits for a window; 1 may be open, and 1 are kept open");
}

#[tokio::test]
async fn a_window_that_was_kept_open_counts_until_a_person_closes_it_and_those_without_one_pass() {
    let service = Service::start_with(windows(1));
    let mut client = service.client().await;
    let first = kept(&mut client).await;
    let load = runner(&mut client).await.load.unwrap();
    assert_eq!((load.slots_taken, load.windows_open, load.windows_kept), (0, 1, 1), "it holds no slot");
    let second = client.execute(headed("/exit/0")).await.unwrap().into_inner();
    assert_eq!(second.job.as_ref().unwrap().status(), Status::Created);
    assert_waits_for_a_window(&mut client, &second).await;
    let told = runner(&mut client).await;
    let problem = told.problems.iter().find(|problem| problem.what.contains("1 windows are open")).unwrap();
    assert!(told.ready && problem.remedy.contains("windows_evict"), "{problem:?}");
    let headless = v1::ExecuteRequest { mode: Mode::Headless.into(), ..headed("/exit/0") };
    let passing = client.execute(headless).await.unwrap().into_inner();
    assert_eq!(ended(&mut client, &passing.task_id).await.status(), Status::Done);
    assert!(status(&mut client, &first.task_id).await.job.unwrap().is_process_alive, "nobody said that it may go");
    // As a click on its cross would.
    super::processes::signal(first.process_id, rustix::process::Signal::TERM);
    assert_eq!(ended(&mut client, &second.task_id).await.status(), Status::Done);
}

#[tokio::test]
async fn a_window_kept_open_still_counts_after_a_restart() {
    let mut service = Service::start_with(windows(1));
    let mut client = service.client().await;
    let first = kept(&mut client).await;
    let second = client.execute(headed("/exit/0")).await.unwrap().into_inner();
    service.kill();
    service.restart();
    let mut client = service.client().await;
    let load = runner(&mut client).await.load.unwrap();
    assert_eq!((load.windows_open, load.queue_len), (1, 1));
    // That it was kept is known once its attendant has looked at it, which nothing tells.
    let known = async { while runner(&mut client).await.load.unwrap().windows_kept != 1 {} };
    tokio::time::timeout(super::service::SOON, known).await.expect("it is known to be kept");
    assert_waits_for_a_window(&mut client, &second).await;
    client.cancel_job(cancel(&first.task_id)).await.unwrap();
    assert_eq!(ended(&mut client, &second.task_id).await.status(), Status::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_window_makes_room_if_it_may_and_its_task_stays_what_it_was() {
    let service = Service::start_with(windows(2).arg("--windows-evict"));
    let mut client = service.client().await;
    let (oldest, newer) = (kept(&mut client).await, kept(&mut client).await);
    let third = client.execute(headed("/sleep")).await.unwrap().into_inner();
    let running = job_when(&mut client, &third.task_id, |job| job.status() == Status::Running).await;
    let evicted = job_when(&mut client, &oldest.task_id, |job| job.tree_end.is_some()).await;
    assert_ended(&evicted, Status::Done, Reason::Callback);
    assert!(!evicted.is_process_alive);
    assert_eq!(evicted.tree_end.unwrap().step(), Step::Terminated);
    assert!(status(&mut client, &newer.task_id).await.job.unwrap().is_process_alive);
    assert!(running.is_process_alive);
    assert_eq!(runner(&mut client).await.load.unwrap().windows_open, 2);
    drop(client);
    let log = service.left().await;
    let lines: Vec<_> = log.lines().filter(|line| line.contains("to make room for another")).collect();
    assert!(lines.len() == 1 && lines[0].contains(&oldest.task_id), "{lines:?}");
}

#[tokio::test]
async fn a_real_window_makes_room_for_a_real_one() {
    let Some(seats) = Seats::take(2, &["Xvfb", "openbox", "xdotool"]) else { return };
    let display = Display::start();
    let options = Options::chromium().arg("--slots").arg("2").arg("--windows-max").arg("1").arg("--windows-evict");
    let Some(mut real) = Real::start_with(options.env("DISPLAY", &display.name), seats).await else { return };
    let url = real.pages.script("/done", "cometTask.done()");
    let request = v1::ExecuteRequest { mode: Mode::Headed.into(), ..execute(&url) };
    let first = real.begin(request.clone()).await;
    let done = real.when(&first.task_id, |job| job.done).await;
    assert!(done.is_process_alive);
    display.window(&format!("comet-task-{}", first.task_id));
    let second = real.begin(v1::ExecuteRequest { after_finish: AfterFinish::Close.into(), ..request }).await;
    let job = real.finish(&second.task_id).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    let evicted = real.finish(&first.task_id).await;
    assert_ended(&evicted, Status::Done, Reason::Callback);
    assert_eq!(evicted.exit_code, Some(0), "it was asked to leave, and left");
}
