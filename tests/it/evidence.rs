//! The last picture of a task that came to a bad end: which tasks have one, what it shows, and who may read it.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use comet_task_runner::api::v1::{
    self, Timeouts,
    job::{Reason, Status},
    job_file::Kind,
};

use super::{
    real::{Real, Seats, assert_ended, headless, millis},
    screenshot::{RED, coloured, force},
    service::Options,
};

/// Where a task's last picture lies.
fn last(real: &Real, task_id: &str) -> PathBuf {
    real.service.state_dir().join("files").join(task_id).join("last.jpg")
}

/// A red page that does this once it was drawn.
fn then(real: &Real, path: &str, script: &str) -> String {
    let drawn = format!("requestAnimationFrame(() => requestAnimationFrame(() => {{ {script} }}))");
    real.pages.html(path, &format!("{}<script>{drawn}</script>", coloured(RED)))
}

/// Whether the picture was not to be had within the second that it may take: so it can be on a machine that does much
/// else, and then the service says so.
fn is_late(real: &Real, job: &v1::Job) -> bool {
    job.files.is_empty() && real.service.log().contains("the page did not give one in time")
}

/// Whether the task's picture is there as the job says, red, and for its owner alone.
fn assert_kept(real: &Real, job: &v1::Job) {
    if is_late(real, job) {
        return;
    }
    let [file] = job.files.as_slice() else { panic!("one file is kept: {job:?}") };
    assert_eq!((file.name.as_str(), file.kind()), ("last.jpg", Kind::Screenshot));
    let path = last(real, &job.task_id);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(fs::metadata(&path).unwrap().len(), file.size_bytes);
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let pixels = image::open(&path).unwrap().into_rgb8();
    let found = pixels.get_pixel(pixels.width() / 2, pixels.height() / 2).0;
    assert!(found.iter().zip(RED).all(|(found, wanted)| found.abs_diff(wanted) <= 6), "{found:?}");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing unfinished is left");
}

fn assert_nothing_kept(real: &Real, job: &v1::Job) {
    assert!(job.files.is_empty() && !last(real, &job.task_id).exists(), "{job:?}");
}

#[tokio::test]
async fn a_task_that_failed_or_ran_too_long_keeps_its_last_picture() {
    let Some(mut real) = Real::start().await else { return };
    let url = then(&real, "/fails", "cometTask.fail('no')");
    let begun = real.begin(headless(&url)).await;
    // The end is told first, the picture after it.
    let first = real.when(&begun.task_id, |job| job.done).await;
    assert!(first.files.is_empty(), "{first:?}");
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Failed, Reason::Callback);
    assert_kept(&real, &job);

    let url = then(&real, "/stays", "");
    let timeouts = Some(Timeouts { run: Some(prost_types::Duration { seconds: 8, nanos: 0 }), ..Timeouts::default() });
    let job = real.run(v1::ExecuteRequest { timeouts, ..headless(&url) }).await;
    assert_ended(&job, Status::TimedOut, Reason::RunTimeout);
    assert_kept(&real, &job);

    // What the browser itself shows of it.
    let job = real.run(headless("http://127.0.0.1:1/")).await;
    assert_ended(&job, Status::Failed, Reason::NavigationFailed);
    assert!(job.files.len() == 1 || is_late(&real, &job), "{job:?}");
}

#[tokio::test]
async fn a_task_that_ended_well_or_as_somebody_wanted_keeps_nothing() {
    let Some(mut real) = Real::start().await else { return };
    let url = then(&real, "/done", "cometTask.done()");
    let job = real.run(headless(&url)).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    assert_nothing_kept(&real, &job);

    let url = then(&real, "/stays", "");
    let begun = real.begin(headless(&url)).await;
    real.shown(&begun.task_id).await;
    real.cancel(&begun.task_id).await;
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Cancelled, Reason::CancelRequested);
    assert_nothing_kept(&real, &job);
}

#[tokio::test]
async fn a_busy_page_keeps_its_browser_no_longer_than_a_moment_and_a_forced_end_not_at_all() {
    let Some(mut real) = Real::start().await else { return };
    let url = then(&real, "/busy", "cometTask.fail('no'); for (;;);");
    let job = real.run(headless(&url)).await;
    assert_ended(&job, Status::Failed, Reason::Callback);
    assert_nothing_kept(&real, &job);

    let timeouts = Some(Timeouts { run: millis(900), ..Timeouts::default() });
    let url = then(&real, "/stuck", "for (;;);");
    let begun = real.begin(v1::ExecuteRequest { timeouts, ..headless(&url) }).await;
    real.when(&begun.task_id, |job| job.status() == Status::Stopping).await;
    force(&mut real.client, &begun.task_id).await;
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::TimedOut, Reason::RunTimeout);
    assert_nothing_kept(&real, &job);
}

#[tokio::test]
async fn a_service_that_is_to_keep_nothing_keeps_nothing() {
    let Some(seats) = Seats::take(1, &[]) else { return };
    let Some(mut real) = Real::start_with(Options::chromium().arg("--evidence=false"), seats).await else { return };
    let url = then(&real, "/fails", "cometTask.fail('no')");
    let job = real.run(headless(&url)).await;
    assert_ended(&job, Status::Failed, Reason::Callback);
    assert_nothing_kept(&real, &job);
}
