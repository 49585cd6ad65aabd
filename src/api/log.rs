//! The stream of what a task's browser said: a number into its log, and nothing else to lag behind.

use std::{collections::BTreeSet, pin::Pin, sync::Arc, time::Duration};

use futures_util::stream::unfold;
use tokio::{sync::watch, time::sleep};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{
    convert,
    meters::Watching,
    request::{self, Faults},
    status::{self, Violation},
    v1::{
        self,
        log_entry::{Level, Source},
    },
};
use crate::{
    job::TaskId,
    runner::{BrowserLog, LogBatch, LogEntry, LogLevel, LogSource, LogStage, LogToRead},
};

/// What tonic sends to a reader.
pub(super) type LogStream = Pin<Box<dyn Stream<Item = Result<v1::ReadLogResponse, Status>> + Send>>;

/// Longest silence: shorter than what proxies cut.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// How a log is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) task_id: TaskId,
    after: u64,
    follow: bool,
    wanted: Wanted,
}

/// Which entries are wanted.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// Empty for all.
    sources: BTreeSet<Source>,
    min_level: LogLevel,
}

impl Wanted {
    fn has(&self, entry: &LogEntry) -> bool {
        entry.level >= self.min_level && (self.sources.is_empty() || self.sources.contains(&source(entry.source)))
    }
}

pub(super) fn reading(request: &v1::ReadLogRequest) -> Result<Reading, Vec<Violation>> {
    let task_id = request::task_id(&request.task_id)?;
    let mut faults = Faults::default();
    let mut sources = BTreeSet::new();
    for (at, number) in request.sources.iter().enumerate() {
        match Source::try_from(*number) {
            Ok(source @ (Source::Output | Source::Console | Source::Network | Source::Page | Source::Browser)) => {
                sources.insert(source);
            }
            Ok(Source::Unspecified) | Err(_) => {
                let remedy = format!("{number} is no source; leave sources out for all");
                faults.add(format!("sources[{at}]"), "ENUM_UNKNOWN", remedy);
            }
        }
    }
    let min_level = match Level::try_from(request.min_level) {
        Ok(Level::Unspecified | Level::Debug) => LogLevel::Debug,
        Ok(Level::Info) => LogLevel::Info,
        Ok(Level::Warning) => LogLevel::Warning,
        Ok(Level::Error) => LogLevel::Error,
        Err(_) => {
            let remedy = format!("{} is no level; leave min_level out for all", request.min_level);
            faults.add("min_level", "ENUM_UNKNOWN", remedy);
            LogLevel::Debug
        }
    };
    let wanted = Wanted { sources, min_level };
    faults.ok(Some(Reading { task_id, after: request.after_number, follow: request.follow, wanted }))
}

pub(super) fn stream(to_read: LogToRead, reading: Reading, watching: Watching) -> LogStream {
    let LogToRead { log, leaving } = to_read;
    let bell = log.bell();
    // Numbers can only lie ahead where they have begun anew.
    let reset = reading.after > log.last();
    let told = if reset { 0 } else { reading.after };
    let reader = Reader { log, bell, leaving, reading, told, reset, over: false, _watching: watching };
    Box::pin(unfold(reader, |mut reader| async move { reader.next().await.map(|answer| (answer, reader)) }))
}

struct Reader {
    log: Arc<BrowserLog>,
    bell: watch::Receiver<()>,
    leaving: CancellationToken,
    reading: Reading,
    /// The number up to which everything is told.
    told: u64,
    /// That is to be told too.
    reset: bool,
    over: bool,
    _watching: Watching,
}

