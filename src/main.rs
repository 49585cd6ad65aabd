//! The program: arguments, then configuration, then telemetry, then one verb.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use comet_task_runner::{
    cli::{Cli, Exit, Problem},
    process, telemetry,
};

/// How long threads that wait for the system may go on when all is done: what is still to be had is there at once.
const LEFT_WITHIN: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // The launcher forks, so it must be what this process is before any thread or telemetry exists.
    process::become_launcher_if_asked();

    let mut cli = Cli::parse();
    match cli.configure() {
        Ok(logging) => telemetry::start(&logging),
        Err(problem) => return give_up(&problem).into(),
    }

    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("the asynchronous runtime cannot start: {error}"));
            return Exit::NoService.into();
        }
    };
    let exit = match runtime.block_on(cli.run()) {
        Ok(exit) => exit,
        Err(problem) => give_up(&problem),
    };
    // A read of a disk that does not answer cannot be ended, and keeps nobody from leaving.
    runtime.shutdown_timeout(LEFT_WITHIN);
    exit.into()
}

fn give_up(problem: &Problem) -> Exit {
    if let Some(text) = problem.text() {
        complain(&text);
    }
    problem.exit()
}

fn complain(text: &str) {
    // When nobody reads standard error, the exit code still tells.
    let _ = writeln!(io::stderr(), "error: {text}");
}
