//! When a flow runs by itself.

use cronexpr::{Crontab, FallbackTimezoneOption, ParseOptions};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use serde::{Deserialize, Serialize};

use super::define::Flow;
use super::param::ParamValue;
use super::period::Every;
use super::plan::time_zone;
use crate::error::{Error, ErrorKind, Result};

/// When a flow runs by itself, under `schedule run`: at the end of each interval, or at the times of a cron expression, in the zone of the flow.
///
/// # Examples
///
/// ```
/// use gristmill::flow::{CatchUp, Flow, ParamType, Schedule};
///
/// let flow = Flow::new("daily-hits")
///     .param("date", ParamType::Date)
///     .task("convert", |_| Ok(()))
///     .time_zone("Europe/Berlin")
///     .schedule(Schedule::cron("30 2 * * *").catch_up(CatchUp::Last));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    #[serde(default)]
    pub(super) cron: Option<String>,
    #[serde(default)]
    pub(super) catch_up: CatchUp,
    #[serde(default)]
    pub(super) overlap: Overlap,
}

/// Which of the runs that were due while nobody was there are made up for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// None.
    #[default]
    None,
    /// The last one.
    Last,
    /// All.
    All,
}

/// What happens to a run that is due while an earlier one of the flow goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// It waits for it.
    #[default]
    Queue,
    /// It is left out.
    Skip,
    /// It runs beside it, as far as `max_active` allows.
    Parallel,
}

impl Schedule {
    /// At the end of each interval of the flow.
    pub fn each_interval() -> Schedule {
        Schedule::default()
    }

    /// At the times of a cron expression of five fields, in the zone of the flow.
    pub fn cron(expression: impl Into<String>) -> Schedule {
        Schedule { cron: Some(expression.into()), ..Schedule::default() }
    }

    /// Which runs are made up for; default none.
    #[must_use]
    pub fn catch_up(mut self, catch_up: CatchUp) -> Schedule {
        self.catch_up = catch_up;
        self
    }

    /// What happens to a run that is due while an earlier one goes on; default it waits.
    #[must_use]
    pub fn overlap(mut self, overlap: Overlap) -> Schedule {
        self.overlap = overlap;
        self
    }
}

/// A time at which a run is due, and what its parameter is then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub at: Zoned,
    /// The value of the parameter that tells the interval.
    pub value: ParamValue,
}

/// The times of a schedule, in the zone of its flow.
#[derive(Debug)]
pub(super) struct Times {
    cron: Option<Crontab>,
    every: Every,
    zone: TimeZone,
}

impl Times {
    /// The times of the schedule of a flow.
    ///
    /// # Errors
    ///
    /// If it has none, or no interval, or its cron expression is none.
    pub fn of(flow: &Flow) -> Result<Times> {
        let wrong =
            |what: String| Error::new(ErrorKind::Config, format!("the flow `{}` {what}", flow.name()));
        let schedule = flow.schedule.as_ref().ok_or_else(|| {
            wrong("has no schedule".to_owned())
                .hint("add `[schedule]` to it, with or without `cron = \"15 2 * * *\"`")
        })?;
        let (_, every) = flow.told_by().ok_or_else(|| {
            wrong("has a schedule, but no interval".to_owned())
                .hint("declare a parameter that is a date or a timestamp")
        })?;
        let cron = schedule.cron.as_ref().map(|expression| {
            crontab(expression).map_err(|error| wrong(format!("has a schedule that is wrong: {error}")))
        });
        Ok(Times { cron: cron.transpose()?, every, zone: time_zone(flow)? })
    }

    /// The first time after an instant.
    ///
    /// # Errors
    ///
    /// If there is none in the calendar.
    pub fn after(&self, instant: Timestamp) -> Result<Due> {
        let now = instant.to_zoned(self.zone.clone());
        let at = match &self.cron {
            None => self.every.interval(&self.every.value_at(&now)?, &self.zone)?.end,
            Some(cron) => next_of(cron, &now)?,
        };
        // The run is about the last interval that is over by then.
        let over = self.every.interval(&self.every.value_at(&at)?, &self.zone)?.start;
        let before = over.checked_sub(SignedDuration::from_secs(1)).map_err(beyond)?;
        let value = self.every.value_at(&before)?;
        Ok(Due { at, value })
    }

