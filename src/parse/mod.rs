//! Lines of text to columns: the formats of common logs, fields between delimiters or at fixed positions, pairs of keys and values,
//! and regular expressions.
//!
//! There are two ways in. Formats with columns that never change have a record, and its `parse` goes where closures go:
//!
//! ```
//! # use gristmill::prelude::*;
//! use gristmill::parse::Combined;
//!
//! let ctx = Context::new()?;
//! # let lines = vec![r#"::1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 404 7 "-" "curl/8""#];
//! # let lines = ctx.from_vec(lines).map(Text::new);
//! // let lines = ctx.read_text("access.log")?;
//! let missing = lines.try_map(|line| Combined::parse(&line)).filter(|hit| hit.status == 404);
//! assert_eq!(missing.count()?, 1);
//! # Ok::<(), gristmill::Error>(())
//! ```
//!
//! All formats are [`LineFormat`]s, too, which cut lines into a [`Row`] of text and say which types its columns have. That is for
//! programs that learn only when they run what they read. [`ColumnsBuilder`] makes Arrow columns of such rows.
//!
//! | format | record | line format |
//! |---|---|---|
//! | Apache, common and combined | [`Common`], [`Combined`] | [`CommonFormat`], [`CombinedFormat`] |
//! | nginx, access and error log | [`NginxAccess`], [`NginxError`] | [`NginxAccessFormat`], [`NginxErrorFormat`] |
//! | syslog, as in RFC 3164 and RFC 5424 | [`Syslog3164`], [`Syslog5424`] | [`Syslog3164Format`], [`Syslog5424Format`] |
//! | logfmt, and other pairs of keys and values | | [`Logfmt`], [`KeyValue`] |
//! | fixed width, delimited, regular expression | | [`FixedWidth`], [`Delimited`], [`Regex`] |
//! | lines as they are | [`Text`] | [`WholeLine`] |
//!
//! Texts in records are slices of their line, not copies. What is wrong with a line is a [`Fault`], with the place in the line.

use arrow::datatypes::{DataType, Field, Fields};

use crate::error::{Error, ErrorKind, Result};
use crate::text::Text;

mod access;
mod apache;
mod columns;
mod delimited;
mod escape;
mod fault;
mod fixed_width;
mod key_value;
mod logfmt;
mod nginx;
mod nginx_error;
mod priority;
mod regex;
mod row;
mod scan;
mod syslog3164;
mod syslog5424;
mod time;
mod value;
mod whole_line;

pub use apache::{Combined, CombinedFormat, Common, CommonFormat};
pub use columns::ColumnsBuilder;
pub use delimited::Delimited;
pub use fault::{Fault, Invalid};
pub use fixed_width::FixedWidth;
pub use key_value::KeyValue;
pub use logfmt::Logfmt;
pub use nginx::{NginxAccess, NginxAccessFormat};
pub use nginx_error::{NginxError, NginxErrorFormat};
pub use regex::Regex;
pub use row::Row;
pub use syslog3164::{Syslog3164, Syslog3164Format};
pub use syslog5424::{SdElement, SdParam, Syslog5424, Syslog5424Format};
pub(crate) use time::has_zone;
pub use time::{
    Assumed, TimeFormat, UnixTime, clf, date, nginx_error, rfc3164, rfc3339, unix_millis, unix_seconds,
};
pub use value::{boolean, decimal, float, float32, int, ip};
pub use whole_line::WholeLine;

