//! Pictures of tasks in a real browser without a window: what they show, what they refuse, and how soon.

use std::{
    io::Cursor,
    time::{Duration, Instant},
};

use comet_task_runner::api::v1::{
    self, CaptureScreenshotRequest as Asked,
    capture_screenshot_request::{Area, Region},
    job::{Reason, Status},
    screenshot::{Format, Source},
};
use image::{ImageFormat, RgbImage};
use tokio::time::timeout;
use tonic::Code;

use super::{
    cli::{ended, on},
    processes::{self},
    real::{Real, assert_ended, headless},
    service::{AT_LENGTH, Client, job_when},
    wire::{Refused, read_refusal},
};

/// Longest wait of a caller: the service's own three seconds, and what a machine that does much else adds to them.
const PATIENCE: Duration = Duration::from_secs(10);

/// A picture that is as it says.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) told: v1::Screenshot,
    pub(crate) pixels: RgbImage,
}

impl Taken {
    pub(crate) fn read(told: v1::Screenshot) -> Self {
        let format = match told.format() {
            Format::Png => ImageFormat::Png,
            Format::Jpeg => ImageFormat::Jpeg,
            Format::Unspecified => panic!("{told:?}"),
        };
        let pixels = image::load(Cursor::new(&told.image), format).unwrap().into_rgb8();
        assert_eq!(pixels.dimensions(), (told.width, told.height));
        assert!(told.captured_at.is_some() && told.image.len() < 4 * 1024 * 1024);
        Self { told, pixels }
    }

    /// The colour at a part of its width and height, in percent.
    pub(crate) fn at(&self, (x, y): (u32, u32)) -> [u8; 3] {
        let at = |percent: u32, length: u32| (length * percent / 100).min(length - 1);
        self.pixels.get_pixel(at(x, self.told.width), at(y, self.told.height)).0
    }

    /// Whether it has this colour there, or nearly.
    pub(crate) fn is(&self, place: (u32, u32), colour: [u8; 3]) -> bool {
        self.at(place).into_iter().zip(colour).all(|(found, wanted)| found.abs_diff(wanted) <= 4)
    }
}

pub(crate) const MIDDLE: (u32, u32) = (50, 50);
pub(crate) const RED: [u8; 3] = [220, 40, 30];
pub(crate) const BLUE: [u8; 3] = [30, 60, 210];
pub(crate) const GREEN: [u8; 3] = [20, 160, 70];

/// A page of one colour.
pub(crate) fn coloured([red, green, blue]: [u8; 3]) -> String {
    format!("<!doctype html><body style='margin:0;background:rgb({red},{green},{blue})'>")
}

pub(crate) fn of(task_id: &str) -> Asked {
    Asked { task_id: task_id.to_owned(), ..Asked::default() }
}

/// Asks for a picture once; as a caller does that waits for its turn as long as it is told to. Gives how long the answer
/// took as well.
pub(crate) async fn asked_once(client: &mut Client, request: &Asked) -> (Result<Taken, Refused>, Duration) {
    loop {
        let began = Instant::now();
        let answer = timeout(PATIENCE, client.capture_screenshot(request.clone())).await;
        let (answer, took) = (answer.expect("an answer comes in time"), began.elapsed());
        match answer {
            Ok(answer) => return (Ok(Taken::read(answer.into_inner().screenshot.unwrap())), took),
            Err(status) => {
                let refused = read_refusal(&status);
                if refused.reason != "SCREENSHOT_RATE" {
                    return (Err(refused), took);
                }
                tokio::time::sleep(refused.retry_after.expect("it says when")).await;
            }
        }
    }
}

/// Asks for a picture, again while the page does not answer in time: on a machine that does much else it may not.
pub(crate) async fn picture(client: &mut Client, request: Asked) -> Result<Taken, Refused> {
    let deadline = Instant::now() + AT_LENGTH;
    loop {
        match asked_once(client, &request).await.0 {
            Err(refused) if refused.about.get("state").is_some_and(|state| state == "BUSY") => {
                assert!(Instant::now() < deadline, "{refused:?}");
            }
            answer => return answer,
        }
    }
}

async fn shown(real: &mut Real, path: &str, html: &str) -> String {
    let url = real.pages.html(path, html);
    let begun = real.begin(headless(&url)).await;
    real.shown(&begun.task_id).await;
    begun.task_id
}

/// Ends it without waiting for anything.
pub(crate) async fn force(client: &mut Client, task_id: &str) {
    let request = v1::CancelJobRequest { task_id: task_id.to_owned(), force: true, ..Default::default() };
    client.cancel_job(request).await.unwrap();
}

const BANDS: &str = "<!doctype html><style>body{margin:0} div{height:1500px;background:rgb(220,40,30)}
    p{position:absolute;margin:0;left:100px;top:2000px;width:300px;height:200px;background:rgb(20,160,70)}
    </style><div></div><div style='background:rgb(30,60,210)'></div><p id=box></p><i hidden></i>
    <script>onresize = () => document.title += ` ${innerHeight}`; document.title = innerHeight</script>";

