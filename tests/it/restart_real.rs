//! A service that dies under real browsers: what goes on goes on, what ended meanwhile is told truly.

use comet_task_runner::api::v1::{
    self,
    execute_request::AfterFinish,
    job::{Reason, Status},
    watch_job_request::Until,
    watch_job_response::Kind,
};
use rustix::process::Signal;
use tonic::Streaming;

use super::{
    history,
    pages::Pages,
    processes::{self, Ending},
    real::{LONG, Real, Seats, assert_ended, headless, load_state},
    service::{Client, Options, next, next_job, watch},
};

/// A watcher that remembers how far it has come.
struct Watcher {
    stream: Streaming<v1::WatchJobResponse>,
    told: Vec<v1::WatchJobResponse>,
}

impl Watcher {
    async fn open(client: &mut Client, task_id: &str) -> Self {
        Self { stream: client.watch_job(watch(task_id)).await.unwrap().into_inner(), told: Vec::new() }
    }

    /// Reads on until a job satisfies `wanted`.
    async fn read_until(&mut self, wanted: impl Fn(&v1::Job) -> bool) {
        let read = async {
            loop {
                let message = next(&mut self.stream).await.unwrap().expect("the stream goes on");
                let found = message.job.as_ref().is_some_and(&wanted);
                self.told.push(message);
                if found {
                    return;
                }
            }
        };
        tokio::time::timeout(LONG, read).await.expect("the job comes to that");
    }

    /// Goes on where it was cut off, on another connection.
    async fn resume(&mut self, client: &mut Client, task_id: &str) {
        // The rest of what came before the cut.
        while let Ok(Some(message)) = next(&mut self.stream).await {
            self.told.push(message);
        }
        let resume_token = self.told.last().unwrap().resume_token.clone();
        let request = v1::WatchJobRequest { resume_token, ..watch(task_id) };
        self.stream = client.watch_job(request).await.unwrap().into_inner();
    }