/// A format that cuts a line into the fields of fixed columns.
///
/// Lines are without their line ends. To cut a line is to find its fields and to take quotes and escapes away; whether a
/// field is a number or a time that its column can hold is looked at by who makes columns of the rows.
///
/// # Examples
///
/// A format of your own:
///
/// ```
/// use arrow::datatypes::{DataType, Field, Fields};
/// use gristmill::parse::{Fault, LineFormat, Row};
///
/// /// `7 x rye`
/// struct Items;
///
/// impl LineFormat for Items {
///     fn fields(&self) -> Fields {
///         [("count", DataType::UInt32), ("item", DataType::Utf8)]
///             .map(|(name, data_type)| Field::new(name, data_type, false))
///             .into_iter()
///             .collect()
///     }
///
///     fn cut<'a>(&self, line: &'a str, row: &mut Row<'a>) -> Result<(), Fault> {
///         let (count, item) = line.split_once(" x ").ok_or(Fault::new(0, "there is no ` x ` in the line"))?;
///         row.clear();
///         row.push(Some(count));
///         row.push(Some(item));
///         Ok(())
///     }
/// }
///
/// let mut row = Row::new();
/// Items.cut("7 x rye", &mut row)?;
/// assert_eq!(row.get(1), Some("rye"));
/// # Ok::<(), Fault>(())
/// ```
pub trait LineFormat: Send + Sync + 'static {
    /// The columns: their names, types, and whether they can be null. They are the same at each call.
    fn fields(&self) -> Fields;

    /// Fills `row` with the fields of a line, one for each column. What was in it before is gone.
    ///
    /// # Errors
    ///
    /// If the line does not have the format; nobody should look at the row then.
    fn cut<'a>(&self, line: &'a str, row: &mut Row<'a>) -> Result<(), Fault>;

    /// How the times of a column are written whose type is a timestamp. Default: as in RFC 3339.
    fn time_format(&self, _column: usize) -> TimeFormat {
        TimeFormat::default()
    }
}

/// Columns of text that can be null, for the formats that know no types.
///
/// # Errors
///
/// If there are no names, or one stands there twice.
fn text_columns(names: impl IntoIterator<Item = impl Into<String>>) -> Result<Fields> {
    let fields: Fields =
        names.into_iter().map(|name| Field::new(name.into(), DataType::Utf8, true)).collect();
    if fields.is_empty() {
        return Err(
            Error::new(ErrorKind::Config, "a format of lines has no columns").hint("name one or more")
        );
    }
    let twice = (1..fields.len()).find(|&column| {
        fields.iter().take(column).any(|before| fields.get(column).is_some_and(|f| f.name() == before.name()))
    });
    match twice.and_then(|column| fields.get(column)) {
        Some(field) => {
            let message = format!("two columns of a format have the name `{}`", field.name().escape_debug());
            Err(Error::new(ErrorKind::Config, message).hint("rename one of them"))
        }
        None => Ok(fields),
    }
}

/// Where a part of a line begins in it; 0 if it is no part of the line.
fn offset_in(line: &str, part: &str) -> usize {
    let offset = part.as_ptr().addr().wrapping_sub(line.as_ptr().addr());
    if offset <= line.len() { offset } else { 0 }
}

/// A part of a line as a text that shares the block of the line.
#[inline]
fn shared(line: &Text, part: &str) -> Text {
    let start = part.as_ptr().addr().wrapping_sub(line.as_ptr().addr());
    let slice = start.checked_add(part.len()).and_then(|end| line.get(start..end));
    slice.unwrap_or_else(|| Text::new(part)) // not of this line
}

/// The value of a field that is a part of a line.
#[inline]
fn value<T>(
    line: &str,
    column: &str,
    field: &str,
    convert: impl FnOnce(&str) -> Result<T, Invalid>,
) -> Result<T, Fault> {
    convert(field).map_err(|invalid| Fault::in_value(column, offset_in(line, field), field, invalid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_long_line_is_not_copied() {
        let line = Text::new(&"a word of a line, ".repeat(9));
        let part = line.as_str().get(20..70).unwrap();
        let text = shared(&line, part);
        assert_eq!((text.as_str(), text.as_str().as_ptr()), (part, part.as_ptr()));
        assert_eq!(offset_in(&line, part), 20);
        let elsewhere = "b".repeat(50);
        assert_eq!(shared(&line, &elsewhere), elsewhere.as_str());
        assert_eq!(shared(&Text::new("in line"), ""), "");
    }

    #[test]
    fn names_of_columns() {
        assert_eq!(text_columns(["a", "b"]).unwrap().len(), 2);
        assert!(text_columns(["a", "b", "a"]).unwrap_err().to_string().contains("the name `a`"));
        assert!(text_columns(Vec::<String>::new()).is_err());
    }
}
