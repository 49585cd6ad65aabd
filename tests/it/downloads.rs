//! What pages download, and tasks whose URL leads to a file: kept, listed, bounded, and gone with their job.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use comet_task_runner::api::v1::{
    self,
    job::{Reason, Status},
    job_file::Kind,
    log_entry::{Level, Source},
    page::LoadState,
};

use super::{
    display::Display,
    log::{Reader, following},
    nothing_left::Tidy,
    pages::{HALF, Pages},
    real::{Real, Seats, assert_ended, headless, load_state, not_run, seconds},
    real_windows::window,
    service::{Options, Service, ended, eventually, job_when},
};

/// A service whose browsers would write to `Downloads` in a home of their own, and what is there.
struct Home {
    real: Real,
    dir: tempfile::TempDir,
}

impl Home {
    async fn start_with(options: Options, seats: Seats) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = options.arg("--slots").arg("2").env("HOME", dir.path().to_str().unwrap());
        Some(Self { real: Real::start_with(options, seats).await?, dir })
    }

    async fn start(args: &[&str]) -> Option<Self> {
        let options = args.iter().fold(Options::chromium(), |options, arg| options.arg(*arg));
        Self::start_with(options, Seats::take(1, &[])?).await
    }

    /// The directory of a job's files.
    fn files_of(&self, task_id: &str) -> PathBuf {
        self.real.service.state_dir().join("files").join(task_id)
    }

    /// Nothing went where a person's downloads go.
    fn assert_untouched(&self) {
        assert!(!self.dir.path().join("Downloads").exists(), "the browser wrote to the person's own directory");
    }

    /// Watches a job until it has so many files.
    async fn with_files(&mut self, task_id: &str, count: usize) -> v1::Job {
        self.real.when(task_id, |job| job.files.len() == count).await
    }
}

/// What lies in a directory, in order; nothing where there is none.
fn names_in(dir: &Path) -> Vec<String> {
    let Ok(found) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<_> = found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn named(name: &str) -> String {
    format!("Content-Disposition: attachment; filename=\"{name}\"\r\n")
}

/// A page that clicks on each of these links in turn.
fn clicks(links: &[&str]) -> String {
    let script = "for (const to of LINKS) { const a = document.createElement('a'); a.href = to; a.download = ''; \
                  document.body.append(a); a.click(); await new Promise(done => setTimeout(done, 200)); }";
    let links = serde_json::to_string(links).unwrap();
    format!("<!doctype html><body><script>(async () => {{ {} }})()</script>", script.replace("LINKS", &links))
}

/// Two files of one name and one that tries to lead elsewhere.
async fn keeps_its_downloads(mut home: Home, request: impl Fn(&str) -> v1::ExecuteRequest) {
    let pages = &home.real.pages;
    pages.html_with("/one", &named("a.bin"), "one");
    pages.html_with("/two", &named("a.bin"), "second");
    pages.html_with("/evil", &named("../../.evil.sh"), "");
    let url = pages.html("/clicks", &clicks(&["/one", "/two", "/evil"]));
    let begun = home.real.begin(request(&url)).await;
    let job = home.with_files(&begun.task_id, 3).await;
    assert_eq!((job.status(), job.reason()), (Status::Running, Reason::Launched), "a download ends no task");
    let files: Vec<_> = job.files.iter().map(|file| (file.name.as_str(), file.size_bytes, file.kind())).collect();
    let [one, two, evil] = &files[..] else { panic!("{files:?}") };
    assert_eq!((one, two), (&("a.bin", 3, Kind::Download), &("a (2).bin", 6, Kind::Download)));
    assert!(!evil.0.starts_with('.') && !evil.0.contains('/') && evil.0.ends_with("evil.sh"), "{evil:?}");

    home.real.cancel(&begun.task_id).await;
    let job = home.real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Cancelled, Reason::CancelRequested);
    let dir = home.files_of(&begun.task_id);
    assert_eq!(fs::read_to_string(dir.join("a (2).bin")).unwrap(), "second");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("a.bin"))), (0o700, 0o600));
    eventually("that only what is kept stays", || names_in(&dir).len() == 3);
    home.assert_untouched();
}

#[tokio::test]
async fn downloads_without_a_window_are_kept_under_names_that_are_safe_and_told() {
    let Some(home) = Home::start(&[]).await else { return };
    keeps_its_downloads(home, headless).await;
}

#[tokio::test]
async fn downloads_of_a_window_are_kept_as_well() {
    let Some(seats) = Seats::take(1, &["Xvfb", "openbox"]) else { return };
    let display = Display::start();
    let Some(home) = Home::start_with(Options::chromium().env("DISPLAY", &display.name), seats).await else { return };
    keeps_its_downloads(home, window).await;
}

