//! Periods of the calendar: which interval of data a run is about, and which runs a range of dates has.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ToSpan, Zoned};

use super::param::{ParamType, ParamValue};
use crate::error::{Error, ErrorKind, Result};

/// How long the interval of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Every {
    /// An hour, as UTC has them; of 24, or 23 or 25 a local day.
    Hour,
    /// A local day, of 23, 24 or 25 hours.
    Day,
    /// Seven local days, from Monday on.
    Week,
    /// A month of the calendar.
    Month,
}

/// The data that a run is about: what happened at `start` or later, and before `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// Its first instant, which is the logical time of the run.
    pub start: Zoned,
    /// The first instant after it.
    pub end: Zoned,
}

impl Every {
    /// Its name, as flow files have it.
    pub fn name(self) -> &'static str {
        match self {
            Every::Hour => "hour",
            Every::Day => "day",
            Every::Week => "week",
            Every::Month => "month",
        }
    }

    /// The one of this name.
    pub(super) fn from_name(name: &str) -> Option<Every> {
        [Every::Hour, Every::Day, Every::Week, Every::Month].into_iter().find(|every| every.name() == name)
    }

    /// The first hour of the period that a time of some clock lies in.
    pub(super) fn first_of(self, time: DateTime) -> DateTime {
        let date = time.date();
        match self {
            Every::Hour => date.at(time.hour(), 0, 0, 0),
            Every::Day => date.at(0, 0, 0, 0),
            Every::Week => {
                let since = i64::from(date.weekday().since(Weekday::Monday));
                date.checked_sub(since.days()).unwrap_or(date).at(0, 0, 0, 0) // no Monday lies before the calendar
            }
            Every::Month => date.first_of_month().at(0, 0, 0, 0),
        }
    }

    /// What the parameter is that tells the interval.
    pub fn param_type(self) -> ParamType {
        if self == Every::Hour { ParamType::Timestamp } else { ParamType::Date }
    }

    /// The interval that a value of the parameter stands for.
    ///
    /// # Errors
    ///
    /// If the value does not begin one, or if the zone has skipped it, as Samoa has no 2011-12-30.
    pub(super) fn interval(self, value: &ParamValue, zone: &TimeZone) -> Result<Interval> {
        let wrong = |what: String, hint: String| Err(Error::new(ErrorKind::Config, what).hint(hint));
        let first = self.first(value)?;
        if first != *value {
            return wrong(
                format!("no {} begins at {value}", self.name()),
                format!("the one with it begins at {first}"),
            );
        }
        let interval = Interval { start: start(&first, zone)?, end: start(&self.next(&first)?, zone)? };
        if interval.start >= interval.end {
            let zone = zone.iana_name().unwrap_or("this zone");
            return wrong(format!("there is no {value} in {zone}"), "its clocks have skipped it".to_owned());
        }
        Ok(interval)
    }

    /// The values of the parameter for all intervals from that with `from` to that with `to`, both included, without those that the zone has skipped.
    ///
    /// # Errors
    ///
    /// If they are of another type, or no dates of the calendar.
    pub(super) fn values(
        self,
        from: &ParamValue,
        to: &ParamValue,
        zone: &TimeZone,
    ) -> Result<Vec<ParamValue>> {
        let (mut value, last) = (self.first(from)?, self.first(to)?);
        let mut values = Vec::new();
        while position(&value) <= position(&last) {
            let next = self.next(&value)?;
            if start(&value, zone)? < start(&next, zone)? {
                values.push(value);
            }
            value = next;
        }
        Ok(values)
    }

    /// The value of the interval that an instant lies in.
    pub(super) fn value_at(self, instant: &Zoned) -> Result<ParamValue> {
        self.first(&match self {
            Every::Hour => ParamValue::Timestamp(instant.timestamp()),
            _ => ParamValue::Date(instant.date()),
        })
    }

    /// The first value of the interval that a value lies in.
    fn first(self, value: &ParamValue) -> Result<ParamValue> {
        let first = match (self, value) {
            (Every::Hour, ParamValue::Timestamp(instant)) => {
                let second = instant.as_second();
                Timestamp::from_second(second - second.rem_euclid(3600)).map(ParamValue::Timestamp)
            }
            (Every::Day, ParamValue::Date(date)) => Ok(ParamValue::Date(*date)),
            (Every::Week, ParamValue::Date(date)) => {
                let since = date.weekday().since(Weekday::Monday);
                date.checked_sub(i64::from(since).days()).map(ParamValue::Date)
            }
            (Every::Month, ParamValue::Date(date)) => Ok(ParamValue::Date(date.first_of_month())),
            _ => {
                let message = format!("an interval of one {} is not told by {value}", self.name());
                let hint = format!("its parameter is a {}", self.param_type().name());
                return Err(Error::new(ErrorKind::Config, message).hint(hint));
            }
        };
        first.map_err(beyond)
    }

    /// The value of the next interval.
    fn next(self, value: &ParamValue) -> Result<ParamValue> {
        let later = |date: &Date, span: Span| date.checked_add(span).map(ParamValue::Date).map_err(beyond);
        match (self, value) {
            (Every::Day, ParamValue::Date(date)) => later(date, 1.day()),
            (Every::Week, ParamValue::Date(date)) => later(date, 7.days()),
            (Every::Month, ParamValue::Date(date)) => later(date, 1.month()),
            (_, ParamValue::Timestamp(instant)) => {
                let next = instant.checked_add(SignedDuration::from_hours(1));
                next.map(ParamValue::Timestamp).map_err(beyond)
            }
            _ => self.first(value),
        }
    }
}

