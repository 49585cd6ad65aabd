//! Pictures of a task: aimed, asked for twice if need be, and answered in time whatever the page does.
//!
//! ```text
//!   page:    aim (layout, or an element's box) ──> picture ──┬──> the first reply wins
//!                              no answer in 200 ms: once more ┘
//!   AUTO:    no answer, and there is a window ──> its picture
//! ```
//!
//! Measured: a capture of a minimised window can hang for ever, and a second one frees it. A dialog, an endless script
//! or a dead renderer hold it back too; so nothing here waits without an end, and what stands in the way is told.

use std::{io::Cursor, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{ImageFormat, ImageReader};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use super::{
    CallError, Runner,
    host::{boot_now, now},
    live::{Ask, Live},
};
use crate::{
    browser::{Answer, NoAnswer, Question},
    job::{Job, Phase, TaskId, Tier, WallTime},
};

pub use crate::browser::{Area, Encoding};

/// Longest time for a picture: what a person waits for, and twice what a minimised window was seen to take.
const CAPTURE_MAX: Duration = Duration::from_secs(3);
/// When the page is asked once more: six times what a capture takes, and a twelfth of what there is.
const HEDGE_AFTER: Duration = Duration::from_millis(200);
/// How long it may take to find out why a page is silent. The browser is asked, which answers at once.
const WHY_MAX: Duration = Duration::from_millis(300);
/// How long a capture may wait for others to be done before it is refused.
const TURN_MAX: Duration = Duration::from_millis(500);
/// Captures that are under way at once, of all jobs: each can hold a few copies of its picture. A further one waits for
/// a moment, then is refused.
pub(super) const CAPTURES_MAX: usize = 4;
/// Between two pictures of one job: they are for people, and each costs the page a frame.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Most pixels of a side: what browsers and their graphics processors can draw at once.
const SIDE_MAX: f64 = 16_384.0;
/// Most pixels of a picture: a page of the usual width down to the longest side, at 4 bytes in the browser's memory.
const PIXELS_MAX: f64 = 32_000_000.0;
/// Longest picture: with what is around it, it stays below the 4 MiB that clients take in one message.
const IMAGE_BYTES_MAX: usize = 4 * 1024 * 1024 - 64 * 1024;

/// What picture is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptureOrder {
    /// How it is to be encoded.
    pub encoding: Encoding,
    /// What of the page.
    pub what: What,
    /// Where it may come from.
    pub source: CaptureSource,
}

/// What of a page a picture is to show.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// What is to be seen of it.
    Viewport,
    /// All of it.
    FullPage,
    /// The first element of a CSS selector.
    Selector(String),
    /// A part of it.
    Region(Area),
}

/// Where a picture may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureSource {
    /// The page, else its window.
    Auto,
    /// The page alone.
    Page,
    /// The window alone.
    Window,
}

/// Where a picture came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The page.
    Page,
    /// Its window.
    Window,
}

/// A picture of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screenshot {
    /// The picture's bytes.
    pub image: Vec<u8>,
    /// How they are encoded.
    pub encoding: Encoding,
    /// In pixels, as the picture itself says.
    pub width: u32,
    /// In pixels, as the picture itself says.
    pub height: u32,
    /// Where it came from.
    pub source: Source,
    /// When it was there.
    pub at: WallTime,
    /// A part of what was asked for is missing.
    pub truncated: bool,
}

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// The job cannot be asked at all.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The task cannot be pictured as it stands.
    #[error("there is no picture to be had: {0}")]
    Unavailable(Unavailable),
    /// The last picture of this job was a moment ago.
    #[error("one picture a second is taken of a task; try again in {} ms", .retry_in.as_millis())]
    Rate {
        /// When the next one may be taken.
        retry_in: Duration,
    },
    /// Too many are under way.
    #[error("{CAPTURES_MAX} pictures are being taken already, which is this runner's limit; try again in a second")]
    Busy,
    /// The picture does not fit an answer.
    #[error("the picture would be too large ({0}); ask for JPEG, or for a region")]
    TooLarge(String),
    /// The selector is none.
    #[error("is not a CSS selector: {0}")]
    NotASelector(String),
    /// The selector finds nothing that has a size.
    #[error("no element with a size on the page matches {0:?}; wait for it, or choose another selector")]
    NotFound(String),
    /// The region does not touch the page.
    #[error("the region lies outside of the page, which is {width} x {height} CSS pixels")]
    Outside {
        /// How wide the page is.
        width: u32,
        /// How high it is.
        height: u32,
    },
}

