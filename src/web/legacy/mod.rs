//! The four routes of the service that this one replaces, in its shapes and without a token, for callers of old.
//!
//! ```text
//!   POST /execute        {"url": "..."}                                    -> job
//!   GET  /status/<id>                                                      -> job
//!   GET  /jobs                                                             -> {"<id>": job, ...}, the newest 10,000
//!   POST /callback       {"task_id": "...", "status": "done", "message"?}  -> job
//!
//!   job = {
//!     "task_id": "0198...",            "url": "http://...",
//!     "status": "created" | "running" | "done" | "failed",
//!     "process_id": 4711 | null,       "is_process_alive": true,
//!     "created_at": "2026-01-31T12:00:00.123456",   local time, as isoformat() of Python's datetime.now() writes it
//!     "started_at": "..." | null,      "finished_at": "..." | null,
//!     "process_info": {"pid", "name", "status", "cpu_percent", "memory_mb"} | null,
//!     "message": "...",                "result": any | null,
//!     "reason": "LAUNCHED"             the new word, for those who want to know more
//!   }
//!   error = {"error": "..."}, with 404 for a task that is not known
//! ```
//!
//! The old service knew four statuses: STOPPING is still "running", and CANCELLED, TIMED_OUT and LOST are "failed".
//! Everything goes through the calls of the contract, so what holds for them holds here. The guard lets in callers on
//! this machine only, and none that is a web page.

mod shape;

use axum::{
    Router,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{Extensions, StatusCode};
use serde_json::{Map, Value, json};

use super::{callback::result_text, json};
use crate::api::{Caller, Failure, Scope};
use shape::job;

/// Jobs of one page of the list inside.
const PAGE_SIZE: usize = 1000;
/// Most jobs that `/jobs` tells of, the newest: the old service kept its jobs in memory and never had more.
const JOBS_MAX: usize = 10_000;

/// The routes beside `/callback`, which is shared.
pub(super) fn routes(calls: json::Calls) -> Router {
    Router::new()
        .route("/execute", post(execute))
        .route("/status/{task_id}", get(status))
        .route("/jobs", get(jobs))
        .with_state(calls)
}

async fn execute(State(calls): State<json::Calls>, request: Request) -> Response {
    let executed = async {
        let body = json::whole(request.into_body()).await?;
        let fields: Map<String, Value> = serde_json::from_slice(&body).map_err(|error| json::invalid(&error))?;
        let url = fields.get("url").and_then(Value::as_str).unwrap_or_default();
        let executed = call(&calls, "Execute", &json!({ "url": url })).await?;
        Ok(job(&executed["job"], &Value::Null))
    };
    answer(executed.await)
}

async fn status(State(calls): State<json::Calls>, Path(task_id): Path<String>) -> Response {
    answer(one(&calls, &task_id).await)
}

async fn jobs(State(calls): State<json::Calls>) -> Response {
    answer(all(&calls).await)
}

/// A report without a token. The old service took any status; only an end, or a sign of life, means something.
pub(super) async fn report(calls: &json::Calls, fields: &Map<String, Value>) -> Response {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut request = json!({
        "taskId": text("task_id"),
        "status": text("status").to_uppercase(),
        "message": text("message"),
    });
    if let Some(result) = fields.get("result").cloned().and_then(result_text) {
        request["result"] = result.into();
    }
    let reported = call(calls, "Callback", &request).await;
    answer(reported.map(|reported| job(&reported["job"], &Value::Null)))
}

async fn one(calls: &json::Calls, task_id: &str) -> Result<Value, Failure> {
    let told = call(calls, "GetStatus", &json!({ "taskId": task_id })).await?;
    Ok(job(&told["job"], &told["sample"]))
}

async fn all(calls: &json::Calls) -> Result<Value, Failure> {
    let mut jobs = Map::new();
    let mut page_token = Value::from("");
    loop {
        let page = call(calls, "ListJobs", &json!({ "pageSize": PAGE_SIZE, "pageToken": page_token })).await?;
        for listed in page["jobs"].as_array().into_iter().flatten() {
            let task_id = listed["taskId"].as_str().unwrap_or_default().to_owned();
            // A list has no readings, and the old one did. A job that ends meanwhile is told as it was listed.
            let read = listed["isProcessAlive"] == true;
            let read = if read { one(calls, &task_id).await.ok() } else { None };
            jobs.insert(task_id, read.unwrap_or_else(|| job(listed, &Value::Null)));
        }
        page_token = page["nextPageToken"].clone();
        if page_token.is_null() || jobs.len() >= JOBS_MAX {
            return Ok(Value::Object(jobs));
        }
    }
}

/// These callers showed no token; that they are let in at all is what was asked for.
async fn call(calls: &json::Calls, name: &str, request: &Value) -> Result<Value, Failure> {
    let mut extensions = Extensions::new();
    extensions.insert(Caller::lasting(Scope::Operate));
    calls.call(name, request, extensions).await
}

fn answer(answered: Result<Value, Failure>) -> Response {
    let (status, body) = match answered {
        Ok(body) => (StatusCode::OK, body),
        // To the old service every id that it had not made was unknown, whatever it looked like.
        Err(failure) if failure.reason() == "TASK_ID_INVALID" => {
            (StatusCode::NOT_FOUND, json!({ "error": failure.message }))
        }
        Err(failure) => (failure.http_status, json!({ "error": failure.message })),
    };
    json::response(status, body.to_string()).into_response()
}
