//! `man`: writes the manual pages of this program.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Problem, command, print::print_line};

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Where to write them: a page for the program, and one for each verb
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

impl Man {
    pub(super) fn run(&self) -> Result<Exit, Problem> {
        let fault =
            |error: std::io::Error| Problem::Usage(format!("{} cannot be written: {error}", self.dir.display()));
        std::fs::create_dir_all(&self.dir).map_err(fault)?;
        // Every verb explains itself; `help` is no page of its own.
        clap_mangen::generate_to(command().disable_help_subcommand(true), &self.dir).map_err(fault)?;
        print_line(&format!("the manual is in {}; read it with `man -l FILE`", self.dir.display()))?;
        Ok(Exit::Done)
    }
}
