//! Texts with `${name}` in them, and arithmetic of dates, and nothing more: `raw/${date - 1d}/*.log`.

use std::fmt;

use jiff::{Span, ToSpan};

use super::param::{ParamValue, unknown_param};
use crate::error::{Error, ErrorKind, Result};

/// A text with names to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The value of a name, so much later or earlier.
    Value {
        name: String,
        shift: Option<Shift>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shift {
    count: i64,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Hours,
    Days,
    Weeks,
    Months,
    Years,
}

/// The units by their names in a template.
const UNITS: [(&str, Unit); 5] =
    [("h", Unit::Hours), ("d", Unit::Days), ("w", Unit::Weeks), ("mo", Unit::Months), ("y", Unit::Years)];

/// What names stand for.
pub(super) trait Names {
    /// The value of a name.
    fn value(&self, name: &str) -> Option<ParamValue>;

    /// All names.
    fn names(&self) -> Vec<String>;
}

impl Template {
    /// Understands a text. `$${` stands for `${`; any other dollar sign for itself.
    pub fn parse(text: &str) -> Result<Template> {
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                plain.push_str(before);
                plain.push_str("${");
                rest = after;
                continue;
            }
            plain.push_str(before);
            let (expression, after) =
                after.split_once('}').ok_or_else(|| wrong(text, "a `${` has no `}` behind it"))?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::value(expression).map_err(|fault| wrong(text, &fault))?);
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Template { text: text.to_owned(), pieces })
    }

    /// The text with the values of its names.
    ///
    /// # Errors
    ///
    /// If a name is unknown, or its value cannot be shifted.
    pub fn expand(&self, names: &impl Names) -> Result<String> {
        let mut expanded = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => expanded.push_str(text),
                Piece::Value { name, shift } => {
                    let known = names.names();
                    let value = names
                        .value(name)
                        .ok_or_else(|| unknown_param(name, known.iter().map(String::as_str)))?;
                    let value = shift.map_or(Ok(value.clone()), |shift| shift.apply(&value))?;
                    expanded.push_str(&value.to_string());
                }
            }
        }
        Ok(expanded)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Piece {
    fn value(expression: &str) -> Result<Piece, String> {
        let (name, shift) = match expression.find(['+', '-']) {
            None => (expression, None),
            Some(at) => (&expression[..at], Some(Shift::parse(&expression[at..])?)),
        };
        let name = name.trim();
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
        if is_name {
            Ok(Piece::Value { name: name.to_owned(), shift })
        } else {
            Err(format!("`{}` is no name", name.escape_debug()))
        }
    }
}

impl Shift {
    /// Understands a sign, a number and a unit, as in `- 1d`.
    fn parse(text: &str) -> Result<Shift, String> {
        let (sign, amount) = text.split_at(1);
        let amount = amount.trim();
        let digits = amount.find(|char: char| !char.is_ascii_digit()).unwrap_or(amount.len());
        let (count, unit) = amount.split_at(digits);
        let unit = UNITS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, unit)| *unit);
        match (count.parse::<i64>(), unit) {
            (Ok(count), Some(unit)) => Ok(Shift { count: if sign == "-" { -count } else { count }, unit }),
            _ => Err(format!(
                "`{}` is no shift such as + 1d; the units are h, d, w, mo and y",
                text.escape_debug()
            )),
        }
    }

    fn apply(self, value: &ParamValue) -> Result<ParamValue> {
        let shifted = match (value, self.unit) {
            (ParamValue::Timestamp(instant), Unit::Hours | Unit::Days | Unit::Weeks) => {
                let hours = self.count.saturating_mul(self.unit.hours());
                instant.checked_add(jiff::SignedDuration::from_hours(hours)).map(ParamValue::Timestamp)
            }
            (ParamValue::Date(date), Unit::Days | Unit::Weeks | Unit::Months | Unit::Years) => {
                self.span().and_then(|span| date.checked_add(span)).map(ParamValue::Date)
            }
            _ => {
                let message = format!("{value} cannot be shifted by {:?}", self.unit).to_lowercase();
                return Err(Error::new(ErrorKind::Config, message)
                    .hint("dates are shifted by d, w, mo and y, timestamps by h, d of 24 hours and w"));
            }
        };
        shifted.map_err(|error| {
            let message = format!("{value} cannot be shifted so far");
            Error::new(ErrorKind::Config, message).because(error)
        })
    }

    fn span(self) -> Result<Span, jiff::Error> {
        match self.unit {
            Unit::Hours => 0.hours().try_hours(self.count),
            Unit::Days => 0.days().try_days(self.count),
            Unit::Weeks => 0.weeks().try_weeks(self.count),
            Unit::Months => 0.months().try_months(self.count),
            Unit::Years => 0.years().try_years(self.count),
        }
    }
}

impl Unit {
    fn hours(self) -> i64 {
        match self {
            Unit::Hours => 1,
            Unit::Weeks => 7 * 24,
            _ => 24,
        }
    }
}

fn wrong(text: &str, fault: &str) -> Error {
    Error::new(ErrorKind::Config, format!("`{}`: {fault}", text.escape_debug()))
        .hint("write ${name}, ${date - 1d}, or $${ for ${")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::ParamType;

    struct Fixed;

    impl Names for Fixed {
        fn value(&self, name: &str) -> Option<ParamValue> {
            match name {
                "date" => ParamType::Date.parse("2024-03-31").ok(),
                "at" => ParamType::Timestamp.parse("2024-03-31T00:30:00Z").ok(),
                "site" => ParamType::Text.parse("${date}").ok(),
                _ => None,
            }
        }

        fn names(&self) -> Vec<String> {
            ["at", "date", "site"].map(str::to_owned).into()
        }
    }

    fn expanded(text: &str) -> Result<String> {
        Template::parse(text)?.expand(&Fixed)
    }

    #[test]
    fn names_and_dates_are_expanded_once() {
        for (text, expected) in [
            ("", ""),
            ("raw/${date}/*.log", "raw/2024-03-31/*.log"),
            ("${ date-1mo }..${date + 1d}", "2024-02-29..2024-04-01"),
            ("${date - 53w}", "2023-03-26"),
            ("${at - 1h}", "2024-03-30T23:30:00Z"),
            ("${site}", "${date}"),
            ("$5 and $${date} $date $$ $", "$5 and ${date} $date $$ $"),
        ] {
            assert_eq!(expanded(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn anything_else_is_an_error() {
        for text in
            ["${date", "${}", "${date + }", "${date + 1}", "${date * 2}", "${date + 1d + 1d}", "${a b}"]
        {
            assert!(expanded(text).is_err(), "{text}");
        }
        assert!(expanded("${date + 1h}").is_err() && expanded("${site + 1d}").is_err());
        assert!(expanded("${date + 99999999y}").is_err());
        assert!(expanded("${sitee}").unwrap_err().to_string().ends_with("the nearest name is `site`"));
    }
}
