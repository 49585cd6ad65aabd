//! One job from its queue to the end of its process tree, told in order.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use super::{
    Host,
    admission::{Grant, Ticket},
    attendant::{Attendant, Stay},
    host::boot_now,
    launch, meters,
    reach::Reach,
    warm::ShareError,
};
use crate::{
    job::{Fact, Isolation, Job, LaunchFailure, Timeout},
    ledger::JobLog,
    process::{LaunchError, Order, Shim},
};

/// When a job may start.
pub(super) enum Turn {
    /// At once; what its browser will be reached through is being made ready.
    Now { grant: Grant, reach: Preparing },
    /// When its ticket is granted.
    Later(Ticket),
}

/// A shim, or a share of a warm browser, that gets ready. Dropping it ends it: without the word GO it opens nothing.
pub(super) type Preparing = JoinHandle<Result<Reach, ReachError>>;

/// Why there is nothing to reach a browser through.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReachError {
    #[error("the browser's watcher could not be started: {0}")]
    Own(#[from] LaunchError),
    #[error(transparent)]
    Share(#[from] ShareError),
}

/// First pause while a shim of an earlier service leaves; doubled up to the longest one.
const LEAVE_PAUSE_FIRST: Duration = Duration::from_millis(10);
/// Longest pause, after some 1.3 s in all: a shim without the word needs a few milliseconds to leave.
const LEAVE_PAUSE_MAX: Duration = Duration::from_millis(640);

/// Lets a shim get ready, or a share of a warm browser.
pub(super) fn prepare(host: &Arc<Host>, job: Arc<Job>) -> Preparing {
    let (host, tasks) = (Arc::clone(host), host.tasks.clone());
    tasks.spawn(async move {
        match job.spec.isolation {
            Isolation::Process => Ok(Reach::Own(own_shim(&host, &job).await?)),
            Isolation::Context => Ok(Reach::Share(host.warm.share(&host, &job).await?)),
        }
    })
}

/// A shim for this job alone. One that an earlier service asked for just before it died may still be on its way out.
async fn own_shim(host: &Host, job: &Job) -> Result<Shim, LaunchError> {
    let place = host.dirs.place(&job.id.to_string());
    let mut pause = LEAVE_PAUSE_FIRST;
    loop {
        match host.launcher.fork_shim(&place, launch::nonce()).await {
            Err(LaunchError::Refused(refused)) if refused.is_place_taken() && pause <= LEAVE_PAUSE_MAX => {
                tracing::debug!(task_id = %job.id, %refused, "another shim of this job has not left yet");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            outcome => return outcome,
        }
    }
}

/// Attends a job from its queue on.
pub(super) fn begin(host: &Arc<Host>, log: Arc<JobLog>, turn: Turn) {
    let attended = host.live.attend(log);
    if let Turn::Later(ticket) = &turn {
        attended.live.queues_at(ticket.place());
    }
    let attendant = Attendant::new(Arc::clone(host), attended);
    host.tasks.spawn(attend(attendant, turn));
}

async fn attend(mut attendant: Box<Attendant>, turn: Turn) {
    let (grant, reach) = match turn {
        Turn::Now { grant, reach } => {
            meters::queued(Duration::ZERO);
            (grant, reach)
        }
        Turn::Later(ticket) => match Box::pin(queue(&mut attendant, ticket)).await {
            Stay::Going(grant) => {
                let reach = prepare(&attendant.host, attendant.job());
                (grant, reach)
            }
            Stay::Over => return,
        },
    };
    attendant.hold(grant);
    if let Stay::Going(reach) = Box::pin(launch(&mut attendant, reach)).await {
        attendant.take_up(reach);
        attendant.run().await;
    }
}

/// Waits for the turn, while others may cancel.
async fn queue(attendant: &mut Attendant, mut ticket: Ticket) -> Stay<Grant> {
    loop {
        let deadline = attendant.job().deadline(boot_now());
        let leaving = attendant.host.leaving.clone();
        tokio::select! {
            grant = ticket.granted() => {
                meters::queued(ticket.waited());
                return Stay::Going(grant);
            }
            Some(ask) = attendant.attended.asked.recv() => attendant.answer(ask).await,
            timeout = Attendant::passing(deadline) => attendant.time_out(timeout).await,
            () = leaving.cancelled() => return Stay::Over,
        }
        if attendant.job().status.is_terminal() {
            return Stay::Over;
        }
    }
}

/// Waits for the shim or share, then gives the word. From there on there may be a browser.
async fn launch(attendant: &mut Attendant, mut reach: Preparing) -> Stay<Reach> {
    attendant.dequeued_at = boot_now();
    let ready = loop {
        let deadline = attendant.launch_deadline();
        let leaving = attendant.host.leaving.clone();
        tokio::select! {
            ready = &mut reach => break ready,
            Some(ask) = attendant.attended.asked.recv() => attendant.answer(ask).await,
            timeout = Attendant::passing(deadline) => attendant.time_out(timeout).await,
            () = leaving.cancelled() => return Stay::Over,
        }
        if attendant.job().status.is_terminal() {
            return Stay::Over;
        }
    };
    let ready = match ready {
        Ok(ready) => ready.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match ready {
        Ok(reach) => go(attendant, reach).await,
        Err(message) => fail(attendant, LaunchFailure::Refused, message).await,
    }
}

async fn go(attendant: &mut Attendant, mut reach: Reach) -> Stay<Reach> {
    let given = match &mut reach {
        Reach::Own(shim) => {
            let order = match launch::go(&attendant.host, &attendant.job()) {
                Ok(go) => Order::Go(go),
                Err(error) => return fail(attendant, error.failure(), error.to_string()).await,
            };
            attendant.host.traces.keep(attendant.id(), &attendant.place).await;
            attendant.launched = true;
            attendant.word_at = Some(Instant::now());
            shim.send(&order).await
        }
        Reach::Share(share) => {
            attendant.launched = true;
            attendant.word_at = Some(Instant::now());
            share.open().await
        }
    };
    match given {
        Ok(()) => Stay::Going(reach),
        Err(error) => {
            let message = format!("the browser's watcher left before it was told to start: {error}");
            fail(attendant, LaunchFailure::Refused, message).await
        }
    }
}

async fn fail(attendant: &mut Attendant, failure: LaunchFailure, message: String) -> Stay<Reach> {
    attendant.record(Fact::LaunchFailed { failure, message }).await;
    Stay::Over
}

impl Attendant {
    /// What ran out before the browser was let go: the launch, since the job has left the queue.
    async fn time_out(&mut self, timeout: Timeout) {
        let launched = self.launched;
        self.record(Fact::DeadlinePassed { timeout, launched }).await;
    }
}
