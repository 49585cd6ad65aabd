//! One job at a time: from the call to the process, and from the process's end to a client of another process.

use anyhow::{Result, ensure};

use crate::{
    places::Places,
    plan::Plan,
    report::{Report, Series},
    side::{Client, Kind, Side, end_of, now_ns},
    stub::{Behaviour, Stub},
};

/// Long enough that the watch stands before the end comes, short enough for many samples.
const LIFE_MS: u64 = 8;
/// Connections, caches and stores come to life before anything is counted.
const WARM_UP_JOBS: u32 = 10;

/// One side's readings, in milliseconds.
#[derive(Default)]
struct Readings {
    submit_to_started: Series,
    submit_to_answered: Series,
    exit_to_push: Series,
    /// Jobs whose end was there before their watch stood.
    unwatched: u32,
}

/// Measures both sides in turn.
pub(crate) async fn measure(places: &Places, stub: &mut Stub, plan: &Plan, report: &mut Report) -> Result<()> {
    let sides = [Side::start(plan.ours, places, stub)?, Side::start(Kind::Floor, places, stub)?];
    let mut clients = [sides[0].connect().await?, sides[1].connect().await?];
    let mut readings = [Readings::default(), Readings::default()];
    for client in &mut clients {
        for _ in 0..WARM_UP_JOBS {
            one_job(client, stub, &mut Readings::default()).await?;
        }
    }

    for _ in 0..plan.latency_rounds {
        for (client, readings) in clients.iter_mut().zip(&mut readings) {
            readings.submit_to_started.next_round();
            readings.submit_to_answered.next_round();
            readings.exit_to_push.next_round();
            for _ in 0..plan.latency_jobs {
                one_job(client, stub, readings).await?;
            }
        }
    }

    let [ours, floor] = readings;
    report.compare("exit_to_push_p50_ms", "ms", 0.5, &ours.exit_to_push, &floor.exit_to_push);
    report.compare("exit_to_push_p99_ms", "ms", 0.99, &ours.exit_to_push, &floor.exit_to_push);
    report.compare("submit_to_started_p50_ms", "ms", 0.5, &ours.submit_to_started, &floor.submit_to_started);
    report.compare("submit_to_started_p99_ms", "ms", 0.99, &ours.submit_to_started, &floor.submit_to_started);
    report.compare("submit_to_answered_p50_ms", "ms", 0.5, &ours.submit_to_answered, &floor.submit_to_answered);
    if ours.unwatched + floor.unwatched > 0 {
        report.note(format!(
            "exit_to_push leaves out jobs that ended before their watch stood: {} of ours, {} of the floor's",
            ours.unwatched, floor.unwatched
        ));
    }
    Ok(())
}

async fn one_job(client: &mut Client, stub: &mut Stub, readings: &mut Readings) -> Result<()> {
    let slot = stub.slot();
    let submitted_ns = now_ns();
    let answer = client.execute(&Behaviour::AfterMs(LIFE_MS), Some(slot)).await?;
    let answered_ns = now_ns();
    let end = end_of(client.watch(&answer.task_id).await?).await?;
    ensure!(end.done_well, "a job that does nothing wrong did not end as DONE");

    let life = stub.life(slot)?;
    readings.submit_to_started.push(ms(submitted_ns, life.began_ns));
    readings.submit_to_answered.push(ms(submitted_ns, answered_ns));
    if end.pushed {
        readings.exit_to_push.push(ms(life.ended_ns, end.seen_ns));
    } else {
        readings.unwatched += 1;
    }
    Ok(())
}

fn ms(from_ns: u64, to_ns: u64) -> f64 {
    to_ns.saturating_sub(from_ns) as f64 / 1e6
}