/// Where a value stands among all of its type.
fn position(value: &ParamValue) -> i64 {
    match value {
        ParamValue::Date(date) => date.duration_since(Date::ZERO).as_secs(),
        ParamValue::Timestamp(instant) => instant.as_second(),
        _ => 0,
    }
}

/// When a value begins: a day without a midnight begins with its first instant.
fn start(value: &ParamValue, zone: &TimeZone) -> Result<Zoned> {
    match value {
        ParamValue::Date(date) => date.to_zoned(zone.clone()).map_err(beyond),
        ParamValue::Timestamp(instant) => Ok(instant.to_zoned(zone.clone())),
        _ => Err(Error::new(ErrorKind::Internal, format!("{value} is no time"))),
    }
}

fn beyond(error: jiff::Error) -> Error {
    Error::new(ErrorKind::Config, "a date lies beyond the calendar of the years -9999 to 9999").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn date(text: &str) -> ParamValue {
        ParamType::Date.parse(text).unwrap()
    }

    fn hours(every: Every, value: &ParamValue, zone: &TimeZone) -> i64 {
        let interval = every.interval(value, zone).unwrap();
        interval.start.duration_until(&interval.end).as_hours()
    }

    #[test]
    fn days_have_23_24_or_25_hours_and_each_hour_is_one() {
        let berlin = zone("Europe/Berlin");
        for (day, expected) in [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)] {
            let interval = Every::Day.interval(&date(day), &berlin).unwrap();
            assert_eq!(hours(Every::Day, &date(day), &berlin), expected, "{day}");
            let (from, to) =
                (interval.start.timestamp(), interval.end.timestamp() - SignedDuration::from_secs(1));
            let values =
                Every::Hour.values(&ParamValue::Timestamp(from), &ParamValue::Timestamp(to), &berlin);
            assert_eq!(values.unwrap().len(), usize::try_from(expected).unwrap(), "{day}");
        }
    }

    #[test]
    fn days_are_next_to_each_other_in_any_zone() {
        for name in [
            "UTC",
            "Europe/Berlin",
            "America/Sao_Paulo",
            "Pacific/Apia",
            "Australia/Lord_Howe",
            "Asia/Beirut",
        ] {
            let zone = zone(name);
            let days = Every::Day.values(&date("2011-01-01"), &date("2012-12-31"), &zone).unwrap();
            assert_eq!(days.len(), if name == "Pacific/Apia" { 730 } else { 731 }, "{name}");
            let intervals: Vec<_> = days.iter().map(|day| Every::Day.interval(day, &zone).unwrap()).collect();
            assert!(intervals.windows(2).all(|pair| pair[0].end == pair[1].start), "{name}");
        }
    }

    #[test]
    fn a_day_that_a_zone_has_skipped_is_no_interval() {
        let error = Every::Day.interval(&date("2011-12-30"), &zone("Pacific/Apia")).unwrap_err();
        assert_eq!(error.to_string(), "there is no 2011-12-30 in Pacific/Apia; its clocks have skipped it");
    }

    #[test]
    fn months_and_weeks_begin_where_the_calendar_says() {
        let utc = TimeZone::UTC;
        assert_eq!(hours(Every::Month, &date("2024-02-01"), &utc), 29 * 24);
        let months = Every::Month.values(&date("2025-11-15"), &date("2026-02-01"), &utc).unwrap();
        assert_eq!(months, ["2025-11-01", "2025-12-01", "2026-01-01", "2026-02-01"].map(date));
        assert_eq!(hours(Every::Week, &date("2026-01-05"), &utc), 7 * 24);
        for (every, wrong, begins) in
            [(Every::Month, "2026-01-02", "2026-01-01"), (Every::Week, "2026-01-01", "2025-12-29")]
        {
            let error = every.interval(&date(wrong), &utc).unwrap_err().to_string();
            assert!(error.contains(&format!("begins at {begins}")), "{error}");
        }
    }
}
