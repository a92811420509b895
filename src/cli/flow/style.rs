//! How flows are shown: colours and a width where there is a terminal, times as people say them.

use std::io::{IsTerminal, stderr, stdout};
use std::os::fd::AsFd;
use std::time::Duration;

use jiff::Timestamp;

use crate::flow::State;

/// What an output can show.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    has_colours: bool,
    /// Whether it is a terminal on which lines can be drawn again.
    pub is_live: bool,
    /// The columns of the terminal, if it is one.
    width: Option<usize>,
    height: usize,
}

impl Style {
    /// What standard output can show.
    pub fn of_stdout() -> Style {
        Style::of(stdout())
    }

    /// What standard error can show.
    pub fn of_stderr() -> Style {
        Style::of(stderr())
    }

    /// Colours on a terminal, unless `NO_COLOR` is set or it is a dumb one.
    fn of(stream: impl IsTerminal + AsFd) -> Style {
        if !stream.is_terminal() {
            return Style::plain();
        }
        let is_live = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
        let is_asked_not_to = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let size = rustix::termios::tcgetwinsize(stream).ok().filter(|size| size.ws_col > 0);
        let width = size.map(|size| usize::from(size.ws_col));
        let height = size.map_or(24, |size| usize::from(size.ws_row));
        Style { has_colours: is_live && !is_asked_not_to, is_live, width, height }
    }

    /// That of a file: no colours, and lines as long as they are.
    pub fn plain() -> Style {
        Style { has_colours: false, is_live: false, width: None, height: 24 }
    }

    /// That of a terminal with so many columns, without colours.
    #[cfg(test)]
    pub fn of_width(width: usize) -> Style {
        Style { is_live: true, width: Some(width), ..Style::plain() }
    }

    /// The columns that a line may take.
    pub fn columns(self) -> usize {
        self.width.unwrap_or(usize::MAX)
    }

    /// Whether there is no room for much beside names.
    pub fn is_narrow(self) -> bool {
        self.columns() < 60
    }

    /// The lines of the terminal.
    pub fn height(self) -> usize {
        self.height
    }

    /// A text in the colour of a state.
    pub fn in_state(self, text: &str, state: State) -> String {
        let colour = match state {
            State::Succeeded => 32,
            State::Running | State::Retrying => 36,
            State::Failed | State::TimedOut | State::UpstreamFailed | State::Lost | State::UnknownOutcome => {
                31
            }
            State::Queued | State::Skipped => 2,
            State::Canceled => 33,
        };
        self.coloured(text, colour)
    }

    /// The name of a state, padded to a width, in its colour.
    pub fn state(self, state: State, width: usize) -> String {
        self.in_state(&format!("{:width$}", state.name()), state)
    }

    /// The mark of a state, in its colour.
    pub fn mark(self, state: State) -> String {
        let mark = match state {
            State::Succeeded => "✓",
            State::Failed | State::TimedOut => "✗",
            State::Running => "▸",
            State::Retrying => "↻",
            State::Queued => "·",
            State::UpstreamFailed => "↯",
            State::Skipped => "-",
            State::Canceled => "■",
            State::Lost | State::UnknownOutcome => "?",
        };
        self.in_state(mark, state)
    }

    /// A heading.
    pub fn bold(self, text: &str) -> String {
        self.coloured(text, 1)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.coloured(text, 2)
    }

    fn coloured(self, text: &str, code: u8) -> String {
        if self.has_colours && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
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

/// A time as its largest unit.
pub fn rough(seconds: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let (unit, name) = UNITS.into_iter().find(|(unit, _)| seconds >= *unit).unwrap_or((1, "s"));
    format!("{} {name}", seconds / unit)
}

/// How long something took, in milliseconds, as `1.2 s` or `3 min 20 s`.
pub fn took(millis: i64) -> String {
    lasted(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}

/// How long something took, or has taken so far.
pub fn lasted(duration: Duration) -> String {
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
