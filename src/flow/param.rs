//! Parameters: what a run is told, and what makes it this run.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use jiff::Timestamp;
use jiff::civil::Date;

use crate::error::{Error, ErrorKind, Result};
use crate::record::nearest;

/// What the values of a parameter are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A day of the calendar, as 2026-01-31.
    Date,
    /// An instant, as 2026-01-31T06:00:00Z.
    Timestamp,
}

impl ParamType {
    /// Its name, as flow files have it.
    pub fn name(self) -> &'static str {
        match self {
            ParamType::Text => "text",
            ParamType::Integer => "integer",
            ParamType::Boolean => "boolean",
            ParamType::Date => "date",
            ParamType::Timestamp => "timestamp",
        }
    }

    /// The value that a text stands for.
    ///
    /// # Errors
    ///
    /// If it stands for none of this type.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::flow::ParamType;
    ///
    /// assert_eq!(ParamType::Date.parse("2024-02-29")?.to_string(), "2024-02-29");
    /// assert!(ParamType::Date.parse("2023-02-29").is_err());
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    pub fn parse(self, text: &str) -> Result<ParamValue> {
        let value = match self {
            ParamType::Text => Some(ParamValue::Text(text.to_owned())),
            ParamType::Integer => text.parse().ok().map(ParamValue::Integer),
            ParamType::Boolean => text.parse().ok().map(ParamValue::Boolean),
            ParamType::Date => date(text).map(ParamValue::Date),
            ParamType::Timestamp => text.parse().ok().map(ParamValue::Timestamp),
        };
        value.ok_or_else(|| {
            let message = format!("`{}` is no {}", text.escape_debug(), self.name());
            Error::new(ErrorKind::Config, message).hint(format!("give one such as {}", self.example()))
        })
    }

    fn example(self) -> &'static str {
        match self {
            ParamType::Text => "any",
            ParamType::Integer => "42",
            ParamType::Boolean => "true",
            ParamType::Date => "2026-01-31",
            ParamType::Timestamp => "2026-01-31T06:00:00Z",
        }
    }
}

/// A date and nothing behind it; the library takes the date of a time, too.
fn date(text: &str) -> Option<Date> {
    text.parse::<Date>().ok().filter(|date| date.to_string() == text)
}

/// The value of a parameter. It is shown in one way only, so that equal values make equal run keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamValue {
    /// Any text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// `true` or `false`.
    Boolean(bool),
    /// A day.
    Date(Date),
    /// An instant.
    Timestamp(Timestamp),
    /// Several texts: the files of a group. No parameter has such a value.
    List(Vec<String>),
}

impl ParamValue {
    /// The texts that it is: several of a group of files.
    pub(super) fn texts(&self) -> Vec<String> {
        match self {
            ParamValue::List(texts) => texts.clone(),
            other => vec![other.to_string()],
        }
    }
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParamValue::Text(text) => f.write_str(text),
            ParamValue::Integer(number) => number.fmt(f),
            ParamValue::Boolean(flag) => flag.fmt(f),
            ParamValue::Date(date) => date.fmt(f),
            ParamValue::Timestamp(instant) => instant.fmt(f),
            ParamValue::List(texts) => f.write_str(&texts.join(" ")),
        }
    }
}

/// A parameter that a flow declares.
#[derive(Debug, Clone)]
pub struct Param {
    pub(super) name: String,
    pub(super) kind: ParamType,
    pub(super) default: Option<String>,
    pub(super) secret: bool,
}

impl Param {
    /// A parameter that every run must be given.
    pub fn new(name: impl Into<String>, kind: ParamType) -> Param {
        Param { name: name.into(), kind, default: None, secret: false }
    }

    /// The value where a run is given none.
    #[must_use]
    pub fn default(mut self, value: impl Into<String>) -> Param {
        self.default = Some(value.into());
        self
    }

    /// Its value is a secret: it stands in no log, ledger, manifest or report, and is no part of the run key. Besides the usual ways it can be given by
    /// the environment variable `GRISTMILL_PARAM_` and its name in capitals, which no list of processes shows.
    #[must_use]
    pub fn secret(mut self) -> Param {
        self.secret = true;
        self
    }
}

/// The values of all parameters of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    values: BTreeMap<String, ParamValue>,
    secrets: BTreeMap<String, ParamValue>,
}

