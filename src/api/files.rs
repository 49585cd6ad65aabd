//! The stream of one kept file.

use std::{pin::Pin, sync::Arc};

use futures_util::stream::unfold;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::Stream;
use tonic::Status;

use super::{
    request,
    status::{self, Violation},
    v1,
};
use crate::runner::{FileReader, Piece, Runner};

/// What tonic sends to a reader.
pub(super) type FileStream = Pin<Box<dyn Stream<Item = Result<v1::ReadFileResponse, Status>> + Send>>;

/// Files that may be read at once: each holds a descriptor and a piece. Those beyond are refused.
const READERS_MAX: usize = 64;

/// What is said of every file, since nobody has looked at what it is: never what a browser would show or run.
const CONTENT_TYPE: &str = "application/octet-stream";

/// Room for those who read.
pub(super) struct Readers(Arc<Semaphore>);

impl Default for Readers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(READERS_MAX)))
    }
}

impl Readers {
    /// Begins to read a file.
    pub(super) async fn read(&self, runner: &Runner, wanted: &v1::ReadFileRequest) -> Result<FileStream, Status> {
        let id = request::task_id(&wanted.task_id).map_err(|violations| status::invalid(&violations))?;
        if wanted.name.is_empty() {
            let text = "names no file; give a name that Job.files has";
            return Err(status::invalid(&[Violation::new("name", "FILE_NAME_INVALID", text)]));
        }
        let permit = Arc::clone(&self.0).try_acquire_owned().map_err(|_| status::reader_limit(READERS_MAX))?;
        let reader = runner.read_file(id, &wanted.name, wanted.offset).await;
        let reader = reader.map_err(|error| status::file(&error))?;
        Ok(Box::pin(unfold(Reading { reader, over: false, _permit: permit }, |mut reading| async move {
            reading.next().await.map(|message| (message, reading))
        })))
    }
}

/// A file on its way.
struct Reading {
    reader: FileReader,
    /// An error ends it too.
    over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<v1::ReadFileResponse, Status>> {
        if self.over {
            return None;
        }
        let size_bytes = self.reader.size_bytes();
        match self.reader.next().await {
            Ok(piece) => piece.map(|Piece { offset, data }| {
                Ok(v1::ReadFileResponse { data, offset, size_bytes, content_type: CONTENT_TYPE.to_owned() })
            }),
            Err(error) => {
                self.over = true;
                Some(Err(status::file(&error)))
            }
        }
    }
}
