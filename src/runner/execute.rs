//! From an order to a job: choose, accept, remember, let it start.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    ExecuteError, Executed, Host, Mode, Order, Runner, about,
    admission::QueueFull,
    attend::{self, Turn},
    host::now,
};
use crate::{
    browser::Browser,
    job::{Accepted, AfterFinish, Completion, EventId, Isolation, Job, Phase, Profile, Spec, TaskId, Tier},
    ledger::{Append, Appended, Fault, JobLog, RequestKey},
};

impl Runner {
    /// Opens a URL as a task. Answers once it runs or has failed to, and at once if it has to queue.
    ///
    /// # Errors
    /// Says why no job was made.
    pub async fn execute(&self, order: Order) -> Result<Executed, ExecuteError> {
        if self.host.leaving.is_cancelled() {
            return Err(ExecuteError::Draining);
        }
        let spec = self.host.choose(&order)?;
        let request_key = order.request_id.map(|id| RequestKey { id, hash: order.fingerprint() });
        let host = Arc::clone(&self.host);
        // In a task of its own, since a caller that vanishes must not leave a job that nobody attends.
        let made = self.host.tasks.spawn(async move { host.make(spec, request_key).await }).await;
        let made = made.map_err(|error| ExecuteError::Ledger(Fault::Failed(error.to_string())))?;
        let job = match made? {
            Made::Starting(log) => self.started(&log).await,
            Made::Queued(log) => log.latest(),
            Made::Before(job) => match self.reach(job.id).await {
                // As the first call: not before it runs, unless it has to queue.
                Ok(Some(live)) if live.sample().queue_position.is_none() => self.started(&live.log).await,
                Ok(_) | Err(_) => job,
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

    /// Waits until a job that was let start runs, or has ended before that.
    async fn started(&self, log: &JobLog) -> Arc<Job> {
        let mut bell = log.bell();
        tokio::select! {
            _ = bell.wait_for(|_| log.latest().status.phase() != Phase::Waiting) => {}
            () = self.host.leaving.cancelled() => {}
        }
        log.latest()
    }
}

/// Between two looks at a store that cannot tell: its disk needs longer than that to come back.
const DOUBT_PAUSE: Duration = Duration::from_millis(200);

/// What became of a request.
enum Made {
    Starting(Arc<JobLog>),
    Queued(Arc<JobLog>),
    Before(Arc<Job>),
}

impl Host {
    fn accept(&self, id: TaskId, spec: Spec) -> Job {
        let accepted = Accepted { id, spec, host: self.name.clone(), boot_id: self.boot_id.clone() };
        Job::accept(accepted, now())
    }

    async fn make(self: Arc<Self>, spec: Spec, request_key: Option<RequestKey>) -> Result<Made, ExecuteError> {
        if let Some(key) = request_key
            && let Ok(Some((job, hash))) = self.ledger.find_request(key.id).await
        {
            return same_request(job, hash == key.hash);
        }
        let ticket = self.admission.enter(&spec.profile);
        let mut ticket = ticket.map_err(|QueueFull { queue_max }| ExecuteError::QueueFull { queue_max })?;
        let job = Arc::new(self.accept(TaskId::new(Uuid::now_v7()), spec));
        let event_id = EventId::new(Uuid::now_v7());
        let append = Append { job: Arc::clone(&job), event_id, expected_revision: 0, request_key };
        let turn = match ticket.try_granted() {
            // The shim gets ready while the job is made durable; its browser waits for the word.
            Some(grant) => Turn::Now { grant, reach: attend::prepare(&self, Arc::clone(&job)) },
            None => Turn::Later(ticket),
        };
        match self.ledger.append(append).await {
            Appended::Committed(log) => Ok(self.begin(log, turn)),
            Appended::RequestKnown { job, hash } => same_request(job, request_key.is_some_and(|key| key.hash == hash)),
            Appended::Unknown(fault) => self.settle(&job, event_id, turn, fault).await,
            Appended::Known(_) | Appended::Conflict(_) => {
                Err(ExecuteError::Ledger(Fault::Failed("a new id was in use already".to_owned())))
            }
        }
    }

    /// An append in doubt is read back until the store can tell: a job that was made is attended, and only one that
    /// was not is answered with an error.
    async fn settle(
        self: &Arc<Self>,
        job: &Job,
        event_id: EventId,
        turn: Turn,
        fault: Fault,
    ) -> Result<Made, ExecuteError> {
        loop {
            match self.ledger.find_event(job.id, event_id).await {
                Ok(None) => return Err(ExecuteError::Ledger(fault)),
                Ok(Some(_)) => {
                    if let Ok(Some(log)) = self.ledger.open(job.id).await {
                        return Ok(self.begin(log, turn));
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

    fn begin(self: &Arc<Self>, log: Arc<JobLog>, turn: Turn) -> Made {
        let made = match &turn {
            Turn::Now { .. } => Made::Starting(Arc::clone(&log)),
            Turn::Later(_) => Made::Queued(Arc::clone(&log)),
        };
        attend::begin(self, log, turn);
        made
    }

    /// Fills in what the order leaves to this host, and refuses what it cannot do.
    fn choose(&self, order: &Order) -> Result<Spec, ExecuteError> {
        let browser = self.browser(order.browser.as_deref())?;
        let tier = about::tier(browser);
        if let (Tier::ExitOnly, Some(field)) = (tier, order.needs_page_facts) {
            return Err(ExecuteError::TierCannot { field, browser: browser.name.clone() });
        }
        if order.isolation == Isolation::Context {
            self.may_share(browser, order)?;
        }
        if self.needs_sandbox(browser) {
            return Err(ExecuteError::SandboxNeedsUser);
        }
        let headless = match order.mode {
            Mode::Auto => !self.has_display(),
            Mode::Headed if !self.has_display() => return Err(ExecuteError::NoDisplay),
            Mode::Headed => false,
            Mode::Headless => true,
        };
        let after_finish =
            order.after_finish.unwrap_or(if headless { AfterFinish::Close } else { AfterFinish::KeepOpen });
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
            callback_delivery: order.callback_delivery,
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

    /// A browser is shared where each task in it can be told apart, and none brings a profile along.
    fn may_share(&self, browser: &Browser, order: &Order) -> Result<(), ExecuteError> {
        match (order.tier.unwrap_or(about::tier(browser)), &order.profile, order.completion) {
            (Tier::ExitOnly, _, _) => {
                Err(ExecuteError::TierCannot { field: "isolation", browser: browser.name.clone() })
            }
            (Tier::Managed, Profile::Named(_), _) => Err(ExecuteError::ContextCannot { field: "profile" }),
            (Tier::Managed, Profile::Ephemeral, Completion::ProcessExit) => {
                Err(ExecuteError::ContextCannot { field: "completion_policy" })
            }
            (Tier::Managed, Profile::Ephemeral, Completion::Any | Completion::RequireReport) => Ok(()),
        }
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

fn same_request(job: Arc<Job>, same: bool) -> Result<Made, ExecuteError> {
    if same { Ok(Made::Before(job)) } else { Err(ExecuteError::RequestReused(job.id)) }
}
