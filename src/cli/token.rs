//! `token`: prints the API token, or where it lies.

use std::io::{self, Write};

use clap::Args;

use super::{Exit, Problem, args::Reach, connect::read_token};

/// Arguments of `token`.
#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(flatten)]
    reach: Reach,
    /// Print the path of its file instead
    #[arg(long)]
    path: bool,
}

impl Token {
    pub(super) fn run(self) -> Result<Exit, Problem> {
        let file = self.reach.token_file()?;
        let text = if self.path { file.display().to_string() } else { read_token(&file)? };
        writeln!(io::stdout(), "{text}")?;
        Ok(Exit::Done)
    }
}
