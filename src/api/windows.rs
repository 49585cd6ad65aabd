//! Windows on the wire: which are asked for, and how they were read back.

use super::{
    request,
    status::Violation,
    v1::{self, focus_window_response::Outcome, window::Role},
};
use crate::{
    job::TaskId,
    runner::{JobWindow, Tiled, WindowFocus, WindowRole},
};

/// Most tasks whose windows are laid out at once: far more than a screen has room for.
const TASK_IDS_MAX: usize = 1000;

/// Whose windows are asked for; none for those of all.
pub(super) fn whose(request: &v1::ListWindowsRequest) -> Result<Option<TaskId>, Vec<Violation>> {
    if request.task_id.is_empty() { Ok(None) } else { request::task_id(&request.task_id).map(Some) }
}

/// Which window is to be seen; none for that of the task's page.
pub(super) fn which(request: &v1::FocusWindowRequest) -> Result<(TaskId, Option<u32>), Vec<Violation>> {
    let task = request::task_id(&request.task_id)?;
    Ok((task, Some(request.window_id).filter(|id| *id != 0)))
}

/// Whose windows are to be laid out; none for those of all. A task that is named twice is meant once.
pub(super) fn tiled(request: &v1::TileWindowsRequest) -> Result<Vec<TaskId>, Vec<Violation>> {
    let texts = &request.task_ids;
    if texts.len() > TASK_IDS_MAX {
        let told = format!("has {} entries; at most {TASK_IDS_MAX} are taken", texts.len());
        return Err(vec![Violation::new("task_ids", "TOO_MANY", told)]);
    }
    let (mut tasks, mut violations) = (Vec::new(), Vec::new());
    for (index, text) in texts.iter().enumerate() {
        match request::task_id(text) {
            Ok(id) if tasks.contains(&id) => {}
            Ok(id) => tasks.push(id),
            Err(wrong) => violations
                .extend(wrong.into_iter().map(|wrong| Violation { field: format!("task_ids[{index}]"), ..wrong })),
        }
    }
    if violations.is_empty() { Ok(tasks) } else { Err(violations) }
}

impl From<JobWindow> for v1::Window {
    fn from(JobWindow { task, role, window }: JobWindow) -> Self {
        let role = match role {
            WindowRole::Page => Role::Page,
            WindowRole::Popup => Role::Popup,
            WindowRole::Other => Role::Other,
        };
        let (bounds, state) = (window.bounds, window.state);
        let bounds = v1::WindowBounds { x: bounds.x, y: bounds.y, width: bounds.width, height: bounds.height };
        Self {
            window_id: window.at.id,
            task_id: task.to_string(),
            title: window.title,
            role: role.into(),
            bounds: Some(bounds),
            focused: state.focused,
            minimised: state.minimised,
            on_top: state.on_top,
        }
    }
}

pub(super) fn listed(windows: Vec<JobWindow>) -> v1::ListWindowsResponse {
    v1::ListWindowsResponse { windows: windows.into_iter().map(v1::Window::from).collect() }
}

impl From<WindowFocus> for v1::FocusWindowResponse {
    fn from(focus: WindowFocus) -> Self {
        let (outcome, window) = match focus {
            WindowFocus::Confirmed(window) => (Outcome::Focused, Some(window)),
            WindowFocus::Asked(window) => (Outcome::Requested, Some(window)),
            WindowFocus::Unverifiable => (Outcome::Unverifiable, None),
        };
        Self { outcome: outcome.into(), window: window.map(v1::Window::from) }
    }
}

impl From<Tiled> for v1::TileWindowsResponse {
    fn from(Tiled { windows, overlap }: Tiled) -> Self {
        Self { windows: windows.into_iter().map(v1::Window::from).collect(), overlap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    #[test]
    fn no_task_means_all_and_no_window_that_of_the_page() {
        assert_eq!(whose(&v1::ListWindowsRequest::default()), Ok(None));
        let one = v1::ListWindowsRequest { task_id: ID.to_owned() };
        assert_eq!(whose(&one), Ok(Some(ID.parse().unwrap())));
        let focus = |window_id| which(&v1::FocusWindowRequest { task_id: ID.to_owned(), window_id }).unwrap().1;
        assert_eq!((focus(0), focus(7)), (None, Some(7)));
        assert_eq!(which(&v1::FocusWindowRequest::default()).unwrap_err()[0].reason, "TASK_ID_INVALID");
    }

    #[test]
    fn every_task_that_is_none_is_told_by_its_place() {
        let tile =
            |ids: &[&str]| tiled(&v1::TileWindowsRequest { task_ids: ids.iter().map(|id| (*id).to_owned()).collect() });
        assert_eq!(tile(&[]), Ok(Vec::new()));
        assert_eq!(tile(&[ID, ID]), Ok(vec![ID.parse().unwrap()]));
        let wrong = tile(&["", ID, "x"]).unwrap_err();
        let fields: Vec<_> = wrong.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["task_ids[0]", "task_ids[2]"]);
        assert_eq!(tile(&[ID; TASK_IDS_MAX + 1]).unwrap_err()[0].reason, "TOO_MANY");
    }
}
