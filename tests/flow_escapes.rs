//! Names, values, file names, messages and output that would drive a terminal, or forge a line: whatever is printed of them is escaped.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::process::Command;

use common::gristmill;
use common::place::Place;

/// Escape, bell, backspace, carriage return, the controls of Latin-1, those that change the direction of text, and a line of its own.
const HOSTILE: &str =
    "\u{1b}[31m\u{1b}]0;title\u{7}\u{8}\r\u{7f}\u{9b}31m\u{202e}\u{2066}\u{200f}\u{2028}\u{85}\nFORGED";

/// As a string of TOML has it.
fn quoted(text: &str) -> String {
    let text: String = text.chars().map(|char| format!("\\u{:04x}", u32::from(char))).collect();
    format!("\"{text}\"")
}

/// A flow of which every task tells something hostile.
fn flow() -> String {
    let hostile = quoted(HOSTILE);
    format!(
        r#"
name = "hostile"
params.date = "date"
params.value = {{ type = "text", default = {hostile} }}
schedule.cron = "30 2 * * *"
[[notify]]
on = ["failure", "success"]
command = [{hostile}, "told"]
timeout = "10s"
[tasks.each]
for_each = {{ item = "item", in = [{hostile}] }}
command.argv = ["sh", "-c", "printf '%s %s\n' \"$V\" \"$I\"; printf '%s' \"$V\" >&2; exit 1"]
command.env = {{ V = "${{value}}", I = "${{item}}" }}
[tasks.convert]
convert = {{ input = ["${{value}}.csv"], output = "rows${{value}}" }}
[tasks.broken]
convert = {{ input = ["broken${{value}}.csv"], output = "broken${{value}}" }}
[tasks.columns]
convert = {{ input = ["${{value}}.csv"], output = "columns", from = {hostile} }}
[tasks.count]
wordcount = {{ input = ["${{value}}.csv"], output = "counts${{value}}" }}
[tasks.lost]
wordcount = {{ input = ["lost${{value}}"], output = "lost" }}
[tasks.program]
command.argv = [{hostile}]
[tasks.place]
command = {{ argv = ["true"], dir = {hostile} }}
[tasks.fetch]
load = {{ from = "lost${{value}}", to = "fetched" }}
[tasks.fetched]
load = {{ command = [{hostile}], to = "fetched" }}
[tasks.publish]
load = {{ from = "${{value}}.csv", postgres = "host=/nowhere${{value}} user=x", table = {hostile} }}
[tasks.connection]
load = {{ from = "${{value}}.csv", postgres = {hostile}, table = "t" }}
[tasks.files]
for_each = {{ item = "file", glob = "*.csv" }}
command.argv = ["cat", "${{file}}"]
"#
    )
}

fn place() -> Place {
    let place = Place::new(&[("hostile.flow.toml", &flow()), ("words.txt", "to be\n")]);
    fs::write(place.at(format!("{HOSTILE}.csv")), format!("\"{HOSTILE}\",n\n\"{HOSTILE}\",1\n")).unwrap();
    fs::write(place.at(format!("broken{HOSTILE}.csv")), format!("n,text\n1,a\n2,b,\"{HOSTILE}\"\n")).unwrap();
    for (name, text) in flows_that_are_wrong() {
        fs::write(place.at(name), text).unwrap();
    }
    place
}

/// Flows in which something hostile stands where it cannot.
fn flows_that_are_wrong() -> Vec<(String, String)> {
    let hostile = quoted(HOSTILE);
    let task = "command.argv = [\"true\"]";
    let flows = [
        format!("name = {hostile}\n[tasks.t]\n{task}\n"),
        format!("name = \"x\"\n[tasks.{hostile}]\n{task}\n"),
        format!("name = \"x\"\n[tasks.t]\n{task}\ndepends_on = [{hostile}]\n"),
        format!("name = \"x\"\n[tasks.t]\n{task}\n{hostile} = 1\n"),
        format!("name = \"x\"\n{hostile} = 1\n[tasks.t]\n{task}\n"),
        format!("name = \"x\"\nparams.{hostile} = \"date\"\n[tasks.t]\n{task}\n"),
        format!("name = \"x\"\nparams.a = {hostile}\n[tasks.t]\n{task}\n"),
        format!("name = \"x\"\ntime_zone = {hostile}\n[tasks.t]\n{task}\n"),
        format!("name = \"x\"\nschedule.cron = {hostile}\nparams.date = \"date\"\n[tasks.t]\n{task}\n"),
        format!("name = \"x\"\nschedule.cron = \"1 1 * * *\"\n{hostile}.a = 1\n[tasks.t]\n{task}\n"),
        format!("name = \"x\"\n[tasks.t]\n{task}\npool = {hostile}\n"),
        format!("name = \"x\"\n[tasks.t]\n{task}\ntimeout = {hostile}\n"),
        format!("name = \"x\"\n[tasks.t]\n{task}\nretry_on = [{hostile}]\n"),
        format!("name = \"x\"\n[tasks.t]\ncommand.argv = [\"${{{}}}\"]\n", "a\\u001b\\u009b\\u202e"),
        format!("name = \"x\"\n[tasks.t]\nconvert = {{ input = [\"a\"], output = \"b\", {hostile} = 1 }}\n"),
        format!("name = \"x{HOSTILE}\n"),
        format!("{HOSTILE} = 1\n"),
    ];
    flows.into_iter().enumerate().map(|(number, flow)| (format!("wrong-{number}.toml"), flow)).collect()
}

