//! The page's own picture: aimed at a part of it, and asked for twice if need be.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

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
    // Without a word the attendant left, since nothing more can happen to the job.
    Ok(live.ask(|reply| Ask::Page(question, reply)).await.ok_or(Unavailable::Over)??)
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::browser::DialogKind;
    use crate::{browser::NoAnswer, runner::tests::Kept};

    type Reply = Result<Answer, NoAnswer>;

    const VIEW: Area = Area { x: 0.0, y: 0.0, width: 1280.0, height: 720.0 };
    const PNG: Encoding = Encoding::Png;

    fn drawn(data: &str) -> Option<Reply> {
        Some(Ok(Answer::Picture(data.to_owned())))
    }

    /// Takes a picture of a page that replies like this, each in turn; none is no reply at all. Gives what it was asked.
    async fn taken(
        what: &What,
        replies: impl IntoIterator<Item = Option<Reply>>,
    ) -> (Result<Drawn, CaptureError>, Vec<Question>) {
        let mut kept = Kept::of(1).await;
        let mut attended = kept.attended.remove(0);
        let live = std::sync::Arc::clone(&attended.live);
        let (mut replies, mut asked, mut unanswered) = (VecDeque::from_iter(replies), Vec::new(), Vec::new());
        let picture = page(&live, what, PNG);
        tokio::pin!(picture);
        loop {
            tokio::select! {
                outcome = &mut picture => return (outcome, asked),
                Some(ask) = attended.asked.recv() => {
                    let Ask::Page(question, reply) = *ask else { panic!("only the page is asked") };
                    asked.push(question);
                    match replies.pop_front().expect("no more is asked than there are replies") {
                        Some(answer) => reply.send(answer).unwrap(),
                        None => unanswered.push(reply),
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn a_silent_page_is_asked_once_more_and_the_first_reply_wins() {
        let (outcome, asked) = taken(&What::Viewport, [None, drawn("second")]).await;
        assert_eq!(outcome.unwrap().data, "second");
        assert_eq!(asked, vec![Question::Picture { encoding: PNG, area: None }; 2]);
    }

    #[tokio::test]
    async fn a_page_that_answers_is_asked_once() {
        let (outcome, asked) = taken(&What::Viewport, [drawn("first")]).await;
        assert_eq!((outcome.unwrap().data.as_str(), asked.len()), ("first", 1));
    }

    #[tokio::test]
    async fn a_dialog_that_opens_meanwhile_ends_the_wait() {
        let dialog = Some(Err(NoAnswer::Dialog(DialogKind::Alert)));
        let (outcome, _) = taken(&What::Viewport, [None, dialog]).await;
        assert_eq!(outcome.err(), Some(Unavailable::DialogOpen(DialogKind::Alert).into()));
    }

    #[tokio::test]
    async fn a_page_between_two_documents_is_asked_again() {
        let refused = Some(Err(NoAnswer::Refused("Not attached to an active page".to_owned())));
        let (outcome, _) = taken(&What::Viewport, [refused, drawn("second")]).await;
        assert_eq!(outcome.unwrap().data, "second");
    }

    #[tokio::test]
    async fn what_lies_beyond_the_view_is_aimed_at_and_bounded() {
        let content = Area { height: 40_000.0, ..VIEW };
        let layout = Some(Ok(Answer::Layout { content, scale: 2.0 }));
        let (outcome, asked) = taken(&What::FullPage, [layout, drawn("whole")]).await;
        assert!(outcome.unwrap().truncated);
        // 32 million pixels of 2560 a row, and two a CSS pixel.
        let area = Some(Area { height: 6250.0, ..VIEW });
        assert_eq!(asked, [Question::Layout, Question::Picture { encoding: PNG, area }]);
    }

    #[test]
    fn no_area_is_drawn_that_is_too_long_or_too_large() {
        let long = Area { width: 100.0, height: 99_999.0, ..VIEW };
        assert_eq!(fit(long, 1.0), (Some(Area { height: SIDE_MAX, ..long }), true));
        let wide = Area { width: 99_999.0, height: 99_999.0, ..VIEW };
        let (Some(area), true) = fit(wide, 1.0) else { panic!("it is cut") };
        assert!(area.width <= SIDE_MAX && area.width * area.height <= PIXELS_MAX + 1.0, "{area:?}");
        assert_eq!(fit(VIEW, 3.0), (Some(VIEW), false));
    }

    #[test]
    fn areas_have_a_part_in_common_or_none() {
        let part = Area { x: 1270.0, y: 700.0, width: 20.0, height: 10.0 };
        assert_eq!(common(part, VIEW), Some(Area { width: 10.0, ..part }));
        assert_eq!(common(Area { x: 1280.0, ..part }, VIEW), None);
    }
}
