//! CancelJob: a task ends as CANCELLED when nothing of its process tree is left, however it resists.

use std::time::Duration;

use comet_task_runner::api::v1::{
    self, CancelJobRequest,
    execute_request::AfterFinish,
    job::{Reason, Status},
    tree_end::Step,
    watch_jobs_response::Kind,
};
use tonic::Code;

use super::{
    service::{Client, Options, Service, ended, eventually, execute, job_when, next_job, stub_url, watch},
    watch_jobs::{all, follow_until, open},
    wire::{begin, cancel, is_alive, kill_at_once, pid_in, refused, report, settled, span, state_of, status},
};

fn with_grace(task_id: &str, grace: Duration) -> CancelJobRequest {
    CancelJobRequest { termination_grace: span(grace), ..cancel(task_id) }
}

async fn begin_patient(client: &mut Client, path: &str) -> v1::ExecuteResponse {
    let request = v1::ExecuteRequest { termination_grace: span(Duration::from_secs(600)), ..execute(&stub_url(path)) };
    client.execute(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn cancel_while_queued_ends_as_cancelled_and_starts_nothing() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1"));
    let mut client = service.client().await;
    let running = begin(&mut client, "/sleep").await;
    let mark = service.state_dir().join("mark");
    let waiting = begin(&mut client, &format!("/dump?file={}", mark.display())).await;
    let behind = begin(&mut client, "/exit/0").await;
    let job = client.cancel_job(cancel(&waiting.task_id)).await.unwrap().into_inner().job.unwrap();
    assert_eq!((job.status(), job.reason()), (Status::Cancelled, Reason::CancelRequested));
    assert_eq!((job.process_id, job.is_process_alive, job.cancel_requested), (0, false, true));
    client.cancel_job(cancel(&running.task_id)).await.unwrap();
    // The queue has moved past it, and it was not started.
    assert_eq!(ended(&mut client, &behind.task_id).await.status(), Status::Done);
    assert!(!mark.exists());
}

#[tokio::test]
async fn cancel_while_running_is_stopping_and_then_cancelled() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = settled(begin(&mut client, "/sleep").await);
    let mut stream = client.watch_job(watch(&task.task_id)).await.unwrap().into_inner();
    assert_eq!(next_job(&mut stream).await.status(), Status::Running);
    let job = client.cancel_job(cancel(&task.task_id)).await.unwrap().into_inner().job.unwrap();
    assert_eq!((job.status(), job.reason(), job.cancel_requested), (Status::Stopping, Reason::CancelRequested, true));
    let stopping = next_job(&mut stream).await;
    assert_eq!((stopping.status(), stopping.done, stopping.finished_at), (Status::Stopping, false, None));
    let job = ended(&mut client, &task.task_id).await;
    assert_eq!((job.status(), job.reason(), job.exit_code), (Status::Cancelled, Reason::CancelRequested, Some(0)));
    assert_eq!(
        (job.tree_end.as_ref().unwrap().step(), job.tree_end.as_ref().unwrap().killed_count),
        (Step::Terminated, 0)
    );
    assert!(!is_alive(task.process_id));
}

#[tokio::test]
async fn a_browser_that_ignores_sigterm_is_killed_after_its_grace() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = settled(begin(&mut client, "/ignore-term").await);
    client.cancel_job(with_grace(&task.task_id, Duration::from_millis(300))).await.unwrap();
    let job = ended(&mut client, &task.task_id).await;
    assert!(!is_alive(task.process_id));
    assert_eq!((job.status(), job.exit_signal), (Status::Cancelled, Some(9)));
    assert_eq!((job.tree_end.as_ref().unwrap().step(), job.tree_end.as_ref().unwrap().killed_count), (Step::Killed, 1));
}

#[tokio::test]
async fn cancelled_is_said_only_when_a_child_that_hid_is_gone_too() {
    let service = Service::start();
    let mut client = service.client().await;
    for round in 0..5 {
        let file = service.state_dir().join(format!("child-{round}"));
        let task = settled(begin(&mut client, &format!("/double-fork?file={}", file.display())).await);
        eventually("the child tells its pid", || pid_in(&file).is_some());
        let child = pid_in(&file).unwrap();
        assert!(is_alive(child) && child != task.process_id);
        client.cancel_job(with_grace(&task.task_id, Duration::from_millis(300))).await.unwrap();
        let job = job_when(&mut client, &task.task_id, |job| job.done).await;
        // At this very moment, without a wait.
        assert!(!is_alive(child) && !is_alive(task.process_id), "something of the tree is left");
        assert_eq!(job.status(), Status::Cancelled);
        assert_eq!(
            (job.tree_end.as_ref().unwrap().step(), job.tree_end.as_ref().unwrap().killed_count),
            (Step::Killed, 1)
        );
    }
}

#[tokio::test]
async fn a_stopped_browser_is_killed() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/stop-self").await;
    eventually("the browser stops itself", || state_of(task.process_id) == Some('T'));
    client.cancel_job(with_grace(&task.task_id, Duration::from_millis(300))).await.unwrap();
    let job = ended(&mut client, &task.task_id).await;
    assert!(!is_alive(task.process_id));
    assert_eq!((job.status(), job.tree_end.as_ref().unwrap().step()), (Status::Cancelled, Step::Killed));
}

#[tokio::test]
async fn force_kills_without_grace() {
    let service = Service::start();
    let mut client = service.client().await;
    // Ten minutes of grace: without force this test would not end in time.
    let task = settled(begin_patient(&mut client, "/ignore-term").await);
    client.cancel_job(kill_at_once(&task.task_id)).await.unwrap();
    let job = ended(&mut client, &task.task_id).await;
    assert_eq!((job.status(), job.exit_signal), (Status::Cancelled, Some(9)));
}

