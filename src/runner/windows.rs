//! The windows of jobs: which there are, which one is the task's page, and having them seen.
//!
//! A window is a job's when its process lives below the job's shim. What a window says of itself decides nothing.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::sync::{Mutex, Semaphore};

use super::{
    CallError, Host, Runner,
    live::{Ask, Live},
};
use crate::{
    desktop::{self, Desktop, DesktopError, Focus, Rect, Role, Window, WindowRef},
    job::{Capability, PageEnd, TaskId, Tier},
    process::TreeRoot,
};

/// How many calls may ask the desktop at once: each takes some 20 ms of a thread, and more of them wait their turn.
const CALLS_MAX: usize = 4;
/// Longest title that is told.
const TITLE_CHARS_MAX: usize = 256;
/// How long a browser may take to put its page in front: measured, it takes 14 ms.
const FRONT_MAX: Duration = Duration::from_secs(1);

/// The desktop, and the order in which it is asked.
#[derive(Debug)]
pub(super) struct Windows {
    desktop: Arc<dyn Desktop>,
    calls: Semaphore,
    /// Whoever moves windows or raises them does so alone: two at once would each read back what the other did.
    acting: Mutex<()>,
    beside_wayland: bool,
}

impl Windows {
    /// The desktop that the variables of an environment lead to.
    pub(super) fn of(environment: &[(String, String)]) -> Self {
        let variable = |wanted: &str| {
            let set = environment.iter().find(|(name, value)| name == wanted && !value.is_empty());
            set.map(|(_, value)| value.clone())
        };
        Self {
            desktop: desktop::desktop(variable),
            calls: Semaphore::new(CALLS_MAX),
            acting: Mutex::new(()),
            beside_wayland: variable("WAYLAND_DISPLAY").is_some(),
        }
    }

    /// Asks the desktop, in a thread that may wait.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Desktop) -> Result<T, DesktopError> + Send + 'static,
    ) -> Result<T, WindowsError> {
        let _turn = self.calls.acquire().await;
        let desktop = Arc::clone(&self.desktop);
        match tokio::task::spawn_blocking(move || ask(&*desktop)).await {
            Ok(answer) => Ok(answer?),
            Err(error) => Err(WindowsError::Unavailable(format!("asking the desktop failed: {error}"))),
        }
    }
}

/// What a window of a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowRole {
    /// It shows the task's page.
    Page,
    /// A page of the task opened it.
    Popup,
    /// Anything else: a dialog, a window that a person opened.
    Other,
}

/// A window of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobWindow {
    /// Whose.
    pub task: TaskId,
    /// What for.
    pub role: WindowRole,
    /// The window as it was read.
    pub window: Window,
}

/// What became of a wish to see a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowFocus {
    /// It is before all others and has the keyboard, as was read back.
    Confirmed(JobWindow),
    /// It was asked for, and did not come in time; the window as it was read back.
    Asked(JobWindow),
    /// The browser was told, and nobody can see what became of it.
    Unverifiable,
}

/// The windows that were laid side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiled {
    /// Each as it was read back.
    pub windows: Vec<JobWindow>,
    /// Some lie over each other: they cannot be made small enough for the screen.
    pub overlap: bool,
}

/// Why nothing was said of, or done with, windows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowsError {
    /// The job cannot be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The job has none.
    #[error("task {0} runs without a window; start it with mode HEADED to have one")]
    Headless(TaskId),
    /// Nobody can tell them from others'.
    #[error(
        "task {0} has its page in a browser that is shared or a person's own, where its windows cannot be told apart; start it with isolation PROCESS in tier MANAGED or EXIT_ONLY to have windows of its own"
    )]
    NotItsOwn(TaskId),
    /// None yet, or none any more.
    #[error("task {0} has no window now: it is not shown yet, or its browser is gone; see the task's status")]
    NoWindow(TaskId),
    /// Not one of the job's.
    #[error("window {window} is none of task {task}'s now; list its windows again")]
    NotItsWindow {
        /// Whose it should be.
        task: TaskId,
        /// What was named.
        window: u32,
    },
    /// This desktop cannot be asked at all.
    #[error("{0}")]
    Unsupported(String),
    /// It cannot be asked now.
    #[error("{0}")]
    Unavailable(String),
    /// The window went away meanwhile.
    #[error("{0}")]
    Gone(String),
    /// It cannot be pictured.
    #[error("{0}")]
    NotSeen(String),
}

