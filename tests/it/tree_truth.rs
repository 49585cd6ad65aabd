//! Readings of process trees are true: beside a reader of this test's own, over the same seconds, of real browsers.

use std::{
    collections::HashMap,
    fs,
    time::{Duration, Instant},
};

use comet_task_runner::api::v1::{self, ProcessInfo};
use tonic::Streaming;

use super::{
    processes::{self, Named},
    real::{LONG, Real, Seats, headless},
    service::{Client, Options, next, watch},
};

/// How many windows of a second are compared: what one misses of a short-lived process is little of so many.
const WINDOWS: usize = 10;
/// How many readings alike make a tree that has settled: what is shared is read over a few of them.
const SETTLED: usize = 4;
/// How far the two may be apart.
const APART_MAX: f64 = 0.1;
/// What a tree that does next to nothing may be apart, in percent of a processor.
const IDLE_APART_MAX: f64 = 2.0;

/// A task whose readings are compared with this test's own.
struct Compared {
    name: &'static str,
    stream: Streaming<v1::WatchJobResponse>,
    shim: u32,
    latest: ProcessInfo,
    times: Times,
    told: Sums,
    own: Sums,
    /// Processor time by both, in percent, summed over the windows.
    cpu: (f64, f64),
}

/// Memory over all windows, in MiB.
#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    pss: f64,
    rss: f64,
}

/// Processor time that each process of a tree had used at one moment, in hundredths of a second.
struct Times {
    at: Instant,
    used: HashMap<Named, u64>,
}

impl Times {
    fn of(shim: u32) -> Self {
        let at = Instant::now();
        let below = processes::descendants(shim).into_iter().filter_map(Named::of);
        Self { at, used: below.filter_map(|process| Some((process, ticks(process.pid)?))).collect() }
    }

    /// In percent of one processor since an earlier moment.
    fn percent_since(&self, before: &Self) -> f64 {
        let used: u64 = self.used.iter().map(|(process, used)| used - before.used.get(process).unwrap_or(&0)).sum();
        used as f64 / self.at.duration_since(before.at).as_secs_f64()
    }
}

impl Compared {
    /// Follows a task whose page is there, until its tree is whole and was read well.
    async fn follow(mut client: Client, name: &'static str, task: &v1::ExecuteResponse) -> Self {
        let shim = processes::parent_of(task.process_id).unwrap();
        let mut stream = client.watch_job(watch(&task.task_id)).await.unwrap().into_inner();
        let mut before = next_reading(&mut stream, None).await;
        let mut alike = 0;
        while alike < SETTLED {
            let reading = next_reading(&mut stream, Some(&before)).await;
            let is_alike = reading.process_count == before.process_count && reading.pss_measured;
            alike = if is_alike { alike + 1 } else { 0 };
            before = reading;
        }
        let (told, own) = (Sums::default(), Sums::default());
        Self { name, stream, shim, latest: before, times: Times::of(shim), told, own, cpu: (0.0, 0.0) }
    }

    /// Reads each second, just when the service has.
    async fn compare(mut self) -> Self {
        for _ in 0..WINDOWS {
            self.compare_once().await;
        }
        self
    }

    async fn compare_once(&mut self) {
        let reading = next_reading(&mut self.stream, Some(&self.latest)).await;
        let times = Times::of(self.shim);
        self.cpu.0 += reading.cpu_percent.expect("there was one before");
        self.cpu.1 += times.percent_since(&self.times);
        let memory = memory(self.shim);
        for (sums, pss, rss) in
            [(&mut self.told, reading.memory_mb, reading.rss_mb), (&mut self.own, memory.pss, memory.rss)]
        {
            sums.pss += pss;
            sums.rss += rss;
        }
        assert!(reading.memory_mb < reading.rss_mb, "what is shared is counted once: {reading:?}");
        (self.latest, self.times) = (reading, times);
    }

    fn assert_agreement(&self) {
        let (told, own) = self.cpu;
        let what = format!(
            "{}: cpu {:.1} % told, {:.1} % read; pss {:.1} MiB told, {:.1} read; rss {:.1} told, {:.1} read",
            self.name,
            told / WINDOWS as f64,
            own / WINDOWS as f64,
            self.told.pss / WINDOWS as f64,
            self.own.pss / WINDOWS as f64,
            self.told.rss / WINDOWS as f64,
            self.own.rss / WINDOWS as f64,
        );
        println!("{what}");
        let idle_apart = (told - own).abs() / WINDOWS as f64;
        assert!(is_near(told, own) || idle_apart < IDLE_APART_MAX, "{what}");
        assert!(is_near(self.told.pss, self.own.pss) && is_near(self.told.rss, self.own.rss), "{what}");
    }
}

fn is_near(one: f64, other: f64) -> bool {
    (one - other).abs() <= APART_MAX * other
}

/// The next reading that is a new one.
async fn next_reading(stream: &mut Streaming<v1::WatchJobResponse>, before: Option<&ProcessInfo>) -> ProcessInfo {
    let reading = async {
        loop {
            let message = next(stream).await.unwrap().expect("the stream goes on");
            let Some(reading) = message.sample.and_then(|sample| sample.process_info) else { continue };
            if before.is_none_or(|before| before.sampled_at != reading.sampled_at) {
                return reading;
            }
        }
    };
    tokio::time::timeout(LONG, reading).await.expect("there is a reading each second")
}

fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// Of the whole tree, in MiB.
fn memory(shim: u32) -> Sums {
    let mut sums = Sums::default();
    for pid in processes::descendants(shim) {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix("kB")?.trim_end().parse::<f64>().ok()
        };
        sums.pss += line("Pss:").unwrap_or_default() / 1024.0;
        sums.rss += line("Rss:").unwrap_or_default() / 1024.0;
    }
    sums
}

#[tokio::test]
async fn two_browsers_at_once_are_each_read_as_an_independent_reader_reads_them() {
    let Some(seats) = Seats::take(2, &[]) else { return };
    let Some(mut real) = Real::start_with(Options::chromium().arg("--slots").arg("2"), seats).await else { return };
    let busy = "setInterval(() => { for (const end = Date.now() + 45; Date.now() < end;); }, 60)";
    let busy = real.pages.script("/busy", busy);
    let still = real.pages.html("/still", "<!doctype html><title>still</title>");
    let busy = real.begin(headless(&busy)).await;
    let still = real.begin(headless(&still)).await;
    for task in [&busy, &still] {
        real.shown(&task.task_id).await;
    }
    // Side by side, so that neither waits for the other while its readings come.
    let compare = |name, task| {
        let client = real.client.clone();
        async move { Compared::follow(client, name, task).await.compare().await }
    };
    let (busy, still) = tokio::join!(compare("busy", &busy), compare("still", &still));
    busy.assert_agreement();
    still.assert_agreement();
    let average = Duration::from_secs_f64(busy.cpu.0 / WINDOWS as f64 / 100.0);
    assert!(average > Duration::from_millis(100), "the busy page is busy: {average:?} in each second");
    assert!(still.cpu.0 < busy.cpu.0 / 2.0, "neither is credited with what the other does");
}