    /// Reads to the stream's OK. Every change came once, over the cut too, and nothing was begun anew.
    async fn finish(mut self) -> v1::Job {
        let read = async {
            while let Some(message) = next(&mut self.stream).await.unwrap() {
                self.told.push(message);
            }
        };
        tokio::time::timeout(LONG, read).await.expect("the job ends");
        let told: Vec<_> =
            self.told.iter().filter(|message| matches!(message.kind(), Kind::Snapshot | Kind::Change)).collect();
        assert!(told.iter().skip(1).all(|message| message.kind() == Kind::Change), "{:#?}", self.told);
        assert!(self.told.iter().all(|message| !message.reset));
        assert!(told.windows(2).all(|pair| pair[1].revision == pair[0].revision + 1), "{:#?}", self.told);
        let last = self.told.pop().unwrap();
        assert!(last.r#final);
        last.job.unwrap()
    }
}

/// Without windows; room for four tasks at once.
async fn start() -> Option<Real> {
    let seats = Seats::take(2, &[])?;
    Real::start_with(Options::chromium().arg("--slots").arg("4"), seats).await
}

#[tokio::test]
async fn four_tasks_outlive_a_killed_service_and_each_ends_as_it_truly_did() {
    let Some(mut real) = start().await else { return };
    let second = Pages::start();
    let dies = real.pages.html("/idle", "dies while the service is away");
    let reports = real.pages.script("/reports", "fetch('/gate').then(() => cometTask.done('while away'))");
    let goes_on = second.script("/goes-on", "fetch('/gate').then(() => cometTask.done('afterwards'))");
    let cancelled = second.html("/idle", "is cancelled afterwards");
    let mut tasks = Vec::new();
    for url in [&dies, &reports, &goes_on, &cancelled] {
        let begun = real.begin(headless(url)).await;
        let mut watcher = Watcher::open(&mut real.client, &begun.task_id).await;
        watcher.read_until(|job| load_state(job) == v1::page::LoadState::Committed).await;
        tasks.push((begun, watcher));
    }
    let pids: Vec<u32> = tasks.iter().map(|(begun, _)| begun.process_id).collect();

    real.service.kill();
    let shim_of_dead = Ending::of(processes::parent_of(pids[0]).unwrap()).unwrap();
    processes::signal(pids[0], Signal::SEGV);
    shim_of_dead.wait();
    real.pages.open_gate();
    real.service.restart();

    real.client = real.service.client().await;
    for (begun, watcher) in &mut tasks {
        watcher.resume(&mut real.client, &begun.task_id).await;
    }
    second.open_gate();
    real.cancel(&tasks[3].0.task_id).await;
    let mut ends = Vec::new();
    for (_, watcher) in tasks.drain(..) {
        ends.push(watcher.finish().await);
    }
    assert_ended(&ends[0], Status::Failed, Reason::ProcessFailed);
    assert_eq!(ends[0].exit_signal, Some(11), "the true signal, from the exit file");
    assert_ended(&ends[1], Status::Done, Reason::Callback);
    assert_eq!(ends[1].callback.as_ref().unwrap().result, "\"while away\"");
    assert_ended(&ends[2], Status::Done, Reason::Callback);
    assert_eq!(ends[2].callback.as_ref().unwrap().result, "\"afterwards\"");
    assert_ended(&ends[3], Status::Cancelled, Reason::CancelRequested);
    assert_eq!(ends.iter().map(|job| job.process_id).collect::<Vec<_>>(), pids, "adopted, not started anew");
    assert!(ends.iter().all(|job| job.attempt == 1));
    for job in &ends {
        real.finish(&job.task_id).await;
    }
    history::assert_orderly(&history::read(&real.service.state_dir()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_said_before_its_browser_died_is_read_when_no_service_was_there_for_either() {
    let Some(mut real) = start().await else { return };
    let script = "fetch('/gate').then(() => cometTask.done('just in time')).then(() => fetch('/said'))";
    let begun = real.begin(headless(&real.pages.script("/says", script))).await;
    real.shown(&begun.task_id).await;
    real.service.kill();
    let shim = Ending::of(processes::parent_of(begun.process_id).unwrap()).unwrap();
    real.pages.open_gate();
    tokio::task::block_in_place(|| real.pages.wait_for("/said"));
    // It writes what it has to say before it leaves, which a kill would keep it from.
    processes::signal(begun.process_id, Signal::TERM);
    shim.wait();
    real.service.restart();
    real.client = real.service.client().await;
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    assert_eq!((job.callback.unwrap().result.as_str(), job.exit_code), ("\"just in time\"", Some(0)));
}

#[tokio::test]
async fn a_page_that_closes_after_a_second_restart_is_still_heard() {
    let Some(mut real) = start().await else { return };
    let url = real.pages.script("/closes", "fetch('/gate').then(() => close())");
    let begun = real.begin(headless(&url)).await;
    real.shown(&begun.task_id).await;
    for _ in 0..2 {
        real.service.kill();
        real.service.restart();
        real.client = real.service.client().await;
        // Adopted, and the browser has answered this service.
        let job = real.shown(&begun.task_id).await;
        assert!(job.is_process_alive);
    }
    real.pages.open_gate();
    assert_ended(&real.finish(&begun.task_id).await, Status::Done, Reason::PageClosed);
}

#[tokio::test]
async fn a_browser_kept_open_is_adopted_and_closed_by_a_cancel() {
    let Some(mut real) = start().await else { return };
    let url = real.pages.script("/done", "cometTask.done()");
    let request = v1::ExecuteRequest { after_finish: AfterFinish::KeepOpen.into(), ..headless(&url) };
    let begun = real.begin(request).await;
    real.when(&begun.task_id, |job| job.done).await;
    real.service.kill();
    real.service.restart();
    real.client = real.service.client().await;
    let request = v1::WatchJobRequest { until: Until::ProcessExited.into(), ..watch(&begun.task_id) };
    let mut stream = real.client.watch_job(request).await.unwrap().into_inner();
    let kept = next_job(&mut stream).await;
    assert!(kept.done && kept.is_process_alive, "{kept:?}");
    real.cancel(&begun.task_id).await;
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    assert_eq!(job.exit_code, Some(0));
}

#[tokio::test]
async fn a_service_that_is_told_to_leave_leaves_its_browsers_to_the_next() {
    let Some(mut real) = start().await else { return };
    let url = real.pages.script("/done", "fetch('/gate').then(() => cometTask.done())");
    let begun = real.begin(headless(&url)).await;
    let mut watcher = Watcher::open(&mut real.client, &begun.task_id).await;
    watcher.read_until(|job| load_state(job) == v1::page::LoadState::Committed).await;
    assert!(real.service.terminate().success());
    real.service.restart();
    real.client = real.service.client().await;
    watcher.resume(&mut real.client, &begun.task_id).await;
    assert_eq!(watcher.told.last().unwrap().kind(), Kind::Draining, "it was told before the stream was cut");
    real.pages.open_gate();
    assert_ended(&watcher.finish().await, Status::Done, Reason::Callback);
    assert_ended(&real.finish(&begun.task_id).await, Status::Done, Reason::Callback);
}
