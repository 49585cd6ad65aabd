//! Pictures of tasks however they stand: shown, covered, minimised, busy, before a dialog. Each answers, or says why not,
//! in time; and never with another window's pixels, or none.

use std::time::{Duration, Instant};

use comet_task_runner::api::v1::{
    self, CaptureScreenshotRequest as Asked, capture_screenshot_request::Area, execute_request::Mode,
    screenshot::Source,
};
use tonic::Code;

use super::{
    display::Display,
    real::{Real, Seats, chromium, headless},
    screenshot::{BLUE, GREEN, MIDDLE, RED, Taken, asked_once, coloured, force, of, picture},
    service::{AT_LENGTH, Options, watch},
    wire::Refused,
};

/// How often each state is pictured, unless `COMET_TASK_RUNNER_CAPTURE_ROUNDS` says otherwise: a person waits for these tests.
const ROUNDS: usize = 1;
fn rounds() -> usize {
    std::env::var("COMET_TASK_RUNNER_CAPTURE_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

/// A display with a window manager, and a service that opens windows on it.
async fn start(options: impl FnOnce(Options) -> Options) -> Option<(Display, Real)> {
    let seats = Seats::take(2, &["Xvfb", "openbox", "xdotool"])?;
    let display = Display::start();
    let service = options(Options::chromium().arg("--slots").arg("4")).env("DISPLAY", &display.name);
    let real = Real::start_with(service, seats).await?;
    Some((display, real))
}

/// A page of one colour that says so once it was drawn, and then does this.
fn then(real: &Real, path: &str, colour: [u8; 3], script: &str) -> String {
    let drawn = "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => {";
    let script = format!("<script>{drawn} cometTask.progress(1); {script} }}, 50)))</script>");
    real.pages.html(path, &format!("{}{script}", coloured(colour)))
}

/// Opens it, and waits until the page has said that it was drawn.
async fn open(real: &mut Real, request: v1::ExecuteRequest) -> String {
    let task_id = real.begin(request).await.task_id;
    let mut stream = real.client.watch_job(watch(&task_id)).await.unwrap().into_inner();
    let drawn = async {
        while let Some(message) = stream.message().await.unwrap() {
            if message.sample.is_some_and(|sample| sample.progress == Some(1)) {
                return;
            }
        }
        panic!("the task ended before its page was drawn");
    };
    tokio::time::timeout(AT_LENGTH, drawn).await.expect("the page is drawn");
    task_id
}

fn window(url: &str) -> v1::ExecuteRequest {
    v1::ExecuteRequest { mode: Mode::Headed.into(), ..headless(url) }
}

fn page_alone(task_id: &str) -> Asked {
    Asked { source: Source::Page.into(), ..of(task_id) }
}

/// What came of a state that was pictured again and again.
struct Row {
    state: &'static str,
    taken: Vec<Taken>,
    refused: Vec<Refused>,
    times: Vec<Duration>,
}

impl Row {
    async fn measure(real: &mut Real, state: &'static str, request: Asked) -> Self {
        let mut row = Self { state, taken: Vec::new(), refused: Vec::new(), times: Vec::new() };
        for _ in 0..rounds() {
            row.round(real, &request).await;
        }
        row.times.sort();
        let (answered, refused) = (row.taken.len(), row.refused.len());
        let (middle, longest) = (row.times[row.times.len() / 2], row.times[row.times.len() - 1]);
        let of_window = row.taken.iter().filter(|taken| taken.told.source() == Source::Window).count();
        println!(
            "{state:<22} {answered:>3} answered ({of_window} by the window), {refused:>3} refused, p50 {middle:>9.1?}, max {longest:>9.1?}"
        );
        row
    }

    async fn round(&mut self, real: &mut Real, request: &Asked) {
        let (answer, took) = asked_once(&mut real.client, request).await;
        self.times.push(took);
        match answer {
            Ok(taken) => self.taken.push(taken),
            Err(refused) => self.refused.push(refused),
        }
    }

    /// Each time a picture, with this colour at this place.
    fn shows(&self, place: (u32, u32), colour: [u8; 3]) {
        assert!(self.refused.is_empty(), "{}: {:?}", self.state, self.refused);
        self.shows_if_at_all(place, colour);
    }

    /// The same, but for where it was refused.
    fn shows_if_at_all(&self, place: (u32, u32), colour: [u8; 3]) {
        for taken in &self.taken {
            let (found, source) = (taken.at(place), taken.told.source());
            assert!(taken.is(place, colour), "{}: {found:?} by the {source:?}", self.state);
        }
    }

    /// Each time refused, as standing like this.
    fn is_refused_as(&self, state: &str) {
        assert!(self.taken.is_empty(), "{}: {} pictures", self.state, self.taken.len());
        self.is_refused_if_at_all_as(state);
    }

    fn is_refused_if_at_all_as(&self, state: &str) {
        for refused in &self.refused {
            assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "CAPTURE_UNAVAILABLE"));
            assert_eq!(refused.about["state"], state, "{}: {}", self.state, refused.message);
        }
    }
}

