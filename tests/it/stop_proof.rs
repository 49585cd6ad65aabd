//! Stopping with proof, through the service: what resists ends, its end is told when nothing is left, step by step.

use std::time::Duration;

use comet_task_runner::api::v1::{
    self, CancelJobRequest, TreeEnd, WatchJobsRequest, WatchJobsResponse,
    job::{Reason, Status},
    resources::MemorySource,
    tree_end::Step,
};
use rustix::process::Signal;

use super::{
    processes::{self, Ending, Named},
    real::{Real, headless, run_dir, when},
    service::{Client, Service, ended, eventually, execute, job_when, next, stub_url},
    watch_jobs::{follow_until, only, open},
    wire::{begin, cancel, is_alive, kill_at_once, pid_in, settled, span, watch_exit},
};

/// Long enough for each step to be one of its own, and short for whoever waits.
const GRACE: Duration = Duration::from_millis(600);

fn steps(end: &TreeEnd) -> Vec<(Step, u32)> {
    end.steps.iter().map(|taken| (taken.step(), taken.processes_left)).collect()
}

/// The proof of a tree's end, looked through: the steps in their order, and the end behind them.
fn proof(job: &v1::Job) -> &TreeEnd {
    let end = job.tree_end.as_ref().expect("nothing is left");
    let at = |at: &Option<prost_types::Timestamp>| at.map(|at| (at.seconds, at.nanos)).expect("it is known when");
    let times: Vec<_> = end.steps.iter().map(|taken| at(&taken.at)).chain([at(&end.ended_at)]).collect();
    assert!(times.is_sorted(), "{end:?}");
    assert!(end.steps.is_sorted_by(|before, after| before.step() < after.step()), "each once: {end:?}");
    end
}

/// The job once nothing of its tree is left, which may be after its exit and so after the end of a watch of it alone.
async fn emptied(client: &mut Client, task_id: &str) -> v1::Job {
    let since = span(Duration::from_secs(3600));
    let request = WatchJobsRequest { filter: Some(only(&[task_id])), since, ..WatchJobsRequest::default() };
    let mut stream = open(client, request).await;
    let is_empty = |message: &WatchJobsResponse| message.job.as_ref().is_some_and(|job| job.tree_end.is_some());
    let mut messages = follow_until(&mut stream, is_empty).await;
    messages.pop().and_then(|message| message.job).expect("the last one has a job")
}

async fn cancel_within(client: &mut Client, task_id: &str, grace: Duration) {
    let wish = CancelJobRequest { termination_grace: span(grace), ..cancel(task_id) };
    client.cancel_job(wish).await.unwrap();
}

/// Everything below the shim of a task, the shim itself left out.
fn tree(task: &v1::ExecuteResponse) -> Vec<Named> {
    let shim = processes::parent_of(task.process_id).expect("its browser lives");
    let below = processes::descendants(shim).into_iter().filter_map(Named::of);
    below.filter(|process| process.lives()).collect()
}

#[tokio::test]
async fn a_task_that_is_cancelled_tells_each_step_that_its_browser_resisted() {
    let service = Service::start();
    let mut client = service.client().await;
    let file = service.home().join("child");
    let task = settled(begin(&mut client, &format!("/double-fork?file={}", file.display())).await);
    eventually("the child tells its pid", || pid_in(&file).is_some());
    let tree = tree(&task);
    assert_eq!(tree.len(), 2, "the browser, and one that left it");
    cancel_within(&mut client, &task.task_id, GRACE).await;
    let job = job_when(&mut client, &task.task_id, |job| job.done).await;
    // At this very moment, without a wait.
    assert!(tree.iter().all(|process| !process.lives()), "something is left");
    assert_eq!(job.status(), Status::Cancelled);
    let end = proof(&job);
    assert_eq!(steps(end), [(Step::Terminated, 2), (Step::Killed, 1)]);
    assert_eq!((end.step(), end.killed_count), (Step::Killed, 1));
}

