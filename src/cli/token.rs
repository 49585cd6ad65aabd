//! `token`: prints the API token, where it lies, or a link that opens the page.

use std::io::{self, Write};

use clap::Args;

use super::{Exit, Problem, args::Reach};
use crate::{client, server};

/// Arguments of `token`.
#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(flatten)]
    reach: Reach,
    /// Print the path of its file instead
    #[arg(long, conflicts_with = "link")]
    path: bool,
    /// Print a link instead that opens the page of the service on the state directory: once, within ten minutes
    #[arg(long)]
    link: bool,
}

impl Token {
    pub(super) fn run(self) -> Result<Exit, Problem> {
        if self.link {
            let link = server::link(&self.reach.state_dir()?).map_err(|error| Problem::NoService(error.to_string()))?;
            writeln!(io::stdout(), "{link}")?;
            return Ok(Exit::Done);
        }
        let file = self.reach.token_file()?;
        let text = if self.path { file.display().to_string() } else { client::Token::File(file).read()? };
        writeln!(io::stdout(), "{text}")?;
        Ok(Exit::Done)
    }
}
