//! `token`: prints the API token, where it lies, or a link that opens the page.

use clap::Args;
use serde_json::json;

use super::{
    Exit, Problem,
    args::{Format, Reach},
    print::print_line,
};
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
    #[command(flatten)]
    format: Format,
}

impl Token {
    pub(super) fn run(self) -> Result<Exit, Problem> {
        if self.link {
            let link = server::link(&self.reach.state_dir()?).map_err(|error| Problem::NoService(error.to_string()))?;
            return self.print("link", &link);
        }
        let file = self.reach.token_file()?;
        if self.path {
            self.print("path", &file.display().to_string())
        } else {
            self.print("token", &client::Token::File(file).read()?)
        }
    }

    fn print(&self, name: &str, text: &str) -> Result<Exit, Problem> {
        if self.format.json {
            print_line(&json!({ name: text }).to_string())?;
        } else {
            print_line(text)?;
        }
        Ok(Exit::Done)
    }
}
