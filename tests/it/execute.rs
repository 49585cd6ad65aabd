//! Execute: what it answers, and how a job is made once.

use std::{collections::HashSet, fs, os::unix::fs::PermissionsExt, time::Duration};

use comet_task_runner::api::v1::{
    self,
    job::{Reason, Status},
};
use rustix::process::Signal;
use tonic::Code;

use super::{
    processes,
    service::{Client, Options, Service, ended, execute, job_when, stub_url},
    stub::stub_browser,
    wire::{begin, cancel, is_alive, jobs_made, refused, status},
};

fn with_request_id(path: &str, request_id: &str) -> v1::ExecuteRequest {
    v1::ExecuteRequest { request_id: request_id.to_owned(), ..execute(&stub_url(path)) }
}

const REQUEST_ID: &str = "6f0c7b0e-91c5-4f0a-a0a3-0d2a4c7a8f11";

#[tokio::test]
async fn a_task_runs_and_its_exit_code_is_told() {
    let service = Service::start();
    let mut client = service.client().await;
    let answer = begin(&mut client, "/exit/3").await;
    assert_ne!(answer.process_id, 0);
    let job = ended(&mut client, &answer.task_id).await;
    assert_eq!((job.status(), job.reason(), job.exit_code), (Status::Failed, Reason::ProcessFailed, Some(3)));
    assert_eq!((job.exit_signal, job.message.as_str()), (None, "exit code 3"));
}

#[tokio::test]
async fn a_signal_that_ended_the_browser_is_told() {
    let service = Service::start();
    let mut client = service.client().await;
    let answer = begin(&mut client, "/signal/11").await;
    let job = ended(&mut client, &answer.task_id).await;
    assert_eq!((job.status(), job.reason()), (Status::Failed, Reason::ProcessFailed));
    assert_eq!((job.exit_code, job.exit_signal), (None, Some(11)));
}

#[tokio::test]
async fn the_browsers_last_words_are_in_the_message_of_its_failure() {
    let service = Service::start();
    let mut client = service.client().await;
    let answer = begin(&mut client, "/stderr?text=missing-libfoo.so").await;
    let job = ended(&mut client, &answer.task_id).await;
    assert_eq!(job.message, "exit code 1; it last printed: missing-libfoo.so");
}

#[tokio::test]
async fn what_was_asked_is_told_and_runs_the_same_again() {
    let service = Service::start();
    let mut client = service.client().await;
    let wish = v1::ExecuteRequest {
        request_id: REQUEST_ID.to_owned(),
        labels: [("group".to_owned(), "a".to_owned())].into(),
        priority: 3,
        ..execute(&stub_url("/exit/3"))
    };
    let first = client.execute(wish).await.unwrap().into_inner();
    let asked = status(&mut client, &first.task_id).await.request.unwrap();
    assert_eq!((asked.request_id.as_str(), asked.priority), ("", 3));
    let again = client.execute(asked.clone()).await.unwrap().into_inner();
    assert_ne!(again.task_id, first.task_id);
    assert_eq!(status(&mut client, &again.task_id).await.request.unwrap(), asked);
    let job = ended(&mut client, &again.task_id).await;
    assert_eq!((job.exit_code, job.labels["group"].as_str()), (Some(3), "a"));
}

#[tokio::test]
async fn the_answer_has_the_running_job_and_its_living_process() {
    let service = Service::start();
    let mut client = service.client().await;
    let answer = begin(&mut client, "/sleep").await;
    let job = answer.job.unwrap();
    assert_eq!((job.status(), job.revision, job.is_process_alive), (Status::Running, 2, true));
    assert_eq!((&job.task_id, job.process_id), (&answer.task_id, answer.process_id));
    assert!(is_alive(answer.process_id));
    assert!(job.created_at.is_some() && job.started_at.is_some() && job.finished_at.is_none());
}

