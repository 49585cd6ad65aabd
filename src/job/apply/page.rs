//! What the facts of a task's page do to its job.

use super::{Applied, Refusal, Step};
use crate::job::{FILES_MAX, FileKind, JobFile, Page, PageEnd, Phase, Reason, policy::Verdict};

impl Step<'_> {
    pub(super) fn page_committed(&self, url: &str, http_status: Option<u16>) -> Applied {
        let page = Page { url: url.to_owned(), http_status };
        let failed = http_status.filter(|status| *status >= 400 && self.job.spec.fail_on_http_error);
        match self.phase {
            Phase::Waiting => Applied::Refused(Refusal::NotLaunched),
            Phase::Running | Phase::Stopping | Phase::Over if self.job.page.is_some() => Applied::Unchanged,
            Phase::Running => self.change(|job| {
                job.message = match http_status {
                    Some(status) => format!("the page is there (HTTP {status})"),
                    None => "the page is there".to_owned(),
                };
                let verdict = failed.and_then(|status| {
                    self.job.page_failure(Verdict::failed(Reason::HttpError, format!("HTTP {status} for {url}")))
                });
                self.decide(job, verdict);
                job.page = Some(page);
            }),
            Phase::Stopping | Phase::Over => self.change(|job| job.page = Some(page)),
        }
    }

    pub(super) fn navigation_failed(&self, net_error: &str) -> Applied {
        match self.phase {
            Phase::Waiting => Applied::Refused(Refusal::NotLaunched),
            Phase::Running | Phase::Stopping | Phase::Over
                if self.job.net_error.is_some() || self.job.page.is_some() =>
            {
                Applied::Unchanged
            }
            Phase::Running => self.change(|job| {
                let message = format!("{net_error} for {}", job.spec.url.as_str());
                self.decide(job, self.job.page_failure(Verdict::failed(Reason::NavigationFailed, message)));
                job.net_error = Some(net_error.to_owned());
            }),
            Phase::Stopping | Phase::Over => self.change(|job| job.net_error = Some(net_error.to_owned())),
        }
    }

    pub(super) fn page_closed(&self) -> Applied {
        self.page_ended(PageEnd::Closed, || {
            // A page that only led to a file is often closed before that is there; the file decides then.
            if self.job.is_downloading() {
                return None;
            }
            self.job.page_verdict(Verdict::done(Reason::PageClosed, "the page was closed"))
        })
    }

    pub(super) fn page_crashed(&self, status: &str, out_of_memory: bool) -> Applied {
        self.page_ended(PageEnd::Crashed(status.to_owned()), || {
            let verdict = if out_of_memory {
                Verdict::failed(Reason::OutOfMemory, "the page ran out of memory")
            } else {
                Verdict::failed(Reason::PageCrashed, format!("the page's process ended: {status}"))
            };
            self.job.page_failure(verdict)
        })
    }

    fn page_ended(&self, end: PageEnd, verdict: impl FnOnce() -> Option<Verdict>) -> Applied {
        match self.phase {
            Phase::Waiting => Applied::Refused(Refusal::NotLaunched),
            Phase::Running | Phase::Stopping | Phase::Over if self.job.page_end.is_some() => Applied::Unchanged,
            Phase::Running => self.change(|job| {
                self.decide(job, verdict());
                job.page_end = Some(end);
            }),
            Phase::Stopping | Phase::Over => self.change(|job| job.page_end = Some(end)),
        }
    }

    pub(super) fn rule_matched(&self, rule: &str, success: bool) -> Applied {
        match self.phase {
            Phase::Waiting => Applied::Refused(Refusal::NotLaunched),
            Phase::Running | Phase::Stopping | Phase::Over if self.job.matched_rule.is_some() => Applied::Unchanged,
            Phase::Running => self.change(|job| {
                let message = format!("the rule {rule:?} matched");
                let verdict = if success {
                    self.job.page_verdict(Verdict::done(Reason::RuleMatched, message))
                } else {
                    self.job.page_failure(Verdict::failed(Reason::RuleMatched, message))
                };
                self.decide(job, verdict);
                job.matched_rule = Some(rule.to_owned());
            }),
            Phase::Stopping | Phase::Over => self.change(|job| job.matched_rule = Some(rule.to_owned())),
        }
    }

    pub(super) fn file_kept(&self, name: &str, kind: FileKind, size_bytes: u64) -> Applied {
        match self.phase {
            Phase::Waiting => Applied::Refused(Refusal::NotLaunched),
            Phase::Running | Phase::Stopping | Phase::Over
                if self.job.files.len() >= FILES_MAX || self.job.files.iter().any(|file| file.name == name) =>
            {
                Applied::Unchanged
            }
            Phase::Running | Phase::Stopping | Phase::Over => self.change(|job| {
                job.files.push(JobFile { name: name.to_owned(), kind, size_bytes, at: self.wall() });
            }),
        }
    }
}
