//! From an order to a job: choose, accept, remember, let it start.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    CallerTrace, ExecuteError, Executed, Host, Mode, Order, QueueReason, Runner, about,
    admission::QueueFull,
    attend::{self, Turn},
    host::now,
    meters,
};
use crate::{
    browser::Browser,
    job::{
        Accepted, AfterFinish, CallbackDelivery, Completion, EventId, Isolation, Job, Need, Phase, Profile, Spec,
        TaskId, Tier,
    },
    ledger::{Append, Appended, Fault, JobLog, RequestKey},
};

impl Runner {
    /// Opens a URL as a task. Answers once it runs or has failed to, and at once if it has to queue.
    ///
    /// # Errors
    /// Says why no job was made.
    pub async fn execute(&self, order: Order, caller: CallerTrace) -> Result<Executed, ExecuteError> {
        if self.host.leaving.is_cancelled() {
            return Err(ExecuteError::Draining);
        }
        let spec = self.host.choose(&order)?;
        let request_key = order.request_id.map(|id| RequestKey { id, hash: order.fingerprint() });
        let host = Arc::clone(&self.host);
        // In a task of its own, since a caller that vanishes must not leave a job that nobody attends.
        let made = self.host.tasks.spawn(async move { host.make(spec, request_key, &caller).await }).await;
        let made = made.map_err(|error| ExecuteError::Ledger(Fault::Failed(error.to_string())))?;
        let job = match made? {
            Made::Now(log) => self.started(&log).await,
            Made::Before(job) => match self.reach(job.id).await {
                // As the first call: not before it runs, unless it has to queue.
                Ok(Some(live)) => self.started(&live.log).await,
                Ok(None) | Err(_) => job,
            },
        };
        Ok(Executed { callback_token: self.callback_token(job.id), job })
    }

    /// What the job of this order would be, without making it.
    ///
    /// # Errors
    /// As [`Runner::execute`], but for what only making it can tell.
    pub fn validate(&self, order: &Order) -> Result<Job, ExecuteError> {
        let spec = self.host.choose(order)?;
        Ok(self.host.accept(TaskId::new(Uuid::nil()), spec))
    }

    /// Waits until a job runs, or has ended before that; not while it has to queue for more than other launches.
    async fn started(&self, log: &JobLog) -> Arc<Job> {
        let mut moves = self.host.admission.moves();
        let queues = async {
            loop {
                moves.mark_unchanged();
                let live = self.host.live.get(log.id());
                let reason = live.and_then(|live| live.queue_reason());
                if reason.is_some_and(|reason| reason != QueueReason::Launch) {
                    return;
                }
                // The sender lives in the host.
                drop(moves.changed().await);
            }
        };
        let mut bell = log.bell();
        tokio::select! {
            _ = bell.wait_for(|_| log.latest().status.phase() != Phase::Waiting) => {}
            () = queues => {}
            () = self.host.leaving.cancelled() => {}
        }
        log.latest()
    }
}

/// Between two looks at a store that cannot tell: its disk needs longer than that to come back.
const DOUBT_PAUSE: Duration = Duration::from_millis(200);

/// What became of a request.
enum Made {
    Now(Arc<JobLog>),
    Before(Arc<Job>),
}

impl Host {
    fn accept(&self, id: TaskId, spec: Spec) -> Job {
        let accepted = Accepted { id, spec, host: self.name.clone(), boot_id: self.boot_id.clone() };
        Job::accept(accepted, now())
    }

    async fn make(
        self: Arc<Self>,
        spec: Spec,
        request_key: Option<RequestKey>,
        caller: &CallerTrace,
    ) -> Result<Made, ExecuteError> {
        if let Some(key) = request_key
            && let Ok(Some((job, hash))) = self.ledger.find_request(key.id).await
        {
            return same_request(job, hash == key.hash);
        }
        let mut ticket = self.admission.enter(self.want(&spec)).map_err(|QueueFull { queue_max }| {
            meters::queue_refused();
            ExecuteError::QueueFull { queue_max }
        })?;
        let job = Arc::new(self.accept(TaskId::new(Uuid::now_v7()), spec));
        let event_id = EventId::new(Uuid::now_v7());
        let append = Append { job: Arc::clone(&job), event_id, expected_revision: 0, request_key };
        let turn = match ticket.try_granted() {
            // The shim gets ready while the job is made durable; its browser waits for the word.
            Some(grant) => Turn::Now { grant, reach: attend::prepare(&self, Arc::clone(&job)) },
            None => Turn::Later(ticket),
        };
        match self.ledger.append(append).await {
            Appended::Committed(log) => Ok(self.begin(log, turn, caller)),
            Appended::RequestKnown { job, hash } => same_request(job, request_key.is_some_and(|key| key.hash == hash)),
            Appended::Unknown(fault) => {
                let log = self.settle(&job, event_id, fault).await?;
                Ok(self.begin(log, turn, caller))
            }
            Appended::Known(_) | Appended::Conflict(_) => {
                Err(ExecuteError::Ledger(Fault::Failed("a new id was in use already".to_owned())))
            }
        }
    }

