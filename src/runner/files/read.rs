//! Reads a kept file, piece by piece.

use std::{
    io::{self, SeekFrom},
    sync::Arc,
};

use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};
use tokio_util::sync::CancellationToken;

use crate::{
    job::{Job, JobFile, TaskId},
    runner::{CallError, Runner},
};

/// Largest piece: a few of them fill a connection's window.
const PIECE_BYTES_MAX: usize = 64 * 1024;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Its job cannot be read.
    #[error(transparent)]
    Job(#[from] CallError),
    /// The job has no such file.
    #[error("task {id} has no file {name:?}; its files are in Job.files")]
    Unknown {
        /// The job.
        id: TaskId,
        /// What was asked for.
        name: String,
    },
    /// It was kept, and is not on the disk any more.
    #[error("the file {name:?} of task {id} was taken from the disk")]
    Gone {
        /// The job.
        id: TaskId,
        /// The file.
        name: String,
    },
    /// It is not so long.
    #[error("{offset} is behind the end of the file, which has {size_bytes} bytes")]
    BehindEnd {
        /// Where it was to be read from.
        offset: u64,
        /// How much of it there is.
        size_bytes: u64,
    },
    /// There is less of it than there was.
    #[error("the file was cut on the disk: it has {at} bytes, and had {size_bytes} when it was kept")]
    Cut {
        /// How much of it there is.
        at: u64,
        /// How much there was.
        size_bytes: u64,
    },
    /// The disk does not give it.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// A kept file that is being read. It is read to its end even where its job is forgotten meanwhile.
#[derive(Debug)]
pub struct FileReader {
    file: File,
    at: u64,
    size_bytes: u64,
    told: bool,
    leaving: CancellationToken,
}

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins.
    pub offset: u64,
    /// What is in it.
    pub data: Vec<u8>,
}

impl Runner {
    /// Opens a kept file at an offset. Its name is looked for among those of the job, and nowhere else.
    ///
    /// # Errors
    /// When the job or the file is unknown, or cannot be read.
    pub async fn read_file(&self, id: TaskId, name: &str, offset: u64) -> Result<FileReader, FileError> {
        let job = self.latest(id).await?;
        let known = job.files.iter().find(|file| file.name == name);
        let JobFile { name, size_bytes, .. } = known.ok_or_else(|| FileError::Unknown { id, name: name.to_owned() })?;
        if offset > *size_bytes {
            return Err(FileError::BehindEnd { offset, size_bytes: *size_bytes });
        }
        let mut file = match File::open(self.host.files.path(id, name)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(FileError::Gone { id, name: name.clone() });
            }
            opened => opened?,
        };
        file.set_max_buf_size(PIECE_BYTES_MAX);
        file.seek(SeekFrom::Start(offset)).await?;
        Ok(FileReader { file, at: offset, size_bytes: *size_bytes, told: false, leaving: self.leaving() })
    }

    async fn latest(&self, id: TaskId) -> Result<Arc<Job>, CallError> {
        match self.host.live.get(id) {
            Some(live) => Ok(live.log.latest()),
            None => self.host.ledger.latest(id).await?.ok_or(CallError::Unknown(id)),
        }
    }
}

impl FileReader {
    /// How many bytes the file has in all.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The next piece; none after the last. What is empty has one empty piece.
    ///
    /// # Errors
    /// When the rest is not there, cannot be read, or the service is leaving.
    pub async fn next(&mut self) -> Result<Option<Piece>, FileError> {
        let left = self.size_bytes - self.at;
        if left == 0 {
            let first = !std::mem::replace(&mut self.told, true);
            return Ok(first.then(|| Piece { offset: self.at, data: Vec::new() }));
        }
        if self.leaving.is_cancelled() {
            return Err(CallError::Draining.into());
        }
        self.told = true;
        let room = PIECE_BYTES_MAX.min(usize::try_from(left).unwrap_or(PIECE_BYTES_MAX));
        let mut data = vec![0; room];
        let read = self.file.read(&mut data).await?;
        if read == 0 {
            return Err(FileError::Cut { at: self.at, size_bytes: self.size_bytes });
        }
        data.truncate(read);
        let offset = self.at;
        self.at += read as u64;
        Ok(Some(Piece { offset, data }))
    }
}
