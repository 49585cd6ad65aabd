//! Tasks as lines that stay: each change of the only one, or the end of each of several.

use std::io::{self, Write};

use super::{
    Problem,
    errand::News,
    print::{Printer, change_line, plain, print_line},
    tally::{Tally, summary_line},
    view::View,
};
use crate::api::v1::Job;

/// Lines for people who read them elsewhere, or for programs.
pub(super) struct Lines {
    printer: Printer,
    urls: Vec<String>,
    tally: Tally,
}

impl Lines {
    pub(super) fn new(printer: Printer, urls: Vec<String>) -> Self {
        Self { printer, urls, tally: Tally::default() }
    }

    fn alone(&self) -> bool {
        self.urls.len() == 1
    }
}

impl View for Lines {
    fn take(&mut self, _: usize, news: &News) -> Result<(), Problem> {
        match (news, &self.printer) {
            (News::Made(made), Printer::Lines) if self.alone() => {
                // The name by which it can be asked for elsewhere. JSON lines have it anyway.
                say(&format!("task {}", made.task_id));
                Ok(())
            }
            (News::Told(message), Printer::Json) => self.printer.print("WatchJobResponse", &**message, String::new),
            (News::Told(message), Printer::Lines) if self.alone() => match &message.job {
                Some(job) => print_line(&change_line(job)),
                None => Ok(()),
            },
            (News::Saved(name), _) => {
                say(&format!("saved {}", plain(name)));
                Ok(())
            }
            (News::Made(_) | News::Told(_), Printer::Json | Printer::Lines) => Ok(()),
        }
    }

    fn over(&mut self, _: usize, job: &Job) -> Result<(), Problem> {
        self.tally.count(job);
        match self.printer {
            Printer::Lines if !self.alone() => print_line(&summary_line(job)),
            Printer::Lines | Printer::Json => Ok(()),
        }
    }

    fn failed(&mut self, index: usize, problem: &Problem) -> Result<(), Problem> {
        self.tally.count_problem();
        say(&problem_line(&self.urls[index], problem));
        Ok(())
    }

    fn stopping(&mut self, times: usize) -> Result<(), Problem> {
        match self.printer {
            Printer::Lines => say(stopping_words(times)),
            // Who reads JSON needs no words.
            Printer::Json => {}
        }
        Ok(())
    }

    fn tick(&mut self, _: bool) -> Result<(), Problem> {
        Ok(())
    }

    fn ticks(&self) -> bool {
        false
    }

    fn wants_samples(&self) -> bool {
        false
    }

    fn end(&mut self, unbegun: usize) -> Result<(), Problem> {
        match self.printer {
            Printer::Lines if !self.alone() => print_line(&self.tally.line(unbegun)),
            Printer::Lines | Printer::Json => Ok(()),
        }
    }
}

/// One URL's trouble, beside those of others.
pub(super) fn problem_line(url: &str, problem: &Problem) -> String {
    format!("error: {}: {}", plain(url), problem.text().unwrap_or_default())
}

/// What is done about a stop, and what another one would do.
pub(super) fn stopping_words(times: usize) -> &'static str {
    if times == 1 { "cancelling; Ctrl-C again kills the browser" } else { "killing the browser" }
}

/// Words for a person, beside what was asked for. Nobody reading them is no reason to stop.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
