//! The conversation with a job's browser: begun, or taken up where an earlier service left it.

use std::io;

use super::{
    attendant::Attendant, files::safe_name, host::in_thread, launch::fragment, log::LogLevel, meters,
    recorder::Recorded,
};
use crate::{
    browser::{self, PagePlan, Report, Saved, Session, Step},
    job::{DialogPolicy, Fact, ReportStatus, Tier},
    process::{Order, Place},
};

/// How the conversation begins.
pub(super) enum Opening {
    /// With a browser that nobody has spoken to.
    Fresh,
    /// With one that an earlier service spoke to, as connection number `attach`.
    TakenUp { attach: u32 },
}

impl Attendant {
    /// Begins to speak with the browser; once.
    pub(super) async fn open_session(&mut self) {
        let job = self.job();
        if job.spec.tier != Tier::Managed || self.session.is_some() {
            return;
        }
        let plan = PagePlan {
            url: job.spec.url.as_str().to_owned(),
            fragment: fragment(&self.host, &job),
            allowed_origins: job.spec.callback_origins.clone(),
            callback_token: self.host.key.callback_token(job.id),
            dialogs: job.spec.dialogs.unwrap_or(if job.spec.headless {
                DialogPolicy::Accept
            } else {
                DialogPolicy::Leave
            }),
            wait_for_popups: job.spec.wait_for_popups,
            downloads: self.download_plan(&job),
        };
        let (session, commands) = match self.opening {
            Opening::Fresh => {
                let mut session = Session::new(1, plan);
                let commands = session.open();
                (session, commands)
            }
            Opening::TakenUp { attach } => {
                let mut session = Session::new(attach, plan);
                let commands = session.resume(read_saved(&self.place));
                (session, commands)
            }
        };
        self.session = Some(session);
        for command in commands {
            self.send(Order::Browser(command)).await;
        }
    }

    /// One message of the browser. True when it meant anything.
    pub(super) async fn hear_browser(&mut self, number: u64, message: &[u8]) -> bool {
        let Some(session) = self.session.as_mut() else { return false };
        let Step { facts, commands, save, said, answered } = session.receive(message);
        self.hear_said(number, said);
        // A picture is worth an acknowledgement: the shim holds megabytes of it until then.
        let weighty = !facts.is_empty() || save.is_some() || !answered.is_empty();
        for (question, answer) in answered {
            if let Some(reply) = self.asked_of_page.remove(&question) {
                // Who asked may have lost patience.
                drop(reply.send(answer));
            }
        }
        for (index, fact) in facts.into_iter().enumerate() {
            self.take_in(number, u8::try_from(index).unwrap_or(u8::MAX), fact).await;
        }
        for command in commands {
            self.send(Order::Browser(command)).await;
        }
        self.ask_what_waits().await;
        if let Some(saved) = save {
            self.save(&saved).await;
        }
        weighty
    }

    async fn take_in(&mut self, number: u64, index: u8, fact: browser::Fact) {
        let fact = match fact {
            browser::Fact::Answered { product } => Fact::BrowserAnswered { version: product },
            browser::Fact::Committed { url, http_status } => Fact::PageCommitted { url, http_status },
            browser::Fact::NavigationFailed { net_error, .. } => Fact::NavigationFailed { net_error },
            browser::Fact::NotCreated { message } => {
                Fact::NavigationFailed { net_error: format!("the browser made no page: {message}") }
            }
            browser::Fact::PageClosed if self.is_stopping() => return,
            browser::Fact::PageClosed => Fact::PageClosed,
            browser::Fact::PageCrashed { status, oom } => Fact::PageCrashed { status, out_of_memory: oom },
            browser::Fact::Reported(report) => match self.take_page_report(report) {
                Some(fact) => fact,
                None => return,
            },
            browser::Fact::ReportRefused(refusal) => {
                tracing::warn!(task_id = %self.id(), %refusal, "a page sent something that is not a report of its task");
                let remark = format!("a script sent something that is not a report of this task: {refusal}");
                return self.remark(LogLevel::Warning, &remark);
            }
            browser::Fact::Sampled(sample) => {
                self.attended.live.resample(|latest| {
                    latest.page_title = sample.title;
                    latest.page_url = sample.url;
                    latest.dialog = sample.dialog;
                    latest.popup_count = sample.popup_count;
                });
                return;
            }
            browser::Fact::InFront => {
                let _ = self.fronting.take().map(|reply| reply.send(()));
                return;
            }
            browser::Fact::DownloadBegan { name } => Fact::DownloadBegan { name: safe_name(&name) },
            browser::Fact::DownloadGrew { name, received_bytes, total_bytes } => {
                return self.download_grew(&name, received_bytes, total_bytes);
            }
            browser::Fact::DownloadDone(download) => return self.download_done(number, index, download).await,
            browser::Fact::DownloadFailed { download, why } => {
                return self.download_failed(number, index, download, why).await;
            }
            browser::Fact::DialogAnswered { kind, accepted } => {
                let answer = if accepted { "accepted" } else { "dismissed" };
                return self.remark(LogLevel::Info, &format!("a dialog ({kind}) was {answer}"));
            }
            browser::Fact::Created { .. } => return,
        };
        let is_report = matches!(fact, Fact::Reported { .. });
        let recorded = self.record_numbered(number, index, fact).await;
        if is_report {
            meters::page_reported(&recorded);
        }
        if let Recorded::Refused(refusal) = recorded {
            tracing::warn!(task_id = %self.id(), %refusal, "the browser said what cannot be true of its task");
        }
    }

    /// An end is a fact; a sign of life is a reading.
    fn take_page_report(&mut self, report: Report) -> Option<Fact> {
        let Report { status, message, result, progress } = report;
        self.heard();
        let status = match status {
            browser::ReportStatus::Done => ReportStatus::Done,
            browser::ReportStatus::Failed => ReportStatus::Failed,
            browser::ReportStatus::Running => {
                meters::page_lives(&self.hear_alive(progress, message));
                return None;
            }
        };
        Some(Fact::Reported { status, message, result })
    }

    /// Written for another service, should this one end; without it that one asks the browser.
    async fn save(&self, saved: &Saved) {
        let path = self.place.cdp();
        let written = match serde_json::to_vec(saved) {
            Ok(bytes) => in_thread(move || write_whole(&path, &bytes)).await,
            Err(error) => Err(io::Error::other(error)),
        };
        if let Err(error) = written {
            tracing::warn!(task_id = %self.id(), %error, "the browser's state was not written");
        }
    }
}

/// Whole or not at all, for a reader after a kill; it need not outlive the machine, as the browser does not.
pub(super) fn write_whole(path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    std::fs::write(&unfinished, bytes)?;
    std::fs::rename(&unfinished, path)
}

/// What an earlier service wrote; none when it wrote nothing that can be read.
fn read_saved(place: &Place) -> Option<Saved> {
    let bytes = std::fs::read(place.cdp()).ok()?;
    serde_json::from_slice(&bytes).ok()
}
