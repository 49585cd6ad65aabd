//! The probes of supervisors: that the service lives, and whether it takes tasks.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use comet_task_runner::api::v1::job::Status;
use rustix::process::geteuid;
use tonic::Code;

use super::{
    plain_http::{ask, get},
    real::{Seats, not_run},
    service::{Options, Service, ended, execute, stub_url},
    wire::refused,
};

#[tokio::test]
async fn a_service_that_takes_tasks_says_so_without_a_token() {
    let service = Service::start_with(Options::default().arg("--no-sandbox"));
    let alive = get(&service, "/healthz");
    assert_eq!((alive.status, alive.body.as_str()), (200, "ok\n"));
    let ready = get(&service, "/readyz");
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json(), serde_json::json!({"ready": true, "problems": []}));
    for path in ["/healthz", "/readyz"] {
        let head = ask(&service, &format!("HEAD {path}"), "");
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert!(head.head.contains("cache-control: no-store"), "{}", head.head);
        assert_eq!(ask(&service, &format!("POST {path}"), "").status, 405);
    }
}

#[tokio::test]
async fn a_service_whose_browsers_cannot_be_started_lives_and_is_not_ready() {
    if !geteuid().is_root() {
        return not_run("it has to be root, whom Chromium's sandbox refuses");
    }
    let Some(_seats) = Seats::take(0, &[]) else { return };
    // Firefox would be started all the same, so for this service there is none.
    let script = "for dir in /usr/lib/firefox /usr/lib64/firefox /usr/lib/firefox-esr; do \
        [ ! -d $dir ] || mount -t tmpfs none $dir || exit 1; done; exec \"$@\"";
    let through = ["unshare", "--mount", "sh", "-c", script, "sh"].map(str::to_owned).into();
    let service = Service::start_with(Options { real_browser: true, through, ..Options::default() });
    assert_eq!(get(&service, "/healthz").status, 200);
    let ready = get(&service, "/readyz");
    assert_eq!(ready.status, 503);
    let told = ready.json();
    assert_eq!(told["ready"], false);
    assert_eq!(told["problems"][0]["what"], "Chromium's sandbox does not run as root");
    assert!(told["problems"][0]["remedy"].as_str().unwrap().contains("--no-sandbox"), "{told}");
}

/// The state directory of a service is a tmpfs in a mount namespace of its own: seen through the service's root.
struct SmallDisk {
    service: Service,
    state_dir: PathBuf,
}

impl SmallDisk {
    /// None, with a word about why, where there are no mount namespaces.
    fn start() -> Option<Self> {
        let script = "mount -t tmpfs -o size=2m,mode=700 none \"$0\" && exec \"$@\"";
        let unshare = ["--user", "--map-root-user", "--mount"];
        let can = Command::new("unshare").args(unshare).args(["mount", "-t", "tmpfs", "none", "/mnt"]).output();
        if !can.is_ok_and(|can| can.status.success()) {
            not_run("no mount namespace");
            return None;
        }
        let home = tempfile::Builder::new().prefix("ct").tempdir_in("/tmp").unwrap();
        fs::create_dir(home.path().join("r")).unwrap();
        let state_dir = home.path().join("s");
        fs::create_dir(&state_dir).unwrap();
        let mut options = Options::default().arg("--no-sandbox");
        options.through =
            ["unshare"].iter().chain(&unshare).chain(&["sh", "-c", script]).map(|&arg| arg.into()).collect();
        options.through.push(state_dir.to_str().unwrap().to_owned());
        let service = Service::start_in(home, options);
        let state_dir =
            Path::new("/proc").join(service.pid().to_string()).join("root").join(&state_dir.to_str().unwrap()[1..]);
        Some(Self { service, state_dir })
    }

    fn token(&self) -> String {
        fs::read_to_string(self.state_dir.join("token")).unwrap().trim().to_owned()
    }

    /// Takes every byte that is left.
    fn fill(&self) -> PathBuf {
        let ballast = self.state_dir.join("ballast");
        let mut file = File::create(&ballast).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        ballast
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_makes_a_service_unready_until_it_has_room_again() {
    let Some(disk) = SmallDisk::start() else { return };
    let mut client = disk.service.client_with(&disk.token()).await;
    assert_eq!(get(&disk.service, "/readyz").status, 200);

    let ballast = disk.fill();
    let full = refused(client.execute(execute(&stub_url("/exit/0"))).await);
    assert_eq!((full.code, full.reason.as_str()), (Code::ResourceExhausted, "LEDGER_FULL"));
    for _ in 0..3 {
        let ready = get(&disk.service, "/readyz");
        assert_eq!(ready.status, 503, "{}", ready.body);
        let told = ready.json();
        assert_eq!(told["problems"][0]["what"], "jobs cannot be remembered: the store's disk is full");
        assert_eq!(told["problems"][0]["remedy"], "make room on the disk of the state directory");
    }
    assert_eq!(get(&disk.service, "/healthz").status, 200, "it lives all the same");

    // Nobody sends a task to a service that is not ready, so it must find out by itself.
    fs::remove_file(ballast).unwrap();
    let ready = get(&disk.service, "/readyz");
    assert_eq!((ready.status, ready.json()["problems"].as_array().unwrap().len()), (200, 0), "{}", ready.body);
    let made = client.execute(execute(&stub_url("/exit/0"))).await.unwrap().into_inner();
    assert_eq!(ended(&mut client, &made.task_id).await.status(), Status::Done);
}
