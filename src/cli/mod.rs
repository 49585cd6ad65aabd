//! The command line: a file per verb, and what the verbs share.
//!
//! Standard output carries what was asked for and nothing else; words for people and log events go to standard error.

mod args;
mod cancel;
mod connect;
mod doctor;
mod errand;
mod exit;
mod files;
mod follow;
mod list;
mod log;
mod order;
mod own;
mod patience;
mod print;
mod problem;
mod profiles;
mod reference;
mod reopened;
mod run;
mod screenshot;
mod serve;
mod settings;
mod signals;
mod span;
mod status;
mod tls;
mod token;
mod watch;
mod windows;

use clap::{Parser, Subcommand};

pub use exit::Exit;
pub use problem::Problem;

use crate::telemetry::Logging;

/// Opens URLs as tasks in a browser, knows how and why they end, and pushes every change.
#[derive(Debug, Parser)]
#[command(name = "comet-task-runner", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// Shown under the help of the program and of every verb that follows a task.
const EXIT_CODES: &str = "\
Exit codes:
  0  DONE, or the call went well
  1  FAILED
  2  the arguments or the request are at fault
  3  no service could be reached or started, or it cannot take the task now
  4  CANCELLED, TIMED_OUT or LOST";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the service until SIGTERM or SIGINT
    Serve(serve::Serve),
    /// Open a URL and follow its task to the end
    ///
    /// Uses the service that runs on the state directory, or starts one for this call alone.
    #[command(after_help = EXIT_CODES)]
    Run(Box<run::Run>),
    /// Follow a task, from how it stands to its end
    #[command(after_help = EXIT_CODES)]
    Watch(watch::Watch),
    /// Show what a task's browser said: its output, its page's console and failed requests
    Log(log::Log),
    /// List the tasks, the newest first
    List(list::List),
    /// Show how a task stands
    Status(status::Status),
    /// List the files that were kept of a task, or write one of them
    Files(files::Files),
    /// Ask to end a task
    Cancel(cancel::Cancel),
    /// List the profiles that keep their logins, or remove one
    Profiles(profiles::Profiles),
    /// Take a picture of a task's page
    Screenshot(Box<screenshot::Screenshot>),
    /// List the windows of tasks
    Windows(windows::Windows),
    /// Put the window of a task before all others
    Focus(windows::Focus),
    /// Lay the windows of tasks side by side
    Tile(windows::Tile),
    /// Tell what a service is set up with, what stands in its way here, and how a running one fares
    #[command(after_help = EXIT_CODES)]
    Doctor(doctor::Doctor),
    /// Print the API token, or a link that opens the page
    Token(token::Token),
    /// Print a page made from the program's own tables
    #[command(hide = true)]
    Reference(reference::Reference),
}

impl Cli {
    /// Finds out what the verb is to do, and so what is logged of it: a service tells its story, a call only its troubles.
    ///
    /// # Errors
    /// Says what is wrong with the configuration.
    pub fn configure(&mut self) -> Result<Logging, Problem> {
        match &mut self.verb {
            Verb::Serve(verb) => verb.configure(),
            Verb::Doctor(_)
            | Verb::Run(_)
            | Verb::Watch(_)
            | Verb::Log(_)
            | Verb::List(_)
            | Verb::Status(_)
            | Verb::Files(_)
            | Verb::Cancel(_)
            | Verb::Profiles(_)
            | Verb::Screenshot(_)
            | Verb::Windows(_)
            | Verb::Focus(_)
            | Verb::Tile(_)
            | Verb::Token(_)
            | Verb::Reference(_) => Ok(Logging::of_a_call()),
        }
    }

    /// Carries out the verb.
    ///
    /// # Errors
    /// Says what is wrong and what to do about it.
    pub async fn run(self) -> Result<Exit, Problem> {
        match self.verb {
            Verb::Serve(verb) => verb.run().await,
            Verb::Run(verb) => verb.run().await,
            Verb::Watch(verb) => verb.run().await,
            Verb::Log(verb) => verb.run().await,
            Verb::List(verb) => verb.run().await,
            Verb::Status(verb) => verb.run().await,
            Verb::Files(verb) => verb.run().await,
            Verb::Cancel(verb) => verb.run().await,
            Verb::Profiles(verb) => verb.run().await,
            Verb::Screenshot(verb) => verb.run().await,
            Verb::Windows(verb) => verb.run().await,
            Verb::Focus(verb) => verb.run().await,
            Verb::Tile(verb) => verb.run().await,
            Verb::Doctor(verb) => verb.run().await,
            Verb::Token(verb) => verb.run(),
            Verb::Reference(verb) => verb.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declared_arguments_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
