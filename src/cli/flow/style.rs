//! How flows are shown: colours where there is a terminal, times as people say them.

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use jiff::Timestamp;

use crate::flow::State;

/// Whether standard output takes colours.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    has_colours: bool,
}

impl Style {
    /// Colours on a terminal, unless `NO_COLOR` is set.
    pub fn of_stdout() -> Style {
        let is_asked_not_to = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Style { has_colours: stdout().is_terminal() && !is_asked_not_to }
    }

    /// The name of a state, padded to a width, in its colour.
    pub fn state(self, state: State, width: usize) -> String {
        let colour = match state {
            State::Succeeded => 32,
            State::Running | State::Retrying => 36,
            State::Failed | State::TimedOut | State::UpstreamFailed | State::Lost | State::UnknownOutcome => {
                31
            }
            State::Queued | State::Skipped => 2,
            State::Canceled => 33,
        };
        self.coloured(&format!("{:width$}", state.name()), colour)
    }

    /// A heading.
    pub fn bold(self, text: &str) -> String {
        self.coloured(text, 1)
    }

    fn coloured(self, text: &str, code: u8) -> String {
        if self.has_colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// How long ago an instant is, as `3 min ago`.
pub fn ago(instant: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - instant.as_second();
    match seconds {
        ..-1 => format!("in {}", rough(-seconds)),
        -1..=4 => "just now".to_owned(),
        _ => format!("{} ago", rough(seconds)),
    }
}

fn rough(seconds: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let (unit, name) = UNITS.into_iter().find(|(unit, _)| seconds >= *unit).unwrap_or((1, "s"));
    format!("{} {name}", seconds / unit)
}

/// How long something took, in milliseconds, as `1.2 s` or `3 min 20 s`.
pub fn took(millis: i64) -> String {
    let duration = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", duration.as_secs() / 60, duration.as_secs() % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_tell_them() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        for (instant, expected) in [
            ("2026-01-31T12:00:00Z", "just now"),
            ("2026-01-31T11:59:15Z", "45 s ago"),
            ("2026-01-31T10:01:00Z", "1 h ago"),
            ("2026-01-01T12:00:00Z", "30 d ago"),
            ("2026-01-31T12:03:00Z", "in 3 min"),
        ] {
            assert_eq!(ago(instant.parse().unwrap(), now), expected);
        }
        let expected = ["7 ms", "1.5 s", "2 min 5 s", "1 h 1 min"];
        assert_eq!([7, 1500, 125_000, 3_661_000].map(took), expected);
    }
}
