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
