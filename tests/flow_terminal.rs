//! A session of `gristmill flow` at a terminal: what is drawn while runs go on, and what is left of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::place::{Place, utf8};
use common::terminal::{Shown, Terminal, at_terminal};
use regex::Regex;

/// `fetch` waits for a file, and `count[us]` fails until there is another one.
const FLOW: &str = r#"
name = "daily"
params.date = "date"

[tasks.fetch]
command.argv = ["sh", "-c", "until test -e go; do sleep 0.01; done"]

[tasks.count]
depends_on = ["fetch"]
for_each = { item = "site", in = ["eu", "us"] }
command.argv = ["sh", "-c", "echo counting ${site}; test ${site} = eu || test -e us"]

[tasks.check]
depends_on = ["fetch"]
command.argv = ["true"]

[tasks.publish]
depends_on = ["count", "check"]
command.argv = ["true"]
"#;

const RUN: &str = "flow run daily.flow.toml date=2026-01-31";

fn place() -> Place {
    Place::new(&[("daily.flow.toml", FLOW)])
}

fn make(place: &Place, name: &str) {
    fs::write(place.at(name), "").unwrap();
}

/// The text with `T` for times, which no test can know.
fn timeless(text: &str) -> String {
    let times = Regex::new(r" *\b(just now|\d[\d.]* (ms|s|min)\b( \d+ s\b)?( ago)?)").unwrap();
    times.replace_all(text, " T").into_owned()
}

#[track_caller]
fn assert_shows(shown: &Shown, code: i32, expected: &str) {
    assert_eq!(shown.code, Some(code), "{}", shown.text);
    assert_eq!(timeless(&shown.text), expected);
}

/// Runs the flow at a terminal until it is at work, lets it go on, and gives what is drawn meanwhile and what is left.
fn watched(place: &Place, columns: u16) -> (String, Shown) {
    let mut terminal = Terminal::start(place, columns, RUN, &[]);
    let whole = Regex::new("(?s)^run 1 .* done, .*▸ fetch  [0-9.]+ m?s\n").unwrap();
    let drawn = terminal.until(|text| whole.is_match(text));
    make(place, "go");
    (drawn, terminal.end())
}

#[test]
fn a_session_on_80_columns() {
    let place = place();
    let (drawn, failed) = watched(&place, 80);
    let expected = "run 1 daily?date=2026-01-31\n0 of 5 tasks done, T\n  ▸ fetch T\n";
    assert_eq!(timeless(&drawn), expected);
    let listing = "\
run 1 daily?date=2026-01-31  failed
attempt 1, manual, began T, took T
┌   ✓ fetch        succeeded T
├─┐ ✗ count[..]    failed T  1 succeeded, 1 failed
│ │   ✗ count[us]  failed T
│ │     it ended with exit status: 1
│ │     log .gristmill/logs/1/count[us].1.log
├ │ ✓ check        succeeded T
└─┘ ↯ publish      upstream_failed
";
    let above = "run 1: count[us] failed after T: it ended with exit status: 1\n";
    assert!(failed.raw.contains("\u{1b}[36m▸\u{1b}[0m fetch"), "{:?}", failed.raw);
    assert!(failed.raw.contains("\u{1b}[31mrun 1: count[us] failed after "), "{:?}", failed.raw);
    let hint = "gristmill: run again what has not succeeded with `flow rerun 1 --failed`\n";
    assert_shows(&failed, 1, &format!("{above}{listing}{hint}"));
    assert_shows(&at_terminal(&place, 80, "flow show 1"), 0, listing);

    let logs = at_terminal(&place, 80, "flow logs 1 --task count[us]");
    assert!(
        logs.text.starts_with("== count[us] try 1\n") && logs.text.contains(" counting us\n"),
        "{}",
        logs.text
    );

    make(&place, "us");
    let again = "\
run 2 daily?date=2026-01-31  succeeded
attempt 2, rerun, began T, took T
┌   ✓ fetch      succeeded              complete since attempt 1
├─┐ ✓ count[..]  succeeded T  2 succeeded
├ │ ✓ check      succeeded              complete since attempt 1
└─┘ ✓ publish    succeeded T
";
    assert_shows(&at_terminal(&place, 80, "flow rerun 1 --failed"), 0, again);
    let runs = "run  key                    attempt  state           began  took
  2  daily?date=2026-01-31        2  succeeded T T
  1  daily?date=2026-01-31        1  failed T T
";
    assert_shows(&at_terminal(&place, 80, "flow runs"), 0, runs);
}

