//! Many real browsers, half of them killed at a random moment of their lives: nothing of any is left.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use comet_task_runner::api::v1::{
    self,
    job::{Reason, Status},
};
use rustix::process::{Pid, Signal, kill_process};

use super::{
    nothing_left::shims,
    processes::{self, Named},
    real::{LONG, Real, Seats, assert_told_well, headless},
    service::{Client, Options, Service, eventually, job_when, to_end},
    wire::watch_exit,
};

/// How many browsers are killed, and how many end well; a long soak says so.
const ROUNDS_VARIABLE: &str = "COMET_TASK_RUNNER_SOAK_ROUNDS";
/// Repeats the moments of an earlier soak.
const SEED_VARIABLE: &str = "COMET_TASK_RUNNER_SOAK_SEED";
/// With each run of the tests: enough to see that the soak itself works.
const ROUNDS_DEFAULT: usize = 5;
/// Browsers at once: as many as all tests together may have.
const LANES: usize = 2;
/// A browser is killed within this of its launch: before its first answer, while its page loads, or after.
const KILLED_WITHIN_MS: u64 = 1500;

/// What one browser is to go through.
#[derive(Clone, Copy)]
enum Life {
    /// SIGKILL, so long after its launch.
    Killed(Duration),
    /// Its page reports that it is done.
    Reports,
    /// Its page closes itself.
    Closes,
}

/// All lanes take their rounds from here, and leave what came of them.
struct Course {
    lives: Vec<Life>,
    next: AtomicUsize,
    ends: Mutex<BTreeMap<String, usize>>,
    pages: [String; 3],
}

impl Course {
    fn new(rounds: usize, seed: u64, pages: [String; 3]) -> Self {
        let mut state = seed;
        let killed = |state: &mut u64| Life::Killed(Duration::from_millis(random(state) % KILLED_WITHIN_MS));
        let lives = (0..rounds).flat_map(|round| {
            let well = if round % 2 == 0 { Life::Reports } else { Life::Closes };
            [killed(&mut state), well]
        });
        Self { lives: lives.collect(), next: AtomicUsize::new(0), ends: Mutex::default(), pages }
    }

    async fn run_lane(&self, mut client: Client) {
        while let Some(life) = self.lives.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let job = live(&mut client, *life, &self.pages).await;
            let end = format!("{} {}", job.status().as_str_name(), job.reason().as_str_name());
            *self.ends.lock().unwrap().entry(end).or_default() += 1;
            let expected = match life {
                Life::Killed(_) => (Status::Failed, Reason::ProcessFailed, Some(9)),
                Life::Reports => (Status::Done, Reason::Callback, None),
                Life::Closes => (Status::Done, Reason::PageClosed, None),
            };
            assert_eq!((job.status(), job.reason(), job.exit_signal), expected, "{job:?}");
        }
    }
}

/// One browser from its launch to its exit.
async fn live(client: &mut Client, life: Life, pages: &[String; 3]) -> v1::Job {
    let page = match life {
        Life::Killed(_) => &pages[0],
        Life::Reports => &pages[1],
        Life::Closes => &pages[2],
    };
    let task = client.execute(headless(page)).await.unwrap().into_inner();
    let mut stream = client.watch_job(watch_exit(&task.task_id)).await.unwrap().into_inner();
    if let Life::Killed(after) = life {
        // The slot of the one before may come free a moment after its end was told: then this one queues.
        let running = job_when(client, &task.task_id, |job| job.process_id != 0).await;
        let browser = Named::of(running.process_id).expect("it has no reason to end");
        // The random moment, unless the stream has an end before.
        let early = tokio::time::timeout(after, async { while stream.message().await.unwrap().is_some() {} }).await;
        assert!(early.is_err(), "its page stays");
        assert!(browser.lives());
        kill_process(Pid::from_raw(browser.pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
        // From its beginning again, to be looked through as a whole.
        stream = client.watch_job(watch_exit(&task.task_id)).await.unwrap().into_inner();
    }
    let messages = tokio::time::timeout(LONG, to_end(&mut stream)).await.expect("the job ends");
    assert_told_well(&messages)
}

/// Waits until nothing is left of any job, and says what the service itself holds open.
fn descriptors_when_idle(service: &Service) -> usize {
    let about = |pid: &u32| *pid != service.pid() && processes::mentions(*pid, service.home());
    eventually("that no shim and no browser is left", || {
        shims(service).is_empty() && !processes::all().iter().any(about)
    });
    let run = service.run_base();
    eventually("that no directory of a job is left", || {
        fs::read_dir(&run).unwrap().flatten().all(|dir| fs::read_dir(dir.path()).unwrap().count() == 0)
    });
    let kept = service.state_dir().join("jobs");
    eventually("that no file of a job is left", || fs::read_dir(&kept).unwrap().count() == 1);
    let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(std::path::Path::new);
    for group in fs::read_dir(&run).unwrap().flatten().flat_map(|dir| roots.map(|root| root.join(dir.file_name()))) {
        let below = fs::read_dir(&group).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir());
        assert_eq!(below.count(), 0, "control groups are left in {}", group.display());
    }
    // A shim removes its traces just before it ends.
    eventually("that only the launcher is left below the service", || processes::descendants(service.pid()).len() == 1);
    processes::descriptors(service.pid()).len()
}

/// SplitMix64: the same moments again for the same seed.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, which is no number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_that_are_killed_at_any_moment_leave_nothing_behind() {
    let Some(seats) = Seats::take(LANES, &[]) else { return };
    let rounds = number(ROUNDS_VARIABLE).map_or(ROUNDS_DEFAULT, |rounds| usize::try_from(rounds).unwrap());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = number(SEED_VARIABLE).unwrap_or(u64::try_from(now.as_micros()).unwrap());
    println!("soak: {rounds} killed and {rounds} ending well, {LANES} at once; {SEED_VARIABLE}={seed} repeats it");
    let options = Options::chromium().arg("--slots").arg(LANES.to_string());
    let Some(real) = Real::start_with(options, seats).await else { return };
    let pages = [
        real.pages.html("/stays", "<!doctype html><title>stays</title>"),
        real.pages.script("/reports", "window.cometTask.done({ok: true})"),
        real.pages.script("/closes", "window.close()"),
    ];
    // What a service opens once and keeps is no leak.
    let mut client = real.client.clone();
    for life in [Life::Killed(Duration::from_millis(300)), Life::Reports] {
        live(&mut client, life, &pages).await;
    }
    let before = descriptors_when_idle(&real.service);

    let course = Arc::new(Course::new(rounds, seed, pages));
    let mut lanes = tokio::task::JoinSet::new();
    for _ in 0..LANES {
        let (course, client) = (Arc::clone(&course), real.client.clone());
        lanes.spawn(async move { course.run_lane(client).await });
    }
    while let Some(lane) = lanes.join_next().await {
        lane.unwrap();
    }
    for (end, count) in course.ends.lock().unwrap().iter() {
        println!("soak: {count:4} {end}");
    }
    let after = descriptors_when_idle(&real.service);
    println!("soak: {before} descriptors before, {after} after");
    assert!(after <= before, "descriptors are left open: {before} before, {after} after");
}
