//! Every way in which a browser, a page, a process or a person can end a task, in each tier: one table, printed and held.

mod choices;
mod of_processes;
mod of_services;
mod real;

use std::{collections::BTreeMap, fmt::Write as _, sync::Mutex};

use comet_task_runner::api::v1::{self, ExecuteRequest, browser::Tier};

use super::{
    real::{LONG, Seats, when},
    service::Client,
    wire::refused,
};

/// A way to end, and what a task in each of [`TIERS`] comes to by it.
///
/// `STATUS REASON`; `unseen` before it where the way itself is not noticed in that tier, so that only a timeout, a
/// report or a wish ends the task; or the field that is refused, where it cannot be asked for.
type Row = (&'static str, [&'static str; 3]);

const TIERS: [Tier; 3] = [Tier::Managed, Tier::ExitOnly, Tier::UserBrowser];

/// What the run timeout makes of a task whose end nobody saw.
const UNSEEN: &str = "unseen: TIMED_OUT RUN_TIMEOUT";

#[rustfmt::skip] // One row a line, so that it reads as a table.
const ROWS: [Row; 42] = [
    // What the page does.
    ("reports DONE",                            ["DONE CALLBACK",               "DONE CALLBACK",               "DONE CALLBACK"]),
    ("reports FAILED",                          ["FAILED CALLBACK",             "FAILED CALLBACK",             "FAILED CALLBACK"]),
    ("closes itself",                           ["DONE PAGE_CLOSED",            "DONE PROCESS_EXITED",         UNSEEN]),
    ("closes itself, REQUIRE_REPORT",           ["FAILED NO_REPORT",            "FAILED NO_REPORT",            UNSEEN]),
    ("its renderer is killed",                  ["FAILED PAGE_CRASHED",         "unseen: RUNNING LAUNCHED",    UNSEEN]),
    ("cannot be fetched",                       ["FAILED NAVIGATION_FAILED",    UNSEEN,                        UNSEEN]),
    ("HTTP 404, asked to count",                ["FAILED HTTP_ERROR",           "refused: fail_on_http_error", "refused: fail_on_http_error"]),
    ("leads to a file",                         ["DONE DOWNLOADED",             UNSEEN,                        UNSEEN]),
    ("leads to a file that breaks off",         ["FAILED DOWNLOAD_FAILED",      UNSEEN,                        UNSEEN]),
    ("an alert is left open, then run timeout", ["TIMED_OUT RUN_TIMEOUT",       "refused: dialogs",            "refused: dialogs"]),
    ("closes itself, to wait for its popups",   ["DONE PAGE_CLOSED",            "refused: wait_for_popups",    "refused: wait_for_popups"]),
    ("reports DONE, in a shared browser",       ["DONE CALLBACK",               "refused: isolation",          "refused: isolation"]),
    ("cancel, in a shared browser",             ["CANCELLED CANCEL_REQUESTED",  "refused: isolation",          "refused: isolation"]),
    ("kill -9 of the shared browser",           ["FAILED PROCESS_FAILED",       "refused: isolation",          "refused: isolation"]),
    // What a person does.
    ("person closes the window",                ["DONE PAGE_CLOSED",            "DONE PROCESS_EXITED",         "FAILED BROWSER_TERMINATED"]),
    ("cancel",                                  ["CANCELLED CANCEL_REQUESTED",  "CANCELLED CANCEL_REQUESTED",  "CANCELLED CANCEL_REQUESTED"]),
    ("cancel after a hand-off",                 [NOT_THERE,                     NOT_THERE,                     "CANCELLED CANCEL_REQUESTED"]),
    ("forced cancel",                           ["CANCELLED CANCEL_REQUESTED",  "CANCELLED CANCEL_REQUESTED",  "CANCELLED CANCEL_REQUESTED"]),
    ("cancel in the queue",                     ["CANCELLED CANCEL_REQUESTED",  "CANCELLED CANCEL_REQUESTED",  "CANCELLED CANCEL_REQUESTED"]),
    // What the process does.
    ("exit 0 at once, as at a hand-off",        ["FAILED HANDED_OVER",          "DONE PROCESS_EXITED",         "RUNNING HANDED_OFF"]),
    ("exit 0 at once, REQUIRE_REPORT",          ["FAILED HANDED_OVER",          "FAILED NO_REPORT",            "RUNNING HANDED_OFF"]),
    ("exit 0 at once, PROCESS_EXIT",            ["FAILED HANDED_OVER",          "DONE PROCESS_EXITED",         "refused: completion_policy"]),
    ("SIGTERM, and exit 0",                     ["FAILED BROWSER_TERMINATED",   "DONE PROCESS_EXITED",         "FAILED BROWSER_TERMINATED"]),
    ("SIGTERM, and exit 0, REQUIRE_REPORT",     ["FAILED BROWSER_TERMINATED",   "FAILED NO_REPORT",            "FAILED BROWSER_TERMINATED"]),
    ("SIGTERM, and exit 0, PROCESS_EXIT",       ["DONE PROCESS_EXITED",         "DONE PROCESS_EXITED",         "refused: completion_policy"]),
    ("exit 3",                                  ["FAILED PROCESS_FAILED",       "FAILED PROCESS_FAILED",       "FAILED PROCESS_FAILED"]),
    ("kill -9",                                 ["FAILED PROCESS_FAILED",       "FAILED PROCESS_FAILED",       "FAILED PROCESS_FAILED"]),
    ("crashes",                                 ["FAILED PROCESS_FAILED",       "FAILED PROCESS_FAILED",       "FAILED PROCESS_FAILED"]),
    ("cannot be started",                       ["FAILED LAUNCH_FAILED",        "FAILED LAUNCH_FAILED",        "FAILED LAUNCH_FAILED"]),
    ("profile in use",                          ["FAILED PROFILE_IN_USE",       "FAILED PROFILE_IN_USE",       "refused: profile"]),
    // What time does.
    ("queue timeout",                           ["TIMED_OUT QUEUE_TIMEOUT",     "TIMED_OUT QUEUE_TIMEOUT",     "TIMED_OUT QUEUE_TIMEOUT"]),
    ("launch timeout",                          ["TIMED_OUT LAUNCH_TIMEOUT",    "TIMED_OUT LAUNCH_TIMEOUT",    "TIMED_OUT LAUNCH_TIMEOUT"]),
    ("launch timeout, the browser is silent",   ["TIMED_OUT LAUNCH_TIMEOUT",    NOT_THERE,                     NOT_THERE]),
    ("navigation timeout",                      ["TIMED_OUT NAVIGATION_TIMEOUT", "refused: timeouts.navigation", "refused: timeouts.navigation"]),
    ("run timeout",                             ["TIMED_OUT RUN_TIMEOUT",       "TIMED_OUT RUN_TIMEOUT",       "TIMED_OUT RUN_TIMEOUT"]),
    ("idle timeout",                            ["TIMED_OUT IDLE_TIMEOUT",      "TIMED_OUT IDLE_TIMEOUT",      "TIMED_OUT IDLE_TIMEOUT"]),
    // What happens to the service.
    ("shim killed",                             ["LOST SHIM_DIED",              "LOST SHIM_DIED",              "LOST SHIM_DIED"]),
    ("service killed, and started again",       ["RUNNING LAUNCHED",            "RUNNING LAUNCHED",            "RUNNING LAUNCHED"]),
    ("the same after a hand-off",               [NOT_THERE,                     NOT_THERE,                     "RUNNING HANDED_OFF"]),
    ("the same, browser killed meanwhile",      ["FAILED PROCESS_FAILED",       "FAILED PROCESS_FAILED",       "FAILED PROCESS_FAILED"]),
    ("the same, shim killed meanwhile",         ["LOST SERVICE_RESTARTED",      "LOST SERVICE_RESTARTED",      "LOST SERVICE_RESTARTED"]),
    ("no service for longer than away_max",     ["TIMED_OUT SERVICE_AWAY",      "TIMED_OUT SERVICE_AWAY",      "RUNNING LAUNCHED"]),
];

