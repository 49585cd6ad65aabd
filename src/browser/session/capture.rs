//! Questions to the task's page whose answers somebody waits for: its picture, and what it takes to aim one.
//!
//! The page may never answer: a dialog, an endless script or a minimised window keeps it from that. Who asks brings the
//! patience; a question counts as open until the browser answers it, so that a page that is silent for hours is not
//! asked a thousand times.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Session, Step};
use crate::browser::cdp::message;
use crate::browser::facts::{DialogKind, bounded};

/// Most questions that wait for the browser's answer; a further one is refused. Five pictures' worth: who asks takes one
/// a second and gives up after three.
const OPEN_MAX: usize = 16;

/// The name of the world in which elements are looked for: scripts of the page can neither see nor change it.
const WORLD: &str = "comet-task-runner";

/// How a picture is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Without loss.
    Png,
    /// With loss.
    Jpeg {
        /// From 1 to 100.
        quality: u8,
    },
}

/// A part of a page, in CSS pixels from its top left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
}

/// What a page can be asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// How large it is.
    Layout,
    /// A place of our own for scripts.
    World,
    /// Where the first element of a selector is.
    Find {
        /// The place.
        world: i64,
        /// The selector.
        selector: String,
    },
    /// Its picture.
    Picture {
        /// How it is to be encoded.
        encoding: Encoding,
        /// Which part; none for what is to be seen.
        area: Option<Area>,
    },
    /// Whether its window is minimised. The browser answers, not the page.
    Window,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// How large it is.
    Layout {
        /// All of it, in CSS pixels.
        content: Area,
        /// Pixels of a picture for each CSS pixel.
        scale: f64,
    },
    /// The place for scripts.
    World(i64),
    /// The first element; none when there is none.
    Found(Option<Place>),
    /// The picture, in base64.
    Picture(String),
    /// Whether the window is minimised.
    Window {
        /// It is.
        minimised: bool,
    },
}

/// Where an element is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Its box on the page.
    pub area: Area,
    /// Pixels of a picture for each CSS pixel.
    pub scale: f64,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The page is not there yet, or not attached to again yet.
    NotOpen,
    /// It is closed.
    Closed,
    /// Its renderer died.
    Crashed,
    /// It stands still until a dialog of this kind is answered.
    Dialog(DialogKind),
    /// It has left too many questions open.
    Silent,
    /// The browser refused; its own words.
    Refused(String),
    /// The selector is none; the browser's own words.
    NotASelector(String),
}

/// What became of a question, by its number.
pub type Answered = (u32, Result<Answer, NoAnswer>);

impl Session {
    /// The command for a question, and the number under which [`Step::answered`] will have the answer.
    ///
    /// # Errors
    /// When the page cannot answer as it stands.
    pub fn ask(&mut self, question: Question) -> Result<(u32, Vec<u8>), NoAnswer> {
        let session = self.answering()?;
        let frame = self.state.main_frame.as_ref().or(self.state.target.as_ref()).cloned().unwrap_or_default();
        let (to_page, method, params) = match &question {
            Question::Layout => (true, "Page.getLayoutMetrics", json!({})),
            Question::World => (true, "Page.createIsolatedWorld", json!({ "frameId": frame, "worldName": WORLD })),
            Question::Find { world, selector } => {
                let params = json!({ "expression": finding(selector), "contextId": world, "returnByValue": true });
                (true, "Runtime.evaluate", params)
            }
            Question::Picture { encoding, area } => (true, "Page.captureScreenshot", picturing(*encoding, *area)),
            Question::Window => (false, "Browser.getWindowForTarget", json!({ "targetId": self.state.target })),
        };
        let mut step = Step::default();
        let id = self.send(&mut step, to_page.then_some(session.as_str()), method, &params);
        self.open.insert(id, question);
        Ok((id, step.commands.pop().expect("one command was just sent")))
    }

    fn answering(&self) -> Result<String, NoAnswer> {
        let session = self.state.session.clone().filter(|_| self.prepared);
        let dialog = self.state.dialogs.iter().find(|open| self.state.session.as_ref() == Some(&open.session));
        match (dialog, session) {
            _ if self.state.closed => Err(NoAnswer::Closed),
            _ if self.crashed => Err(NoAnswer::Crashed),
            (Some(open), _) => Err(NoAnswer::Dialog(open.dialog.kind)),
            _ if self.open.len() >= OPEN_MAX => Err(NoAnswer::Silent),
            (None, Some(session)) => Ok(session),
            (None, None) => Err(NoAnswer::NotOpen),
        }
    }

