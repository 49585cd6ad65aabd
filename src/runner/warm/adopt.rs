//! The warm browsers of an earlier service: what it wrote of them, and who still has a context there.

use std::{collections::BTreeMap, io, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Door, Keeper, Kind, Share, share::Known, table::Stage};
use crate::{
    browser::{SharedBrowser, shared::Kept},
    job::TaskId,
    process::{Empty, Hello, Order, Place, Shim, Started, Told, exit_file},
    runner::{Host, adopt::write_whole, host::in_thread},
};

/// What is written of a warm browser.
#[derive(Serialize, Deserialize)]
struct Written {
    warm_browser: String,
    headless: bool,
    shares: Kept,
    /// Whose context is gone, and the number of the message that proved it.
    ended: BTreeMap<TaskId, u64>,
}

/// Every warm browser that an earlier service left, alive or with its end in writing.
pub(in crate::runner) async fn find(host: &Arc<Host>) -> Vec<Keeper> {
    let places = match host.dirs.places() {
        Ok(places) => places,
        Err(error) => {
            tracing::warn!(%error, "browsers to be shared could not be looked for");
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for place in places {
        let Some(written) = read_written(&place) else { continue };
        let keeper = Keeper::found(host, place, written).await;
        found.extend(keeper);
    }
    found
}

fn read_written(place: &Place) -> Option<Written> {
    serde_json::from_slice(&std::fs::read(place.cdp()).ok()?).ok()
}

impl Keeper {
    async fn found(host: &Arc<Host>, place: Place, written: Written) -> Option<Self> {
        let kind = Kind { browser: written.warm_browser, headless: written.headless };
        let shim = match Shim::attach(&place).await {
            // One without the word has nothing to watch, and leaves with this connection.
            Ok(shim) => shim.filter(|shim| shim.hello().went),
            Err(error) => {
                tracing::warn!(%error, "the shim of a shared browser cannot be attached");
                None
            }
        };
        // Looked for only now: a shim that was leaving has written it by the time its socket is gone.
        let (hello, left) = match &shim {
            Some(shim) => (shim.hello().clone(), Vec::new()),
            None => exit_file::read(&place).ok().flatten().map(|file| (file.hello, file.frames))?,
        };
        tracing::info!(browser = %kind.browser, alive = shim.is_some(), "found a shared browser of an earlier service");
        let (door, asked) = Door::new();
        let (shared, commands) = SharedBrowser::resume(hello.attaches, written.shares);
        let alive = shim.is_some();
        let mut keeper = Self::at(Arc::clone(host), kind.clone(), Arc::clone(&door), asked, place, shared);
        keeper.take_up(&hello);
        (keeper.shim, keeper.left, keeper.ended) = (shim, left.into(), written.ended);
        if alive {
            host.warm.enter(kind, &door);
        }
        for command in commands {
            keeper.send(Order::Browser(command)).await;
        }
        Some(keeper)
    }

    fn take_up(&mut self, hello: &Hello) {
        self.known = Some(Known { shim: hello.shim.clone(), attaches: hello.attaches });
        let browser = hello.browser.as_ref();
        self.process = browser.map(|browser| Started { pid: browser.pid, start_ticks: browser.start_ticks });
    }

    /// Names the warm browser's directories.
    pub(in crate::runner) fn place_id(&self) -> &str {
        self.place.task_id()
    }

    /// The job's share, if it is proven to have one here.
    pub(in crate::runner) fn adopt(&mut self, task: TaskId) -> Option<Share> {
        // One that has another context by now goes on in it.
        let ended = self.ended.get(&task).copied().filter(|_| !self.shared.has(task));
        let known = self.known.clone().filter(|_| ended.is_some() || self.shared.has(task))?;
        let seat = self.host.warm.seat_found(&self.door);
        let (share, tell) = Share::new(task, known, seat);
        self.table.seat(task, tell, Stage::Open);
        if let Some(number) = ended {
            self.table.tells(task, number, Told::Empty(Empty { killed: 0, proof: None }));
            self.table.moves_to(task, Stage::Over);
        }
        Some(share)
    }

    /// Writes what another service needs; without it that one cannot prove whose a context is, and its job is lost.
    pub(super) async fn write_kept(&self) {
        let Kind { browser, headless } = self.kind.clone();
        let written =
            Written { warm_browser: browser, headless, shares: self.shared.kept(), ended: self.ended.clone() };
        let path = self.place.cdp();
        let done = match serde_json::to_vec(&written) {
            Ok(bytes) => in_thread(move || write_whole(&path, &bytes)).await,
            Err(error) => Err(io::Error::other(error)),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the state of a shared browser was not written");
        }
    }

    /// Ends the contexts of those who were not adopted, then keeps the browser as any other.
    pub(in crate::runner) async fn take_over(mut self) {
        // Who is not here any more was told of its end.
        self.ended.retain(|task, _| self.table.stage(*task).is_some());
        let kept: Vec<TaskId> = self.shared.kept().tasks().collect();
        for task in kept {
            if self.table.stage(task).is_none() {
                for command in self.shared.end(task) {
                    self.send(Order::Browser(command)).await;
                }
            }
        }
        self.run().await;
    }
}
