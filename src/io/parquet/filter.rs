//! Which rows of Parquet files are wanted: conditions on columns, as a program writes them.

use std::fmt;
use std::ops::Not;

use crate::parse::UnixTime;
use crate::text::Text;

/// A column that a condition is about; begins a [`Filter`].
///
/// # Examples
///
/// ```
/// use gristmill::io::parquet::col;
///
/// let filter = col("day").between("1994-01-01", "1994-12-31").and(col("quantity").lt(24));
/// assert_eq!(filter.to_string(), r#"day >= "1994-01-01" and day <= "1994-12-31" and quantity < 24"#);
/// assert_eq!((!col("note").is_null()).to_string(), "not (note is null)");
/// ```
pub fn col(name: impl Into<String>) -> Col {
    Col(name.into())
}

/// A column of a [`Filter`]; see [`col`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Col(String);

/// What rows of Parquet files must fulfil to be read: conditions on their columns. See [`col`], and
/// [`ParquetReadOptions::filter`](super::ParquetReadOptions::filter) for what it is good for.
///
/// Columns are those of the files; the records need not have them. They hold numbers, booleans, texts, dates, instants or decimals, and are
/// not nested. What they are compared with is a [`Literal`].
///
/// # Nulls
///
/// As in SQL: a comparison with a null is neither true nor false, and a row is wanted if the whole is true. So neither `col("n").eq(1)` nor
/// `!col("n").eq(1)` takes rows in which `n` is null. Floats are compared as by Rust: a NaN differs from everything.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Filter(pub(super) Condition);

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    Compare(String, Comparison, Literal),
    IsIn(String, Vec<Literal>),
    IsNull(String),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

impl Comparison {
    /// What is true of two values, neither of them null nor NaN, if this is not.
    pub(super) fn negated(self) -> Comparison {
        match self {
            Comparison::Eq => Comparison::NotEq,
            Comparison::NotEq => Comparison::Eq,
            Comparison::Lt => Comparison::GtEq,
            Comparison::LtEq => Comparison::Gt,
            Comparison::Gt => Comparison::LtEq,
            Comparison::GtEq => Comparison::Lt,
        }
    }

    /// Whether it is true of floats, as Rust has them.
    #[allow(clippy::float_cmp, reason = "it is exactly what is asked for")]
    pub(super) fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Comparison::Eq => a == b,
            Comparison::NotEq => a != b,
            Comparison::Lt => a < b,
            Comparison::LtEq => a <= b,
            Comparison::Gt => a > b,
            Comparison::GtEq => a >= b,
        }
    }
}

/// A value that a column is compared with. It must be one of the column's type, exactly:
///
/// | column | literal |
/// |---|---|
/// | integers | an integer of any width that fits |
/// | floats | a float, or an integer of up to 53 bits |
/// | booleans, texts | the same |
/// | dates | a text such as `"2026-01-31"`, or an `i32`: days since 1970, as records have them |
/// | instants | a text of RFC 3339 such as `"2026-01-31T23:59:59Z"`, or a [`UnixTime`] |
/// | decimals | a text such as `"0.05"`, or an integer: `5` is `5.00` |
///
/// It is made by `From`, so that a plain value can be given wherever one is wanted.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Literal {
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A float.
    Float(f64),
    /// A text, or the text of a date, an instant or a decimal.
    Text(String),
    /// An instant.
    Time(UnixTime),
}

macro_rules! literal {
    ($($type:ty => |$value:ident| $literal:expr),* $(,)?) => {$(
        impl From<$type> for Literal {
            fn from($value: $type) -> Literal {
                $literal
            }
        }
    )*};
}

literal! {
    bool => |value| Literal::Bool(value),
    i8 => |value| Literal::Int(value.into()),
    i16 => |value| Literal::Int(value.into()),
    i32 => |value| Literal::Int(value.into()),
    i64 => |value| Literal::Int(value.into()),
    u8 => |value| Literal::Int(value.into()),
    u16 => |value| Literal::Int(value.into()),
    u32 => |value| Literal::Int(value.into()),
    u64 => |value| Literal::Int(value.into()),
    f32 => |value| Literal::Float(value.into()),
    f64 => |value| Literal::Float(value),
    &str => |value| Literal::Text(value.to_owned()),
    String => |value| Literal::Text(value),
    Text => |value| Literal::Text(value.to_string()),
    UnixTime => |value| Literal::Time(value),
}

