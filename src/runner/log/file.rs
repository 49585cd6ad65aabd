//! Logs on disk: one file per job in JSON lines, written when the job is over or the service leaves.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use super::{BrowserLog, LogEntry};
use crate::job::TaskId;

/// The directory of all logs, in the state directory.
const DIR: &str = "logs";
/// A file longer than this is none of ours: a full ring with everything escaped comes to half of it.
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// What all logs together may take; then the oldest go, until an eighth of it is free.
const ALL_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// What is written of a log.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::runner) struct Kept {
    pub(super) attempt: u32,
    pub(super) heard: u64,
    pub(super) output_place: u64,
    pub(super) last: u64,
    pub(super) entries: Vec<Arc<LogEntry>>,
}

/// The first line of a file; the entries follow.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    attempt: u32,
    heard: u64,
    output_place: u64,
    last: u64,
}

/// A log on disk.
struct LogFile {
    id: TaskId,
    length: u64,
}

/// The logs on disk. Its calls block.
#[derive(Debug)]
pub(in crate::runner) struct Logs {
    dir: PathBuf,
    /// Those that are being read, so that many readers of one job hold it once.
    open: Mutex<HashMap<TaskId, Weak<BrowserLog>>>,
    /// What all files take, about; exact after a sweep.
    bytes: AtomicU64,
    bytes_max: u64,
}

impl Logs {
    pub(in crate::runner) fn new(state_dir: &std::path::Path) -> Self {
        Self { dir: state_dir.join(DIR), open: Mutex::default(), bytes: AtomicU64::default(), bytes_max: ALL_BYTES_MAX }
    }

    /// Whole or not at all, for a reader after a kill; it need not outlive the machine.
    pub(in crate::runner) fn write(&self, id: TaskId, kept: &Kept) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let mut text = Vec::new();
        let head = Head { attempt: kept.attempt, heard: kept.heard, output_place: kept.output_place, last: kept.last };
        write_line(&mut text, &head)?;
        kept.entries.iter().try_for_each(|entry| write_line(&mut text, entry))?;
        let unfinished = self.path(id).with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&text)?;
        fs::rename(&unfinished, self.path(id))?;
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        if self.bytes.fetch_add(length, Ordering::Relaxed).saturating_add(length) > self.bytes_max {
            self.shrink()?;
        }
        Ok(())
    }

    /// What was written; none when there is nothing, or nothing that can be understood.
    pub(in crate::runner) fn read(&self, id: TaskId) -> Option<Kept> {
        match File::open(self.path(id)).and_then(parse) {
            Ok(kept) => Some(kept),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(task_id = %id, %error, "a browser's log cannot be read");
                None
            }
        }
    }

    /// The log of a job that is over.
    pub(in crate::runner) fn open(&self, id: TaskId) -> Arc<BrowserLog> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = open.get(&id).and_then(Weak::upgrade) {
            return log;
        }
        open.retain(|_, log| log.strong_count() > 0);
        let log = Arc::new(BrowserLog::of_the_past(self.read(id)));
        open.insert(id, Arc::downgrade(&log));
        log
    }

    /// Forgets the log of a job that is forgotten.
    pub(in crate::runner) fn remove(&self, id: TaskId) -> io::Result<()> {
        let path = self.path(id);
        let length = fs::metadata(&path).map(|about| about.len()).unwrap_or_default();
        self.freed(length);
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Every job that has a log here, the oldest first. Removes what a killed service did not finish writing; so none may
    /// be written meanwhile.
    pub(in crate::runner) fn sweep(&self) -> io::Result<Vec<TaskId>> {
        let (files, others) = self.files()?;
        others.into_iter().for_each(|path| drop(fs::remove_file(path)));
        self.bytes.store(files.iter().map(|file| file.length).sum(), Ordering::Relaxed);
        Ok(files.into_iter().map(|file| file.id).collect())
    }

    fn shrink(&self) -> io::Result<()> {
        let (files, _) = self.files()?;
        self.bytes.store(files.iter().map(|file| file.length).sum(), Ordering::Relaxed);
        for LogFile { id, .. } in files {
            if self.bytes.load(Ordering::Relaxed) <= self.bytes_max / 8 * 7 {
                break;
            }
            self.remove(id)?;
        }
        Ok(())
    }

    /// The logs, the oldest first, as task ids sort by time; and what is none.
    fn files(&self) -> io::Result<(Vec<LogFile>, Vec<PathBuf>)> {
        let (mut files, mut others) = (Vec::new(), Vec::new());
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((files, others)),
            Err(error) => return Err(error),
        };
        for entry in entries.flatten() {
            let length = entry.metadata().map(|about| about.len()).unwrap_or_default();
            match entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                Some(id) => files.push(LogFile { id, length }),
                None => others.push(entry.path()),
            }
        }
        files.sort_unstable_by_key(|file| file.id);
        Ok((files, others))
    }

    fn freed(&self, length: u64) {
        let less = |bytes: u64| Some(bytes.saturating_sub(length));
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    fn path(&self, id: TaskId) -> PathBuf {
        self.dir.join(id.to_string())
    }
}