/// A task for a URL that leads to a file, from its beginning over its middle to its end.
async fn is_done_with_its_file(mut home: Home, request: impl Fn(&str) -> v1::ExecuteRequest) {
    let begun = home.real.begin(request(&home.real.pages.url("/drip"))).await;
    let job = home.real.when(&begun.task_id, |job| job.message.starts_with("downloading")).await;
    assert_eq!(
        (job.status(), load_state(&job), job.message.as_str()),
        (Status::Running, LoadState::Loading, "downloading drip.bin")
    );
    home.real.pages.open_gate();
    let job = home.real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::Downloaded);
    assert_eq!((load_state(&job), job.message.as_str()), (LoadState::Downloaded, "drip.bin was downloaded"));
    assert_eq!((job.files.len(), job.files[0].size_bytes), (1, 2 * HALF as u64));
    let kept = fs::read(home.files_of(&begun.task_id).join("drip.bin")).unwrap();
    assert_eq!(kept, [b'x'; 2 * HALF]);
    home.assert_untouched();
}

#[tokio::test]
async fn a_url_that_leads_to_a_file_is_done_when_it_is_there() {
    let Some(home) = Home::start(&[]).await else { return };
    is_done_with_its_file(home, headless).await;
}

#[tokio::test]
async fn a_url_that_leads_to_a_file_is_done_in_a_window_too() {
    let Some(seats) = Seats::take(1, &["Xvfb", "openbox"]) else { return };
    let display = Display::start();
    let Some(home) = Home::start_with(Options::chromium().env("DISPLAY", &display.name), seats).await else { return };
    let closed = v1::execute_request::AfterFinish::Close.into();
    is_done_with_its_file(home, |url| v1::ExecuteRequest { after_finish: closed, ..window(url) }).await;
}

#[tokio::test]
async fn a_file_that_breaks_off_fails_its_task_and_leaves_nothing() {
    let Some(mut home) = Home::start(&[]).await else { return };
    let job = home.real.run(headless(&home.real.pages.url("/cut"))).await;
    assert_ended(&job, Status::Failed, Reason::DownloadFailed);
    let told = format!("drip.bin was not downloaded: it was cancelled or broke off after {HALF} bytes");
    assert_eq!((job.message, job.files.len()), (told, 0));
    eventually("that nothing is left of it", || !home.files_of(&job.task_id).exists());
}

#[tokio::test]
async fn what_is_too_large_is_not_kept_and_fails_only_the_task_that_asked_for_it() {
    let Some(mut home) = Home::start(&["--downloads-max-mb", "1"]).await else { return };
    let large = "x".repeat(1024 * 1024 + 1);
    let url = home.real.pages.html_with("/large", &named("large.bin"), &large);
    let job = home.real.run(headless(&url)).await;
    assert_ended(&job, Status::Failed, Reason::DownloadFailed);
    assert!(job.message.starts_with("large.bin was not downloaded: the files of a task may take 1048576"), "{job:?}");
    eventually("that nothing is left of it", || !home.files_of(&job.task_id).exists());

    home.real.pages.html_with("/small", &named("small.bin"), "small");
    let url = home.real.pages.html("/clicks", &clicks(&[&["/large"], ["/small"; 20].as_slice()].concat()));
    let begun = home.real.begin(headless(&url)).await;
    let job = home.with_files(&begun.task_id, 1).await;
    assert_eq!((job.status(), job.files[0].name.as_str()), (Status::Running, "small.bin"));
    let mut reader = Reader::open(&mut home.real.client, following(&begun.task_id)).await;
    let refused = reader.until("large.bin was not downloaded").await.pop().expect("it ends with what is waited for");
    assert_eq!((refused.source(), refused.level()), (Source::Page, Level::Warning));
    home.real.cancel(&begun.task_id).await;
    home.real.finish(&begun.task_id).await;
}

#[tokio::test]
async fn a_download_that_is_under_way_holds_no_task_up_and_leaves_nothing() {
    let Some(mut home) = Home::start(&[]).await else { return };
    let begun = home.real.begin(headless(&home.real.pages.url("/drip"))).await;
    home.real.when(&begun.task_id, |job| job.message.starts_with("downloading")).await;
    home.real.cancel(&begun.task_id).await;
    let job = home.real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Cancelled, Reason::CancelRequested);
    eventually("that nothing is left of it", || !home.files_of(&begun.task_id).exists());
    // A page that is closed is what ends its task, whatever it still downloads.
    let page = format!("{}<script>setTimeout(close, 1000)</script>", clicks(&["/drip"]));
    let url = home.real.pages.html("/closes", &page);
    let job = home.real.run(headless(&url)).await;
    assert_ended(&job, Status::Done, Reason::PageClosed);
    assert_eq!(job.files.len(), 0);
}

