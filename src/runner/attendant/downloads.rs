//! What a job's browser downloads: kept where it is whole and fits, and told.

use super::Attendant;
use crate::{
    browser::{Download, DownloadFailure, DownloadPlan},
    job::{FILES_MAX, Fact, FileKind, Job},
    runner::{
        files::{Came, safe_name, unique_name},
        host::in_thread,
        log::LogLevel,
    },
};

/// Set in the index of a message's second fact, where the first is that a file was kept.
const SECOND: u8 = 0x80;

/// What became of a download that the browser calls complete.
enum Kept {
    /// It has a name and a size now.
    Named { name: String, size_bytes: u64 },
    /// It was told before.
    Before { name: String },
    /// It is not kept.
    Not { why: String },
}

impl Attendant {
    /// Where this job's files go, and how much room there is for them.
    pub(in crate::runner) fn download_plan(&self, job: &Job) -> DownloadPlan {
        DownloadPlan {
            dir: self.host.files.incoming(job.id),
            bytes_max: self.host.downloads_bytes_max,
            files_max: FILES_MAX,
            kept_bytes: kept_bytes(job),
            kept_files: job.files.len(),
        }
    }

    /// The task's own file grows: a sign of life.
    pub(in crate::runner) fn download_grew(&mut self, name: &str, received_bytes: u64, total_bytes: Option<u64>) {
        let of_all = total_bytes.map(|total| format!(" of {total}")).unwrap_or_default();
        let message = format!("{}: {received_bytes}{of_all} bytes", safe_name(name));
        let percent = total_bytes.map(|total| received_bytes.saturating_mul(100) / total.max(1));
        let percent = percent.and_then(|percent| u8::try_from(percent.min(100)).ok());
        // Only a job that does not run refuses a sign of life, and that needs none.
        drop(self.hear_alive(percent, message));
    }

    /// A file is there. It is told first, and then, if the task's URL leads to it, what that means.
    pub(in crate::runner) async fn download_done(&mut self, number: u64, index: u8, download: Download) {
        let name = match self.keep(number, index, &download).await {
            Kept::Before { name } => name,
            Kept::Named { name, size_bytes } => {
                let fact = Fact::FileKept { name: name.clone(), kind: FileKind::Download, size_bytes };
                self.record_numbered(number, index, fact).await;
                name
            }
            Kept::Not { why } => return self.tell_failure(number, index, &download, why).await,
        };
        let job = self.job();
        if let Some(session) = &mut self.session {
            session.kept(kept_bytes(&job), job.files.len());
        }
        if download.is_task {
            self.record_numbered(number, index | SECOND, Fact::DownloadDone { name }).await;
        }
    }

    /// A file is not coming.
    pub(in crate::runner) async fn download_failed(
        &mut self,
        number: u64,
        index: u8,
        download: Download,
        why: DownloadFailure,
    ) {
        // Looked at before what there is of it is removed.
        let is_disk_full = matches!(why, DownloadFailure::BrokenOff { .. }) && self.host.files.is_disk_full();
        let why = if is_disk_full {
            "the disk that holds the state directory is full; make room on it".to_owned()
        } else {
            why.to_string()
        };
        self.discard(&download).await;
        self.tell_failure(number, index, &download, why).await;
    }

    async fn tell_failure(&mut self, number: u64, index: u8, download: &Download, why: String) {
        // What a browser gives up that was told to go says nothing of the file.
        if self.is_stopping() {
            return;
        }
        let name = safe_name(&download.name);
        tracing::warn!(task_id = %self.id(), why, "a download is not kept");
        self.remark(LogLevel::Warning, &format!("{name} was not downloaded: {why}"));
        if download.is_task {
            self.record_numbered(number, index, Fact::DownloadFailed { name, why }).await;
        }
    }

    async fn keep(&self, number: u64, index: u8, download: &Download) -> Kept {
        let (files, job, guid) = (self.host.files.clone(), self.job(), download.guid.clone());
        match in_thread(move || files.came(job.id, &guid)).await {
            Ok(Came::Whole { size_bytes }) => self.keep_whole(download, size_bytes).await,
            Ok(Came::Away) => self.kept_before(number, index, download).await,
            Err(error) => Kept::Not { why: format!("it cannot be read: {error}") },
        }
    }

    async fn keep_whole(&self, download: &Download, size_bytes: u64) -> Kept {
        let job = self.job();
        let bytes_max = self.host.downloads_bytes_max;
        let refused = if job.files.len() >= FILES_MAX {
            Some(DownloadFailure::TooMany { files_max: FILES_MAX })
        } else if kept_bytes(&job).saturating_add(size_bytes) > bytes_max {
            Some(DownloadFailure::TooLarge { bytes_max })
        } else {
            None
        };
        if let Some(why) = refused {
            self.discard(download).await;
            return Kept::Not { why: why.to_string() };
        }
        let name = unique_name(&download.name, &job.files);
        let (files, guid, to) = (self.host.files.clone(), download.guid.clone(), name.clone());
        match in_thread(move || files.keep(job.id, &guid, &to)).await {
            Ok(()) => Kept::Named { name, size_bytes },
            Err(error) => Kept::Not { why: format!("it cannot be named: {error}") },
        }
    }

    /// A message that is heard again, after a service ended on its way through it.
    async fn kept_before(&self, number: u64, index: u8, download: &Download) -> Kept {
        let job = self.job();
        match self.host.ledger.find_event(job.id, self.numbered(number, index)).await {
            Ok(Some(then)) => {
                let name = then.files.last().map(|file| file.name.clone()).unwrap_or_default();
                Kept::Before { name }
            }
            Ok(None) | Err(_) => {
                let name = unique_name(&download.name, &job.files);
                match self.host.files.named_before(job.id, &name) {
                    Some(size_bytes) => Kept::Named { name, size_bytes },
                    None => Kept::Not { why: "the browser did not leave it where it had to".to_owned() },
                }
            }
        }
    }

    async fn discard(&self, download: &Download) {
        let (files, id, guid) = (self.host.files.clone(), self.id(), download.guid.clone());
        drop(tokio::task::spawn_blocking(move || files.discard(id, &guid)).await);
    }
}

/// What the job's downloads take.
fn kept_bytes(job: &Job) -> u64 {
    let downloads = job.files.iter().filter(|file| file.kind == FileKind::Download);
    downloads.fold(0, |sum, file| sum.saturating_add(file.size_bytes))
}
