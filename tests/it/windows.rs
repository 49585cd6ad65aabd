//! The windows of tasks, in real browsers on real displays: listed, focused, tiled, and read back by other means.

use comet_task_runner::{
    api::v1::{self, execute_request::Mode, focus_window_response::Outcome, window::Role},
    desktop::{Desktop, WindowRef, X11},
};
use tonic::Code;

use super::{
    cli,
    display::Display,
    painted::{Painted, Screen},
    real::{Real, Seats, headless, when},
    service::{Client, Options, Service, eventually, execute, stub_url},
    wire::refused,
};

/// What these tests need beside a browser.
const PROGRAMS: [&str; 3] = ["Xvfb", "openbox", "xdotool"];

/// Colours that no browser draws by itself, one for each of six tasks.
const COLOURS: [[u8; 3]; 6] =
    [[200, 30, 30], [30, 160, 40], [30, 40, 200], [220, 160, 20], [140, 30, 170], [20, 170, 170]];

/// Below the tabs and the address of a window, and clear of its edges.
const INTO_THE_PAGE: (i32, i32) = (250, 300);

fn page([red, green, blue]: [u8; 3], more: &str) -> String {
    format!(
        "<!doctype html><title>page {red}</title><style>html {{ background: rgb({red} {green} {blue}) }}</style>{more}"
    )
}

async fn start(display: &Display, seats: Seats) -> Real {
    let options = Options::chromium().arg("--slots").arg("6").env("DISPLAY", &display.name);
    Real::start_with(options, seats).await.expect("it always starts")
}

fn headed(url: &str) -> v1::ExecuteRequest {
    v1::ExecuteRequest { mode: Mode::Headed.into(), ..execute(url) }
}

async fn windows(client: &mut Client, task_id: &str) -> Vec<v1::Window> {
    let request = v1::ListWindowsRequest { task_id: task_id.to_owned() };
    client.list_windows(request).await.unwrap().into_inner().windows
}

/// Begins a task in a window, and waits until the window is there with its page in it.
async fn open(real: &mut Real, display: &Display, url: &str) -> String {
    let begun = real.begin(headed(url)).await;
    display.window(&format!("comet-task-{}", begun.task_id));
    real.shown(&begun.task_id).await;
    begun.task_id
}

async fn focus(client: &mut Client, task_id: &str, window_id: u32) -> v1::Window {
    let request = v1::FocusWindowRequest { task_id: task_id.to_owned(), window_id };
    let answer = client.focus_window(request).await.unwrap().into_inner();
    assert_eq!(answer.outcome(), Outcome::Focused, "{answer:?}");
    let window = answer.window.unwrap();
    assert!(window.focused && window.on_top && !window.minimised, "{window:?}");
    window
}

/// Waits until a person sees a window's colour where the window is.
fn assert_seen(screen: &Screen, window: &v1::Window, colour: [u8; 3]) {
    let bounds = window.bounds.unwrap();
    let (x, y) = (bounds.x + INTO_THE_PAGE.0, bounds.y + INTO_THE_PAGE.1);
    eventually(&format!("{colour:?} at {x},{y}"), || screen.pixel(x, y) == colour);
}

fn overlap(one: &v1::Window, other: &v1::Window) -> bool {
    let (one, other) = (one.bounds.unwrap(), other.bounds.unwrap());
    let apart = |a: i32, a_long: u32, b: i32, b_long: u32| {
        i64::from(a) + i64::from(a_long) <= i64::from(b) || i64::from(b) + i64::from(b_long) <= i64::from(a)
    };
    !apart(one.x, one.width, other.x, other.width) && !apart(one.y, one.height, other.y, other.height)
}

/// What names the window for the desktop layer: its process is the task's browser.
async fn known(client: &mut Client, window: &v1::Window) -> WindowRef {
    let job = when(client, &window.task_id, |job| job.process_id > 0).await;
    WindowRef { id: window.window_id, pid: job.process_id }
}

