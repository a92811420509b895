//! Which type a column of text has, told from a sample of its values.
//!
//! A type is only taken if it gives every value of the sample back as it was written, or equal to it as a number: `007` is no number, and prices
//! that all have two decimals are decimals, not floats. A fraction of up to 17 digits is as programs write floats, and taken for one.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::lines::LineOptions;
use super::resolve::InputFile;
use super::split::{SplitOptions, splits};
use super::text::LineReader;
use crate::error::Result;
use crate::parse::{LineFormat, Row, TimeFormat, date, float, has_zone};

/// Rows that are looked at by default.
pub const DEFAULT_ROWS: usize = 20_000;

/// Digits of a decimal; the second number is taken if a sample comes near the first.
const DECIMAL_DIGITS: [usize; 2] = [18, 38];

/// Hands the first `rows` lines of files that are not empty to `visit`.
///
/// # Errors
///
/// If a file cannot be read.
pub fn sample_lines(
    files: &[InputFile],
    lines: LineOptions,
    rows: usize,
    mut visit: impl FnMut(&str),
) -> Result<()> {
    let mut left = rows;
    for split in splits(files.to_vec(), &SplitOptions { target_bytes: None, ..SplitOptions::default() }) {
        let mut reader = LineReader::new(split, lines);
        while left > 0 {
            let Some(block) = reader.next_block()? else { break };
            for line in block.texts().filter(|line| !line.trim_ascii().is_empty()).take(left) {
                left -= 1;
                visit(&line);
            }
        }
    }
    Ok(())
}

/// Whether a format cuts lines into texts of which it does not know what they mean.
pub fn is_untyped(format: &dyn LineFormat) -> bool {
    format.fields().iter().all(|field| *field.data_type() == DataType::Utf8 && field.is_nullable())
}

/// The columns that a format [that knows no types](is_untyped) cuts the first `rows` lines into. Lines that it cannot cut are left out.
///
/// # Errors
///
/// If a file cannot be read.
pub fn infer_lines(
    files: &[InputFile],
    format: &dyn LineFormat,
    lines: LineOptions,
    rows: usize,
) -> Result<SchemaRef> {
    let fields = format.fields();
    let mut columns = vec![TextColumn::default(); fields.len()];
    sample_lines(files, lines, rows, |line| {
        let mut row = Row::new();
        if format.cut(line, &mut row).is_ok() {
            let values =
                columns.iter_mut().enumerate().filter_map(|(at, column)| Some((column, row.get(at)?)));
            values.for_each(|(column, value)| column.add(value));
        }
    })?;
    let typed = fields.iter().zip(&columns);
    let typed = typed.map(|(field, column)| Field::new(field.name(), column.data_type(), true));
    Ok(Arc::new(Schema::new(typed.collect::<Vec<_>>())))
}

/// What the values of a column have in common.
#[derive(Debug, Clone)]
pub struct TextColumn {
    values: u64,
    /// The kinds that all values had, the narrowest first.
    kinds: Vec<Kind>,
    /// The most digits before the point, and the most decimals, of numbers.
    whole_digits: usize,
    decimals: usize,
    /// The most digits of the fractions of seconds, and whether nanoseconds reach as far as the times.
    fraction_digits: usize,
    fits_nanos: bool,
}

/// A kind of values; one value may be of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Int,
    /// A number with as many decimals as all others of its column.
    Decimal,
    Float,
    /// A number that would not be the same as a float.
    Precise,
    Date,
    /// A time with a zone.
    Instant,
    /// A time without one.
    LocalTime,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::Boolean,
        Kind::Int,
        Kind::Decimal,
        Kind::Float,
        Kind::Precise,
        Kind::Date,
        Kind::Instant,
        Kind::LocalTime,
    ];

    fn has(self, text: &str) -> bool {
        match self {
            Kind::Boolean => matches!(text, "true" | "false"),
            Kind::Int => {
                Number::of(text).is_some_and(|number| number.decimals == 0) && text.parse::<i64>().is_ok()
            }
            Kind::Decimal | Kind::Precise => Number::of(text).is_some(),
            Kind::Float => is_float(text),
            Kind::Date => date(text).is_ok(),
            Kind::Instant => is_time(text) && has_zone(text),
            Kind::LocalTime => is_time(text) && !has_zone(text),
        }
    }
}

fn is_time(text: &str) -> bool {
    text.len() >= CLOCK_END && TimeFormat::Rfc3339.parse(text).is_ok()
}

/// Where the seconds of a time end.
const CLOCK_END: usize = "2026-01-31T23:59:59".len();

impl Default for TextColumn {
    fn default() -> TextColumn {
        TextColumn {
            values: 0,
            kinds: Kind::ALL.to_vec(),
            whole_digits: 0,
            decimals: 0,
            fraction_digits: 0,
            fits_nanos: true,
        }
    }
}

impl TextColumn {
    /// Takes a value that is not null into account.
    pub fn add(&mut self, text: &str) {
        self.values += 1;
        self.kinds.retain(|kind| kind.has(text));
        if let Some(Number { whole_digits, decimals }) = Number::of(text) {
            let others_differ = self.values > 1 && decimals != self.decimals;
            self.kinds.retain(|kind| *kind != Kind::Decimal || !others_differ);
            self.whole_digits = self.whole_digits.max(whole_digits);
            self.decimals = self.decimals.max(decimals);
        }
        if self.kinds.iter().any(|kind| matches!(kind, Kind::Instant | Kind::LocalTime)) {
            let fraction = text.get(CLOCK_END..).and_then(|rest| rest.strip_prefix('.')).unwrap_or_default();
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            self.fraction_digits = self.fraction_digits.max(digits);
            let nanos = TimeFormat::Rfc3339.parse(text).and_then(|time| time.in_unit(TimeUnit::Nanosecond));
            self.fits_nanos &= nanos.is_ok();
        }
    }