#[tokio::test]
async fn a_task_that_timed_out_says_so_only_when_its_storm_of_processes_is_over() {
    let service = Service::start();
    let mut client = service.client().await;
    let file = service.home().join("storm");
    let url = stub_url(&format!("/storm?file={}&n=20000", file.display()));
    let run = v1::Timeouts { run: span(Duration::from_millis(700)), ..v1::Timeouts::default() };
    let request = v1::ExecuteRequest {
        timeouts: Some(run),
        termination_grace: span(Duration::from_millis(300)),
        ..execute(&url)
    };
    let task = client.execute(request).await.unwrap().into_inner();
    let job = job_when(&mut client, &task.task_id, |job| job.done).await;
    let left: Vec<u32> = processes::all().into_iter().filter(|pid| processes::mentions(*pid, &file)).collect();
    assert_eq!(left, Vec::<u32>::new(), "something is left");
    assert_eq!((job.status(), job.reason()), (Status::TimedOut, Reason::RunTimeout));
    let end = proof(&job);
    let taken: Vec<Step> = end.steps.iter().map(v1::tree_end::StepTaken::step).collect();
    assert_eq!((taken.as_slice(), end.step()), ([Step::Terminated, Step::Killed].as_slice(), Step::Killed));
    assert!(end.steps.iter().all(|taken| taken.processes_left > 1) && end.killed_count > 1, "{end:?}");
}

#[tokio::test]
async fn what_a_tree_took_is_told_once_nothing_of_it_is_left_and_peaks_only_when_they_were_seen() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/spend?ms=300&mb=64").await;
    assert_eq!(task.job.as_ref().unwrap().resources, None);
    let job = emptied(&mut client, &task.task_id).await;
    assert_eq!((job.status(), steps(proof(&job))), (Status::Done, vec![]));
    let took = job.resources.unwrap();
    let cpu = Duration::try_from(took.cpu_time.unwrap()).unwrap();
    assert!(cpu >= Duration::from_millis(300) && cpu < Duration::from_millis(600), "{took:?}");
    assert!(took.largest_process_mb >= 64.0 && took.largest_process_mb < 96.0, "{took:?}");
    // Nothing stopped it and the time was too short for a look, or one was made: then both peaks are of it.
    assert_eq!(took.peak_memory_mb.is_some(), took.peak_memory_source() != MemorySource::Unspecified);
    assert_eq!(took.process_count_peak.is_some(), took.peak_memory_source() == MemorySource::Sampled, "{took:?}");
}

#[tokio::test]
async fn the_highest_reading_is_the_peak_where_the_kernel_does_not_count() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = settled(begin(&mut client, "/share?mb=64&n=3").await);
    let mut stream = client.watch_job(watch_exit(&task.task_id)).await.unwrap().into_inner();
    let mut highest = 0.0_f64;
    // A few readings, and the end.
    let mut readings = 0;
    loop {
        let message = next(&mut stream).await.unwrap().expect("it ends with the last one");
        let reading = message.sample.as_ref().and_then(|sample| sample.process_info.as_ref());
        // A first one may come before all its children, or before all were asked what they share.
        if let Some(reading) = reading.filter(|reading| reading.pss_measured && reading.process_count == 4) {
            assert!(reading.rss_mb > 3.0 * 64.0 && reading.memory_mb < 2.0 * 64.0, "{reading:?}");
            highest = highest.max(reading.memory_mb);
            readings += 1;
            if readings == 2 {
                client.cancel_job(kill_at_once(&task.task_id)).await.unwrap();
            }
        }
        if message.r#final {
            break;
        }
    }
    let took = emptied(&mut client, &task.task_id).await.resources.unwrap();
    let peak = took.peak_memory_mb.unwrap();
    assert!(peak >= highest && highest > 60.0, "{took:?}, read {highest}");
    if took.peak_memory_source() != MemorySource::Cgroup {
        assert_eq!(took.peak_memory_source(), MemorySource::Sampled);
        assert!(peak < 2.0 * 64.0, "what is shared is counted once: {took:?}");
    }
    assert_eq!(took.process_count_peak, Some(4));
}

#[tokio::test]
async fn a_real_browser_that_is_stopped_in_its_tracks_is_ended_with_all_its_processes() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.html("/still", "<title>still</title>");
    let task = real.begin(headless(&url)).await;
    real.shown(&task.task_id).await;
    let tree = tree(&task);
    assert!(tree.len() > 3, "{tree:?}");
    for process in &tree {
        if process.lives() {
            processes::signal(process.pid, Signal::STOP);
        }
    }
    cancel_within(&mut real.client, &task.task_id, GRACE).await;
    let job = when(&mut real.client, &task.task_id, |job| job.done).await;
    assert!(tree.iter().all(|process| !process.lives()), "something is left");
    assert_eq!((job.status(), job.exit_signal), (Status::Cancelled, Some(9)));
    let end = proof(&job);
    let met = steps(end);
    let taken: Vec<Step> = met.iter().map(|(step, _)| *step).collect();
    assert_eq!(taken, [Step::Closed, Step::Terminated, Step::Killed]);
    // None of them could do anything about it in between.
    assert!(met.iter().all(|(_, left)| *left == met[0].1 && *left > 3), "{end:?}");
    assert!(job.resources.unwrap().process_count_peak >= Some(met[0].1));
    real.finish(&task.task_id).await;
}

