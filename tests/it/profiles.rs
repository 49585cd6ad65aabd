//! Kept profiles: listed, removed, healed of locks that nobody holds, and what of them a browser has and keeps.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    time::SystemTime,
};

use comet_task_runner::api::v1::{
    self, ExecuteRequest,
    job::{Reason, Status},
};
use tonic::Code;

use super::{
    cli::{ended as run, on},
    processes::{self, Ending},
    real::{Real, assert_ended, chromium_by_hand, headless, run_dir},
    service::{Client, Options, Service, ended, eventually, execute, stub_url},
    wire::{kill_at_once, refused},
};

fn with_profile(name: &str, path: &str) -> ExecuteRequest {
    ExecuteRequest { profile: name.to_owned(), ..execute(&stub_url(path)) }
}

async fn list(client: &mut Client) -> Vec<v1::Profile> {
    client.list_profiles(v1::ListProfilesRequest::default()).await.unwrap().into_inner().profiles
}

fn remove(name: &str) -> v1::RemoveProfileRequest {
    v1::RemoveProfileRequest { name: name.to_owned(), ..v1::RemoveProfileRequest::default() }
}

#[tokio::test]
async fn a_profile_is_listed_with_who_uses_it_and_removed_once_nobody_does() {
    let service = Service::start_with(Options::default().arg("--slots").arg("3"));
    let mut client = service.client().await;
    assert_eq!(list(&mut client).await, []);
    assert_eq!(refused(client.remove_profile(remove("work")).await).reason, "PROFILE_NOT_FOUND");
    assert_eq!(refused(client.remove_profile(remove("../work")).await).reason, "PROFILE_INVALID");

    let using = client.execute(with_profile("work", "/sleep")).await.unwrap().into_inner();
    let waiting = client.execute(with_profile("work", "/sleep")).await.unwrap().into_inner();
    let dir = service.state_dir().join("profiles/stub/work");
    fs::write(dir.join("Cookies"), vec![7; 1_000_000]).unwrap();
    let [profile] = &list(&mut client).await[..] else { panic!("one profile") };
    assert_eq!((profile.name.as_str(), profile.browser.as_str()), ("work", "stub"));
    assert_eq!((&profile.task_id, profile.waiting_count), (&using.task_id, 1));
    assert!((1_000_000..1_100_000).contains(&profile.size_bytes), "{}", profile.size_bytes);
    let last_used = SystemTime::try_from(profile.last_used_at.unwrap()).unwrap();
    assert!(last_used.elapsed().unwrap() < super::service::AT_LENGTH);

    let busy = refused(client.remove_profile(remove("work")).await);
    assert_eq!((busy.code, busy.reason.as_str()), (Code::FailedPrecondition, "PROFILE_BUSY"));
    client.cancel_job(kill_at_once(&using.task_id)).await.unwrap();
    // Whoever waited has it now, and holds it as well.
    super::real::when(&mut client, &waiting.task_id, |job| job.status() == Status::Running).await;
    assert_eq!(refused(client.remove_profile(remove("work")).await).reason, "PROFILE_BUSY");
    assert!(dir.join("Cookies").exists());
    client.cancel_job(kill_at_once(&waiting.task_id)).await.unwrap();
    ended(&mut client, &waiting.task_id).await;

    // It is let go a moment after the end, when the job's files are gone.
    let removed = loop {
        match client.remove_profile(remove("work")).await {
            Ok(removed) => break removed.into_inner().profile.unwrap(),
            Err(busy) => assert_eq!(super::wire::read_refusal(&busy).reason, "PROFILE_BUSY"),
        }
    };
    assert_eq!((removed.name.as_str(), removed.task_id.as_str(), removed.waiting_count), ("work", "", 0));
    assert_eq!(list(&mut client).await, []);
    let left = fs::read_dir(service.state_dir().join("profiles/stub")).unwrap().count();
    assert_eq!(left, 0, "nothing of it is left, its lock neither");
    // And can be made anew.
    let anew = client.execute(with_profile("work", "/exit/0")).await.unwrap().into_inner();
    assert_ended(&ended(&mut client, &anew.task_id).await, Status::Done, Reason::ProcessExited);
    assert!(dir.is_dir() && !dir.join("Cookies").exists());
}

