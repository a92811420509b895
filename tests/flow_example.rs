//! The example flow, as a user runs it: 30 days by backfill with days that fail, and runs that are killed at any instant; the files and the database
//! are always those of runs without failures.
//!
//! `GRISTMILL_KILLS` says how often a run is killed; the default suits a build without optimisation.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use common::place::utf8;
use common::postgres::Postgres;
use common::{files, gristmill, scramble};
use tempfile::TempDir;

const FLOW: &str = include_str!("../examples/daily_hits/daily-hits.flow.toml");
const DAYS: u32 = 30;

/// A directory with the flow and a month of logs, and a database.
struct Site {
    dir: TempDir,
    database: Postgres,
}

/// What a month leaves: the files of each output, and the rows of the table.
type Results = (BTreeMap<PathBuf, Vec<u8>>, Vec<String>);

impl Site {
    fn new(lines: usize) -> Site {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("daily-hits.flow.toml"), FLOW).unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        let site = Site { dir, database: Postgres::start() };
        for day in 1..=DAYS {
            for part in 0..2 {
                fs::write(site.log(day, part), log(day, part, lines)).unwrap();
            }
        }
        let table = "CREATE TABLE daily_hits (day date, status integer, hits bigint, bytes bigint)";
        site.database.client().batch_execute(table).unwrap();
        site
    }

    fn log(&self, day: u32, part: usize) -> PathBuf {
        self.dir.path().join(format!("logs/access-2026-01-{day:02}-{part}.log"))
    }

    fn command(&self, line: &str) -> Command {
        let mut command = gristmill(&line.split(' ').collect::<Vec<_>>());
        command.current_dir(self.dir.path()).env("GRISTMILL_PARAM_DATABASE", self.database.url());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    fn results(&self) -> Results {
        let outputs = ["raw", "hits", "daily"].map(|output| self.dir.path().join(output));
        let of = |output: &PathBuf| {
            let name = PathBuf::from(output.file_name().unwrap());
            files(output).into_iter().map(|(file, bytes)| (name.join(file), bytes)).collect::<Vec<_>>()
        };
        let files = outputs.iter().filter(|output| output.exists()).flat_map(of).collect();
        let query =
            "SELECT day::text || ' ' || status || ' ' || hits || ' ' || bytes FROM daily_hits ORDER BY 1";
        let rows = self.database.client().query(query, &[]).unwrap();
        (files, rows.iter().map(|row| row.get(0)).collect())
    }
}

/// A log whose lines say which day they are of.
fn log(day: u32, part: usize, lines: usize) -> String {
    let mut text = String::new();
    for line in 0..lines {
        let number = scramble(u64::from(day) * 1_000_003 + (part * lines + line) as u64);
        let status = [200, 200, 200, 304, 404, 500][number as usize % 6];
        let (host, second, bytes) = (number % 250, number % 60, number % 9000);
        writeln!(
            text,
            "10.0.0.{host} - - [{day:02}/Jan/2026:12:00:{second:02} +0000] \"GET /page/{host} HTTP/1.1\" {status} {bytes} \"-\" \"agent\""
        )
        .unwrap();
    }
    text
}

const BACKFILL: &str = "flow backfill daily-hits.flow.toml --from 2026-01-01 --to 2026-01-30 --max-active 2";

fn expected(site: &Site) -> Results {
    let Output { status, stderr, .. } = site.run(BACKFILL);
    assert!(status.success(), "{}", utf8(stderr));
    let results = site.results();
    assert_eq!(results.1.len(), 4 * DAYS as usize);
    results
}

#[test]
fn days_that_fail_are_told_and_completed_and_leave_what_days_without_failures_do() {
    let expected = expected(&Site::new(40));
    let site = Site::new(40);
    let broken = [3, 8, 9, 21, 30];
    for day in broken {
        // What is no line of a log fails the conversion; and a day has no log at all.
        if day == 21 {
            fs::rename(site.log(day, 0), site.log(day, 7)).unwrap();
            fs::rename(site.log(day, 1), site.dir.path().join("kept")).unwrap();
            fs::rename(site.log(day, 7), site.dir.path().join("kept too")).unwrap();
        } else {
            fs::write(site.log(day, 1), "this is no line of a log\n").unwrap();
        }
    }
    let Output { status, stdout, stderr } = site.run(BACKFILL);
    let (stdout, stderr) = (utf8(stdout), utf8(stderr));
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stdout.contains("backfill 1: 30 intervals, 25 succeeded, 5 failed"), "{stdout}");
    for day in broken {
        assert!(stdout.contains(&format!("2026-01-{day:02}  failed")), "{stdout}");
    }
    assert!(stderr.contains("flow rerun --failed --backfill 1"), "{stderr}");
    assert_eq!(site.results().1.len(), 4 * 25);

    for day in broken {
        (0..2).for_each(|part| fs::write(site.log(day, part), log(day, part, 40)).unwrap());
    }
    let Output { status, stdout, .. } = site.run("flow rerun --failed --backfill 1");
    assert!(status.success());
    assert!(utf8(stdout).contains("backfill 1: 30 intervals, 30 succeeded"));
    let results = site.results();
    assert_eq!(results.1, expected.1);
    assert!(results.0 == expected.0, "the files differ: {:?}", results.0.keys());
}

#[test]
fn a_run_that_is_killed_at_any_instant_is_completed_by_the_next_one() {
    let kills: u64 = std::env::var("GRISTMILL_KILLS").map_or(12, |kills| kills.parse().unwrap());
    let site = Site::new(2000);
    let run = "flow run daily-hits.flow.toml date=2026-01-05";
    let start = Instant::now();
    assert!(site.run(run).status.success());
    let (length, expected) = (start.elapsed(), site.results());
    for round in 0..kills {
        // A new attempt of everything, so that there is something to kill.
        let last = 1 + site.last_run();
        let again = format!("flow rerun {} --all", last - 1);
        let instant = length.mul_f64((scramble(round) % 1000) as f64 / 1000.0);
        let began = Instant::now();
        let mut child = site.command(&again).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until(began + instant);
        child.kill().unwrap();
        child.wait().unwrap();
        let Output { status, stderr, .. } = site.run(run);
        assert!(status.success(), "round {round}: {}", utf8(stderr));
        let results = site.results();
        assert_eq!(results.1, expected.1, "round {round}");
        assert!(results.0 == expected.0, "round {round}: {:?}", results.0.keys());
    }
    let runs = utf8(site.run("flow runs --limit 1000").stdout);
    let count = |state: &str| runs.lines().filter(|line| line.contains(state)).count();
    assert_eq!(count(" running "), 0, "{runs}");
    println!("{} of {kills} runs were lost", count(" lost "));
    assert!(count(" lost ") > 0, "no run was killed while it worked: {runs}");
}

impl Site {
    /// The number of the last run.
    fn last_run(&self) -> i64 {
        let runs = utf8(self.run("flow runs --limit 1").stdout);
        runs.lines().nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap()
    }
}

fn wait_until(instant: Instant) {
    while Instant::now() < instant {
        std::thread::yield_now();
    }
}
