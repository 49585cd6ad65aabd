//! The page's own picture: aimed at a part of it, and asked for twice if need be.

use std::time::Duration;

use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};

use super::{Area, CaptureError, Encoding, Unavailable, What, encoded::SIDE_MAX};
use crate::{
    browser::{Answer, Question},
    runner::live::{Ask, Live},
};

/// When the page is asked once more: six times what a capture takes, and a twelfth of what there is.
const HEDGE_AFTER: Duration = Duration::from_millis(200);
/// How long it may take to find out why a page is silent. The browser is asked, which answers at once.
pub(super) const WHY_MAX: Duration = Duration::from_millis(300);
/// Most pixels of a picture: a page of the usual width down to the longest side, at 4 bytes in the browser's memory.
const PIXELS_MAX: f64 = 32_000_000.0;

/// A picture as the browser gives it.
pub(in crate::runner) struct Drawn {
    /// In base64.
    pub(in crate::runner) data: String,
    pub(super) truncated: bool,
}

/// The page's picture, for as long as the caller has patience.
pub(in crate::runner) async fn page(live: &Live, what: &What, encoding: Encoding) -> Result<Drawn, CaptureError> {
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
pub(super) async fn why(live: &Live) -> CaptureError {
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