/// How a task stands that cannot be pictured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// It waits, or starts.
    #[error("the task's browser has not been started yet")]
    NotStarted,
    /// Its page is not there yet.
    #[error("the task's page is not there yet")]
    Opening,
    /// Its browser is gone, or told to go.
    #[error("the task's browser is gone")]
    Over,
    /// Its page is closed.
    #[error("the task's page is closed")]
    Closed,
    /// Its renderer died.
    #[error("the task's page has crashed")]
    Crashed,
    /// A dialog waits for a person.
    #[error("the page stands still until a dialog ({0}) is answered")]
    DialogOpen(String),
    /// It does not answer.
    #[error("the page is busy and draws nothing; try again when its scripts have come to rest")]
    Busy,
    /// Its window is minimised.
    #[error("the window is minimised and draws nothing; restore it first")]
    Minimised,
    /// Its browser answers no questions.
    #[error("its browser can only be started and ended, so its page cannot be asked; use source AUTO or WINDOW")]
    NoPage,
    /// It has no window.
    #[error("it has no window that can be found here; {0}")]
    NoWindow(String),
    /// The browser does not want to.
    #[error("the browser refused: {0}")]
    Refused(String),
}

impl Unavailable {
    /// The same in one word, for programs.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self {
            Self::NotStarted => "NOT_STARTED",
            Self::Opening => "OPENING",
            Self::Over => "OVER",
            Self::Closed => "CLOSED",
            Self::Crashed => "CRASHED",
            Self::DialogOpen(_) => "DIALOG_OPEN",
            Self::Busy => "BUSY",
            Self::Minimised => "MINIMISED",
            Self::NoPage => "NO_PAGE",
            Self::NoWindow(_) => "NO_WINDOW",
            Self::Refused(_) => "REFUSED",
        }
    }
}

impl From<Unavailable> for CaptureError {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl From<NoAnswer> for CaptureError {
    fn from(none: NoAnswer) -> Self {
        Self::Unavailable(match none {
            NoAnswer::NotOpen => Unavailable::Opening,
            NoAnswer::Closed => Unavailable::Closed,
            NoAnswer::Crashed => Unavailable::Crashed,
            NoAnswer::Dialog(kind) => Unavailable::DialogOpen(kind),
            NoAnswer::Silent => Unavailable::Busy,
            NoAnswer::Refused(words) => Unavailable::Refused(words),
            NoAnswer::NotASelector(words) => return Self::NotASelector(words),
        })
    }
}

impl Runner {
    /// Takes a picture of a task, within three seconds.
    ///
    /// # Errors
    /// When there is none to be had, or not now; says how the task stands.
    pub async fn capture(&self, id: TaskId, order: CaptureOrder) -> Result<Screenshot, CaptureError> {
        let by = Instant::now() + CAPTURE_MAX;
        let taken = timeout_at(by, self.picture(id, &order, by)).await;
        match taken.unwrap_or(Err(Unavailable::Busy.into())) {
            Err(CaptureError::Unavailable(Unavailable::Over)) if self.host.leaving.is_cancelled() => {
                Err(CallError::Draining.into())
            }
            taken => taken,
        }
    }

    async fn picture(&self, id: TaskId, order: &CaptureOrder, by: Instant) -> Result<Screenshot, CaptureError> {
        let Some(live) = self.reach(id).await? else {
            self.host.ledger.latest(id).await.map_err(CallError::from)?.ok_or(CallError::Unknown(id))?;
            return Err(Unavailable::Over.into());
        };
        let job = live.log.latest();
        may_be_pictured(&job)?;
        let turn = timeout(TURN_MAX, self.host.captures.acquire()).await;
        let _turn = turn.map_err(|_| CaptureError::Busy)?.expect("nobody closes it");
        live.is_pictured(boot_now()).map_err(|retry_in| CaptureError::Rate { retry_in })?;
        self.of_page(&live, &job, order, by).await
    }