#[tokio::test(flavor = "multi_thread")]
async fn six_tasks_are_seen_one_by_one_and_side_by_side() {
    let Some(seats) = Seats::take_all(&PROGRAMS) else { return };
    let display = Display::start();
    let screen = Screen::of(&display);
    let mut real = start(&display, seats).await;
    let foreign = Painted::show(&display, "foreign", 0x00ff_ffff, (37, 41));
    let desktop = X11::new(display.name.clone());
    let place_of_foreign = || desktop.windows(&mut |pid| pid == std::process::id()).unwrap()[0].bounds;
    let before = place_of_foreign();
    let mut tasks = Vec::new();
    for colour in COLOURS {
        let url = real.pages.html(&format!("/page{}", tasks.len()), &page(colour, ""));
        tasks.push(open(&mut real, &display, &url).await);
    }

    let listed = windows(&mut real.client, "").await;
    let mut whose: Vec<_> = listed.iter().map(|window| window.task_id.clone()).collect();
    whose.sort();
    assert_eq!(whose, tasks, "a window for each, and none of anybody else's: {listed:?}");
    assert!(listed.iter().all(|window| window.role() == Role::Page), "{listed:?}");
    assert_eq!(listed.iter().filter(|window| window.on_top).count(), 1, "{listed:?}");

    // All are about as large as the screen: the one in front is the one that is seen.
    for (task, colour) in tasks.iter().zip(COLOURS).chain([(&tasks[0], COLOURS[0])]) {
        let window = focus(&mut real.client, task, 0).await;
        assert_seen(&screen, &window, colour);
        let active = display.run("xdotool", &["getactivewindow"]);
        assert_eq!(active.trim(), window.window_id.to_string());
    }

    // The first is in front now, so the second is covered: it has a picture all the same.
    let covered = windows(&mut real.client, &tasks[1]).await.remove(0);
    assert!(!covered.on_top);
    let at = known(&mut real.client, &covered).await;
    let picture = desktop.capture(at).unwrap();
    let (x, y) = (u32::try_from(INTO_THE_PAGE.0).unwrap(), u32::try_from(INTO_THE_PAGE.1).unwrap());
    let pixel = usize::try_from((y * picture.width + x) * 4).unwrap();
    assert_eq!(picture.rgba[pixel..pixel + 3], COLOURS[1]);
    assert_ne!(screen.pixel_of(covered.window_id, INTO_THE_PAGE.0, INTO_THE_PAGE.1), Some(COLOURS[1]));

    let tiled =
        real.client.tile_windows(v1::TileWindowsRequest { task_ids: tasks.clone() }).await.unwrap().into_inner();
    assert!(!tiled.overlap, "{tiled:?}");
    assert_eq!(tiled.windows.len(), 6);
    for (nth, (window, colour)) in tiled.windows.iter().zip(COLOURS).enumerate() {
        assert_eq!(window.task_id, tasks[nth]);
        assert!(!tiled.windows[nth + 1..].iter().any(|other| overlap(window, other)), "{tiled:?}");
        assert_seen(&screen, &focus(&mut real.client, &window.task_id, window.window_id).await, colour);
    }
    for (window, colour) in tiled.windows.iter().zip(COLOURS) {
        assert_seen(&screen, window, colour);
    }
    assert_eq!(place_of_foreign(), before, "a foreign window was moved");

    let foreign_one = v1::FocusWindowRequest { task_id: tasks[0].clone(), window_id: foreign.at.id };
    let refusal = refused(real.client.focus_window(foreign_one).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::NotFound, "WINDOW_NOT_FOUND"));
    let shown = cli::ended(cli::on(&real.service, &["windows"])).await;
    assert_eq!((shown.code, shown.stdout.lines().count()), (Some(0), 7), "{shown:?}");
    let shown = cli::ended(cli::on(&real.service, &["focus", &tasks[3]])).await;
    assert!(shown.code == Some(0) && shown.stdout.starts_with("focused\n"), "{shown:?}");
    let shown = cli::ended(cli::on(&real.service, &["tile", &tasks[3], "--json"])).await;
    assert_eq!(shown.json()[0]["windows"][0]["taskId"], tasks[3].as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_with_a_popup_has_two_windows_and_either_can_be_seen() {
    let Some(seats) = Seats::take(1, &PROGRAMS) else { return };
    let display = Display::start();
    let screen = Screen::of(&display);
    let mut real = start(&display, seats).await;
    real.pages.html("/popup", &page(COLOURS[1], ""));
    let opens = "<script>onclick = () => open('/popup', '', 'width=700,height=600')</script>";
    let url = real.pages.html("/page", &page(COLOURS[0], opens));
    let task = open(&mut real, &display, &url).await;
    let only = focus(&mut real.client, &task, 0).await;
    assert_seen(&screen, &only, COLOURS[0]);
    let bounds = only.bounds.unwrap();
    let (x, y) = (bounds.x + INTO_THE_PAGE.0, bounds.y + INTO_THE_PAGE.1);
    display.run("xdotool", &["mousemove", &x.to_string(), &y.to_string(), "click", "1"]);
    let desktop = X11::new(display.name.clone());
    let browser = known(&mut real.client, &only).await.pid;
    eventually("the popup is shown", || desktop.windows(&mut |pid| pid == browser).unwrap().len() == 2);

    let both = windows(&mut real.client, &task).await;
    assert_eq!(both.iter().map(v1::Window::role).collect::<Vec<_>>(), [Role::Page, Role::Popup], "{both:?}");
    for (nth, window_id) in [(0, 0), (1, both[1].window_id), (0, both[0].window_id), (1, both[1].window_id)] {
        let window = focus(&mut real.client, &task, window_id).await;
        assert_eq!(window.window_id, both[nth].window_id);
        assert_seen(&screen, &window, COLOURS[nth]);
    }

    let minimised = both[0].window_id.to_string();
    display.run("xdotool", &["windowminimize", "--sync", &minimised]);
    let listed = windows(&mut real.client, &task).await;
    assert!(listed[0].minimised && !listed[0].on_top && !listed[0].focused, "{listed:?}");
    assert_seen(&screen, &focus(&mut real.client, &task, 0).await, COLOURS[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_window_manager_a_window_comes_to_the_front_all_the_same() {
    let Some(seats) = Seats::take_all(&PROGRAMS) else { return };
    let display = Display::bare();
    let screen = Screen::of(&display);
    let mut real = start(&display, seats).await;
    let mut tasks = Vec::new();
    for colour in &COLOURS[..2] {
        let url = real.pages.html(&format!("/page{}", tasks.len()), &page(*colour, ""));
        tasks.push(open(&mut real, &display, &url).await);
    }
    for nth in [0, 1, 0] {
        let window = focus(&mut real.client, &tasks[nth], 0).await;
        assert_seen(&screen, &window, COLOURS[nth]);
    }
    let tiled = real.client.tile_windows(v1::TileWindowsRequest::default()).await.unwrap().into_inner();
    assert!(tiled.windows.len() == 2 && !tiled.overlap, "{tiled:?}");
    let without = real.begin(headless(&real.pages.url("/page0"))).await;
    assert_eq!(windows(&mut real.client, &without.task_id).await, []);
    let request = v1::FocusWindowRequest { task_id: without.task_id, window_id: 0 };
    let refusal = refused(real.client.focus_window(request).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "NO_WINDOW"));
    drop(display);
    let refusal = refused(real.client.list_windows(v1::ListWindowsRequest::default()).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Unavailable, "DISPLAY_UNAVAILABLE"));
}

#[tokio::test]
async fn where_no_window_can_be_seen_the_refusal_says_what_would_help() {
    let wayland = Options::default().env("WAYLAND_DISPLAY", "nowhere").env("DISPLAY", "");
    for (options, remedy) in [(Options::default(), "DISPLAY"), (wayland, "Wayland")] {
        let service = Service::start_with(options);
        let mut client = service.client().await;
        let url = stub_url("/sleep");
        let made = client.execute(v1::ExecuteRequest { mode: Mode::Headless.into(), ..execute(&url) }).await.unwrap();
        let task_id = made.into_inner().task_id;
        let refusal = refused(client.list_windows(v1::ListWindowsRequest::default()).await);
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "WINDOWS_UNSUPPORTED"));
        assert!(refusal.message.contains(remedy), "{}", refusal.message);
        let focus = v1::FocusWindowRequest { task_id, window_id: 0 };
        let refusal = refused(client.focus_window(focus).await);
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "NO_WINDOW"));
        let unknown = v1::TileWindowsRequest { task_ids: vec!["01890a5d-ac96-774b-bcce-b302099a8057".to_owned()] };
        assert_eq!(refused(client.tile_windows(unknown).await).reason, "TASK_NOT_FOUND");
        let shown = cli::ended(cli::on(&service, &["windows"])).await;
        assert!(shown.code != Some(0) && shown.stderr.contains(remedy), "{shown:?}");
    }
}
