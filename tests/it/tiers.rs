//! The tiers: which of them a browser has, what each can do, and what is refused where it cannot be done.

use std::time::Duration;

use comet_task_runner::api::v1::{
    self, ExecuteRequest,
    browser::{Isolation, Tier},
    execute_request::{AfterFinish, CallbackDelivery, CompletionPolicy, DialogPolicy, Mode},
    job::{Reason, Status},
};
use tonic::Code;

use super::{
    real::{Real, Seats, assert_ended, headless},
    service::{Client, Options, Service, execute, stub_url},
    stub::stub_browser,
    wire::{jobs_made, refused, span},
};

/// Browsers that are never started: one with a pipe and one without.
fn service() -> Service {
    let by_hand = format!("managed={}", stub_browser().display());
    let options = Options::default().arg("--no-sandbox").arg("--browser").arg(by_hand);
    Service::start_with(options.env("DISPLAY", ":none"))
}

fn asking(tier: Tier) -> ExecuteRequest {
    ExecuteRequest { tier: tier.into(), ..execute(&stub_url("/exit/0")) }
}

/// A field, a request for it, and whether it is taken by a MANAGED, an EXIT_ONLY and a USER_BROWSER one.
type Row = (&'static str, fn(&mut ExecuteRequest), [bool; 3]);

#[rustfmt::skip] // One row a line, so that it reads as a table.
const FIELDS: [Row; 19] = [
    ("tier",                |_| {},                                                                          [true, true,  true]),
    ("profile",             |request| request.profile = "work".to_owned(),                                   [true, true,  false]),
    ("mode",                |request| request.mode = Mode::Headless.into(),                                  [true, true,  false]),
    ("mode",                |request| request.mode = Mode::Headed.into(),                                    [true, true,  true]),
    ("isolation",           |request| request.isolation = Isolation::Context.into(),                         [true, false, false]),
    ("isolation",           |request| request.isolation = Isolation::Process.into(),                         [true, true,  true]),
    ("fail_on_http_error",  |request| request.fail_on_http_error = true,                                     [true, false, false]),
    ("timeouts.navigation", |request| request.timeouts = Some(navigation()),                                 [true, false, false]),
    ("timeouts",            |request| request.timeouts = Some(others()),                                     [true, true,  true]),
    ("wait_for_popups",     |request| request.wait_for_popups = true,                                        [true, false, false]),
    ("callback_delivery",   |request| request.callback_delivery = CallbackDelivery::Binding.into(),          [true, false, false]),
    ("callback_delivery",   |request| request.callback_delivery = CallbackDelivery::Fragment.into(),         [true, true,  true]),
    ("callback_origins",    |request| request.callback_origins = vec!["http://a.test".to_owned()],           [true, false, true]),
    ("dialogs",             |request| request.dialogs = DialogPolicy::Leave.into(),                          [true, false, false]),
    ("after_finish",        |request| request.after_finish = AfterFinish::Close.into(),                      [true, true,  false]),
    ("after_finish",        |request| request.after_finish = AfterFinish::KeepOpen.into(),                   [true, true,  true]),
    ("termination_grace",   |request| request.termination_grace = span(Duration::from_secs(1)),              [true, true,  false]),
    ("completion_policy",   |request| request.completion_policy = CompletionPolicy::ProcessExit.into(),      [true, true,  false]),
    ("completion_policy",   |request| request.completion_policy = CompletionPolicy::RequireReport.into(),    [true, true,  true]),
];

fn navigation() -> v1::Timeouts {
    v1::Timeouts { navigation: span(Duration::from_secs(9)), ..v1::Timeouts::default() }
}

fn others() -> v1::Timeouts {
    let nine = span(Duration::from_secs(9));
    v1::Timeouts { queue: nine, launch: nine, navigation: None, run: nine, idle: nine }
}

#[tokio::test]
async fn a_field_that_a_tier_cannot_honour_is_refused_and_any_other_is_taken() {
    let service = service();
    let mut client = service.client().await;
    for (field, edit, cells) in FIELDS {
        for (tier, is_taken) in [Tier::Managed, Tier::ExitOnly, Tier::UserBrowser].into_iter().zip(cells) {
            let mut request = ExecuteRequest { browser: "managed".to_owned(), validate_only: true, ..asking(tier) };
            edit(&mut request);
            let answer = client.execute(request.clone()).await;
            if is_taken {
                let job = answer.unwrap_or_else(|refusal| panic!("{field} in {tier:?}: {refusal}")).into_inner().job;
                assert_eq!(job.unwrap().browser.unwrap().tier(), tier);
                continue;
            }
            assert_cannot(answer, field, tier);
            // As it says when it is not only asked whether it could.
            request.validate_only = false;
            assert_cannot(client.execute(request).await, field, tier);
        }
    }
    assert_eq!(jobs_made(&service), 0);
}

#[track_caller]
fn assert_cannot(answer: Result<tonic::Response<v1::ExecuteResponse>, tonic::Status>, field: &str, tier: Tier) {
    let refusal = refused(answer);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "TIER_CANNOT"), "{refusal:?}");
    let [(named, description)] = &refusal.fields[..] else { panic!("one field is at fault: {refusal:?}") };
    assert_eq!(named, field);
    assert!(description.contains(tier.as_str_name()) && description.contains("leave it out"), "{description}");
}

