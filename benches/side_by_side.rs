//! Measures the service beside a floor: the barest program that does the same, in the same minutes, in turn.
//!
//! A machine's speed drifts by a quarter within minutes, so only the ratios of one run mean something.

use std::{
    env,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

#[path = "side_by_side/bare.rs"]
mod bare;
#[path = "side_by_side/browser_memory.rs"]
mod browser_memory;
#[path = "side_by_side/browser_page.rs"]
mod browser_page;
#[path = "side_by_side/browser_sampler.rs"]
mod browser_sampler;
#[path = "side_by_side/cgroup.rs"]
mod cgroup;
#[path = "side_by_side/floor.rs"]
mod floor;
#[path = "side_by_side/floor_commits.rs"]
mod floor_commits;
#[path = "side_by_side/footprint.rs"]
mod footprint;
#[path = "side_by_side/latency.rs"]
mod latency;
#[path = "side_by_side/machine.rs"]
mod machine;
#[path = "side_by_side/places.rs"]
mod places;
#[path = "side_by_side/plan.rs"]
mod plan;
#[path = "side_by_side/procfs.rs"]
mod procfs;
#[path = "side_by_side/rate.rs"]
mod rate;
#[path = "side_by_side/report.rs"]
mod report;
#[path = "side_by_side/row.rs"]
mod row;
#[path = "side_by_side/scale.rs"]
mod scale;
#[path = "side_by_side/side.rs"]
mod side;
#[path = "side_by_side/stub.rs"]
mod stub;
#[path = "side_by_side/tab.rs"]
mod tab;

use places::Places;
use plan::Plan;
use report::Report;
use side::Kind;
use stub::Stub;

/// The first argument that makes this program the floor's server.
const FLOOR: &str = "__floor";
/// A run that takes longer has hung.
const RUN_MAX: Duration = Duration::from_secs(6 * 60);

/// Measures the service beside its floor.
#[derive(Parser)]
struct Arguments {
    /// Few and short: shows that everything works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// The floor stands in for the service: shows how far from 1 the ratios come by chance.
    #[arg(long)]
    calibrate: bool,
    /// Given by `cargo bench`; without it the run is a quick one.
    #[arg(long, hide = true)]
    bench: bool,
    /// What to measure; everything when none is named.
    parts: Vec<Part>,
}

/// Figures that are measured together.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One job at a time: submit to started, exit to push.
    Latency,
    /// Exit to the changed row of the page in a real browser.
    Row,
    /// Jobs per second with 64 in flight.
    Rate,
    /// Memory per watcher and job, CPU while idle.
    Footprint,
    /// Lists, snapshots and the page with ten thousand jobs in the store.
    Scale,
    /// A real browser: Execute to the page, memory per task, and what looking at process trees costs.
    Browser,
}

fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == FLOOR) {
        let (directory, stub) = arguments.next().zip(arguments.next()).context("usage: __floor DIRECTORY STUB")?;
        return floor::serve(Path::new(&directory), &PathBuf::from(stub));
    }
    let arguments = Arguments::parse();
    let quick = arguments.quick || !arguments.bench;
    let mut plan = if quick { Plan::QUICK } else { Plan::FULL };
    if arguments.calibrate {
        plan.ours = Kind::Floor;
    }
    let mut parts = arguments.parts;
    if parts.is_empty() {
        parts.extend([Part::Latency, Part::Row, Part::Rate, Part::Footprint, Part::Scale, Part::Browser]);
    }

    // Made first and dropped last, whatever happens in between: it takes everything away.
    let places = Places::make()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            report = tokio::time::timeout(RUN_MAX, run(&places, &parts, &plan)) => report.context("the run hung")?,
            _ = interrupt.recv() => bail!("interrupted"),
            _ = terminate.recv() => bail!("told to end"),
        }
    })?;
    report.print();
    if quick {
        println!("a quick run: these figures say that it works, not how fast it is");
    }
    // Only a whole and true run may take the place of the last one.
    let name = match (quick, arguments.calibrate) {
        (_, true) => "calibration.json",
        (true, false) => "results.quick.json",
        (false, false) => "results.json",
    };
    let results = places::results_directory().join(name);
    report.write(&results)?;
    println!("written to {}", results.display());
    Ok(())
}

async fn run(places: &Places, parts: &[Part], plan: &Plan) -> Result<Report> {
    let began = Instant::now();
    println!("{}", machine::describe(places.disk()));
    println!("what a service keeps in /run is kept in {} (memory)", places.memory().display());

    let mut stub = Stub::compile(places.disk(), places.memory())?;
    let mut report = Report::default();
    for part in parts {
        match part {
            Part::Latency => latency::measure(places, &mut stub, plan, &mut report).await?,
            Part::Row => row::measure(places, &mut stub, plan, &mut report).await?,
            Part::Rate => rate::measure(places, &stub, plan, &mut report).await?,
            Part::Footprint => footprint::measure(places, &stub, plan, &mut report).await?,
            Part::Scale => scale::measure(places, &stub, plan, &mut report).await?,
            Part::Browser => {
                browser_page::measure(places, &stub, plan, &mut report).await?;
                browser_memory::measure(places, &stub, plan, &mut report).await?;
                browser_sampler::measure(places, &stub, plan, &mut report).await?;
            }
        }
    }
    report.note(format!("took {:.0} s; {} at its end", began.elapsed().as_secs_f64(), machine::load()));
    Ok(report)
}
