//! `GRISTMILL_COMMIT=manifest`: what the command, its readers and the tasks of a cluster make of outputs that are committed in place.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::cluster::Cluster;
use common::place::{Place, assert_says, utf8};
use common::{files, names};
use gristmill::config::CommitBy;
use gristmill::io::commit::manifest;
use gristmill::prelude::*;

/// The command in a place, to be committed by manifest; arguments are separated by spaces.
fn command(place: &Path, line: &str) -> Command {
    let mut command = common::gristmill(&line.split(' ').collect::<Vec<_>>());
    command.current_dir(place).env("GRISTMILL_COMMIT", "manifest");
    command
}

/// What it prints to standard error; it must succeed.
fn succeed(place: &Place, line: &str) -> String {
    told(command(&place.at(""), line).output().unwrap(), line)
}

fn told(output: Output, line: &str) -> String {
    let told = utf8(output.stderr);
    assert!(output.status.success(), "{line}: {told}");
    told
}

fn rows(count: u64) -> String {
    let rows = (0..count).map(|n| format!("d{},{},{n}\n", n % 3, n.wrapping_mul(7919) % 1009));
    format!("day,key,n\n{}", rows.collect::<String>())
}

/// What an output holds, as its reader prints it, in order.
fn read(place: &Place, output: &str) -> String {
    place.succeed(&format!("convert {output} -o - --to csv")).0
}

#[test]
fn outputs_are_written_replaced_and_read() {
    let place = Place::new(&[("rows.csv", &rows(10_000))]);
    place.succeed("convert rows.csv -o expected.csv");
    place.succeed("sort rows.csv --by key -o sorted.csv");
    for overwrite in ["", " --overwrite"] {
        succeed(&place, &format!("convert rows.csv -o out --to csv{overwrite}"));
        succeed(&place, &format!("sort out --by key -o sorted --to parquet{overwrite}"));
        succeed(&place, &format!("wordcount rows.csv -o counts{overwrite}"));
        for output in ["out", "sorted", "counts"] {
            let generation = 1 + u32::from(!overwrite.is_empty());
            assert_eq!(names(&place.at(output))[0], format!("_manifest-{generation:08}.json"));
            assert_eq!(names(&place.at(output)).len(), 2);
            place.succeed(&format!("verify {output}"));
        }
        assert_eq!(read(&place, "out"), read(&place, "expected.csv"));
        assert_eq!(read(&place, "sorted"), read(&place, "sorted.csv"));
        assert!(place.succeed("show counts --rows 1").0.contains("1 of "));
    }
    // By renames again.
    place.succeed("convert rows.csv -o out --to csv --overwrite");
    assert_eq!(names(&place.at("out")), ["_manifest.json", "part-00000.csv"]);
    succeed(&place, "convert rows.csv -o out --to csv --overwrite");
    assert_eq!(names(&place.at("out"))[0], "_manifest-00000001.json");
    assert_eq!(names(&place.at("out")).len(), 2);
}

#[test]
fn of_a_table_the_manifest_names_what_counts_wherever_one_begins_to_read() {
    let place = Place::new(&[("rows.csv", &rows(3000))]);
    succeed(&place, "convert rows.csv -o out --to csv --partition-by day");
    assert!(place.succeed("verify out").0.contains("3 partition(s), 3 file(s), 3000 rows"));
    let stray = "part-00000-gristmill-1-2-3.csv";
    let [out, day] = ["out", "out/day=d1"].map(|dir| place.at(dir));
    let part = day.join(&names(&day)[0]);
    for dir in ["day=d1", "day=d9"] {
        fs::create_dir_all(out.join(dir)).unwrap();
        fs::copy(&part, out.join(dir).join(stray)).unwrap();
    }
    let told = place.succeed("convert out --from csv -o - --to csv").1;
    assert!(told.contains("1 file(s) in out/day=d9 are left out"), "{told}");
    for (input, wanted) in
        [("out", 3000), ("out/day=d1", 1000), ("out/*/part-*.csv", 3000), ("out/day=d1/*", 1000)]
    {
        let rows = place.succeed(&format!("convert {input} --from csv -o - --to csv"));
        assert_eq!(rows.0.lines().count(), wanted + 1, "{input}: {}", rows.1);
    }
    let none = place.fail("convert out/day=d9 --from csv -o - --to csv", 1);
    assert!(none.contains("there is no record"), "{none}");
    let verified = place.run("verify out");
    assert_eq!(verified.status.code(), Some(1));
    assert_eq!(utf8(verified.stdout).matches("unfinished: ").count(), 2);
    assert!(place.succeed("recover out").0.matches("deleted ").count() == 2);
    assert!(!out.join("day=d9").exists());
    place.succeed("verify out");
    // A file that is written down is read in any case; and what is lost is told.
    let name = part.strip_prefix(place.at("")).unwrap().to_string_lossy().into_owned();
    assert_eq!(place.succeed(&format!("convert {name} -o - --to csv")).0.lines().count(), 1001);
    fs::remove_dir_all(&day).unwrap();
    let lost = place.fail("convert out --from csv -o - --to csv", 1);
    assert_says(&lost, &["out/day=d1 is missing, which the _manifest-00000001.json of its output names"]);
}

