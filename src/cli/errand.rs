//! One task from Execute to its end, with an ear for the person who wants it stopped.

use std::{future, pin::Pin, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{Problem, files};
use crate::{
    api::v1::{
        CancelJobRequest, ExecuteRequest, ExecuteResponse, Job, WatchJobRequest, WatchJobResponse,
        watch_job_request::Until,
    },
    client::{Error, Runner},
};

/// How long somebody who has said stop twice is kept waiting for the end that was forced: a kill takes milliseconds, so
/// by then the service is away or the machine is stuck.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);

/// The reason of a service whose queue has no room.
const QUEUE_FULL: &str = "QUEUE_FULL";
/// How long to wait for room where the service does not say: its own word is a second.
const ROOM_DELAY: Duration = Duration::from_secs(1);

/// What an errand tells while it is under way.
#[derive(Debug)]
pub(super) enum News {
    /// The task was made.
    Made(Box<ExecuteResponse>),
    /// The watch of it has told something.
    Told(Box<WatchJobResponse>),
    /// A file that it downloaded was saved here.
    Saved(String),
}

/// Whose the service is that has the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// It was there before this call and stays after it.
    Lasting,
    /// It was started for this call: it must not be left while a browser of it lives.
    OfThisCall,
}

/// One task on its way.
pub(super) struct Errand {
    /// The service that has it.
    pub(super) runner: Runner,
    /// What is asked. Has a request_id, since it may have to be sent twice.
    pub(super) request: ExecuteRequest,
    /// Whose that service is.
    pub(super) host: Host,
    /// How long a full queue is waited for: not at all by one task alone, whose caller is told at once.
    pub(super) room_for: Option<Duration>,
    /// Readings are wanted too.
    pub(super) samples: bool,
    /// How often somebody has said stop: once asks, twice forces.
    pub(super) stops: watch::Receiver<usize>,
    /// How much of that was passed on.
    pub(super) stops_heard: usize,
    /// Which errand it is, and who hears of it.
    pub(super) tell: (usize, mpsc::Sender<(usize, News)>),
}

/// A wish that is on its way to the service.
type Wish = Pin<Box<dyn Future<Output = Result<(), Problem>> + Send>>;

impl Errand {
    /// Sees the task to its end; with a service of this call, its browser to its exit as well, however that went.
    pub(super) async fn run(mut self) -> Result<Job, Problem> {
        let made = self.execute().await?;
        self.say(News::Made(Box::new(made.clone()))).await;
        let request = WatchJobRequest {
            task_id: made.task_id.clone(),
            resume_token: made.resume_token.clone(),
            ..WatchJobRequest::default()
        };
        let ended = self.follow(request, true).await;
        match self.host {
            Host::Lasting => {}
            Host::OfThisCall => self.settle(&made, ended.is_err()).await?,
        }
        ended
    }

    /// Has the task made.
    async fn execute(&mut self) -> Result<ExecuteResponse, Problem> {
        let (runner, request) = (self.runner.clone(), self.request.clone());
        let room_until = self.room_for.map(|room_for| Instant::now() + room_for);
        let call = make(&runner, &request, room_until, self.stops.clone());
        tokio::pin!(call);
        loop {
            tokio::select! {
                answer = &mut call => return Ok(answer?),
                // Until the answer nobody knows what to cancel; the task is stopped as soon as it has a name.
                () = another(&mut self.stops) => {}
            }
            if *self.stops.borrow() > 1 && self.host == Host::Lasting {
                let text = format!(
                    "left before the service answered; request_id {} tells whether the task was made",
                    self.request.request_id
                );
                return Err(Problem::Interrupted(text));
            }
        }
    }

    /// Follows the task until its watch is over, and passes each wish to stop it on.
    async fn follow(&mut self, request: WatchJobRequest, tell: bool) -> Result<Job, Problem> {
        let task_id = request.task_id.clone();
        let mut watch = self.runner.watch(request);
        if self.samples && tell {
            watch = watch.with_samples();
        }
        let mut wish: Option<Wish> = None;
        let mut leave_at = None;
        loop {
            let stops = *self.stops.borrow_and_update();
            if stops > self.stops_heard {
                self.stops_heard = stops;
                // The stronger wish takes the place of the weaker.
                wish = Some(self.wish(&task_id, stops > 1));
                if stops > 1 && self.host == Host::Lasting {
                    leave_at.get_or_insert_with(|| Instant::now() + LEAVE_WITHIN);
                }
            }
            tokio::select! {
                news = watch.next() => match news? {
                    Some(message) if tell => self.say(News::Told(Box::new(message))).await,
                    Some(_) => {}
                    None => break,
                },
                () = another(&mut self.stops) => {}
                sent = granted(&mut wish) => {
                    wish = None;
                    sent?;
                }
                () = until(leave_at) => {
                    let text = format!("left before the task was over; `comet-task-runner watch {task_id}` tells its end");
                    return Err(Problem::Interrupted(text));
                }
            }
        }
        watch.finish().await.map_err(Problem::from)
    }

    /// Waits until nothing of the task's browser is left; stops the task first when `stop` says so. Then what it
    /// downloaded is saved, since it goes with the service.
    async fn settle(&mut self, made: &ExecuteResponse, stop: bool) -> Result<(), Problem> {
        if stop {
            self.wish(&made.task_id, false).await?;
        }
        let request = WatchJobRequest {
            task_id: made.task_id.clone(),
            until: Until::ProcessExited.into(),
            ..WatchJobRequest::default()
        };
        self.follow(request, false).await?;
        let mut saved = Vec::new();
        let all = files::save_here(&mut self.runner.calls().await?, &made.task_id, &mut saved).await;
        for name in saved {
            self.say(News::Saved(name)).await;
        }
        all
    }

    fn wish(&self, task_id: &str, force: bool) -> Wish {
        let (runner, task_id) = (self.runner.clone(), task_id.to_owned());
        Box::pin(async move {
            runner.cancel(CancelJobRequest { task_id, termination_grace: None, force }).await?;
            Ok(())
        })
    }

    async fn say(&self, news: News) {
        let (index, tell) = &self.tell;
        // Nobody hears it any more once what is said cannot be printed; the task is then being stopped.
        let _ = tell.send((*index, news)).await;
    }
}

/// Has a task made, and waits until `room_until` for room in the service's queue, unless somebody says stop meanwhile.
async fn make(
    runner: &Runner,
    request: &ExecuteRequest,
    room_until: Option<Instant>,
    mut stops: watch::Receiver<usize>,
) -> Result<ExecuteResponse, Error> {
    loop {
        let refused = match runner.execute(request.clone()).await {
            Err(Error::Refused(refused)) if refused.reason == QUEUE_FULL => refused,
            answer => return answer,
        };
        if room_until.is_none_or(|until| Instant::now() >= until) {
            return Err(Error::Refused(refused));
        }
        tokio::select! {
            () = sleep(refused.retry_delay.unwrap_or(ROOM_DELAY)) => {}
            () = another(&mut stops) => return Err(Error::Refused(refused)),
        }
    }
}

/// Waits until stop is said once more.
async fn another(stops: &mut watch::Receiver<usize>) {
    if stops.changed().await.is_err() {
        future::pending::<()>().await;
    }
}

async fn granted(wish: &mut Option<Wish>) -> Result<(), Problem> {
    match wish {
        Some(wish) => wish.await,
        None => future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => future::pending().await,
    }
}
