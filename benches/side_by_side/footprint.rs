//! Many jobs that just run: what a job, its shim and a watcher weigh, and what waiting costs.

use std::time::Duration;

use anyhow::{Context, Result};
use comet_task_runner::api::v1::WatchJobResponse;
use tonic::Streaming;

use crate::{
    places::Places,
    plan::Plan,
    procfs::{self, ThreadTimes},
    report::{Report, Series},
    side::{Client, Kind, Side, end_of},
    stub::{Behaviour, Stub},
};

/// Enough that no connection comes near its limit of 256 streams.
const CONNECTIONS: usize = 6;

/// One side under load.
struct Loaded {
    side: Side,
    clients: Vec<Client>,
    tasks: Vec<String>,
    watches: Vec<Streaming<WatchJobResponse>>,
    job_kb: f64,
    watched_job_kb: f64,
    watcher_kb: f64,
}

/// Where CPU time was spent so far.
#[derive(Default)]
struct Busy {
    server: ThreadTimes,
    launcher_and_shims: ThreadTimes,
}

/// Measures both sides, which wait out the idle span at the same time: idleness disturbs nobody.
pub(crate) async fn measure(places: &Places, stub: &Stub, plan: &Plan, report: &mut Report) -> Result<()> {
    let mut ours = load(Side::start(plan.ours, places, stub)?, plan).await?;
    let mut floor = load(Side::start(Kind::Floor, places, stub)?, plan).await?;

    let before = [busy(&ours, stub)?, busy(&floor, stub)?];
    tokio::time::sleep(plan.idle_span).await;
    let after = [busy(&ours, stub)?, busy(&floor, stub)?];
    let spent = |at: usize| after[at].server.since(&before[at].server);

    add_watchers(&mut ours, plan).await?;
    add_watchers(&mut floor, plan).await?;

    let mut compare = |name, unit, ours, floor| {
        report.compare(name, unit, 0.5, &Series::once(ours), &Series::once(floor));
    };
    compare("memory_per_watcher_kb", "kB", ours.watcher_kb, floor.watcher_kb);
    compare("memory_per_running_job_kb", "kB", ours.job_kb, floor.job_kb);
    compare("memory_per_watched_running_job_kb", "kB", ours.watched_job_kb, floor.watched_job_kb);
    compare("idle_cpu_s", "s", spent(0), spent(1));
    if ours.side.kind == Kind::Ours {
        weigh_shims(&ours, stub, report)?;
    }
    report.note(format!(
        "memory: growth of the server's PSS that belongs to no file (its program's own pages are shared by its shims); \
         {} jobs, {} watchers of one of them",
        plan.running_jobs, plan.watchers
    ));
    report.note(format!(
        "idle: {} jobs, each watched, for {:?}, heartbeats included; launcher and shims together {:.4} s",
        plan.running_jobs,
        plan.idle_span,
        after[0].launcher_and_shims.since(&before[0].launcher_and_shims)
    ));
    if ours.side.kind == Kind::Ours {
        unload(&mut ours).await?;
    }
    Ok(())
}

async fn load(side: Side, plan: &Plan) -> Result<Loaded> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(side.connect().await?);
    }
    let mut loaded =
        Loaded { side, clients, tasks: vec![], watches: vec![], job_kb: 0.0, watched_job_kb: 0.0, watcher_kb: 0.0 };
    // What a connection holds is no part of what a job or a watcher holds.
    start_jobs(&mut loaded, CONNECTIONS).await?;
    watch(&mut loaded, CONNECTIONS, 0).await?;

    let (jobs, first) = (plan.running_jobs, loaded.tasks.len());
    let empty_kb = anonymous_kb(&loaded)?;
    start_jobs(&mut loaded, jobs).await?;
    let running_kb = anonymous_kb(&loaded)?;
    watch(&mut loaded, jobs, first).await?;
    let watched_kb = anonymous_kb(&loaded)?;

    loaded.job_kb = (running_kb - empty_kb) / jobs as f64;
    loaded.watched_job_kb = (watched_kb - empty_kb) / jobs as f64;
    Ok(loaded)
}

