//! What a runner tells of itself: browsers, bounds, load, and what stands in its way.

use comet_task_runner::api::v1::{
    self,
    browser::{Capability, Tier},
    get_runner_response::KnownBrowser,
};

use super::{
    real::{Seats, not_run},
    service::{Client, Options, SOON, Service, ended, next, watch},
    stub::stub_browser,
    wire::{begin, cancel},
};

async fn runner(client: &mut Client) -> v1::GetRunnerResponse {
    client.get_runner(v1::GetRunnerRequest {}).await.unwrap().into_inner()
}

/// What a browser can do that is a task's own but cannot be asked.
const EXIT_ONLY: [Capability; 5] =
    [Capability::Windows, Capability::Stop, Capability::ExitStatus, Capability::Profile, Capability::Headless];

fn known_tier(tier: Tier, capabilities: &[Capability]) -> v1::get_runner_response::KnownTier {
    let capabilities = capabilities.iter().map(|capability| (*capability).into()).collect();
    v1::get_runner_response::KnownTier { tier: tier.into(), capabilities }
}

#[tokio::test]
async fn a_runner_tells_what_it_is_and_what_bounds_it() {
    let options = Options::default().arg("--slots").arg("3").arg("--queue").arg("7").arg("--watchers").arg("11");
    let service = Service::start_with(options.arg("--no-sandbox"));
    let told = runner(&mut service.client().await).await;
    assert_eq!(told.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(told.host, rustix::system::uname().nodename().to_str().unwrap());
    let stub = KnownBrowser {
        name: "stub".to_owned(),
        version: String::new(),
        tier: Tier::ExitOnly.into(),
        path: stub_browser().display().to_string(),
        tiers: vec![known_tier(Tier::ExitOnly, &EXIT_ONLY), known_tier(Tier::UserBrowser, &[])],
    };
    assert_eq!(told.browsers.first(), Some(&stub), "the one that was named by hand comes first");
    let limits = told.limits.unwrap();
    assert_eq!((limits.slots, limits.queue_max, limits.watchers_max), (3, 7, 11));
    let of_machine = u32::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
    assert_eq!((limits.launches_max, limits.memory_floor_mb), (of_machine, 512));
    assert_eq!((limits.windows_max, limits.windows_evict), (32, false));
    let memory_available_mb = told.load.unwrap().memory_available_mb;
    assert!(memory_available_mb.is_some());
    assert_eq!(told.load, Some(v1::get_runner_response::Load { memory_available_mb, ..Default::default() }));
    assert!(told.ready && !told.draining && !told.has_display, "{:?}", told.problems);
    let age = std::time::SystemTime::now().duration_since(told.started_at.unwrap().try_into().unwrap()).unwrap();
    assert!(age < SOON, "started {age:?} ago");
}

#[tokio::test]
async fn the_load_follows_what_runs_waits_and_watches() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1"));
    let mut client = service.client().await;
    let load = |told: v1::GetRunnerResponse| {
        let load = told.load.unwrap();
        (load.slots_taken, load.queue_len, load.jobs_live, load.watchers)
    };
    let running = begin(&mut client, "/sleep").await;
    let waiting = begin(&mut client, "/exit/0").await;
    let mut stream = client.watch_job(watch(&waiting.task_id)).await.unwrap().into_inner();
    next(&mut stream).await.unwrap();
    assert_eq!(load(runner(&mut client).await), (1, 1, 2, 1));
    client.cancel_job(cancel(&running.task_id)).await.unwrap();
    ended(&mut client, &waiting.task_id).await;
    // A stream's place is free, and a finished job out of sight, once the service has noticed, which nothing tells.
    drop(stream);
    let idle = async { while load(runner(&mut client).await) != (0, 0, 0, 0) {} };
    tokio::time::timeout(SOON, idle).await.expect("the load goes");
}

#[tokio::test]
async fn a_browser_that_cannot_be_used_is_a_problem_but_no_obstacle() {
    let service = Service::start_with(Options::default().arg("--browser").arg("gone=/nowhere/at/all"));
    let told = runner(&mut service.client().await).await;
    assert!(told.ready);
    let is_named = |what: &str| what.contains("gone") && what.contains("/nowhere/at/all");
    let named: Vec<_> = told.problems.iter().filter(|problem| is_named(&problem.what)).collect();
    assert!(named.len() == 1 && named[0].remedy.contains("--browser NAME=PATH"), "{:?}", told.problems);
    assert!(told.browsers.iter().all(|browser| browser.name != "gone"));
}

#[tokio::test]
async fn as_root_browsers_that_need_their_sandbox_stand_in_the_way() {
    if !rustix::process::geteuid().is_root() {
        return not_run("it has to be root, whom Chromium's sandbox refuses");
    }
    let Some(_seats) = Seats::take(0, &[]) else { return };
    let refusal =
        |told: &v1::GetRunnerResponse| told.problems.iter().any(|problem| problem.remedy.contains("--no-sandbox"));
    // Beside Chromium there is the stub, which has no sandbox.
    let some = runner(&mut Service::start().client().await).await;
    assert!(some.ready && refusal(&some), "{some:?}");
    let none = Options { real_browser: true, ..Options::default() };
    let none = runner(&mut Service::start_with(none).client().await).await;
    let managed = none.browsers.iter().all(|browser| browser.tier() == Tier::Managed);
    assert_eq!((none.ready, refusal(&none)), (!managed, true), "{none:?}");
    let allowed = runner(&mut Service::start_with(Options::chromium()).client().await).await;
    assert!(allowed.ready && !refusal(&allowed), "{allowed:?}");
}
