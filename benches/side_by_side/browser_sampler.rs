//! What it costs the service to look at the process trees of watched jobs, once a second.

use anyhow::{Context, Result};

use crate::{
    places::Places,
    plan::Plan,
    procfs,
    report::Report,
    side::{Kind, Side, end_of},
    stub::{Behaviour, Stub},
};

/// Children of each stub: with itself as many processes as a light browser has.
const CHILDREN: u32 = 2;

/// Measures the service's CPU time while every job is watched, and while nobody looks.
pub(crate) async fn measure(places: &Places, stub: &Stub, plan: &Plan, report: &mut Report) -> Result<()> {
    let side = Side::start(Kind::Ours, places, stub)?;
    let mut client = side.connect().await?;
    let mut tasks = Vec::new();
    for _ in 0..plan.families {
        tasks.push(client.execute(&Behaviour::Family(CHILDREN), None).await?.task_id);
    }
    let unwatched_s = spent(&side, plan).await?;
    let mut watches = Vec::new();
    for task in &tasks {
        let mut watch = client.watch(task).await?;
        watch.message().await?.context("a watch of a running job ended")?;
        watches.push(watch);
    }
    let watched_s = spent(&side, plan).await?;
    let per_second = |seconds: f64| seconds * 1e3 / plan.watched_span.as_secs_f64();
    report.alone("sampler_cpu_watched_ms_per_s", "ms/s", per_second(watched_s));
    report.alone("sampler_cpu_unwatched_ms_per_s", "ms/s", per_second(unwatched_s));
    report.note(format!(
        "sampler: CPU of the service for {} jobs of {} processes each, over {:?}",
        plan.families,
        CHILDREN + 1,
        plan.watched_span
    ));
    drop(watches);
    for task in &tasks {
        client.cancel(task).await?;
    }
    for task in &tasks {
        end_of(client.watch(task).await?).await?;
    }
    Ok(())
}

async fn spent(side: &Side, plan: &Plan) -> Result<f64> {
    let before = procfs::process_cpu_s(side.pid())?;
    tokio::time::sleep(plan.watched_span).await;
    Ok(procfs::process_cpu_s(side.pid())? - before)
}
