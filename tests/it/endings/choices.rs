//! The ways that come of what is asked for beside a page: files, dialogs, popups, a browser that is shared.

use comet_task_runner::api::v1::{
    ExecuteRequest, Timeouts,
    browser::{Isolation, Tier},
    execute_request::{DialogPolicy, Mode},
};
use rustix::process::Signal;

use super::{Seen, end, refusal};
use crate::{
    nothing_left::Tidy,
    pages::Pages,
    processes,
    real::{headless, load_state, millis, seconds, when},
    service::{Client, Options},
    wire::cancel,
};

const FILE: &str = "leads to a file";
const CUT: &str = "leads to a file that breaks off";
const LEFT: &str = "an alert is left open, then run timeout";
const POPUPS: &str = "closes itself, to wait for its popups";
const SHARED: &str = "reports DONE, in a shared browser";
const SHARED_CANCEL: &str = "cancel, in a shared browser";
const SHARED_KILLED: &str = "kill -9 of the shared browser";

fn shared(url: &str) -> ExecuteRequest {
    ExecuteRequest { isolation: Isolation::Context.into(), ..headless(url) }
}

pub(super) async fn choices(seen: &Seen) {
    let service = Tidy::start_with(Options::chromium().arg("--slots").arg("4").env("DISPLAY", ":none"));
    let mut client = service.client().await;
    let pages = Pages::start();
    managed(seen, &mut client, &pages).await;
    of_shared(seen, &mut client, &pages).await;
    others(seen, &mut client, &pages).await;
    drop(client);
}

fn attachment(pages: &Pages) -> String {
    pages.html_with("/file", "Content-Disposition: attachment; filename=\"a.bin\"\r\n", "abc")
}

async fn managed(seen: &Seen, client: &mut Client, pages: &Pages) {
    let run = Some(Timeouts { run: seconds(2), ..Timeouts::default() });
    let left = ExecuteRequest {
        dialogs: DialogPolicy::Leave.into(),
        timeouts: run,
        ..headless(&pages.script("/alert", "alert('?')"))
    };
    let waiting = ExecuteRequest {
        wait_for_popups: true,
        ..headless(&pages.script("/closes", "addEventListener('load', () => setTimeout(close, 100))"))
    };
    for (how, request) in
        [(FILE, headless(&attachment(pages))), (CUT, headless(&pages.url("/cut"))), (LEFT, left), (POPUPS, waiting)]
    {
        let task = client.execute(request).await.unwrap().into_inner();
        seen.job(how, Tier::Managed, &end(client, &task.task_id).await);
    }
}

async fn of_shared(seen: &Seen, client: &mut Client, pages: &Pages) {
    let done = client.execute(shared(&pages.script("/done", "cometTask.done()"))).await.unwrap().into_inner();
    seen.job(SHARED, Tier::Managed, &end(client, &done.task_id).await);
    let idle = pages.html("/idle", "idle");
    for how in [SHARED_CANCEL, SHARED_KILLED] {
        let task = client.execute(shared(&idle)).await.unwrap().into_inner();
        when(client, &task.task_id, |job| load_state(job) == comet_task_runner::api::v1::page::LoadState::Committed)
            .await;
        if how == SHARED_CANCEL {
            client.cancel_job(cancel(&task.task_id)).await.unwrap();
        } else {
            processes::signal(task.process_id, Signal::KILL);
        }
        seen.job(how, Tier::Managed, &end(client, &task.task_id).await);
    }
}

/// A browser that cannot be asked takes a file and says nothing of it; the rest is refused.
async fn others(seen: &Seen, client: &mut Client, pages: &Pages) {
    let run = Some(Timeouts { run: millis(1500), ..Timeouts::default() });
    for (how, url) in [(FILE, attachment(pages)), (CUT, pages.url("/cut"))] {
        let request = ExecuteRequest { tier: Tier::ExitOnly.into(), timeouts: run, ..headless(&url) };
        let task = client.execute(request).await.unwrap().into_inner();
        seen.unseen(how, Tier::ExitOnly, &end(client, &task.task_id).await);
    }
    for tier in [Tier::ExitOnly, Tier::UserBrowser] {
        let mode = if tier == Tier::ExitOnly { Mode::Headless } else { Mode::Headed };
        let plain = ExecuteRequest { tier: tier.into(), mode: mode.into(), ..headless("http://127.0.0.1/") };
        for (how, request) in [
            (LEFT, ExecuteRequest { dialogs: DialogPolicy::Leave.into(), ..plain.clone() }),
            (POPUPS, ExecuteRequest { wait_for_popups: true, ..plain.clone() }),
            (SHARED, ExecuteRequest { isolation: Isolation::Context.into(), ..plain.clone() }),
            (SHARED_CANCEL, ExecuteRequest { isolation: Isolation::Context.into(), ..plain.clone() }),
            (SHARED_KILLED, ExecuteRequest { isolation: Isolation::Context.into(), ..plain.clone() }),
        ] {
            seen.note(how, tier, refusal(client, request).await);
        }
    }
}