#[tokio::test]
async fn a_second_cancel_can_shorten_the_grace_of_the_first() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = settled(begin_patient(&mut client, "/ignore-term").await);
    let first = client.cancel_job(cancel(&task.task_id)).await.unwrap().into_inner().job.unwrap();
    let second = client.cancel_job(kill_at_once(&task.task_id)).await.unwrap().into_inner().job.unwrap();
    assert_eq!((first.status(), first.revision), (Status::Stopping, second.revision));
    let job = ended(&mut client, &task.task_id).await;
    assert_eq!((job.status(), job.exit_signal), (Status::Cancelled, Some(9)));
}

#[tokio::test]
async fn a_second_cancel_never_lengthens_the_grace_of_the_first() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = settled(begin(&mut client, "/ignore-term").await);
    client.cancel_job(with_grace(&task.task_id, Duration::from_millis(500))).await.unwrap();
    client.cancel_job(with_grace(&task.task_id, Duration::from_secs(600))).await.unwrap();
    assert_eq!(ended(&mut client, &task.task_id).await.status(), Status::Cancelled);
}

#[tokio::test]
async fn cancel_on_a_finished_job_changes_nothing() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/exit/0").await;
    let before = job_when(&mut client, &task.task_id, |job| job.tree_end.is_some()).await;
    for _ in 0..2 {
        let job = client.cancel_job(kill_at_once(&task.task_id)).await.unwrap().into_inner().job.unwrap();
        assert_eq!(job, before);
    }
}

#[tokio::test]
async fn cancel_closes_a_browser_that_was_kept_open() {
    let service = Service::start();
    let mut client = service.client().await;
    let request = v1::ExecuteRequest { after_finish: AfterFinish::KeepOpen.into(), ..execute(&stub_url("/sleep")) };
    let task = client.execute(request).await.unwrap().into_inner();
    client.callback(report(&task, Status::Done)).await.unwrap();
    let job = ended(&mut client, &task.task_id).await;
    assert!(job.is_process_alive && is_alive(task.process_id));
    let answer = client.cancel_job(cancel(&task.task_id)).await.unwrap().into_inner().job.unwrap();
    assert_eq!((answer.status(), answer.cancel_requested), (Status::Done, false));
    let job = job_when(&mut client, &task.task_id, |job| !job.is_process_alive).await;
    assert_eq!((job.status(), job.reason()), (Status::Done, Reason::Callback));
    assert!(!is_alive(task.process_id));
}

#[tokio::test]
async fn a_cancelled_job_frees_its_slot() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1"));
    let mut client = service.client().await;
    for _ in 0..3 {
        let task = begin(&mut client, "/sleep").await;
        assert_eq!(task.job.as_ref().unwrap().status(), Status::Running);
        client.cancel_job(cancel(&task.task_id)).await.unwrap();
        let next = begin(&mut client, "/exit/0").await;
        assert_eq!(ended(&mut client, &next.task_id).await.status(), Status::Done);
        job_when(&mut client, &next.task_id, |job| job.tree_end.is_some()).await;
    }
}

#[tokio::test]
async fn what_cannot_be_cancelled_is_refused_by_name() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let unknown = refused(client.cancel_job(cancel(&uuid::Uuid::now_v7().to_string())).await);
    assert_eq!((unknown.code, unknown.reason.as_str()), (Code::NotFound, "TASK_NOT_FOUND"));
    for malformed in ["", "42", "6f0c7b0e91c54f0aa0a30d2a4c7a8f11"] {
        let refusal = refused(client.cancel_job(cancel(malformed)).await);
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::InvalidArgument, "TASK_ID_INVALID"),
            "{malformed:?}"
        );
        assert_eq!(refusal.fields[0].0, "task_id");
    }
    let refusal = refused(client.cancel_job(with_grace(&task.task_id, Duration::from_secs(601))).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "DURATION_OUT_OF_RANGE"));
    assert_eq!(refusal.fields[0].0, "termination_grace");
    assert_eq!(status(&mut client, &task.task_id).await.job.unwrap().revision, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cancels_a_job_as_soon_as_it_is_told_of_is_heard() {
    const LANES: usize = 8;
    const JOBS: usize = 20 * LANES;
    let service = Service::start_with(Options::default().arg("--slots").arg("1"));
    let mut client = service.client().await;
    begin(&mut client, "/sleep").await;
    let mut stream = open(&mut client, all()).await;
    follow_until(&mut stream, |message| message.kind() == Kind::Synced).await;
    let mut lanes = Vec::new();
    for _ in 0..LANES {
        let mut client = service.client().await;
        lanes.push(tokio::spawn(async move {
            for _ in 0..JOBS / LANES {
                begin(&mut client, "/exit/0").await;
            }
        }));
    }
    let mut cancelling = Vec::new();
    follow_until(&mut stream, |message| {
        if message.job.as_ref().is_some_and(|job| job.revision == 1) {
            let (mut client, wish) = (client.clone(), cancel(&message.task_id));
            cancelling.push(tokio::spawn(async move { client.cancel_job(wish).await.unwrap().into_inner() }));
        }
        cancelling.len() == JOBS
    })
    .await;
    for cancelled in cancelling {
        assert_eq!(cancelled.await.unwrap().job.unwrap().status(), Status::Cancelled);
    }
    for lane in lanes {
        lane.await.unwrap();
    }
}
