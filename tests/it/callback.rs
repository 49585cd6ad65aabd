//! Callback: who may report, what a report does, and what becomes of the ones that come late.

use comet_task_runner::api::v1::{
    self, CallbackRequest,
    job::{Reason, Status},
    task_runner_client::TaskRunnerClient,
    watch_job_response::Kind,
};
use rustix::process::{Pid, Signal};
use tonic::Code;

use super::{
    service::{Options, SOON, Service, ended, job_when, next, to_end, watch},
    wire::{begin, cancel, jobs_made, read_refusal, refused, report, settled, status, watch_exit},
};

fn failed(of: &v1::ExecuteResponse, message: &str) -> CallbackRequest {
    CallbackRequest { message: message.to_owned(), ..report(of, Status::Failed) }
}

#[tokio::test]
async fn a_report_of_done_ends_the_task_and_its_browser() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = settled(begin(&mut client, "/sleep").await);
    let request = CallbackRequest {
        message: "all read".to_owned(),
        result: r#"{"rows":[1,2]}"#.to_owned(),
        ..report(&task, Status::Done)
    };
    let answer = client.callback(request).await.unwrap().into_inner();
    let job = answer.job.unwrap();
    assert!(answer.applied && !answer.cancel_requested);
    assert_eq!((job.status(), job.reason(), job.done), (Status::Done, Reason::Callback, true));
    let told = job.callback.unwrap();
    assert_eq!(
        (told.status(), told.message.as_str(), told.result.as_str()),
        (Status::Done, "all read", r#"{"rows":[1,2]}"#)
    );
    let gone = job_when(&mut client, &task.task_id, |job| !job.is_process_alive).await;
    assert_eq!((gone.status(), gone.reason(), gone.exit_code), (Status::Done, Reason::Callback, Some(0)));
}

#[tokio::test]
async fn a_report_of_failed_ends_the_task_with_its_message() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    client.callback(failed(&task, "no such order")).await.unwrap();
    let job = ended(&mut client, &task.task_id).await;
    assert_eq!((job.status(), job.reason(), job.message.as_str()), (Status::Failed, Reason::Callback, "no such order"));
}

#[tokio::test]
async fn a_sign_of_life_is_a_sample_and_no_change() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let mut stream = client.watch_job(watch(&task.task_id)).await.unwrap().into_inner();
    next(&mut stream).await.unwrap();
    let alive = CallbackRequest { progress: Some(40), message: "reading".to_owned(), ..report(&task, Status::Running) };
    let answer = client.callback(alive).await.unwrap().into_inner();
    assert!(answer.applied);
    assert_eq!(answer.job.unwrap().revision, 2);
    let message = next(&mut stream).await.unwrap().unwrap();
    assert_eq!((message.kind(), message.revision, message.job), (Kind::Sample, 2, None));
    let sample = message.sample.unwrap();
    assert_eq!((sample.progress, sample.progress_message.as_str()), (Some(40), "reading"));
    let told = status(&mut client, &task.task_id).await;
    assert_eq!((told.sample.unwrap().progress, told.job.unwrap().callback), (Some(40), None));
}

#[tokio::test]
async fn a_page_that_gives_no_number_keeps_its_last_one() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    for progress in [Some(100), None] {
        client.callback(CallbackRequest { progress, ..report(&task, Status::Running) }).await.unwrap();
    }
    assert_eq!(status(&mut client, &task.task_id).await.sample.unwrap().progress, Some(100));
}

#[tokio::test]
async fn a_token_opens_its_own_task_and_no_other() {
    let service = Service::start_with(Options::default().arg("--slots").arg("4"));
    let mut client = service.client().await;
    let mine = begin(&mut client, "/sleep").await;
    let other = begin(&mut client, "/sleep").await;
    // Without an API token: the callback token is all that a page has.
    let mut page = TaskRunnerClient::new(service.channel().await);
    let unknown = CallbackRequest { task_id: uuid::Uuid::now_v7().to_string(), ..report(&mine, Status::Done) };
    let cases = [
        CallbackRequest { callback_token: other.callback_token.clone(), ..report(&mine, Status::Done) },
        CallbackRequest { callback_token: service.token(), ..report(&mine, Status::Done) },
        CallbackRequest { callback_token: format!("{}A", mine.callback_token), ..report(&mine, Status::Done) },
        CallbackRequest { callback_token: mine.callback_token[1..].to_owned(), ..report(&mine, Status::Done) },
        unknown,
    ];
    let mut told = Vec::new();
    for request in cases {
        let refusal = refused(page.callback(request.clone()).await);
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::PermissionDenied, "CALLBACK_TOKEN_INVALID"),
            "{request:?}"
        );
        told.push(refusal.message);
    }
    told.dedup();
    assert_eq!(told.len(), 1, "an unknown task is told in the same words as a wrong token");
    let missing = CallbackRequest { callback_token: String::new(), ..report(&mine, Status::Done) };
    let refusal = refused(page.callback(missing).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Unauthenticated, "TOKEN_MISSING"));
    assert_eq!(status(&mut client, &mine.task_id).await.job.unwrap().revision, 2);
    assert!(page.callback(report(&mine, Status::Done)).await.unwrap().into_inner().applied);
    assert_eq!(status(&mut client, &other.task_id).await.job.unwrap().status(), Status::Running);
}

