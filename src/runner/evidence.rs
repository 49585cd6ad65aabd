//! The last picture of a job that came to a bad end: taken before its browser is told to go, kept with the job.
//!
//! It never delays the end itself, only the browser's; and that by no more than [`TAKE_MAX`].

use std::{future::Future, io, pin::Pin, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    Host,
    attendant::Attendant,
    capture::{self, Encoding, What, shows_something},
    files::unique_name,
    live::Live,
};
use crate::job::{FILES_MAX, Fact, FileKind, Job, Phase, Reason, Status, Tier};

/// How long the picture may take: twenty times what it takes, and a slot is not held for longer behind a time-out.
const TAKE_MAX: Duration = Duration::from_secs(1);
/// Good enough to see what went wrong, small enough to keep a hundred thousand of them.
const ENCODING: Encoding = Encoding::Jpeg { quality: 60 };
/// What the picture is called; with a number where the page downloaded something of that name.
const NAME: &str = "last.jpg";
/// What it is called until then, beside what the browser writes: no browser calls anything so.
const INCOMING: &str = "last picture";

/// How far the picture is.
pub(super) enum Evidence {
    /// Not needed so far.
    Open,
    /// Being taken.
    Underway(Pin<Box<dyn Future<Output = Option<Taken>> + Send + Sync>>),
    /// Taken, or not to be had.
    Over,
}

/// A picture that was written, and has no name yet.
pub(super) struct Taken {
    size_bytes: u64,
}

impl Evidence {
    /// For a job as it is found: the end of one that is ending already was another service's to picture.
    pub(super) fn of(job: &Job) -> Self {
        match job.status.phase() {
            Phase::Waiting | Phase::Running => Self::Open,
            Phase::Stopping | Phase::Over => Self::Over,
        }
    }

    /// Waits for the picture that is being taken; for ever when there is none. Safe to drop.
    pub(super) async fn taken(&mut self) -> Option<Taken> {
        match self {
            Self::Underway(taking) => {
                let kept = taking.await;
                *self = Self::Over;
                kept
            }
            Self::Open | Self::Over => std::future::pending().await,
        }
    }
}

impl Attendant {
    /// True while the browser has to stay for its last picture, which this begins to take.
    pub(super) fn holds_for_evidence(&mut self, job: &Job) -> bool {
        if matches!(self.evidence, Evidence::Open) && job.status.phase() != Phase::Running {
            self.evidence = if self.host.evidence && self.is_worth_a_picture(job) {
                Evidence::Underway(Box::pin(take(Arc::clone(&self.host), Arc::clone(&self.attended.live))))
            } else {
                Evidence::Over
            };
        }
        matches!(self.evidence, Evidence::Underway(_))
    }

    /// A bad end, and a page that can be asked about it.
    fn is_worth_a_picture(&self, job: &Job) -> bool {
        let answers = job.spec.tier == Tier::Managed && self.session.is_some() && !self.is_stopping();
        is_bad_end(job) && shows_something(job) && answers && job.page_end.is_none() && job.is_process_alive()
    }

    /// Names and records the picture, if there is one. Here, where downloads get their names too.
    pub(super) async fn keep_evidence(&mut self, taken: Option<Taken>) {
        let Some(Taken { size_bytes }) = taken else { return };
        let job = self.job();
        if job.files.len() >= FILES_MAX {
            // Nobody could ever ask for it; it goes with the rest of what is not kept.
            return;
        }
        let name = unique_name(NAME, &job.files);
        let (files, id, to) = (self.host.files.clone(), self.id(), name.clone());
        let kept = tokio::task::spawn_blocking(move || files.keep(id, INCOMING, &to)).await;
        match kept.map_err(io::Error::other).flatten() {
            Ok(()) => drop(self.record(Fact::FileKept { name, kind: FileKind::Screenshot, size_bytes }).await),
            Err(error) => tracing::warn!(task_id = %id, %error, "the last picture could not be kept"),
        }
    }
}

/// Whether somebody will want to see what the page showed.
fn is_bad_end(job: &Job) -> bool {
    match job.status {
        Status::Failed => true,
        Status::Done => job.reason == Reason::RuleMatched,
        // On its way to TIMED_OUT, unless somebody asked for it.
        Status::Stopping => job.reason != Reason::CancelRequested,
        Status::Created | Status::Running | Status::Cancelled | Status::TimedOut | Status::Lost => false,
    }
}

/// Takes the picture and writes it; none when either fails, which is worth a line and nothing more.
async fn take(host: Arc<Host>, live: Arc<Live>) -> Option<Taken> {
    let task_id = live.log.id();
    let taken = timeout(TAKE_MAX, async {
        let _turn = host.captures.acquire().await;
        capture::page(&live, &What::Viewport, ENCODING).await
    });
    let drawn = match taken.await {
        Ok(Ok(drawn)) => drawn,
        Ok(Err(error)) => {
            tracing::debug!(%task_id, %error, "no last picture");
            return None;
        }
        Err(_) => {
            tracing::debug!(%task_id, "no last picture: the page did not give one in time");
            return None;
        }
    };
    let files = host.files.clone();
    let writing = tokio::task::spawn_blocking(move || {
        let image = capture::decode(&drawn.data, ENCODING).map_err(io::Error::other)?;
        files.write_incoming(task_id, INCOMING, &image.bytes)?;
        io::Result::Ok(Taken { size_bytes: image.bytes.len() as u64 })
    });
    match writing.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(taken) => Some(taken),
        Err(error) => {
            tracing::warn!(%task_id, %error, "the last picture could not be kept");
            None
        }
    }
}
