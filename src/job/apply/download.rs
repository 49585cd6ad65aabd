//! What the file that a task's URL leads to does to its job.

use super::{Applied, Refusal, Step};
use crate::job::{Download, DownloadEnd, Phase, Reason, Record, policy::Verdict};

impl Step<'_> {
    pub(super) fn download_began(&self, name: &str) -> Applied {
        let download = Download { name: name.to_owned(), end: None };
        match self.phase {
            Phase::Waiting => Applied::Refused(Refusal::NotLaunched),
            Phase::Running | Phase::Stopping | Phase::Over if self.job.download.is_some() => Applied::Unchanged,
            Phase::Running => self.change(|job| {
                job.message = format!("downloading {name}");
                job.download = Some(download);
            }),
            Phase::Stopping | Phase::Over => self.change(|job| job.download = Some(download)),
        }
    }

    pub(super) fn download_done(&self, name: &str) -> Applied {
        self.download_ended(name, DownloadEnd::Complete, |job| job.download_verdict(name))
    }

    pub(super) fn download_failed(&self, name: &str, why: &str) -> Applied {
        self.download_ended(name, DownloadEnd::Failed, |job| {
            job.page_failure(Verdict::failed(Reason::DownloadFailed, format!("{name} was not downloaded: {why}")))
        })
    }

    fn download_ended(
        &self,
        name: &str,
        end: DownloadEnd,
        verdict: impl FnOnce(&Record) -> Option<Verdict>,
    ) -> Applied {
        let known = self.job.download.as_ref().is_some_and(|download| download.end.is_some());
        let download = Download { name: name.to_owned(), end: Some(end) };
        match self.phase {
            Phase::Waiting => Applied::Refused(Refusal::NotLaunched),
            Phase::Running | Phase::Stopping | Phase::Over if known => Applied::Unchanged,
            Phase::Running => self.change(|job| {
                self.decide(job, verdict(self.job));
                job.download = Some(download);
            }),
            Phase::Stopping | Phase::Over => self.change(|job| job.download = Some(download)),
        }
    }
}