/// Where a dialog does not reach.
const LOW: (u32, u32) = (50, 95);

#[tokio::test]
async fn a_window_is_pictured_shown_covered_and_minimised() {
    let Some((display, mut real)) = start(|options| options).await else { return };
    let url = then(&real, "/red", RED, "");
    let red = open(&mut real, window(&url)).await;
    let row = Row::measure(&mut real, "shown", of(&red)).await;
    row.shows(MIDDLE, RED);
    assert!(row.taken.iter().all(|taken| taken.told.source() == Source::Page));
    let by_window = Asked { source: Source::Window.into(), ..of(&red) };
    Row::measure(&mut real, "shown, window", by_window.clone()).await.shows(MIDDLE, RED);

    let url = then(&real, "/blue", BLUE, "");
    let blue = open(&mut real, window(&url)).await;
    let above = display.window(&format!("comet-task-{blue}"));
    for change in [&["windowmove", above.as_str(), "0", "0"][..], &["windowsize", &above, "1600", "1100"]] {
        display.run("xdotool", change);
    }
    display.run("xdotool", &["windowactivate", "--sync", &above]);
    Row::measure(&mut real, "covered", of(&red)).await.shows(MIDDLE, RED);
    Row::measure(&mut real, "covered, window", by_window.clone()).await.shows(MIDDLE, RED);
    let whole = Asked { area: Some(Area::FullPage(true)), ..of(&red) };
    Row::measure(&mut real, "covered, full page", whole.clone()).await.shows(MIDDLE, RED);

    force(&mut real.client, &blue).await;
    let own = display.window(&format!("comet-task-{red}"));
    display.run("xdotool", &["windowminimize", "--sync", &own]);
    let row = Row::measure(&mut real, "minimised", of(&red)).await;
    row.shows_if_at_all(MIDDLE, RED);
    row.is_refused_if_at_all_as("MINIMISED");
    let row = Row::measure(&mut real, "minimised, full page", whole).await;
    row.shows_if_at_all(MIDDLE, RED);
    row.is_refused_if_at_all_as("MINIMISED");
    Row::measure(&mut real, "minimised, window", by_window).await.is_refused_as("MINIMISED");
    force(&mut real.client, &red).await;
}

