//! Jobs on a cluster give the rows that they give within one process: a cluster of processes, without Spark.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::cluster::{Cluster, JOB, result, this_program};
use common::place::utf8;
use gristmill::prelude::*;

const GRISTMILL: &str = env!("CARGO_BIN_EXE_gristmill");

#[test]
fn words_are_counted_as_in_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..200_000).map(|n| format!("word{} of {}\n", n % 5003, n % 17)).collect();
    fs::write(dir.path().join("text.txt"), text).unwrap();
    let arguments = |output| ["wordcount", "text.txt", "-o", output, "--format", "csv"];
    let status = Command::new(GRISTMILL).args(arguments("alone")).current_dir(dir.path()).status();
    assert!(status.unwrap().success());
    let mut cluster = Cluster::new(2);
    let mut command = Command::new(GRISTMILL);
    command.args(arguments("cluster")).current_dir(dir.path());
    let output = cluster.command(command);
    assert!(output.status.success(), "{}", utf8(output.stderr));
    let rows = |name: &str| {
        let mut parts: Vec<_> =
            fs::read_dir(dir.path().join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        parts.retain(|part| part.extension().is_some_and(|extension| extension == "csv"));
        parts.sort();
        let texts = parts.iter().map(|part| fs::read_to_string(part).unwrap());
        texts.flat_map(|text| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let alone = rows("alone");
    assert_eq!(alone.len(), 5003 + 17 + 1);
    assert!(alone == rows("cluster"));
    assert_eq!(cluster.tasks.len(), 2);
}

#[test]
fn what_is_measured_is_that_of_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..50_000).map(|n: u64| format!("{},{n}\n", n.wrapping_mul(7919) % 1009)).collect();
    fs::write(dir.path().join("rows.csv"), format!("key,n\n{rows}")).unwrap();
    let sort = |place: &str| {
        let mut command = Command::new(GRISTMILL);
        let metrics = format!("{place}.json");
        command.args(["sort", "rows.csv", "--by", "key", "-o", place, "--metrics", &metrics]);
        command.current_dir(dir.path());
        command
    };
    assert!(sort("alone").status().unwrap().success());
    // A sort runs its input twice there.
    assert!(Cluster::new(2).command(sort("cluster")).status.success());
    let measured = |place: &str| {
        let text = fs::read_to_string(dir.path().join(place).with_extension("json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        let stages = report["stages"].as_array().unwrap().iter();
        let rows = |stage: &serde_json::Value| {
            let operators = stage["operators"].as_array().unwrap().iter();
            operators.map(|operator| operator["rows_in"].as_u64()).collect::<Vec<_>>()
        };
        stages
            .map(|stage| (stage["tasks"].as_u64(), stage["bytes"].as_u64(), rows(stage)))
            .collect::<Vec<_>>()
    };
    assert_eq!(measured("alone"), measured("cluster"));
}

#[test]
fn standard_input_is_an_error_and_not_empty() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(GRISTMILL);
    command.args(["wordcount", "-", "-o", "counts"]).current_dir(dir.path());
    let output = Cluster::new(2).command(command);
    let told = utf8(output.stderr);
    assert!(!output.status.success() && told.contains("standard input cannot be read"), "{told}");
    assert!(!dir.path().join("counts").exists());
}

#[test]
fn an_input_that_changes_after_the_plan_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text.txt");
    fs::write(&text, "to be\n").unwrap();
    let mut cluster = Cluster::new(2);
    // As long as before, so that nothing but its time tells.
    cluster.before_stage = Box::new(move || fs::write(&text, "or not").unwrap());
    let mut command = Command::new(GRISTMILL);
    command.args(["wordcount", "text.txt", "-o", "counts"]).current_dir(dir.path());
    let output = cluster.command(command);
    let told = utf8(output.stderr);
    assert!(!output.status.success() && told.contains("or an input has changed"), "{told}");
    assert!(!dir.path().join("counts").exists());
}

/// A job: what it results in, as text.
type Job = fn(&Context) -> gristmill::Result<String>;

