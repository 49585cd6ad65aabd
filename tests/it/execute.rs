//! Execute: what it answers, and what it refuses.

use comet_task_runner::api::v1::job::{Reason, Status};

use super::service::{Service, ended, execute, stub_url};

#[tokio::test]
async fn a_task_runs_and_its_exit_code_is_told() {
    let service = Service::start();
    let mut client = service.client().await;
    let answer = client.execute(execute(&stub_url("/exit/3"))).await.unwrap().into_inner();
    assert_ne!(answer.process_id, 0);
    let job = ended(&mut client, &answer.task_id).await;
    assert_eq!((job.status(), job.reason(), job.exit_code), (Status::Failed, Reason::ProcessFailed, Some(3)));
}
