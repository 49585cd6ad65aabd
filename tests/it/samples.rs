//! Readings of process trees: whole ones, of now, made once for all who look, and none when nobody does.

use std::time::{Duration, Instant};

use comet_task_runner::api::v1::{self, ProcessInfo, watch_job_response::Kind};
use rustix::process::{Pid, Signal, kill_process};
use tonic::Streaming;

use super::{
    processes,
    real::{Real, headless},
    service::{AT_LENGTH, Client, Options, SOON, Service, ended, eventually, next, to_end, watch},
    wire::{begin, is_alive, settled, status, watch_exit},
};

/// Longer than two looks are apart, and than a reading speaks of now.
const A_WHILE_MS: u64 = 3200;
/// What the service says of each pass.
const PASS: &str = "read the process trees";

type Stream = Streaming<v1::WatchJobResponse>;

/// The next reading that a stream tells of which this is true.
async fn reading_when(stream: &mut Stream, wanted: impl Fn(&ProcessInfo) -> bool) -> ProcessInfo {
    let reading = async {
        loop {
            let message = next(stream).await.unwrap().expect("the stream goes on");
            match message.sample.and_then(|sample| sample.process_info) {
                Some(reading) if wanted(&reading) => return reading,
                Some(_) | None => {}
            }
        }
    };
    tokio::time::timeout(AT_LENGTH, reading).await.expect("a reading is as wanted")
}

async fn read_status(client: &mut Client, task_id: &str) -> Option<ProcessInfo> {
    status(client, task_id).await.sample.and_then(|sample| sample.process_info)
}

fn passes(log: &str) -> usize {
    log.lines().filter(|line| line.contains(PASS)).count()
}

/// Ends the service, and counts all the passes that it ever made.
fn passes_in_all(mut service: Service) -> usize {
    service.terminate();
    passes(&service.log_to_end())
}

/// Lets a while pass that no call of the service and no watcher measures: the life of a process.
async fn a_while(service: &Service, client: &mut Client) {
    let file = service.home().join("life");
    let task = begin(client, &format!("/life?file={}&ms={A_WHILE_MS}&code=0", file.display())).await;
    eventually("that the process ends", || !is_alive(task.process_id));
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn the_processor_time_is_the_whole_trees_and_comes_with_the_second_reading() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = settled(begin(&mut client, "/burn").await);
    let mut stream = client.watch_job(watch(&task.task_id)).await.unwrap().into_inner();
    let first = reading_when(&mut stream, |_| true).await;
    assert_eq!((first.pid, first.name.as_str(), first.cpu_percent), (task.process_id, "stub_browser", None));
    let second = reading_when(&mut stream, |reading| reading.cpu_percent.is_some()).await;
    // The browser process sleeps; the one that is busy left it, its group and its session.
    assert_eq!((second.status.as_str(), second.process_count), ("sleeping", 2), "{second:?}");
    let percent = second.cpu_percent.unwrap();
    assert!(percent > 10.0 && percent < 150.0, "one busy process on a machine that does much else: {percent}");
    let at = |reading: &ProcessInfo| std::time::SystemTime::try_from(reading.sampled_at.unwrap()).unwrap();
    let apart = at(&second).duration_since(at(&first)).unwrap();
    assert!(apart >= Duration::from_millis(900), "{apart:?} apart");
}

#[tokio::test]
async fn memory_that_processes_share_is_counted_once() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/share?mb=64&n=4").await;
    let mut stream = client.watch_job(watch(&task.task_id)).await.unwrap().into_inner();
    // The share of a process that has just come is not read yet.
    let reading = reading_when(&mut stream, |reading| reading.process_count == 5 && reading.pss_measured).await;
    assert!(reading.memory_mb > 64.0 && reading.memory_mb < 96.0, "{reading:?}");
}

#[tokio::test]
async fn what_the_browser_process_does_is_told_and_ends_with_it() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = settled(begin(&mut client, "/sleep").await);
    let mut stream = client.watch_job(watch_exit(&task.task_id)).await.unwrap().into_inner();
    reading_when(&mut stream, |reading| reading.status == "sleeping").await;
    signal(task.process_id, Signal::STOP);
    reading_when(&mut stream, |reading| reading.status == "stopped").await;
    signal(task.process_id, Signal::KILL);
    let messages = to_end(&mut stream).await;
    let dead = messages.iter().skip_while(|message| message.kind() != Kind::Change);
    let told = dead.filter_map(|message| message.sample.as_ref()?.process_info.as_ref());
    assert_eq!(told.count(), 0, "{messages:?}");
    assert_eq!(read_status(&mut client, &task.task_id).await, None);
}

