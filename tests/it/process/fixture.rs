//! What every test here stands on: directories, a launcher, and the proof that nothing is left.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use comet_task_runner::process::{Exited, Go, Launcher, Nonce, Order, Place, RunDirs, Shim, Stop, Told};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tempfile::TempDir;
use tokio::time::timeout;
use uuid::Uuid;

use crate::stub::stub_browser;

/// Long enough for a loaded machine; only a failing test waits so long.
const DEADLINE: Duration = Duration::from_secs(30);

/// Everything at once, as hard as it goes.
pub(super) const AT_ONCE: Stop = Stop { asked: false, close_pipe_after_ms: 0, term_after_ms: 0, kill_after_ms: 0 };

pub(super) struct Fixture {
    base: TempDir,
    pub(super) dirs: RunDirs,
    pub(super) launcher: Launcher,
    shims: std::sync::Mutex<Vec<u32>>,
}

impl Fixture {
    /// With control groups where the machine has them.
    pub(super) async fn new() -> Fixture {
        let base = tempfile::tempdir().unwrap();
        let ledger_id = &Uuid::new_v4().simple().to_string()[..8];
        let dirs = RunDirs::prepare_under(base.path(), &base.path().join("state"), ledger_id).unwrap();
        let launcher = Launcher::start_with(Path::new(env!("CARGO_BIN_EXE_comet-task-runner"))).await.unwrap();
        Fixture { base, dirs, launcher, shims: std::sync::Mutex::default() }
    }

    /// As on a machine that has none.
    pub(super) async fn without_cgroups() -> Fixture {
        let fixture = Fixture::new().await;
        Fixture { dirs: fixture.dirs.clone().without_cgroups(), ..fixture }
    }

    /// Both, for what must hold either way.
    pub(super) async fn both() -> [Fixture; 2] {
        let with = Fixture::new().await;
        if !with.dirs.has_cgroups() {
            eprintln!("no writable cgroup v2 here: only the way without is tested");
        }
        [with, Fixture::without_cgroups().await]
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    pub(super) fn place(&self) -> Place {
        self.dirs.place(&Uuid::now_v7().to_string())
    }

    pub(super) async fn shim(&self, place: &Place) -> Shim {
        let shim = soon(self.launcher.fork_shim(place, Nonce::random())).await.unwrap();
        self.shims.lock().unwrap().push(shim.hello().shim.pid);
        shim
    }

    /// A job up to its browser's start.
    pub(super) async fn started(&self, place: &Place, go: Go) -> (Shim, u32) {
        let mut shim = self.shim(place).await;
        shim.send(&Order::Go(go)).await.unwrap();
        match told(&mut shim).await {
            Told::Started(started) => (shim, started.pid),
            other => panic!("expected Started, was told {other:?}"),
        }
    }

    /// Runs one job from GO to its acknowledged end.
    pub(super) async fn run(&self, go: Go) -> Exited {
        let (mut shim, _) = self.started(&self.place(), go).await;
        let exited = exited(&mut shim).await;
        farewell(shim).await;
        exited
    }

    /// Ends the launcher and proves that no shim, directory or control group is left.
    pub(super) async fn finish(self) {
        self.launcher.stop().await;
        for pid in self.shims.into_inner().unwrap() {
            gone(pid).await;
        }
        let left = |directory: &Path| -> Vec<_> {
            std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
        };
        assert_eq!(left(self.dirs.run()), Vec::<PathBuf>::new());
        let jobs = self.base.path().join("state/jobs");
        assert_eq!(left(&jobs), [jobs.join(".go")], "only what every job shares");
        self.dirs.release();
        assert!(!self.dirs.run().exists());
        let name = self.dirs.run().file_name().unwrap();
        let unified = Path::new("/sys/fs/cgroup/unified").join(name);
        assert!(!unified.exists() && !Path::new("/sys/fs/cgroup").join(name).exists());
    }
}

/// A browser that does what the path says.
pub(super) fn go(path: &str) -> Go {
    Go {
        argv: vec![stub_browser().to_str().unwrap().to_owned(), format!("stub://host{path}")],
        env: Vec::new(),
        pipe: false,
        lock: None,
        run_deadline_boot_ns: None,
        away_max_ms: 24 * 60 * 60 * 1000,
        grace_ms: 5000,
        left_alone: false,
    }
}

/// The same, spoken to over its pipe.
pub(super) fn go_pipe(path: &str) -> Go {
    Go { pipe: true, ..go(path) }
}

pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(DEADLINE, what).await.expect("it happens within the deadline")
}

/// The next thing told, which has to come.
pub(super) async fn told(shim: &mut Shim) -> Told {
    soon(shim.next()).await.expect("the shim is there").told
}

/// The browser's end, and nothing but its messages before.
pub(super) async fn exited(shim: &mut Shim) -> Exited {
    loop {
        match told(shim).await {
            Told::Exited(exited) => return exited,
            Told::Browser(_) | Told::Output(_) => {}
            other => panic!("expected Exited, was told {other:?}"),
        }
    }
}

/// Acknowledges what was told and what may still come, until the shim has left.
pub(super) async fn farewell(mut shim: Shim) {
    shim.send(&Order::Ack(u64::MAX)).await.unwrap();
    while let Some(numbered) = soon(shim.next()).await {
        shim.send(&Order::Ack(numbered.number)).await.unwrap();
    }
}

/// Waits until the process is gone; one that never was is.
pub(super) async fn gone(pid: u32) {
    let wait = move || {
        let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
            return true;
        };
        let deadline = Timespec { tv_sec: DEADLINE.as_secs().try_into().unwrap(), tv_nsec: 0 };
        poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&deadline)).unwrap() == 1
    };
    assert!(tokio::task::spawn_blocking(wait).await.unwrap(), "process {pid} is still there");
}

/// Makes a pipe with a name and returns what its writer says first, a line.
pub(super) async fn first_line_of(path: PathBuf) -> String {
    let read = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(std::fs::File::open(path).unwrap()), &mut line)
            .unwrap();
        line.trim_end().to_owned()
    });
    soon(read).await.unwrap()
}

pub(super) fn make_fifo(path: &Path) {
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
}