#[tokio::test]
async fn a_file_that_comes_while_no_service_is_there_is_kept_by_the_next_one() {
    let Some(mut home) = Home::start(&[]).await else { return };
    let begun = home.real.begin(headless(&home.real.pages.url("/drip"))).await;
    home.real.when(&begun.task_id, |job| job.message.starts_with("downloading")).await;
    home.real.service.kill();
    home.real.pages.open_gate();
    let incoming = home.files_of(&begun.task_id).join(".incoming");
    let is_whole = |name: &String| !name.ends_with(".crdownload");
    eventually("that the browser has the file", || names_in(&incoming).iter().any(is_whole));
    home.real.service.restart();
    home.real.client = home.real.service.client().await;
    let job = home.real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::Downloaded);
    eventually("that only the file is left", || names_in(&home.files_of(&begun.task_id)) == ["drip.bin"]);
}

#[tokio::test]
async fn a_file_that_begins_before_a_restart_ends_after_it() {
    let Some(mut home) = Home::start(&[]).await else { return };
    let begun = home.real.begin(headless(&home.real.pages.url("/drip"))).await;
    home.real.when(&begun.task_id, |job| job.message.starts_with("downloading")).await;
    home.real.service.kill();
    home.real.service.restart();
    home.real.client = home.real.service.client().await;
    home.real.pages.open_gate();
    let job = home.real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::Downloaded);
    assert_eq!(job.files[0].size_bytes, 2 * HALF as u64);
}

#[tokio::test]
async fn files_go_with_their_job_and_those_of_unknown_jobs_at_the_next_start() {
    let Some(mut home) = Home::start(&[]).await else { return };
    let url = home.real.pages.html_with("/file", &named("a.bin"), "abc");
    let short = v1::ExecuteRequest { retention: seconds(1), ..headless(&url) };
    let begun = home.real.begin(short).await;
    let dir = home.files_of(&begun.task_id);
    home.with_files(&begun.task_id, 1).await;
    eventually("that the files of a forgotten job go", || !dir.exists());

    let kept = home.real.run(headless(&url)).await;
    let unknown = home.files_of("0198c0de-0000-7000-8000-000000000001");
    fs::create_dir_all(&unknown).unwrap();
    fs::write(unknown.join("b.bin"), "b").unwrap();
    let left = home.files_of(&kept.task_id).join(".incoming");
    fs::create_dir_all(&left).unwrap();
    home.real.service.kill();
    home.real.service.restart();
    eventually("that what nobody knows is swept", || !unknown.exists() && !left.exists());
    assert_eq!(names_in(&home.files_of(&kept.task_id)), ["a.bin"]);
}

#[tokio::test]
async fn a_disk_that_is_full_is_told_and_fails_nothing_but_the_download() {
    let Some(_seats) = Seats::take(1, &["unshare", "mount"]) else { return };
    if !rustix::process::geteuid().is_root() {
        return not_run("only root can make a small disk");
    }
    let home = tempfile::Builder::new().prefix("ct").tempdir_in("/tmp").unwrap();
    fs::create_dir(home.path().join("r")).unwrap();
    // A disk that only this service and its browsers see, gone with the last of them.
    let small = "umask 077; mkdir -p \"$0/s/files\" && mount -t tmpfs -o size=64k none \"$0/s/files\" && exec \"$@\"";
    let through = ["unshare", "--mount", "sh", "-c", small, home.path().to_str().unwrap()].map(str::to_owned);
    let options = Options { through: through.into(), ..Options::chromium() };
    let service = Tidy::watch(Service::start_in(home, options));
    let mut client = service.client().await;
    let pages = Pages::start();
    let url = pages.html_with("/large", &named("large.bin"), &"x".repeat(1024 * 1024));
    let begun = client.execute(headless(&url)).await.unwrap().into_inner();
    let job = ended(&mut client, &begun.task_id).await;
    assert_ended(&job, Status::Failed, Reason::DownloadFailed);
    assert!(job.message.contains("disk that holds the state directory is full"), "{job:?}");

    pages.html_with("/small", &named("small.bin"), "small");
    let url = pages.html("/clicks", &clicks(&[&["/large"], ["/small"; 20].as_slice()].concat()));
    let begun = client.execute(headless(&url)).await.unwrap().into_inner();
    // One that comes while the disk is still full is not kept either.
    let job = job_when(&mut client, &begun.task_id, |job| !job.files.is_empty()).await;
    assert_eq!((job.status(), job.files[0].name.as_str()), (Status::Running, "small.bin"));
}
