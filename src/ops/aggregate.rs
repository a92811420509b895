//! [`Aggregate`]: what is to be told of the rows of a group.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::record::nearest;

/// What a column of [`Table::aggregate`](crate::Table::aggregate) tells of the rows of a group.
///
/// Nulls are passed over, as in SQL. Of a group with no value, and of a table without rows, a count is 0 and all else is null.
///
/// | aggregate | of | is | as |
/// |---|---|---|---|
/// | [`rows`](Aggregate::rows) | | the number of rows | `Int64` |
/// | [`count`](Aggregate::count) | any column | the number of values that are no null | `Int64` |
/// | [`sum`](Aggregate::sum) | integers | the exact sum; the run fails if it does not fit | `Int64`; of unsigned ones `UInt64` |
/// | | decimals of `p` digits | the exact sum; the run fails if it does not fit | a decimal of `p + 10` digits, at most 38 |
/// | | floats | the sum; the same to the bit in every run | `Float64` |
/// | [`mean`](Aggregate::mean) | numbers | the sum by the number of values | `Float64` |
/// | [`min`](Aggregate::min), [`max`](Aggregate::max) | what can be sorted by | the first or last value in the order of [`Table::sort_by`](crate::Table::sort_by): NaN is the largest float | the type of the column |
///
/// As text it is `count`, or a function and its column, and a name if it is to have another one: `count`, `sum(bytes)`,
/// `mean(bytes) as size`. Functions are `count`, `sum`, `min`, `max`, and `mean` or `avg`.
///
/// # Examples
///
/// ```
/// use gristmill::Aggregate;
///
/// assert_eq!("count".parse::<Aggregate>()?, Aggregate::rows());
/// assert_eq!("sum(bytes) as bytes".parse::<Aggregate>()?, Aggregate::sum("bytes").named("bytes"));
/// assert_eq!(Aggregate::max("time").name(), "max(time)");
/// assert!("median(bytes)".parse::<Aggregate>().is_err());
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    what: What,
    name: Option<String>,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Rows,
    Of(Function, String),
}

/// What is told of the values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Count,
    Sum,
    Min,
    Max,
    Mean,
}

/// Functions by name; the first name of each is the one that is written.
const FUNCTIONS: [(&str, Function); 6] = [
    ("count", Function::Count),
    ("sum", Function::Sum),
    ("min", Function::Min),
    ("max", Function::Max),
    ("mean", Function::Mean),
    ("avg", Function::Mean),
];

impl Function {
    pub(super) fn name(self) -> &'static str {
        FUNCTIONS.iter().find(|(_, function)| *function == self).map_or("", |(name, _)| name)
    }
}

impl Aggregate {
    /// The number of rows; its name is `count`.
    pub fn rows() -> Aggregate {
        Aggregate { what: What::Rows, name: None }
    }

    /// The number of values that are no null; its name is `count(COLUMN)`, and so are those of the others.
    pub fn count(column: impl Into<String>) -> Aggregate {
        Aggregate::of(Function::Count, column)
    }

    /// The sum of the values.
    pub fn sum(column: impl Into<String>) -> Aggregate {
        Aggregate::of(Function::Sum, column)
    }

    /// The smallest value.
    pub fn min(column: impl Into<String>) -> Aggregate {
        Aggregate::of(Function::Min, column)
    }

    /// The largest value.
    pub fn max(column: impl Into<String>) -> Aggregate {
        Aggregate::of(Function::Max, column)
    }

    /// The mean of the values.
    pub fn mean(column: impl Into<String>) -> Aggregate {
        Aggregate::of(Function::Mean, column)
    }

    fn of(function: Function, column: impl Into<String>) -> Aggregate {
        Aggregate { what: What::Of(function, column.into()), name: None }
    }

    /// The same with another name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Aggregate {
        Aggregate { name: Some(name.into()), ..self }
    }

    /// The name of the column that it will be.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.what.to_string())
    }

    /// The column whose values it looks at, where it looks at any.
    pub fn column(&self) -> Option<&str> {
        match &self.what {
            What::Rows => None,
            What::Of(_, column) => Some(column),
        }
    }

    pub(super) fn what(&self) -> &What {
        &self.what
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Rows => f.write_str("count"),
            What::Of(function, column) => write!(f, "{}({column})", function.name()),
        }
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{} as {name}", self.what),
            None => self.what.fmt(f),
        }
    }
}