const JOBS: [(&str, Job); 24] = [
    ("many splits", |ctx| {
        let sums = ctx.range(0..1_000_000).map(|n| (n % 50_000, n)).reduce_by_key(|a, b| a + b);
        Ok(format!("{:?}", sums.collect()?))
    }),
    ("reduce", |ctx| {
        let sums = numbers(ctx).map(|n| (n % 1000, n)).reduce_by_key(|a, b| a + b);
        Ok(format!("{:?}", sums.collect()?))
    }),
    ("floats", |ctx| {
        let means = numbers(ctx).map(|n| (n % 10, 1.0 / (n as f64 + 0.1))).reduce_by_key(|a, b| a + b);
        let sums = means.map(|(key, sum)| (key % 3, sum)).reduce_by_key(|a, b| a + b);
        Ok(format!("{:?} {:?}", means.collect()?, sums.collect()?))
    }),
    ("groups", |ctx| {
        let groups = numbers(ctx).map(|n| (n % 100, n)).group_by_key();
        Ok(format!("{:?}", groups.collect()?))
    }),
    ("distinct", |ctx| {
        let distinct = numbers(ctx).map(|n| n / 7).distinct();
        Ok(format!("{:?}", distinct.map(|n| (n % 5, n)).group_by_key().collect()?))
    }),
    ("join", |ctx| {
        let (left, right) = (numbers(ctx).map(|n| (n % 5000, n)), numbers(ctx).map(|n| (n % 7000, n + 1)));
        let sums = left.join(&right).map(|(key, (a, b))| (key % 10, a ^ b)).reduce_by_key(u64::wrapping_add);
        Ok(format!("{:?}", sums.collect()?))
    }),
    ("broadcast", |ctx| {
        let few = ctx.range(0..50).map(|n| (n * 3, n));
        let joined = numbers(ctx).map(|n| (n % 1000, n)).broadcast_join(&few);
        let sums = joined.map(|(key, (a, b))| (key, a + b)).reduce_by_key(|a, b| a + b);
        Ok(format!("{:?}", sums.collect()?))
    }),
    ("divided", |ctx| {
        let divided = numbers(ctx).partition_by(7, |n| n / 3);
        Ok(format!("{:?}", divided.map(|n| (n % 11, n)).group_by_key().collect()?))
    }),
    ("sort", |ctx| {
        // More than a range of rows, many of which are equal.
        let rows = ctx.range(0..300_000).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54, n));
        let sorted = rows.sort_by_key(|(key, _)| *key);
        Ok(format!("{:?}", sorted.map(|(key, n)| (key / 300, n)).group_by_key().collect()?))
    }),
    ("cache", |ctx| {
        let cached = numbers(ctx).map(|n| (n % 1000, n)).cache();
        let (sums, most) = (cached.reduce_by_key(|a, b| a + b), cached.reduce_by_key(u64::max));
        let first = sums.collect()?;
        Ok(format!("{first:?} {:?}", most.collect()?))
    }),
    ("loop", |ctx| {
        let edges = ctx.range(0..3000).map(|n| (n % 300, n * 7 % 300));
        let ranks = ctx.range(0..300).map(|n| (n, 1.0)).iterate(3, |ranks| {
            let shares = edges.join(ranks).map(|(_, (to, rank))| (to, rank * 0.1));
            shares.reduce_by_key(|a, b| a + b)
        });
        Ok(format!("{:?}", ranks.map(|rank| rank).reduce_by_key(|a, _| a).collect()?))
    }),
    ("until", |ctx| {
        let halves = ctx.range(0..5000).map(|n| (n % 50, n)).iterate_until(
            20,
            |state| state.map(|(key, n)| (key, n / 2)),
            |_, next| next.map(|(_, n)| n == 0),
        );
        Ok(format!("{:?}", halves.reduce_by_key(|a, b| a + b).collect()?))
    }),
    ("cross", |ctx| {
        let pairs = ctx.range(0..500).cross_join(&ctx.range(0..70));
        Ok(format!("{:?}", pairs.map(|(a, b)| ((a + b) % 10, a * b)).reduce_by_key(|a, b| a + b).collect()?))
    }),
    ("repartition", |ctx| {
        let even = numbers(ctx).repartition(5).zip_with_index();
        Ok(format!("{:?}", even.map(|(n, at)| (at % 7, n)).group_by_key().collect()?))
    }),
    ("first ones", |ctx| {
        let sums = numbers(ctx).map(|n| (n % 1000, n)).reduce_by_key(|a, b| a + b);
        let top = sums.top_k(5, |(_, sum)| *sum).collect()?;
        Ok(format!("{:?} {:?} {top:?}", sums.take(3)?, sums.filter(|(key, _)| key % 3 == 0).first()?))
    }),
    ("figures", |ctx| {
        let floats = numbers(ctx).map(|n| (n as f64).sqrt());
        Ok(format!("{:?} {:?}", floats.stats()?, floats.histogram(&[0.0, 50.0, 100.0])?))
    }),
    ("estimates", |ctx| {
        let many = ctx.range(0..300_000).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
        let floats = many.map(|n| if n % 1000 == 0 { f64::NEG_INFINITY } else { (n as f64).sqrt() });
        let estimated = (
            many.to_approx_distinct(),
            numbers(ctx).map(|n| n % 50).to_approx_distinct(),
            floats.to_approx_quantile(&[0.0, 0.1, 0.5, 0.99, 1.0]),
            floats.filter(|n| n.is_nan()).to_approx_quantile(&[0.5]),
        );
        Ok(format!("{:?}", ctx.run(estimated)?))
    }),
    ("folds", |ctx| {
        let floats = numbers(ctx).map(|n| (n as f64 + 0.1).recip());
        let sum = floats.fold((0.0, 0_u64), |(a, n), b| (a + b, n + 1), |(a, n), (b, m)| (a + b, n + m))?;
        let words = numbers(ctx).map(|n| n.to_string());
        let last = words.fold(String::new(), |_, word| word, |_, later| later)?;
        let calls = ctx.counter("calls");
        words.for_each(move |word| calls.add(word.len() as u64))?;
        Ok(format!("{sum:?} {last} {}", ctx.counter("calls").value()))
    }),
    ("what closures give", |ctx| {
        let words = ctx.range(0..3000).map(|n| (Text::from(n.to_string()), n));
        let unknown = words.map(|(word, n)| std::time::Duration::from_secs(n + word.len() as u64));
        Ok(format!("{:?} {:?} {:?}", words.collect()?, words.first()?, unknown.count()?))
    }),
    ("union", |ctx| {
        let both = numbers(ctx).map(|n| (n % 10, n)).union(&ctx.range(0..100).map(|n| (n % 3, n * 1000)));
        Ok(format!("{:?}", both.group_by_key().collect()?))
    }),
    ("counters", |ctx| {
        // A sort runs its input twice, and a task that counts nothing has nothing to send.
        let (all, few) = (ctx.counter("all"), ctx.counter("few"));
        let counted = numbers(ctx).inspect(move |n| {
            all.increment();
            few.add(u64::from(*n < 10));
        });
        let sorted = counted.map(|n| (n % 7, n)).sort_by_key(|(key, _)| *key);
        let behind = ctx.counter("behind");
        let sums = sorted.map(|pair| pair).reduce_by_key(|a, b| a + b).inspect(move |_| behind.increment());
        let sums = sums.collect()?;
        // What a later action does depends on the counts of an earlier one.
        let rows = ctx.counter("all").value();
        let late = ctx.counter("late");
        let least = numbers(ctx).filter(move |n| n + 1 < rows).inspect(move |_| late.add(2)).count()?;
        let values = ["all", "few", "behind", "late"].map(|name| ctx.counter(name).value());
        Ok(format!("{sums:?} {least} {values:?}"))
    }),
    ("counters in a loop", |ctx| {
        let rounds = ctx.counter("rounds");
        let halves = ctx.range(0..5000).map(|n| (n % 50, n)).iterate(3, move |state| {
            let rounds = rounds.clone();
            state.map(move |(key, n)| {
                rounds.increment();
                (key, n / 2)
            })
        });
        let sums = halves.reduce_by_key(|a, b| a + b).collect()?;
        Ok(format!("{sums:?} {}", ctx.counter("rounds").value()))
    }),
    ("after a failure", |ctx| {
        // Workers come to what follows a run that has failed, too.
        let data = numbers(ctx).map(|n| if n == 7 { panic!("at {n}") } else { (n % 10, n) });
        let length = data.reduce_by_key(|a, b| a + b).collect().unwrap_err().to_string().len() as u64;
        let sums = numbers(ctx).map(move |n| (n % length, n)).reduce_by_key(|a, b| a + b);
        Ok(format!("{length} {:?}", sums.collect()?))
    }),
    ("actions", |ctx| {
        // What a later action does depends on the results of earlier ones.
        let count = numbers(ctx).filter(|n| n % 2 == 0).count()?;
        let sums =
            numbers(ctx).map(move |n| (n % count.min(100), n)).reduce_by_key(|a, b| a + b).collect()?;
        let first = sums[0].1;
        let rest = numbers(ctx).map(move |n| (n % 3, n + first)).reduce_by_key(u64::max);
        Ok(format!("{count} {sums:?} {:?}", rest.collect()?))
    }),
];

