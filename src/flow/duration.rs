//! Durations as flow files have them: `90s`, `10m`, `2h 30m`, `1d`.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serializer};

/// The duration that a text says; a day has 24 hours.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{}` is no duration such as 90s, 10m, 2h 30m or 1d", text.escape_debug());
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| wrong())
}

/// The same in the shortest form that says all of it.
pub(super) fn text(duration: Duration) -> String {
    SignedDuration::try_from(duration)
        .map_or_else(|_| format!("{duration:?}"), |duration| format!("{duration:#}"))
}

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*duration))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let Written::Text(text) = Written::deserialize(deserializer)?;
    parse(&text).map_err(serde::de::Error::custom)
}

/// A duration as it is written: a text, since a number would have no unit.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a duration is a text such as \"90s\", \"10m\", \"2h 30m\" or \"1d\"")]
enum Written {
    Text(String),
}

/// The same for what may be missing.
pub(super) mod option {
    use super::{Deserialize, Deserializer, Duration, Written};

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let written = Option::<Written>::deserialize(deserializer)?;
        let parsed = written.map(|Written::Text(text)| super::parse(&text));
        parsed.transpose().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (written, seconds) in [("90s", 90), ("10m", 600), ("2h 30m", 9000), ("1d", 86_400), ("0s", 0)] {
            let duration = parse(written).unwrap();
            assert_eq!(duration.as_secs(), seconds, "{written}");
            assert_eq!(parse(&text(duration)).unwrap(), duration, "{written}");
        }
        for wrong in ["", "5", "-3s", "1 parsec", "1mo"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
