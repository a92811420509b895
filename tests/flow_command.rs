//! `gristmill flow` as a user types it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::time::Duration;

use common::place::{Place, assert_says, utf8};
use gristmill::flow::{Engine, EngineCommand, Flow, Param, ParamType, Plan, Task};

const FLOW: &str = r#"
name = "words"
time_zone = "Europe/Berlin"

[params]
date = "date"
site = { type = "text", default = "eu" }

[tasks.count]
wordcount = { input = ["raw/${date}.txt"], output = "counts/${date}", top = 2 }
retries = 2
timeout = "10m"

[tasks.tell]
depends_on = ["count"]
command = { argv = ["sh", "-c", "echo counted ${site} ${date - 1d}"] }
"#;

fn place(flow: &str) -> Place {
    Place::new(&[("words.flow.toml", flow), ("raw/2026-03-29.txt", "to be or not to be\n")])
}

#[test]
fn check_prints_the_plan_and_runs_nothing() {
    let place = place(FLOW);
    let (plan, _) = place.succeed("flow check words.flow.toml date=2026-03-29");
    assert_eq!(
        plan,
        "\
words?date=2026-03-29&site=eu
interval 2026-03-29T00:00:00+01:00[Europe/Berlin] to 2026-03-30T00:00:00+02:00[Europe/Berlin]
┌ count: wordcount raw/2026-03-29.txt output=counts/2026-03-29 top=2
│     2 retries, timeout 10m
└ tell: sh -c echo counted eu 2026-03-28 after count
"
    );
    assert_eq!(place.names(), ["raw", "words.flow.toml"]);
}

#[test]
fn check_draws_what_waits_for_what_with_items_below_their_task() {
    let items: Vec<String> = (0..12).map(|item| item.to_string()).collect();
    let flow = format!(
        "name = \"each\"\n\
         [tasks.fetch]\ncommand.argv = [\"true\"]\n\
         [tasks.convert]\ndepends_on = [\"fetch\"]\nfor_each = {{ item = \"i\", in = {items:?} }}\ncommand.argv = [\"convert\", \"${{i}}\"]\n\
         [tasks.count]\ndepends_on = [\"fetch\"]\ncommand.argv = [\"true\"]\n\
         [tasks.publish]\ndepends_on = [\"convert\", \"count\"]\ncommand.argv = [\"true\"]\n"
    );
    let place = Place::new(&[("each.flow.toml", &flow)]);
    let (plan, _) = place.succeed("flow check each.flow.toml");
    let lines: Vec<&str> = plan.lines().collect();
    assert_eq!(lines[1], "┌   fetch: true");
    assert!(lines[2].starts_with("├─┐ convert: for each i of 0, 1, "), "{plan}");
    assert_eq!(lines[3], "│ │     convert[0]: convert 0 after fetch");
    let rest =
        ["│ │     … and 2 more", "├ │ count: true after fetch", "└─┘ publish: true after convert, count"];
    assert_eq!(lines[13..], rest);
}

#[test]
fn a_run_is_recorded_and_what_is_complete_is_not_run_again() {
    let place = place(FLOW);
    let (first, _) = place.succeed("flow run words.flow.toml date=2026-03-29");
    assert!(
        first.starts_with("run 1 words?date=2026-03-29&site=eu  succeeded\nattempt 1, manual"),
        "{first}"
    );
    let (second, _) = place.succeed("flow run words.flow.toml date=2026-03-29");
    assert!(second.contains("complete since attempt 1"), "{second}");
    let (again, _) = place.succeed("flow rerun 1 --from tell");
    assert!(again.contains("run 3") && again.contains("attempt 3, rerun"), "{again}");
    let (runs, _) = place.succeed("flow runs words");
    let keys: Vec<&str> = runs.lines().skip(1).map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(keys, ["words?date=2026-03-29&site=eu"; 3]);
    let (logs, _) = place.succeed("flow logs 3");
    assert!(logs.contains("== tell try 1\n") && logs.contains(" counted eu 2026-03-28\n"), "{logs}");
    let (counts, _) = place.succeed("show counts/2026-03-29");
    assert!(counts.contains("be") && counts.contains("to"), "{counts}");
}