#[derive(Record, Clone, Debug)]
struct Row {
    n: u64,
    word: Text,
}

/// Jobs on `rows.csv` and `lines.txt`, where some records are bad, and which write them to `rejects` or `rejects.csv`.
const BAD: [(&str, Job); 5] = [
    ("bad rows", |ctx| {
        let policy = OnError::reject("rejects").max_records(2000).max_share(0.2);
        let rows = ctx.read_csv::<Row>("rows.csv", CsvFormat::default())?.on_error(policy)?;
        let sorted = rows.sort_by_key(|row| u64::MAX - row.n).repartition(3).collect()?;
        Ok(format!("{sorted:?} {:?}", ctx.counter(OnError::BAD_RECORDS)))
    }),
    ("bad elements", |ctx| {
        let words = ctx.read_text("lines.txt")?.flat_map(|line| line.split_whitespace());
        let policy = OnError::reject("rejects.csv");
        let numbers = words.try_map(|word| word.parse::<u64>()).on_error(policy)?;
        let sums = numbers.map(|n| (n % 10, n)).reduce_by_key(|a, b| a + b);
        // An element that stems from no line, and one that stems from no file.
        let even = sums.try_map(|(key, sum)| if key == 3 { Err("three") } else { Ok((key, sum)) });
        let even = even.on_error(OnError::skip())?.reduce_by_key(|a, _| a).collect()?;
        let words = ctx.range(0..3000).map(|n| Text::from(n.to_string()));
        let few = words.try_map(|word| if word.len() == 3 { Err("long") } else { Ok(1_u64) });
        let few = few.on_error(OnError::reject("few.csv"))?.count()?;
        let bad = ctx.counter(OnError::BAD_RECORDS).value();
        let rest = ctx.range(0..10).map(move |n| (n % 2, n + bad)).reduce_by_key(|a, b| a + b).collect()?;
        Ok(format!("{even:?} {few} {bad} {rest:?}"))
    }),
    ("too many of one task", |ctx| {
        let policy = OnError::reject("rejects").max_records(3);
        let rows = ctx.read_csv::<Row>("rows.csv", CsvFormat::default())?.on_error(policy)?;
        Ok(rows.count().unwrap_err().to_string())
    }),
    ("too many of all", |ctx| {
        let policy = OnError::reject("rejects").max_records(1100);
        let rows = ctx.read_csv::<Row>("rows.csv", CsvFormat::default())?.on_error(policy)?;
        Ok(rows.count().unwrap_err().to_string())
    }),
    ("too large a share", |ctx| {
        let policy = OnError::skip().max_share(0.01);
        let rows = ctx.read_csv::<Row>("rows.csv", CsvFormat::default())?.on_error(policy)?;
        let error = rows.count().unwrap_err();
        let length = error.to_string().len() as u64;
        let sums = numbers(ctx).map(move |n| (n % length, n)).reduce_by_key(|a, b| a + b).collect()?;
        Ok(format!("{error} {:?} {sums:?}", ctx.counter(OnError::BAD_RECORDS)))
    }),
];