#[tokio::test]
async fn the_same_request_id_with_the_same_content_gives_the_same_job_and_token() {
    let service = Service::start();
    let mut client = service.client().await;
    let first = client.execute(with_request_id("/sleep", REQUEST_ID)).await.unwrap().into_inner();
    let second = client.execute(with_request_id("/sleep", REQUEST_ID)).await.unwrap().into_inner();
    assert_eq!(first.task_id, second.task_id);
    assert_eq!(first.callback_token, second.callback_token);
    assert_eq!(first.process_id, second.process_id);
    assert_eq!(jobs_made(&service), 1);
}

#[tokio::test]
async fn a_request_that_is_repeated_while_its_browser_starts_is_answered_once_it_runs() {
    let service = Service::start();
    let mut client = service.client().await;
    let below = processes::descendants(service.pid());
    let launcher = below.into_iter().find(|pid| processes::command_line(*pid).contains("__launcher")).unwrap();
    // No browser starts before it goes on.
    processes::signal(launcher, Signal::STOP);
    let call = |mut client: Client| {
        tokio::spawn(async move { client.execute(with_request_id("/sleep", REQUEST_ID)).await.unwrap().into_inner() })
    };
    let mut load = async || client.get_runner(v1::GetRunnerRequest {}).await.unwrap().into_inner().load.unwrap();
    let first = call(service.client().await);
    while load().await.jobs_live == 0 {}
    let again = call(service.client().await);
    // Many times what an answer takes.
    for _ in 0..100 {
        load().await;
    }
    processes::signal(launcher, Signal::CONT);
    let (first, again) = (first.await.unwrap(), again.await.unwrap());
    assert!(first.process_id != 0 && first.job.unwrap().status() == Status::Running);
    assert_eq!((again.task_id, again.process_id), (first.task_id, first.process_id));
}