#[test]
fn what_is_wrong_with_a_flow_is_told_with_what_to_do() {
    let fails = |flow: &str, arguments: &str| {
        place(flow).fail(format!("flow check words.flow.toml {arguments}").trim(), 2)
    };
    let date = "date=2026-03-29";
    assert_says(&fails(FLOW, ""), &["parameter `date` is missing", "give it as date=2026-01-31"]);
    assert_says(&fails(FLOW, "date=2026-02-30"), &["`2026-02-30` is no date"]);
    assert_says(&fails(FLOW, "date=2026-03-29 sit=us"), &["there is no parameter `sit`", "`site`"]);
    let other = |from: &str, to: &str| FLOW.replace(from, to);
    assert_says(
        &fails(&other("depends_on = [\"count\"]", "depends_on = [\"cuont\"]"), date),
        &["task `tell`", "no task `cuont`", "`count`"],
    );
    assert_says(
        &fails(&other("depends_on", "depend_on"), date),
        &["words.flow.toml", "no key `depend_on`", "`depends_on`"],
    );
    assert_says(&fails(&other("${site}", "${sight}"), date), &["task `tell`", "no parameter `sight`"]);
    assert_says(&fails(&other("Europe/Berlin", "Europe/Berlni"), date), &["no time zone `Europe/Berlni`"]);
    assert_says(
        &fails(&other("retries = 2", "retries = \"two\""), date),
        &["words.flow.toml", "invalid type"],
    );
    let cycle = format!(
        "{FLOW}\n[tasks.a]\ndepends_on = [\"b\"]\ncommand.argv = [\"true\"]\n[tasks.b]\ndepends_on = [\"c\"]\ncommand.argv = [\"true\"]\n[tasks.c]\ndepends_on = [\"a\"]\ncommand.argv = [\"true\"]\n"
    );
    assert_says(&fails(&cycle, date), &["a after b after c after a"]);
    for (from, to, expected) in [
        ("top = 2", "tpo = 2", ["task `count`", "no key `tpo`", "`top`"]),
        ("top = 2", "top = 0.5", ["words.flow.toml", "line 10", "an argument is a text"]),
        ("date = \"date\"", "date = \"dat\"", ["words.flow.toml", "a parameter is", "\"date\""]),
        ("timeout = \"10m\"", "timeout = 10", ["words.flow.toml", "a duration is a text", "90s"]),
        ("command = { argv", "load = { form = \"x\" } #", ["words.flow.toml", "no key `form`", "`from`"]),
        (
            "command = { argv",
            "load = { from = \"x\" } #",
            ["words.flow.toml", "a load has `to`", "`postgres`"],
        ),
        (
            "command = { argv",
            "for_each = { item = \"f\", glob = \"${dat}/*\" }\ncommand = { argv",
            ["task `tell`", "no parameter `dat`", "`date`"],
        ),
        (
            "[params]",
            "[schedule]\ncron = \"99 * * * *\"\n[params]",
            ["the flow `words`", "schedule that is wrong", "99"],
        ),
    ] {
        assert_says(&fails(&other(from, to), date), &expected);
    }
    let doubled = format!("{FLOW}\n[tasks.count]\ncommand.argv = [\"true\"]\n");
    assert_says(&fails(&doubled, date), &["duplicate key"]);
}

#[test]
fn a_failure_says_where_its_log_is_and_how_to_go_on() {
    let place = place(&FLOW.replace("echo counted", "exit 7; echo"));
    let output = place.run("flow run words.flow.toml date=2026-03-29");
    let (stdout, stderr) = (utf8(output.stdout), utf8(output.stderr));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout.contains("tell")
            && stdout.contains("failed")
            && stdout.contains("it ended with exit status: 7"),
        "{stdout}"
    );
    assert!(stderr.contains("flow rerun 1 --failed"), "{stderr}");
    let log = stdout.lines().find_map(|line| line.trim().strip_prefix("log ")).unwrap();
    assert!(fs::read_to_string(place.at(log)).unwrap().contains("failed: it ended with exit status: 7"));
}

#[test]
fn a_flow_in_another_directory_has_its_files_there_and_is_found_again_from_here() {
    let flow = FLOW.replace("echo counted", "exit 7; echo").replace(
        "[tasks.count]",
        "[[notify]]\nfile = \"notices.jsonl\"\n[tasks.each]\nfor_each = { item = \"file\", glob = \"raw/*.txt\" }\n\
         command.argv = [\"cat\", \"${file}\"]\n[tasks.count]",
    );
    let place = Place::new(&[("sub/words.flow.toml", &flow), ("sub/raw/2026-03-29.txt", "to be\n")]);
    let output = place.run("flow run sub/words.flow.toml date=2026-03-29");
    let (stdout, stderr) = (utf8(output.stdout), utf8(output.stderr));
    assert!(
        stdout.contains("1 succeeded") && stdout.contains("log sub/.gristmill/logs/1/tell.1.log"),
        "{stdout}"
    );
    assert!(stderr.contains("`flow rerun 1 --failed --ledger sub/.gristmill/ledger.sqlite`"), "{stderr}");
    assert_eq!(place.names(), ["sub"]);
    assert!(fs::read_to_string(place.at("sub/notices.jsonl")).unwrap().contains("\"tell\""));
    let output = place.run("flow rerun 1 --failed --ledger sub/.gristmill/ledger.sqlite");
    let (stdout, stderr) = (utf8(output.stdout), utf8(output.stderr));
    assert!(stderr.contains("begins: attempt 2, 3 tasks, 2 complete"), "{stdout}{stderr}");
}