fn numbers(ctx: &Context) -> Dataset<u64> {
    ctx.range(0..30_000)
}

/// Does a job, if this process is the driver or a worker of one.
#[test]
fn job() {
    let Ok(wanted) = std::env::var(JOB) else { return };
    match wanted.as_str() {
        "panic" => return panics(),
        "unknown" => return cannot_travel(),
        _ => {}
    }
    let (_, job) = JOBS.iter().chain(&BAD).find(|(name, _)| *name == wanted).unwrap();
    println!("\nresult: {}", job(&context()).unwrap());
}

/// One that has several splits of small files.
fn context() -> Context {
    Context::builder().split_bytes(1 << 16).build().unwrap()
}

fn panics() {
    let ctx = Context::new().unwrap();
    let data = ctx.range(0..100_000).map(|n| if n == 77_777 { panic!("at {n}") } else { (n % 10, n) });
    eprintln!("told: {}", data.reduce_by_key(|a, b| a + b).collect().unwrap_err());
}

fn cannot_travel() {
    let ctx = context();
    let data = numbers(&ctx).map(std::time::Duration::from_secs);
    eprintln!("collect: {}", data.collect().unwrap_err());
    eprintln!("fold: {}", data.fold(std::time::Duration::ZERO, |a, b| a + b, |a, b| a + b).unwrap_err());
}