impl From<DesktopError> for WindowsError {
    fn from(error: DesktopError) -> Self {
        let told = error.to_string();
        match error {
            DesktopError::NoDisplay | DesktopError::Wayland | DesktopError::Extension { .. } => Self::Unsupported(told),
            DesktopError::Unreachable { .. } => Self::Unavailable(told),
            DesktopError::Gone(_) => Self::Gone(told),
            DesktopError::NotShown(_) | DesktopError::NotDrawn(_) | DesktopError::Format { .. } => Self::NotSeen(told),
        }
    }
}

impl Runner {
    /// The windows of one job, or of all that live; in the order of their jobs, then the oldest first.
    ///
    /// # Errors
    /// When the job is unknown or the desktop cannot be asked.
    pub async fn windows(&self, task: Option<TaskId>) -> Result<Vec<JobWindow>, WindowsError> {
        let jobs = match task {
            Some(id) => self.known(id).await?.into_iter().collect(),
            None => self.all_in_order(),
        };
        self.host.windows_of(&jobs).await
    }

    /// Puts a window of a job before all others and gives it the keyboard: the named one, or that of the task's page.
    ///
    /// # Errors
    /// When the job is unknown or has no such window, or the desktop cannot be asked.
    pub async fn focus_window(&self, task: TaskId, window: Option<u32>) -> Result<WindowFocus, WindowsError> {
        let live = self.windowed(task).await?;
        let _alone = self.host.windows.acting.lock().await;
        let found = match self.host.windows_of(&[Arc::clone(&live)]).await {
            Ok(found) => found,
            // Its browser can be asked all the same.
            Err(WindowsError::Unsupported(why)) => {
                let told = window.is_none() && self.host.windows.beside_wayland && self.bring_to_front(&live).await;
                return if told { Ok(WindowFocus::Unverifiable) } else { Err(WindowsError::Unsupported(why)) };
            }
            Err(error) => return Err(error),
        };
        let chosen = match window {
            Some(id) => {
                found.iter().find(|it| it.window.at.id == id).ok_or(WindowsError::NotItsWindow { task, window: id })
            }
            None => seen_first(&found).ok_or(WindowsError::NoWindow(task)),
        };
        let chosen = match chosen {
            Ok(chosen) => chosen.clone(),
            // It may have its windows beside the X server that was asked.
            Err(WindowsError::NoWindow(_)) if self.host.windows.beside_wayland && self.bring_to_front(&live).await => {
                return Ok(WindowFocus::Unverifiable);
            }
            Err(error) => return Err(error),
        };
        if chosen.role == WindowRole::Page {
            // The page may be behind another one in its own window.
            self.bring_to_front(&live).await;
        }
        let at = chosen.window.at;
        let focus = self.host.windows.ask(move |desktop| desktop.focus(at)).await?;
        // As it is now: it may have been restored, and its title may be the page's again.
        let mut read = self.host.windows_of(&[live]).await?.into_iter().find(|it| it.window.at == at).unwrap_or(chosen);
        match focus {
            Focus::Confirmed(state) => {
                read.window.state = state;
                Ok(WindowFocus::Confirmed(read))
            }
            Focus::Asked(state) => {
                read.window.state = state;
                Ok(WindowFocus::Asked(read))
            }
        }
    }

