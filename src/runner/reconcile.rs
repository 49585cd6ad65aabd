//! After a start: prove, job by job, what is still ours; read what ended meanwhile; guess nothing.

use std::{collections::HashSet, sync::Arc};

use tracing::{info, warn};

use super::{
    Host, Runner,
    adopt::Opening,
    attend::{self, Turn},
    attendant::Attendant,
    reach::Reach,
    warm::{self, Keeper},
};
use crate::{
    job::{Fact, Isolation, Job, LaunchFailure, LostCause, Phase, Tier},
    ledger::{JobLog, ReadError},
    process::{self, Shim, exit_file},
};

/// What is found of a job that an earlier service left.
enum Found {
    /// Its shim lives, or it has a share of a browser that a keeper speaks for.
    Alive(Box<Reach>),
    /// It ended and left word.
    Ended,
    /// It never left the queue.
    Queued,
    /// It left the queue but never got its word.
    Unlaunched,
    /// It was handed to the person's own browser, and has no process that could be found.
    HandedOff,
    /// It was to be ended before it had its context, and has none.
    Unopened,
    /// There is nothing that could prove anything.
    Nothing(LostCause),
}

impl Runner {
    /// Looks after every job that something can still happen to.
    pub(super) async fn reconcile(&self) -> Result<(), ReadError> {
        let jobs = self.host.ledger.unsettled().await?;
        let mut warm = warm::find(&self.host).await;
        let ours: HashSet<String> = jobs.iter().map(|job| job.id.to_string()).collect();
        let ours: HashSet<String> = warm.iter().map(|keeper| keeper.place_id().to_owned()).chain(ours).collect();
        let mut waiting = Vec::new();
        for job in jobs {
            let Some(log) = self.host.ledger.open(job.id).await? else { continue };
            if let Some(log) = self.host.look_after(&job, log, &mut warm).await {
                waiting.push(log);
            }
        }
        for keeper in warm {
            self.host.tasks.spawn(keeper.take_over());
        }
        // Before anything is started: a directory made meanwhile would be taken for a leftover.
        let dirs = self.host.dirs.clone();
        let swept = tokio::task::spawn_blocking(move || process::sweep(&dirs, |id| ours.contains(id))).await;
        match swept {
            Ok(Ok(0)) => {}
            Ok(Ok(failures)) => warn!(failures, "some leftovers of earlier jobs could not be removed"),
            Ok(Err(error)) => warn!(%error, "leftovers of earlier jobs could not be looked for"),
            Err(error) => warn!(%error, "leftovers of earlier jobs could not be looked for"),
        }
        // After the ones that run, so that they have their slots; oldest first, so that the queue is as it was.
        self.host.enqueue(waiting);
        Ok(())
    }
}

impl Host {
    /// Takes the job up from where it stands; gives its log back when it has to queue.
    async fn look_after(self: &Arc<Self>, job: &Job, log: Arc<JobLog>, warm: &mut [Keeper]) -> Option<Arc<JobLog>> {
        let found = match job.spec.isolation {
            Isolation::Process => self.find(job).await,
            Isolation::Context => self.find_share(job, warm),
        };
        let what = match &found {
            Found::Alive(_) => "adopted",
            Found::Ended => "ended meanwhile",
            Found::HandedOff => "handed off",
            Found::Queued => "still queued",
            Found::Unlaunched => "to be started anew",
            Found::Unopened => "never had its context",
            Found::Nothing(_) => "lost",
        };
        info!(task_id = %job.id, status = ?job.status, what, "found a job of an earlier service");
        self.traces.take_up(job, &self.dirs.place(&job.id.to_string())).await;
        match found {
            Found::Alive(reach) => {
                self.adopt(job, log, *reach).await;
                None
            }
            Found::Ended => {
                let mut attendant = Attendant::new(Arc::clone(self), self.live.attend(log));
                if job.spec.tier == Tier::UserBrowser && !job.status.is_terminal() {
                    // What it left may say that it goes on without a process.
                    self.occupy(&mut attendant, job);
                }
                // Before anybody can read it.
                attendant.take_up_log().await;
                self.tasks.spawn(attendant.read_left());
                None
            }
            Found::HandedOff => {
                let mut attendant = Attendant::new(Arc::clone(self), self.live.attend(log));
                self.occupy(&mut attendant, job);
                attendant.launched = true;
                attendant.take_up_log().await;
                self.tasks.spawn(attendant.run());
                None
            }
            Found::Queued => Some(log),
            Found::Unlaunched => {
                self.recorder(&log).record(Fact::Requeued).await;
                self.wipe(job).await;
                Some(log)
            }
            Found::Unopened => {
                let message = "the service restarted before the task had its context".to_owned();
                self.recorder(&log).record(Fact::LaunchFailed { failure: LaunchFailure::Refused, message }).await;
                None
            }
            Found::Nothing(cause) => {
                self.recorder(&log).record(Fact::Lost(cause)).await;
                self.wipe(job).await;
                None
            }
        }
    }