/// Nothing of the output drives a terminal, and no line of it is forged.
fn assert_plain(mut command: Command) -> (String, String) {
    let output = command.output().unwrap();
    let plain = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        for char in text.chars().filter(|char| *char != '\n') {
            let is_bidi =
                matches!(char, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            assert!(!char.is_control() && !is_bidi, "{command:?} prints {char:?}: {text:?}");
        }
        assert!(!text.lines().any(|line| line.starts_with("FORGED")), "{command:?}: {text}");
        text
    };
    (plain(output.stdout), plain(output.stderr))
}

#[test]
fn nothing_hostile_reaches_a_terminal_from_flows() {
    let place = place();
    let run = |arguments: &[&str]| {
        let mut command = gristmill(&[&["flow"], arguments].concat());
        command.current_dir(place.at(""));
        assert_plain(command)
    };
    let (flow, date, value) = ("hostile.flow.toml", "date=2026-01-31", format!("value={HOSTILE}"));
    let (plan, _) = run(&["check", flow, date, &value]);
    assert!(plan.contains("\\u{1b}[31m"), "{plan}");
    let (told, warned) = run(&["run", flow, date, &value]);
    assert!(told.contains("each[") && told.contains("\\u{9b}"), "{told}");
    assert!(warned.contains("could not be told"), "{warned}");
    run(&["runs"]);
    run(&["runs", HOSTILE]);
    run(&["show", "1"]);
    let (logs, _) = run(&["logs", "1"]);
    assert!(logs.contains("\\u{1b}]0;title"), "{logs}");
    run(&["logs", "1", "--task", HOSTILE]);
    run(&["rerun", "1", "--failed"]);
    run(&["rerun", "1", "--from", HOSTILE]);
    run(&["rerun", "1", "--flow", HOSTILE]);
    run(&["rerun", HOSTILE]);
    run(&["confirm", "1", HOSTILE, "--failed"]);
    run(&["cancel", "1", "--ledger", HOSTILE]);
    let days = ["--from", "2026-01-01", "--to", "2026-01-02"];
    run(&[&["backfill", flow, &value], &days[..]].concat());
    run(&[&["backfill", flow, &value, "--dry-run"], &days[..]].concat());
    run(&["backfill", flow, "--from", HOSTILE, "--to", HOSTILE]);
    run(&["backfill", flow, "--resume", "7"]);
    let (times, _) = run(&["schedule", "next", flow]);
    assert_eq!(times.lines().count(), 5);
    run(&["schedule", "next", flow, "--after", HOSTILE]);
    run(&["schedule", "next", HOSTILE]);
    run(&["run", flow, &format!("{HOSTILE}=1"), date]);
    run(&["run", flow, &format!("date={HOSTILE}")]);
    run(&["run", flow, HOSTILE]);
    run(&["run", &format!("{HOSTILE}.toml")]);
    run(&[HOSTILE]);
}

#[test]
fn nothing_hostile_reaches_a_terminal_from_flows_that_are_wrong() {
    let place = place();
    for (name, _) in flows_that_are_wrong() {
        for line in [
            &["check", &name, "date=2026-01-31"][..],
            &["run", &name],
            &["schedule", "next", &name],
            &["backfill", &name, "--from", "2026-01-01", "--to", "2026-01-02"],
        ] {
            let mut command = gristmill(&[&["flow"], line].concat());
            command.current_dir(place.at(""));
            let (_, error) = assert_plain(command);
            assert!(!error.is_empty(), "{name}: {line:?}");
            assert!(error.lines().count() == 1 || line[0] != "check", "{name}: {error}"); // others may begin before they find it
        }
    }
}

#[test]
fn nothing_hostile_reaches_a_terminal_from_jobs() {
    let place = place();
    let run = |arguments: &[&str]| {
        let mut command = gristmill(arguments);
        command.current_dir(place.at(""));
        assert_plain(command)
    };
    let (file, broken) = (format!("{HOSTILE}.csv"), format!("broken{HOSTILE}.csv"));
    let rows = format!("rows{HOSTILE}");
    run(&["convert", &file, "-o", &rows]);
    run(&["convert", &file, "-o", &rows]); // it is there
    run(&["convert", &file, "-o", "other", "--explain"]);
    run(&["convert", &file, "-o", "other", "--from", HOSTILE]);
    run(&["convert", &file, "-o", "other", "--progress", "always", "--overwrite"]);
    run(&["convert", &broken, "-o", "broken"]);
    run(&["convert", &broken, "-o", "broken", "--on-error", &format!("reject=bad{HOSTILE}")]);
    run(&["convert", &format!("lost{HOSTILE}"), "-o", "lost"]);
    run(&["wordcount", &file, "-o", &format!("counts{HOSTILE}")]);
    run(&["wordcount", &file]);
    run(&["wordcount", &format!("lost{HOSTILE}"), "-o", "lost"]);
    run(&["wordcount", "words.txt", "-o", "words", "--top", HOSTILE]);
    run(&["schema", &file]);
    run(&["show", &rows]);
    run(&["verify", &rows]);
    run(&["recover", &rows]);
    run(&[HOSTILE]);
}
