//! A backfill that is killed at any instant, and between its commits and its ledger: once it is resumed, no interval was done twice and none is left
//! out, and the ledger agrees with the outputs.
//!
//! `GRISTMILL_KILLS` says how often it is killed; the default suits a build without optimisation.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::place::{Place, assert_says, utf8};
use common::{files, scramble};
use gristmill::flow::{Runner, State};

const FLOW: &str = r#"
name = "days"
params.date = "date"
[tasks.convert]
convert = { input = ["in.csv"], output = "rows/${date}" }
[tasks.sort]
depends_on = ["convert"]
sort = { input = ["rows/${date}"], from = "parquet", by = ["n"], output = "sorted/${date}" }
"#;

/// Days of a backfill.
const DAYS: usize = 6;
const TASKS: [&str; 2] = ["convert", "sort"];

fn kills() -> usize {
    std::env::var("GRISTMILL_KILLS").map_or(20, |kills| kills.parse().unwrap())
}

fn place() -> Place {
    Place::new(&[("days.flow.toml", FLOW), ("in.csv", "n,name\n3,c\n1,a\n2,b\n")])
}

/// The backfill of a month.
fn begin(month: usize) -> String {
    let (year, month) = (2000 + month / 12, month % 12 + 1);
    format!(
        "flow backfill days.flow.toml --from {year}-{month:02}-01 --to {year}-{month:02}-{DAYS:02} --max-active 2"
    )
}

fn resume(backfill: usize) -> String {
    format!("flow backfill days.flow.toml --resume {backfill}")
}

/// What the flow has written, day by day.
fn outputs(place: &Place) -> BTreeMap<PathBuf, Vec<u8>> {
    let dirs = ["rows", "sorted"].map(|name| (name, place.at(name)));
    let of = |(name, dir): (&str, PathBuf)| {
        files(&dir)
            .into_iter()
            .map(move |(file, bytes)| (PathBuf::from(name).join(file), bytes))
            .collect::<Vec<_>>()
    };
    dirs.into_iter().filter(|(_, dir)| dir.exists()).flat_map(of).collect()
}

/// The ledger says of each task that it has succeeded where its output is there, once, and of no other; whatever the directory is of who looks.
fn assert_ledger_agrees(place: &Place, when: &str) {
    let runner = Runner::open(place.at(".gristmill/ledger.sqlite")).unwrap();
    let ledger = runner.ledger();
    let mut succeeded: BTreeMap<(String, String), usize> = BTreeMap::new();
    for run in ledger.runs(None, usize::MAX >> 1).unwrap() {
        assert!(run.state != State::Running, "{when}: run {} is taken to go on", run.id);
        for one in ledger.tries(run.id).unwrap() {
            let count = succeeded.entry((run.run_key.clone(), one.task.clone())).or_default();
            *count += usize::from(one.state == State::Succeeded);
        }
    }
    for ((run_key, task), count) in succeeded {
        let date = run_key.strip_prefix("days?date=").unwrap();
        let output = place.at(if task == TASKS[0] { "rows" } else { "sorted" }).join(date);
        let is_there = output.join("_manifest.json").exists();
        assert_eq!(count, usize::from(is_there), "{when}: {task} of {date} has succeeded so often");
    }
}

