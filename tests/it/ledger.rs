//! The embedded ledger: the promises of every ledger, and what only a file can do wrong.

use std::{path::PathBuf, sync::Arc};

use comet_task_runner::ledger::{EmbeddedLedger, Ledger};
use tempfile::TempDir;

use crate::conformance::{self, Store};

struct InFile {
    directory: TempDir,
}

impl InFile {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("ledger.db")
    }
}

impl Store for InFile {
    fn open(&self) -> Arc<dyn Ledger> {
        Arc::new(EmbeddedLedger::open(&self.path()).unwrap())
    }
}

macro_rules! keeps {
    ($($rule:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            conformance::$rule(&InFile::new()).await;
        }
    )*};
}

keeps! {
    a_life_is_read_back_as_it_was_appended
}
