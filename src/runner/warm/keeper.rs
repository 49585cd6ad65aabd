//! Keeps one warm browser: its only listener and speaker, from its start to the end of its process tree.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    Door, Kind, Share, ShareError, ShareReply, Task,
    share::{Ask, Known},
    table::{Stage, Table},
};
use crate::{
    browser::SharedBrowser,
    process::{Numbered, Order, Place, Shim, Started, Told},
    runner::{Host, launch},
};

/// How long a browser has at least to end a context before all of it is ended: it takes milliseconds, whatever the page
/// does, and seconds only on a machine that can hardly do anything.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Keeps one warm browser.
pub(in crate::runner) struct Keeper {
    pub(super) host: Arc<Host>,
    pub(super) kind: Kind,
    pub(super) door: Arc<Door>,
    asked: mpsc::Receiver<Ask>,
    pub(super) place: Place,
    /// None before it was made, and once it is gone.
    pub(super) shim: Option<Shim>,
    /// What a shim that is gone left in writing.
    pub(super) left: VecDeque<Numbered>,
    pub(super) known: Option<Known>,
    pub(super) process: Option<Started>,
    pub(super) shared: SharedBrowser,
    pub(super) table: Table,
    /// Whose context is gone, and by which message, until they have taken that in.
    pub(super) ended: BTreeMap<Task, u64>,
    pub(super) idle_since: Instant,
    /// It was told to leave.
    pub(super) is_ending: bool,
    /// Nothing of it is left.
    pub(super) is_over: bool,
}

impl Keeper {
    /// For a browser that is yet to be started.
    pub(super) fn fresh(host: Arc<Host>, kind: Kind, door: Arc<Door>, asked: mpsc::Receiver<Ask>) -> Self {
        let place = host.dirs.place(&Uuid::now_v7().to_string());
        Self::at(host, kind, door, asked, place, SharedBrowser::new())
    }

    pub(super) fn at(
        host: Arc<Host>,
        kind: Kind,
        door: Arc<Door>,
        asked: mpsc::Receiver<Ask>,
        place: Place,
        shared: SharedBrowser,
    ) -> Self {
        Self {
            host,
            kind,
            door,
            asked,
            place,
            shim: None,
            left: VecDeque::new(),
            known: None,
            process: None,
            shared,
            table: Table::default(),
            ended: BTreeMap::new(),
            idle_since: Instant::now(),
            is_ending: false,
            is_over: false,
        }
    }

    /// Until nothing is left of the browser, or the service leaves.
    pub(in crate::runner) async fn run(mut self) {
        if self.known.is_none()
            && let Err(error) = self.launch().await
        {
            self.refuse_all(&error).await;
            return;
        }
        loop {
            if self.host.leaving.is_cancelled() {
                return self.leave().await;
            }
            self.clear_table().await;
            if self.is_over && self.table.all_taken_in() && !self.table.has_waiting() {
                return self.part().await;
            }
            let (at, leaving) = (self.next_deadline(), self.host.leaving.clone());
            let listener = self.table.next_listener();
            let has_more = self.shim.is_some() || !self.is_over;
            let may_hear = has_more && !self.table.has_waiting();
            tokio::select! {
                permit = room(listener) => self.table.tell_next(permit),
                told = next(&mut self.shim, &mut self.left), if may_hear => match told {
                    Some(numbered) => self.hear(numbered).await,
                    None => self.shim_gone().await,
                },
                Some(ask) = self.asked.recv() => self.answer(ask).await,
                () = self.door.bell.notified() => {}
                () = passing(at) => self.time_is_up().await,
                () = leaving.cancelled() => {}
            }
        }
    }

