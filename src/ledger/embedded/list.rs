//! Finding jobs by what they are: first where they stand in the tail, then their bodies.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, ToSql};

use super::{
    read::{count, decode, signed, unsigned},
    schema,
};
use crate::{
    job::{Job, Status, TaskId, WallTime},
    ledger::{JobFilter, ListOrder, ListQuery, Position, ReadError, Snapshot},
};

pub(super) fn list(connection: &Connection, query: &ListQuery) -> Result<Vec<Arc<Job>>, ReadError> {
    // One transaction, so that nothing is forgotten between the two reads.
    let moment = connection.unchecked_transaction()?;
    let mut wanted = Wanted::by(&query.filter);
    if !query.statuses.is_empty() {
        let names: Vec<_> = query.statuses.iter().map(|status| status_name(*status)).collect();
        wanted.and("status IN (SELECT value FROM json_each(?))", serde_json::json!(names).to_string());
    }
    let (behind, order) = match query.order {
        ListOrder::NewestFirst => ("task_id < ?", "DESC"),
        ListOrder::OldestFirst => ("task_id > ?", "ASC"),
    };
    if let Some(after) = query.after {
        wanted.and(behind, *after.uuid().as_bytes());
    }
    let heads = wanted.heads(&moment, order, query.limit)?;
    changes_at(&moment, &heads)
}

pub(super) fn snapshot(
    connection: &Connection,
    filter: &JobFilter,
    finished_since: Option<WallTime>,
) -> Result<Snapshot, ReadError> {
    // One transaction, so that the heads are exactly those at the position.
    let moment = connection.unchecked_transaction()?;
    let position = schema::last_position(&moment)?;
    let mut wanted = Wanted::by(filter);
    match finished_since {
        None => wanted.and_always("expires_at IS NULL"),
        Some(since) => wanted.and("(expires_at IS NULL OR finished_at >= ?)", signed(since.micros())),
    }
    let heads = wanted.heads(&moment, "ASC", usize::MAX)?;
    Ok(Snapshot { position, heads })
}

/// The changes at these positions, in this order; those of forgotten jobs are left out.
pub(super) fn changes_at(connection: &Connection, positions: &[Position]) -> Result<Vec<Arc<Job>>, ReadError> {
    let mut statement = connection.prepare_cached("SELECT body FROM changes WHERE position = ?1")?;
    let bodies = positions.iter().filter_map(|position| {
        statement.query_row([signed(position.number())], |row| row.get::<_, String>(0)).optional().transpose()
    });
    bodies.map(|body| decode(&body?)).collect()
}

/// The status as it stands in a job's body.
pub(super) const fn status_name(status: Status) -> &'static str {
    match status {
        Status::Created => "Created",
        Status::Running => "Running",
        Status::Stopping => "Stopping",
        Status::Done => "Done",
        Status::Failed => "Failed",
        Status::Cancelled => "Cancelled",
        Status::TimedOut => "TimedOut",
        Status::Lost => "Lost",
    }
}

/// Conditions on rows of `jobs`, with their values. There are few different texts, so that each is parsed once.
struct Wanted {
    conditions: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Wanted {
    fn by(filter: &JobFilter) -> Self {
        let mut wanted = Self { conditions: "TRUE".to_owned(), values: Vec::new() };
        if !filter.task_ids.is_empty() {
            let hex: Vec<_> = filter.task_ids.iter().map(hex).collect();
            wanted.and("task_id IN (SELECT unhex(value) FROM json_each(?))", serde_json::json!(hex).to_string());
        }
        if let Some(from) = filter.created_from {
            wanted.and("created_at >= ?", signed(from.micros()));
        }
        if let Some(before) = filter.created_before {
            wanted.and("created_at < ?", signed(before.micros()));
        }
        for (key, value) in &filter.labels {
            const LABELLED: &str =
                "EXISTS (SELECT 1 FROM labels WHERE labels.task_id = jobs.task_id AND key = ? AND value = ?)";
            wanted.and(LABELLED, key.clone());
            wanted.values.push(Box::new(value.clone()));
        }
        if !filter.url_contains.is_empty() {
            wanted.and("instr(url, ?) > 0", filter.url_contains.clone());
        }
        wanted
    }

    fn and(&mut self, condition: &str, value: impl ToSql + 'static) {
        self.and_always(condition);
        self.values.push(Box::new(value));
    }

    fn and_always(&mut self, condition: &str) {
        self.conditions.push_str(" AND ");
        self.conditions.push_str(condition);
    }

    /// Where the wanted jobs stand, in the order of their ids.
    fn heads(mut self, connection: &Connection, order: &str, limit: usize) -> Result<Vec<Position>, ReadError> {
        let query = format!("SELECT position FROM jobs WHERE {} ORDER BY task_id {order} LIMIT ?", self.conditions);
        self.values.push(Box::new(count(limit)));
        let mut statement = connection.prepare_cached(&query)?;
        let values = rusqlite::params_from_iter(self.values.iter());
        let heads = statement.query_map(values, |row| Ok(Position::new(unsigned(row.get(0)?))))?;
        Ok(heads.collect::<Result<_, _>>()?)
    }
}

fn hex(id: &TaskId) -> String {
    id.uuid().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_named_as_in_the_body() {
        for status in Status::ALL {
            assert_eq!(serde_json::json!(status), status_name(status));
        }
    }
}