    /// Whether this was the answer to a question.
    pub(super) fn take_open(&mut self, id: u32, message: &[u8], step: &mut Step) -> bool {
        let Some(question) = self.open.remove(&id) else { return false };
        step.answered.push((id, read(&question, message)));
        true
    }

    /// Nobody answers what is open any more.
    pub(super) fn nobody_answers(&mut self, why: &NoAnswer, step: &mut Step) {
        step.answered.extend(self.open.drain().map(|(id, _)| (id, Err(why.clone()))));
    }
}

fn picturing(encoding: Encoding, area: Option<Area>) -> Value {
    let mut params = match encoding {
        Encoding::Png => json!({ "format": "png" }),
        Encoding::Jpeg { quality } => json!({ "format": "jpeg", "quality": quality }),
    };
    if let Some(Area { x, y, width, height }) = area {
        params["clip"] = json!({ "x": x, "y": y, "width": width, "height": height, "scale": 1 });
        params["captureBeyondViewport"] = Value::Bool(true);
    }
    params
}

/// A script that finds an element and gives its box on the page, and the scale.
fn finding(selector: &str) -> String {
    let selector = Value::from(selector);
    format!(
        "(() => {{ const found = document.querySelector({selector}); if (!found) return null; \
         const box = found.getBoundingClientRect(); \
         return [box.x + scrollX, box.y + scrollY, box.width, box.height, devicePixelRatio]; }})()"
    )
}

fn read(question: &Question, message: &[u8]) -> Result<Answer, NoAnswer> {
    match question {
        Question::Layout => result::<Layout>(message).map(|layout| {
            let scale = layout.layout_viewport.client_width / layout.css_layout_viewport.client_width;
            let content = layout.css_content_size;
            Answer::Layout { content: content.into(), scale: usable(scale) }
        }),
        Question::World => result::<World>(message).map(|world| Answer::World(world.execution_context_id)),
        Question::Find { .. } => match result::<Evaluated>(message)? {
            Evaluated { exception_details: Some(thrown), .. } => {
                let words = thrown.exception.map(|exception| exception.description).unwrap_or_default();
                // The rest is where it was thrown.
                Err(NoAnswer::NotASelector(bounded(words.lines().next().unwrap_or_default().to_owned())))
            }
            Evaluated { result: Returned { value: Some([x, y, width, height, scale]) }, .. } => {
                let area = Area { x, y, width, height };
                Ok(Answer::Found(Some(Place { area, scale: usable(scale) })))
            }
            Evaluated { result: Returned { value: None }, .. } => Ok(Answer::Found(None)),
        },
        Question::Picture { .. } => result::<Picture>(message).map(|picture| Answer::Picture(picture.data)),
        Question::Window => result::<Window>(message)
            .map(|window| Answer::Window { minimised: window.bounds.window_state == "minimized" }),
    }
}

/// A scale that makes no sense is that of most screens; what is drawn is measured again afterwards.
fn usable(scale: f64) -> f64 {
    if scale.is_finite() && scale > 0.0 { scale } else { 1.0 }
}

fn result<'a, R: Deserialize<'a>>(message: &'a [u8]) -> Result<R, NoAnswer> {
    message::result(message).map_err(|error| NoAnswer::Refused(bounded(error.message)))
}

/// The answer of `Page.getLayoutMetrics`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layout {
    layout_viewport: Viewport,
    css_layout_viewport: Viewport,
    css_content_size: Size,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Viewport {
    client_width: f64,
}

#[derive(Deserialize)]
struct Size {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl From<Size> for Area {
    fn from(Size { x, y, width, height }: Size) -> Self {
        Self { x, y, width, height }
    }
}

/// The answer of `Page.createIsolatedWorld`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct World {
    execution_context_id: i64,
}

/// The answer of `Runtime.evaluate`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Evaluated {
    result: Returned,
    exception_details: Option<Thrown>,
}

#[derive(Deserialize)]
struct Returned {
    // What was thrown has no value, or another kind of one.
    #[serde(default, deserialize_with = "five_numbers")]
    value: Option<[f64; 5]>,
}

#[derive(Deserialize)]
struct Thrown {
    exception: Option<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(default)]
    description: String,
}

fn five_numbers<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<[f64; 5]>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// The answer of `Page.captureScreenshot`.
#[derive(Deserialize)]
struct Picture {
    data: String,
}

/// The answer of `Browser.getWindowForTarget`.
#[derive(Deserialize)]
struct Window {
    bounds: Bounds,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bounds {
    #[serde(default)]
    window_state: String,
}
