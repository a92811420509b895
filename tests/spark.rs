//! The command on Spark: a short job on `local[2]`, with the Spark that `tests/setup.sh` gets. More of them run by `tests/spark/jobs.py`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::cluster::{JOB, this_program};
use common::place::{Place, assert_says, utf8};
use common::{consumers, text};
use gristmill::prelude::*;

/// Where Spark is, as the environment of the consumers has it.
fn spark_home() -> PathBuf {
    let script = "import pyspark; print(pyspark.__path__[0])";
    let output = Command::new(consumers::program("python")).args(["-c", script]).output().unwrap();
    assert!(output.status.success(), "{}", utf8(output.stderr));
    PathBuf::from(utf8(output.stdout).trim())
}

fn on_spark(place: &Place, line: &str) -> Output {
    let mut command = place.command(line);
    command.env("SPARK_HOME", spark_home()).env("SPARK_LOCAL_IP", "127.0.0.1");
    command.output().unwrap()
}

/// The rows of an output, in the order of its parts.
fn rows(place: &Place, output: &str) -> Vec<String> {
    let entries = fs::read_dir(place.at(output)).unwrap().map(|entry| entry.unwrap().path());
    let mut parts: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "csv")).collect();
    parts.sort();
    let rows = |part: &PathBuf| {
        fs::read_to_string(part).unwrap().lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    parts.iter().flat_map(rows).collect()
}

#[test]
fn words_are_counted_on_spark_as_in_one_process() {
    let place = Place::new(&[("text.txt", &text(3 << 20, 7))]);
    place.succeed("wordcount text.txt -o alone --format csv");
    let Output { status, stderr, .. } =
        on_spark(&place, "wordcount text.txt -o spark --format csv --master local[2]");
    let told = utf8(stderr);
    assert!(status.success(), "{told}");
    assert!(told.contains("wrote ") && told.contains(" words to "), "{told}");
    let alone = rows(&place, "alone");
    assert!(alone.len() > 1000);
    assert!(alone == rows(&place, "spark"));
    place.succeed("verify spark");
    assert_eq!(place.names(), ["alone", "spark", "text.txt"], "nothing is left over");
}

#[test]
fn the_stages_of_a_program_are_printed_as_json() {
    let place = Place::new(&[("text.txt", "to be\nor not\n")]);
    let (printed, _) = place
        .succeed(&format!("spark plan {} wordcount text.txt -o counts", env!("CARGO_BIN_EXE_gristmill")));
    let plan: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(plan["version"], 1);
    let [first, second] = plan["stages"].as_array().unwrap().as_slice() else { panic!("{printed}") };
    assert_eq!(first["reads"]["splits"], 1);
    assert_eq!(first["leaves"][0]["to"], "exchange");
    assert_eq!(second["reads"]["exchange"], first["leaves"][0]["for"]);
    assert_eq!(second["leaves"][0]["operator"], "to_parquet");
    assert_eq!(place.names(), ["text.txt"], "nothing is run");
}

#[test]
fn what_is_printed_on_spark_is_what_one_process_prints() {
    let bad = "number,word\n1,a\nx,b\n3,c\n".to_owned() + &"4,d\n".repeat(400_000);
    let place = Place::new(&[("rows.csv", &bad)]);
    let convert = "convert rows.csv --infer-rows 1 --on-error skip -o - --to jsonl";
    let (alone, _) = place.succeed(convert);
    let Output { status, stdout, stderr } = on_spark(&place, &format!("{convert} --master local[2]"));
    let told = utf8(stderr);
    assert!(status.success(), "{told}");
    assert!(told.contains("1 records could not be read and were left out"), "{told}");
    assert!(alone == utf8(stdout));
    assert_eq!(alone.lines().count(), 400_002);
}

