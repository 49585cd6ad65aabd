//! `watch`, `status` and `cancel`: following a task from elsewhere.

use comet_task_runner::api::v1::{CallbackRequest, job::Status};

use super::super::service::{Service, ended as job_ended, execute, stub_url};
use super::{Call, ended, on, states};

#[tokio::test]
async fn a_watch_goes_on_over_a_restart_of_the_service_on_another_port() {
    let mut service = Service::start();
    let task_id = service.client().await.execute(execute(&stub_url("/sleep"))).await.unwrap().into_inner().task_id;
    let mut watch = Call::start(on(&service, &["watch", &task_id, "--json"]));
    let first: serde_json::Value = serde_json::from_str(&watch.line().await.unwrap()).unwrap();
    assert_eq!(first["job"]["status"], "RUNNING");

    service.terminate();
    service.restart();
    let report = CallbackRequest { task_id, status: Status::Done.into(), ..CallbackRequest::default() };
    service.client().await.callback(report).await.unwrap();

    let end = watch.end().await;
    assert_eq!(end.code, Some(0), "{end:?}");
    let told: Vec<_> = end.json().iter().map(|line| line["job"]["revision"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, ["3"], "every change once: {end:?}");
}

#[tokio::test]
async fn a_watch_gives_up_when_nobody_comes_back() {
    let mut service = Service::start();
    let task_id = service.client().await.execute(execute(&stub_url("/sleep"))).await.unwrap().into_inner().task_id;
    let mut watch = Call::start(on(&service, &["watch", &task_id, "--retry-for", "300ms"]));
    watch.line_with("RUNNING").await;
    service.terminate();
    let end = watch.end().await;
    assert_eq!(end.code, Some(3), "{end:?}");
    assert!(end.stderr.contains("error: no service runs on"), "{end:?}");
}

#[tokio::test]
async fn a_resume_token_skips_what_was_told() {
    let service = Service::start();
    let mut client = service.client().await;
    let task_id = client.execute(execute(&stub_url("/sleep"))).await.unwrap().into_inner().task_id;
    let mut watch = Call::start(on(&service, &["watch", &task_id, "--json"]));
    let first: serde_json::Value = serde_json::from_str(&watch.line().await.unwrap()).unwrap();
    let report =
        CallbackRequest { task_id: task_id.clone(), status: Status::Done.into(), ..CallbackRequest::default() };
    client.callback(report).await.unwrap();
    assert_eq!(watch.end().await.code, Some(0));

    let token = first["resumeToken"].as_str().unwrap();
    let rest = ended(on(&service, &["watch", &task_id, "--resume-token", token])).await;
    assert_eq!(states(&rest.stdout).first(), Some(&("DONE", "CALLBACK")), "{rest:?}");
    let whole = ended(on(&service, &["watch", &task_id, "--resume-token", "seven"])).await;
    assert!(whole.code == Some(2) && whole.stderr.contains("resume_token"), "{whole:?}");
}

#[tokio::test]
async fn until_exit_tells_the_exit_behind_the_end() {
    let service = Service::start();
    let mut client = service.client().await;
    let task_id = client.execute(execute(&stub_url("/sleep"))).await.unwrap().into_inner().task_id;
    let report =
        CallbackRequest { task_id: task_id.clone(), status: Status::Failed.into(), ..CallbackRequest::default() };
    client.callback(report).await.unwrap();

    let end = ended(on(&service, &["watch", &task_id, "--until", "exit", "--json"])).await;
    assert_eq!(end.code, Some(1), "{end:?}");
    let last = end.json().pop().unwrap();
    assert_eq!((&last["job"]["reason"], last["final"].as_bool()), (&"CALLBACK".into(), Some(true)), "{last}");
    assert_ne!(last["job"]["isProcessAlive"], true, "{last}");
}

#[tokio::test]
async fn status_and_cancel_speak_of_one_task() {
    let service = Service::start();
    let mut client = service.client().await;
    let task_id = client.execute(execute(&stub_url("/ignore-term"))).await.unwrap().into_inner().task_id;

    let status = ended(on(&service, &["status", &task_id])).await;
    assert_eq!(status.code, Some(0), "{status:?}");
    for line in [format!("task      {task_id}"), "status    RUNNING (LAUNCHED)".to_owned()] {
        assert!(status.stdout.lines().any(|said| said == line), "no line {line:?} in\n{}", status.stdout);
    }

    let cancel = ended(on(&service, &["cancel", &task_id, "--force", "--json"])).await;
    assert_eq!(cancel.json()[0]["job"]["cancelRequested"], true, "{cancel:?}");
    assert_eq!(job_ended(&mut client, &task_id).await.status(), Status::Cancelled);
    let status = ended(on(&service, &["status", &task_id, "--json"])).await;
    assert_eq!(status.json()[0]["job"]["status"], "CANCELLED", "{status:?}");
}
