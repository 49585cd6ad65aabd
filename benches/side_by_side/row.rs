//! From the end of a browser to the changed row of the page in another one, beside a native client of the same jobs.

use anyhow::{Context, Result, ensure};

use crate::{
    places::Places,
    plan::Plan,
    report::{Report, Series},
    side::{Client, Kind, Side, end_of},
    stub::{Behaviour, Stub},
    tab::{Tab, chromium},
};

/// Long enough that the row and the watch stand before the end comes.
const LIFE_MS: u64 = 25;
/// The page's scripts are compiled and its connection is warm before anything is counted.
const WARM_UP_JOBS: u32 = 20;

/// Tells of each row that shows DONE for the first time, with the page's clock.
const OBSERVE: &str = r#"(() => {
    const told = new Set();
    const look = () => {
        const now = performance.now();
        for (const row of document.querySelectorAll('.job.good[data-task]')) {
            if (told.has(row.dataset.task)) continue;
            told.add(row.dataset.task);
            __tell(JSON.stringify([row.dataset.task, now]));
        }
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
})()"#;

/// Measures the page and a native client side by side; both see the same jobs.
pub(crate) async fn measure(places: &Places, stub: &mut Stub, plan: &Plan, report: &mut Report) -> Result<()> {
    let Some(binary) = chromium() else {
        report.note("exit_to_row: not measured, since there is no browser of the Chromium family");
        return Ok(());
    };
    let side = Side::start(Kind::Ours, places, stub)?;
    let mut client = side.connect().await?;
    let mut tab = Tab::open(places, &binary, &side.page_link()?).await?;
    tab.run(OBSERVE).await?;

    let (mut row, mut native, mut heard) = (Series::default(), Series::default(), Series::default());
    for job in 0..WARM_UP_JOBS + plan.row_jobs {
        let times = one_job(&mut client, stub, &mut tab).await?;
        if job >= WARM_UP_JOBS {
            row.push(times.row_ms);
            heard.push(times.heard_ms);
            native.extend(times.native_ms);
        }
    }
    report.compare("exit_to_row_p50_ms", "ms", 0.5, &row, &native);
    report.compare("exit_to_row_p99_ms", "ms", 0.99, &row, &native);
    report.note(format!(
        "exit_to_row: the row in the DOM of headless Chromium by the page's own clock, beside a native gRPC watch of \
         the same jobs; heard of through the debugging pipe after {:.2} ms (median)",
        heard.quantile(0.5)
    ));
    Ok(())
}

struct Times {
    row_ms: f64,
    heard_ms: f64,
    /// None when the end was there before the watch stood.
    native_ms: Option<f64>,
}

async fn one_job(client: &mut Client, stub: &mut Stub, tab: &mut Tab) -> Result<Times> {
    let slot = stub.slot();
    let answer = client.execute(&Behaviour::AfterMs(LIFE_MS), Some(slot)).await?;
    let end = end_of(client.watch(&answer.task_id).await?).await?;
    ensure!(end.done_well, "a job that does nothing wrong did not end as DONE");
    let told = tab.told().await?;
    let (task_id, page_ms): (String, f64) = serde_json::from_str(&told.text).context("the page's words")?;
    ensure!(task_id == answer.task_id, "the page tells of {task_id}, not of {}", answer.task_id);
    let ended_ns = stub.life(slot)?.ended_ns;
    let since = |at_ns: u64| at_ns.saturating_sub(ended_ns) as f64 / 1e6;
    Ok(Times {
        row_ms: since(tab.at_ns(page_ms)),
        heard_ms: since(told.heard_ns),
        native_ms: end.pushed.then(|| since(end.seen_ns)),
    })
}
