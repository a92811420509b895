//! A task for each item: of a list, for each piece of the interval, or for each file or group of files of a glob.

use jiff::fmt::strtime;
use jiff::{SignedDuration, ToSpan};
use serde::{Deserialize, Serialize};

use super::param::ParamValue;
use super::period::{Every, Interval};
use super::scope::Scope;
use crate::config::parse_bytes;
use crate::error::{Error, ErrorKind, Result};

/// The items that a task is made for, one each.
///
/// # Examples
///
/// ```
/// use gristmill::flow::{Command, Every, Flow, ForEach, Task};
///
/// let task = Task::step("fetch", Command::new(["fetch", "${site}"])).for_each(ForEach::list("site", ["eu", "us"]));
/// let many = Task::step("count", Command::new(["wc", "-w", "${file}"])).for_each(ForEach::glob("file", "raw/${date}/*.txt"));
/// let large = Task::step("export", Command::new(["export", "${hour}", "${hour + 1h}"])).for_each(ForEach::every("hour", Every::Hour));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForEach {
    /// The name that stands for the item.
    pub(super) item: String,
    /// The items.
    #[serde(default, rename = "in", skip_serializing_if = "Vec::is_empty")]
    list: Vec<String>,
    /// The pieces of the interval that are the items, by their beginnings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<Every>,
    /// The files that are the items, in the order of their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) glob: Option<String>,
    /// Files become one item until they have so many bytes, or those of one hour, day, week or month do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group_by: Option<String>,
    /// Where the name of a file has its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<String>,
}

/// Which files are one item.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Grouping<'a> {
    /// Each is one.
    Single,
    /// So many bytes are one.
    Bytes(u64),
    /// Those of one period are one; the time stands in the name as the pattern says.
    Period(Every, &'a str),
}

impl ForEach {
    /// Each text of a list.
    pub fn list<S: Into<String>>(item: &str, list: impl IntoIterator<Item = S>) -> ForEach {
        ForEach { list: list.into_iter().map(Into::into).collect(), ..ForEach::of(item) }
    }

    /// Each hour or day of the interval of the run, by its beginning: what is too large for one task is split into these. Hours are counted from the start of
    /// the interval, so that a local day has 23, 24 or 25.
    pub fn every(item: &str, every: Every) -> ForEach {
        ForEach { every: Some(every), ..ForEach::of(item) }
    }

    /// Each file that a glob finds when the task could start, by its path from the directory of the flow: a closure opens `t.path("${file}")?`.
    pub fn glob(item: &str, glob: &str) -> ForEach {
        ForEach { glob: Some(glob.to_owned()), ..ForEach::of(item) }
    }

    fn of(item: &str) -> ForEach {
        ForEach {
            item: item.to_owned(),
            list: Vec::new(),
            every: None,
            glob: None,
            group_by: None,
            time: None,
        }
    }

    /// Groups files, in the order of their names, until a group has so many bytes (`64MiB`), so that many small ones are no tasks of their own. An
    /// argument that is nothing but the item is one argument for each file then.
    #[must_use]
    pub fn group_by(mut self, size: &str) -> ForEach {
        self.group_by = Some(size.to_owned());
        self
    }

    /// Groups files by the hour, day, week or month that their names tell. The pattern is that of a whole name, as `access-%Y%m%d-%H%M.log`, with the
    /// conversions of strptime.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::flow::{Every, ForEach};
    ///
    /// let hours = ForEach::glob("files", "raw/*.log").group_by_time("access-%Y%m%d-%H%M.log", Every::Hour);
    /// ```
    #[must_use]
    pub fn group_by_time(mut self, pattern: &str, every: Every) -> ForEach {
        (self.time, self.group_by) = (Some(pattern.to_owned()), Some(every.name().to_owned()));
        self
    }

    /// What makes no sense about it, in a flow whose intervals are so long.
    pub(super) fn fault(&self, interval: Option<Every>) -> Option<String> {
        let kinds = [!self.list.is_empty(), self.every.is_some(), self.glob.is_some()];
        if kinds.into_iter().filter(|is_there| *is_there).count() != 1 {
            return Some(
                "`for_each` has either a list that is not empty, `in`, or a `glob`, or `every`".into(),
            );
        }
        if self.glob.is_none() && (self.group_by.is_some() || self.time.is_some()) {
            return Some("`group_by` and `time` are about files, and there is no `glob`".into());
        }
        if let Some(every) = self.every {
            return match (every, interval) {
                (_, None) => Some("`every` splits the interval of the run, which has none".into()),
                (Every::Hour, Some(Every::Day | Every::Week | Every::Month))
                | (Every::Day, Some(Every::Week | Every::Month)) => None,
                (_, Some(whole)) => {
                    Some(format!("one {} is not split into each {}", whole.name(), every.name()))
                }
            };
        }
        match (&self.group_by, &self.time) {
            (None, Some(_)) => Some("`time` wants `group_by`, which is hour, day, week or month".into()),
            (Some(_), _) if self.grouping() == Grouping::Single => Some(
                "`group_by` is neither a size such as 64MiB, nor hour, day, week or month with a `time`"
                    .into(),
            ),
            (_, Some(pattern)) => {
                let fault = strtime::format(pattern, jiff::civil::date(2026, 1, 31).at(1, 2, 3, 0)).err()?;
                Some(format!("`time` is no pattern: {fault}"))
            }
            _ => None,
        }
    }