#[tokio::test]
async fn fifty_equal_requests_at_once_make_one_job() {
    let service = Service::start_with(Options::default().arg("--slots").arg("4"));
    let client = service.client().await;
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { client.execute(with_request_id("/sleep", REQUEST_ID)).await })
        })
        .collect();
    let mut answers = HashSet::new();
    for caller in callers {
        let answer = caller.await.unwrap().unwrap().into_inner();
        answers.insert((answer.task_id, answer.process_id, answer.callback_token));
    }
    assert_eq!(answers.len(), 1);
    assert_eq!(jobs_made(&service), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_remembered_over_a_restart() {
    let mut service = Service::start();
    let mut client = service.client().await;
    let first = client.execute(with_request_id("/exit/0", REQUEST_ID)).await.unwrap().into_inner();
    ended(&mut client, &first.task_id).await;
    service.terminate();
    service.restart();
    let mut client = service.client().await;
    let second = client.execute(with_request_id("/exit/0", REQUEST_ID)).await.unwrap().into_inner();
    assert_eq!((&first.task_id, &first.callback_token), (&second.task_id, &second.callback_token));
    assert_eq!(second.job.unwrap().status(), Status::Done);
}

#[tokio::test]
async fn a_request_id_with_other_content_is_refused_and_names_its_task() {
    let service = Service::start();
    let mut client = service.client().await;
    let first = client.execute(with_request_id("/sleep", REQUEST_ID)).await.unwrap().into_inner();
    let other = v1::ExecuteRequest { fail_on_http_error: false, ..with_request_id("/exit/0", REQUEST_ID) };
    let refusal = refused(client.execute(other).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    assert_eq!(refusal.about.get("task_id"), Some(&first.task_id));
    assert_eq!(jobs_made(&service), 1);
}

#[tokio::test]
async fn validate_only_tells_what_would_be_and_makes_nothing() {
    let service = Service::start();
    let mut client = service.client().await;
    let answer = client
        .execute(v1::ExecuteRequest { validate_only: true, ..with_request_id("/sleep", REQUEST_ID) })
        .await
        .unwrap()
        .into_inner();
    assert_eq!((answer.task_id.as_str(), answer.callback_token.as_str(), answer.process_id), ("", "", 0));
    let job = answer.job.unwrap();
    let browser = job.browser.unwrap();
    assert_eq!((job.url, job.task_id.as_str()), (stub_url("/sleep"), ""));
    assert_eq!((browser.name.as_str(), browser.headless), ("stub", true));
    assert_eq!(jobs_made(&service), 0);
    // The id was not used up by it.
    let made = client.execute(with_request_id("/exit/0", REQUEST_ID)).await.unwrap().into_inner();
    assert_ne!(made.task_id, "");
}

#[tokio::test]
async fn a_job_that_has_to_wait_is_answered_at_once_with_its_place_in_the_queue() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1"));
    let mut client = service.client().await;
    let running = begin(&mut client, "/sleep").await;
    let first = begin(&mut client, "/exit/0").await;
    let second = begin(&mut client, "/exit/0").await;
    assert_eq!((first.job.unwrap().status(), first.process_id), (Status::Created, 0));
    let place = async |client: &mut Client, task_id: &str| status(client, task_id).await.sample.unwrap().queue_position;
    assert_eq!(place(&mut client, &first.task_id).await, Some(1));
    assert_eq!(place(&mut client, &second.task_id).await, Some(2));
    assert_eq!(place(&mut client, &running.task_id).await, None);
    client.cancel_job(cancel(&running.task_id)).await.unwrap();
    assert_eq!(ended(&mut client, &second.task_id).await.status(), Status::Done);
}

#[tokio::test]
async fn a_full_queue_refuses_with_a_time_to_try_again_and_makes_no_job() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1").arg("--queue").arg("1"));
    let mut client = service.client().await;
    begin(&mut client, "/sleep").await;
    let waiting = begin(&mut client, "/exit/0").await;
    let refusal = refused(client.execute(execute(&stub_url("/exit/0"))).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::ResourceExhausted, "QUEUE_FULL"));
    assert!(refusal.retry_after.is_some_and(|delay| !delay.is_zero()));
    assert_eq!(jobs_made(&service), 2);
    // A place that is given up is there for the next.
    client.cancel_job(cancel(&waiting.task_id)).await.unwrap();
    begin(&mut client, "/exit/0").await;
}

#[tokio::test]
async fn jobs_start_in_the_order_in_which_they_were_accepted() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1"));
    let mut client = service.client().await;
    let running = begin(&mut client, "/sleep").await;
    let mut waiting = Vec::new();
    for _ in 0..12 {
        waiting.push(begin(&mut client, "/exit/0").await.task_id);
    }
    client.cancel_job(cancel(&running.task_id)).await.unwrap();
    let mut started = Vec::new();
    for task_id in &waiting {
        let at = ended(&mut client, task_id).await.started_at.unwrap();
        started.push((at.seconds, at.nanos));
    }
    assert!(started.is_sorted(), "{started:?}");
}

#[tokio::test]
async fn a_profile_serves_one_job_at_a_time() {
    let service = Service::start_with(Options::default().arg("--slots").arg("4"));
    let mut client = service.client().await;
    let with_profile = |path: &str| v1::ExecuteRequest { profile: "work".to_owned(), ..execute(&stub_url(path)) };
    let first = client.execute(with_profile("/sleep")).await.unwrap().into_inner();
    let second = client.execute(with_profile("/exit/0")).await.unwrap().into_inner();
    assert_eq!(second.job.unwrap().status(), Status::Created);
    // Others pass it meanwhile.
    let other = begin(&mut client, "/exit/0").await;
    ended(&mut client, &other.task_id).await;
    assert_eq!(status(&mut client, &second.task_id).await.job.unwrap().status(), Status::Created);
    client.cancel_job(cancel(&first.task_id)).await.unwrap();
    assert_eq!(ended(&mut client, &second.task_id).await.status(), Status::Done);
}

