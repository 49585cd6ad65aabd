//! A Wayland display without a screen: a browser opens its windows there, and nobody else may see them.

use std::process::{Child, Command, Stdio};

use comet_task_runner::api::v1::{self, execute_request::Mode, focus_window_response::Outcome};
use tonic::Code;

use super::{
    display::Display,
    real::{Real, Seats},
    service::{Options, eventually, execute},
    wire::refused,
};

/// Its socket.
const SOCKET: &str = "tests";

/// A compositor of a test's own; it ends when dropped.
struct Compositor {
    child: Child,
    dir: tempfile::TempDir,
}

impl Compositor {
    fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("ctw").tempdir_in("/tmp").unwrap();
        let child = Command::new("weston")
            .args(["--backend=headless-backend.so", "--idle-time=0", "--no-config"])
            .arg(format!("--socket={SOCKET}"))
            .env("XDG_RUNTIME_DIR", dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let socket = dir.path().join(SOCKET);
        eventually("the compositor listens", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        Self { child, dir }
    }
}

impl Drop for Compositor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A service whose windows come up under Wayland, and a task in one of them.
async fn start(compositor: &Compositor, more: Options, seats: Seats) -> (Real, String) {
    let options = more
        .env("WAYLAND_DISPLAY", SOCKET)
        .env("XDG_RUNTIME_DIR", compositor.dir.path().to_str().unwrap())
        .env("XDG_SESSION_TYPE", "wayland");
    let mut real = Real::start_with(options, seats).await.unwrap();
    let url = real.pages.html("/page", "<!doctype html><title>page</title>here");
    let task_id = real.begin(v1::ExecuteRequest { mode: Mode::Headed.into(), ..execute(&url) }).await.task_id;
    real.shown(&task_id).await;
    (real, task_id)
}

fn focus(task_id: &str, window_id: u32) -> v1::FocusWindowRequest {
    v1::FocusWindowRequest { task_id: task_id.to_owned(), window_id }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_wayland_the_browser_is_told_to_show_itself_and_nobody_claims_that_it_did() {
    let Some(seats) = Seats::take(1, &["weston"]) else { return };
    let compositor = Compositor::start();
    let (mut real, task_id) = start(&compositor, Options::chromium(), seats).await;
    let answer = real.client.focus_window(focus(&task_id, 0)).await.unwrap().into_inner();
    assert_eq!((answer.outcome(), answer.window), (Outcome::Unverifiable, None));
    let refusal = refused(real.client.focus_window(focus(&task_id, 7)).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "WINDOWS_UNSUPPORTED"));
    let refusal = refused(real.client.list_windows(v1::ListWindowsRequest::default()).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "WINDOWS_UNSUPPORTED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_x_server_beside_wayland_the_windows_are_looked_for_there_first() {
    let Some(seats) = Seats::take(1, &["weston", "Xvfb"]) else { return };
    let (compositor, display) = (Compositor::start(), Display::bare());
    let options = Options::chromium().env("DISPLAY", &display.name);
    let (mut real, task_id) = start(&compositor, options, seats).await;
    let listed = real.client.list_windows(v1::ListWindowsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.windows, [], "the browser took Wayland");
    let answer = real.client.focus_window(focus(&task_id, 0)).await.unwrap().into_inner();
    assert_eq!((answer.outcome(), answer.window), (Outcome::Unverifiable, None));
    let refusal = refused(real.client.focus_window(focus(&task_id, 7)).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::NotFound, "WINDOW_NOT_FOUND"));
}