    /// Which files are one item.
    pub(super) fn grouping(&self) -> Grouping<'_> {
        let Some(by) = self.group_by.as_deref() else { return Grouping::Single };
        match (Every::from_name(by), &self.time, parse_bytes(by)) {
            (Some(every), Some(pattern), _) => Grouping::Period(every, pattern),
            (None, None, Some(bytes)) if bytes > 0 => Grouping::Bytes(bytes),
            _ => Grouping::Single,
        }
    }

    /// What the items are of, in words.
    pub(super) fn of_what(&self) -> String {
        let by = self.group_by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
        match (&self.glob, self.every) {
            (Some(glob), _) => format!("the files {glob}{by}"),
            (None, Some(every)) => format!("the interval by {}", every.name()),
            (None, None) => self.list.join(", "),
        }
    }

    /// The items that are known before anything runs.
    pub(super) fn known(&self, scope: &Scope) -> Result<Vec<ParamValue>> {
        match (self.every, &scope.interval) {
            (Some(every), Some(interval)) => pieces(interval, every),
            _ => self.list.iter().map(|text| scope.expand(text).map(ParamValue::Text)).collect(),
        }
    }

    /// An item like those that there will be, to try texts with.
    pub(super) fn like(&self, scope: &Scope) -> Result<ParamValue> {
        let first = if self.every.is_some() { self.known(scope)?.into_iter().next() } else { None };
        Ok(first.unwrap_or(ParamValue::Text(String::new())))
    }
}

/// The beginnings of the hours or days of an interval.
fn pieces(interval: &Interval, every: Every) -> Result<Vec<ParamValue>> {
    let beyond = |error: jiff::Error| {
        Error::new(ErrorKind::Config, "the interval ends beyond the calendar").because(error)
    };
    let mut values = Vec::new();
    if every == Every::Hour {
        let mut hour = interval.start.timestamp();
        while hour < interval.end.timestamp() {
            values.push(ParamValue::Timestamp(hour));
            hour = hour.checked_add(SignedDuration::from_hours(1)).map_err(beyond)?;
        }
        return Ok(values);
    }
    let last = interval.end.checked_sub(1.nanosecond()).map_err(beyond)?;
    every.values(&every.value_at(&interval.start)?, &every.value_at(&last)?, interval.start.time_zone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::param::ParamType;
    use jiff::tz::TimeZone;

    fn of_day(day: &str, zone: &str, every: Every) -> Vec<String> {
        let value = ParamType::Date.parse(day).unwrap();
        let whole = if every == Every::Hour { Every::Day } else { Every::Month };
        let interval = whole.interval(&value, &TimeZone::get(zone).unwrap()).unwrap();
        pieces(&interval, every).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn hours_of_a_day_begin_with_it_in_any_zone() {
        for (zone, day, expected) in [
            ("Europe/Berlin", "2026-03-29", 23),
            ("Europe/Berlin", "2026-10-25", 25),
            ("Asia/Kolkata", "2026-01-31", 24),
            ("UTC", "2024-02-29", 24),
        ] {
            assert_eq!(of_day(day, zone, Every::Hour).len(), expected, "{day} in {zone}");
        }
        assert_eq!(of_day("2026-01-31", "Asia/Kolkata", Every::Hour)[0], "2026-01-30T18:30:00Z");
    }

    #[test]
    fn days_of_a_month_are_those_that_the_zone_has() {
        assert_eq!(of_day("2024-02-01", "UTC", Every::Day).len(), 29);
        let december = of_day("2011-12-01", "Pacific/Apia", Every::Day);
        assert_eq!(december.len(), 30);
        assert!(!december.contains(&"2011-12-30".to_owned()));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let sizes = ForEach::glob("file", "*.log");
        for (items, interval, expected) in [
            (ForEach::list("site", [""; 0]), None, "either a list"),
            (ForEach { glob: Some("*".into()), ..ForEach::list("site", ["eu"]) }, None, "either a list"),
            (ForEach::list("site", ["eu"]).group_by("1MiB"), None, "are about files"),
            (ForEach::every("hour", Every::Hour), None, "which has none"),
            (ForEach::every("hour", Every::Hour), Some(Every::Hour), "one hour is not split into each hour"),
            (ForEach::every("week", Every::Week), Some(Every::Month), "one month is not split"),
            (sizes.clone().group_by("0B"), None, "neither a size"),
            (sizes.clone().group_by("hour"), None, "neither a size"),
            (ForEach { time: Some("%Y".into()), ..sizes.clone() }, None, "wants `group_by`"),
            (sizes.clone().group_by_time("%!", Every::Day), None, "is no pattern"),
        ] {
            let fault = items.fault(interval).unwrap();
            assert!(fault.contains(expected), "{fault}");
        }
        for items in [
            ForEach::list("site", ["eu"]),
            ForEach::every("day", Every::Day),
            sizes.clone(),
            sizes.clone().group_by("1MiB"),
            sizes.group_by_time("%Y%m%d.log", Every::Week),
        ] {
            assert_eq!(items.fault(Some(Every::Month)), None);
        }
    }
}
