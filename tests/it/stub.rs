//! The stub browser, compiled once per run of the tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of a small static program that behaves as the URL in its last argument says (see its source).
pub(crate) fn stub_browser() -> &'static Path {
    static STUB: OnceLock<PathBuf> = OnceLock::new();
    STUB.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/stub_browser.c");
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // Under a name of our own first: other test processes may be running the finished one.
        let (unfinished, finished) =
            (directory.join(format!("stub_browser.{}", std::process::id())), directory.join("stub_browser"));
        let status = Command::new("cc")
            .args(["-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&unfinished)
            .arg(source)
            .status();
        assert!(status.expect("a C compiler is installed").success(), "the stub browser does not compile");
        std::fs::rename(&unfinished, &finished).unwrap();
        finished
    })
}

/// The same program under the name by which it never says a word, as a browser that hangs while it comes up.
pub(crate) fn silent_browser() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (unfinished, finished) = (directory.join(format!("silent.{}", std::process::id())), directory.join("silent"));
    // A link to this run's program; not a copy, which would be busy while another test forks.
    std::fs::hard_link(stub_browser(), &unfinished).unwrap();
    std::fs::rename(&unfinished, &finished).unwrap();
    // Renaming one link of a file to another of its links leaves both.
    let _ = std::fs::remove_file(&unfinished);
    finished
}