    /// Lays the windows of these jobs, or of all that live, side by side over the screen.
    ///
    /// # Errors
    /// When a job is unknown or has no window, or the desktop cannot be asked.
    pub async fn tile_windows(&self, tasks: &[TaskId]) -> Result<Tiled, WindowsError> {
        let mut jobs = Vec::new();
        for task in tasks {
            jobs.push(self.windowed(*task).await?);
        }
        if tasks.is_empty() {
            jobs = self.all_in_order();
        }
        let _alone = self.host.windows.acting.lock().await;
        let mut found = self.host.windows_of(&jobs).await?;
        if let Some(none) = tasks.iter().find(|task| !found.iter().any(|it| it.task == **task)) {
            return Err(WindowsError::NoWindow(*none));
        }
        // A dialog stays with the window that it belongs to.
        found.retain(|it| it.window.role != Role::Dialog);
        let windows: Vec<WindowRef> = found.iter().map(|it| it.window.at).collect();
        self.host.windows.ask(move |desktop| desktop.tile(&windows)).await?;
        let mut read = self.host.windows_of(&jobs).await?;
        read.retain(|it| found.iter().any(|tiled| tiled.window.at == it.window.at));
        let places: Vec<Rect> = read.iter().map(|it| it.window.bounds).collect();
        let overlap =
            places.iter().enumerate().any(|(nth, place)| places[nth + 1..].iter().any(|it| it.overlaps(*place)));
        Ok(Tiled { windows: read, overlap })
    }

    /// Every job that is attended, the oldest first.
    fn all_in_order(&self) -> Vec<Arc<Live>> {
        let mut jobs = self.host.live.all();
        jobs.sort_by_key(|live| live.log.id());
        jobs
    }

    /// The job's attendant, of a job that is known; none when it is over.
    async fn known(&self, task: TaskId) -> Result<Option<Arc<Live>>, CallError> {
        if let Some(live) = self.host.live.get(task) {
            return Ok(Some(live));
        }
        self.host.ledger.latest(task).await?.ok_or(CallError::Unknown(task))?;
        Ok(None)
    }

    /// The attendant of a job that can have windows now.
    async fn windowed(&self, task: TaskId) -> Result<Arc<Live>, WindowsError> {
        let live = self.known(task).await?.ok_or(WindowsError::NoWindow(task))?;
        let job = live.log.latest();
        if job.spec.headless {
            Err(WindowsError::Headless(task))
        } else if !job.spec.can(Capability::Windows) {
            Err(WindowsError::NotItsOwn(task))
        } else {
            Ok(live)
        }
    }

    /// Has the browser put the task's page before its other ones. False when there is nobody to ask, or no answer.
    async fn bring_to_front(&self, live: &Live) -> bool {
        if live.log.latest().spec.tier != Tier::Managed {
            return false;
        }
        matches!(tokio::time::timeout(FRONT_MAX, live.ask(Ask::BringToFront)).await, Ok(Some(())))
    }
}

impl Host {
    /// The windows of these jobs.
    pub(super) async fn windows_of(&self, jobs: &[Arc<Live>]) -> Result<Vec<JobWindow>, WindowsError> {
        // Of a browser that others share, or that is a person's own, nobody can tell which windows are the task's.
        let jobs: Vec<(Arc<Live>, Option<TreeRoot>)> = jobs
            .iter()
            .filter(|live| live.log.latest().spec.can(Capability::Windows))
            .map(|live| (Arc::clone(live), live.tree()))
            .collect();
        let trees: Vec<(TaskId, TreeRoot)> =
            jobs.iter().filter_map(|(live, tree)| Some((live.log.id(), tree.clone()?))).collect();
        let (windows, owners) = self.windows.ask(move |desktop| owned(desktop, &trees)).await?;
        let mut found = Vec::new();
        for (live, _) in jobs {
            let task = live.log.id();
            let own = windows.iter().filter(|window| owners.get(&window.at.pid) == Some(&task));
            let page_is_gone = live.log.latest().page_end == Some(PageEnd::Closed);
            let token = self.key.callback_token(task);
            let own = own.map(|window| Window { title: shown(&window.title, &token), ..window.clone() }).collect();
            found.extend(with_roles(own, page_is_gone).into_iter().map(|(role, window)| JobWindow {
                task,
                role,
                window,
            }));
        }
        Ok(found)
    }
}

