//! What others ask of a job while it is attended.

use super::Attendant;
use crate::{
    browser::{Answer, NoAnswer, Question, Session},
    job::{Fact, Phase, Refusal},
    process::Order,
    runner::{
        Cancellation, PageReport, Reported, ask::Reply, evidence::Evidence, host::boot_now, live::Ask,
        recorder::Recorded,
    },
};

/// Most questions that wait for a page: some pictures' worth. A further one is refused.
const UNASKED_MAX: usize = 8;

impl Attendant {
    /// Answers somebody who asked about this job.
    pub(in crate::runner) async fn answer(&mut self, ask: Box<Ask>) {
        match *ask {
            Ask::Cancel(cancellation, reply) => {
                self.cancel(cancellation).await;
                drop(reply.send(self.job()));
            }
            Ask::BringToFront(reply) => self.bring_to_front(reply).await,
            Ask::Report(report, reply) => {
                // Without an answer the caller learns that the service is leaving.
                if let Some(answer) = self.take_report(report).await {
                    drop(reply.send(answer));
                }
            }
            Ask::Page(question, reply) => self.ask_page(question, reply).await,
        }
    }

    /// Hands a question on to the page; its answer is heard with all else that the browser says. While there is no page
    /// yet the question waits for it.
    async fn ask_page(&mut self, question: Question, reply: Reply<Result<Answer, NoAnswer>>) {
        if self.is_stopping() {
            // Without a word: a browser that was told to go is as good as gone.
            return;
        }
        let Some(session) = self.session.as_mut() else {
            return drop(reply.send(Err(NoAnswer::NotOpen)));
        };
        match session.ask(question.clone()) {
            Ok((number, command)) => {
                self.asked_of_page.insert(number, reply);
                self.send(Order::Browser(command)).await;
            }
            Err(NoAnswer::NotOpen) if self.unasked.len() < UNASKED_MAX => self.unasked.push((question, reply)),
            Err(none) => drop(reply.send(Err(none))),
        }
    }

    /// Asks what waited for the page, if it is there by now. Who has lost patience is forgotten.
    pub(in crate::runner) async fn ask_what_waits(&mut self) {
        for (question, reply) in std::mem::take(&mut self.unasked) {
            if !reply.is_closed() {
                self.ask_page(question, reply).await;
            }
        }
    }

    /// Without a page to put there, whoever asked hears of nothing.
    async fn bring_to_front(&mut self, reply: Reply<()>) {
        if let Some(command) = self.session.as_mut().and_then(Session::bring_to_front) {
            self.fronting = Some(reply);
            self.send(Order::Browser(command)).await;
        }
    }

    async fn cancel(&mut self, cancellation: Cancellation) {
        if let Some(grace) = cancellation.grace {
            self.grace = grace;
            if grace.is_zero() {
                // At once means that not even its last picture is waited for.
                self.evidence = Evidence::Over;
            }
        }
        let finished = self.job().status.is_terminal();
        let launched = self.launched;
        if finished {
            // It was kept open, and is no longer wanted.
            self.stop().await;
        } else {
            self.record(Fact::CancelAsked { launched }).await;
        }
    }

    async fn take_report(&mut self, report: PageReport) -> Option<Result<Reported, Refusal>> {
        match report {
            PageReport::Alive { progress, message } => Some(self.hear_alive(progress, message)),
            PageReport::End { status, message, result } => {
                self.heard_at = boot_now();
                Some(match self.record(Fact::Reported { status, message, result }).await {
                    Recorded::Changed(job) => Ok(Reported { job, applied: true }),
                    Recorded::Unchanged => Ok(Reported { job: self.job(), applied: false }),
                    Recorded::Refused(refusal) => Err(refusal),
                    Recorded::Interrupted => return None,
                })
            }
        }
    }

    /// A sign of life: a reading, not a change.
    pub(in crate::runner) fn hear_alive(&mut self, progress: Option<u8>, message: String) -> Result<Reported, Refusal> {
        let job = self.job();
        match job.status.phase() {
            Phase::Waiting => Err(Refusal::NotLaunched),
            Phase::Running | Phase::Stopping => {
                self.heard_at = boot_now();
                self.attended.live.resample(|sample| {
                    sample.progress = progress.or(sample.progress);
                    sample.progress_message = message;
                });
                Ok(Reported { job, applied: true })
            }
            Phase::Over => Ok(Reported { job, applied: false }),
        }
    }
}
