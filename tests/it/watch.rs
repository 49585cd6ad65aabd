//! WatchJob: every change once, in order, from a snapshot or from where an earlier stream stood.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use comet_task_runner::api::v1::{self, WatchJobResponse, job::Status, watch_job_response::Kind};
use tonic::{Code, Streaming};

use super::{
    service::{Client, Options, Service, ended, job_when, next, to_end, watch},
    wire::{begin, cancel, refused, report, resume, settled, watch_exit},
};

/// Checks what every stream of one job promises, and gives its snapshots and changes.
pub(crate) fn check_order(messages: &[WatchJobResponse]) -> Vec<v1::Job> {
    let mut jobs: Vec<v1::Job> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        assert_eq!(message.r#final, index + 1 == messages.len(), "only the last message is final: {messages:?}");
        assert!(!message.resume_token.is_empty());
        let Some(job) = &message.job else {
            assert!(matches!(message.kind(), Kind::Sample | Kind::Heartbeat), "{message:?}");
            continue;
        };
        assert_eq!(job.revision, message.revision);
        match (message.kind(), jobs.last()) {
            (Kind::Snapshot, None) => assert_eq!(message.previous_status(), Status::Unspecified),
            (Kind::Change, None) => {}
            (Kind::Change, Some(before)) => {
                assert_eq!(job.revision, before.revision + 1, "revisions have no holes: {messages:?}");
                assert_eq!(message.previous_status(), before.status());
                assert!(!before.done || job.status == before.status, "a terminal status is final");
                assert!(job.status() != Status::Running || job.exit_code.is_none(), "RUNNING after the exit");
            }
            (kind, before) => panic!("{kind:?} after {before:?}"),
        }
        jobs.push(job.clone());
    }
    jobs
}

async fn open(client: &mut Client, request: v1::WatchJobRequest) -> Streaming<WatchJobResponse> {
    client.watch_job(request).await.unwrap().into_inner()
}

/// A job from CREATED to the end of its browser, with everything that a watcher was told.
async fn whole_life(client: &mut Client) -> (String, Vec<WatchJobResponse>) {
    let ahead = begin(client, "/sleep").await;
    let task = begin(client, "/sleep").await;
    let mut stream = open(client, watch_exit(&task.task_id)).await;
    let mut messages = vec![next(&mut stream).await.unwrap().unwrap()];
    assert_eq!(messages[0].job.as_ref().unwrap().status(), Status::Created);
    client.cancel_job(cancel(&ahead.task_id)).await.unwrap();
    job_when(client, &task.task_id, |job| job.status() == Status::Running).await;
    client.callback(report(&task, Status::Done)).await.unwrap();
    messages.extend(to_end(&mut stream).await);
    check_order(&messages);
    (task.task_id, messages)
}

#[tokio::test]
async fn a_watch_from_the_start_tells_every_change_without_a_token() {
    let service = one_slot();
    let mut client = service.client().await;
    let (task_id, told) = whole_life(&mut client).await;
    let request = v1::WatchJobRequest { from_start: true, ..watch_exit(&task_id) };
    let again = to_end(&mut open(&mut client, request.clone()).await).await;
    let jobs = check_order(&again);
    assert_eq!((again[0].kind(), jobs[0].revision), (Kind::Change, 1));
    assert_eq!(jobs.last(), told.last().unwrap().job.as_ref());
    // With a token it goes on, so that a caller need not change its request for a second stream.
    let request = v1::WatchJobRequest { resume_token: again[1].resume_token.clone(), ..request };
    let rest = to_end(&mut open(&mut client, request).await).await;
    assert_eq!(check_order(&rest), jobs[2..]);
}

fn one_slot() -> Service {
    Service::start_with(Options::default().arg("--slots").arg("1"))
}

