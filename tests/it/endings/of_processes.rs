//! The ways that are about processes: under stub browsers, in whichever tier needs no pipe, and scripts for the one that
//! does.

use std::{fs, os::unix::fs::symlink, path::Path};

use comet_task_runner::api::v1::{
    ExecuteRequest, ExecuteResponse, Timeouts, browser::Tier, execute_request::CompletionPolicy, job::Status,
};
use rustix::process::Signal;

use super::{Seen, TIERS, end, outcome, refusal};
use crate::{
    nothing_left::{Tidy, published},
    processes::{self, Ending},
    real::{millis, run_dir},
    service::{Client, Options, eventually, execute, stub_url},
    stub::stub_browser,
    wire::{cancel, kill_at_once, report, write_program},
};

/// Tiers in which a stub can stand for the browser.
const WITHOUT_A_PIPE: [Tier; 2] = [Tier::ExitOnly, Tier::UserBrowser];

/// Browsers that do one thing, whatever they are asked; all could have a pipe.
const SCRIPTS: [(&str, &str); 4] = [
    ("quits", "#!/bin/sh\nexit 0\n"),
    ("fails", "#!/bin/sh\nexit 3\n"),
    ("crashes", "#!/bin/sh\nkill -SEGV $$\n"),
    ("silent", "#!/bin/sh\nexec cat <&3 >/dev/null\n"),
];

/// A service that has found programs where scripts are by now, and nothing at all in one place.
fn start(home: &Path) -> Tidy {
    let mut options = Options::default().arg("--no-sandbox").arg("--slots").arg("60").env("DISPLAY", ":none");
    for (name, _) in [SCRIPTS.as_slice(), &[("gone", "")]].concat() {
        fs::copy(stub_browser(), home.join(name)).unwrap();
        options = options.arg("--browser").arg(format!("{name}={}", home.join(name).display()));
    }
    let service = Tidy::start_with(options);
    for (name, text) in SCRIPTS {
        write_program(&home.join("ready"), text);
        fs::rename(home.join("ready"), home.join(name)).unwrap();
    }
    fs::remove_file(home.join("gone")).unwrap();
    service
}

struct Stubs<'a> {
    seen: &'a Seen,
    client: Client,
    service: Tidy,
    home: tempfile::TempDir,
}

pub(super) async fn ends(seen: &Seen) {
    let home = tempfile::tempdir().unwrap();
    let service = start(home.path());
    let mut stubs = Stubs { seen, client: service.client().await, service, home };
    // Begun first, since it takes longest.
    let quit_later = stubs.begin_quit_later().await;
    stubs.scripts().await;
    stubs.reports().await;
    stubs.wishes_and_times().await;
    stubs.signals().await;
    stubs.profiles().await;
    stubs.unseen().await;
    stubs.refusals().await;
    for (how, task) in quit_later {
        seen.job(how, Tier::UserBrowser, &end(&mut stubs.client, &task.task_id).await);
    }
}

fn asking(browser: &str, tier: Tier, path: &str) -> ExecuteRequest {
    ExecuteRequest { browser: browser.to_owned(), tier: tier.into(), ..execute(&stub_url(path)) }
}

fn under(policy: CompletionPolicy, request: ExecuteRequest) -> ExecuteRequest {
    ExecuteRequest { completion_policy: policy.into(), ..request }
}