#[tokio::test]
async fn profiles_are_listed_page_by_page_and_told_apart_by_their_browser() {
    let service = Service::start();
    let mut client = service.client().await;
    for profile in ["chrome/a", "chrome/b", "firefox/a", "gone/z"] {
        fs::create_dir_all(service.state_dir().join("profiles").join(profile)).unwrap();
    }
    let mut told = Vec::new();
    let mut request = v1::ListProfilesRequest { page_size: 3, ..v1::ListProfilesRequest::default() };
    loop {
        let page = client.list_profiles(request.clone()).await.unwrap().into_inner();
        told.push(
            page.profiles.iter().map(|profile| format!("{}/{}", profile.browser, profile.name)).collect::<Vec<_>>(),
        );
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(told, [vec!["chrome/a", "chrome/b", "firefox/a"], vec!["gone/z"]]);
    let wrong = v1::ListProfilesRequest { page_token: "??".to_owned(), ..v1::ListProfilesRequest::default() };
    assert_eq!(refused(client.list_profiles(wrong).await).reason, "PAGE_TOKEN_INVALID");
    let negative = v1::ListProfilesRequest { page_size: -1, ..v1::ListProfilesRequest::default() };
    assert_eq!(refused(client.list_profiles(negative).await).fields[0].0, "page_size");

    let several = refused(client.remove_profile(remove("a")).await);
    assert_eq!((several.code, several.reason.as_str()), (Code::InvalidArgument, "BROWSER_NEEDED"));
    assert!(several.message.contains("chrome, firefox"), "{}", several.message);
    let one = v1::RemoveProfileRequest { browser: "firefox".to_owned(), ..remove("a") };
    client.remove_profile(one).await.unwrap();
    assert_eq!(list(&mut client).await.len(), 3);
}

#[tokio::test]
async fn the_command_line_lists_and_removes_profiles() {
    let service = Service::start();
    let none = run(on(&service, &["profiles"])).await;
    assert_eq!((none.code, none.stdout.as_str(), none.stderr.as_str()), (Some(0), "", ""));
    for profile in ["chrome/work", "firefox/work"] {
        fs::create_dir_all(service.state_dir().join("profiles").join(profile)).unwrap();
    }
    let listed = run(on(&service, &["profiles"])).await;
    let lines: Vec<_> = listed.stdout.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("BROWSER ") && lines[2].starts_with("firefox "), "{listed:?}");
    let json = run(on(&service, &["profiles", "--json"])).await.json();
    assert_eq!((&json[0]["name"], &json[0]["browser"]), (&"work".into(), &"chrome".into()));

    let several = run(on(&service, &["profiles", "remove", "work"])).await;
    assert!(several.code == Some(2) && several.stderr.contains("BROWSER_NEEDED"), "{several:?}");
    let removed = run(on(&service, &["profiles", "remove", "work", "--browser", "chrome"])).await;
    assert!(removed.code == Some(0) && removed.stdout.starts_with("removed chrome "), "{removed:?}");
    let removed = run(on(&service, &["profiles", "remove", "work", "--json"])).await;
    assert_eq!(removed.json()[0]["profile"]["browser"], "firefox");
    let unknown = run(on(&service, &["profiles", "remove", "work"])).await;
    assert!(unknown.code == Some(2) && unknown.stderr.contains("PROFILE_NOT_FOUND"), "{unknown:?}");
}

/// Says what cookies it has, and leaves one that lasts.
const COOKIES: &str = "cometTask.done(document.cookie); document.cookie = 'login=kept; max-age=86400';";

fn kept(url: &str, profile: &str) -> ExecuteRequest {
    ExecuteRequest { profile: profile.to_owned(), ..headless(url) }
}

fn told(job: &v1::Job) -> &str {
    assert_ended(job, Status::Done, Reason::Callback);
    &job.callback.as_ref().unwrap().result
}