fn write_line(text: &mut Vec<u8>, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *text, line)?;
    text.push(b'\n');
    Ok(())
}

fn parse(file: File) -> io::Result<Kept> {
    let mut lines = BufReader::new(file.take(FILE_BYTES_MAX)).lines();
    let first = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
    let Head { attempt, heard, output_place, last } = serde_json::from_str(&first)?;
    let mut entries = Vec::new();
    for line in lines {
        entries.push(Arc::new(serde_json::from_str(&line?)?));
    }
    Ok(Kept { attempt, heard, output_place, last, entries })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use uuid::Uuid;

    use super::*;
    use crate::runner::log::{LogLevel, LogSource, LogStage, Remark};

    fn kept(words: &[&str]) -> Kept {
        let log = BrowserLog::new();
        for word in words {
            log.push(Remark {
                url: "http://a/".to_owned(),
                line: Some(7),
                ..Remark::new(LogSource::Console, LogLevel::Error, *word)
            });
        }
        log.push_output(1, 0, b"line\n", "secret");
        log.keep().unwrap()
    }

    fn id() -> TaskId {
        TaskId::new(Uuid::now_v7())
    }

    #[test]
    fn what_was_written_is_read_by_nobody_else_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (logs, id) = (Logs::new(dir.path()), id());
        assert!(logs.read(id).is_none() && logs.sweep().unwrap().is_empty());
        assert!(!dir.path().join(DIR).exists(), "nothing is made for nothing");
        let written = kept(&["one", "two\n\u{1f4a1}"]);
        logs.write(id, &written).unwrap();
        assert_eq!(logs.read(id).unwrap(), written);
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(logs.dir.clone()), mode(logs.path(id))), (0o700, 0o600));
        logs.remove(id).unwrap();
        logs.remove(id).unwrap();
        assert!(logs.read(id).is_none() && logs.bytes.load(Ordering::Relaxed) == 0);
    }

    #[test]
    fn a_file_that_is_none_of_ours_is_an_empty_log() {
        let dir = tempfile::tempdir().unwrap();
        let (logs, id) = (Logs::new(dir.path()), id());
        logs.write(id, &kept(&["one"])).unwrap();
        for text in ["", "{}\n", "no", "{\"attempt\":1,\"heard\":1,\"output_place\":1,\"last\":1}\n{\"number\":1}\n"] {
            fs::write(logs.path(id), text).unwrap();
            let log = logs.open(id);
            assert_eq!((log.last(), log.stage()), (0, LogStage::Ended), "{text:?}");
        }
    }

    #[test]
    fn many_readers_of_one_log_hold_it_once() {
        let dir = tempfile::tempdir().unwrap();
        let (logs, id) = (Logs::new(dir.path()), id());
        logs.write(id, &kept(&["one"])).unwrap();
        let first = logs.open(id);
        assert!(Arc::ptr_eq(&first, &logs.open(id)));
        drop(first);
        logs.remove(id).unwrap();
        assert_eq!(logs.open(id).last(), 0, "nobody holds it any more");
    }

    #[test]
    fn a_sweep_tells_whose_logs_there_are_and_removes_what_was_not_finished() {
        let dir = tempfile::tempdir().unwrap();
        let (logs, ids) = (Logs::new(dir.path()), [id(), id()]);
        ids.iter().rev().for_each(|id| logs.write(*id, &kept(&["one"])).unwrap());
        let unfinished = logs.path(ids[0]).with_extension("new");
        fs::write(&unfinished, "x").unwrap();
        assert_eq!(Logs::new(dir.path()).sweep().unwrap(), ids);
        assert!(!unfinished.exists());
    }

    #[test]
    fn when_all_together_are_too_much_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let kept = kept(&[&"x".repeat(900)]);
        let logs = Logs { bytes_max: 10_000, ..Logs::new(dir.path()) };
        let ids: Vec<TaskId> = (0..30).map(|_| id()).collect();
        ids.iter().for_each(|id| logs.write(*id, &kept).unwrap());
        let left = logs.sweep().unwrap();
        assert!(left.len() >= 6 && logs.bytes.load(Ordering::Relaxed) <= 10_000, "{}", left.len());
        assert_eq!(left, ids[ids.len() - left.len()..]);
    }
}