#[test]
fn jobs_give_what_they_give_in_one_process() {
    for (name, _) in JOBS {
        eprintln!("{name}");
        let alone = result(this_program(name).output().unwrap());
        let mut cluster = Cluster::new(2);
        let on_cluster = result(cluster.command(this_program(name)));
        assert!(alone == on_cluster, "{name}: {alone:.300}\n{on_cluster:.300}");
        assert!(cluster.tasks.len() > 1, "{name}: {:?}", cluster.tasks);
    }
}

#[test]
fn the_driver_hears_of_tasks_and_not_of_splits() {
    let mut cluster = Cluster::new(3);
    result(cluster.command(this_program("many splits")));
    let (partitions, frames) = cluster.heard[0];
    let tasks = cluster.tasks[0] as u64;
    assert!(tasks == 9 && partitions > 0, "{:?} {:?}", cluster.tasks, cluster.heard);
    // A summary for each task and partition, and what was measured.
    assert!(frames as u64 <= tasks * (partitions + 1), "{:?}", cluster.heard);
}

#[test]
fn a_task_that_is_done_twice_counts_and_writes_once() {
    let counters = ["counters", "counters in a loop"];
    for (name, dir) in
        counters.map(|name| (name, good_inputs())).into_iter().chain([("bad elements", bad_inputs())])
    {
        let mut command = this_program(name);
        let alone = result(command.current_dir(dir.path()).output().unwrap());
        let written = files(dir.path());
        let mut command = this_program(name);
        command.current_dir(dir.path());
        let mut cluster = Cluster::new(2);
        cluster.tries = 2;
        assert_eq!(result(cluster.command(command)), alone);
        assert!(files(dir.path()) == written, "{name}");
    }
    let dir = good_inputs();
    let mut command = Command::new(GRISTMILL);
    command.args(["convert", "orders.csv", "-o", "copy.csv"]).current_dir(dir.path());
    let mut cluster = Cluster::new(2);
    cluster.tries = 2;
    let output = cluster.command(command);
    assert!(output.status.success(), "{}", utf8(output.stderr));
    let [(_, copy), (_, orders)] = files(dir.path()).try_into().unwrap();
    assert!(copy == orders);
    let mut names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.all(|name| !name.to_string_lossy().contains("staging")));
}

#[test]
fn a_panic_comes_to_the_driver_with_operator_and_line() {
    let output = Cluster::new(2).command(this_program("panic"));
    let stderr = utf8(output.stderr);
    let told = stderr.lines().find(|line| line.starts_with("told: ")).unwrap_or_else(|| panic!("{stderr}"));
    assert!(
        told.contains("map at tests/cluster.rs:") && told.contains("the closure panicked: at 77777"),
        "{told}"
    );
    assert!(told.contains("row 77777"), "{told}");
}

/// A directory with inputs of which some records are bad.
fn bad_inputs() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let row = |n: u64| if n % 53 == 7 { format!("{n}x,\"a\nb\"\n") } else { format!("{n},word {n}\n") };
    fs::write(dir.path().join("rows.csv"), "n,word\n".to_owned() + &(0..60_000).map(row).collect::<String>())
        .unwrap();
    let line = |n: u64| if n % 71 == 5 { format!("{n} -{n} x {n}\n") } else { format!("{n} {n}\n") };
    fs::write(dir.path().join("lines.txt"), (0..100_000).map(line).collect::<String>()).unwrap();
    dir
}

