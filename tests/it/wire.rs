//! Requests as callers write them, and refusals as callers read them.

use std::{fmt::Debug, fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use comet_task_runner::api::v1::{self, job::Status as JobStatus, watch_job_request::Until};
use rusqlite::{Connection, OpenFlags};
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

use super::service::{Client, Service, eventually, execute, stub_url, watch};

/// A refusal, as a program reads it.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: Code,
    pub(crate) reason: String,
    /// Each field at fault, with what to do about it.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) about: std::collections::HashMap<String, String>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) message: String,
}

/// Reads a refusal; every one of the service's own is signed with an ErrorInfo.
pub(crate) fn refused<T: Debug>(answer: Result<Response<T>, Status>) -> Refused {
    let status = answer.map(Response::into_inner).expect_err("the call is refused");
    read_refusal(&status)
}

pub(crate) fn read_refusal(status: &Status) -> Refused {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("{status:?} has an ErrorInfo"));
    assert_eq!(info.domain, "taskrunner.comet");
    let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    Refused {
        code: status.code(),
        reason: info.reason.clone(),
        fields: violations.into_iter().map(|violation| (violation.field, violation.description)).collect(),
        about: info.metadata.clone(),
        retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        message: status.message().to_owned(),
    }
}

/// How many jobs the store remembers.
pub(crate) fn jobs_made(service: &Service) -> i64 {
    let store = service.state_dir().join("ledger.sqlite");
    let store = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    store.query_row("SELECT count(*) FROM jobs", [], |row| row.get(0)).unwrap()
}

pub(crate) fn span(span: Duration) -> Option<prost_types::Duration> {
    Some(span.try_into().unwrap())
}

/// Starts a job that does as the path says, and gives the answer.
pub(crate) async fn begin(client: &mut Client, path: &str) -> v1::ExecuteResponse {
    client.execute(execute(&stub_url(path))).await.unwrap().into_inner()
}

/// A page's report, with its task's own token.
pub(crate) fn report(of: &v1::ExecuteResponse, status: JobStatus) -> v1::CallbackRequest {
    v1::CallbackRequest {
        task_id: of.task_id.clone(),
        callback_token: of.callback_token.clone(),
        status: status.into(),
        ..v1::CallbackRequest::default()
    }
}

pub(crate) fn cancel(task_id: &str) -> v1::CancelJobRequest {
    v1::CancelJobRequest { task_id: task_id.to_owned(), ..v1::CancelJobRequest::default() }
}

pub(crate) fn kill_at_once(task_id: &str) -> v1::CancelJobRequest {
    v1::CancelJobRequest { force: true, ..cancel(task_id) }
}

pub(crate) fn read_log(task_id: &str) -> v1::ReadLogRequest {
    v1::ReadLogRequest { task_id: task_id.to_owned(), ..v1::ReadLogRequest::default() }
}

/// A watch that goes on past the end of the task, to the end of its browser.
pub(crate) fn watch_exit(task_id: &str) -> v1::WatchJobRequest {
    v1::WatchJobRequest { until: Until::ProcessExited.into(), ..watch(task_id) }
}

pub(crate) fn resume(task_id: &str, token: &str) -> v1::WatchJobRequest {
    v1::WatchJobRequest { resume_token: token.to_owned(), ..watch_exit(task_id) }
}

pub(crate) async fn status(client: &mut Client, task_id: &str) -> v1::GetStatusResponse {
    let request = v1::GetStatusRequest { task_id: task_id.to_owned() };
    client.get_status(request).await.unwrap().into_inner()
}

/// True while the process exists and has not ended.
pub(crate) fn is_alive(pid: u32) -> bool {
    state_of(pid).is_some_and(|state| state != 'Z')
}

/// The kernel's letter for what a process does.
pub(crate) fn state_of(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Waits until a stub browser has said what SIGTERM is to it: only then does it behave as its path says.
pub(crate) fn settled(task: v1::ExecuteResponse) -> v1::ExecuteResponse {
    settled_pid(task.process_id);
    task
}

/// The same of a process.
pub(crate) fn settled_pid(pid: u32) {
    const SIGTERM: u64 = 1 << (15 - 1);
    eventually("the browser handles SIGTERM", || {
        let about = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let masks = about.lines().filter_map(|line| line.strip_prefix("SigIgn:").or(line.strip_prefix("SigCgt:")));
        masks.map(|mask| u64::from_str_radix(mask.trim(), 16).unwrap()).any(|mask| mask & SIGTERM != 0)
    });
}

/// Writes a program that is ready to be started under another name: nobody can start it while it is written.
pub(crate) fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

/// The number that a stub browser wrote into a file of its own.
pub(crate) fn pid_in(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.strip_suffix('\n')?.parse().ok()
}
