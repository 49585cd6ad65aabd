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
    browser::{SharedBrowser, shared::Word},
    process::{Empty, Numbered, Order, Place, Refused, Shim, Started, Stop, Told, exit_file},
    runner::{Host, launch},
};

/// How long a browser that nobody needs has to close by itself, to see its pipe end, and to heed SIGTERM.
const CLOSE: Stop = Stop { close_pipe_after_ms: 1000, term_after_ms: 2000, kill_after_ms: 5000 };
/// One that answers nobody within the time that a job allows is ended at once: it has had that time.
const KILL: Stop = Stop { close_pipe_after_ms: 0, term_after_ms: 0, kill_after_ms: 0 };
/// How long a leaving service waits for the end of a browser that nobody needs.
const LEAVE_MAX: Duration = Duration::from_secs(2);

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
    idle_since: Instant,
    /// It was told to leave.
    is_ending: bool,
    /// Nothing of it is left.
    is_over: bool,
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
                self.table.end_within(task, Duration::from_millis(stop.kill_after_ms));
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

    async fn hear(&mut self, Numbered { number, told }: Numbered) {
        self.table.hears(number);
        match told {
            Told::Browser(message) => self.hear_browser(number, &message).await,
            Told::Started(started) => self.process = Some(started),
            Told::Refused(refused) => {
                self.is_over = true;
                self.end_all(number, &Told::Refused(refused));
            }
            Told::Exited(mut exited) => {
                tracing::info!(browser = %self.kind.browser, status = ?exited.status, "a shared browser ended");
                (self.is_ending, self.is_over) = (true, exited.empty);
                // What it printed may be any task's.
                exited.output_tail.clear();
                self.end_all(number, &Told::Exited(exited));
            }
            Told::Empty(empty) => {
                self.is_over = true;
                self.end_all(number, &Told::Empty(empty));
            }
        }
        self.acknowledge(false).await;
    }

    /// The browser is no more: who had a context in it is told how it ended, and who waits for one that there is none.
    fn end_all(&mut self, number: u64, told: &Told) {
        self.host.warm.retire(&self.door);
        let without = self.table.at(&[Stage::Seated, Stage::Opening]);
        for task in self.table.at(&[Stage::Open]) {
            self.table.tells(task, number, told.clone());
            if self.is_over {
                self.table.moves_to(task, Stage::Over);
            }
        }
        for task in without {
            let why = "the browser that was to be shared ended before the task had its context".to_owned();
            self.table.tells(task, number, Told::Refused(Refused::by_peer("context", why)));
            self.table.moves_to(task, Stage::Over);
        }
    }

    async fn hear_browser(&mut self, number: u64, message: &[u8]) {
        let heard = self.shared.receive(message);
        if let Some((task, Word::Ended)) = &heard.word {
            self.ended.insert(*task, number);
        }
        // Before anything is told, for another service.
        if heard.changed {
            self.write_kept().await;
        }
        self.send_all(heard.commands).await;
        let Some((task, word)) = heard.word else { return };
        let (told, stage) = match word {
            Word::Said(message) => (Told::Browser(message), None),
            Word::Opened => {
                let Some(process) = self.process.clone() else { return };
                (Told::Started(process), Some(Stage::Open))
            }
            Word::Refused(why) => (Told::Refused(Refused::by_peer("context", why)), Some(Stage::Over)),
            Word::Ended => (Told::Empty(Empty { killed: 0 }), Some(Stage::Over)),
        };
        self.table.tells(task, number, told);
        if let Some(stage) = stage {
            self.table.moves_to(task, stage);
        }
    }

    /// Those who are gone leave no context behind.
    async fn clear_table(&mut self) {
        let gone = self.table.clear();
        if gone.is_empty() {
            return;
        }
        for (task, stage) in gone {
            self.ended.remove(&task);
            if stage != Stage::Over {
                let commands = self.shared.end(task);
                self.send_all(commands).await;
            }
        }
        self.idle_since = Instant::now();
        self.acknowledge(true).await;
    }

    fn is_idle(&self) -> bool {
        self.table.is_empty() && self.host.warm.is_empty(&self.door)
    }

    fn next_deadline(&self) -> Option<Instant> {
        if self.is_ending || self.is_over {
            return None;
        }
        let idle = self.is_idle().then(|| self.idle_since + self.host.warm.idle_max);
        self.table.end_by().into_iter().chain(idle).min()
    }

    async fn time_is_up(&mut self) {
        if self.table.end_by().is_some_and(|by| by <= Instant::now()) {
            tracing::warn!(browser = %self.kind.browser, "a shared browser does not end a context; ending all of it");
            self.is_ending = true;
            self.host.warm.retire(&self.door);
            self.send(Order::Stop(KILL)).await;
        } else if self.host.warm.retire_if_empty(&self.door) {
            self.close().await;
        }
    }

    async fn close(&mut self) {
        self.is_ending = true;
        let close = self.shared.close();
        self.send(Order::Browser(close)).await;
        self.send(Order::Stop(CLOSE)).await;
    }

    /// Without an end there may be word in writing; without that, nobody knows.
    async fn shim_gone(&mut self) {
        if self.shim.take().is_some() {
            match exit_file::read(&self.place) {
                Ok(Some(file)) => self.left = file.frames.into(),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "the last word of a shared browser's shim cannot be read"),
            }
        } else if !self.is_over {
            // Whoever listens hears that nobody speaks any more, and draws the conclusion.
            self.host.warm.retire(&self.door);
            self.table.dissolve();
            self.is_over = true;
        }
    }

    /// The last acknowledgement lets the shim clean up and leave.
    async fn part(mut self) {
        self.host.warm.retire(&self.door);
        self.acknowledge(true).await;
        let leaving = self.host.leaving.clone();
        if let Some(mut shim) = self.shim.take() {
            tokio::select! {
                () = async { while shim.next().await.is_some() {} } => {}
                () = leaving.cancelled() => return,
            }
        }
        self.wipe().await;
    }

    /// A browser that nobody needs does not outlive the service; one with jobs waits for the next.
    async fn leave(mut self) {
        if !self.table.is_empty() || self.is_over {
            return;
        }
        if !self.is_ending {
            self.close().await;
        }
        let Some(mut shim) = self.shim.take() else { return };
        let ended = async {
            while let Some(Numbered { number, .. }) = shim.next().await {
                if shim.send(&Order::Ack(number)).await.is_err() {
                    break;
                }
            }
        };
        if tokio::time::timeout(LEAVE_MAX, ended).await.is_ok() {
            self.wipe().await;
        }
    }

    async fn wipe(&self) {
        let place = self.place.clone();
        match tokio::task::spawn_blocking(move || place.wipe()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the files of a shared browser could not be removed"),
            Err(error) => tracing::warn!(%error, "the files of a shared browser could not be removed"),
        }
    }

    async fn acknowledge(&mut self, at_once: bool) {
        if let Some(number) = self.table.acknowledge(at_once) {
            self.send(Order::Ack(number)).await;
        }
    }

    async fn send_all(&mut self, commands: Vec<Vec<u8>>) {
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
