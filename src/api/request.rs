//! From messages to what they ask for: every field checked, all that is at fault told at once.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use uuid::Uuid;

use super::{status::Violation, v1};
use crate::{
    job::{
        CallbackDelivery, Profile, REPORT_MESSAGE_BYTES_MAX, REPORT_RESULT_BYTES_MAX, ReportStatus, TaskId, TaskUrl,
        Timeouts, UrlError,
    },
    runner::{self, Cancellation, Order, PageReport},
};

mod choices;
pub(super) mod lists;
mod needs;

/// Default launch timeout: ten times a slow start on a busy machine.
const LAUNCH_DEFAULT: Duration = Duration::from_secs(30);
/// Default navigation timeout: what browsers themselves give a silent server, about.
const NAVIGATION_DEFAULT: Duration = Duration::from_secs(60);
/// Default grace: a browser that saves its profile takes well under a second.
pub(super) const GRACE_DEFAULT: Duration = Duration::from_secs(5);
/// Longest grace: past it a browser is not leaving.
const GRACE_MAX: Duration = Duration::from_secs(600);
/// Default retention.
pub(super) const RETENTION_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest span that means something: a leap year.
const SPAN_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// Most labels of a job: they ride on every change.
const LABELS_MAX: usize = 32;
/// Longest key of a label, as elsewhere in the field.
const LABEL_KEY_CHARS_MAX: usize = 63;
/// Longest value of a label.
const LABEL_VALUE_CHARS_MAX: usize = 255;
/// Most origins that may report on one task.
const ORIGINS_MAX: usize = 16;
/// Heartbeat when none is asked for.
const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(15);
/// Shortest and longest heartbeat: neither a flood nor a silence that proxies cut.
const HEARTBEAT_RANGE: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

/// Collects what is at fault while fields are read.
#[derive(Default)]
pub(super) struct Faults(Vec<Violation>);

impl Faults {
    pub(super) fn add(&mut self, field: impl Into<String>, reason: &'static str, description: impl Into<String>) {
        self.0.push(Violation::new(field, reason, description));
    }

    pub(super) fn ok<T>(self, value: Option<T>) -> Result<T, Vec<Violation>> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            Some(_) | None => Err(self.0),
        }
    }

    /// A span as given; none when it is unset or at fault.
    fn span(&mut self, field: &str, span: Option<&prost_types::Duration>, max: Duration) -> Option<Duration> {
        let span = span?;
        match Duration::try_from(*span) {
            Ok(span) if span <= max => Some(span),
            Ok(_) => {
                self.add(field, "DURATION_OUT_OF_RANGE", format!("is longer than {} s", max.as_secs()));
                None
            }
            Err(_) => {
                self.add(field, "DURATION_OUT_OF_RANGE", "is negative or not a duration; give one such as \"30s\"");
                None
            }
        }
    }

    /// A timeout: its default when unset, without limit when zero.
    fn timeout(
        &mut self,
        field: &str,
        span: Option<&prost_types::Duration>,
        default: Option<Duration>,
    ) -> Option<Duration> {
        if span.is_none() {
            return default;
        }
        self.span(field, span, SPAN_MAX).filter(|span| !span.is_zero())
    }
}

pub(super) fn task_id(text: &str) -> Result<TaskId, Vec<Violation>> {
    if text.is_empty() {
        return Err(vec![Violation::new(
            "task_id",
            "TASK_ID_INVALID",
            "is empty; give the task_id that Execute answered with",
        )]);
    }
    text.parse()
        .map_err(|error: crate::job::TaskIdError| vec![Violation::new("task_id", "TASK_ID_INVALID", error.to_string())])
}

pub(super) fn order(request: &v1::ExecuteRequest) -> Result<Order, Vec<Violation>> {
    let mut faults = Faults::default();
    let url = match TaskUrl::parse(&request.url) {
        Ok(url) => Some(url),
        Err(error) => {
            let reason = match error {
                UrlError::SchemeNotAllowed(_) => "URL_SCHEME_NOT_ALLOWED",
                UrlError::Empty
                | UrlError::TooLong(_)
                | UrlError::ControlCharacter(_)
                | UrlError::Malformed(_)
                | UrlError::Userinfo => "URL_INVALID",
            };
            faults.add("url", reason, error.to_string());
            None
        }
    };
    let request_id = request_id(&mut faults, &request.request_id);
    let mode = choices::mode(&mut faults, request.mode);
    let profile = profile_of(&mut faults, &request.profile);
    let completion = choices::completion(&mut faults, request.completion_policy);
    let after_finish = choices::after_finish(&mut faults, request.after_finish);
    let callback_origins = origins(&mut faults, &request.callback_origins);
    let callback_delivery = callback_delivery(&mut faults, request, url.as_ref());
    let timeouts = timeouts(&mut faults, request.timeouts.as_ref());
    let grace = faults.span("termination_grace", request.termination_grace.as_ref(), GRACE_MAX);
    let retention = faults.span("retention", request.retention.as_ref(), SPAN_MAX);
    let labels = labels(&mut faults, "labels", &request.labels);
    let tier = choices::tier(&mut faults, request.tier);
    let isolation = choices::isolation(&mut faults, request.isolation);
    let priority = choices::priority(&mut faults, request.priority);
    let dialogs = choices::dialogs(&mut faults, request.dialogs);
    let order = url.map(|url| Order {
        url,
        request_id,
        browser: (!request.browser.is_empty()).then(|| request.browser.clone()),
        mode,
        profile,
        completion,
        fail_on_http_error: request.fail_on_http_error,
        callback_origins,
        callback_delivery,
        timeouts,
        needs: needs::needs(request),
        grace: grace.unwrap_or(GRACE_DEFAULT),
        after_finish,
        retention: retention.unwrap_or(RETENTION_DEFAULT),
        labels,
        tier,
        isolation,
        priority,
        dialogs,
        wait_for_popups: request.wait_for_popups,
    });
    faults.ok(order)
}