impl Reader {
    async fn next(&mut self) -> Option<Result<v1::ReadLogResponse, Status>> {
        while !self.over {
            // Before the entries: after an end that is seen here none comes.
            let stage = self.log.stage();
            self.bell.mark_unchanged();
            let batch = self.log.after(self.told, |entry| self.reading.wanted.has(entry));
            if !batch.entries.is_empty() || batch.dropped > 0 || self.reset {
                return Some(Ok(self.tell(&batch)));
            }
            // What is not wanted is behind the reader as well.
            self.told = batch.last;
            match stage {
                LogStage::Ended => self.over = true,
                LogStage::Open | LogStage::Left if !self.reading.follow => self.over = true,
                LogStage::Left => return self.leave(),
                LogStage::Open => match self.quiet().await {
                    Quiet::Rung => {}
                    Quiet::Silent => return Some(Ok(self.tell(&batch))),
                    Quiet::Leaving => return self.leave(),
                },
            }
        }
        None
    }

    fn tell(&mut self, batch: &LogBatch) -> v1::ReadLogResponse {
        self.told = batch.last;
        v1::ReadLogResponse {
            entries: batch.entries.iter().map(|entry| convert::log_entry(entry)).collect(),
            dropped_count: batch.dropped,
            last_number: batch.last,
            reset: std::mem::take(&mut self.reset),
        }
    }

    fn leave(&mut self) -> Option<Result<v1::ReadLogResponse, Status>> {
        self.over = true;
        Some(Err(status::draining()))
    }

    async fn quiet(&mut self) -> Quiet {
        tokio::select! {
            biased;
            // The bell lives in the log, which this reader holds.
            _ = self.bell.changed() => Quiet::Rung,
            () = self.leaving.cancelled() => Quiet::Leaving,
            () = sleep(SILENCE_MAX) => Quiet::Silent,
        }
    }
}

/// What there is to tell when no entry is there.
enum Quiet {
    Rung,
    Silent,
    Leaving,
}

pub(super) const fn source(source: LogSource) -> Source {
    match source {
        LogSource::Output => Source::Output,
        LogSource::Console => Source::Console,
        LogSource::Network => Source::Network,
        LogSource::Page => Source::Page,
        LogSource::Browser => Source::Browser,
    }
}

pub(super) const fn level(level: LogLevel) -> Level {
    match level {
        LogLevel::Debug => Level::Debug,
        LogLevel::Info => Level::Info,
        LogLevel::Warning => Level::Warning,
        LogLevel::Error => Level::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> v1::ReadLogRequest {
        v1::ReadLogRequest {
            task_id: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
            ..v1::ReadLogRequest::default()
        }
    }

    fn entry(source: LogSource, level: LogLevel) -> LogEntry {
        let at = crate::job::WallTime::from_micros(1);
        LogEntry { number: 1, at, source, level, text: String::new(), url: String::new(), line: None }
    }

    #[test]
    fn without_a_wish_everything_is_wanted() {
        let reading = reading(&request()).unwrap();
        assert!(reading.wanted.has(&entry(LogSource::Page, LogLevel::Debug)) && !reading.follow);
    }

    #[test]
    fn only_the_sources_and_levels_that_are_asked_for_are_wanted() {
        let sources = vec![Source::Console.into(), Source::Network.into()];
        let wished = v1::ReadLogRequest { sources, min_level: Level::Warning.into(), ..request() };
        let wanted = reading(&wished).unwrap().wanted;
        for (source, level, is_wanted) in [
            (LogSource::Console, LogLevel::Warning, true),
            (LogSource::Network, LogLevel::Error, true),
            (LogSource::Network, LogLevel::Info, false),
            (LogSource::Output, LogLevel::Error, false),
        ] {
            assert_eq!(wanted.has(&entry(source, level)), is_wanted, "{source:?} {level:?}");
        }
    }

    #[test]
    fn every_field_at_fault_is_named() {
        let wrong = v1::ReadLogRequest { sources: vec![1, 0, 99], min_level: 9, ..request() };
        let fields: Vec<_> = reading(&wrong).unwrap_err().into_iter().map(|fault| fault.field).collect();
        assert_eq!(fields, ["sources[1]", "sources[2]", "min_level"]);
        let wrong = v1::ReadLogRequest { task_id: "x".to_owned(), ..request() };
        assert_eq!(reading(&wrong).unwrap_err()[0].reason, "TASK_ID_INVALID");
    }
}