#[test]
fn what_no_manifest_names_yet_is_nothing_to_read() {
    let stray = "part-00000-gristmill-1-2-3.csv";
    let place = Place::new(&[(&format!("out/{stray}"), "n\n1\n"), (&format!("table/n=1/{stray}"), "k\n1\n")]);
    for input in ["out", "out/*.csv", "table", "table/n=1", "table/*/*.csv"] {
        let told = place.fail(&format!("convert {input} -o copy --to csv"), 1);
        assert_says(&told, &["holds parts of an output that is not committed", "name the files"]);
    }
    assert_eq!(place.succeed(&format!("convert out/{stray} -o - --to csv")).0, "n\n1\n");
}

#[test]
fn what_cannot_be_done_without_renames_is_said_before_any_work() {
    let place = Place::new(&[("rows.csv", &rows(30)), ("old.csv", "n\n1\n")]);
    for (line, why) in [
        ("convert rows.csv -o old.csv --overwrite", "a single file cannot be replaced; delete it before"),
        ("convert rows.csv -o out --mode append-once --append-id a", "nothing can be appended"),
        ("convert rows.csv -o out --on-error reject=bad", "several outputs cannot be committed together"),
        (
            "convert rows.csv -o out --partition-by day --mode partitions --partition day=d1",
            "single partitions",
        ),
    ] {
        let before = files(&place.at(""));
        let output = command(&place.at(""), line).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert_says(&utf8(output.stderr), &["is committed without renames, and so", why]);
        assert!(files(&place.at("")) == before, "{line}");
    }
    let nonsense =
        command(&place.at(""), "convert rows.csv -o out").env("GRISTMILL_COMMIT", "no").output().unwrap();
    assert_says(&utf8(nonsense.stderr), &["GRISTMILL_COMMIT is \"no\"", "auto or manifest"]);
}

#[derive(Record, Clone, Debug, PartialEq)]
struct Row {
    n: u64,
}

#[test]
fn a_program_says_so_for_its_context() {
    let dir = tempfile::tempdir().unwrap();
    let [csv, parquet] = ["csv", "parquet"].map(|name| dir.path().join(name));
    let ctx = Context::builder().threads(2).commit_by(CommitBy::Manifest).build().unwrap();
    for count in [10, 20] {
        let numbers = ctx.range(0..count).map(|n| Row { n });
        numbers.write_csv(&csv, CsvOptions::default().existing(Existing::Overwrite)).unwrap();
        numbers.write_parquet(&parquet, ParquetOptions::default().existing(Existing::Overwrite)).unwrap();
        for dir in [&csv, &parquet] {
            manifest::verify(dir).unwrap();
            // A run begins to write the next one.
            let part = dir.join(&manifest::read(dir).unwrap().unwrap().parts[0].name);
            let extension = part.extension().unwrap().to_string_lossy();
            fs::copy(&part, dir.join(format!("part-00000-gristmill-1-2-3.{extension}"))).unwrap();
        }
        assert_eq!(ctx.read_csv::<Row>(&csv, CsvFormat::default()).unwrap().count().unwrap(), count);
        assert_eq!(ctx.read_parquet::<Row>(&parquet).unwrap().count().unwrap(), count);
    }
    let numbers = ctx.range(0..9);
    let both = ctx.run((
        numbers.to_csv(dir.path().join("a"), CsvOptions::default()),
        numbers.to_csv(dir.path().join("b"), CsvOptions::default()),
    ));
    assert!(both.unwrap_err().to_string().contains("several outputs cannot be committed together"));
    assert!(!dir.path().join("a").exists() && !dir.path().join("b").exists());
}

/// The paths of what counts in an output, in order.
fn counting(output: &Path) -> Vec<PathBuf> {
    let manifest = manifest::verify(output).unwrap();
    manifest.parts.iter().map(|part| output.join(&part.name)).collect()
}

#[test]
fn tasks_of_a_cluster_write_where_their_parts_stay() {
    let place = Place::new(&[("rows.csv", &rows(150_000))]);
    let words = (0..3000).map(|n| format!("word{} and {}\n", n % 701, n % 13)).collect::<String>();
    fs::write(place.at("text.txt"), words).unwrap();
    let mut wrote = 0;
    for (line, output) in [
        ("convert rows.csv --to csv -o", "rows"),
        ("sort rows.csv --by key --to csv -o", "sorted"),
        ("sort rows.csv --by key --partition-by day --to csv -o", "table"),
        ("wordcount text.txt --format csv -o", "counts"),
        ("convert rows.csv -o", "rows.parquet"),
    ] {
        place.succeed(&format!("{line} alone-{output}"));
        // Each task is tried twice, and the second try counts; the output is replaced, too.
        for overwrite in ["", " --overwrite"] {
            if output.contains('.') && !overwrite.is_empty() {
                break; // a file cannot be replaced
            }
            let mut cluster = Cluster::new(2);
            cluster.tries = 2;
            let line = format!("{line} {output}{overwrite}");
            told(cluster.command(command(&place.at(""), &line)), &line);
            wrote += cluster.tasks.iter().sum::<usize>();
            let print =
                |name: &str| place.succeed(&format!("convert {name} --from {} -o - --to csv", from(name))).0;
            assert!(print(output) == print(&format!("alone-{output}")), "{line}");
            if !output.contains('.') {
                let parts = counting(&place.at(output)); // and that there is nothing else
                assert!(parts.len() > 1 || output == "counts", "{parts:?}");
            }
        }
    }
    assert!(wrote > 20, "{wrote} tasks");
    let hidden = names(&place.at("")).into_iter().filter(|name| name.starts_with('.'));
    assert_eq!(hidden.collect::<Vec<_>>(), Vec::<String>::new());
}

fn from(name: &str) -> &str {
    if name.ends_with(".parquet") { "parquet" } else { "csv" }
}