impl FromStr for Aggregate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Aggregate> {
        let (function, rest) = text.trim().split_at(end_of_word(text.trim()));
        let (column, rest) = in_parentheses(rest.trim_start()).ok_or_else(|| wrong(text))?;
        let what = match (named_function(function, text)?, column.map(str::trim)) {
            (Function::Count, None | Some("" | "*")) => What::Rows,
            (_, None | Some("")) => return Err(wrong(text)),
            (function, Some(column)) => What::Of(function, column.to_owned()),
        };
        let name = match rest.trim_start().split_at_checked(2) {
            None if rest.trim_start().is_empty() => None,
            Some((word, name))
                if word.eq_ignore_ascii_case("as") && name.starts_with(char::is_whitespace) =>
            {
                Some(name.trim().to_owned())
            }
            _ => return Err(wrong(text)),
        };
        Ok(Aggregate { what, name })
    }
}

fn end_of_word(text: &str) -> usize {
    text.find(|c: char| c == '(' || c.is_whitespace()).unwrap_or(text.len())
}

/// What stands between the parenthesis that a text begins with and the one that closes it, and what follows. Names of columns may have
/// pairs of them: `max(sum(bytes))` is the largest value of `sum(bytes)`.
fn in_parentheses(text: &str) -> Option<(Option<&str>, &str)> {
    let Some(inner) = text.strip_prefix('(') else { return Some((None, text)) };
    let mut depth = 1;
    let end = inner.find(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    })?;
    Some((Some(&inner[..end]), &inner[end + 1..]))
}

fn named_function(name: &str, text: &str) -> Result<Function> {
    let known = FUNCTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let Some((_, function)) = known else {
        let nearest = nearest(name, FUNCTIONS.iter().map(|(name, _)| *name)).unwrap_or_default();
        let message = format!("there is no aggregate `{}`", text.trim().escape_debug());
        return Err(Error::new(ErrorKind::Config, message)
            .hint(format!("the nearest function is `{nearest}`; all are count, sum, min, max and mean")));
    };
    Ok(*function)
}

fn wrong(text: &str) -> Error {
    Error::new(ErrorKind::Config, format!("`{}` is no aggregate", text.escape_debug()))
        .hint("give one such as count, 'sum(bytes)' or 'mean(bytes) as size'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read() {
        let all = [
            Aggregate::rows(),
            Aggregate::rows().named("n"),
            Aggregate::count("a b"),
            Aggregate::sum("as"),
            Aggregate::min("x").named("as as"),
            Aggregate::max("sum(bytes)"),
            Aggregate::mean("f(x) (y)").named("(z"),
        ];
        for aggregate in all {
            assert_eq!(aggregate.to_string().parse::<Aggregate>().unwrap(), aggregate);
        }
    }

    #[test]
    fn people_write_it_in_several_ways() {
        let parsed = |text: &str| text.parse::<Aggregate>().unwrap();
        for text in ["count", "COUNT(*)", " count() ", "count ( * )"] {
            assert_eq!(parsed(text), Aggregate::rows());
        }
        assert_eq!(parsed("Avg( x )  AS  the mean "), Aggregate::mean("x").named("the mean"));
        assert_eq!(parsed("count as n"), Aggregate::rows().named("n"));
        assert_eq!(parsed("max(ä)as n"), Aggregate::max("ä").named("n"));
    }

    #[test]
    fn what_is_none_is_an_error() {
        let fault = |text: &str| text.parse::<Aggregate>().unwrap_err().to_string();
        for text in ["sum", "sum()", "sum(x", "sum(x))", "sum(x) n", "sum(x) as", "sum(x) asn", "sum(*) é"] {
            assert!(fault(text).contains("is no aggregate; give one such as"), "{text}");
        }
        assert!(fault("som(x)").contains("the nearest function is `sum`"));
        assert!(fault("").contains("no aggregate ``"));
        assert_eq!(Aggregate::rows().column(), None);
        assert_eq!(Aggregate::max("time").column(), Some("time"));
    }
}