#[test]
fn a_session_on_40_columns() {
    let place = place();
    let (drawn, failed) = watched(&place, 40);
    assert_eq!(timeless(&drawn), "run 1 daily?date=2026-01-31\n0 of 5 tasks done, T\n  ▸ fetch T\n");
    assert_eq!(failed.code, Some(1));
    let show = "\
run 1 daily?date=2026-01-31  failed
attempt 1, manual
began T, took T
┌   ✓ fetch T
├─┐ ✗ count[..] T
│ │   1 succeeded, 1 failed
│ │   ✗ count[us] T
│ │     it ended with exit status: 1
│ │     log .gristmill/logs/1/count[us].1.log
├ │ ✓ check T
└─┘ ↯ publish
";
    let shown = at_terminal(&place, 40, "flow show");
    // Only the path of the log, which is there to be copied, takes more than one line.
    let unwrapped = shown.text.replace("count[us].\n1.log", "count[us].1.log");
    assert_eq!(timeless(&unwrapped), show, "{}", shown.text);
    let runs = "run     key                        began\n  1  ✗  daily?dat…2026-01-31 T\n";
    assert_shows(&at_terminal(&place, 40, "flow runs"), 0, runs);
}

#[test]
fn a_backfill_tells_of_each_day_and_leaves_them_and_the_counts() {
    let place = place();
    make(&place, "us");
    let line = "flow backfill daily.flow.toml --from 2026-01-01 --to 2026-01-03 --max-active 1";
    let mut terminal = Terminal::start(&place, 80, line, &[]);
    let drawn = terminal.until(|text| text.contains("intervals done, ") && text.contains(": fetch"));
    let area = "backfill 1: 0 of 3 intervals done, T\n  ▸ run 1 daily?date=2026-01-01  0/5, T: fetch\n";
    assert_eq!(timeless(&drawn), format!("backfill 1 begins: 3 intervals\n{area}"));
    make(&place, "go");
    let expected = "\
backfill 1 begins: 3 intervals
1 of 3: daily?date=2026-01-01 succeeded after T, run 1
2 of 3: daily?date=2026-01-02 succeeded after T, run 2
3 of 3: daily?date=2026-01-03 succeeded after T, run 3
backfill 1: 3 intervals, 3 succeeded
";
    assert_shows(&terminal.end(), 0, expected);
}

#[test]
fn a_backfill_and_a_rerun_on_40_columns() {
    let place = place();
    make(&place, "go");
    let line = "flow backfill daily.flow.toml --from 2026-01-01 --to 2026-01-02 --max-active 1";
    let failed = at_terminal(&place, 40, line);
    let days = "\
1 of 2: daily?date=2026-01-01 failed af…
2 of 2: daily?date=2026-01-02 failed af…
backfill 1: 2 intervals, 2 failed
  2026-01-01  failed  run 1
  2026-01-02  failed  run 2
";
    assert_eq!(failed.code, Some(1));
    let is_of_a_try = |line: &&str| line.starts_with("run ") && line.ends_with('…');
    let lines = || failed.text.lines();
    assert_eq!(lines().filter(is_of_a_try).count(), 2, "{}", failed.text);
    let rest: String = lines().filter(|line| !is_of_a_try(line)).map(|line| format!("{line}\n")).collect();
    assert!(rest.starts_with(&format!("backfill 1 begins: 2 intervals\n{days}")), "{}", failed.text);
    make(&place, "us");
    let again = at_terminal(&place, 40, "flow rerun 2 --failed");
    let listing = "\
run 3 daily?date=2026-01-02  succeeded
attempt 2, rerun
began T, took T
┌   ✓ fetch                  complete s…
├─┐ ✓ count[..] T  2 succeeded
├ │ ✓ check                  complete s…
└─┘ ✓ publish T
";
    assert_shows(&again, 0, listing);
}