/// The paths and bytes of all files below a directory but for manifests and locks.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut files, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(next) = dirs.pop() {
        for path in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                dirs.push(path);
            } else if !name.starts_with(['.', '_']) {
                files.push((path.strip_prefix(dir).unwrap().to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn bad_records_are_rejected_as_in_one_process() {
    for (name, _) in BAD {
        eprintln!("{name}");
        let (here, there) = (bad_inputs(), bad_inputs());
        let mut command = this_program(name);
        let alone = result(command.current_dir(here.path()).output().unwrap());
        let mut command = this_program(name);
        command.current_dir(there.path());
        let mut cluster = Cluster::new(2);
        let on_cluster = result(cluster.command(command));
        assert!(alone == on_cluster, "{name}: {alone:.300}\n{on_cluster:.300}");
        assert!(files(here.path()) == files(there.path()), "{name}");
        let rejects = files(here.path()).len() - 2;
        assert_eq!(
            rejects,
            ["bad rows", "bad elements"].iter().position(|with| *with == name).map_or(0, |n| n + 1)
        );
        assert!(cluster.tasks.iter().any(|tasks| *tasks > 1), "{name}: {:?}", cluster.tasks);
    }
}

#[test]
fn the_command_says_of_bad_records_what_it_says_in_one_process() {
    let dir = bad_inputs();
    let arguments = |output| {
        [
            "convert",
            "rows.csv",
            "--infer-rows",
            "5",
            "--on-error",
            "reject=rejects.csv",
            "--max-errors",
            "2%",
            "-o",
            output,
        ]
    };
    let mut told = Vec::new();
    for output in ["alone", "cluster"] {
        let mut command = Command::new(GRISTMILL);
        command.args(arguments(output)).current_dir(dir.path());
        let output =
            if output == "alone" { command.output().unwrap() } else { Cluster::new(2).command(command) };
        let stderr = utf8(output.stderr);
        assert!(output.status.success(), "{stderr}");
        told.push((
            stderr.lines().last().unwrap().to_owned(),
            fs::read(dir.path().join("rejects.csv")).unwrap(),
        ));
    }
    assert!(told[0].0.contains("1132 records could not be read"), "{told:.1000?}");
    assert!(told[0] == told[1], "{told:.1000?}");
}

#[test]
fn what_cannot_travel_is_told_before_anything_is_run() {
    let mut cluster = Cluster::new(2);
    let stderr = utf8(cluster.command(this_program("unknown")).stderr);
    let told = |start: &str| {
        stderr.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{stderr}"))
    };
    let (collect, fold) = (told("collect: "), told("fold: "));
    assert!(
        collect.contains("collect at tests/cluster.rs:") && collect.contains("core::time::Duration"),
        "{collect}"
    );
    assert!(collect.contains("write it to files"), "{collect}");
    assert!(fold.contains("fold at tests/cluster.rs:") && fold.contains("use reduce_by_key"), "{fold}");
    assert!(cluster.tasks.is_empty());
}

#[test]
fn single_files_and_what_is_printed_are_those_of_one_process_to_the_byte() {
    let (here, there) = (good_inputs(), good_inputs());
    let outputs = ["rows.csv.gz", "rows.jsonl", "rows.parquet", "-"];
    for output in outputs {
        let arguments = ["sort", "orders.csv", "--by", "city,-price", "-o", output];
        let mut alone = Command::new(GRISTMILL);
        let alone = alone.args(arguments).current_dir(here.path()).output().unwrap();
        let mut command = Command::new(GRISTMILL);
        command.args(arguments).current_dir(there.path());
        let mut cluster = Cluster::new(2);
        let on_cluster = cluster.command(command);
        assert!(on_cluster.status.success(), "{output}: {}", utf8(on_cluster.stderr));
        assert!(alone.stdout == on_cluster.stdout, "{output}");
        assert_eq!(output == "-", alone.stdout.len() > 1_000_000, "{output}");
        assert!(cluster.tasks.iter().any(|tasks| *tasks > 1), "{output}: {:?}", cluster.tasks);
    }
    let (here, there) = (files(here.path()), files(there.path()));
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    assert_eq!(names(&here), names(&there));
    for ((path, alone), (_, on_cluster)) in here.iter().zip(&there) {
        assert!(alone == on_cluster, "{}", path.display());
    }
    assert_eq!(here.len(), outputs.len());
}

/// A directory with a table that has several splits.
fn good_inputs() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let row = |n: u64| format!("{n},city {},{}.5\n", n % 97, n * 7919 % 10_000);
    let rows = "id,city,price\n".to_owned() + &(0..100_000).map(row).collect::<String>();
    fs::write(dir.path().join("orders.csv"), rows).unwrap();
    dir
}

#[test]
fn what_was_appended_is_not_appended_again() {
    let dir = good_inputs();
    let arguments = [
        "convert",
        "orders.csv",
        "-o",
        "out",
        "--to",
        "csv",
        "--mode",
        "append-once",
        "--append-id",
        "first",
    ];
    let run = |cluster: &mut Cluster| {
        let mut command = Command::new(GRISTMILL);
        let output = cluster.command({
            command.args(arguments).current_dir(dir.path());
            command
        });
        assert!(output.status.success(), "{}", utf8(output.stderr));
        files(&dir.path().join("out"))
    };
    let first = run(&mut Cluster::new(2));
    assert!(first.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > 1_000_000);
    assert!(first == run(&mut Cluster::new(2)));
}
