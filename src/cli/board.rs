//! Many tasks as they change: a table on a terminal, a line for each change elsewhere.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use tokio::time::{MissedTickBehavior, interval};

use super::{
    Exit, Problem,
    print::{Printer, change_line, plain, print_line},
    screen::Screen,
    table::Table,
    terminal::{FAINT, Line, Terminal},
    view::TICK,
};
use crate::{
    api::v1::{Job, Sample, WatchJobsRequest, WatchJobsResponse, watch_jobs_response::Kind},
    client::Runner,
};

/// Finished tasks that are kept to be shown; when there are more, the oldest go. No terminal has as many rows.
const FINISHED_MAX: usize = 1000;

/// Which tasks are followed.
pub(super) enum Crowd {
    /// All that there are and will be, without an end.
    All,
    /// These, until all of them are over.
    These(BTreeSet<String>),
}

/// Follows them. Without an end of its own it ends with the call.
pub(super) async fn follow(
    runner: &Runner,
    request: WatchJobsRequest,
    crowd: Crowd,
    printer: Printer,
) -> Result<Exit, Problem> {
    let mut watch = runner.watch_jobs(request);
    let mut board = Board { connected: true, ..Board::default() };
    let terminal = match printer {
        Printer::Lines => Terminal::of_stdout(),
        Printer::Json => None,
    };
    let mut screen = terminal.map(|terminal| (terminal, Screen::new(terminal)));
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            message = watch.next() => {
                let message = message?;
                if screen.is_none() {
                    print(&printer, &message)?;
                }
                board.take(message);
                if let Some(exit) = board.end(&crowd)? {
                    if let Some((terminal, screen)) = &mut screen {
                        let rows = board.block(*terminal, usize::MAX, &crowd);
                        screen.show(&rows, Vec::new())?;
                    }
                    return Ok(exit);
                }
            }
            _ = ticks.tick(), if screen.is_some() => {
                if let Some((terminal, screen)) = &mut screen {
                    board.connected = runner.is_connected();
                    let block = board.block(*terminal, terminal.size().rows, &crowd);
                    screen.show(&[], block)?;
                }
            }
        }
    }
}

fn print(printer: &Printer, message: &WatchJobsResponse) -> Result<(), Problem> {
    match (message.kind(), printer) {
        (Kind::Snapshot | Kind::Synced | Kind::Change | Kind::Removed, Printer::Json) => {
            printer.print("WatchJobsResponse", message, String::new)
        }
        (Kind::Snapshot | Kind::Change, Printer::Lines) => match &message.job {
            Some(job) => print_line(&format!("{}  {}", plain(&message.task_id), change_line(job))),
            None => Ok(()),
        },
        (
            Kind::Unspecified | Kind::Synced | Kind::Removed | Kind::Heartbeat | Kind::Sample | Kind::Draining,
            Printer::Lines,
        )
        | (Kind::Unspecified | Kind::Heartbeat | Kind::Sample | Kind::Draining, Printer::Json) => Ok(()),
    }
}

/// What is known of the tasks.
#[derive(Default)]
struct Board {
    jobs: BTreeMap<String, (Job, Option<Sample>)>,
    synced: bool,
    connected: bool,
}

impl Board {
    fn take(&mut self, message: WatchJobsResponse) {
        if message.reset {
            self.jobs.clear();
            self.synced = false;
        }
        for reading in message.samples {
            if let Some((_, sample)) = self.jobs.get_mut(&reading.task_id) {
                *sample = reading.sample;
            }
        }
        match Kind::try_from(message.kind).unwrap_or_default() {
            Kind::Snapshot | Kind::Change => {
                if let Some(job) = message.job {
                    let (known, sample) = self.jobs.entry(message.task_id).or_default();
                    if job.done {
                        *sample = None;
                    }
                    *known = job;
                    self.forget_oldest();
                }
            }
            Kind::Synced => self.synced = true,
            Kind::Removed => {
                self.jobs.remove(&message.task_id);
            }
            Kind::Unspecified | Kind::Heartbeat | Kind::Sample | Kind::Draining => {}
        }
    }

    fn forget_oldest(&mut self) {
        if self.jobs.len() <= FINISHED_MAX {
            return;
        }
        // Ids sort by the time at which they were made.
        let oldest = self.jobs.iter().find(|(_, (job, _))| job.done).map(|(task_id, _)| task_id.clone());
        if let Some(task_id) = oldest {
            self.jobs.remove(&task_id);
        }
    }

    /// How the call ends, once all that it is about is over.
    fn end(&self, crowd: &Crowd) -> Result<Option<Exit>, Problem> {
        let Crowd::These(task_ids) = crowd else { return Ok(None) };
        if !self.synced {
            return Ok(None);
        }
        let mut exit = Exit::Done;
        for task_id in task_ids {
            let Some((job, _)) = self.jobs.get(task_id) else {
                return Err(Problem::Usage(format!(
                    "no task is called {task_id}, or it is forgotten; `comet-task-runner list` shows those that there are"
                )));
            };
            if !job.done {
                return Ok(None);
            }
            exit = exit.worse(Exit::of(job));
        }
        Ok(Some(exit))
    }

