//! Many jobs at a time: how many a second come from the call to the seen end, and what each costs in CPU time.

use std::{
    process::{self, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use tokio::task::JoinSet;

use crate::{
    places::Places,
    plan::Plan,
    procfs,
    report::{Report, Series},
    side::{Client, Kind, Side, end_of},
    stub::{Behaviour, Stub},
};

/// Jobs in flight, over one connection.
const IN_FLIGHT: u32 = 64;

/// Measures both sides and the bare cycles in turn.
pub(crate) async fn measure(places: &Places, stub: &Stub, plan: &Plan, report: &mut Report) -> Result<()> {
    let sides = [Side::start(plan.ours, places, stub)?, Side::start(Kind::Floor, places, stub)?];
    let clients = [sides[0].connect().await?, sides[1].connect().await?];
    for client in &clients {
        run(client, plan.rate_span / 10).await?;
    }

    let mut rates = [Series::default(), Series::default()];
    let mut costs = [Cost::default(), Cost::default()];
    let (mut cycles, mut cycle_us) = (Series::default(), Series::default());
    for _ in 0..plan.rate_rounds {
        for at in 0..2 {
            let before = Cost::so_far(&sides[at])?;
            let (count, span) = run(&clients[at], plan.rate_span).await?;
            costs[at].add(&before, &Cost::so_far(&sides[at])?, count);
            rates[at].next_round();
            rates[at].push(f64::from(count) / span.as_secs_f64());
        }
        cycles.next_round();
        let (rate, cost_us) = bare_cycles(stub, plan.rate_span).await?;
        cycles.push(rate);
        cycle_us.push(cost_us);
    }

    report.compare("jobs_per_second", "1/s", 0.5, &rates[0], &rates[1]);
    report.compare("jobs_per_second_of_bare_cycles", "1/s", 0.5, &rates[0], &cycles);
    report.note(format!(
        "jobs_per_second: {IN_FLIGHT} in flight on one connection, each Execute, then WatchJob to its end; more is better"
    ));
    for (side, cost) in sides.iter().zip(&costs) {
        report.note(cost.line(side.kind));
    }
    report.note(format!("CPU us a bare cycle: parent, shim and stub {:.0}", cycle_us.quantile(0.5)));
    Ok(())
}

/// Keeps jobs in flight for a while. Gives how many ended, and how long that took.
async fn run(client: &Client, span: Duration) -> Result<(u32, Duration)> {
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let mut client = client.clone();
        workers.spawn(async move {
            let mut count = 0;
            while began.elapsed() < span {
                let answer = client.execute(&Behaviour::Exit, None).await?;
                let end = end_of(client.watch(&answer.task_id).await?).await?;
                ensure!(end.done_well, "task {} did not end as DONE", answer.task_id);
                count += 1;
            }
            Ok(count)
        });
    }
    let mut count = 0;
    while let Some(worker) = workers.join_next().await {
        count += worker??;
    }
    Ok((count, began.elapsed()))
}

/// Cycles a second, and microseconds of CPU time a cycle.
async fn bare_cycles(stub: &Stub, span: Duration) -> Result<(f64, f64)> {
    let mut command = tokio::process::Command::new(&stub.cycles);
    command.args([IN_FLIGHT.to_string(), span.as_millis().to_string()]);
    command.arg(&stub.program).arg(Behaviour::Exit.url(None)).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await?;
    ensure!(output.status.success(), "the bare cycles ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let numbers = text.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
    let [count, ns, cpu_us] = numbers[..] else { bail!("the bare cycles said {text:?}") };
    Ok((count / ns * 1e9, cpu_us / count))
}

/// CPU seconds, by process.
#[derive(Default)]
struct Cost {
    server: f64,
    launcher: f64,
    /// The server and everything it ever started; not known without a cgroup.
    all: Option<f64>,
    client: f64,
    jobs: u32,
}

impl Cost {
    fn so_far(side: &Side) -> Result<Self> {
        // Ours has one child, the launcher; the floor's children are its jobs.
        let launcher = match side.kind {
            Kind::Ours => procfs::children(side.pid()).first().copied(),
            Kind::Floor => None,
        };
        Ok(Self {
            server: procfs::process_cpu_s(side.pid())?,
            launcher: launcher.map(procfs::process_cpu_s).transpose()?.unwrap_or_default(),
            all: side.cgroup.as_ref().map(crate::cgroup::Cgroup::cpu_s).transpose()?,
            client: procfs::process_cpu_s(process::id())?,
            jobs: 0,
        })
    }

    fn add(&mut self, before: &Self, after: &Self, jobs: u32) {
        self.server += after.server - before.server;
        self.launcher += after.launcher - before.launcher;
        self.client += after.client - before.client;
        let all = after.all.zip(before.all).map(|(after, before)| after - before);
        self.all = all.map(|all| self.all.unwrap_or_default() + all);
        self.jobs += jobs;
    }

    fn line(&self, kind: Kind) -> String {
        let us = |seconds: f64| format!("{:.0}", seconds * 1e6 / f64::from(self.jobs.max(1)));
        let rest = self.all.map_or_else(
            || "not measured (no writable cgroup v2)".to_owned(),
            |all| us(all - self.server - self.launcher),
        );
        let (server, client) = (us(self.server), us(self.client));
        match kind {
            Kind::Ours => format!(
                "CPU us a job, ours:  service {server}, launcher {}, shims and stubs {rest}; client {client}",
                us(self.launcher)
            ),
            Kind::Floor => format!("CPU us a job, floor: server {server}, stubs {rest}; client {client}"),
        }
    }
}
