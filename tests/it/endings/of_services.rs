//! The ways that are about the service: its queue, its launcher, and its own death.

use comet_task_runner::api::v1::{ExecuteRequest, ExecuteResponse, Timeouts, browser::Tier, page::LoadState};
use rustix::process::{Pid, Signal};

use super::{Seen, TIERS, end, outcome};
use crate::{
    nothing_left::{Tidy, published},
    pages::Pages,
    processes::{self, Ending},
    real::{headless, load_state, millis, run_dir, when},
    service::{Client, Options, eventually, execute, stub_url},
    stub::stub_browser,
    wire::{cancel, kill_at_once},
};

/// Jobs that never get to their browser.
pub(super) async fn queues(seen: &Seen) {
    let by_hand = format!("any={}", stub_browser().display());
    let options = Options::default().arg("--no-sandbox").arg("--slots").arg("1").env("DISPLAY", ":none");
    let service = Tidy::start_with(options.arg("--browser").arg(by_hand));
    let mut client = service.client().await;
    let first = client.execute(execute(&stub_url("/sleep"))).await.unwrap().into_inner();
    let queue = Some(Timeouts { queue: millis(300), ..Timeouts::default() });
    for tier in TIERS {
        let request = ExecuteRequest { browser: "any".to_owned(), tier: tier.into(), ..execute(&stub_url("/exit/0")) };
        let waiting = client.execute(request.clone()).await.unwrap().into_inner();
        client.cancel_job(cancel(&waiting.task_id)).await.unwrap();
        seen.job("cancel in the queue", tier, &end(&mut client, &waiting.task_id).await);
        let timed = ExecuteRequest { timeouts: queue, ..request };
        let waiting = client.execute(timed).await.unwrap().into_inner();
        seen.job("queue timeout", tier, &end(&mut client, &waiting.task_id).await);
    }
    client.cancel_job(kill_at_once(&first.task_id)).await.unwrap();
    end(&mut client, &first.task_id).await;

    // What starts browsers stands still, as on a machine that is out of breath.
    let is_launcher = |pid: &u32| processes::command_line(*pid).contains("__launcher");
    let launcher = processes::descendants(service.pid()).into_iter().find(is_launcher).unwrap();
    let launcher = Pid::from_raw(i32::try_from(launcher).unwrap()).unwrap();
    rustix::process::kill_process(launcher, Signal::STOP).unwrap();
    for tier in TIERS {
        let timeouts = Some(Timeouts { launch: millis(300), ..Timeouts::default() });
        let request =
            ExecuteRequest { browser: "any".to_owned(), tier: tier.into(), timeouts, ..execute(&stub_url("/exit/0")) };
        let job = client.execute(request).await.unwrap().into_inner().job.unwrap();
        seen.job("launch timeout", tier, &job);
    }
    rustix::process::kill_process(launcher, Signal::CONT).unwrap();
    drop(client);
}

/// A task of each tier whose browser lives.
async fn living(client: &mut Client, pages: &Pages) -> Vec<(Tier, ExecuteResponse)> {
    let mut tasks = Vec::new();
    for tier in TIERS {
        let request = match tier {
            Tier::Managed => {
                ExecuteRequest { browser: "chromium".to_owned(), ..headless(&pages.html("/idle", "idle")) }
            }
            _ => ExecuteRequest { browser: "stub".to_owned(), tier: tier.into(), ..execute(&stub_url("/sleep")) },
        };
        let task = client.execute(request).await.unwrap().into_inner();
        if tier == Tier::Managed {
            when(client, &task.task_id, |job| load_state(job) == LoadState::Committed).await;
        }
        tasks.push((tier, task));
    }
    tasks
}

fn with_both() -> Options {
    let stub = format!("stub={},exit-only", stub_browser().display());
    Options::chromium().arg("--browser").arg(stub).arg("--slots").arg("20").env("DISPLAY", ":none")
}

fn shim_of(service: &Tidy, task: &ExecuteResponse) -> u32 {
    published(&run_dir(service, &task.task_id).unwrap().join("id")).unwrap().pid
}

fn kill(pid: u32) {
    let Some(ending) = Ending::of(pid) else { return };
    processes::signal(pid, Signal::KILL);
    ending.wait();
}

/// What goes on, ends or is lost while the service is away.
pub(super) async fn restarts(seen: &Seen) {
    let mut service = Tidy::start_with(with_both().arg("--away-max").arg("60s"));
    let mut client = service.client().await;
    let pages = Pages::start();
    let go_on = living(&mut client, &pages).await;
    let killed = living(&mut client, &pages).await;
    let unwatched = living(&mut client, &pages).await;
    let request =
        ExecuteRequest { browser: "stub".to_owned(), tier: Tier::UserBrowser.into(), ..execute(&stub_url("/exit/0")) };
    let handed_off = client.execute(request).await.unwrap().into_inner();
    outcome(&mut client, &handed_off.task_id).await;

    service.kill();
    for (_, task) in &killed {
        let shim = Ending::of(shim_of(&service, task)).unwrap();
        kill(task.process_id);
        shim.wait();
    }
    for (_, task) in &unwatched {
        kill(shim_of(&service, task));
    }
    service.restart();
    client = service.client().await;
    for (tier, task) in &go_on {
        let job = when(&mut client, &task.task_id, |_| true).await;
        assert!(job.is_process_alive, "{job:?}");
        seen.job("service killed, and started again", *tier, &job);
    }
    let job = when(&mut client, &handed_off.task_id, |_| true).await;
    seen.job("the same after a hand-off", Tier::UserBrowser, &job);
    for (how, tasks) in
        [("the same, browser killed meanwhile", &killed), ("the same, shim killed meanwhile", &unwatched)]
    {
        for (tier, task) in tasks {
            seen.job(how, *tier, &end(&mut client, &task.task_id).await);
        }
    }
    for (_, task) in go_on.iter().chain(&unwatched) {
        client.cancel_job(kill_at_once(&task.task_id)).await.unwrap();
        kill(task.process_id);
    }
    drop(client);
    drop(service);
    away(seen, &pages).await;
}

/// Longer without a service than a browser of ours may be.
async fn away(seen: &Seen, pages: &Pages) {
    let mut service = Tidy::start_with(with_both().arg("--away-max").arg("100ms"));
    let mut client = service.client().await;
    let tasks = living(&mut client, pages).await;
    service.kill();
    for (tier, task) in &tasks {
        let has_left = || {
            let kept = service.kept_files(&task.task_id);
            kept.iter().any(|file| file.extension().is_some_and(|extension| extension == "exit"))
        };
        match tier {
            Tier::UserBrowser => assert!(!has_left()),
            _ => eventually("that its end is in writing", has_left),
        }
    }
    service.restart();
    client = service.client().await;
    for (tier, task) in &tasks {
        let wanted = |job: &comet_task_runner::api::v1::Job| job.done || *tier == Tier::UserBrowser;
        let job = when(&mut client, &task.task_id, wanted).await;
        seen.job("no service for longer than away_max", *tier, &job);
    }
    let own = &tasks[2].1;
    client.cancel_job(cancel(&own.task_id)).await.unwrap();
    kill(own.process_id);
    when(&mut client, &own.task_id, |job| !job.is_process_alive).await;
    drop(client);
}