impl Col {
    /// Equal to the value.
    pub fn eq(self, value: impl Into<Literal>) -> Filter {
        self.compare(Comparison::Eq, value)
    }

    /// Another value.
    pub fn not_eq(self, value: impl Into<Literal>) -> Filter {
        self.compare(Comparison::NotEq, value)
    }

    /// Less than the value. Texts are compared by their bytes.
    pub fn lt(self, value: impl Into<Literal>) -> Filter {
        self.compare(Comparison::Lt, value)
    }

    /// The value, or less.
    pub fn lt_eq(self, value: impl Into<Literal>) -> Filter {
        self.compare(Comparison::LtEq, value)
    }

    /// Greater than the value.
    pub fn gt(self, value: impl Into<Literal>) -> Filter {
        self.compare(Comparison::Gt, value)
    }

    /// The value, or greater.
    pub fn gt_eq(self, value: impl Into<Literal>) -> Filter {
        self.compare(Comparison::GtEq, value)
    }

    /// From `low` to `high`, both of them included.
    pub fn between(self, low: impl Into<Literal>, high: impl Into<Literal>) -> Filter {
        self.clone().gt_eq(low).and(self.lt_eq(high))
    }

    /// One of the values. No row is in none.
    pub fn is_in<L: Into<Literal>>(self, values: impl IntoIterator<Item = L>) -> Filter {
        Filter(Condition::IsIn(self.0, values.into_iter().map(Into::into).collect()))
    }

    /// Null.
    pub fn is_null(self) -> Filter {
        Filter(Condition::IsNull(self.0))
    }

    /// Not null.
    pub fn is_not_null(self) -> Filter {
        !self.is_null()
    }

    fn compare(self, comparison: Comparison, value: impl Into<Literal>) -> Filter {
        Filter(Condition::Compare(self.0, comparison, value.into()))
    }
}

impl Filter {
    /// Both.
    pub fn and(self, other: Filter) -> Filter {
        // Flat, so that a long chain is no deep tree.
        Filter(match self.0 {
            Condition::All(mut all) => {
                all.push(other.0);
                Condition::All(all)
            }
            first => Condition::All(vec![first, other.0]),
        })
    }

    /// One of them, or both.
    pub fn or(self, other: Filter) -> Filter {
        Filter(match self.0 {
            Condition::Any(mut any) => {
                any.push(other.0);
                Condition::Any(any)
            }
            first => Condition::Any(vec![first, other.0]),
        })
    }
}

impl Not for Filter {
    type Output = Filter;

    fn not(self) -> Filter {
        Filter(Condition::Not(Box::new(self.0)))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Compare(column, comparison, value) => write!(f, "{column} {comparison} {value}"),
            Condition::IsIn(column, values) => {
                write!(f, "{column} in (")?;
                // A list may be long, and what it is printed for is a line.
                let shown = values.iter().take(3).map(Literal::to_string).collect::<Vec<_>>().join(", ");
                f.write_str(&shown)?;
                f.write_str(if values.len() > 3 { ", …)" } else { ")" })
            }
            Condition::IsNull(column) => write!(f, "{column} is null"),
            Condition::All(all) => join(f, all, " and "),
            Condition::Any(any) => join(f, any, " or "),
            Condition::Not(condition) => write!(f, "not ({condition})"),
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, conditions: &[Condition], by: &str) -> fmt::Result {
    for (index, condition) in conditions.iter().enumerate() {
        if index > 0 {
            f.write_str(by)?;
        }
        match condition {
            Condition::All(_) | Condition::Any(_) => write!(f, "({condition})")?,
            _ => write!(f, "{condition}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Comparison::Eq => "=",
            Comparison::NotEq => "!=",
            Comparison::Lt => "<",
            Comparison::LtEq => "<=",
            Comparison::Gt => ">",
            Comparison::GtEq => ">=",
        })
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Bool(value) => value.fmt(f),
            Literal::Int(value) => value.fmt(f),
            Literal::Float(value) => value.fmt(f),
            Literal::Text(value) => write!(f, "{value:?}"),
            Literal::Time(UnixTime { seconds, nanos }) => write!(f, "{seconds}.{nanos:09} s after 1970"),
        }
    }
}