#[tokio::test]
async fn a_browser_that_cannot_be_started_is_the_jobs_own_failure() {
    let home = tempfile::tempdir().unwrap();
    let browsers = ["gone", "locked", "text"].map(|name| (name, home.path().join(name)));
    let mut options = Options::default();
    for (name, path) in &browsers {
        fs::copy(stub_browser(), path).unwrap();
        options = options.arg("--browser").arg(format!("{name}={},exit-only", path.display()));
    }
    let service = Service::start_with(options);
    fs::remove_file(home.path().join("gone")).unwrap();
    fs::set_permissions(home.path().join("locked"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(home.path().join("text"), "not a program\n").unwrap();
    let mut client = service.client().await;
    for ((name, _), cause) in browsers.iter().zip(["ENOENT", "EACCES", "ENOEXEC"]) {
        let request = v1::ExecuteRequest { browser: (*name).to_owned(), ..execute(&stub_url("/exit/0")) };
        let answer = client.execute(request).await.unwrap().into_inner();
        let job = answer.job.unwrap();
        assert_eq!((job.status(), job.reason()), (Status::Failed, Reason::LaunchFailed), "{name}");
        assert_eq!((job.process_id, job.is_process_alive, job.exit_code), (0, false, None), "{name}");
        assert!(job.message.contains(cause) && job.message.contains(name), "{name}: {}", job.message);
    }
}

#[tokio::test]
async fn a_failed_launch_frees_its_slot() {
    let home = tempfile::tempdir().unwrap();
    let gone = home.path().join("gone");
    fs::copy(stub_browser(), &gone).unwrap();
    let by_hand = format!("gone={},exit-only", gone.display());
    let service = Service::start_with(Options::default().arg("--slots").arg("1").arg("--browser").arg(by_hand));
    fs::remove_file(&gone).unwrap();
    let mut client = service.client().await;
    for _ in 0..3 {
        let request = v1::ExecuteRequest { browser: "gone".to_owned(), ..execute(&stub_url("/exit/0")) };
        let failed = client.execute(request).await.unwrap().into_inner();
        assert_eq!(ended(&mut client, &failed.task_id).await.reason(), Reason::LaunchFailed);
    }
    let answer = begin(&mut client, "/exit/0").await;
    assert_eq!(ended(&mut client, &answer.task_id).await.status(), Status::Done);
}

#[tokio::test]
async fn a_caller_that_vanishes_leaves_a_job_that_is_looked_after() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1"));
    let mut client = service.client().await;
    let running = begin(&mut client, "/sleep").await;
    let mut hasty = service.client().await;
    let asking = tokio::spawn(async move { hasty.execute(with_request_id("/exit/0", REQUEST_ID)).await });
    tokio::task::yield_now().await;
    asking.abort();
    drop(asking.await);
    // Whether or not the first call came through, there is one job under this id, and it comes to its end.
    let answer = client.execute(with_request_id("/exit/0", REQUEST_ID)).await.unwrap().into_inner();
    client.cancel_job(cancel(&running.task_id)).await.unwrap();
    let job = job_when(&mut client, &answer.task_id, |job| job.done).await;
    assert_eq!(job.status(), Status::Done);
    assert_eq!(jobs_made(&service), 2);
}

#[tokio::test]
async fn labels_come_back_as_they_were_given() {
    let service = Service::start();
    let mut client = service.client().await;
    let mut request = execute(&stub_url("/exit/0"));
    request.labels.insert("team".to_owned(), "blau-grün 🟢".to_owned());
    request.retention = super::wire::span(Duration::from_secs(3600));
    let labels = request.labels.clone();
    let answer = client.execute(request).await.unwrap().into_inner();
    let job = ended(&mut client, &answer.task_id).await;
    assert_eq!(job.labels, labels);
    let (finished, expires) = (job.finished_at.unwrap(), job.expires_at.unwrap());
    assert_eq!((expires.seconds - finished.seconds, expires.nanos), (3600, finished.nanos));
}