#[tokio::test]
async fn a_stream_is_a_snapshot_then_each_change_then_ok() {
    let service = one_slot();
    let (_, messages) = whole_life(&mut service.client().await).await;
    let told: Vec<_> = check_order(&messages).iter().map(|job| (job.revision, job.status())).collect();
    assert_eq!(told, [(1, Status::Created), (2, Status::Running), (3, Status::Done), (4, Status::Done)]);
    assert_eq!(messages[0].kind(), Kind::Snapshot);
    assert!(!messages[0].reset);
}

#[tokio::test]
async fn with_the_token_of_its_execute_a_watch_is_told_the_first_change_too() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/exit/0").await;
    let mut stream = open(&mut client, resume(&task.task_id, &task.resume_token)).await;
    let messages = to_end(&mut stream).await;
    let jobs = check_order(&messages);
    assert_eq!((messages[0].kind(), jobs[0].revision, jobs[0].status()), (Kind::Change, 1, Status::Created));
    assert_eq!(messages[0].previous_status(), Status::Unspecified);
}

#[tokio::test]
async fn a_watch_begun_at_any_moment_misses_nothing_and_repeats_nothing() {
    const LANES: u64 = 6;
    const ROUNDS: u64 = 50;
    let service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            let client = service.client();
            (lane, client)
        })
        .collect();
    let mut running = Vec::new();
    for (lane, client) in lanes {
        let mut client = client.await;
        running.push(tokio::spawn(async move {
            let mut began_as = BTreeSet::new();
            for round in 0..ROUNDS {
                let task = begin(&mut client, "/exit/0").await;
                // Calls that cost about as much as a step of the job stand for a random moment.
                for _ in 0..(lane + round) % 5 {
                    super::wire::status(&mut client, &task.task_id).await;
                }
                let mut stream = open(&mut client, watch(&task.task_id)).await;
                let messages = to_end(&mut stream).await;
                let jobs = check_order(&messages);
                assert_eq!(messages[0].kind(), Kind::Snapshot);
                assert_eq!(jobs.last().unwrap().status(), Status::Done);
                began_as.insert(jobs[0].status);
            }
            began_as
        }));
    }
    let mut began_as = BTreeSet::new();
    for lane in running {
        began_as.extend(lane.await.unwrap());
    }
    assert!(began_as.len() >= 2, "watches began at one moment of the job only: {began_as:?}");
}

#[tokio::test]
async fn a_finished_job_resumes_from_every_revision_with_exactly_the_rest() {
    let service = one_slot();
    let mut client = service.client().await;
    let (task_id, messages) = whole_life(&mut client).await;
    let told: Vec<_> = messages.iter().filter(|message| message.job.is_some()).collect();
    for (index, message) in told.iter().enumerate().take(told.len() - 1) {
        let mut stream = open(&mut client, resume(&task_id, &message.resume_token)).await;
        let rest = to_end(&mut stream).await;
        assert_eq!(check_order(&rest), told[index + 1..].iter().map(|m| m.job.clone().unwrap()).collect::<Vec<_>>());
        assert_eq!((rest[0].kind(), rest[0].previous_status()), (Kind::Change, message.job.as_ref().unwrap().status()));
        assert!(rest.iter().all(|message| !message.reset));
    }
}