/// Ways that there are in one tier only.
const NOT_THERE: &str = "no such way";

/// What came of each way, as it is tried.
#[derive(Default)]
pub(super) struct Seen(Mutex<BTreeMap<(&'static str, usize), String>>);

impl Seen {
    pub(super) fn note(&self, how: &'static str, tier: Tier, what: String) {
        let column = TIERS.iter().position(|known| *known == tier).unwrap();
        let before = self.0.lock().unwrap().insert((how, column), what);
        assert_eq!(before, None, "{how} was tried twice in {tier:?}");
    }

    pub(super) fn job(&self, how: &'static str, tier: Tier, job: &v1::Job) {
        self.note(how, tier, said(job));
    }

    pub(super) fn unseen(&self, how: &'static str, tier: Tier, job: &v1::Job) {
        self.note(how, tier, format!("unseen: {}", said(job)));
    }
}

fn said(job: &v1::Job) -> String {
    format!("{} {}", job.status().as_str_name(), job.reason().as_str_name())
}

/// The field at fault, of a request that is refused.
async fn refusal(client: &mut Client, request: ExecuteRequest) -> String {
    let refusal = refused(client.execute(request).await);
    assert_eq!(refusal.reason, "TIER_CANNOT", "{refusal:?}");
    format!("refused: {}", refusal.fields[0].0)
}

/// The job at its end, or handed off.
async fn outcome(client: &mut Client, task_id: &str) -> v1::Job {
    when(client, task_id, |job| job.done || job.handed_off).await
}

/// The job at its end.
async fn end(client: &mut Client, task_id: &str) -> v1::Job {
    tokio::time::timeout(LONG, super::service::ended(client, task_id)).await.expect("the job ends")
}

/// Both tables side by side, and what of them differs.
fn compare(seen: &BTreeMap<(&'static str, usize), String>) -> (String, Vec<String>) {
    let mut table = String::new();
    let mut wrong = Vec::new();
    let columns = TIERS.map(|tier| tier.as_str_name());
    let _ = writeln!(table, "{:<40}{:<31}{:<31}{}", "", columns[0], columns[1], columns[2]);
    for (how, cells) in ROWS {
        let told: Vec<&str> = (0..3).map(|column| seen.get(&(how, column)).map_or(NOT_THERE, String::as_str)).collect();
        let _ = writeln!(table, "{how:<40}{:<31}{:<31}{}", told[0], told[1], told[2]);
        if told != cells {
            wrong.push(format!("{how}: {told:?}, not {cells:?}"));
        }
    }
    let unknown = seen.keys().filter(|(how, _)| ROWS.iter().all(|(known, _)| known != how));
    wrong.extend(unknown.map(|(how, _)| format!("{how} has no row")));
    (table, wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_end_has_its_status_and_its_reason_in_each_tier() {
    let Some(_seats) = Seats::take(2, &["Xvfb", "openbox", "xdotool"]) else { return };
    let seen = Seen::default();
    tokio::join!(real::pages(&seen), real::wishes_and_times(&seen), of_processes::ends(&seen));
    tokio::join!(
        real::exits_only(&seen),
        choices::choices(&seen),
        of_services::restarts(&seen),
        of_services::queues(&seen)
    );
    let (table, wrong) = compare(&seen.0.into_inner().unwrap());
    println!("{table}");
    assert!(wrong.is_empty(), "{table}\n{}", wrong.join("\n"));
}

#[test]
fn a_cell_that_is_empty_or_another_is_told() {
    let mut seen = BTreeMap::new();
    for (how, cells) in ROWS {
        seen.extend((0..3).filter(|n| cells[*n] != NOT_THERE).map(|n| ((how, n), cells[n].to_owned())));
    }
    assert_eq!(compare(&seen).1, Vec::<String>::new());
    seen.remove(&("cancel", 1));
    seen.insert(("kill -9", 2), "DONE CALLBACK".to_owned());
    seen.insert(("by magic", 0), "DONE CALLBACK".to_owned());
    let wrong = compare(&seen).1;
    assert!(wrong.len() == 3 && wrong[0].contains("cancel") && wrong[2].contains("by magic"), "{wrong:?}");
}
