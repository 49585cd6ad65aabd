//! The program: arguments, then telemetry, then one verb.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use comet_task_runner::{
    cli::{Cli, Exit},
    process, telemetry,
};

fn main() -> ExitCode {
    // The launcher forks, so it must be what this process is before any thread or telemetry exists.
    process::become_launcher_if_asked();

    let cli = Cli::parse();
    telemetry::start(cli.log_level());

    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("the asynchronous runtime cannot start: {error}"));
            return Exit::NoService.into();
        }
    };
    let exit = match runtime.block_on(cli.run()) {
        Ok(exit) => exit,
        Err(problem) => {
            if let Some(text) = problem.text() {
                complain(&text);
            }
            problem.exit()
        }
    };
    exit.into()
}

fn complain(text: &str) {
    // When nobody reads standard error, the exit code still tells.
    let _ = writeln!(io::stderr(), "error: {text}");
}