    async fn find(&self, job: &Job) -> Found {
        let place = self.dirs.place(&job.id.to_string());
        let same_boot = job.boot_id == self.boot_id;
        if same_boot {
            match Shim::attach(&place).await {
                // One without the word has nothing to watch, and leaves with this connection.
                Ok(Some(shim)) if shim.hello().went => return Found::Alive(Box::new(Reach::Own(shim))),
                Ok(Some(_) | None) => {}
                Err(error) => warn!(task_id = %job.id, %error, "the job's shim cannot be attached"),
            }
        }
        // Looked for only now: a shim that was leaving has written it by the time its socket is gone.
        if matches!(exit_file::read(&place), Ok(Some(_))) {
            return Found::Ended;
        }
        if same_boot && job.handed_off && !job.status.is_terminal() {
            return Found::HandedOff;
        }
        match job.status.phase() {
            Phase::Waiting if same_boot && !place.went() => {
                let begun = place.launched_any();
                match (begun, job.attempt) {
                    (false, _) => Found::Queued,
                    (true, 1) => Found::Unlaunched,
                    (true, _) => Found::Nothing(LostCause::ServiceRestarted),
                }
            }
            Phase::Waiting | Phase::Running | Phase::Stopping | Phase::Over if !same_boot => {
                Found::Nothing(LostCause::HostRestarted)
            }
            Phase::Waiting | Phase::Running | Phase::Stopping | Phase::Over => {
                Found::Nothing(LostCause::ServiceRestarted)
            }
        }
    }

    /// A job that shares its browser: whoever has no context was never let go, since the page comes after it.
    fn find_share(&self, job: &Job, warm: &mut [Keeper]) -> Found {
        if job.boot_id != self.boot_id {
            return Found::Nothing(LostCause::HostRestarted);
        }
        match job.status.phase() {
            Phase::Waiting => Found::Queued,
            Phase::Stopping if job.process.is_none() => Found::Unopened,
            Phase::Running | Phase::Stopping | Phase::Over => {
                let share = warm.iter_mut().find_map(|keeper| keeper.adopt(job.id));
                share.map_or(Found::Nothing(LostCause::ServiceRestarted), |share| {
                    Found::Alive(Box::new(Reach::Share(share)))
                })
            }
        }
    }

    async fn adopt(self: &Arc<Self>, job: &Job, log: Arc<JobLog>, reach: Reach) {
        let mut attendant = Attendant::new(Arc::clone(self), self.live.attend(log));
        if job.status.is_terminal() {
            attendant.hold_found(None, self.admission.occupy_browser(&self.want(&job.spec)));
        } else {
            self.occupy(&mut attendant, job);
        }
        attendant.opening = Opening::TakenUp { attach: reach.attaches() };
        attendant.take_up(reach);
        let running = job.process.is_some();
        attendant.take_up_log().await;
        self.tasks.spawn(async move {
            if running {
                attendant.open_session().await;
            }
            attendant.run().await;
        });
    }

    /// Counts a job that goes on, whatever the limits.
    fn occupy(&self, attendant: &mut Attendant, job: &Job) {
        let (slot, browser) = self.admission.occupy(&self.want(&job.spec));
        attendant.hold_found(Some(slot), browser);
    }

    /// Puts jobs back into the queue. The bound does not hold for those who were in it before.
    fn enqueue(self: &Arc<Self>, logs: Vec<Arc<JobLog>>) {
        let tickets = self.admission.enter_again(logs.iter().map(|log| self.want(&log.latest().spec)));
        for (log, mut ticket) in logs.into_iter().zip(tickets) {
            let turn = match ticket.try_granted() {
                Some(grant) => Turn::Now { grant, reach: attend::prepare(self, log.latest()) },
                None => Turn::Later(ticket),
            };
            attend::begin(self, log, turn);
        }
    }

    async fn wipe(&self, job: &Job) {
        let place = self.dirs.place(&job.id.to_string());
        let task_id = job.id;
        match tokio::task::spawn_blocking(move || place.wipe()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%task_id, %error, "the job's directories could not be removed"),
            Err(error) => warn!(%task_id, %error, "the job's directories could not be removed"),
        }
    }
}