    /// All times after one instant and up to another one.
    ///
    /// # Errors
    ///
    /// As [`Times::after`].
    pub fn between(&self, after: Timestamp, until: Timestamp) -> Result<Vec<Due>> {
        let mut due = Vec::new();
        let mut last = after;
        loop {
            let next = self.after(last)?;
            last = next.at.timestamp();
            if last > until {
                return Ok(due);
            }
            due.push(next);
        }
    }
}

/// The first local time of a crontab after an instant. Local times are looked for in a calendar without a zone, so that each is one run: a time that a day
/// has twice is its first one, and one that it skips is as much later as the clocks were set.
fn next_of(cron: &Crontab, now: &Zoned) -> Result<Zoned> {
    let mut local = now.datetime().to_zoned(TimeZone::UTC).map_err(beyond)?;
    loop {
        local = cron.find_next(local.timestamp()).map_err(|error| {
            Error::new(ErrorKind::Config, format!("the schedule has no next time: {error}"))
        })?;
        let at = local.datetime().to_zoned(now.time_zone().clone()).map_err(beyond)?;
        if at > *now {
            return Ok(at);
        }
    }
}

fn crontab(expression: &str) -> Result<Crontab, String> {
    if expression.split_whitespace().count() != 5 {
        return Err("a cron expression has five fields: minute, hour, day, month, weekday".to_owned());
    }
    let mut options = ParseOptions::default();
    options.fallback_timezone_option = FallbackTimezoneOption::UTC;
    cronexpr::parse_crontab_with(expression, options).map_err(|error| {
        let drawn = error.to_string(); // over three lines, of which the last one says what is wrong
        let what = drawn.lines().last().unwrap_or_default().trim_start_matches(['^', ' ']);
        format!("`{}`: {what}", expression.escape_debug())
    })
}

fn beyond(error: jiff::Error) -> Error {
    Error::new(ErrorKind::Config, "the next time of the schedule lies beyond the calendar").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::ParamType;

    fn times(zone: &str, schedule: Schedule) -> Times {
        let flow = Flow::new("f").param("date", ParamType::Date).task("t", |_| Ok(()));
        Times::of(&flow.time_zone(zone).schedule(schedule)).unwrap()
    }

    fn due(times: &Times, from: &str, until: &str) -> Vec<String> {
        let due = times.between(from.parse().unwrap(), until.parse().unwrap()).unwrap();
        due.iter().map(|due| format!("{} {}", due.at.strftime("%F %T %:z"), due.value)).collect()
    }

    #[test]
    fn an_interval_is_due_when_it_is_over() {
        let times = times("Europe/Berlin", Schedule::each_interval());
        assert_eq!(
            due(&times, "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"),
            ["2026-03-29 00:00:00 +01:00 2026-03-28", "2026-03-30 00:00:00 +02:00 2026-03-29"]
        );
    }

    #[test]
    fn a_local_time_fires_once_on_days_of_23_and_25_hours() {
        let times = times("Europe/Berlin", Schedule::cron("30 2 * * *"));
        assert_eq!(
            due(&times, "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"),
            ["2026-03-29 03:30:00 +02:00 2026-03-28", "2026-03-30 02:30:00 +02:00 2026-03-29"]
        );
        assert_eq!(
            due(&times, "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z"),
            ["2026-10-25 02:30:00 +02:00 2026-10-24", "2026-10-26 02:30:00 +01:00 2026-10-25"]
        );
    }

    #[test]
    fn leap_days_and_skipped_days_are_as_the_calendar_has_them() {
        let leap = times("UTC", Schedule::cron("0 0 29 2 *"));
        assert_eq!(due(&leap, "2023-01-01T00:00:00Z", "2029-01-01T00:00:00Z").len(), 2);
        let apia = times("Pacific/Apia", Schedule::each_interval());
        let days = due(&apia, "2011-12-29T00:00:00Z", "2012-01-01T12:00:00Z");
        let values: Vec<_> = days.iter().filter_map(|day| day.rsplit(' ').next()).collect();
        assert_eq!(values, ["2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01"]);
    }

    #[test]
    fn an_expression_that_is_none_is_an_error() {
        for wrong in ["", "* * * *", "* * * * * UTC", "61 * * * *", "a b c d e"] {
            assert!(crontab(wrong).is_err(), "{wrong}");
        }
    }
}