#[test]
fn a_dry_backfill_lists_its_days_and_a_schedule_its_times() {
    let place = place(&format!("{FLOW}\n[schedule]\ncron = \"30 2 * * *\"\n"));
    let (days, _) = place
        .succeed("flow backfill words.flow.toml --from 2026-02-27 --to 2026-03-01 --order desc --dry-run");
    assert_eq!(days, "2026-03-01\n2026-02-28\n2026-02-27\n");
    let (times, _) = place.succeed("flow schedule next words.flow.toml 3 --after 2026-03-28T00:00:00Z");
    assert_eq!(
        times,
        "2026-03-28 02:30:00 +01:00  2026-03-27\n2026-03-29 03:30:00 +02:00  2026-03-28\n2026-03-30 02:30:00 +02:00  2026-03-29\n"
    );
}

#[test]
fn what_of_a_backfill_failed_is_run_again_with_the_secrets_that_no_ledger_has() {
    let flow = FLOW.replace("[params]", "[params]\npassword = { type = \"text\", secret = true }");
    let place = place(&flow);
    let days = "--from 2026-03-29 --to 2026-03-30 password=mellon";
    let output = place.run(&format!("flow backfill words.flow.toml {days}"));
    let (stdout, stderr) = (utf8(output.stdout), utf8(output.stderr));
    assert!(stdout.contains("backfill 1: 2 intervals, 1 succeeded, 1 failed"), "{stdout}");
    assert!(stderr.contains("flow rerun --failed --backfill 1"), "{stderr}");
    fs::write(place.at("raw/2026-03-30.txt"), "or not\n").unwrap();
    assert_says(&place.fail("flow rerun --failed --backfill 1", 2), &["parameter `password` is missing"]);
    let (again, _) = place.succeed("flow rerun --failed --backfill 1 password=mellon");
    assert!(again.contains("backfill 1: 2 intervals, 2 succeeded"), "{again}");
    let (runs, _) = place.succeed("flow runs");
    assert_eq!(runs.lines().count(), 1 + 3, "what had succeeded was not run again: {runs}");

    assert_says(&place.fail("flow rerun --failed --backfill 9", 2), &["there is no backfill 9"]);
    assert_says(&place.fail("flow rerun --failed password=mellon", 2), &["give the number of a run"]);
}

#[test]
fn a_ledger_that_cannot_be_used_is_refused_and_outputs_are_left_alone() {
    let place = place(FLOW);
    place.succeed("flow run words.flow.toml date=2026-03-29");
    let ledger = place.at(".gristmill/ledger.sqlite");
    let good = fs::read(&ledger).unwrap();
    let run = "flow run words.flow.toml date=2026-03-29";
    let refused = |bytes: &[u8]| {
        for name in ["ledger.sqlite-wal", "ledger.sqlite-shm"] {
            let _ = fs::remove_file(place.at(".gristmill").join(name));
        }
        fs::write(&ledger, bytes).unwrap();
        let output = place.run(run);
        assert_eq!(output.status.code(), Some(2));
        utf8(output.stderr)
    };
    assert_says(
        &refused(b"this is no database, but it is long enough to be looked at as one"),
        &["ledger.sqlite cannot be used", "move it away"],
    );
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&99u32.to_be_bytes());
    assert_says(&refused(&newer), &["was written by a newer gristmill (version 99"]);
    let mut foreign = good.clone();
    foreign[68..72].copy_from_slice(&7u32.to_be_bytes());
    assert_says(&refused(&foreign), &["is a database, but no ledger"]);
    place.succeed("verify counts/2026-03-29");
}

/// The same flow as [`FLOW`].
fn in_rust() -> Flow {
    let count = Engine::new(EngineCommand::Wordcount)
        .set("input", ["raw/${date}.txt"])
        .set("output", "counts/${date}")
        .set("top", 2);
    let tell = ["sh", "-c", "echo counted ${site} ${date - 1d}"];
    Flow::new("words")
        .time_zone("Europe/Berlin")
        .param("date", ParamType::Date)
        .param_with(Param::new("site", ParamType::Text).default("eu"))
        .add(Task::step("count", count).retries(2).timeout(Duration::from_secs(600)))
        .step("tell", gristmill::flow::Command::new(tell))
        .after("count")
}