impl Params {
    /// The values that a run is given as texts, and the defaults of the others.
    ///
    /// # Errors
    ///
    /// If one is not declared, one is missing, or one is not of its type.
    pub(super) fn new(declared: &[Param], given: &BTreeMap<String, String>) -> Result<Params> {
        if let Some(unknown) = given.keys().find(|name| declared.iter().all(|param| param.name != **name)) {
            let names = declared.iter().map(|param| param.name.as_str());
            return Err(unknown_param(unknown, names));
        }
        let mut params = Params::default();
        for param in declared {
            let environment = param.secret.then(|| std::env::var(variable(&param.name)).ok()).flatten();
            let text = given.get(&param.name).or(environment.as_ref()).or(param.default.as_ref());
            let value = param.kind.parse(text.ok_or_else(|| missing(param))?).map_err(|error| {
                // What a secret was given as is not shown either.
                let wrong =
                    if param.secret { "its value is of another type".into() } else { error.to_string() };
                Error::new(ErrorKind::Config, format!("parameter `{}`: {wrong}", param.name))
            })?;
            let values = if param.secret { &mut params.secrets } else { &mut params.values };
            values.insert(param.name.clone(), value);
        }
        Ok(params)
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&ParamValue> {
        self.values.get(name).or_else(|| self.secrets.get(name))
    }

    /// Names and values, without the secrets.
    pub fn shown(&self) -> impl Iterator<Item = (&str, &ParamValue)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The names of all, with those of the secrets.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().chain(self.secrets.keys()).map(String::as_str)
    }

    /// The values that nothing may show.
    pub(super) fn secrets(&self) -> impl Iterator<Item = String> {
        self.secrets.values().map(ToString::to_string)
    }

    /// The same with stars for secrets.
    pub(super) fn without_secrets(&self) -> Params {
        let stars = |name: &String| (name.clone(), ParamValue::Text("***".to_owned()));
        Params { values: self.values.clone(), secrets: self.secrets.keys().map(stars).collect() }
    }

    /// The key of the run of a flow with these parameters, as `daily-hits?date=2026-01-31&site=eu`.
    pub(super) fn run_key(&self, flow: &str) -> String {
        let pairs: Vec<_> = self.shown().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        if pairs.is_empty() { flow.to_owned() } else { format!("{flow}?{}", pairs.join("&")) }
    }
}

/// The environment variable that a secret can be given by.
fn variable(name: &str) -> String {
    format!("GRISTMILL_PARAM_{}", name.to_uppercase())
}

/// A value within a key: what means something there, and what a terminal may act on, is percent-encoded.
pub(super) fn encoded(value: &ParamValue) -> String {
    let mut text = String::new();
    for char in value.to_string().chars() {
        if matches!(char, '%' | '&' | '=' | '?' | '#' | '[' | ']')
            || char.is_control()
            || char.is_whitespace()
        {
            let mut bytes = [0; 4];
            let bytes = char.encode_utf8(&mut bytes).as_bytes();
            for byte in bytes {
                let _ = write!(text, "%{byte:02X}");
            }
        } else {
            text.push(char);
        }
    }
    text
}

fn missing(param: &Param) -> Error {
    let message = format!("parameter `{}` is missing", param.name);
    let hint = if param.secret {
        format!("set the environment variable {}", variable(&param.name))
    } else {
        format!("give it as {}={}", param.name, param.kind.example())
    };
    Error::new(ErrorKind::Config, message).hint(hint)
}

pub(super) fn unknown_param<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Error {
    let error = Error::new(ErrorKind::Config, format!("there is no parameter `{}`", name.escape_debug()));
    match nearest(name, known.clone()) {
        Some(similar) => error.hint(format!("the nearest name is `{similar}`")),
        None => error.hint(format!("the parameters are: {}", known.collect::<Vec<_>>().join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Vec<Param> {
        vec![
            Param::new("date", ParamType::Date),
            Param::new("site", ParamType::Text).default("eu"),
            Param::new("password", ParamType::Text).default("hunter2").secret(),
        ]
    }

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_run_key_is_the_same_however_the_parameters_are_given_and_holds_no_secret() {
        let one = Params::new(&declared(), &given(&[("site", "eu"), ("date", "2026-01-31")])).unwrap();
        let other = Params::new(&declared(), &given(&[("date", "2026-01-31"), ("password", "x")])).unwrap();
        assert_eq!(one.run_key("hits"), "hits?date=2026-01-31&site=eu");
        assert_eq!(one.run_key("hits"), other.run_key("hits"));
        assert_eq!(Params::default().run_key("hits"), "hits");
    }

    #[test]
    fn values_cannot_look_like_parts_of_a_key() {
        let params =
            Params::new(&declared(), &given(&[("date", "2026-01-31"), ("site", "a&b=c\u{1b}[2J d%")]));
        assert_eq!(params.unwrap().run_key("hits"), "hits?date=2026-01-31&site=a%26b%3Dc%1B%5B2J%20d%25");
    }

    #[test]
    fn what_is_unknown_missing_or_of_another_type_is_an_error_that_says_what_to_do() {
        let fails = |pairs: &[(&str, &str)]| Params::new(&declared(), &given(pairs)).unwrap_err().to_string();
        assert_eq!(
            fails(&[("dat", "2026-01-31")]),
            "there is no parameter `dat`; the nearest name is `date`"
        );
        assert!(fails(&[]).contains("give it as date=2026-01-31"));
        for wrong in ["2026-02-30", "2026-01-31T00:00", "20260131", "yesterday", ""] {
            assert!(fails(&[("date", wrong)]).contains("is no date"), "{wrong}");
        }
    }
}