    async fn of_page(
        &self,
        live: &Live,
        job: &Job,
        order: &CaptureOrder,
        by: Instant,
    ) -> Result<Screenshot, CaptureError> {
        if job.spec.tier != Tier::Managed {
            return Err(Unavailable::NoPage.into());
        }
        match timeout_at(by - WHY_MAX, page(live, &order.what, order.encoding)).await {
            Ok(Ok(Drawn { data, truncated })) => {
                let encoding = order.encoding;
                let decoding = tokio::task::spawn_blocking(move || decode(&data, encoding)).await;
                let Image { bytes, width, height } = decoding.expect("decoding does not panic")?;
                let (source, at) = (Source::Page, now().wall);
                Ok(Screenshot { image: bytes, encoding, width, height, source, at, truncated })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(why(live).await),
        }
    }
}

/// Whether there is a browser to be asked.
fn may_be_pictured(job: &Job) -> Result<(), Unavailable> {
    match job.status.phase() {
        Phase::Waiting => Err(Unavailable::NotStarted),
        Phase::Running | Phase::Stopping | Phase::Over if job.is_process_alive() => Ok(()),
        Phase::Running | Phase::Stopping | Phase::Over => Err(Unavailable::Over),
    }
}

/// A picture as the browser gives it.
pub(super) struct Drawn {
    /// In base64.
    pub(super) data: String,
    truncated: bool,
}

/// The page's picture, for as long as the caller has patience.
pub(super) async fn page(live: &Live, what: &What, encoding: Encoding) -> Result<Drawn, CaptureError> {
    let (area, truncated) = match what {
        What::Viewport => (None, false),
        What::FullPage => {
            let (content, scale) = layout(live).await?;
            fit(content, scale)
        }
        What::Region(region) => {
            let (content, scale) = layout(live).await?;
            let shown = common(*region, content).ok_or_else(|| outside(content))?;
            let (area, cut) = fit(shown, scale);
            (area, cut || shown != *region)
        }
        What::Selector(selector) => {
            let Answer::World(world) = ask(live, Question::World).await? else { return Err(astray()) };
            let question = Question::Find { world, selector: selector.clone() };
            let Answer::Found(found) = ask(live, question).await? else { return Err(astray()) };
            let found = found.filter(|place| place.area.width > 0.0 && place.area.height > 0.0);
            let place = found.ok_or_else(|| CaptureError::NotFound(selector.clone()))?;
            fit(place.area, place.scale)
        }
    };
    let data = hedged(live, encoding, area).await?;
    Ok(Drawn { data, truncated })
}

/// Asks for the picture, and once more when there is none soon; the first reply wins.
async fn hedged(live: &Live, encoding: Encoding, area: Option<Area>) -> Result<String, CaptureError> {
    let hedge_at = Instant::now() + HEDGE_AFTER;
    let first = ask(live, Question::Picture { encoding, area });
    tokio::pin!(first);
    let answer = tokio::select! {
        answer = &mut first => match answer {
            // So it is for a moment while one document takes another's place.
            Err(CaptureError::Unavailable(Unavailable::Refused(_))) => {
                sleep_until(hedge_at).await;
                ask(live, Question::Picture { encoding, area }).await
            }
            answer => answer,
        },
        () = sleep_until(hedge_at) => {
            // What lies beyond the view changes the view for a moment: twice at once, it might stay changed. So that is
            // only nudged.
            let again = if area.is_some() { Encoding::Jpeg { quality: 1 } } else { encoding };
            let second = ask(live, Question::Picture { encoding: again, area: None });
            tokio::select! {
                answer = &mut first => answer,
                answer = second => match answer {
                    Ok(_) if area.is_some() => first.await,
                    answer => answer,
                },
            }
        }
    };
    match answer? {
        Answer::Picture(data) => Ok(data),
        Answer::Layout { .. } | Answer::World(_) | Answer::Found(_) | Answer::Window { .. } => Err(astray()),
    }
}

async fn layout(live: &Live) -> Result<(Area, f64), CaptureError> {
    match ask(live, Question::Layout).await? {
        Answer::Layout { content, scale } => Ok((content, scale)),
        Answer::World(_) | Answer::Found(_) | Answer::Picture(_) | Answer::Window { .. } => Err(astray()),
    }
}

/// Why a page is silent, as far as its browser knows.
async fn why(live: &Live) -> CaptureError {
    match timeout(WHY_MAX, ask(live, Question::Window)).await {
        Ok(Ok(Answer::Window { minimised: true })) => Unavailable::Minimised.into(),
        // A browser without windows refuses the question.
        Ok(Err(CaptureError::Unavailable(Unavailable::Refused(_))) | Ok(_)) | Err(_) => Unavailable::Busy.into(),
        Ok(Err(error)) => error,
    }
}

async fn ask(live: &Live, question: Question) -> Result<Answer, CaptureError> {
    let (reply, answer) = oneshot::channel();
    let asked = live.asks.send(Box::new(Ask::Page(question, reply))).await;
    asked.map_err(|_| Unavailable::Over)?;
    // Without a word the attendant left, since nothing more can happen to the job.
    Ok(answer.await.map_err(|_| Unavailable::Over)??)
}

/// The answer to another question.
fn astray() -> CaptureError {
    Unavailable::Refused("it answered another question".to_owned()).into()
}

/// What of an area may be drawn at once, and whether that is less than all of it.
fn fit(area: Area, scale: f64) -> (Option<Area>, bool) {
    let width = area.width.min(SIDE_MAX / scale);
    let height = area.height.min(SIDE_MAX / scale).min(PIXELS_MAX / (width * scale * scale));
    (Some(Area { width, height, ..area }), width < area.width || height < area.height)
}

/// What two areas have in common.
fn common(one: Area, other: Area) -> Option<Area> {
    let (x, y) = (one.x.max(other.x), one.y.max(other.y));
    let width = (one.x + one.width).min(other.x + other.width) - x;
    let height = (one.y + one.height).min(other.y + other.height) - y;
    (width > 0.0 && height > 0.0).then_some(Area { x, y, width, height })
}

fn outside(content: Area) -> CaptureError {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a page's size; what is beyond is cut")]
    let whole = |length: f64| length as u32;
    CaptureError::Outside { width: whole(content.width), height: whole(content.height) }
}

/// An encoded picture.
pub(super) struct Image {
    pub(super) bytes: Vec<u8>,
    width: u32,
    height: u32,
}

/// Decodes base64, and looks into the picture for what it is. Works for some milliseconds.
pub(super) fn decode(data: &str, encoding: Encoding) -> Result<Image, CaptureError> {
    // Four characters are three bytes.
    let bytes_max = data.len() / 4 * 3;
    if bytes_max > IMAGE_BYTES_MAX + 3 {
        return Err(CaptureError::TooLarge(format!("{bytes_max} bytes; at most {IMAGE_BYTES_MAX} fit an answer")));
    }
    let no_picture = |_| Unavailable::Refused("what it gave is no picture".to_owned());
    let bytes = STANDARD.decode(data).map_err(|_| no_picture(()))?;
    let format = match encoding {
        Encoding::Png => ImageFormat::Png,
        Encoding::Jpeg { .. } => ImageFormat::Jpeg,
    };
    let reader = ImageReader::with_format(Cursor::new(&bytes), format);
    let (width, height) = reader.into_dimensions().map_err(|_| no_picture(()))?;
    if f64::from(width.max(height)) > SIDE_MAX {
        return Err(CaptureError::TooLarge(format!("{width} x {height} pixels; at most {SIDE_MAX} a side")));
    }
    Ok(Image { bytes, width, height })
}
