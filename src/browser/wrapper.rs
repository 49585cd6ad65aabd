//! Finds the real executable behind the shell scripts and links that packages put on the `PATH`.
//!
//! Wrappers parse options of their own and read files of the user's, so none is ever run: either the script says
//! plainly what it executes, or the browser is reported.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::discover::{Machine, Os};
use super::name::Family;

/// Why a path leads to no executable that may be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// Nothing there.
    #[error("there is no such file")]
    Missing,
    /// A file that may not be executed.
    #[error("it is not executable")]
    NotExecutable,
    /// A path that cannot be written in a message.
    #[error("its path is not UTF-8")]
    NotUtf8,
    /// A script whose program could not be found out.
    #[error("it is a script and what it starts cannot be told; name the real executable")]
    Script,
    /// Neither a script nor a program of this system.
    #[error("it is not a program of this system")]
    NotAProgram,
    /// Snap and Flatpak keep a browser away from the run directory and the pipe.
    #[error("it is started through {0}, which hides the files and the pipe of the service; install a native package")]
    Confined(String),
}

/// Longest script that is read, in bytes: real ones have 5 KiB.
const SCRIPT_BYTES_MAX: u64 = 64 * 1024;

/// Scripts that start scripts: real ones go one or two deep, and a circle has to end.
const DEPTH_MAX: usize = 4;

/// Programs that start a browser inside a box of its own.
const CONFINERS: [&str; 2] = ["snap", "flatpak"];

/// The executable that a path leads to.
///
/// # Errors
/// Says why there is none.
pub fn resolve(machine: &impl Machine, path: &Path) -> Result<PathBuf, Unresolved> {
    let mut path = machine.canonical(path).ok_or(Unresolved::Missing)?;
    for _ in 0..DEPTH_MAX {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if CONFINERS.contains(&name.as_str()) {
            return Err(Unresolved::Confined(name));
        }
        if path.to_str().is_none() {
            return Err(Unresolved::NotUtf8);
        }
        if !machine.is_executable(&path) {
            return Err(Unresolved::NotExecutable);
        }
        let head = machine.read(&path, SCRIPT_BYTES_MAX).ok_or(Unresolved::NotExecutable)?;
        if !head.starts_with(b"#!") {
            let foreign = machine.os() == Os::Linux && !head.starts_with(b"\x7fELF");
            return if foreign { Err(Unresolved::NotAProgram) } else { Ok(path) };
        }
        path = started_by(machine, &path, &String::from_utf8_lossy(&head))?;
    }
    Err(Unresolved::Script)
}

/// What a script executes in the end.
fn started_by(machine: &impl Machine, script: &Path, text: &str) -> Result<PathBuf, Unresolved> {
    let mut shell = Shell { machine, script, variables: HashMap::new() };
    let mut started = None;
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(rest) = line.strip_prefix("exec ") {
            // The last one: earlier ones redirect, or serve a debugger.
            started = shell.program(rest).or(started);
        } else {
            shell.assign(line.strip_prefix("export ").unwrap_or(line));
        }
    }
    let program = started.ok_or(Unresolved::Script)?;
    let path = machine.canonical(&program).ok_or(Unresolved::Script)?;
    if is_plausible(script, &program) { Ok(path) } else { Err(Unresolved::Script) }
}

/// A script starts its browser if the program is called like one or like the script, or is a known box; anything
/// else (`env`, `bash`, `nice`) would need its arguments to be understood as well.
fn is_plausible(script: &Path, program: &Path) -> bool {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let (script, program) = (name(script), name(program));
    let stem = script.split(['-', '.']).next().unwrap_or_default();
    CONFINERS.contains(&program.as_str())
        || Family::of_file_name(&program) != Family::Other
        || (!stem.is_empty() && program.starts_with(stem))
}

/// The little of a shell that wrappers need: plain assignments, variables, `readlink -f` and `dirname`.
struct Shell<'a, M> {
    machine: &'a M,
    script: &'a Path,
    variables: HashMap<String, String>,
}

impl<M: Machine> Shell<'_, M> {
    fn assign(&mut self, line: &str) {
        let Some((name, value)) = line.split_once('=') else {
            return;
        };
        if name.is_empty() || !name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
            return;
        }
        match self.word(value) {
            Some((value, _)) => self.variables.insert(name.to_owned(), value),
            None => self.variables.remove(name),
        };
    }

    /// The absolute path that an `exec` names; none for a redirection.
    fn program(&self, mut rest: &str) -> Option<PathBuf> {
        if let Some(renamed) = rest.trim_start().strip_prefix("-a ") {
            rest = self.word(renamed.trim_start())?.1;
        }
        let (word, _) = self.word(rest.trim_start())?;
        Some(PathBuf::from(word)).filter(|path| path.has_root())
    }

    /// Expands the word that a text begins with; none if it needs more than is understood.
    fn word<'t>(&self, text: &'t str) -> Option<(String, &'t str)> {
        let mut word = String::new();
        let mut rest = text;
        let mut quoted = false;
        while let Some(char) = rest.chars().next() {
            match char {
                '"' => quoted = !quoted,
                '\'' if !quoted => {
                    let (plain, after) = rest[1..].split_once('\'')?;
                    word.push_str(plain);
                    rest = after;
                    continue;
                }
                '$' => {
                    let (value, after) = self.dollar(&rest[1..])?;
                    word.push_str(&value);
                    rest = after;
                    continue;
                }
                '`' => {
                    let (inner, after) = rest[1..].split_once('`')?;
                    word.push_str(&self.substitute(inner)?);
                    rest = after;
                    continue;
                }
                '\\' => return None,
                ' ' | '\t' | ';' | '&' | '|' | '<' | '>' if !quoted => break,
                _ => word.push(char),
            }
            rest = &rest[char.len_utf8()..];
        }
        (!quoted).then_some((word, rest))
    }

    /// Expands what follows a dollar sign.
    fn dollar<'t>(&self, text: &'t str) -> Option<(String, &'t str)> {
        if let Some(inner) = text.strip_prefix('(') {
            let end = closing(inner)?;
            return Some((self.substitute(&inner[..end])?, &inner[end + 1..]));
        }
        if let Some(inner) = text.strip_prefix('{') {
            let (name, rest) = inner.split_once('}')?;
            return Some((self.variable(name)?, rest));
        }
        let plain = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
        let end = text.bytes().position(|byte| !plain(byte)).unwrap_or(text.len());
        Some((self.variable(&text[..end])?, &text[end..]))
    }

    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "0" => self.script.to_str().map(ToOwned::to_owned),
            _ => self.variables.get(name).cloned(),
        }
    }

    /// The output of `readlink -f X`, `realpath X` or `dirname X`.
    fn substitute(&self, command: &str) -> Option<String> {
        let (program, mut rest) = command.trim().split_once(' ')?;
        for option in ["-f ", "-e ", "-- "] {
            rest = rest.trim_start().strip_prefix(option).unwrap_or(rest);
        }
        let (argument, _) = self.word(rest.trim_start())?;
        match program {
            "readlink" | "realpath" => self.machine.canonical(Path::new(&argument))?.to_str().map(ToOwned::to_owned),
            "dirname" => Path::new(&argument).parent()?.to_str().map(ToOwned::to_owned),
            _ => None,
        }
    }
}

/// Where the parenthesis that is open before a text is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1_u32;
    text.char_indices().find_map(|(at, char)| {
        match char {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(at)
    })
}

#[cfg(test)]
mod tests;