#[test]
fn what_cannot_run_on_spark_says_so() {
    let place = Place::new(&[("text.txt", "to be\n")]);
    let fails = |line: &str, words: &[&str]| {
        let Output { status, stderr, .. } = on_spark(&place, line);
        let told = utf8(stderr);
        assert!(!status.success(), "{line}: {told}");
        let last = told.lines().find(|line| line.starts_with("gristmill: ")).unwrap_or(&told).to_owned();
        assert_says(&last, words);
        assert_eq!(place.names(), ["text.txt"], "{line}");
    };
    fails("wordcount missing.txt -o counts --master local[2]", &["missing.txt"]);

    let without_spark = |home: &Path| {
        place.command("wordcount text.txt -o counts --master local[2]").env("SPARK_HOME", home).output()
    };
    let told = utf8(without_spark(Path::new("/nowhere")).unwrap().stderr);
    assert_says(
        &told,
        &["there is no /nowhere/bin/spark-submit", "SPARK_HOME must be where Apache Spark is"],
    );
    let told = place.fail("spark submit text.txt", 2);
    assert_says(&told, &["no cluster is named", "--master"]);
}

/// Does a job, if this process is the driver or a worker of it.
#[test]
fn job() {
    match std::env::var(JOB).as_deref() {
        Ok("panic") => panics(),
        Ok("loss") => loses(),
        _ => {}
    }
}

/// This program as one that does a job on Spark.
fn job_on_spark(name: &str) -> Command {
    let mut command = this_program(name);
    command
        .env("GRISTMILL_MASTER", "local[2]")
        .env("SPARK_HOME", spark_home())
        .env("SPARK_LOCAL_IP", "127.0.0.1");
    command
}

fn told(mut command: Command) -> String {
    let stderr = utf8(command.output().unwrap().stderr);
    let told = stderr.lines().find_map(|line| line.strip_prefix("told: ").map(str::to_owned));
    told.unwrap_or_else(|| panic!("{stderr}"))
}

fn panics() {
    let ctx = Context::new().unwrap();
    let data = ctx.range(0..100_000).map(|n| if n == 77_777 { panic!("at {n}") } else { (n % 10, n) });
    eprintln!("told: {}", data.reduce_by_key(|a, b| a + b).collect().unwrap_err());
}

#[test]
fn a_panic_comes_to_the_terminal_with_operator_line_and_row() {
    let told = told(job_on_spark("panic"));
    assert_says(&told, &["map at tests/spark.rs:", "the closure panicked: at 77777", "row 77777"]);
}

/// Fills a cache and writes an output in one pass, loses what Spark has of the cache, and reads it.
fn loses() {
    let ctx = Context::new().unwrap();
    let pairs = ctx.range(0..200_000).map(|n| (n % 10, n));
    let cached = pairs.map(|(key, n)| (key, n / 2)).cache();
    let (written, _) = ctx.run((pairs.to_csv("out", CsvOptions::default()), cached.to_count())).unwrap();
    if std::env::var_os("GRISTMILL_DRIVER").is_some() {
        let lost = delete_shuffle_files(Path::new("local"));
        assert!(lost > 0);
    }
    let sums = cached.reduce_by_key(|a, b| a + b).collect().unwrap();
    eprintln!("told: {} {sums:?}", written.rows);
}

fn delete_shuffle_files(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let deleted = entries.map(|path| match path.file_name().unwrap().to_str().unwrap() {
        _ if path.is_dir() => delete_shuffle_files(&path),
        name if name.starts_with("shuffle_") => fs::remove_file(&path).map(|()| 1).unwrap(),
        _ => 0,
    });
    deleted.sum()
}

#[test]
fn what_spark_has_lost_is_computed_again_without_the_output_that_is_committed() {
    let place = Place::new(&[]);
    fs::create_dir(place.at("local")).unwrap();
    let mut command = job_on_spark("loss");
    command
        .current_dir(place.at(""))
        .env("GRISTMILL_SPARK_CONF", format!("spark.local.dir={}", place.at("local").display()));
    let mut alone = this_program("loss");
    let elsewhere = Place::new(&[]);
    alone.current_dir(elsewhere.at(""));
    assert_eq!(told(command), told(alone));
    place.succeed("verify out");
    assert_eq!(rows(&place, "out"), rows(&elsewhere, "out"));
    assert_eq!(place.names(), ["local", "out"], "nothing is left over");
}

#[test]
fn the_jar_is_what_its_sources_give() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("spark/build.sh");
    let output = Command::new(script).arg("--check").env("SPARK_HOME", spark_home()).output().unwrap();
    assert!(output.status.success(), "{}{}", utf8(output.stdout), utf8(output.stderr));
}
