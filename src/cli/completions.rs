//! `completions`: prints what makes a shell complete the arguments of this program.

use std::io::{self, Write};

use clap::Args;
use clap_complete::{Shell, generate};

use super::{Exit, Problem, command};

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Result<Exit, Problem> {
        let mut text = Vec::new();
        let mut command = command();
        let name = command.get_name().to_owned();
        generate(self.shell, &mut command, name, &mut text);
        let mut out = io::stdout().lock();
        out.write_all(&text)?;
        out.flush()?;
        Ok(Exit::Done)
    }
}