#[tokio::test]
async fn logins_are_kept_in_their_profile_and_seen_nowhere_else() {
    let Some(mut real) = Real::start().await else { return };
    let script = COOKIES.replace("cometTask.done(document.cookie); ", "const seen = document.cookie; ");
    let url = real.pages.script("/login", &format!("{script} cometTask.done(seen);"));
    let first = real.run(kept(&url, "work")).await;
    assert_eq!(told(&first), r#""""#);
    let again = real.run(kept(&url, "work")).await;
    assert_eq!(told(&again), r#""login=kept""#);
    let other = real.run(kept(&url, "other")).await;
    assert_eq!(told(&other), r#""""#);
    let ephemeral = real.run(headless(&url)).await;
    assert_eq!(told(&ephemeral), r#""""#);

    let profiles = list(&mut real.client).await;
    let names: Vec<_> = profiles.iter().map(|profile| profile.name.as_str()).collect();
    assert_eq!(names, ["other", "work"]);
    real.client.remove_profile(remove("work")).await.unwrap();
    let anew = real.run(kept(&url, "work")).await;
    assert_eq!(told(&anew), r#""""#);
}

#[tokio::test]
async fn a_lock_that_nobody_holds_does_not_stand_in_the_way() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.script("/done", "cometTask.done()");
    let profile = real.service.state_dir().join("profiles/chromium/work");
    fs::create_dir_all(&profile).unwrap();
    let here = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    // Of a machine that is no more, of a process that is no more, and of one whose number is a stranger's now.
    for target in ["old-container-17".to_owned(), format!("{here}-4194305"), format!("{here}-{}", std::process::id())] {
        for (name, target) in [("SingletonLock", target.as_str()), ("SingletonCookie", "1"), ("SingletonSocket", "/x")]
        {
            let _ = fs::remove_file(profile.join(name));
            symlink(target, profile.join(name)).unwrap();
        }
        let job = real.run(kept(&url, "work")).await;
        assert_ended(&job, Status::Done, Reason::Callback);
    }
}

#[tokio::test]
async fn a_profile_that_a_foreign_browser_holds_is_in_use_at_once_and_cannot_be_removed() {
    let Some(mut real) = Real::start().await else { return };
    let profile = real.service.state_dir().join("profiles/chromium/work");
    fs::create_dir_all(&profile).unwrap();
    let mut foreign = chromium_by_hand(&profile, None).arg("about:blank").spawn().unwrap();
    let lock = profile.join("SingletonLock");
    eventually("that the foreign browser holds its profile", || lock.symlink_metadata().is_ok());
    let url = real.pages.html("/idle", "idle");
    let job = real.run(kept(&url, "work")).await;
    let removal = refused(real.client.remove_profile(remove("work")).await);
    let held = lock.symlink_metadata().is_ok();
    // With all that it started, which would go on to write to the profile.
    let tree: Vec<_> = processes::descendants(foreign.id()).into_iter().filter_map(Ending::of).collect();
    foreign.kill().unwrap();
    foreign.wait().unwrap();
    tree.iter().for_each(Ending::wait);
    assert_ended(&job, Status::Failed, Reason::ProfileInUse);
    assert_eq!((job.process_id, job.exit_code), (0, None), "none was started");
    assert!(job.message.contains(&format!("process {}", foreign.id())), "{}", job.message);
    assert_eq!(removal.reason, "PROFILE_BUSY");
    assert!(removal.message.contains(&format!("process {}", foreign.id())), "{}", removal.message);
    assert!(held, "the foreign browser's lock was touched");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Longest path of a directory that a browser makes its socket in, so that the socket's own stays below 108 bytes.
const TMPDIR_BYTES_MAX: usize = 47;

#[tokio::test]
async fn a_real_browser_has_private_short_directories_and_nothing_of_the_services() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.html("/idle", "idle");
    let [ephemeral, named] = [real.begin(headless(&url)).await, real.begin(kept(&url, "work")).await];
    for task in [&ephemeral, &named] {
        real.shown(&task.task_id).await;
    }
    let run = run_dir(&real.service, &ephemeral.task_id).unwrap();
    assert!(run.join("t").as_os_str().len() <= TMPDIR_BYTES_MAX, "{}", run.display());
    let profile = real.service.state_dir().join("profiles/chromium/work");
    for private in [&run, &run.join("t"), &run.join("p"), &profile] {
        assert_eq!(mode(private), 0o700, "{}", private.display());
    }
    let services: Vec<_> = processes::descriptors(real.service.pid());
    let state_dir = real.service.state_dir();
    let is_private = |file: &Path| {
        let text = file.to_string_lossy();
        text.starts_with("socket:") || text.starts_with("pipe:") || file.starts_with(&state_dir)
    };
    assert!(services.iter().filter(|file| is_private(file)).count() > 3, "{services:?}");
    for task in [&ephemeral, &named] {
        let run = run_dir(&real.service, &task.task_id).unwrap();
        let environment = processes::environment(task.process_id);
        let tmp: Vec<_> = environment.iter().filter_map(|entry| entry.strip_prefix("TMPDIR=")).collect();
        assert_eq!(tmp, [run.join("t").to_str().unwrap()]);
        let foreign =
            |entry: &&String| entry.starts_with("COMET_") || entry.starts_with("RUST_") || entry.starts_with("CARGO");
        assert_eq!(environment.iter().filter(foreign).count(), 0, "{environment:?}");
        for file in processes::descriptors(task.process_id) {
            let shared = is_private(&file) && services.contains(&file);
            let of_the_state = file.starts_with(&state_dir) && !file.starts_with(&profile);
            assert!(!shared && !of_the_state, "the browser has {}", file.display());
        }
        real.cancel(&task.task_id).await;
        real.finish(&task.task_id).await;
    }
    assert!(!run.exists(), "the ephemeral profile goes with its job");
    assert!(profile.is_dir());
}
