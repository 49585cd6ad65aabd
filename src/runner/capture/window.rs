//! The window's picture, for when its page cannot be asked.

use super::{CaptureError, Encoding, Screenshot, Source, Unavailable, encoded::encode};
use crate::{
    desktop::{Desktop, DesktopError, Picture, Role, Window, desktop},
    process::TreeRoot,
    runner::{Runner, live::Live},
};

impl Runner {
    /// What the job's window shows, whatever lies above it.
    pub(super) async fn of_window(&self, live: &Live, encoding: Encoding) -> Result<Screenshot, CaptureError> {
        if live.log.latest().spec.headless {
            return Err(no_window("it runs without one; use source PAGE"));
        }
        let root = live.tree().ok_or(Unavailable::Over)?;
        let environment = &self.host.environment;
        let desktop =
            desktop(|wanted| environment.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone()));
        let taking = tokio::task::spawn_blocking(move || encode(shown(&*desktop, &root)?, encoding));
        let image = taking.await.expect("taking a picture does not panic")?;
        Ok(Screenshot::of(image, encoding, Source::Window, false))
    }
}

/// Blocks, for a second or two where the window has to be drawn first.
fn shown(desktop: &dyn Desktop, root: &TreeRoot) -> Result<Picture, CaptureError> {
    let windows = desktop.windows(&mut |pid| root.holds(pid)).map_err(refused)?;
    // The task's own page was there before all that it opened.
    let own = windows.iter().find(|window| window.role == Role::Normal).or(windows.first());
    let Window { at, .. } = own.ok_or_else(|| no_window("wait until it is shown"))?;
    desktop.capture(*at).map_err(refused)
}

fn no_window(words: &str) -> CaptureError {
    Unavailable::NoWindow(words.to_owned()).into()
}

fn refused(error: DesktopError) -> CaptureError {
    match error {
        DesktopError::NotShown(_) => Unavailable::Minimised.into(),
        other @ (DesktopError::NoDisplay
        | DesktopError::Wayland
        | DesktopError::Extension { .. }
        | DesktopError::Unreachable { .. }
        | DesktopError::Gone(_)
        | DesktopError::NotDrawn(_)
        | DesktopError::Format { .. }) => no_window(&other.to_string()),
    }
}
