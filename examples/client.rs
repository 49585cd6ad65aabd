//! Opens a URL as a task and says how it goes: a whole client of the service in a page.
//!
//! `cargo run --example client -- https://example.org/` takes the service that runs for this user; with
//! `COMET_TASK_RUNNER_SERVER` and `COMET_TASK_RUNNER_TOKEN` it takes the one at that address.

use std::{env, process::ExitCode};

use comet_task_runner::{
    api::v1::{ExecuteRequest, job::Status},
    client::{Error, Runner, Target},
};

#[tokio::main]
async fn main() -> ExitCode {
    let Some(url) = env::args().nth(1) else {
        eprintln!("give a URL");
        return ExitCode::from(2);
    };
    match run(url).await {
        Ok(Status::Done) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            // The reason is for programs, the text for people.
            eprintln!("{}: {error}", error.reason().unwrap_or("no service"));
            ExitCode::from(3)
        }
    }
}

async fn run(url: String) -> Result<Status, Error> {
    let runner = Runner::connect(target()?).await?;
    let request = ExecuteRequest {
        url,
        labels: [("by".to_owned(), "examples/client.rs".to_owned())].into(),
        ..ExecuteRequest::default()
    };
    let mut run = runner.run(request).await?;
    println!("task {}", run.task_id());
    // Every change once and in order, over cuts and restarts of the service too.
    while let Some(job) = run.next_job().await? {
        println!("{} {:?} {:?}  {:?}", job.revision, job.status(), job.reason(), job.message);
    }
    let job = run.finish().await?;
    if let Some(report) = job.callback.as_ref().filter(|report| !report.result.is_empty()) {
        println!("result {:?}", report.result);
    }
    Ok(job.status())
}

fn target() -> Result<Target, Error> {
    match (env::var("COMET_TASK_RUNNER_SERVER"), env::var("COMET_TASK_RUNNER_TOKEN")) {
        (Ok(server), Ok(token)) => Ok(Target::at(server, token)),
        (Ok(_), Err(_)) | (Err(_), _) => Target::local(),
    }
}