#[tokio::test]
async fn a_job_of_an_earlier_service_is_read_too() {
    let mut service = Service::start();
    let task = begin(&mut service.client().await, "/burn").await;
    service.kill();
    service.restart();
    let mut client = service.client().await;
    let mut stream = client.watch_job(watch(&task.task_id)).await.unwrap().into_inner();
    let reading = reading_when(&mut stream, |reading| reading.cpu_percent.is_some()).await;
    assert_eq!((reading.pid, reading.process_count), (task.process_id, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_while_nobody_looks() {
    let service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let mut client = service.client().await;
    begin(&mut client, "/sleep").await;
    a_while(&service, &mut client).await;
    assert_eq!(passes_in_all(service), 0);
}

#[tokio::test]
async fn nothing_is_read_once_the_last_watcher_has_left() {
    let service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let mut stream = client.watch_job(watch(&task.task_id)).await.unwrap().into_inner();
    reading_when(&mut stream, |_| true).await;
    drop(stream);
    // The service notices by and by, which nothing tells.
    let left = async {
        while client.get_runner(v1::GetRunnerRequest {}).await.unwrap().into_inner().load.unwrap().watchers > 0 {}
    };
    tokio::time::timeout(SOON, left).await.expect("the watcher is gone");
    assert!(passes(&service.log()) > 0);
    a_while(&service, &mut client).await;
    let late = passes(&service.log());
    assert!(late <= 1, "{late} passes for nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_watchers_of_many_jobs_cost_as_many_passes_as_one() {
    let service = Service::start_with(Options::default().arg("--slots").arg("4"));
    let mut client = service.client().await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(begin(&mut client, "/sleep").await);
    }
    let begun = Instant::now();
    let mut watching = Vec::new();
    for index in 0..100 {
        let task = &tasks[index % tasks.len()];
        let mut stream = client.watch_job(watch(&task.task_id)).await.unwrap().into_inner();
        watching.push(tokio::spawn(async move {
            for _ in 0..3 {
                reading_when(&mut stream, |_| true).await;
            }
        }));
    }
    for watcher in watching {
        watcher.await.unwrap();
    }
    drop(client);
    let passes = passes_in_all(service) as u64;
    let took = begun.elapsed();
    assert!(passes >= 3 && passes <= took.as_secs() + 2, "{passes} passes in {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_calls_share_a_pass_and_get_the_processor_time_with_the_next() {
    let service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let mut client = service.client().await;
    let task = begin(&mut client, "/burn").await;
    let begun = Instant::now();
    let mut calls = Vec::new();
    for _ in 0..100 {
        let (mut client, task_id) = (client.clone(), task.task_id.clone());
        calls.push(tokio::spawn(async move { read_status(&mut client, &task_id).await }));
    }
    for call in calls {
        let reading = call.await.unwrap().expect("a call waits for the pass");
        assert_eq!((reading.pid, reading.cpu_percent), (task.process_id, None));
    }
    for _ in 0..100 {
        assert!(read_status(&mut client, &task.task_id).await.is_some(), "a reading is there while it is fresh");
    }
    a_while(&service, &mut client).await;
    let reading = read_status(&mut client, &task.task_id).await.unwrap();
    assert!(reading.cpu_percent.is_some_and(|percent| percent > 10.0), "{reading:?}");
    drop(client);
    // At most one a second, however many call; one that comes just when a pass begins cannot know that it is part of it.
    let passes = passes_in_all(service) as u64;
    let took = begun.elapsed();
    assert!(passes >= 2 && passes <= took.as_secs() + 2, "{passes} passes in {took:?}");
}

#[tokio::test]
async fn a_real_browser_is_read_with_all_its_processes() {
    let Some(mut real) = Real::start().await else { return };
    let url =
        real.pages.script("/busy", "setInterval(() => { for (const end = Date.now() + 50; Date.now() < end;); }, 60)");
    let begun = real.begin(headless(&url)).await;
    let mut stream = real.client.watch_job(watch(&begun.task_id)).await.unwrap().into_inner();
    let first = reading_when(&mut stream, |_| true).await;
    assert_eq!((first.pid, first.cpu_percent), (begun.process_id, None));
    real.shown(&begun.task_id).await;
    let busy = reading_when(&mut stream, |reading| reading.cpu_percent.is_some_and(|percent| percent > 10.0)).await;
    assert!(busy.process_count > 3, "{busy:?}");
    let below = processes::descendants(begun.process_id).len();
    // Beside those below it, a few that left it, and none of the many that the machine has else.
    assert!((busy.process_count as usize) < below + 10, "{busy:?}, and {below} below the browser process");
    let alone = share_mb(begun.process_id);
    assert!(busy.memory_mb > alone * 1.2 && busy.memory_mb < alone * 20.0, "{busy:?}, alone {alone}");
    real.cancel(&begun.task_id).await;
    assert!(ended(&mut real.client, &begun.task_id).await.done);
    real.finish(&begun.task_id).await;
    assert_eq!(read_status(&mut real.client, &begun.task_id).await, None);
}

/// The memory of one process, what it shares counted in part.
fn share_mb(pid: u32) -> f64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