#[tokio::test]
async fn a_real_browser_that_is_asked_to_close_is_counted_when_it_is_asked() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.html("/closing", "<title>closing</title>");
    let task = real.begin(headless(&url)).await;
    real.shown(&task.task_id).await;
    real.cancel(&task.task_id).await;
    let job = real.finish(&task.task_id).await;
    assert_eq!((job.status(), job.exit_code), (Status::Cancelled, Some(0)));
    let end = proof(&job);
    assert_eq!(end.steps[0].step(), Step::Closed);
    assert!(end.steps[0].processes_left > 3, "{end:?}");
    let took = job.resources.unwrap();
    let cpu = Duration::try_from(took.cpu_time.unwrap()).unwrap();
    assert!(cpu > Duration::from_millis(100) && took.largest_process_mb > 50.0, "{took:?}");
    assert!(took.process_count_peak > Some(3));
}

#[tokio::test]
async fn a_window_that_is_kept_open_has_not_taken_all_that_it_takes() {
    let service = Service::start();
    let mut client = service.client().await;
    let keep = v1::execute_request::AfterFinish::KeepOpen.into();
    let request = v1::ExecuteRequest { after_finish: keep, ..execute(&stub_url("/sleep")) };
    let task = settled(client.execute(request).await.unwrap().into_inner());
    client.callback(super::wire::report(&task, Status::Done)).await.unwrap();
    let job = ended(&mut client, &task.task_id).await;
    assert!(is_alive(task.process_id));
    assert_eq!((job.resources, job.tree_end), (None, None));
    client.cancel_job(cancel(&task.task_id)).await.unwrap();
    let job = emptied(&mut client, &task.task_id).await;
    assert_eq!((job.status(), steps(proof(&job))), (Status::Done, vec![(Step::Terminated, 1)]));
    assert!(job.resources.is_some());
}

#[tokio::test]
async fn what_a_crash_left_of_a_lost_job_is_gone_after_the_next_start_its_profile_included() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.html("/lost", "<title>lost</title>");
    let task = real.begin(headless(&url)).await;
    real.shown(&task.task_id).await;
    let shim = processes::parent_of(task.process_id).unwrap();
    let endings: Vec<Ending> = tree(&task).iter().filter_map(|process| Ending::of(process.pid)).collect();
    let left = run_dir(&real.service, &task.task_id).unwrap();
    real.service.kill();
    processes::signal(shim, Signal::KILL);
    endings.iter().for_each(Ending::wait);
    let in_profile = std::fs::read_dir(left.join("p")).unwrap().count();
    assert!(in_profile > 3, "a crash leaves the profile: {in_profile}");
    real.service.restart();
    real.client = real.service.client().await;
    let job = when(&mut real.client, &task.task_id, |job| job.done).await;
    assert_eq!((job.status(), job.reason()), (Status::Lost, Reason::ServiceRestarted));
    assert_eq!((job.resources, job.tree_end), (None, None), "nobody knows");
    assert!(!left.exists() && real.service.kept_files(&task.task_id).is_empty());
}

#[tokio::test]
async fn a_service_that_was_held_up_when_a_job_ended_leaves_no_file_of_it() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = settled(begin(&mut client, "/sleep").await);
    let shim = Ending::of(processes::parent_of(task.process_id).unwrap()).unwrap();
    // Held up for longer than a shim waits to be heard: it writes down what it has told, and leaves.
    service.signal(Signal::STOP);
    processes::signal(task.process_id, Signal::KILL);
    shim.wait();
    assert!(!service.kept_files(&task.task_id).is_empty(), "its last word is in writing");
    service.signal(Signal::CONT);
    let job = emptied(&mut client, &task.task_id).await;
    assert_eq!((job.status(), job.exit_signal), (Status::Failed, Some(9)));
    eventually("that no file of the job is left", || service.kept_files(&task.task_id).is_empty());
}