#[tokio::test]
async fn a_service_reports_on_behalf_of_a_page_with_the_api_token() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let request = CallbackRequest { callback_token: String::new(), ..report(&task, Status::Done) };
    assert!(client.callback(request).await.unwrap().into_inner().applied);
    assert_eq!(ended(&mut client, &task.task_id).await.reason(), Reason::Callback);
}

#[tokio::test]
async fn with_the_api_token_an_unknown_task_is_not_found() {
    let service = Service::start();
    let mut client = service.client().await;
    let task_id = uuid::Uuid::now_v7().to_string();
    let request = CallbackRequest { task_id, status: Status::Done.into(), ..CallbackRequest::default() };
    let refusal = refused(client.callback(request).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::NotFound, "TASK_NOT_FOUND"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_token_lives_through_a_restart() {
    let mut service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    service.terminate();
    service.restart();
    let mut page = TaskRunnerClient::new(service.channel().await);
    assert!(page.callback(report(&task, Status::Done)).await.unwrap().into_inner().applied);
    let job = ended(&mut service.client().await, &task.task_id).await;
    assert_eq!((job.status(), job.reason()), (Status::Done, Reason::Callback));
}

#[tokio::test]
async fn the_same_report_again_is_taken_and_changes_nothing() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    client.callback(failed(&task, "x")).await.unwrap();
    let before = job_when(&mut client, &task.task_id, |job| !job.is_process_alive && job.tree_end.is_some()).await;
    let again = client.callback(failed(&task, "x")).await.unwrap().into_inner();
    assert!(!again.applied);
    assert_eq!(again.job.unwrap().revision, before.revision);
}

#[tokio::test]
async fn another_report_is_a_conflict() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    client.callback(failed(&task, "x")).await.unwrap();
    for other in [report(&task, Status::Done), failed(&task, "y")] {
        let refusal = refused(client.callback(other).await);
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "REPORT_CONFLICT"));
    }
    let told = status(&mut client, &task.task_id).await.job.unwrap().callback.unwrap();
    assert_eq!((told.status(), told.message.as_str()), (Status::Failed, "x"));
}

#[tokio::test]
async fn a_first_report_after_the_end_is_kept_and_changes_no_status() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/exit/0").await;
    let before = job_when(&mut client, &task.task_id, |job| job.tree_end.is_some()).await;
    let answer = client.callback(failed(&task, "too late")).await.unwrap().into_inner();
    let job = answer.job.unwrap();
    assert!(answer.applied);
    assert_eq!((job.status(), job.reason()), (Status::Done, Reason::ProcessExited));
    assert_eq!((job.revision, job.callback.unwrap().message.as_str()), (before.revision + 1, "too late"));
    assert_eq!(job.finished_at, before.finished_at);
}

#[tokio::test]
async fn a_sign_of_life_after_the_end_means_nothing() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/exit/0").await;
    let before = job_when(&mut client, &task.task_id, |job| job.tree_end.is_some()).await;
    let answer = client.callback(report(&task, Status::Running)).await.unwrap().into_inner();
    assert!(!answer.applied);
    assert_eq!(answer.job.unwrap().revision, before.revision);
}

#[tokio::test]
async fn a_report_before_the_browser_is_started_is_refused() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1"));
    let mut client = service.client().await;
    begin(&mut client, "/sleep").await;
    let waiting = begin(&mut client, "/exit/0").await;
    for wanted in [Status::Done, Status::Failed, Status::Running] {
        let refusal = refused(client.callback(report(&waiting, wanted)).await);
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "TASK_NOT_RUNNING"));
    }
    assert_eq!(status(&mut client, &waiting.task_id).await.job.unwrap().revision, 1);
}

#[tokio::test]
async fn a_report_while_stopping_is_kept_and_the_page_learns_that_it_was_cancelled() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = settled(begin(&mut client, "/ignore-term").await);
    client.cancel_job(cancel(&task.task_id)).await.unwrap();
    let answer = client.callback(report(&task, Status::Done)).await.unwrap().into_inner();
    assert!(answer.applied && answer.cancel_requested);
    assert_eq!(answer.job.unwrap().status(), Status::Stopping);
    client.cancel_job(super::wire::kill_at_once(&task.task_id)).await.unwrap();
    let job = ended(&mut client, &task.task_id).await;
    assert_eq!((job.status(), job.callback.unwrap().status()), (Status::Cancelled, Status::Done));
}