impl Stubs<'_> {
    async fn begin(&mut self, request: ExecuteRequest) -> ExecuteResponse {
        self.client.execute(request).await.unwrap().into_inner()
    }

    /// A browser that lives on, and is known to.
    async fn begin_living(&mut self, tier: Tier, policy: CompletionPolicy) -> ExecuteResponse {
        let mark = self.home.path().join(uuid::Uuid::new_v4().to_string());
        let path = format!("/life?file={}&ms=0&code=0", mark.display());
        let task = self.begin(under(policy, asking("stub", tier, &path))).await;
        eventually("that the browser lives", || fs::read_to_string(&mark).is_ok_and(|text| text.ends_with('\n')));
        // What SIGTERM is to it is said a moment later.
        crate::wire::settled(task)
    }

    /// Quit by its person when it is no hand-off any more.
    async fn begin_quit_later(&mut self) -> Vec<(&'static str, ExecuteResponse)> {
        let path = format!("/life?file={}&ms=10500&code=0", self.home.path().join("later").display());
        let mut tasks = Vec::new();
        for (how, policy) in [
            ("person closes the window", CompletionPolicy::Any),
            ("SIGTERM, and exit 0", CompletionPolicy::Any),
            ("SIGTERM, and exit 0, REQUIRE_REPORT", CompletionPolicy::RequireReport),
        ] {
            tasks.push((how, self.begin(under(policy, asking("stub", Tier::UserBrowser, &path))).await));
        }
        tasks
    }

    async fn scripts(&mut self) {
        for tier in TIERS {
            for (how, browser, policy) in [
                ("exit 0 at once, as at a hand-off", "quits", CompletionPolicy::Any),
                ("exit 0 at once, REQUIRE_REPORT", "quits", CompletionPolicy::RequireReport),
                ("exit 0 at once, PROCESS_EXIT", "quits", CompletionPolicy::ProcessExit),
                ("exit 3", "fails", CompletionPolicy::Any),
                ("crashes", "crashes", CompletionPolicy::Any),
                ("cannot be started", "gone", CompletionPolicy::Any),
            ] {
                let request = under(policy, asking(browser, tier, "/"));
                if (tier, policy) == (Tier::UserBrowser, CompletionPolicy::ProcessExit) {
                    self.seen.note(how, tier, refusal(&mut self.client, request).await);
                    continue;
                }
                let task = self.begin(request).await;
                self.seen.job(how, tier, &outcome(&mut self.client, &task.task_id).await);
            }
        }
        let timeouts = Some(Timeouts { launch: millis(500), ..Timeouts::default() });
        let task = self.begin(ExecuteRequest { timeouts, ..asking("silent", Tier::Managed, "/") }).await;
        let job = end(&mut self.client, &task.task_id).await;
        self.seen.job("launch timeout, the browser is silent", Tier::Managed, &job);
    }

    async fn reports(&mut self) {
        for (how, tier, path, status) in [
            ("reports DONE", Tier::ExitOnly, "/sleep", Status::Done),
            ("reports FAILED", Tier::ExitOnly, "/sleep", Status::Failed),
            ("reports DONE", Tier::UserBrowser, "/exit/0", Status::Done),
            ("reports FAILED", Tier::UserBrowser, "/exit/0", Status::Failed),
        ] {
            let task = self.begin(asking("stub", tier, path)).await;
            self.client.callback(report(&task, status)).await.unwrap();
            self.seen.job(how, tier, &end(&mut self.client, &task.task_id).await);
        }
    }

    async fn wishes_and_times(&mut self) {
        for tier in WITHOUT_A_PIPE {
            for (how, request) in [("cancel", cancel as fn(&str) -> _), ("forced cancel", kill_at_once)] {
                let task = self.begin_living(tier, CompletionPolicy::Any).await;
                self.client.cancel_job(request(&task.task_id)).await.unwrap();
                self.seen.job(how, tier, &end(&mut self.client, &task.task_id).await);
                self.quit(&task);
            }
            for (how, timeouts) in [
                ("run timeout", Timeouts { run: millis(300), ..Timeouts::default() }),
                ("idle timeout", Timeouts { idle: millis(300), ..Timeouts::default() }),
            ] {
                // Handed off, where that is possible: the deadline holds without a process too.
                let path = if tier == Tier::ExitOnly { "/sleep" } else { "/exit/0" };
                let task = self.begin(ExecuteRequest { timeouts: Some(timeouts), ..asking("stub", tier, path) }).await;
                self.seen.job(how, tier, &end(&mut self.client, &task.task_id).await);
            }
        }
        let task = self.begin(asking("stub", Tier::UserBrowser, "/exit/0")).await;
        outcome(&mut self.client, &task.task_id).await;
        self.client.cancel_job(cancel(&task.task_id)).await.unwrap();
        let job = end(&mut self.client, &task.task_id).await;
        self.seen.job("cancel after a hand-off", Tier::UserBrowser, &job);
    }

    async fn signals(&mut self) {
        for (how, tier, policy, signal) in [
            ("SIGTERM, and exit 0", Tier::ExitOnly, CompletionPolicy::Any, Signal::TERM),
            ("SIGTERM, and exit 0, REQUIRE_REPORT", Tier::ExitOnly, CompletionPolicy::RequireReport, Signal::TERM),
            ("SIGTERM, and exit 0, PROCESS_EXIT", Tier::ExitOnly, CompletionPolicy::ProcessExit, Signal::TERM),
            ("kill -9", Tier::ExitOnly, CompletionPolicy::Any, Signal::KILL),
            ("kill -9", Tier::UserBrowser, CompletionPolicy::Any, Signal::KILL),
        ] {
            let task = self.begin_living(tier, policy).await;
            processes::signal(task.process_id, signal);
            self.seen.job(how, tier, &end(&mut self.client, &task.task_id).await);
        }
        for tier in WITHOUT_A_PIPE {
            let task = self.begin_living(tier, CompletionPolicy::Any).await;
            let shim = published(&run_dir(&self.service, &task.task_id).unwrap().join("id")).unwrap();
            processes::signal(shim.pid, Signal::KILL);
            self.seen.job("shim killed", tier, &end(&mut self.client, &task.task_id).await);
            self.quit(&task);
        }
    }

    /// A person's own browser outlives its task, but not this test.
    fn quit(&self, task: &ExecuteResponse) {
        if let Some(ending) = Ending::of(task.process_id).filter(|ending| !ending.has_come()) {
            processes::signal(task.process_id, Signal::KILL);
            ending.wait();
        }
    }

    async fn profiles(&mut self) {
        for tier in TIERS {
            let request = ExecuteRequest { profile: "work".to_owned(), ..asking("silent", tier, "/") };
            if tier == Tier::UserBrowser {
                self.seen.note("profile in use", tier, refusal(&mut self.client, request).await);
                continue;
            }
            let profile = self.service.state_dir().join("profiles/silent/work");
            fs::create_dir_all(&profile).unwrap();
            // As a browser that is not the service's: this process.
            let open = fs::File::create(profile.join("Cookies")).unwrap();
            let here = rustix::system::uname().nodename().to_str().unwrap().to_owned();
            let lock = profile.join("SingletonLock");
            let _ = fs::remove_file(&lock);
            symlink(format!("{here}-{}", std::process::id()), lock).unwrap();
            let task = self.begin(request).await;
            self.seen.job("profile in use", tier, &end(&mut self.client, &task.task_id).await);
            drop(open);
        }
    }

    /// Whatever becomes of a page that was handed off, nobody tells.
    async fn unseen(&mut self) {
        let timeouts = Some(Timeouts { run: millis(300), ..Timeouts::default() });
        for (how, policy) in [
            ("closes itself", CompletionPolicy::Any),
            ("closes itself, REQUIRE_REPORT", CompletionPolicy::RequireReport),
            ("its renderer is killed", CompletionPolicy::Any),
            ("cannot be fetched", CompletionPolicy::Any),
            ("leads to a file", CompletionPolicy::Any),
            ("leads to a file that breaks off", CompletionPolicy::Any),
        ] {
            let request = under(policy, asking("stub", Tier::UserBrowser, "/exit/0"));
            let task = self.begin(ExecuteRequest { timeouts, ..request }).await;
            self.seen.unseen(how, Tier::UserBrowser, &end(&mut self.client, &task.task_id).await);
        }
    }

    async fn refusals(&mut self) {
        let navigation = Some(Timeouts { navigation: millis(500), ..Timeouts::default() });
        for tier in WITHOUT_A_PIPE {
            let http = ExecuteRequest { fail_on_http_error: true, ..asking("stub", tier, "/") };
            self.seen.note("HTTP 404, asked to count", tier, refusal(&mut self.client, http).await);
            let slow = ExecuteRequest { timeouts: navigation, ..asking("stub", tier, "/") };
            self.seen.note("navigation timeout", tier, refusal(&mut self.client, slow).await);
        }
        let own = under(CompletionPolicy::ProcessExit, asking("stub", Tier::UserBrowser, "/"));
        let refused = refusal(&mut self.client, own).await;
        self.seen.note("SIGTERM, and exit 0, PROCESS_EXIT", Tier::UserBrowser, refused);
    }
}