#[tokio::test]
async fn a_picture_shows_the_part_of_the_page_that_was_asked_for() {
    let Some(mut real) = Real::start().await else { return };
    let id = shown(&mut real, "/bands", BANDS).await;
    let client = &mut real.client;
    let asking = |area| Asked { area: Some(area), ..of(&id) };

    let view = picture(client, of(&id)).await.unwrap();
    assert_eq!((view.told.format(), view.told.source(), view.told.truncated), (Format::Png, Source::Page, false));
    assert!(view.is(MIDDLE, RED), "{:?}", view.told);

    let whole = picture(client, asking(Area::FullPage(true))).await.unwrap();
    // Without the scroll bar.
    assert!(whole.told.width.abs_diff(view.told.width) < 30, "{:?}", (whole.told.width, view.told.width));
    assert_eq!((whole.told.height, whole.told.truncated), (3000, false));
    assert!(whole.is((50, 40), RED) && whole.is((90, 60), BLUE) && whole.is((50, 100), BLUE));

    let found = picture(client, asking(Area::Selector("p#box".to_owned()))).await.unwrap();
    assert_eq!((found.told.width, found.told.height), (300, 200));
    assert!([(0, 0), MIDDLE, (100, 100)].into_iter().all(|place| found.is(place, GREEN)));

    let edge = Region { x: 0.0, y: 1400.0, width: 50.0, height: 200.0 };
    let part = picture(client, asking(Area::Region(edge))).await.unwrap();
    assert_eq!((part.told.width, part.told.height, part.told.truncated), (50, 200, false));
    assert!(part.is((50, 25), RED) && part.is((50, 75), BLUE));

    let beyond = Region { x: 0.0, y: 2900.0, width: 50.0, height: 200.0 };
    let part = picture(client, asking(Area::Region(beyond))).await.unwrap();
    assert_eq!((part.told.height, part.told.truncated), (100, true));

    let jpeg = Asked { format: Format::Jpeg.into(), quality: Some(60), ..of(&id) };
    assert!(picture(client, jpeg).await.unwrap().is(MIDDLE, RED));

    // Whatever was drawn beyond the view, the page is as it was.
    let request = v1::GetStatusRequest { task_id: id.clone() };
    let after = picture(client, of(&id)).await.unwrap();
    assert_eq!((after.told.width, after.told.height), (view.told.width, view.told.height));
    let sample = client.get_status(request).await.unwrap().into_inner().sample.unwrap();
    assert_eq!(sample.page_title.split(' ').next_back(), Some(view.told.height.to_string().as_str()), "{sample:?}");
}

#[tokio::test]
async fn what_cannot_be_pictured_is_refused_by_name() {
    let Some(mut real) = Real::start().await else { return };
    let noise = "<!doctype html><style>body{margin:0}</style><canvas width=1250 height=1250></canvas><script>
        const context = document.querySelector('canvas').getContext('2d'), image = context.createImageData(1250, 1250);
        let seed = 1; for (let at = 0; at < image.data.length; at++) {
            image.data[at] = at % 4 == 3 ? 255 : (seed = seed * 16807 % 2147483647) & 255; }
        context.putImageData(image, 0, 0)</script><p style='height:20000px'></p>";
    let id = shown(&mut real, "/noise", noise).await;
    let client = &mut real.client;
    let asking = |area| Asked { area: Some(area), ..of(&id) };
    let selector = |text: &str| asking(Area::Selector(text.to_owned()));

    let refused = picture(client, selector("canvas")).await.unwrap_err();
    let told = (refused.code, refused.reason.as_str());
    assert_eq!(told, (Code::FailedPrecondition, "SCREENSHOT_TOO_LARGE"), "{}", refused.message);
    assert!(refused.message.contains("JPEG") && refused.message.contains("region"), "{}", refused.message);
    let strip = asking(Area::Region(Region { x: 0.0, y: 0.0, width: 64.0, height: 20_000.0 }));
    let long = picture(client, Asked { format: Format::Jpeg.into(), quality: Some(1), ..strip }).await.unwrap();
    assert_eq!((long.told.width, long.told.height, long.told.truncated), (64, 16_384, true));

    for (request, code, reason) in [
        (selector("p >"), Code::InvalidArgument, "SELECTOR_INVALID"),
        (selector("#nothing"), Code::FailedPrecondition, "SELECTOR_NOT_FOUND"),
        (selector("script"), Code::FailedPrecondition, "SELECTOR_NOT_FOUND"),
        (
            asking(Area::Region(Region { x: 90_000.0, y: 0.0, width: 1.0, height: 1.0 })),
            Code::FailedPrecondition,
            "REGION_OUTSIDE",
        ),
        (of("019a0000-0000-7000-8000-000000000000"), Code::NotFound, "TASK_NOT_FOUND"),
        (of("x"), Code::InvalidArgument, "TASK_ID_INVALID"),
    ] {
        let refused = picture(client, request).await.unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (code, reason), "{}", refused.message);
    }
}

