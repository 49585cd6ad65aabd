//! What the end of a browser's processes does to its job.

use std::time::Duration;

use super::{Applied, Refusal, Step};
use crate::job::{Exit, ExitStatus, Phase, Reason, TreeEnd, policy::Ended};

impl Step<'_> {
    pub(super) fn exited(
        &self,
        status: ExitStatus,
        output_tail: &str,
        out_of_memory: bool,
        tree: Option<&TreeEnd>,
        lived: Option<Duration>,
    ) -> Applied {
        let exit = Exit { status, at: self.wall() };
        match self.phase {
            Phase::Waiting => Applied::Refused(Refusal::NotLaunched),
            Phase::Running | Phase::Stopping | Phase::Over if self.job.exit.is_some() => Applied::Unchanged,
            Phase::Running => self.change(|job| {
                let ended = if out_of_memory {
                    Ended::With(self.job.out_of_memory_verdict())
                } else {
                    self.job.exit_verdict(&exit, output_tail, lived)
                };
                match ended {
                    Ended::With(verdict) => self.end(job, verdict),
                    Ended::HandedOff => {
                        job.reason = Reason::HandedOff;
                        job.message = format!("{} has the page; its process has left", job.spec.browser);
                        job.handed_off = true;
                    }
                }
                job.exit = Some(exit);
                job.tree_end = tree.cloned();
            }),
            Phase::Stopping => self.change(|job| {
                job.exit = Some(exit);
                job.tree_end = tree.cloned();
                if tree.is_some() {
                    self.end_stopped(job);
                }
            }),
            // Nothing that a lost job is told later can be trusted to be its own.
            Phase::Over if self.job.tree_lost => Applied::Unchanged,
            // The tree may have been proven empty before its exit was learnt; that proof stays.
            Phase::Over => self.change(|job| {
                job.exit = Some(exit);
                job.tree_end = job.tree_end.take().or_else(|| tree.cloned());
            }),
        }
    }

    pub(super) fn tree_emptied(&self, tree: &TreeEnd) -> Applied {
        match self.phase {
            Phase::Waiting => Applied::Refused(Refusal::NotLaunched),
            Phase::Running | Phase::Stopping | Phase::Over if self.job.tree_end.is_some() => Applied::Unchanged,
            // Its exit comes first, on the same ordered channel.
            Phase::Running => Applied::Refused(Refusal::NotLaunched),
            Phase::Stopping => self.change(|job| {
                job.tree_end = Some(tree.clone());
                self.end_stopped(job);
            }),
            Phase::Over if self.job.tree_lost => Applied::Unchanged,
            Phase::Over => self.change(|job| job.tree_end = Some(tree.clone())),
        }
    }
}
