//! The command line: a file per verb, and what the verbs share.
//!
//! Standard output carries what was asked for and nothing else; words for people and log events go to standard error.

mod args;
mod batch;
mod board;
mod cancel;
mod completions;
mod doctor;
mod errand;
mod exit;
mod files;
mod lines;
mod list;
mod live;
mod log;
mod man;
mod order;
mod own;
mod print;
mod problem;
mod profiles;
mod progress;
mod reference;
mod rerun;
mod retry;
mod run;
mod screen;
mod screenshot;
mod serve;
mod settings;
mod signals;
mod span;
mod status;
mod table;
mod tally;
mod terminal;
mod token;
mod urls;
mod view;
mod watch;
mod windows;

use clap::{Command, CommandFactory, Parser, Subcommand};

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

/// Shown under the help of the program and of every verb.
const EXIT_CODES: &str = "\
Exit codes:
  0  DONE, or the call went well
  1  FAILED
  2  the arguments or the request are at fault
  3  no service could be reached or started, or it cannot take the task now
  4  CANCELLED, TIMED_OUT or LOST

  141  whoever read its output has left; 128 and the number of a signal that ended it at once

Of several tasks it is the highest of theirs.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the service until SIGTERM or SIGINT
    #[command(after_help = EXIT_CODES)]
    Serve(serve::Serve),
    /// Open URLs and follow their tasks to the end
    ///
    /// Uses the service that runs on the state directory, or starts one for this call alone. Ctrl-C cancels what it has
    /// started and waits for the end; a second one kills the browsers, and leaves.
    #[command(after_help = EXIT_CODES)]
    Run(Box<run::Run>),
    /// Run again what a task was asked to be, as a new task
    #[command(after_help = EXIT_CODES)]
    Rerun(rerun::Rerun),
    /// Follow a task to its end, or several, or all that there are
    #[command(after_help = EXIT_CODES)]
    Watch(watch::Watch),
    /// Show what a task's browser said: its output, its page's console and failed requests
    #[command(after_help = EXIT_CODES)]
    Log(log::Log),
    /// List the tasks, the newest first
    #[command(after_help = EXIT_CODES)]
    List(list::List),
    /// Show how a task stands
    #[command(after_help = EXIT_CODES)]
    Status(status::Status),
    /// List the files that were kept of a task, or write one of them
    #[command(after_help = EXIT_CODES)]
    Files(files::Files),
    /// Ask to end a task
    #[command(after_help = EXIT_CODES)]
    Cancel(cancel::Cancel),
    /// List the profiles that keep their logins, or remove one
    #[command(after_help = EXIT_CODES)]
    Profiles(profiles::Profiles),
    /// Take a picture of a task's page
    #[command(after_help = EXIT_CODES)]
    Screenshot(Box<screenshot::Screenshot>),
    /// List the windows of tasks
    #[command(after_help = EXIT_CODES)]
    Windows(windows::Windows),
    /// Put the window of a task before all others
    #[command(after_help = EXIT_CODES)]
    Focus(windows::Focus),
    /// Lay the windows of tasks side by side
    #[command(after_help = EXIT_CODES)]
    Tile(windows::Tile),
    /// Tell what a service is set up with, what stands in its way here, and how a running one fares
    #[command(after_help = EXIT_CODES)]
    Doctor(doctor::Doctor),
    /// Print the API token, or a link that opens the page
    #[command(after_help = EXIT_CODES)]
    Token(token::Token),
    /// Print what makes a shell complete the arguments of this program
    ///
    /// For bash, for example: comet-task-runner completions bash > ~/.local/share/bash-completion/completions/comet-task-runner
    #[command(after_help = EXIT_CODES)]
    Completions(completions::Completions),
    /// Write the manual pages of this program, one for each verb
    #[command(after_help = EXIT_CODES)]
    Man(man::Man),
    /// Print a page made from the program's own tables
    #[command(hide = true, after_help = EXIT_CODES)]
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
            Verb::Run(_) | Verb::Rerun(_) | Verb::Watch(_) => Ok(beside_a_table(Logging::of_a_call())),
            Verb::Doctor(_)
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
            | Verb::Completions(_)
            | Verb::Man(_)
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
            Verb::Rerun(verb) => verb.run().await,
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
            Verb::Completions(verb) => verb.run(),
            Verb::Man(verb) => verb.run(),
            Verb::Reference(verb) => verb.run(),
        }
    }
}

/// A table says itself when the service is away; a warning on the same terminal would be written across it.
fn beside_a_table(logging: Logging) -> Logging {
    let unasked = std::env::var_os("RUST_LOG").is_none_or(|filter| filter.is_empty());
    match terminal::Terminal::of_stdout() {
        Some(_) if unasked => Logging { filter: "error".to_owned(), ..logging },
        Some(_) | None => logging,
    }
}

/// The definitions of all arguments, for what is made of them.
fn command() -> Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declared_arguments_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_verb_tells_its_exit_codes() {
        for verb in command().get_subcommands_mut() {
            let help = verb.render_long_help().to_string();
            assert!(help.contains(EXIT_CODES), "{}", verb.get_name());
        }
    }
}