#[test]
fn ctrl_c_stops_a_run_and_says_so() {
    for (columns, publish) in [(80, "■ publish      canceled\n"), (40, "■ publish\n")] {
        let place = place();
        let mut terminal = Terminal::start(&place, columns, RUN, &[]);
        terminal.until(|text| text.contains("▸ fetch"));
        terminal.type_in("\u{3}");
        let shown = terminal.end();
        assert_eq!(shown.code, Some(130), "{}", shown.text);
        assert!(!shown.text.contains('▸') && !shown.text.contains("tasks done"), "{}", shown.text);
        assert!(shown.text.contains("run 1 daily?date=2026-01-31  canceled\n"), "{}", shown.text);
        assert!(shown.text.contains(publish), "{}", shown.text);
    }
}

#[test]
fn colours_are_for_terminals_that_have_them_and_for_who_wants_them() {
    let place = place();
    make(&place, "go");
    make(&place, "us");
    let run = |settings: &[(&str, &str)], line: &str| {
        let shown = Terminal::start(&place, 80, line, settings).end();
        assert_eq!(shown.code, Some(0), "{}", shown.text);
        shown
    };
    let coloured = |shown: &Shown| shown.raw.contains("\u{1b}[32m") || shown.raw.contains("\u{1b}[1m");
    assert!(coloured(&run(&[], RUN)));
    for line in ["flow show", "flow runs"] {
        assert!(coloured(&run(&[], line)));
        for settings in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let shown = run(&[settings], line);
            assert!(!shown.raw.contains('\u{1b}'), "{:?}", shown.raw);
        }
        let (piped, _) = place.succeed(line);
        assert!(!piped.contains('\u{1b}'));
    }
    // A dumb terminal has lines that stay, as a file has; without colours an area can be drawn all the same.
    let dumb = run(&[("TERM", "dumb")], "flow rerun 1 --all");
    assert!(
        !dumb.raw.contains('\u{1b}') && dumb.text.contains("run 2: fetch succeeded after "),
        "{}",
        dumb.text
    );
    assert!(!coloured(&run(&[("NO_COLOR", "1")], "flow rerun 1 --all")));
}

#[test]
fn where_there_is_no_terminal_each_task_has_a_line_and_quiet_has_none() {
    let place = place();
    make(&place, "go");
    let output = place.run(RUN);
    let mut lines: Vec<String> = timeless(&utf8(output.stderr)).lines().map(str::to_owned).collect();
    assert_eq!(lines.remove(0), "run 1 daily?date=2026-01-31 begins: attempt 1, 5 tasks");
    assert_eq!(lines.remove(0), "run 1: fetch succeeded after T");
    let end = lines.split_off(lines.len() - 2);
    let expected = [
        "run 1 failed after T: 3 succeeded, 1 failed, 1 upstream_failed",
        "gristmill: run again what has not succeeded with `flow rerun 1 --failed`",
    ];
    assert_eq!(end, expected);
    lines.sort();
    let expected = [
        "run 1: check succeeded after T",
        "run 1: count[eu] succeeded after T",
        "run 1: count[us] failed after T: it ended with exit status: 1",
        "run 1: publish upstream_failed",
    ];
    assert_eq!(lines, expected);
    make(&place, "us");
    let (listing, quiet) = place.succeed("flow rerun 1 --quiet");
    assert!(listing.starts_with("run 2 ") && quiet.is_empty(), "{quiet}");
}

#[test]
fn names_that_would_drive_a_terminal_or_do_not_fit_are_made_harmless() {
    let long = "a".repeat(60);
    let flow = format!(
        "name = \"odd\"\nparams.site = \"text\"\n[tasks.{long}]\nfor_each = {{ item = \"i\", in = [\"\\u001b[2J\", \"日本語\"] }}\ncommand.argv = [\"no-such-\\u001b[2J日本語\"]\n"
    );
    let place = Place::new(&[("odd.flow.toml", &flow)]);
    let command = "flow run odd.flow.toml site=\u{1b}]0;x\u{7}";
    for columns in [40, 80] {
        let shown = at_terminal(&place, columns, command);
        assert_eq!(shown.code, Some(1), "{}", shown.text);
        let logs = at_terminal(&place, columns, "flow logs");
        assert!(logs.text.replace('\n', "").contains("no-such-\\u{1b}[2J"), "{}", logs.text);
        assert!(!shown.raw.contains("\u{1b}[2J") && !shown.raw.contains("\u{1b}]0;"), "{:?}", shown.raw);
    }
}
