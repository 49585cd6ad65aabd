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

mod encoded;
mod page;
mod window;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout, timeout_at};

pub(super) use encoded::decode;
pub(super) use page::page;

use super::{
    CallError, Runner,
    host::{boot_now, now},
    live::Live,
};
use crate::{
    browser::{DialogKind, NoAnswer},
    job::{Job, Phase, TaskId, Tier, WallTime},
};
use encoded::Image;
use page::{WHY_MAX, why};

pub use crate::browser::{Area, Encoding};

/// Longest time for a picture: what a person waits for, and twice what a minimised window was seen to take.
const CAPTURE_MAX: Duration = Duration::from_secs(3);
/// What of it is left for the window when the page has not answered: some windows have to be drawn again first. The page
/// keeps 1.5 s, in which even a minimised one answers.
const WINDOW_MAX: Duration = Duration::from_millis(1200);
/// How long a capture may wait for others to be done before it is refused.
const TURN_MAX: Duration = Duration::from_millis(500);
/// Captures that are under way at once, of all jobs: each can hold a few copies of its picture. A further one waits for
/// a moment, then is refused.
pub(super) const CAPTURES_MAX: usize = 4;
/// Between two pictures of one job: they are for people, and each costs the page a frame.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

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
    DialogOpen(DialogKind),
    /// It does not answer.
    #[error("the page is busy and draws nothing; try again when its scripts have come to rest")]
    Busy,
    /// Its window is minimised.
    #[error("the window is minimised and draws nothing; restore it first")]
    Minimised,
    /// Its browser answers no questions.
    #[error(
        "its browser can only be started and ended, so that there is nothing but its window to picture, if it has one"
    )]
    NoPage,
    /// It has no window.
    #[error("it has no window that can be found here; {0}")]
    NoWindow(String),
    /// The browser does not want to.
    #[error("the browser refused: {0}")]
    Refused(String),
}

impl Unavailable {
    /// Whether it keeps the page from answering, and not its window from being seen.
    fn is_of_the_page(&self) -> bool {
        match self {
            Self::Opening | Self::Crashed | Self::DialogOpen(_) | Self::Busy | Self::Minimised | Self::Refused(_) => {
                true
            }
            Self::NotStarted | Self::Over | Self::Closed | Self::NoPage | Self::NoWindow(_) => false,
        }
    }

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
        self.from(&live, &job, order, by).await
    }

    /// From where the order says; in doubt from the page, which has no frame around it and is never out of sight.
    async fn from(
        &self,
        live: &Arc<Live>,
        job: &Job,
        order: &CaptureOrder,
        by: Instant,
    ) -> Result<Screenshot, CaptureError> {
        let (managed, seen) = (job.spec.tier == Tier::Managed, order.what == What::Viewport && !job.spec.headless);
        match order.source {
            CaptureSource::Window => self.of_window(live, order.encoding).await,
            CaptureSource::Auto if !managed && seen => self.of_window(live, order.encoding).await,
            CaptureSource::Auto | CaptureSource::Page if !managed => Err(Unavailable::NoPage.into()),
            CaptureSource::Auto if seen => match of_page(live, order, by - WINDOW_MAX).await {
                Err(CaptureError::Unavailable(why)) if why.is_of_the_page() => {
                    let shown = timeout_at(by, self.of_window(live, order.encoding)).await;
                    // What stands in the page's way is what can be mended.
                    shown.unwrap_or(Err(why.clone().into())).map_err(|_| why.into())
                }
                taken => taken,
            },
            CaptureSource::Auto | CaptureSource::Page => of_page(live, order, by).await,
        }
    }
}

/// The page's picture, or why it does not give one by then.
async fn of_page(live: &Live, order: &CaptureOrder, by: Instant) -> Result<Screenshot, CaptureError> {
    match timeout_at(by - WHY_MAX, page(live, &order.what, order.encoding)).await {
        Ok(Ok(drawn)) => {
            let (encoding, truncated) = (order.encoding, drawn.truncated);
            let decoding = tokio::task::spawn_blocking(move || decode(&drawn.data, encoding)).await;
            let image = decoding.expect("decoding does not panic")?;
            Ok(Screenshot::of(image, encoding, Source::Page, truncated))
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(match (why(live).await, shows_something(&live.log.latest())) {
            (CaptureError::Unavailable(Unavailable::Busy), false) => Unavailable::Opening.into(),
            (why, _) => why,
        }),
    }
}

/// Whether there is anything on the page, be it the browser's own words about an error.
pub(super) fn shows_something(job: &Job) -> bool {
    job.page.is_some() || job.net_error.is_some()
}

impl Screenshot {
    /// What was just taken.
    fn of(image: Image, encoding: Encoding, source: Source, truncated: bool) -> Self {
        let Image { bytes, width, height } = image;
        Self { image: bytes, encoding, width, height, source, at: now().wall, truncated }
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