#[tokio::test]
async fn resuming_after_the_last_message_tells_the_end_again() {
    let service = one_slot();
    let mut client = service.client().await;
    let (task_id, messages) = whole_life(&mut client).await;
    let last = messages.last().unwrap();
    let mut stream = open(&mut client, resume(&task_id, &last.resume_token)).await;
    let again = to_end(&mut stream).await;
    let [message] = &again[..] else { panic!("one message: {again:?}") };
    assert_eq!((message.kind(), message.r#final, message.reset), (Kind::Snapshot, true, false));
    assert_eq!(message.job, last.job);
}

#[tokio::test]
async fn a_live_job_resumes_from_every_revision_and_goes_on() {
    let service = one_slot();
    let mut client = service.client().await;
    let ahead = begin(&mut client, "/sleep").await;
    let task = begin(&mut client, "/sleep").await;
    let mut stream = open(&mut client, watch_exit(&task.task_id)).await;
    let created = next(&mut stream).await.unwrap().unwrap();
    client.cancel_job(cancel(&ahead.task_id)).await.unwrap();
    let running = next(&mut stream).await.unwrap().unwrap();
    assert_eq!(running.job.as_ref().unwrap().status(), Status::Running);
    let mut resumed = Vec::new();
    for message in [&created, &running] {
        resumed.push((message.revision, open(&mut client, resume(&task.task_id, &message.resume_token)).await));
    }
    client.callback(report(&task, Status::Failed)).await.unwrap();
    let rest = to_end(&mut stream).await;
    for (revision, mut stream) in resumed {
        let messages = to_end(&mut stream).await;
        let jobs = check_order(&messages);
        assert_eq!(jobs[0].revision, revision + 1);
        assert_eq!(jobs.last().unwrap(), rest.last().unwrap().job.as_ref().unwrap());
        assert_eq!(jobs.len(), rest.len() + usize::try_from(2 - revision).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_token_lives_through_a_restart() {
    let mut service = one_slot();
    let mut client = service.client().await;
    let (task_id, before) = whole_life(&mut client).await;
    let token = before[0].resume_token.clone();
    service.terminate();
    service.restart();
    let mut client = service.client().await;
    let mut stream = open(&mut client, resume(&task_id, &token)).await;
    let after = to_end(&mut stream).await;
    assert_eq!(check_order(&after), check_order(&before)[1..]);
    assert!(!after[0].reset);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_resumed_over_a_restart_of_the_service() {
    let mut service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let mut stream = open(&mut client, watch_exit(&task.task_id)).await;
    let before = next(&mut stream).await.unwrap().unwrap();
    service.terminate();
    service.restart();
    let mut client = service.client().await;
    let mut stream = open(&mut client, resume(&task.task_id, &before.resume_token)).await;
    client.callback(report(&task, Status::Done)).await.unwrap();
    let after = to_end(&mut stream).await;
    let jobs = check_order(&after);
    assert_eq!((jobs[0].revision, jobs[0].status()), (before.revision + 1, Status::Done));
    assert_eq!(jobs[0].process_id, task.process_id);
}

#[tokio::test]
async fn a_token_of_another_job_or_of_nobody_is_refused_by_field() {
    let service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let mut client = service.client().await;
    let (mine, other) = (begin(&mut client, "/sleep").await, begin(&mut client, "/sleep").await);
    let mut stream = open(&mut client, watch(&other.task_id)).await;
    let token = next(&mut stream).await.unwrap().unwrap().resume_token;
    for wrong in [token.as_str(), "x", "AAAA", &format!("{token}A"), &token[..token.len() - 1], " "] {
        let refusal = refused(client.watch_job(resume(&mine.task_id, wrong)).await);
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::InvalidArgument, "RESUME_TOKEN_INVALID"),
            "{wrong:?}"
        );
        assert_eq!(refusal.fields[0].0, "resume_token");
    }
}

#[tokio::test]
async fn a_token_of_another_store_begins_anew_and_says_so() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let mut stream = open(&mut client, watch(&task.task_id)).await;
    let token = next(&mut stream).await.unwrap().unwrap().resume_token;
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap();
    // Behind the version lies the store's id.
    bytes[1] ^= 0xff;
    let mut stream = open(&mut client, resume(&task.task_id, &BASE64_URL_SAFE_NO_PAD.encode(bytes))).await;
    let message = next(&mut stream).await.unwrap().unwrap();
    assert_eq!((message.kind(), message.reset, message.revision), (Kind::Snapshot, true, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ahead_of_a_store_that_was_put_back_begins_anew_and_says_so() {
    let mut service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/exit/0").await;
    let old = job_when(&mut client, &task.task_id, |job| job.tree_end.is_some()).await;
    service.terminate();
    let (store, copy) = (service.state_dir().join("ledger.sqlite"), service.state_dir().join("copy.sqlite"));
    std::fs::copy(&store, &copy).unwrap();
    service.restart();
    let mut client = service.client().await;
    client.callback(report(&task, Status::Failed)).await.unwrap();
    let mut stream = open(&mut client, watch(&task.task_id)).await;
    let ahead = next(&mut stream).await.unwrap().unwrap();
    assert_eq!(ahead.revision, old.revision + 1);
    service.terminate();
    std::fs::rename(&copy, &store).unwrap();
    service.restart();
    let mut client = service.client().await;
    let mut stream = open(&mut client, resume(&task.task_id, &ahead.resume_token)).await;
    let messages = to_end(&mut stream).await;
    assert_eq!((messages[0].kind(), messages[0].reset, messages[0].revision), (Kind::Snapshot, true, old.revision));
    // With the token of that snapshot it is in step again.
    let mut stream = open(&mut client, resume(&task.task_id, &messages[0].resume_token)).await;
    assert!(!to_end(&mut stream).await[0].reset);
}

#[tokio::test]
async fn a_watch_of_an_unknown_job_is_refused_by_name() {
    let service = Service::start();
    let mut client = service.client().await;
    let refusal = refused(client.watch_job(watch(&uuid::Uuid::now_v7().to_string())).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::NotFound, "TASK_NOT_FOUND"));
    let refusal = refused(client.watch_job(watch("42")).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "TASK_ID_INVALID"));
    let task = begin(&mut client, "/sleep").await;
    let cases = [
        (v1::WatchJobRequest { until: 9, ..watch(&task.task_id) }, "until", "ENUM_UNKNOWN"),
        (with_heartbeat(&task.task_id, 0), "heartbeat_interval", "DURATION_OUT_OF_RANGE"),
        (with_heartbeat(&task.task_id, 601), "heartbeat_interval", "DURATION_OUT_OF_RANGE"),
        (with_heartbeat(&task.task_id, -1), "heartbeat_interval", "DURATION_OUT_OF_RANGE"),
    ];
    for (request, field, reason) in cases {
        let refusal = refused(client.watch_job(request).await);
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, reason), "{field}");
        assert_eq!(refusal.fields[0].0, field);
    }
}

pub(crate) fn with_heartbeat(task_id: &str, seconds: i64) -> v1::WatchJobRequest {
    let interval = prost_types::Duration { seconds, nanos: 0 };
    v1::WatchJobRequest { heartbeat_interval: Some(interval), ..watch_exit(task_id) }
}

#[tokio::test]
async fn a_watch_until_the_exit_goes_on_past_the_end_of_the_task() {
    let service = Service::start();
    let mut client = service.client().await;
    let request = v1::ExecuteRequest {
        after_finish: v1::execute_request::AfterFinish::KeepOpen.into(),
        ..super::service::execute(&super::service::stub_url("/sleep"))
    };
    let task = settled(client.execute(request).await.unwrap().into_inner());
    let mut until_exit = open(&mut client, watch_exit(&task.task_id)).await;
    next(&mut until_exit).await.unwrap();
    client.callback(report(&task, Status::Done)).await.unwrap();
    assert_eq!(ended(&mut client, &task.task_id).await.status(), Status::Done);
    let done = next(&mut until_exit).await.unwrap().unwrap();
    assert_eq!((done.job.unwrap().status(), done.r#final), (Status::Done, false));
    client.cancel_job(cancel(&task.task_id)).await.unwrap();
    let rest = to_end(&mut until_exit).await;
    let last = check_order(&rest).pop().unwrap();
    assert_eq!((last.status(), last.is_process_alive, last.exit_code), (Status::Done, false, Some(0)));
}