    /// Starts the browser. Written down first, so that a service after this one finds it.
    async fn launch(&mut self) -> Result<(), ShareError> {
        let failed = |error: &dyn std::fmt::Display| ShareError::NoBrowser(error.to_string());
        let go = launch::warm(&self.host, &self.kind.browser, self.kind.headless, &self.place);
        let go = go.map_err(|error| failed(&error))?;
        let shim = self.host.launcher.fork_shim(&self.place, launch::nonce()).await;
        let mut shim = shim.map_err(|error| failed(&error))?;
        self.write_kept().await;
        shim.send(&Order::Go(go)).await.map_err(|error| failed(&error))?;
        let leaving = self.host.leaving.clone();
        let told = tokio::select! {
            told = shim.next() => told,
            () = leaving.cancelled() => None,
        };
        match told {
            Some(Numbered { number, told: Told::Started(started) }) => {
                tracing::info!(browser = %self.kind.browser, pid = started.pid, "started a browser to be shared");
                self.table.hears(number);
                self.known = Some(Known { shim: shim.hello().shim.clone(), attaches: shim.hello().attaches });
                (self.process, self.shim) = (Some(started), Some(shim));
                Ok(())
            }
            Some(Numbered { told: Told::Refused(refused), number }) => {
                drop(shim.send(&Order::Ack(number)).await);
                Err(failed(&refused))
            }
            Some(_) | None => Err(ShareError::Ended),
        }
    }

    async fn refuse_all(mut self, error: &ShareError) {
        self.host.warm.retire(&self.door);
        self.asked.close();
        while let Some(ask) = self.asked.recv().await {
            match ask {
                Ask::Share { reply, .. } => drop(reply.send(Err(error.clone()))),
                // Nobody has a share yet.
                Ask::Open(_) | Ask::Order(..) => {}
            }
        }
        if !self.host.leaving.is_cancelled() {
            self.wipe().await;
        }
    }

    async fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Share { task, seat, reply } => self.share(task, seat, reply),
            Ask::Open(task) => {
                if self.table.stage(task) == Some(Stage::Seated) && !self.is_over {
                    self.table.moves_to(task, Stage::Opening);
                    let commands = self.shared.begin(task);
                    self.send_all(commands).await;
                }
            }
            Ask::Order(task, Order::Browser(command)) => {
                if let Some(command) = self.shared.translate(task, &command) {
                    self.send(Order::Browser(command)).await;
                }
            }
            Ask::Order(task, Order::Ack(number)) => {
                self.table.took_in(task, number);
                self.acknowledge(true).await;
            }
            Ask::Order(task, Order::Stop(stop)) => {
                // However much one is in a hurry, the others' browser is not ended for it.
                self.table.end_within(task, Duration::from_millis(stop.kill_after_ms).max(ANSWER_MAX));
                let commands = self.shared.end(task);
                self.send_all(commands).await;
            }
            // The word comes as an ask of its own, and the browser's shim keeps no time for one job.
            Ask::Order(_, Order::Go(_) | Order::Disarm) => {}
        }
    }

    fn share(&mut self, task: Task, seat: super::Seat, reply: ShareReply) {
        // Without an answer another browser is asked for.
        let Some(known) = self.known.clone().filter(|_| !self.is_ending && !self.is_over) else { return };
        let (share, tell) = Share::new(task, known, seat);
        self.table.seat(task, tell, Stage::Seated);
        // Gone, it took its share with it, which is noticed as any other.
        drop(reply.send(Ok(share)));
    }

    pub(super) async fn acknowledge(&mut self, at_once: bool) {
        if let Some(number) = self.table.acknowledge(at_once) {
            self.send(Order::Ack(number)).await;
        }
    }

    pub(super) async fn send_all(&mut self, commands: Vec<Vec<u8>>) {
        for command in commands {
            self.send(Order::Browser(command)).await;
        }
    }

    pub(super) async fn send(&mut self, order: Order) {
        if let Some(shim) = self.shim.as_mut()
            && let Err(error) = shim.send(&order).await
        {
            // Its end is noticed, and dealt with, where its messages are read.
            tracing::debug!(%error, "the shim of a shared browser did not take an order");
        }
    }
}

/// Room for one more message; for ever without a listener.
async fn room(listener: Option<mpsc::Sender<Numbered>>) -> mpsc::OwnedPermit<Numbered> {
    match listener {
        Some(listener) => match listener.reserve_owned().await {
            Ok(permit) => permit,
            // It is gone: the bell rings for it.
            Err(_) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// The next message: of the shim, or of what it left.
async fn next(shim: &mut Option<Shim>, left: &mut VecDeque<Numbered>) -> Option<Numbered> {
    match shim {
        Some(shim) => shim.next().await,
        None => left.pop_front(),
    }
}

async fn passing(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