#[tokio::test]
async fn what_cannot_be_reported_is_refused_by_field() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let done = || report(&task, Status::Done);
    let running = || report(&task, Status::Running);
    let mut cases = vec![
        (CallbackRequest { message: "m".repeat(4097), ..done() }, "message", "MESSAGE_TOO_LARGE"),
        (CallbackRequest { result: format!("\"{}\"", "r".repeat(65536)), ..done() }, "result", "RESULT_TOO_LARGE"),
        (CallbackRequest { result: "{".to_owned(), ..done() }, "result", "RESULT_INVALID"),
        (CallbackRequest { result: "bare".to_owned(), ..done() }, "result", "RESULT_INVALID"),
        (CallbackRequest { result: "{} {}".to_owned(), ..done() }, "result", "RESULT_INVALID"),
        (CallbackRequest { result: "1".to_owned(), ..running() }, "result", "RESULT_INVALID"),
        (CallbackRequest { progress: Some(101), ..running() }, "progress", "PROGRESS_INVALID"),
        (CallbackRequest { progress: Some(50), ..done() }, "progress", "PROGRESS_INVALID"),
        (CallbackRequest { task_id: "42".to_owned(), ..done() }, "task_id", "TASK_ID_INVALID"),
        (CallbackRequest { task_id: String::new(), ..done() }, "task_id", "TASK_ID_INVALID"),
    ];
    let others =
        [Status::Unspecified, Status::Created, Status::Stopping, Status::Cancelled, Status::TimedOut, Status::Lost];
    cases.extend(others.map(|status| (report(&task, status), "status", "STATUS_NOT_REPORTABLE")));
    cases.push((CallbackRequest { status: 99, ..done() }, "status", "STATUS_NOT_REPORTABLE"));
    for (request, field, reason) in cases {
        let refusal = refused(client.callback(request).await);
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, reason), "{field}");
        assert_eq!(refusal.fields[0].0, field);
    }
    assert_eq!(status(&mut client, &task.task_id).await.job.unwrap().revision, 2);
    let largest = CallbackRequest {
        message: "m".repeat(4096),
        result: format!("\"{}\"", "r".repeat(65534)),
        ..report(&task, Status::Done)
    };
    assert!(client.callback(largest).await.unwrap().into_inner().applied);
}

#[tokio::test]
async fn a_message_beyond_all_limits_is_refused_unread() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let huge = CallbackRequest { result: "r".repeat(1024 * 1024 + 1), ..report(&task, Status::Done) };
    let refusal = client.callback(huge).await.unwrap_err();
    assert_eq!(refusal.code(), Code::OutOfRange);
    assert_eq!(status(&mut client, &task.task_id).await.job.unwrap().revision, 2);
}

#[tokio::test]
async fn of_an_exit_and_a_report_at_once_one_decides_and_the_other_is_kept() {
    let service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let mut client = service.client().await;
    let mut decided_by_report = 0;
    for round in 0..100 {
        let task = settled(begin(&mut client, "/sleep").await);
        let mut stream = client.watch_job(watch_exit(&task.task_id)).await.unwrap().into_inner();
        let pid = Pid::from_raw(i32::try_from(task.process_id).unwrap()).unwrap();
        let (mut page, request) = (client.clone(), failed(&task, "page says no"));
        let exits = tokio::task::spawn_blocking(move || {
            if round % 2 == 0 {
                std::thread::yield_now();
            }
            rustix::process::kill_process(pid, Signal::TERM)
        });
        let answer = page.callback(request).await.unwrap_or_else(|status| panic!("{:?}", read_refusal(&status)));
        // The report may have been first and its browser ended by the service already.
        let _ = exits.await.unwrap();
        assert!(answer.into_inner().applied);
        let messages = to_end(&mut stream).await;
        let statuses: Vec<_> = messages.iter().filter_map(|message| Some(message.job.as_ref()?.status())).collect();
        let job = tokio::time::timeout(SOON, status(&mut client, &task.task_id)).await.unwrap().job.unwrap();
        let ends = [(Status::Failed, Reason::Callback), (Status::Done, Reason::ProcessExited)];
        assert!(ends.contains(&(job.status(), job.reason())), "{job:?}");
        let ended_as = statuses.iter().find(|status| !matches!(status, Status::Created | Status::Running));
        assert_eq!(ended_as, Some(&job.status()), "the first terminal status stays: {statuses:?}");
        assert_eq!(job.callback.unwrap().message, "page says no");
        assert_eq!(job.exit_code, Some(0));
        decided_by_report += u32::from(job.reason == i32::from(Reason::Callback));
    }
    assert_eq!(jobs_made(&service), 100);
    eprintln!("{decided_by_report} of 100 were decided by the report");
}