    /// The table in so many rows: what is live first, and each of both from the newest on.
    fn block(&self, terminal: Terminal, rows: usize, crowd: &Crowd) -> Vec<Line> {
        let columns = terminal.size().columns;
        let table = Table::fit(terminal, columns);
        let now = SystemTime::now();
        let mut shown: Vec<_> = self.jobs.iter().collect();
        shown.sort_by_key(|(task_id, (job, _))| (job.done, Reverse(*task_id)));
        // The heading, the line below the rows, and the cursor's own row have to be there too.
        let room = rows.saturating_sub(3).max(1);
        let mut lines = vec![table.heading()];
        lines.extend(shown.iter().take(room).map(|(_, (job, sample))| table.row(job, sample.as_ref(), now)));
        let live = self.jobs.values().filter(|(job, _)| !job.done).count();
        let mut text = format!("{live} live, {} over", self.jobs.len() - live);
        if shown.len() > room {
            text.push_str(&format!(", {} of them not shown", shown.len() - room));
        }
        match crowd {
            Crowd::All | Crowd::These(_) if !self.connected => {
                text.push_str("; the service does not answer; trying again");
            }
            Crowd::All if self.synced => text.push_str("; Ctrl-C leaves them to go on"),
            Crowd::All => text.push_str("; asking for more"),
            Crowd::These(_) => {}
        }
        let mut foot = terminal.line(columns);
        foot.push(&text, FAINT);
        lines.push(foot);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1::job::Status;

    fn message(kind: Kind, task_id: &str, status: Status) -> WatchJobsResponse {
        let done = !matches!(status, Status::Created | Status::Running | Status::Stopping);
        let job = Job { task_id: task_id.to_owned(), status: status.into(), done, ..Job::default() };
        WatchJobsResponse {
            kind: kind.into(),
            task_id: task_id.to_owned(),
            job: Some(job),
            ..WatchJobsResponse::default()
        }
    }

    fn synced() -> WatchJobsResponse {
        WatchJobsResponse { kind: Kind::Synced.into(), ..WatchJobsResponse::default() }
    }

    fn these(ids: &[&str]) -> Crowd {
        Crowd::These(ids.iter().map(ToString::to_string).collect())
    }

    fn statuses(board: &Board, rows: usize) -> Vec<String> {
        let block = board.block(Terminal::plain(), rows, &Crowd::All);
        block.iter().map(|line| line.text().trim().to_owned()).collect()
    }

    #[test]
    fn what_is_live_stands_above_what_is_over_and_the_newest_above_all() {
        let mut board = Board { connected: true, ..Board::default() };
        for (task_id, status) in
            [("1", Status::Running), ("2", Status::Done), ("3", Status::Created), ("4", Status::Failed)]
        {
            board.take(message(Kind::Snapshot, task_id, status));
        }
        board.take(synced());
        let rows = statuses(&board, 24);
        let ids: Vec<_> = rows[1..5].iter().map(|row| &row[..1]).collect();
        assert_eq!(ids, ["3", "1", "4", "2"], "{rows:?}");
        assert_eq!(rows[5], "2 live, 2 over; Ctrl-C leaves them to go on");
        let rows = statuses(&board, 5);
        assert_eq!(
            (rows.len(), rows[3].as_str()),
            (4, "2 live, 2 over, 2 of them not shown; Ctrl-C leaves them to go on")
        );
    }

    #[test]
    fn several_are_over_with_the_last_of_them_and_as_badly_as_the_worst() {
        let crowd = these(&["1", "2"]);
        let mut board = Board::default();
        board.take(message(Kind::Snapshot, "1", Status::Failed));
        board.take(message(Kind::Snapshot, "2", Status::Running));
        assert_eq!(board.end(&crowd).unwrap(), None);
        board.take(synced());
        assert_eq!(board.end(&crowd).unwrap(), None);
        board.take(message(Kind::Change, "2", Status::Done));
        assert_eq!(board.end(&crowd).unwrap(), Some(Exit::Failed));
        board.take(WatchJobsResponse { kind: Kind::Removed.into(), ..message(Kind::Removed, "1", Status::Failed) });
        assert!(board.end(&crowd).unwrap_err().text().unwrap().contains("no task is called 1"));
    }

    #[test]
    fn a_reset_forgets_what_is_not_told_again() {
        let mut board = Board::default();
        board.take(message(Kind::Snapshot, "1", Status::Running));
        board.take(WatchJobsResponse { reset: true, ..message(Kind::Snapshot, "2", Status::Running) });
        assert_eq!(board.jobs.keys().collect::<Vec<_>>(), ["2"]);
    }

    #[test]
    fn only_so_many_finished_ones_are_kept_and_never_a_live_one_less() {
        let mut board = Board::default();
        board.take(message(Kind::Snapshot, "0", Status::Running));
        for n in 0..FINISHED_MAX + 5 {
            board.take(message(Kind::Snapshot, &format!("1{n:05}"), Status::Done));
        }
        assert_eq!(board.jobs.len(), FINISHED_MAX);
        assert!(board.jobs.contains_key("0") && !board.jobs.contains_key("100000"));
    }
}
