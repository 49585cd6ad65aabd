//! Lists, snapshots and the page over a full store: ten thousand jobs, three hundred of them live.

use std::{path::Path, time::Instant};

use anyhow::{Context, Result, ensure};
use comet_task_runner::api::v1::{
    JobFilter, ListJobsRequest, WatchJobsRequest, job::Status, watch_jobs_response::Kind as Told,
};
use rusqlite::{Connection, OpenFlags};
use tokio::task::JoinSet;

use crate::{
    places::Places,
    plan::Plan,
    report::{Report, Series},
    side::{Client, Kind, Side, end_of},
    stub::{Behaviour, Stub},
    tab::{Tab, chromium},
};

/// Jobs that are begun at once while the store is filled.
const IN_FLIGHT: usize = 64;
/// Jobs of one page: a screen or two.
const PAGE_SIZE: i32 = 50;
/// Further than any job of a run lies back.
const LONG_AGO_S: i64 = 24 * 3600;

/// Fills a store, then reads it in every way that people do.
pub(crate) async fn measure(places: &Places, stub: &Stub, plan: &Plan, report: &mut Report) -> Result<()> {
    let side = Side::start(Kind::Ours, places, stub)?;
    let mut client = side.connect().await?;
    fill(&client, plan.stored_jobs).await?;
    for _ in 0..live(plan) {
        client.execute(&Behaviour::Sleep, None).await?;
    }

    let mut raw = Series::default();
    for _ in 0..plan.listings {
        raw.push(raw_read(side.state())?);
    }
    let page = ListJobsRequest { page_size: PAGE_SIZE, ..ListJobsRequest::default() };
    let listed = list(&mut client, &page, plan.listings, PAGE_SIZE).await?;
    report.compare("list_page_p50_ms", "ms", 0.5, &listed, &raw);
    report.compare("list_page_p99_ms", "ms", 0.99, &listed, &raw);
    let nothing = JobFilter { url_contains: "/no-such-page".to_owned(), ..JobFilter::default() };
    let searched = ListJobsRequest { filter: Some(nothing), ..page.clone() };
    report.alone("list_no_match_p99_ms", "ms", list(&mut client, &searched, plan.listings, 0).await?.quantile(0.99));
    let running = ListJobsRequest { statuses: vec![Status::Running.into()], ..page };
    let running = list(&mut client, &running, plan.listings, PAGE_SIZE.min(i32::try_from(live(plan))?)).await?;
    report.alone("list_running_p99_ms", "ms", running.quantile(0.99));
    report.note(format!(
        "list_*: {} jobs stored, {} live; beside it the same {PAGE_SIZE} records read from the store's file, undecoded",
        plan.stored_jobs,
        live(plan)
    ));

    for (name, since_s, jobs) in
        [("synced_live_ms", None, live(plan)), ("synced_all_ms", Some(LONG_AGO_S), plan.stored_jobs + live(plan))]
    {
        let since = since_s.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
        let mut times = Series::default();
        for _ in 0..5 {
            times.push(synced(&mut client, WatchJobsRequest { since, ..WatchJobsRequest::default() }, jobs).await?);
        }
        report.alone(name, "ms", times.quantile(0.5));
    }
    page_is_usable(places, &side, &mut client, plan, report).await
}

fn live(plan: &Plan) -> usize {
    (plan.stored_jobs * 3 / 100).max(10)
}

async fn fill(client: &Client, jobs: usize) -> Result<()> {
    let mut workers = JoinSet::new();
    for worker in 0..IN_FLIGHT {
        let mut client = client.clone();
        let share = jobs / IN_FLIGHT + usize::from(worker < jobs % IN_FLIGHT);
        workers.spawn(async move {
            for _ in 0..share {
                let answer = client.execute(&Behaviour::Exit, None).await?;
                ensure!(end_of(client.watch(&answer.task_id).await?).await?.done_well, "a job did not end as DONE");
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = workers.join_next().await {
        done??;
    }
    Ok(())
}

async fn list(client: &mut Client, request: &ListJobsRequest, times: u32, jobs: i32) -> Result<Series> {
    let mut series = Series::default();
    for _ in 0..times {
        let begun = Instant::now();
        let page = client.list(request.clone()).await?;
        series.push(begun.elapsed().as_secs_f64() * 1e3);
        ensure!(page.jobs.len() == usize::try_from(jobs)?, "{} jobs on a page, not {jobs}", page.jobs.len());
    }
    Ok(series)
}

/// The newest records, as text, on a connection of its own.
fn raw_read(state: &Path) -> Result<f64> {
    const NEWEST: &str = "SELECT body FROM jobs JOIN changes USING (position) ORDER BY jobs.task_id DESC LIMIT ?1";
    let store = Connection::open_with_flags(state.join("ledger.sqlite"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = store.prepare(NEWEST)?;
    let begun = Instant::now();
    let rows = statement.query_map([PAGE_SIZE], |row| row.get::<_, String>(0))?;
    let bytes = rows.sum::<rusqlite::Result<Bytes>>()?;
    ensure!(bytes.0 > 0, "the store is empty");
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

/// So that no record is read in vain.
struct Bytes(usize);

impl std::iter::Sum<String> for Bytes {
    fn sum<I: Iterator<Item = String>>(texts: I) -> Self {
        Self(texts.map(|text| text.len()).sum())
    }
}

/// From the call to SYNCED, with every job told before it.
async fn synced(client: &mut Client, request: WatchJobsRequest, jobs: usize) -> Result<f64> {
    let begun = Instant::now();
    let mut stream = client.watch_jobs(request).await?;
    let mut told = 0;
    while let Some(message) = stream.message().await? {
        match message.kind() {
            Told::Snapshot => told += 1,
            Told::Synced => {
                ensure!(told == jobs, "{told} jobs in the snapshot, not {jobs}");
                return Ok(begun.elapsed().as_secs_f64() * 1e3);
            }
            kind => anyhow::bail!("{kind:?} came before SYNCED"),
        }
    }
    anyhow::bail!("the stream ended before SYNCED")
}

/// How soon the page shows a store like that, and then a new job.
async fn page_is_usable(
    places: &Places,
    side: &Side,
    client: &mut Client,
    plan: &Plan,
    report: &mut Report,
) -> Result<()> {
    const SHOWN: &str = "new Promise(resolve => {
        const look = () => document.querySelector('[data-task]') ? resolve(performance.now()) : requestAnimationFrame(look);
        look();
    })";
    let Some(binary) = chromium() else { return Ok(()) };
    let mut tab = Tab::open(places, &binary, &side.page_link()?).await?;
    let shown_ms = tab.run(SHOWN).await?.as_f64().context("no row")?;
    report.alone("page_first_row_ms", "ms", shown_ms);
    let mut rows = Series::default();
    for _ in 0..plan.row_jobs.min(50) {
        let answer = client.execute(&Behaviour::Exit, None).await?;
        let row = format!(
            "new Promise(resolve => {{
                const look = () => document.querySelector('[data-task=\"{}\"]') && resolve(true);
                new MutationObserver(look).observe(document.body, {{ subtree: true, childList: true }});
                look();
            }})",
            answer.task_id
        );
        let begun = Instant::now();
        tab.run(&row).await?;
        rows.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    report.alone("page_new_row_p99_ms", "ms", rows.quantile(0.99));
    Ok(())
}
