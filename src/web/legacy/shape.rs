//! A job as the old service told it, from the contract's JSON.

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

/// A job in its old shape, with its reading, if there is one.
pub(super) fn job(job: &Value, sample: &Value) -> Value {
    let result = job["callback"]["result"].as_str().and_then(|text| serde_json::from_str(text).ok());
    json!({
        "task_id": text(&job["taskId"]),
        "url": text(&job["url"]),
        "status": status(text(&job["status"])),
        "process_id": job["processId"],
        "is_process_alive": job["isProcessAlive"] == true,
        "created_at": time(&job["createdAt"]),
        "started_at": time(&job["startedAt"]),
        "finished_at": time(&job["finishedAt"]),
        "process_info": process_info(&sample["processInfo"]),
        "message": text(&job["message"]),
        "result": result.unwrap_or(Value::Null),
        "reason": text(&job["reason"]),
    })
}

/// Of the new statuses, the old ones that their callers knew what to do with.
fn status(status: &str) -> &'static str {
    match status {
        "CREATED" => "created",
        "RUNNING" | "STOPPING" => "running",
        "DONE" => "done",
        _ => "failed",
    }
}

fn process_info(info: &Value) -> Value {
    if info.is_null() {
        return Value::Null;
    }
    json!({
        "pid": info["pid"],
        "name": text(&info["name"]),
        "status": text(&info["status"]),
        // Unknown until there were two readings.
        "cpu_percent": info["cpuPercent"],
        // The contract's JSON leaves out what is 0.
        "memory_mb": info["memoryMb"].as_f64().unwrap_or_default(),
    })
}

/// As `datetime.now().isoformat()` writes it in Python: local, to the microsecond unless that is 0, without an offset.
fn time(at: &Value) -> Value {
    let Some(at) = at.as_str().and_then(|at| at.parse::<Timestamp>().ok()) else { return Value::Null };
    let at = at.to_zoned_datetime(TimeZone::system());
    let whole = at.subsec_nanosecond() / 1000 == 0;
    at.strftime(if whole { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S.%6f" }).to_string().into()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_one_of_the_old_four() {
        let old = |new: &str| status(new);
        assert_eq!(["CREATED", "RUNNING", "STOPPING", "DONE"].map(old), ["created", "running", "running", "done"]);
        assert_eq!(["FAILED", "CANCELLED", "TIMED_OUT", "LOST"].map(old), ["failed"; 4]);
    }

    #[test]
    fn times_are_written_as_python_does() {
        let written = time(&json!("2026-01-31T12:00:00.123456Z"));
        let written = written.as_str().unwrap();
        assert_eq!(written.len(), "2026-01-31T12:00:00.123456".len(), "{written}");
        assert!(written.ends_with(":00.123456"), "{written}");
        assert!(time(&json!("2026-01-31T12:00:00Z")).as_str().unwrap().ends_with(":00:00"));
        assert_eq!(time(&Value::Null), Value::Null);
    }

    #[test]
    fn a_reading_has_the_old_names() {
        let sample = json!({ "processInfo": { "pid": 7, "name": "comet", "status": "sleeping", "processCount": 9 } });
        let told = job(&json!({ "taskId": "t", "status": "RUNNING" }), &sample);
        let expected =
            json!({ "pid": 7, "name": "comet", "status": "sleeping", "cpu_percent": null, "memory_mb": 0.0 });
        assert_eq!(told["process_info"], expected);
        assert_eq!(job(&json!({}), &Value::Null)["process_info"], Value::Null);
    }
}
