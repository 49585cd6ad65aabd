//! One task from Execute to its end, with an ear for the person who wants it stopped.

use tokio::task::JoinSet;

use super::{
    Exit, Problem,
    connect::{Client, Target},
    follow::Follow,
    patience::{Patience, insist},
    print::{Printer, change_line},
    signals::Signals,
    watch::RetryFor,
};
use crate::api::v1::{
    CancelJobRequest, ExecuteRequest, ExecuteResponse, WatchJobRequest, WatchJobResponse, watch_job_request::Until,
};

/// One task on its way.
pub(super) struct Errand<'a> {
    /// The service that has it.
    pub(super) target: Target,
    /// The first connection to it.
    pub(super) client: Client,
    /// How long that service may be away.
    pub(super) retry: RetryFor,
    /// What says stop.
    pub(super) signals: &'a mut Signals,
    /// How often that was said: once asks, twice forces.
    pub(super) stops: usize,
    /// A service in this process must not be left while it starts a browser.
    pub(super) may_leave: bool,
}

impl Errand<'_> {
    /// Has the task made. The request must carry a request_id, since it may have to be sent twice.
    pub(super) async fn execute(&mut self, request: ExecuteRequest) -> Result<ExecuteResponse, Problem> {
        let target = self.target.clone();
        let call = insist(&target, self.client.clone(), self.patience(), |mut client| {
            let request = request.clone();
            async move { Ok(client.execute(request).await?.into_inner()) }
        });
        tokio::pin!(call);
        loop {
            tokio::select! {
                answer = &mut call => return answer,
                // Until the answer nobody knows what to cancel; the task is stopped as soon as it has a name.
                _ = self.signals.next() => self.stops += 1,
            }
            if self.stops > 1 && self.may_leave {
                let text = format!(
                    "left before the service answered; request_id {} tells whether the task was made",
                    request.request_id
                );
                return Err(Problem::Interrupted(text));
            }
        }
    }

    /// Prints every change, from the first to the end of the task.
    pub(super) async fn follow(&mut self, made: &ExecuteResponse, printer: &Printer) -> Result<Exit, Problem> {
        let request = WatchJobRequest {
            task_id: made.task_id.clone(),
            resume_token: made.resume_token.clone(),
            ..WatchJobRequest::default()
        };
        let print = |message: &WatchJobResponse| {
            printer.print("WatchJobResponse", message, || message.job.as_ref().map(change_line).unwrap_or_default())
        };
        self.attend(request, print).await
    }

    /// Waits until nothing of the task's browser is left; stops the task first when `stop` says so.
    pub(super) async fn settle(&mut self, made: &ExecuteResponse, stop: bool) -> Result<(), Problem> {
        self.stops = if stop { self.stops.max(1) } else { 0 };
        let request = WatchJobRequest {
            task_id: made.task_id.clone(),
            until: Until::ProcessExited.into(),
            ..WatchJobRequest::default()
        };
        self.attend(request, |_| Ok(())).await?;
        Ok(())
    }

    async fn attend(
        &mut self,
        request: WatchJobRequest,
        tell: impl Fn(&WatchJobResponse) -> Result<(), Problem>,
    ) -> Result<Exit, Problem> {
        let task_id = request.task_id.clone();
        let mut follow = Follow::new(self.target.clone(), self.client.clone(), request, self.patience());
        let mut wishes = JoinSet::new();
        if self.stops > 0 {
            self.wish(&mut wishes, &task_id);
        }
        loop {
            tokio::select! {
                news = follow.next() => match news? {
                    Some(message) => tell(&message)?,
                    None => break,
                },
                _ = self.signals.next() => {
                    self.stops += 1;
                    self.wish(&mut wishes, &task_id);
                }
                // A weaker wish that the stronger one cut short has nothing to say.
                Some(ended) = wishes.join_next() => if let Ok(sent) = ended { sent? },
            }
        }
        Ok(follow.exit())
    }

    /// Sends the wish to stop, the stronger one in place of the weaker.
    fn wish(&self, wishes: &mut JoinSet<Result<(), Problem>>, task_id: &str) {
        let (target, client, patience) = (self.target.clone(), self.client.clone(), self.patience());
        let request = CancelJobRequest { task_id: task_id.to_owned(), termination_grace: None, force: self.stops > 1 };
        wishes.abort_all();
        wishes.spawn(async move {
            insist(&target, client, patience, |mut client| {
                let request = request.clone();
                async move {
                    client.cancel_job(request).await?;
                    Ok(())
                }
            })
            .await
        });
    }

    fn patience(&self) -> Patience {
        Patience::new(self.retry.retry_for)
    }
}
