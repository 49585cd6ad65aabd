//! What is shown of tasks while they run: lines for a file or a program, a table that changes for a person.

use std::time::Duration;

use super::{
    Problem,
    errand::{Host, News},
    lines::Lines,
    live::Live,
    print::Printer,
    terminal::Terminal,
};
use crate::api::v1::Job;

/// How often what moves on a terminal is drawn anew: often enough for a person to see that it lives.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// Shows what becomes of the tasks of one call. `index` is a task's place among them.
pub(super) trait View {
    /// Something was told of a task.
    fn take(&mut self, index: usize, news: &News) -> Result<(), Problem>;
    /// A task is over.
    fn over(&mut self, index: usize, job: &Job) -> Result<(), Problem>;
    /// A task could not be made or followed.
    fn failed(&mut self, index: usize, problem: &Problem) -> Result<(), Problem>;
    /// Somebody has said stop, for so many times by now.
    fn stopping(&mut self, times: usize) -> Result<(), Problem>;
    /// A little time has passed, and the service is there or away.
    fn tick(&mut self, connected: bool) -> Result<(), Problem>;
    /// It wants to hear of that.
    fn ticks(&self) -> bool;
    /// It has use for readings.
    fn wants_samples(&self) -> bool;
    /// There is nothing more to come, and so many tasks were never begun.
    fn end(&mut self, unbegun: usize) -> Result<(), Problem>;
}

/// The view for whoever reads standard output.
pub(super) fn view(printer: Printer, urls: Vec<String>, host: Host) -> Box<dyn View> {
    match (printer, Terminal::of_stdout()) {
        (Printer::Lines, Some(terminal)) => Box::new(Live::new(terminal, urls, host)),
        (printer, _) => Box::new(Lines::new(printer, urls)),
    }
}