#[tokio::test]
async fn a_page_that_stands_still_says_why_and_its_window_is_pictured_instead() {
    let Some((_display, mut real)) = start(|options| options).await else { return };
    let url = then(&real, "/asks", RED, "alert('well?')");
    let asks = open(&mut real, window(&url)).await;
    Row::measure(&mut real, "dialog, page", page_alone(&asks)).await.is_refused_as("DIALOG_OPEN");
    let row = Row::measure(&mut real, "dialog", of(&asks)).await;
    assert!(row.refused.is_empty() && row.taken.iter().all(|taken| taken.told.source() == Source::Window));
    // The browser darkens what lies behind a dialog.
    let red = |taken: &Taken| {
        let [red, green, blue] = taken.at(LOW);
        red > 60 && green < red / 3 && blue < red / 3
    };
    assert!(row.taken.iter().all(red), "{:?}", row.taken.iter().map(|taken| taken.at(LOW)).collect::<Vec<_>>());
    force(&mut real.client, &asks).await;

    let url = then(&real, "/busy", BLUE, "for (;;);");
    let busy = open(&mut real, window(&url)).await;
    Row::measure(&mut real, "busy, page", page_alone(&busy)).await.is_refused_as("BUSY");
    // By its window, if that comes within what the page's silence leaves.
    let row = Row::measure(&mut real, "busy", of(&busy)).await;
    row.shows_if_at_all(LOW, BLUE);
    row.is_refused_if_at_all_as("BUSY");
    assert!(row.taken.iter().all(|taken| taken.told.source() == Source::Window));
    let by_window = Asked { source: Source::Window.into(), ..of(&busy) };
    let taken = picture(&mut real.client, by_window).await.unwrap();
    assert!(taken.is(LOW, BLUE), "{:?}", taken.at(LOW));
    force(&mut real.client, &busy).await;
}

#[tokio::test]
async fn a_task_without_a_window_is_pictured_by_its_page_or_not_at_all() {
    let Some(mut real) = Real::start().await else { return };
    let url = then(&real, "/green", GREEN, "");
    let green = open(&mut real, headless(&url)).await;
    Row::measure(&mut real, "headless", of(&green)).await.shows(MIDDLE, GREEN);
    let by_window = Asked { source: Source::Window.into(), ..of(&green) };
    let refused = picture(&mut real.client, by_window).await.unwrap_err();
    assert_eq!((refused.reason.as_str(), refused.about["state"].as_str()), ("CAPTURE_UNAVAILABLE", "NO_WINDOW"));

    let url = then(&real, "/busy", RED, "for (;;);");
    let busy = open(&mut real, headless(&url)).await;
    Row::measure(&mut real, "headless, busy", of(&busy)).await.is_refused_as("BUSY");
    // Nothing is stuck behind them.
    Row::measure(&mut real, "headless, after", of(&green)).await.shows(MIDDLE, GREEN);
    for task_id in [green, busy] {
        force(&mut real.client, &task_id).await;
    }
}

#[tokio::test]
async fn a_browser_that_answers_nothing_is_pictured_by_its_window_alone() {
    let browser = chromium().map(|binary| format!("plain={},exit-only", binary.display()));
    let by_hand = |options: Options| options.arg("--browser").arg(browser.clone().unwrap_or_default());
    let Some((display, mut real)) = start(by_hand).await else { return };
    let url = real.pages.html("/red", &coloured(RED));
    let begun = real.begin(v1::ExecuteRequest { browser: "plain".to_owned(), ..window(&url) }).await;
    display.window(&format!("comet-task-{}", begun.task_id));
    // Nobody says when it has drawn its page, so it is looked at, as often as that is allowed.
    let deadline = Instant::now() + AT_LENGTH;
    loop {
        let taken = picture(&mut real.client, of(&begun.task_id)).await;
        match taken {
            Ok(taken) if taken.is(MIDDLE, RED) => {
                assert_eq!(taken.told.source(), Source::Window);
                break;
            }
            taken => assert!(Instant::now() < deadline, "its page does not come to be seen: {taken:?}"),
        }
    }
    for request in [page_alone(&begun.task_id), Asked { area: Some(Area::FullPage(true)), ..of(&begun.task_id) }] {
        let refused = picture(&mut real.client, request).await.unwrap_err();
        assert_eq!((refused.reason.as_str(), refused.about["state"].as_str()), ("CAPTURE_UNAVAILABLE", "NO_PAGE"));
    }
    force(&mut real.client, &begun.task_id).await;
}