/// The windows of some trees, and whose each process is.
fn owned(
    desktop: &dyn Desktop,
    trees: &[(TaskId, TreeRoot)],
) -> Result<(Vec<Window>, HashMap<u32, TaskId>), DesktopError> {
    let mut asked: HashMap<u32, Option<TaskId>> = HashMap::new();
    let windows = desktop.windows(&mut |pid| {
        let task = asked.entry(pid).or_insert_with(|| {
            let own = trees.iter().find(|(_, tree)| tree.holds(pid));
            own.map(|(task, _)| *task)
        });
        task.is_some()
    })?;
    Ok((windows, asked.into_iter().filter_map(|(pid, task)| Some((pid, task?))).collect()))
}

/// A title as others may see it. A page without one is named by its address, and that may carry the token.
fn shown(title: &str, token: &str) -> String {
    title.replace(token, "[token]").chars().take(TITLE_CHARS_MAX).collect()
}

/// Says what each window of a job is for. Its page was opened in a window of its own before anything else was.
fn with_roles(windows: Vec<Window>, page_is_gone: bool) -> Vec<(WindowRole, Window)> {
    let mut page_is_told = page_is_gone;
    let told = windows.into_iter().map(|window| {
        let role = match window.role {
            Role::Popup => WindowRole::Popup,
            Role::Normal if !std::mem::replace(&mut page_is_told, true) => WindowRole::Page,
            Role::Normal | Role::Dialog => WindowRole::Other,
        };
        (role, window)
    });
    told.collect()
}

/// The window that a person who asks for a task means: that of its page, or else the first that is there.
pub(super) fn seen_first(windows: &[JobWindow]) -> Option<&JobWindow> {
    windows.iter().find(|it| it.role == WindowRole::Page).or_else(|| windows.first())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desktop::WindowState;

    fn window(id: u32, role: Role) -> Window {
        let at = WindowRef { id, pid: 1 };
        Window { at, title: String::new(), role, bounds: Rect::default(), state: WindowState::default() }
    }

    #[test]
    fn the_oldest_window_of_its_own_shows_the_page_while_there_is_one() {
        let windows = || [Role::Popup, Role::Normal, Role::Dialog, Role::Normal].map(|role| window(1, role)).to_vec();
        let roles = |gone| with_roles(windows(), gone).into_iter().map(|(role, _)| role).collect::<Vec<_>>();
        use WindowRole::{Other, Page, Popup};
        assert_eq!(roles(false), [Popup, Page, Other, Other]);
        assert_eq!(roles(true), [Popup, Other, Other, Other]);
    }

    #[test]
    fn a_title_is_bounded_and_no_part_of_the_token_is_told() {
        let token = "s3cret".repeat(7);
        for before in [0, TITLE_CHARS_MAX - 20, TITLE_CHARS_MAX] {
            let told = shown(&format!("{}{token}", "é".repeat(before)), &token);
            assert!(told.chars().count() <= TITLE_CHARS_MAX && !told.contains("s3cret"), "{told}");
        }
    }

    #[test]
    fn a_desktops_error_says_whether_it_may_pass() {
        let display = || ":9".to_owned();
        for (error, passes) in [
            (DesktopError::NoDisplay, false),
            (DesktopError::Wayland, false),
            (DesktopError::Extension { display: display(), extension: "X-Resource", wanted: "nothing" }, false),
            (DesktopError::Unreachable { display: display(), why: "gone".to_owned() }, true),
        ] {
            let told = error.to_string();
            let expected = if passes { WindowsError::Unavailable(told) } else { WindowsError::Unsupported(told) };
            assert_eq!(WindowsError::from(error), expected);
        }
    }
}
