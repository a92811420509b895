//! logfmt, as Heroku, Go programs, Grafana and others write.

use arrow::datatypes::Fields;

use super::key_value::Syntax;
use super::{Fault, LineFormat, Row, offset_in, text_columns};
use crate::error::Result;
use crate::text::Text;

/// logfmt: `level=info msg="it is done" took=3ms`, with the keys that are columns.
///
/// Between pairs stand spaces or tabs. A value in double quotes may contain anything; in it, escapes are undone as in JSON. A key
/// without a value, as in `… retry …`, has the value `true`, and one with nothing behind the equals sign has an empty value.
///
/// Pairs with other keys are left out, unless [`Logfmt::ignore_extra`] is false. A key that does not stand in the line is null, and of a key that stands there twice the last
/// value counts. [`Logfmt::pairs`] gives all pairs, whatever their keys.
///
/// # Examples
///
/// ```
/// use gristmill::parse::{LineFormat, Logfmt, Row};
///
/// let format = Logfmt::new(["level", "msg", "user"])?;
/// let mut row = Row::new();
/// format.cut(r#"ts=7 level=warn msg="no \"rye\" left" retry"#, &mut row)?;
/// let fields: Vec<_> = row.iter().collect();
/// assert_eq!(fields, [Some("warn"), Some("no \"rye\" left"), None]);
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Logfmt {
    columns: Fields,
    ignores_extra: bool,
}

const SYNTAX: Syntax = Syntax { separator: b' ', assign: b'=' };

impl Logfmt {
    /// The columns that have these keys.
    ///
    /// # Errors
    ///
    /// If there is no key, or one twice.
    pub fn new(keys: impl IntoIterator<Item = impl Into<String>>) -> Result<Logfmt> {
        Ok(Logfmt { columns: text_columns(keys)?, ignores_extra: true })
    }

    /// Whether a line may have keys that are no columns. Default: true.
    #[must_use]
    pub fn ignore_extra(mut self, ignores_extra: bool) -> Logfmt {
        self.ignores_extra = ignores_extra;
        self
    }

    /// All pairs of a line, in its order. Values are slices of the line, but for those with escapes.
    ///
    /// # Errors
    ///
    /// If a quote is not closed, or followed by something else than a space, or if a value has no key.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// use gristmill::parse::Logfmt;
    ///
    /// let lines = ctx.from_vec(vec![Text::new("level=info took=3ms"), Text::new("level=warn")]);
    /// let keys = lines.try_flat_map(|line| Logfmt::pairs(&line)).map(|(key, _)| key);
    /// assert_eq!(keys.collect()?, ["level", "took", "level"]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    pub fn pairs(line: &Text) -> Result<Vec<(Text, Text)>, Fault> {
        SYNTAX.pairs(line)
    }
}

impl LineFormat for Logfmt {
    fn fields(&self) -> Fields {
        self.columns.clone()
    }

    fn cut<'a>(&self, line: &'a str, row: &mut Row<'a>) -> Result<(), Fault> {
        match SYNTAX.cut(&self.columns, line, row)? {
            Some(key) if !self.ignores_extra => {
                Err(Fault::new(offset_in(line, key), "the key is not one of the columns").in_column(key))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        let line = "at=info  method=GET path=/a?b=c\thost=x.example fwd=\"203.0.113.9\" empty= q=\"\" flag service=4ms";
        let pairs = Logfmt::pairs(&Text::new(line)).unwrap();
        let expected = [
            ("at", "info"),
            ("method", "GET"),
            ("path", "/a?b=c"),
            ("host", "x.example"),
            ("fwd", "203.0.113.9"),
            ("empty", ""),
            ("q", ""),
            ("flag", "true"),
            ("service", "4ms"),
        ];
        assert_eq!(pairs, expected.map(|(key, value)| (Text::new(key), Text::new(value))));
    }

    #[test]
    fn faults() {
        let fault = |line| Logfmt::pairs(&Text::new(line)).unwrap_err().to_string();
        assert_eq!(
            fault("a=1 msg=\"cut of"),
            "the quote that begins here is not closed (column `msg`, byte 8)"
        );
        assert_eq!(fault("a=\"1\"b=2"), "the value goes on after its closing quote (column `a`, byte 5)");
        assert_eq!(fault("a=1 =2"), "a key should stand before the value (byte 4)");
    }
}
