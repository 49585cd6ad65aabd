//! From Execute to the task's document, in a browser of its own and in one that is shared, beside a bare Chromium.

use anyhow::{Context, Result};
use comet_task_runner::api::v1::{
    ExecuteRequest, Job,
    browser::Isolation,
    execute_request::{AfterFinish, Mode},
    page::LoadState,
};
use tokio::task::block_in_place;

use crate::{
    bare::{Bare, managed, serve_page},
    places::Places,
    plan::Plan,
    report::{Report, Series},
    side::{Client, Kind, Side, end_of, now_ns},
    stub::Stub,
};

/// Measures both kinds of isolation, each in turn with its floor.
pub(crate) async fn measure(places: &Places, stub: &Stub, plan: &Plan, report: &mut Report) -> Result<()> {
    let Some(browser) = managed() else {
        report.note("execute_to_page: not measured, since there is no browser of the Chromium family");
        return Ok(());
    };
    let url = format!("http://{}/", serve_page()?);
    let side = start(places, stub)?;
    let mut client = side.connect().await?;
    let (mut cold, mut cold_floor) = (Series::default(), Series::default());
    for _ in 0..plan.pages {
        let began_ns = now_ns();
        let task = open(&mut client, &browser.name, &url, Isolation::Process).await?;
        cold.push(ms_since(began_ns));
        end(&mut client, &task).await?;
        cold_floor.push(block_in_place(|| {
            let began_ns = now_ns();
            let mut bare = Bare::start(places, &browser)?;
            bare.page(&url, None)?;
            Ok::<_, anyhow::Error>(ms_since(began_ns))
        })?);
    }
    let (mut warm, mut warm_floor) = (Series::default(), Series::default());
    let mut bare = block_in_place(|| Bare::start(places, &browser))?;
    // The first of each finds a browser that is not warm yet.
    for round in 0..=plan.pages {
        let began_ns = now_ns();
        let task = open(&mut client, &browser.name, &url, Isolation::Context).await?;
        let ours_ms = ms_since(began_ns);
        end(&mut client, &task).await?;
        let floor_ms = block_in_place(|| {
            let began_ns = now_ns();
            let context = bare.context()?;
            bare.page(&url, Some(&context))?;
            let took_ms = ms_since(began_ns);
            bare.dispose(&context)?;
            Ok::<_, anyhow::Error>(took_ms)
        })?;
        if round > 0 {
            warm.push(ours_ms);
            warm_floor.push(floor_ms);
        }
    }
    report.compare("execute_to_page_cold_p50_ms", "ms", 0.5, &cold, &cold_floor);
    report.compare("execute_to_page_warm_p50_ms", "ms", 0.5, &warm, &warm_floor);
    report.note(
        "execute_to_page: from the call to COMMITTED on a watch, headless; cold has a browser of its own, warm a \
         context of one that runs; the floor is the same Chromium with the same flags on a bare pipe",
    );
    Ok(())
}

/// The service, able to start Chromium as whoever runs the bench.
pub(crate) fn start(places: &Places, stub: &Stub) -> Result<Side> {
    let further: &[&str] = if rustix::process::geteuid().is_root() { &["--no-sandbox"] } else { &[] };
    Side::start_with(Kind::Ours, places, stub, further)
}

/// Opens a page as a task and waits until its document is there.
pub(crate) async fn open(client: &mut Client, browser: &str, url: &str, isolation: Isolation) -> Result<String> {
    let request = ExecuteRequest {
        url: url.to_owned(),
        browser: browser.to_owned(),
        mode: Mode::Headless.into(),
        after_finish: AfterFinish::Close.into(),
        isolation: isolation.into(),
        ..ExecuteRequest::default()
    };
    let task = client.open(request).await?.task_id;
    let mut watch = client.watch(&task).await?;
    let is_there = |job: &Job| job.page.as_ref().is_some_and(|page| page.load_state() == LoadState::Committed);
    loop {
        let message = watch.message().await?.context("the task ended before its page was there")?;
        if message.job.as_ref().is_some_and(is_there) {
            return Ok(task);
        }
    }
}

/// Ends a task, and waits until nothing of it is left.
pub(crate) async fn end(client: &mut Client, task: &str) -> Result<()> {
    client.cancel(task).await?;
    end_of(client.watch(task).await?).await?;
    Ok(())
}

fn ms_since(began_ns: u64) -> f64 {
    now_ns().saturating_sub(began_ns) as f64 / 1e6
}
