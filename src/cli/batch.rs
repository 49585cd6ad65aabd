//! Tasks of one call, so many at once, each followed to its end.

use std::{collections::VecDeque, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{
    Exit, Problem,
    errand::{Errand, Host, News},
    signals::Signals,
    view::{TICK, View},
};
use crate::{
    api::v1::{ExecuteRequest, Job},
    client::Runner,
};

/// News that wait to be printed; when it is full the errands wait, and with them their streams.
const NEWS_MAX: usize = 64;

/// How long one of several tasks waits for room in the service's queue: that of a thousand others, a few seconds each.
const ROOM_FOR: Duration = Duration::from_secs(3600);

/// What is to be done.
pub(super) struct Batch<'a> {
    /// The service that does it.
    pub(super) runner: Runner,
    /// Whose that service is.
    pub(super) host: Host,
    /// The tasks, in order.
    pub(super) requests: Vec<ExecuteRequest>,
    /// So many of them at once.
    pub(super) parallel: usize,
    /// What says stop.
    pub(super) signals: &'a mut Signals,
}

/// How the work stands.
struct Work {
    runner: Runner,
    host: Host,
    samples: bool,
    room_for: Option<Duration>,
    waiting: VecDeque<(usize, ExecuteRequest)>,
    /// Those under way. Each ends with the job as it was then, or with what went wrong.
    errands: JoinSet<(usize, Result<Job, Problem>)>,
    stops: watch::Sender<usize>,
    tell: mpsc::Sender<(usize, News)>,
    exit: Exit,
    /// The only task's problem is the call's own.
    problem: Option<Problem>,
    /// The service was away for too long: the others would only wait as long for the same.
    hopeless: bool,
}

impl Batch<'_> {
    /// Does it, with `view` told of everything. The exit is the worst of all.
    pub(super) async fn run(self, view: &mut dyn View) -> Result<Exit, Problem> {
        let (tell, mut told) = mpsc::channel(NEWS_MAX);
        let alone = self.requests.len() == 1;
        let mut work = Work {
            runner: self.runner,
            host: self.host,
            samples: view.wants_samples(),
            room_for: (!alone).then_some(ROOM_FOR),
            waiting: self.requests.into_iter().enumerate().collect(),
            errands: JoinSet::new(),
            stops: watch::Sender::new(0),
            tell,
            exit: Exit::Done,
            problem: None,
            hopeless: false,
        };
        let mut unprintable = None;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            work.start(self.parallel);
            if work.errands.is_empty() {
                break;
            }
            let printed = tokio::select! {
                // A person's word goes before everything.
                biased;
                _ = self.signals.next() => {
                    let times = work.stop();
                    view.stopping(times)
                }
                Some((index, news)) = told.recv() => match &unprintable {
                    None => view.take(index, &news),
                    Some(_) => Ok(()),
                },
                Some(ended) = work.errands.join_next() => {
                    let (index, ended) = ended.expect("an errand neither panics nor is aborted before its end");
                    // Its last news may have come since they were looked for, and go before its end.
                    let mut printed = Ok(());
                    while let Ok((index, news)) = told.try_recv() {
                        if printed.is_ok() && unprintable.is_none() {
                            printed = view.take(index, &news);
                        }
                    }
                    let counted = work.count(ended, index, alone, view);
                    printed.and(counted)
                }
                _ = ticks.tick(), if view.ticks() => view.tick(work.runner.is_connected()),
            };
            if let Err(problem) = printed
                && unprintable.is_none()
            {
                if work.host == Host::Lasting {
                    // Its tasks go on: whoever reads no more has not said that they should not.
                    return Err(problem);
                }
                work.stop();
                unprintable = Some(problem);
            }
        }
        match unprintable.or(work.problem) {
            Some(problem) => Err(problem),
            None => view.end(work.waiting.len()).map(|()| work.exit),
        }
    }
}

impl Work {
    /// Starts what may be under way, unless somebody has said stop.
    fn start(&mut self, parallel: usize) {
        while self.errands.len() < parallel
            && *self.stops.borrow() == 0
            && !self.hopeless
            && let Some((index, request)) = self.waiting.pop_front()
        {
            let errand = Errand {
                runner: self.runner.clone(),
                request,
                host: self.host,
                room_for: self.room_for,
                samples: self.samples,
                stops: self.stops.subscribe(),
                stops_heard: 0,
                tell: (index, self.tell.clone()),
            };
            self.errands.spawn(async move { (index, errand.run().await) });
        }
    }

    /// Asks what is under way to stop, and the second time forces it.
    fn stop(&mut self) -> usize {
        self.stops.send_modify(|stops| *stops += 1);
        // What was never begun is neither well nor failed.
        if !self.waiting.is_empty() {
            self.exit = self.exit.worse(Exit::Stopped);
        }
        *self.stops.borrow()
    }

    fn count(
        &mut self,
        ended: Result<Job, Problem>,
        index: usize,
        alone: bool,
        view: &mut dyn View,
    ) -> Result<(), Problem> {
        match ended {
            Ok(job) => {
                self.exit = self.exit.worse(Exit::of(&job));
                view.over(index, &job)
            }
            Err(problem) if alone => {
                self.problem = Some(problem);
                Ok(())
            }
            Err(problem) => {
                self.exit = self.exit.worse(problem.exit());
                self.hopeless |= matches!(problem, Problem::NoService(_));
                view.failed(index, &problem)
            }
        }
    }
}
