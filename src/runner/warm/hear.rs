//! What the shim of a warm browser tells: taken apart, and told to those whom it concerns.

use super::{Keeper, table::Stage};
use crate::{
    browser::shared::Word,
    process::{Empty, Numbered, Refused, Told, exit_file},
};

impl Keeper {
    pub(super) async fn hear(&mut self, Numbered { number, told }: Numbered) {
        // What it prints may be any task's; and a piece of it without a number is not to be acknowledged.
        if number == 0 {
            return;
        }
        self.table.hears(number);
        match told {
            Told::Output(_) => {}
            Told::Browser(message) => self.hear_browser(number, &message).await,
            Told::Started(started) => self.process = Some(started),
            Told::Refused(refused) => {
                self.is_over = true;
                self.end_all(number, &Told::Refused(refused));
            }
            Told::Exited(mut exited) => {
                tracing::info!(browser = %self.kind.browser, status = ?exited.status, "a shared browser ended");
                (self.is_ending, self.is_over) = (true, exited.empty);
                // What it printed may be any task's, and what it took is no one's alone.
                exited.output_tail.clear();
                exited.proof = None;
                self.end_all(number, &Told::Exited(exited));
            }
            Told::Empty(empty) => {
                self.is_over = true;
                self.end_all(number, &Told::Empty(Empty { proof: None, ..empty }));
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
        if let Some((task, Word::Ended)) = &heard.word
            && self.table.stage(*task).is_some()
        {
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
            Word::Ended => (Told::Empty(Empty { killed: 0, proof: None }), Some(Stage::Over)),
        };
        self.table.tells(task, number, told);
        if let Some(stage) = stage {
            self.table.moves_to(task, stage);
        }
    }

    /// Without an end there may be word in writing; without that, nobody knows.
    pub(super) async fn shim_gone(&mut self) {
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
}
