//! The named groups of a regular expression as columns.

use arrow::datatypes::Fields;

use super::{Fault, LineFormat, Row, text_columns};
use crate::error::{Error, ErrorKind, Result};

/// A regular expression whose named groups, `(?<name>…)`, are the columns, in their order.
///
/// The [syntax](https://docs.rs/regex/latest/regex/#syntax) is that of the crate `regex`; time is linear in the line, whatever the
/// pattern. The first match in the line counts, wherever it lies: write `^…$` for whole lines. A line without a match is a fault. A group
/// that takes no part in the match is null.
///
/// # Examples
///
/// ```
/// use gristmill::parse::{LineFormat, Regex, Row};
///
/// let format = Regex::new(r"^(?<count>\d+) x (?<item>\w+)( at (?<price>[\d.]+))?$")?;
/// let mut row = Row::new();
/// format.cut("7 x rye", &mut row)?;
/// assert_eq!(row.iter().collect::<Vec<_>>(), [Some("7"), Some("rye"), None]);
/// assert!(format.cut("no rye", &mut row).is_err());
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Regex {
    pattern: ::regex::Regex,
    columns: Fields,
    /// The numbers of the groups that have names.
    groups: Vec<usize>,
}

impl Regex {
    /// The format of a pattern.
    ///
    /// # Errors
    ///
    /// If it is no regular expression, is too large, or has no named group.
    pub fn new(pattern: &str) -> Result<Regex> {
        let pattern = ::regex::Regex::new(pattern).map_err(|error| {
            // The crate draws the pattern over several lines, of which the last one says what is wrong.
            let text = error.to_string();
            let reason = text.lines().last().map_or("", |line| line.trim_start_matches("error: "));
            Error::new(ErrorKind::Config, format!("the pattern cannot be used: {reason}")).because(error)
        })?;
        let columns = pattern.capture_names().enumerate().filter_map(|(group, name)| Some((group, name?)));
        let (groups, names): (Vec<usize>, Vec<&str>) = columns.unzip();
        let columns = text_columns(names).map_err(|error| {
            let hint = "name the groups that are columns, as in `(?<status>[0-9]+)`";
            Error::new(ErrorKind::Config, "the pattern has no named groups").because(error).hint(hint)
        })?;
        Ok(Regex { pattern, columns, groups })
    }
}

impl LineFormat for Regex {
    fn fields(&self) -> Fields {
        self.columns.clone()
    }

    fn cut<'a>(&self, line: &'a str, row: &mut Row<'a>) -> Result<(), Fault> {
        let mut places = self.pattern.capture_locations();
        if self.pattern.captures_read(&mut places, line).is_none() {
            return Err(Fault::new(0, "the line does not match the pattern"));
        }
        row.clear();
        for &group in &self.groups {
            row.push(places.get(group).and_then(|(begin, end)| line.get(begin..end)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_columns() {
        let format = Regex::new(r"(?P<b>é+)|(x)(?<a>y*)").unwrap();
        let names: Vec<_> = format.fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["b", "a"]);
        let mut row = Row::new();
        format.cut("zéé", &mut row).unwrap();
        assert_eq!(row.iter().collect::<Vec<_>>(), [Some("éé"), None]);
        format.cut("x", &mut row).unwrap();
        assert_eq!(row.iter().collect::<Vec<_>>(), [None, Some("")]);
        assert_eq!(format.cut("", &mut row).unwrap_err().at(), 0);
    }

    #[test]
    fn patterns_that_cannot_be_used() {
        assert_eq!(Regex::new("(").unwrap_err().to_string(), "the pattern cannot be used: unclosed group");
        assert!(Regex::new("(a)").unwrap_err().to_string().contains("no named groups"));
        assert!(Regex::new("(?<a>.)(?<a>.)").is_err());
    }
}
