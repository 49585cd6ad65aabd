//! The files that pages download: followed to their end, and cancelled where they are too large or too many.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Session, Step};
use crate::browser::cdp::message;
use crate::browser::facts::{Download, DownloadFailure, Fact};

/// Most downloads that are followed at once, those included that were just cancelled; those beyond it are cancelled
/// and forgotten, and what they leave is removed with the browser.
const RUNNING_MAX: usize = 64;

/// Longest name of a download that the browser may make: it writes 36 characters.
const GUID_BYTES_MAX: usize = 64;

/// A download on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Running {
    name: String,
    is_task: bool,
    /// That it was cancelled because there is no room for it.
    refused: Option<Refused>,
    /// Not kept over a restart: the next word about it says how much is there.
    #[serde(skip)]
    received_bytes: u64,
    /// What it will come to, as far as known.
    #[serde(skip)]
    expected_bytes: u64,
}

/// Why a download may not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Refused {
    TooLarge,
    TooMany,
}

impl Session {
    /// Says where files go. The browser makes the directory when the first one comes.
    pub(super) fn direct_downloads(&mut self, step: &mut Step) {
        let params =
            json!({ "behavior": "allowAndName", "downloadPath": self.plan.downloads.dir, "eventsEnabled": true });
        self.send(step, None, "Browser.setDownloadBehavior", &params);
    }

    pub(super) fn take_download_event(&mut self, method: &str, message: &[u8], step: &mut Step) {
        match method {
            "Browser.downloadWillBegin" => {
                if let Some(began) = message::params::<message::DownloadBegan>(message) {
                    self.download_began(&began, step);
                }
            }
            "Browser.downloadProgress" => {
                if let Some(progress) = message::params::<message::DownloadProgress>(message)
                    && is_guid(&progress.guid)
                {
                    self.download_goes_on(&progress, step);
                }
            }
            _ => {}
        }
    }

    fn download_began(&mut self, began: &message::DownloadBegan, step: &mut Step) {
        if !is_guid(&began.guid) || self.state.downloads.contains_key(&began.guid) {
            return;
        }
        let name = self.shown(&began.suggested_filename);
        let is_task = self.is_main_frame(&began.frame_id) && self.state.navigation.is_a_download();
        if is_task {
            self.changed = true;
            step.facts.push(Fact::DownloadBegan { name: name.clone() });
            self.leave_network(step);
        }
        let room = self.plan.downloads.files_max.saturating_sub(self.plan.downloads.kept_files);
        let refused = (self.state.downloads.len() >= room).then_some(Refused::TooMany);
        if self.state.downloads.len() < RUNNING_MAX {
            let running = Running { name, is_task, refused, received_bytes: 0, expected_bytes: 0 };
            self.state.downloads.insert(began.guid.clone(), running);
            self.changed = true;
        }
        if refused.is_some() || !self.state.downloads.contains_key(&began.guid) {
            self.cancel_download(&began.guid, step);
        }
    }

    fn download_goes_on(&mut self, progress: &message::DownloadProgress, step: &mut Step) {
        match progress.state.as_str() {
            "completed" => self.download_ended(progress, true, step),
            "canceled" => self.download_ended(progress, false, step),
            _ => self.download_grew(progress, step),
        }
    }

    fn download_grew(&mut self, progress: &message::DownloadProgress, step: &mut Step) {
        let (received, total) = (bytes(progress.received_bytes), bytes(progress.total_bytes));
        let Some(running) = self.state.downloads.get_mut(&progress.guid) else { return };
        running.expected_bytes = running.expected_bytes.max(received).max(total);
        let grew = received > running.received_bytes;
        running.received_bytes = running.received_bytes.max(received);
        if grew && running.is_task && running.refused.is_none() {
            step.facts.push(Fact::DownloadGrew {
                name: running.name.clone(),
                received_bytes: received,
                total_bytes: (total > 0).then_some(total),
            });
        }
        if running.refused.is_none() && self.is_too_large() {
            if let Some(running) = self.state.downloads.get_mut(&progress.guid) {
                running.refused = Some(Refused::TooLarge);
            }
            self.changed = true;
            self.cancel_download(&progress.guid, step);
        }
    }

    /// Whether what is kept and what is coming need more room than there is.
    fn is_too_large(&self) -> bool {
        let coming = self.state.downloads.values().filter(|running| running.refused.is_none());
        let coming = coming.fold(0_u64, |sum, running| sum.saturating_add(running.expected_bytes));
        self.plan.downloads.kept_bytes.saturating_add(coming) > self.plan.downloads.bytes_max
    }

    /// So much of it is kept by now: whoever keeps it may have refused some.
    pub fn kept(&mut self, bytes: u64, files: usize) {
        (self.plan.downloads.kept_bytes, self.plan.downloads.kept_files) = (bytes, files);
    }

    fn download_ended(&mut self, progress: &message::DownloadProgress, complete: bool, step: &mut Step) {
        let running = self.state.downloads.remove(&progress.guid);
        self.changed |= running.is_some();
        let (download, refused, received_before) = match running {
            Some(Running { name, is_task, refused, received_bytes, .. }) => {
                (Download { guid: progress.guid.clone(), name, is_task }, refused, received_bytes)
            }
            // One that began before anybody listened, or one too many: who keeps it decides by what is there.
            None if complete => {
                (Download { guid: progress.guid.clone(), name: String::new(), is_task: false }, None, 0)
            }
            None => return,
        };
        let why = match refused {
            Some(Refused::TooLarge) => DownloadFailure::TooLarge { bytes_max: self.plan.downloads.bytes_max },
            Some(Refused::TooMany) => DownloadFailure::TooMany { files_max: self.plan.downloads.files_max },
            None if complete => return step.facts.push(Fact::DownloadDone(download)),
            None => DownloadFailure::BrokenOff { received_bytes: received_before },
        };
        step.facts.push(Fact::DownloadFailed { download, why });
    }

    fn cancel_download(&mut self, guid: &str, step: &mut Step) {
        self.send(step, None, "Browser.cancelDownload", &json!({ "guid": guid }));
    }
}

/// It names a file on our disk, so nothing else is taken.
fn is_guid(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= GUID_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// A number of bytes as the protocol writes it; what makes no sense is none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float becomes the nearest number")]
fn bytes(number: f64) -> u64 {
    number as u64
}
