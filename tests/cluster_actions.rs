//! Programs of several actions on a cluster of processes: workers come to each of them as the driver did, whatever became of those before it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::cluster::{Cluster, JOB, result, this_program};
use gristmill::prelude::*;

/// A job: what it results in, as text.
type Job = fn(&Context) -> gristmill::Result<String>;

const JOBS: [(&str, Job); 5] = [
    ("an output that exists", |ctx| {
        fs::create_dir_all("there").unwrap();
        let refused = pairs(ctx).write_csv("there", CsvOptions::default()).unwrap_err().to_string();
        Ok(format!("{refused} {}", after(ctx, refused.len())?))
    }),
    ("elements that cannot travel", |ctx| {
        let unknown = pairs(ctx).map(|(n, _)| std::time::Duration::from_secs(n));
        // Within one process it is no error.
        drop(unknown.collect());
        after(ctx, 0)
    }),
    ("a commit that fails", |ctx| {
        let sums = pairs(ctx).reduce_by_key(|a, b| a + b).cache();
        let refused = sums.write_csv("late", CsvOptions::default());
        let is_refused = refused.as_ref().err().map(ToString::to_string);
        // What was cached before the commit is there.
        let most = sums.map(|(_, sum)| ((), sum)).reduce_by_key(u64::max).collect()?;
        Ok(format!("{most:?} {}", after(ctx, is_refused.map_or(0, |_| 5))?))
    }),
    ("a cache and an output", |ctx| {
        // One pass over the pairs fills both.
        let pairs = pairs(ctx);
        let cached = pairs.map(|(key, n)| (key % 10, n)).cache();
        let (out, sums) = (pairs.to_csv("out", CsvOptions::default()), cached.reduce_by_key(|a, b| a + b));
        let (written, sums) = ctx.run((out, sums.to_vec()))?;
        let most = cached.reduce_by_key(u64::max).collect()?;
        Ok(format!("{} {sums:?} {most:?}", written.rows))
    }),
    ("outputs of other names", |ctx| {
        let [first, second] = ["one", "two"].map(|name| pairs(ctx).write_csv(name, CsvOptions::default()));
        Ok(format!("{} {}", first?.rows, second?.rows))
    }),
];

/// What cannot be done on a cluster.
const NESTED: (&str, Job) = ("an action within a closure", |ctx| {
    let count = |n| Context::new()?.range(0..n).count();
    let counts =
        ctx.range(7..8).map(move |n| (n, count(n).map_or_else(|error| error.to_string(), |n| n.to_string())));
    Ok(format!("{:?}", counts.reduce_by_key(|a, _| a).collect()?))
});

fn pairs(ctx: &Context) -> Dataset<(u64, u64)> {
    ctx.range(0..30_000).map(|n| (n % 1000, n))
}

/// What follows, which depends on what was before.
fn after(ctx: &Context, length: usize) -> gristmill::Result<String> {
    let length = length as u64 + 7;
    let sums = pairs(ctx).map(move |(_, n)| (n % length, n)).reduce_by_key(|a, b| a + b).collect()?;
    let first = sums[0].1;
    let rest = pairs(ctx).map(move |(_, n)| (n % 3, n + first)).reduce_by_key(u64::max).collect()?;
    Ok(format!("{sums:?} {rest:?}"))
}

/// Does a job, if this process is the driver or a worker of one.
#[test]
fn job() {
    let Ok(wanted) = std::env::var(JOB) else { return };
    let (_, job) = JOBS.iter().chain([&NESTED]).find(|(name, _)| *name == wanted).unwrap();
    let ctx = Context::builder().split_bytes(1 << 16).build().unwrap();
    println!("\nresult: {}", job(&ctx).unwrap());
}

#[test]
fn workers_come_to_an_action_as_the_driver_did() {
    for (name, _) in JOBS {
        eprintln!("{name}");
        let [here, there] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let alone = result(job_in(name, here.path()).output().unwrap());
        let mut cluster = Cluster::new(2);
        let on_cluster = result(cluster.command(job_in(name, there.path())));
        let unlike =
            |text: &str| text.replace(&utf8_path(here.path()), "").replace(&utf8_path(there.path()), "");
        assert!(unlike(&alone) == unlike(&on_cluster), "{name}: {alone:.300}\n{on_cluster:.300}");
        assert!(cluster.tasks.len() > 1, "{name}: {:?}", cluster.tasks);
    }
}

fn job_in(name: &str, dir: &Path) -> Command {
    let mut command = this_program(name);
    command.current_dir(dir);
    command
}

fn utf8_path(path: &Path) -> String {
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn an_action_whose_commit_failed_fails_in_workers_too() {
    let dir = tempfile::tempdir().unwrap();
    let late = dir.path().join("late");
    let mut cluster = Cluster::new(2);
    // Somebody else is faster.
    cluster.before_stage = Box::new(move || fs::create_dir_all(&late).unwrap());
    let mut command = job_in("a commit that fails", dir.path());
    command.env("GRISTMILL_THREADS", "1");
    let told = result(cluster.command(command));
    let other = tempfile::tempdir().unwrap();
    let alone = result(job_in("a commit that fails", other.path()).output().unwrap());
    assert_ne!(told, alone, "the commit has not failed");
    // Twelve numbers, 5 and 7, and not the seven where nothing fails.
    assert!(told.contains("(11, ") && !alone.contains("(11, 1"), "{told:.300}\n{alone:.300}");
}

#[test]
fn what_a_lost_executor_had_is_computed_again_though_its_output_is_committed() {
    for name in ["a cache and an output", "a commit that fails"] {
        let [here, there] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let alone = result(job_in(name, here.path()).output().unwrap());
        let mut cluster = Cluster::new(2);
        cluster.loses = true;
        assert_eq!(result(cluster.command(job_in(name, there.path()))), alone, "{name}");
        let mut names = fs::read_dir(there.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.all(|name| !name.to_string_lossy().contains("staging")), "{name}");
    }
}

#[test]
fn an_action_within_a_closure_is_an_error_and_no_deadlock() {
    let dir = tempfile::tempdir().unwrap();
    let alone = result(job_in(NESTED.0, dir.path()).output().unwrap());
    assert_eq!(alone, "[(7, \"7\")]");
    let told = result(Cluster::new(2).command(job_in(NESTED.0, dir.path())));
    assert!(told.contains("an action within a closure cannot be run on a cluster"), "{told}");
}
