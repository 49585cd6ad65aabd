//! The facts about a machine that finding browsers needs, and this machine's.

use std::io::Read;
use std::path::{Path, PathBuf};

/// The operating systems whose browsers are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    /// Linux.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

/// What can be asked about a machine; a test answers from a table.
pub trait Machine {
    /// Its operating system.
    fn os(&self) -> Os;
    /// The value of an environment variable.
    fn env(&self, name: &str) -> Option<String>;
    /// The file with all symbolic links followed, if it exists.
    fn canonical(&self, path: &Path) -> Option<PathBuf>;
    /// Whether it is a file that may be executed.
    fn is_executable(&self, path: &Path) -> bool;
    /// The beginning of a file, at most this many bytes.
    fn read(&self, path: &Path, bytes_max: u64) -> Option<Vec<u8>>;
    /// The names in a directory.
    fn list(&self, dir: &Path) -> Vec<String>;
}

/// The machine that this program runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalMachine;

impl Machine for LocalMachine {
    fn os(&self) -> Os {
        match std::env::consts::OS {
            "macos" => Os::MacOs,
            "windows" => Os::Windows,
            _ => Os::Linux,
        }
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn canonical(&self, path: &Path) -> Option<PathBuf> {
        path.canonicalize().ok()
    }

    fn is_executable(&self, path: &Path) -> bool {
        use rustix::fs::{Access, access};
        path.is_file() && access(path, Access::EXEC_OK).is_ok()
    }

    fn read(&self, path: &Path, bytes_max: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path).ok()?.take(bytes_max).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn list(&self, dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }
}