#[test]
fn a_flow_gives_the_same_plan_in_rust_and_in_a_file() {
    let date = [("date", "2026-03-29")];
    let (one, other) =
        (Plan::new(&in_rust(), date).unwrap(), Plan::new(&Flow::from_toml(FLOW).unwrap(), date).unwrap());
    assert_eq!(one.describe(), other.describe());
    assert_eq!(one.definition(), other.definition());
    assert_eq!(one.task_keys().collect::<Vec<_>>(), other.task_keys().collect::<Vec<_>>());
}

#[test]
fn a_child_does_not_outlive_a_gristmill_that_is_killed() {
    let script = "echo $$ > pid; trap '' TERM HUP; while true; do sleep 0.01; echo > alive; done";
    let flow = format!("name = \"stays\"\n[tasks.t]\ncommand.argv = [\"sh\", \"-c\", \"{script}\"]\n");
    let place = Place::new(&[("stays.flow.toml", &flow)]);
    let mut run = place.command("flow run stays.flow.toml --quiet").spawn().unwrap();
    let written = |name: &str| fs::metadata(place.at(name)).is_ok_and(|found| found.len() > 0);
    wait_for(|| written("pid") && written("alive"));
    run.kill().unwrap();
    run.wait().unwrap();
    let pid = fs::read_to_string(place.at("pid")).unwrap();
    wait_for(|| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
    let (runs, _) = place.succeed("flow runs");
    assert!(runs.contains("running"), "nobody has looked yet: {runs}");
    // Whoever comes next settles it.
    let refused = place.run("flow rerun 1 --accept-changes --from nothing");
    assert_says(&utf8(refused.stderr), &["there is no task `nothing`"]);
    let (runs, _) = place.succeed("flow runs");
    assert!(runs.contains("lost"), "{runs}");
}

/// Waits for something that another process does.
fn wait_for(mut is_so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "it does not happen");
        std::thread::yield_now();
    }
}

#[test]
fn of_many_processes_that_start_a_run_at_once_one_does_and_the_others_are_told_which() {
    let flow = "name = \"once\"\n[tasks.t]\ncommand.argv = [\"sh\", \"-c\", \"echo x >> ran; mkfifo go; read -r _ < go\"]\n";
    let place = Place::new(&[("once.flow.toml", flow)]);
    let start = || {
        let mut command = place.command("flow run once.flow.toml");
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let mut refused = Vec::new();
    let mut at_work: Vec<_> = (0..6).map(|_| start()).collect();
    // All but one end by themselves; the one that runs waits for `go`.
    while refused.len() < 5 {
        let ended = at_work.iter_mut().position(|process| process.try_wait().unwrap().is_some());
        let Some(ended) = ended else {
            std::thread::yield_now();
            continue;
        };
        refused.push(at_work.remove(ended).wait_with_output().unwrap());
    }
    let first = at_work.pop().unwrap();
    for output in refused {
        let message = utf8(output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        // The first one has the lock a moment before it has a number.
        let named = message.contains(&format!("run 1, process {}", first.id()));
        assert!(
            message.contains("once is running already") && (named || message.contains("another process")),
            "{message}"
        );
    }
    let late = place.run("flow run once.flow.toml");
    assert_says(&utf8(late.stderr), &[&format!("once is running already: run 1, process {}", first.id())]);
    while !place.at("go").exists() {
        std::thread::yield_now();
    }
    fs::write(place.at("go"), "\n").unwrap();
    assert!(first.wait_with_output().unwrap().status.success());
    assert_eq!(fs::read_to_string(place.at("ran")).unwrap(), "x\n");
    let (runs, _) = place.succeed("flow runs");
    assert_eq!(runs.lines().count(), 2, "{runs}");
}

#[test]
fn a_flow_is_no_job_of_a_cluster() {
    let place =
        Place::new(&[("one.flow.toml", "name = \"one\"\n[tasks.t]\ncommand.argv = [\"touch\", \"ran\"]\n")]);
    // As a driver on Spark would be asked what its stages are.
    let output = place.command("flow run one.flow.toml").env("GRISTMILL_PLAN", "1").output().unwrap();
    let told = utf8(output.stderr);
    assert!(!output.status.success(), "{told}");
    assert_says(&told, &["a flow runs on one machine", "give --master to the commands of the flow"]);
    assert!(!place.at("ran").exists());
}