#[tokio::test]
async fn a_task_is_pictured_once_a_second() {
    let Some(mut real) = Real::start().await else { return };
    let id = shown(&mut real, "/red", &coloured(RED)).await;
    let (mut one, mut other) = (real.client.clone(), real.client.clone());
    let (one, other) = tokio::join!(one.capture_screenshot(of(&id)), other.capture_screenshot(of(&id)));
    let refused = [one, other].into_iter().find_map(Result::err).expect("one of the two is refused");
    let refused = read_refusal(&refused);
    assert_eq!((refused.code, refused.reason.as_str()), (Code::ResourceExhausted, "SCREENSHOT_RATE"));
    let wait = refused.retry_after.unwrap();
    assert!(!wait.is_zero() && wait.as_secs_f64() <= 1.0, "{wait:?}");
    assert!(picture(&mut real.client, of(&id)).await.unwrap().is(MIDDLE, RED), "later it is taken");
}

/// What is told of a task that cannot be pictured.
async fn state(client: &mut Client, task_id: &str) -> String {
    let refused = picture(client, of(task_id)).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "CAPTURE_UNAVAILABLE"));
    refused.about["state"].clone()
}

#[tokio::test]
async fn a_task_without_a_page_is_told_from_one_whose_page_is_gone() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.html("/red", &coloured(RED));
    let kept = v1::ExecuteRequest { after_finish: v1::execute_request::AfterFinish::KeepOpen.into(), ..headless(&url) };
    let crashing = real.begin(kept).await;
    real.shown(&crashing.task_id).await;
    let other = shown(&mut real, "/blue", &coloured(BLUE)).await;
    // Both slots are taken.
    let waiting = real.begin(headless(&url)).await.task_id;
    assert_eq!(state(&mut real.client, &waiting).await, "NOT_STARTED");

    let renderers = processes::descendants(crashing.process_id).into_iter();
    let renderers = renderers.filter(|pid| processes::command_line(*pid).contains("--type=renderer"));
    renderers.for_each(|renderer| processes::signal(renderer, rustix::process::Signal::KILL));
    let job = real.when(&crashing.task_id, |job| job.done).await;
    assert_ended(&job, Status::Failed, Reason::PageCrashed);
    assert_eq!(state(&mut real.client, &crashing.task_id).await, "CRASHED");
    let request = v1::GetStatusRequest { task_id: crashing.task_id.clone() };
    let job = real.client.get_status(request).await.unwrap().into_inner().job.unwrap();
    assert!(job.files.is_empty(), "nothing was left to picture: {job:?}");

    force(&mut real.client, &other).await;
    job_when(&mut real.client, &other, |job| job.done && !job.is_process_alive).await;
    assert_eq!(state(&mut real.client, &other).await, "OVER");
    for task_id in [crashing.task_id, waiting] {
        force(&mut real.client, &task_id).await;
    }
}

#[tokio::test]
async fn the_command_line_writes_a_picture_to_a_file() {
    let Some(mut real) = Real::start().await else { return };
    let id = shown(&mut real, "/green", &coloured(GREEN)).await;
    let file = real.service.home().join("shown.jpg");
    let path = file.to_str().unwrap();
    let said = ended(on(&real.service, &["screenshot", &id, "--full-page", "-o", path])).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.starts_with(path) && said.stdout.contains("from the page"), "{said:?}");
    let pixels = image::open(&file).unwrap().into_rgb8();
    assert!(pixels.get_pixel(9, 9).0.iter().zip(GREEN).all(|(found, wanted)| found.abs_diff(wanted) <= 4));
    assert_eq!(image::ImageReader::open(&file).unwrap().format(), Some(ImageFormat::Jpeg));

    let said = ended(on(&real.service, &["screenshot", "019a0000-0000-7000-8000-000000000000", "-o", path])).await;
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stderr.contains("TASK_NOT_FOUND"), "{said:?}");
}

#[tokio::test]
async fn a_page_that_is_on_its_way_is_waited_for_and_one_of_an_earlier_service_pictured() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.html("/red", &coloured(RED));
    let begun = real.begin(headless(&url)).await;
    let (early, took) = asked_once(&mut real.client, &of(&begun.task_id)).await;
    assert!(early.is_ok() || took > Duration::from_secs(2), "it was not waited for: {early:?}");
    real.shown(&begun.task_id).await;
    real.service.kill();
    real.service.restart();
    real.client = real.service.client().await;
    assert!(picture(&mut real.client, of(&begun.task_id)).await.unwrap().is(MIDDLE, RED));
    force(&mut real.client, &begun.task_id).await;
}