    /// An append in doubt is read back until the store can tell: a job that was made is attended, and only one that
    /// was not is answered with an error.
    async fn settle(&self, job: &Job, event_id: EventId, fault: Fault) -> Result<Arc<JobLog>, ExecuteError> {
        loop {
            match self.ledger.find_event(job.id, event_id).await {
                Ok(None) => return Err(ExecuteError::Ledger(fault)),
                Ok(Some(_)) => {
                    if let Ok(Some(log)) = self.ledger.open(job.id).await {
                        return Ok(log);
                    }
                }
                Err(error) => tracing::warn!(task_id = %job.id, %error, "a new job is in doubt"),
            }
            tokio::select! {
                () = tokio::time::sleep(DOUBT_PAUSE) => {}
                () = self.leaving.cancelled() => return Err(ExecuteError::Draining),
            }
        }
    }

    fn begin(self: &Arc<Self>, log: Arc<JobLog>, turn: Turn, caller: &CallerTrace) -> Made {
        self.traces.begin(&log.latest(), caller);
        attend::begin(self, Arc::clone(&log), turn);
        Made::Now(log)
    }

    /// Fills in what the order leaves to this host, and refuses what it cannot do.
    fn choose(&self, order: &Order) -> Result<Spec, ExecuteError> {
        let browser = self.browser(order.browser.as_deref())?;
        let tier = tier_for(order, browser)?;
        if order.isolation == Isolation::Context {
            may_share(order)?;
        }
        if self.needs_sandbox(browser) {
            return Err(ExecuteError::SandboxNeedsUser);
        }
        let headless = match order.mode {
            Mode::Auto | Mode::Headed if tier == Tier::UserBrowser && !self.has_display() => {
                return Err(ExecuteError::UserBrowserNeedsDisplay);
            }
            Mode::Auto => !self.has_display(),
            Mode::Headed if !self.has_display() => return Err(ExecuteError::NoDisplay),
            Mode::Headed => false,
            Mode::Headless => true,
        };
        let after_finish =
            order.after_finish.unwrap_or(if headless { AfterFinish::Close } else { AfterFinish::KeepOpen });
        let callback_delivery = order.callback_delivery.unwrap_or(match tier {
            Tier::Managed | Tier::ExitOnly => CallbackDelivery::Binding,
            Tier::UserBrowser => CallbackDelivery::Fragment,
        });
        let callback_origins =
            if order.callback_origins.is_empty() { vec![order.url.origin()] } else { order.callback_origins.clone() };
        Ok(Spec {
            url: order.url.clone(),
            browser: browser.name.clone(),
            tier,
            headless,
            profile: order.profile.clone(),
            completion: order.completion,
            fail_on_http_error: order.fail_on_http_error,
            callback_origins,
            callback_delivery,
            timeouts: order.timeouts,
            grace: order.grace,
            after_finish,
            retention: order.retention,
            labels: order.labels.clone(),
            isolation: order.isolation,
            priority: order.priority,
            dialogs: order.dialogs,
            wait_for_popups: order.wait_for_popups,
        })
    }

    fn browser(&self, name: Option<&str>) -> Result<&Browser, ExecuteError> {
        match name {
            None => self.browsers.first().ok_or(ExecuteError::BrowserNotFound),
            Some(name) => {
                self.browsers.iter().find(|browser| browser.name == name).ok_or_else(|| ExecuteError::BrowserUnknown {
                    name: name.to_owned(),
                    known: self.browsers.iter().map(|browser| browser.name.clone()).collect(),
                })
            }
        }
    }
}

/// What is to be asked of the browser, if it can do in that tier all that the order asks for.
fn tier_for(order: &Order, browser: &Browser) -> Result<Tier, ExecuteError> {
    let offered = about::tiers(browser);
    let tier = match order.tier {
        None => about::tier(browser),
        Some(tier) if offered.contains(&tier) => tier,
        Some(tier) => return Err(ExecuteError::TierNotOffered { tier, browser: browser.name.clone(), offered }),
    };
    match order.needs.iter().find(|need| !tier.can(need.capability)) {
        None => Ok(tier),
        Some(Need { field, capability }) => {
            Err(ExecuteError::TierCannot { field, capability: *capability, browser: browser.name.clone(), tier })
        }
    }
}

/// No task brings a profile into a browser that others share, and its process ends with none of them.
fn may_share(order: &Order) -> Result<(), ExecuteError> {
    match (&order.profile, order.completion) {
        (Profile::Named(_), _) => Err(ExecuteError::ContextCannot { field: "profile" }),
        (Profile::Ephemeral, Completion::ProcessExit) => {
            Err(ExecuteError::ContextCannot { field: "completion_policy" })
        }
        (Profile::Ephemeral, Completion::Any | Completion::RequireReport) => Ok(()),
    }
}

fn same_request(job: Arc<Job>, same: bool) -> Result<Made, ExecuteError> {
    if same { Ok(Made::Before(job)) } else { Err(ExecuteError::RequestReused(job.id)) }
}
