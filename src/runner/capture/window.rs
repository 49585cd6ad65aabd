//! The window's picture, for when its page cannot be asked.

use std::sync::Arc;

use super::{CaptureError, Encoding, Screenshot, Source, Unavailable, encoded::encode};
use crate::job::Capability;
use crate::runner::{
    Runner,
    live::Live,
    windows::{WindowsError, seen_first},
};

impl Runner {
    /// What the job's window shows, whatever lies above it.
    pub(super) async fn of_window(&self, live: &Arc<Live>, encoding: Encoding) -> Result<Screenshot, CaptureError> {
        if live.log.latest().spec.headless {
            return Err(no_window("it runs without one; use source PAGE"));
        }
        if !live.log.latest().spec.can(Capability::Windows) {
            return Err(refused(&WindowsError::NotItsOwn(live.log.id())));
        }
        let found = self.host.windows_of(&[Arc::clone(live)]).await.map_err(|error| refused(&error))?;
        let window = seen_first(&found).ok_or_else(|| no_window("wait until it is shown"))?;
        if window.window.state.minimised {
            return Err(Unavailable::Minimised.into());
        }
        let at = window.window.at;
        let shown = self.host.windows.ask(move |desktop| desktop.capture(at)).await.map_err(|error| refused(&error))?;
        let encoding_it = tokio::task::spawn_blocking(move || encode(shown, encoding));
        let image = encoding_it.await.expect("encoding does not panic")?;
        Ok(Screenshot::of(image, encoding, Source::Window, false))
    }
}

fn no_window(words: &str) -> CaptureError {
    Unavailable::NoWindow(words.to_owned()).into()
}

fn refused(error: &WindowsError) -> CaptureError {
    no_window(&error.to_string())
}