fn request_id(faults: &mut Faults, text: &str) -> Option<Uuid> {
    if text.is_empty() {
        return None;
    }
    match Uuid::try_parse(text) {
        Ok(uuid) if !uuid.is_nil() => Some(uuid),
        Ok(_) | Err(_) => {
            faults.add(
                "request_id",
                "REQUEST_ID_INVALID",
                "is not a UUID; make one, such as with uuidgen, or leave it empty",
            );
            None
        }
    }
}

/// None for the default of the tier.
fn callback_delivery(
    faults: &mut Faults,
    request: &v1::ExecuteRequest,
    url: Option<&TaskUrl>,
) -> Option<CallbackDelivery> {
    use v1::execute_request::CallbackDelivery as Wire;
    let fragment = url.and_then(|url| url.url().fragment()).filter(|_| needs::reports_over_http(request));
    if let Some(fragment) = fragment {
        let remedy = format!(
            "has the fragment {fragment:?}, whose place callback_delivery FRAGMENT needs (the default in the tier USER_BROWSER); leave it out or use BINDING in the tier MANAGED"
        );
        faults.add("url", "URL_HAS_FRAGMENT", remedy);
    }
    let value = request.callback_delivery;
    match Wire::try_from(value) {
        Ok(Wire::Unspecified) => None,
        Ok(Wire::Binding) => Some(CallbackDelivery::Binding),
        Ok(Wire::Fragment) => Some(CallbackDelivery::Fragment),
        Err(_) => {
            let remedy = format!("{value} is not a delivery; give BINDING or FRAGMENT");
            faults.add("callback_delivery", "ENUM_UNKNOWN", remedy);
            None
        }
    }
}

fn profile_of(faults: &mut Faults, name: &str) -> Profile {
    if name.is_empty() {
        return Profile::Ephemeral;
    }
    runner::profile(name).unwrap_or_else(|error| {
        faults.add("profile", "PROFILE_INVALID", error.to_string());
        Profile::Ephemeral
    })
}

fn origins(faults: &mut Faults, origins: &[String]) -> Vec<String> {
    if origins.len() > ORIGINS_MAX {
        faults.add(
            "callback_origins",
            "TOO_MANY",
            format!("has {} entries; at most {ORIGINS_MAX} are taken", origins.len()),
        );
        return Vec::new();
    }
    let mut checked = Vec::with_capacity(origins.len());
    for (index, text) in origins.iter().enumerate() {
        // An origin in its one spelling is what a browser reports, so anything else would never match.
        match TaskUrl::parse(text) {
            Ok(url) if url.origin() == *text => checked.push(text.clone()),
            Ok(url) => faults.add(
                format!("callback_origins[{index}]"),
                "ORIGIN_INVALID",
                format!("{text:?} is not an origin; write it as {:?}", url.origin()),
            ),
            Err(_) => faults.add(
                format!("callback_origins[{index}]"),
                "ORIGIN_INVALID",
                "is not an http or https origin; give one such as \"https://example.org\"",
            ),
        }
    }
    checked
}

pub(super) fn timeouts(faults: &mut Faults, timeouts: Option<&v1::Timeouts>) -> Timeouts {
    let given = timeouts.copied().unwrap_or_default();
    Timeouts {
        queue: faults.timeout("timeouts.queue", given.queue.as_ref(), None),
        launch: faults.timeout("timeouts.launch", given.launch.as_ref(), Some(LAUNCH_DEFAULT)),
        navigation: faults.timeout("timeouts.navigation", given.navigation.as_ref(), Some(NAVIGATION_DEFAULT)),
        run: faults.timeout("timeouts.run", given.run.as_ref(), None),
        idle: faults.timeout("timeouts.idle", given.idle.as_ref(), None),
    }
}