#[tokio::test]
async fn a_task_that_names_no_tier_gets_the_most_but_never_the_persons_own_browser() {
    let service = service();
    let mut client = service.client().await;
    for (browser, expected) in [("managed", Tier::Managed), ("stub", Tier::ExitOnly)] {
        let request = ExecuteRequest { browser: browser.to_owned(), ..asking(Tier::Unspecified) };
        assert_eq!(chosen(&mut client, request).await.tier(), expected, "{browser}");
    }
}

async fn chosen(client: &mut Client, request: ExecuteRequest) -> v1::Browser {
    let request = ExecuteRequest { validate_only: true, ..request };
    client.execute(request).await.unwrap().into_inner().job.unwrap().browser.unwrap()
}

#[tokio::test]
async fn page_facts_asked_of_a_browser_without_a_pipe_are_refused_with_what_it_has() {
    let service = service();
    let mut client = service.client().await;
    let refusal = refused(client.execute(asking(Tier::Managed)).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "TIER_CANNOT"));
    assert_eq!(refusal.fields[0].0, "tier");
    assert!(refusal.message.contains("it has: EXIT_ONLY, USER_BROWSER"), "{}", refusal.message);
    let unknown = refused(client.execute(ExecuteRequest { tier: 9, ..asking(Tier::Managed) }).await);
    assert_eq!((unknown.reason.as_str(), unknown.fields[0].0.as_str()), ("ENUM_UNKNOWN", "tier"));
    assert!(unknown.message.contains("USER_BROWSER"));
}

#[tokio::test]
async fn a_browser_tells_what_it_can_do_in_its_tier_and_a_runner_what_could_be_asked() {
    let service = service();
    let mut client = service.client().await;
    let runner = client.get_runner(v1::GetRunnerRequest {}).await.unwrap().into_inner();
    let managed = runner.browsers.iter().find(|browser| browser.name == "managed").unwrap();
    assert_eq!(managed.tiers.len(), 3);
    for known in &managed.tiers {
        let request = ExecuteRequest { browser: "managed".to_owned(), ..asking(known.tier()) };
        let browser = chosen(&mut client, request).await;
        assert_eq!(browser.capabilities, known.capabilities, "{:?}", known.tier());
    }
    let counts: Vec<_> = managed.tiers.iter().map(|known| known.capabilities.len()).collect();
    assert_eq!(counts, [12, 5, 0]);
}

#[tokio::test]
async fn the_persons_own_browser_needs_a_display_and_room_behind_the_address() {
    let without = Service::start();
    let refusal = refused(without.client().await.execute(asking(Tier::UserBrowser)).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "NO_DISPLAY"));
    assert!(!refusal.message.contains("use HEADLESS"), "{}", refusal.message);

    let service = service();
    let mut client = service.client().await;
    let request = ExecuteRequest { url: stub_url("/exit/0#part"), ..asking(Tier::UserBrowser) };
    let refusal = refused(client.execute(request.clone()).await);
    assert_eq!((refusal.reason.as_str(), refusal.fields[0].0.as_str()), ("URL_HAS_FRAGMENT", "url"));
    let elsewhere = ExecuteRequest { tier: Tier::ExitOnly.into(), validate_only: true, ..request };
    client.execute(elsewhere).await.unwrap();
    assert_eq!(jobs_made(&service), 0);
}

#[tokio::test]
async fn a_chromium_asked_for_its_exit_alone_runs_without_a_pipe_and_is_ended_with_its_task() {
    let Some(seats) = Seats::take(1, &[]) else { return };
    let Some(mut real) = Real::start_with(Options::chromium(), seats).await else { return };
    let url = real.pages.script("/closes", "addEventListener('load', () => setTimeout(close, 100))");
    let request = ExecuteRequest { tier: Tier::ExitOnly.into(), ..headless(&url) };
    let begun = real.begin(request).await;
    let command = super::processes::command_line(begun.process_id);
    assert!(!command.contains("--remote-debugging") && command.trim_end().ends_with(&url), "{command}");
    let job = begun.job.unwrap();
    assert_eq!((job.browser.unwrap().tier(), job.page), (Tier::ExitOnly, None));
    real.cancel(&begun.task_id).await;
    assert_ended(&real.finish(&begun.task_id).await, Status::Cancelled, Reason::CancelRequested);
}