/// Kills a command after a time; false if it ended before.
fn kill_after(mut command: Command, time: Duration) -> bool {
    let began = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while began.elapsed() < time {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

/// Lets a backfill go on to its end, or begins it if it was killed before it had begun.
fn complete(place: &Place, backfill: usize, month: usize) {
    let resumed = place.run(&resume(backfill));
    if resumed.status.code() == Some(2) {
        assert!(utf8(resumed.stderr).contains("there is no "), "backfill {backfill}");
        place.succeed(&begin(month));
    } else {
        let told = utf8(resumed.stdout);
        assert!(resumed.status.success(), "{}", utf8(resumed.stderr));
        assert!(told.contains(&format!("{DAYS} intervals, {DAYS} succeeded")), "{told}");
    }
}

/// Days with outputs of which every byte is as it is without kills.
fn assert_complete(place: &Place, months: usize) {
    let whole = self::place();
    for month in 0..months {
        whole.succeed(&begin(month));
    }
    let (expected, found) = (outputs(&whole), outputs(place));
    let differs = |file: &&PathBuf| expected.get(*file) != found.get(*file);
    let different: Vec<&PathBuf> = expected.keys().chain(found.keys()).filter(differs).collect();
    assert_eq!(different, Vec::<&PathBuf>::new());
}

#[test]
fn a_backfill_that_is_killed_at_any_instant_is_completed_when_it_is_resumed() {
    let place = place();
    let began = Instant::now();
    place.succeed(&begin(0));
    let length = began.elapsed();
    let (mut killed, mut month) = (0, 1);
    while killed < kills() {
        // Each backfill is killed until it ends by itself, or has been killed five times.
        let mut line = begin(month);
        for round in 0..5 {
            let part = (scramble((month * 5 + round) as u64) % 1000) as f64 / 1000.0;
            if !kill_after(place.command(&line), length.mul_f64(part)) {
                break;
            }
            killed += 1;
            if place.at(".gristmill/ledger.sqlite").exists() {
                assert_ledger_agrees(&place, &format!("month {month}, kill {round}"));
            }
            let has_begun = place.run(&format!("{} --dry-run", begin(month))).status.success()
                && count_backfills(&place) > month;
            line = if has_begun { resume(month + 1) } else { begin(month) };
        }
        complete(&place, month + 1, month);
        assert_ledger_agrees(&place, &format!("month {month}"));
        month += 1;
    }
    assert_complete(&place, month);
}

/// How many backfills the ledger knows.
fn count_backfills(place: &Place) -> usize {
    let ledger = rusqlite::Connection::open(place.at(".gristmill/ledger.sqlite")).unwrap();
    ledger.query_row("SELECT count(*) FROM backfills", [], |row| row.get::<_, usize>(0)).unwrap()
}

#[test]
fn a_backfill_that_is_killed_between_a_commit_and_the_ledger_is_completed_when_it_is_resumed() {
    let writes = count_writes();
    let kills = kills().min(writes);
    let mut committed = 0;
    for kill in 0..kills {
        let place = place();
        let write = 1 + kill * writes / kills;
        // Before that write: what was committed since the last one is not in the ledger.
        let inject = format!("inject=pwrite64:signal=KILL:when={write}");
        let status = under_strace(&place, &["-e", &inject]);
        if status.success() {
            continue; // it has written less often than the first one
        }
        let before = outputs(&place).keys().filter(|file| file.ends_with("_manifest.json")).count();
        let told = if place.at(".gristmill/ledger.sqlite").exists() { succeeded(&place) } else { 0 };
        assert!(told <= before, "write {write}: the ledger knows of what is not there");
        committed += before - told;
        complete(&place, 1, 0);
        assert_ledger_agrees(&place, &format!("write {write}"));
        assert_complete(&place, 1);
    }
    assert!(committed > 0, "no kill came between a commit and the ledger");
}

/// Tries of which the ledger says that they succeeded, read as the dead process has left it.
fn succeeded(place: &Place) -> usize {
    let ledger = rusqlite::Connection::open(place.at(".gristmill/ledger.sqlite")).unwrap();
    let count = ledger
        .query_row("SELECT count(*) FROM tries WHERE state = 'succeeded'", [], |row| row.get::<_, usize>(0));
    count.unwrap_or(0) // its tables may not be there yet
}

/// A backfill under strace, which sees the writes to the log of the ledger alone.
fn under_strace(place: &Place, arguments: &[&str]) -> std::process::ExitStatus {
    let log = place.at(".gristmill/ledger.sqlite-wal");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "trace", "-e", "trace=pwrite64", "-P"]).arg(log).args(arguments);
    strace.arg(env!("CARGO_BIN_EXE_gristmill")).args(begin(0).split(' ')).current_dir(place.at(""));
    strace.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null()).status().unwrap()
}

/// The writes to the log of the ledger that a backfill makes.
fn count_writes() -> usize {
    let place = place();
    assert!(under_strace(&place, &[]).success());
    std::fs::read_to_string(place.at("trace"))
        .unwrap()
        .lines()
        .filter(|line| line.contains("pwrite64("))
        .count()
}

#[test]
fn what_a_task_did_that_may_not_be_repeated_is_asked_as_often_as_somebody_tries() {
    let flow = "name = \"once\"\n[tasks.first]\ncommand.argv = [\"true\"]\n[tasks.send]\ndepends_on = [\"first\"]\nidempotent = false\n\
        command.argv = [\"sh\", \"-c\", \"[ -e sent ] && exit 0; echo > sent; exec sleep 3600\"]\n";
    let place = Place::new(&[("once.flow.toml", flow)]);
    let run = "flow run once.flow.toml";
    let mut child = place.command(run).stdout(Stdio::null()).spawn().unwrap();
    while !place.at("sent").exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for again in [run, run, "flow rerun 1 --all", run] {
        let refused = place.run(again);
        assert_eq!(refused.status.code(), Some(2), "{again}");
        assert_says(&utf8(refused.stderr), &["nobody knows what `send` did in run 1", "confirm 1 send"]);
    }
    place.succeed("flow confirm 1 send --failed");
    place.succeed(run);
}