fn labels(faults: &mut Faults, field: &str, given: &HashMap<String, String>) -> BTreeMap<String, String> {
    if given.len() > LABELS_MAX {
        let count = given.len();
        faults.add(field, "TOO_MANY", format!("has {count} entries; at most {LABELS_MAX} are taken"));
    }
    let labels: BTreeMap<_, _> = given.clone().into_iter().collect();
    for (key, value) in &labels {
        if key.is_empty() || key.chars().count() > LABEL_KEY_CHARS_MAX || key.chars().any(char::is_control) {
            let remedy =
                format!("the key {key:?} needs 1 to {LABEL_KEY_CHARS_MAX} characters, none of them control characters");
            faults.add(field, "LABEL_INVALID", remedy);
        } else if value.chars().count() > LABEL_VALUE_CHARS_MAX || value.chars().any(char::is_control) {
            let remedy = format!("takes at most {LABEL_VALUE_CHARS_MAX} characters, none of them control characters");
            faults.add(format!("{field}[{key}]"), "LABEL_INVALID", remedy);
        }
    }
    labels
}

pub(super) fn report(request: &v1::CallbackRequest) -> Result<PageReport, Vec<Violation>> {
    let mut faults = Faults::default();
    if request.message.len() > REPORT_MESSAGE_BYTES_MAX {
        let length = request.message.len();
        faults.add(
            "message",
            "MESSAGE_TOO_LARGE",
            format!("has {length} bytes; at most {REPORT_MESSAGE_BYTES_MAX} are taken"),
        );
    }
    if request.result.len() > REPORT_RESULT_BYTES_MAX {
        let length = request.result.len();
        faults.add(
            "result",
            "RESULT_TOO_LARGE",
            format!("has {length} bytes; at most {REPORT_RESULT_BYTES_MAX} are taken"),
        );
    } else if !request.result.is_empty()
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&request.result)
    {
        faults.add("result", "RESULT_INVALID", format!("is not JSON ({error}); a bare text needs quotes"));
    }
    let end = |status| PageReport::End {
        status,
        message: request.message.clone(),
        result: (!request.result.is_empty()).then(|| request.result.clone()),
    };
    let report = match request.status() {
        v1::job::Status::Done => Some(end(ReportStatus::Done)),
        v1::job::Status::Failed => Some(end(ReportStatus::Failed)),
        v1::job::Status::Running => Some(PageReport::Alive {
            progress: progress(&mut faults, request.progress),
            message: request.message.clone(),
        }),
        v1::job::Status::Unspecified
        | v1::job::Status::Created
        | v1::job::Status::Stopping
        | v1::job::Status::Cancelled
        | v1::job::Status::TimedOut
        | v1::job::Status::Lost => {
            faults.add("status", "STATUS_NOT_REPORTABLE", "cannot be reported; give DONE, FAILED or RUNNING");
            None
        }
    };
    let alive = matches!(report, Some(PageReport::Alive { .. }));
    if alive && !request.result.is_empty() {
        faults.add("result", "RESULT_INVALID", "goes with DONE and FAILED only; leave it empty with RUNNING");
    }
    if !alive && request.progress.is_some() {
        faults.add("progress", "PROGRESS_INVALID", "goes with RUNNING only; leave it out with DONE and FAILED");
    }
    faults.ok(report)
}

fn progress(faults: &mut Faults, progress: Option<u32>) -> Option<u8> {
    let progress = progress?;
    match u8::try_from(progress) {
        Ok(percent) if percent <= 100 => Some(percent),
        Ok(_) | Err(_) => {
            faults.add("progress", "PROGRESS_INVALID", format!("{progress} is not a percentage; give 0 to 100"));
            None
        }
    }
}

pub(super) fn cancellation(request: &v1::CancelJobRequest) -> Result<Cancellation, Vec<Violation>> {
    let mut faults = Faults::default();
    let grace = faults.span("termination_grace", request.termination_grace.as_ref(), GRACE_MAX);
    let grace = if request.force { Some(Duration::ZERO) } else { grace };
    faults.ok(Some(Cancellation { grace }))
}

/// When a watch is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    TaskDone,
    ProcessExited,
}

pub(super) fn until(value: i32) -> Result<Until, Vec<Violation>> {
    use v1::watch_job_request::Until as Wire;
    match Wire::try_from(value) {
        Ok(Wire::Unspecified | Wire::TaskDone) => Ok(Until::TaskDone),
        Ok(Wire::ProcessExited) => Ok(Until::ProcessExited),
        Err(_) => {
            let remedy = format!("{value} is not known; give TASK_DONE or PROCESS_EXITED");
            Err(vec![Violation::new("until", "ENUM_UNKNOWN", remedy)])
        }
    }
}

pub(super) fn heartbeat(span: Option<&prost_types::Duration>) -> Result<Duration, Vec<Violation>> {
    let mut faults = Faults::default();
    let span = match span {
        None => HEARTBEAT_DEFAULT,
        Some(_) => faults.span("heartbeat_interval", span, *HEARTBEAT_RANGE.end()).unwrap_or(HEARTBEAT_DEFAULT),
    };
    if span < *HEARTBEAT_RANGE.start() {
        faults.add("heartbeat_interval", "DURATION_OUT_OF_RANGE", "is shorter than 1 s");
    }
    faults.ok(Some(span))
}
