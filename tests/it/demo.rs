//! The demo, as `make demo` runs it.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use super::cli::real_browser;

/// Three tasks of a few seconds at once, on a machine that runs all other tests meanwhile.
const DEMO_MAX: Duration = Duration::from_secs(120);

#[tokio::test]
async fn the_demo_ends_as_it_says() {
    if real_browser().is_none() {
        return;
    }
    let mut demo = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/run.sh"));
    demo.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(DEMO_MAX, demo.output()).await.expect("the demo ends").unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    assert_eq!(stdout.lines().filter(|line| line.starts_with("ok ")).count(), 3, "{stdout}{stderr}");
}
