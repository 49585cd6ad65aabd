//! The two C programs of the bench, and the clock that the stub leaves behind.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// The compiled programs and the stub's clock.
pub(crate) struct Stub {
    /// The stand-in for a browser.
    pub(crate) program: PathBuf,
    /// The bare cycles of fork, exec, exit and reap.
    pub(crate) cycles: PathBuf,
    clock: File,
    slots: u64,
}

/// What the stub does before it leaves.
pub(crate) enum Behaviour {
    /// It leaves at once.
    Exit,
    /// It leaves after so many milliseconds.
    AfterMs(u64),
    /// It stays until it is killed.
    Sleep,
    /// The same, with so many children.
    Family(u32),
}

/// When a stub's first and last acts were, in nanoseconds of `CLOCK_MONOTONIC`.
pub(crate) struct Life {
    pub(crate) began_ns: u64,
    pub(crate) ended_ns: u64,
}

impl Stub {
    /// Compiles both programs into `directory`; the clock lies in `memory`, so that noting costs no disk.
    pub(crate) fn compile(directory: &Path, memory: &Path) -> Result<Self> {
        let clock_path = memory.join("clock");
        let clock = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&clock_path)?;
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/side_by_side");
        let (program, cycles) = (directory.join("stub"), directory.join("cycles"));
        compile(&sources.join("stub.c"), &program, &format!("-DCLOCK_FILE=\"{}\"", clock_path.display()))?;
        compile(&sources.join("cycles.c"), &cycles, "-DNDEBUG")?;
        Ok(Self { program, cycles, clock, slots: 0 })
    }

    /// A fresh slot of the clock.
    pub(crate) fn slot(&mut self) -> u64 {
        self.slots += 1;
        self.slots
    }

    /// What the stub of this slot noted; it must have left.
    pub(crate) fn life(&self, slot: u64) -> Result<Life> {
        let mut noted = [0; 16];
        self.clock.read_exact_at(&mut noted, 16 * slot).with_context(|| format!("slot {slot} of the stub's clock"))?;
        let half = |at: usize| u64::from_ne_bytes(std::array::from_fn(|i| noted[at + i]));
        let life = Life { began_ns: half(0), ended_ns: half(8) };
        ensure!(life.began_ns > 0 && life.ended_ns >= life.began_ns, "the stub of slot {slot} noted nothing");
        Ok(life)
    }
}

impl Behaviour {
    /// The URL that asks for it, noting the times if there is a slot.
    pub(crate) fn url(&self, slot: Option<u64>) -> String {
        let path = match self {
            Self::Exit => "exit".to_owned(),
            Self::AfterMs(ms) => format!("after/{ms}"),
            Self::Sleep => "sleep".to_owned(),
            Self::Family(children) => format!("family/{children}"),
        };
        let query = slot.map_or_else(String::new, |slot| format!("?slot={slot}"));
        format!("http://stub.invalid/{path}{query}")
    }
}

/// Static, so that no dynamic loader is part of what is measured.
fn compile(source: &Path, program: &Path, define: &str) -> Result<()> {
    let output = Command::new("cc")
        .args(["-O2", "-static", "-Wall", "-Werror", define, "-o"])
        .args([program, source])
        .output()
        .context("cc cannot be run; the bench needs a C compiler and a static C library")?;
    ensure!(output.status.success(), "cc {}: {}", source.display(), String::from_utf8_lossy(&output.stderr));
    Ok(())
}
