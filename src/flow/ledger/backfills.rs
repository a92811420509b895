//! Backfills, and the last times of schedules.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::runs::RunId;
use super::{Ledger, instant, millis};
use crate::error::Result;

/// A backfill that is about to begin.
#[derive(Debug, Clone)]
pub(in crate::flow) struct NewBackfill {
    pub flow: String,
    pub parameters: String,
    pub options: String,
    pub started: Timestamp,
    /// The values of its intervals, in the order in which they are run.
    pub values: Vec<String>,
}

/// A backfill in the ledger.
#[derive(Debug, Clone)]
pub(in crate::flow) struct BackfillRow {
    pub flow: String,
    pub parameters: String,
    pub options: String,
    /// Position, value, state and run of each interval.
    pub intervals: Vec<(usize, String, String, Option<RunId>)>,
}

impl Ledger {
    /// Notes a backfill with all its intervals.
    pub(in crate::flow) fn begin_backfill(&self, backfill: &NewBackfill) -> Result<i64> {
        self.transaction(|sql| {
            let insert = "INSERT INTO backfills (flow, parameters, options, state, started) VALUES (?, ?, ?, 'running', ?)";
            let NewBackfill { flow, parameters, options, started, values } = backfill;
            sql.execute(insert, params![flow, parameters, options, millis(*started)])?;
            let id = sql.last_insert_rowid();
            let mut add = sql.prepare_cached("INSERT INTO backfill_intervals (backfill, position, value, state) VALUES (?, ?, ?, 'queued')")?;
            for (position, value) in values.iter().enumerate() {
                add.execute(params![id, position, value])?;
            }
            Ok(id)
        })
    }

    /// Notes the run, or the end, of an interval.
    pub(in crate::flow) fn note_interval(
        &self,
        backfill: i64,
        position: usize,
        state: &str,
        run: Option<RunId>,
    ) -> Result<()> {
        let update = "UPDATE backfill_intervals SET state = ?3, run = coalesce(?4, run) WHERE backfill = ?1 AND position = ?2";
        self.transaction(|sql| {
            sql.prepare_cached(update)?.execute(params![backfill, position, state, run]).map(drop)
        })
    }

    /// Notes the end of a backfill.
    pub(in crate::flow) fn end_backfill(&self, backfill: i64, state: &str, ended: Timestamp) -> Result<()> {
        let update = "UPDATE backfills SET state = ?2, ended = ?3 WHERE id = ?1";
        self.transaction(|sql| sql.execute(update, params![backfill, state, millis(ended)]).map(drop))
    }

    /// A backfill by its number.
    pub(in crate::flow) fn backfill(&self, id: i64) -> Result<Option<BackfillRow>> {
        self.read(|sql| {
            let query = "SELECT flow, parameters, options FROM backfills WHERE id = ?";
            let found = sql.query_row(query, [id], |row| {
                let (flow, parameters, options) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(BackfillRow { flow, parameters, options, intervals: Vec::new() })
            });
            let Some(mut found) = found.optional()? else { return Ok(None) };
            let query = "SELECT position, value, state, run FROM backfill_intervals WHERE backfill = ? ORDER BY position";
            let interval = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            found.intervals = sql.prepare_cached(query)?.query_map([id], interval)?.collect::<rusqlite::Result<_>>()?;
            Ok(Some(found))
        })
    }

    /// The flow of a backfill, and the file that its runs were made of.
    pub(crate) fn flow_of_backfill(&self, id: i64) -> Result<Option<(String, Option<String>)>> {
        let query = "SELECT flow, (SELECT source FROM runs WHERE runs.flow = backfills.flow AND runs.backfill = backfills.id LIMIT 1)
            FROM backfills WHERE id = ?";
        self.read(|sql| sql.query_row(query, [id], |row| Ok((row.get(0)?, row.get(1)?))).optional())
    }

    /// The last time of a schedule that was dealt with.
    pub(in crate::flow) fn fired(&self, flow: &str) -> Result<Option<Timestamp>> {
        let fired = self.read(|sql| {
            sql.query_row("SELECT fired FROM schedules WHERE flow = ?", [flow], |row| row.get::<_, i64>(0))
                .optional()
        })?;
        Ok(fired.map(instant))
    }

    /// Notes the last time of a schedule that was dealt with; never an earlier one than is noted.
    pub(in crate::flow) fn note_fired(&self, flow: &str, at: Timestamp) -> Result<()> {
        let upsert = "INSERT INTO schedules (flow, fired) VALUES (?1, ?2) ON CONFLICT (flow) DO UPDATE SET fired = max(fired, ?2)";
        self.transaction(|sql| sql.execute(upsert, params![flow, millis(at)]).map(drop))
    }
}
