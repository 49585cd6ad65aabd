//! `windows`, `focus` and `tile`: which windows tasks have, and having them seen.

use clap::Args;

use super::{
    Exit, Problem,
    args::{Format, Reach},
    print::{Printer, plain},
};
use crate::api::v1::{
    FocusWindowRequest, FocusWindowResponse, ListWindowsRequest, TileWindowsRequest, Window, WindowBounds,
    focus_window_response::Outcome,
};

/// A task's id, the widest number of a window, role, state and place, so that columns stand.
const ID_WIDTH: usize = 36;
const WINDOW_WIDTH: usize = 10;
const ROLE_WIDTH: usize = 5;
const STATE_WIDTH: usize = 9;
const PLACE_WIDTH: usize = 20;

/// Arguments of `windows`.
#[derive(Debug, Args)]
pub(super) struct Windows {
    /// Only the windows of this task
    #[arg(value_name = "ID")]
    task_id: Option<String>,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    format: Format,
}

impl Windows {
    pub(super) async fn run(self) -> Result<Exit, Problem> {
        let mut client = self.reach.target()?.connect().await?;
        let request = ListWindowsRequest { task_id: self.task_id.unwrap_or_default() };
        let answer = client.list_windows(request).await?.into_inner();
        Printer::new(self.format).print("ListWindowsResponse", &answer, || lines(&answer.windows))?;
        Ok(Exit::Done)
    }
}

/// Arguments of `focus`.
#[derive(Debug, Args)]
pub(super) struct Focus {
    /// The task
    #[arg(value_name = "ID")]
    task_id: String,
    /// One of its windows, by the number that `windows` shows [default: that of the task's page]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    window: u32,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    format: Format,
}

impl Focus {
    pub(super) async fn run(self) -> Result<Exit, Problem> {
        let mut client = self.reach.target()?.connect().await?;
        let request = FocusWindowRequest { task_id: self.task_id, window_id: self.window };
        let answer = client.focus_window(request).await?.into_inner();
        Printer::new(self.format).print("FocusWindowResponse", &answer, || outcome(&answer))?;
        Ok(Exit::Done)
    }
}

/// Arguments of `tile`.
#[derive(Debug, Args)]
pub(super) struct Tile {
    /// The tasks [default: all with a window]
    #[arg(value_name = "ID")]
    task_ids: Vec<String>,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    format: Format,
}

impl Tile {
    pub(super) async fn run(self) -> Result<Exit, Problem> {
        let mut client = self.reach.target()?.connect().await?;
        let answer = client.tile_windows(TileWindowsRequest { task_ids: self.task_ids }).await?.into_inner();
        Printer::new(self.format).print("TileWindowsResponse", &answer, || lines(&answer.windows))?;
        if answer.overlap {
            eprintln!("some windows lie over each other: they cannot be made small enough for the screen");
        }
        Ok(Exit::Done)
    }
}

fn outcome(answer: &FocusWindowResponse) -> String {
    let words = match answer.outcome() {
        Outcome::Focused => "focused",
        Outcome::Requested => "requested; the desktop has not done it yet",
        Outcome::Unverifiable => "the browser was told; this desktop lets nobody see what became of it",
        Outcome::Unspecified => "the service speaks of something newer",
    };
    let window = answer.window.as_ref().map(|window| format!("\n{}", line(window))).unwrap_or_default();
    format!("{words}{window}")
}

fn lines(windows: &[Window]) -> String {
    if windows.is_empty() {
        return "no task has a window".to_owned();
    }
    let heading = columns("TASK", "WINDOW", "ROLE", "STATE", "PLACE", "TITLE");
    std::iter::once(heading).chain(windows.iter().map(line)).collect::<Vec<_>>().join("\n")
}

fn line(window: &Window) -> String {
    let state = match (window.minimised, window.focused, window.on_top) {
        (true, _, _) => "minimised",
        (false, true, _) => "focused",
        (false, false, true) => "on top",
        (false, false, false) => "",
    };
    let WindowBounds { x, y, width, height } = window.bounds.unwrap_or_default();
    let (id, place) = (window.window_id.to_string(), format!("{width}x{height} at {x},{y}"));
    columns(&window.task_id, &id, window.role().as_str_name(), state, &place, &plain(&window.title))
}

fn columns(task: &str, window: &str, role: &str, state: &str, place: &str, title: &str) -> String {
    let line = format!(
        "{task:ID_WIDTH$}  {window:WINDOW_WIDTH$}  {role:ROLE_WIDTH$}  {state:STATE_WIDTH$}  {place:PLACE_WIDTH$}  {title}"
    );
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1::window::Role;

    fn window() -> Window {
        Window {
            window_id: 4_194_307,
            task_id: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
            title: "evil\u{1b}[2J".to_owned(),
            role: Role::Page.into(),
            bounds: Some(WindowBounds { x: -10, y: 0, width: 533, height: 550 }),
            focused: true,
            ..Window::default()
        }
    }

    #[test]
    fn a_line_tells_whose_a_window_is_where_and_how_it_stands_and_steers_no_terminal() {
        let told = line(&window());
        let start = "01890a5d-ac96-774b-bcce-b302099a8057  4194307     PAGE   focused    533x550 at -10,0      evil";
        assert!(told.starts_with(start), "{told}");
        assert!(!told.contains('\u{1b}'), "{told}");
    }

    #[test]
    fn an_outcome_is_told_in_words_with_the_window_behind_it() {
        let focused = FocusWindowResponse { outcome: Outcome::Focused.into(), window: Some(window()) };
        assert!(outcome(&focused).starts_with("focused\n01890a5d"));
        let blind = FocusWindowResponse { outcome: Outcome::Unverifiable.into(), window: None };
        assert!(!outcome(&blind).contains('\n'));
    }
}