    /// The type of the column: text, if there are no values.
    pub fn data_type(&self) -> DataType {
        let unit = match self.fraction_digits {
            0..=6 => Some(TimeUnit::Microsecond),
            _ => self.fits_nanos.then_some(TimeUnit::Nanosecond),
        };
        let types = self.kinds.iter().filter_map(|kind| match kind {
            Kind::Boolean => Some(DataType::Boolean),
            Kind::Int => Some(DataType::Int64),
            Kind::Decimal | Kind::Precise => self.decimal(),
            Kind::Float => Some(DataType::Float64),
            Kind::Date => Some(DataType::Date32),
            Kind::Instant => unit.map(|unit| DataType::Timestamp(unit, Some("UTC".into()))),
            Kind::LocalTime => unit.map(|unit| DataType::Timestamp(unit, None)),
        });
        let mut types = types.filter(|_| self.values > 0);
        types.next().unwrap_or(DataType::Utf8)
    }

    /// The decimal that has room for the values, if there is one.
    fn decimal(&self) -> Option<DataType> {
        let decimals = self.decimals;
        let digits = self.whole_digits + decimals;
        let [usual, most] = DECIMAL_DIGITS;
        let precision = if digits + 3 <= usual { usual } else { most };
        (digits <= precision).then_some(DataType::Decimal128(precision as u8, decimals as i8))
    }
}

/// A number in the one way in which programs write a decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number {
    whole_digits: usize,
    decimals: usize,
}

impl Number {
    fn of(text: &str) -> Option<Number> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_number = !whole.is_empty()
            && are_digits(whole)
            && are_digits(decimals)
            && !digits.ends_with('.')
            && (whole == "0" || !whole.starts_with('0'))
            && !text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.') && text.starts_with('-'));
        is_number.then_some(Number { whole_digits: whole.len(), decimals: decimals.len() })
    }
}

/// Whether a text is a number that may have an exponent, and that a float gives back; a code such as `007` or `+1` is none.
fn is_float(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let has_leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let begins = digits.starts_with(|first: char| first.is_ascii_digit());
    let special = matches!(text, "NaN" | "inf" | "-inf" | "Infinity" | "-Infinity");
    let Ok(value) = float(text) else { return false };
    special || (begins && !has_leading_zero && comes_back(text, value))
}

/// Whether a number, written with as many digits as the text, has the digits of the text; or is a fraction as programs write floats.
fn comes_back(text: &str, value: f64) -> bool {
    /// Floats tell apart all numbers of so many digits, and programs write them with so many at most.
    const DIGITS: (usize, usize) = (15, 17);
    let is_fraction = text.contains(['.', 'e', 'E']);
    let safe_digits = if is_fraction { DIGITS.1 } else { DIGITS.0 };
    let significant = |text: &str| {
        let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        digits.trim_start_matches('0').to_owned()
    };
    let digits = significant(text);
    digits.len() <= safe_digits || significant(&format!("{value:.*e}", digits.len() - 1)) == digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_of(values: &[&str]) -> DataType {
        let mut column = TextColumn::default();
        for value in values {
            column.add(value);
        }
        column.data_type()
    }

    #[test]
    fn a_type_gives_all_values_back() {
        let utc = |unit| DataType::Timestamp(unit, Some("UTC".into()));
        let micros = TimeUnit::Microsecond;
        for (values, expected) in [
            (&[][..], DataType::Utf8),
            (&["true", "false"], DataType::Boolean),
            (&["true", "1"], DataType::Utf8),
            (&["1", "0"], DataType::Int64),
            (&["-9223372036854775808", "12"], DataType::Int64),
            (&["9223372036854775808"], DataType::Decimal128(38, 0)),
            (&["01", "12"], DataType::Utf8),
            (&["+1"], DataType::Utf8),
            (&["-0"], DataType::Float64),
            (&["１"], DataType::Utf8),
            (&["901.00", "-0.10"], DataType::Decimal128(18, 2)),
            (&["1234567890123456.00"], DataType::Decimal128(38, 2)),
            (&["-0.00"], DataType::Float64),
            (&["1.5", "2.25"], DataType::Float64),
            (&["1", "2.5"], DataType::Float64),
            (&["1.2345678901234567e-5", "0.10000000000000001", "9007199254740992"], DataType::Float64),
            (&["0.1", "12345678901234567"], DataType::Decimal128(38, 1)),
            (&["0.5", "0.1234567890123456789"], DataType::Decimal128(38, 19)),
            (&["1e2", "12345678901234567"], DataType::Utf8),
            (&["1e400"], DataType::Utf8),
            (&["1e9", "NaN", "-inf"], DataType::Float64),
            (&["1."], DataType::Float64),
            (&["2026-02-28"], DataType::Date32),
            (&["2026-02-30"], DataType::Utf8),
            (&["2026-02-28T10:00:00Z", "2026-02-28 10:00:00.5+01:00"], utc(micros)),
            (&["2026-02-28T10:00:00.1234567Z"], utc(TimeUnit::Nanosecond)),
            (&["2026-02-28 10:00:00.1234567", "1600-01-01 00:00:00"], DataType::Utf8),
            (&["0001-01-01 00:00:00.123456"], DataType::Timestamp(micros, None)),
            (&["2026-02-28 10:00:00"], DataType::Timestamp(micros, None)),
            (&["2026-02-28 10:00:00", "2026-02-28 10:00:00Z"], DataType::Utf8),
            (&["a", "1"], DataType::Utf8),
        ] {
            assert_eq!(type_of(values), expected, "{values:?}");
        }
    }
}
