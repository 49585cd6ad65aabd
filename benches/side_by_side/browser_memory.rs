//! What a task's browser weighs, alone and shared, beside a bare Chromium with as many pages.

use std::time::Duration;

use anyhow::Result;
use comet_task_runner::api::v1::browser::Isolation;
use tokio::task::block_in_place;

use crate::{
    bare::{Bare, managed, serve_page},
    browser_page::{end, open, start},
    places::Places,
    plan::Plan,
    procfs,
    report::{Report, Series},
    stub::Stub,
};

/// How long pages have to come to rest: a browser starts helpers after its page is there.
const REST: Duration = Duration::from_secs(2);

/// Measures one and several tasks of each kind, each beside its floor.
pub(crate) async fn measure(places: &Places, stub: &Stub, plan: &Plan, report: &mut Report) -> Result<()> {
    let Some(browser) = managed() else { return Ok(()) };
    let url = format!("http://{}/", serve_page()?);
    let mut figures = Vec::new();
    for isolation in [Isolation::Process, Isolation::Context] {
        // A service for each, so that no warm browser weighs on the other's figure.
        let side = start(places, stub)?;
        let mut client = side.connect().await?;
        let (mut tasks, mut bare, mut contexts) = (Vec::new(), Vec::new(), Vec::new());
        for count in [1, plan.browsers] {
            while tasks.len() < count {
                tasks.push(open(&mut client, &browser.name, &url, isolation).await?);
                block_in_place(|| open_bare(places, &mut bare, &mut contexts, &url, isolation))?;
            }
            tokio::time::sleep(REST).await;
            let ours = procfs::descendants(side.pid()).into_iter().filter(|&pid| procfs::runs(pid, &browser.binary));
            let floor =
                bare.iter().flat_map(|bare: &Bare| [vec![bare.pid()], procfs::descendants(bare.pid())].concat());
            let per_task = |mb: f64| Series::once(mb / count as f64);
            figures.push((per_task(weigh(ours)), per_task(weigh(floor))));
        }
        for task in &tasks {
            end(&mut client, task).await?;
        }
    }
    let names = [
        "memory_per_task_own_1_mb",
        "memory_per_task_own_several_mb",
        "memory_per_task_shared_1_mb",
        "memory_per_task_shared_several_mb",
    ];
    for (name, (ours, floor)) in names.into_iter().zip(&figures) {
        report.compare(name, "MB", 0.5, ours, floor);
    }
    report.note(format!(
        "memory per task: PSS of the browsers' processes over their tasks, at 1 and at {} tasks with a page each, {REST:?} \
         after the last page; own is a browser each, shared a context each of one",
        plan.browsers
    ));
    Ok(())
}

fn open_bare(
    places: &Places,
    bare: &mut Vec<Bare>,
    contexts: &mut Vec<serde_json::Value>,
    url: &str,
    isolation: Isolation,
) -> Result<()> {
    let Some(browser) = managed() else { return Ok(()) };
    if isolation == Isolation::Process || bare.is_empty() {
        bare.push(Bare::start(places, &browser)?);
    }
    let Some(last) = bare.last_mut() else { return Ok(()) };
    if isolation == Isolation::Process {
        return last.page(url, None);
    }
    let context = last.context()?;
    last.page(url, Some(&context))?;
    contexts.push(context);
    Ok(())
}

/// In MB; a process that has just ended weighs nothing.
fn weigh(pids: impl Iterator<Item = u32>) -> f64 {
    pids.filter_map(|pid| procfs::memory(pid).ok()).map(|memory| memory.pss_kb).sum::<f64>() / 1024.0
}