async fn add_watchers(loaded: &mut Loaded, plan: &Plan) -> Result<()> {
    let before_kb = anonymous_kb(loaded)?;
    for _ in 0..plan.watchers.div_ceil(CONNECTIONS) {
        for at in 0..CONNECTIONS {
            watch_one(loaded, at, 0).await?;
        }
    }
    let count = plan.watchers.div_ceil(CONNECTIONS) * CONNECTIONS;
    loaded.watcher_kb = (anonymous_kb(loaded)? - before_kb) / count as f64;
    Ok(())
}

async fn start_jobs(loaded: &mut Loaded, count: usize) -> Result<()> {
    for at in 0..count {
        let client = &mut loaded.clients[at % CONNECTIONS];
        loaded.tasks.push(client.execute(&Behaviour::Sleep, None).await?.task_id);
    }
    Ok(())
}

/// Watches so many tasks from the first one on, spread over the connections.
async fn watch(loaded: &mut Loaded, count: usize, first: usize) -> Result<()> {
    for at in 0..count {
        watch_one(loaded, at % CONNECTIONS, first + at).await?;
    }
    Ok(())
}

/// Opens a watch, and waits for its first message, so that the server has done its part.
async fn watch_one(loaded: &mut Loaded, connection: usize, task: usize) -> Result<()> {
    let mut watch = loaded.clients[connection].watch(&loaded.tasks[task]).await?;
    watch.message().await?.context("a watch of a running job ended")?;
    loaded.watches.push(watch);
    Ok(())
}

fn anonymous_kb(loaded: &Loaded) -> Result<f64> {
    Ok(procfs::memory(loaded.side.pid())?.anonymous_kb)
}

fn busy(loaded: &Loaded, stub: &Stub) -> Result<Busy> {
    let mut busy = Busy::default();
    busy.server.read(loaded.side.pid())?;
    for pid in procfs::descendants(loaded.side.pid()) {
        if !procfs::runs(pid, &stub.program) {
            busy.launcher_and_shims.read(pid)?;
        }
    }
    Ok(busy)
}

fn weigh_shims(ours: &Loaded, stub: &Stub, report: &mut Report) -> Result<()> {
    let service = ours.side.pid();
    let launcher = procfs::children(service).first().copied().context("no launcher")?;
    let shims = procfs::descendants(launcher).into_iter().filter(|&pid| !procfs::runs(pid, &stub.program));
    let weights = shims.map(procfs::memory).collect::<Result<Vec<_>>>()?;
    let count = weights.len().max(1) as f64;
    report.alone("memory_per_shim_kb", "kB", weights.iter().map(|weight| weight.pss_kb).sum::<f64>() / count);

    let private_kb = weights.iter().map(|weight| weight.private_kb).sum::<f64>() / count;
    let (service_kb, launcher_kb) = (procfs::memory(service)?.pss_kb, procfs::memory(launcher)?.pss_kb);
    report.note(format!(
        "{count} shims: {private_kb:.0} kB of each is private; the service as a whole {service_kb:.0} kB, \
         its launcher {launcher_kb:.0} kB"
    ));
    Ok(())
}

/// Ends our jobs by the front door, so that their shims clear up after themselves.
async fn unload(ours: &mut Loaded) -> Result<()> {
    ours.watches.clear();
    for task_id in &ours.tasks {
        ours.clients[0].cancel(task_id).await?;
    }
    let ends = async {
        for task_id in &ours.tasks {
            end_of(ours.clients[0].watch(task_id).await?).await?;
        }
        Ok(())
    };
    tokio::time::timeout(UNLOAD, ends).await.context("cancelled jobs did not end")?
}

/// Above the ten seconds that the slowest stop of one job may take.
const UNLOAD: Duration = Duration::from_secs(20);
