//! Outputs that are partitioned by columns: the right rows in the right directories, and the same bytes whatever the setting.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{files, names, scramble};
use gristmill::io::commit::{manifest, verify};
use gristmill::io::hive::PartitionPath;
use gristmill::io::parquet::read_parquet;
use gristmill::prelude::*;
use gristmill::record::from_batch;
use gristmill::{ErrorKind, Result};

#[derive(Record, Clone, Debug, PartialEq)]
struct Visit {
    n: u64,
    #[record(date)]
    day: i32,
    country: Option<Text>,
    path: Text,
}

/// Visits on several days, of which neighbours are mostly of one day, as in logs.
fn visit(n: u64) -> Visit {
    let country = match scramble(n) % 4 {
        0 => None,
        1 => Some("DE".into()),
        2 => Some("a/b".into()),
        _ => Some("".into()),
    };
    let day = 20_454 + (n / 3000) as i32 + i32::from(n.is_multiple_of(50));
    Visit { n, day, country, path: Text::from(format!("/{}", scramble(n) % 100)) }
}

fn csv() -> CsvOptions {
    CsvOptions::default().partition_by(["day", "country"])
}

fn lines(dir: &Path) -> BTreeMap<PathBuf, Vec<String>> {
    let mut lines: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for (file, bytes) in files(dir) {
        if !file.ends_with(manifest::FILE_NAME) {
            let text = String::from_utf8(bytes).unwrap();
            let (header, rows) = text.split_once('\n').unwrap();
            assert_eq!(header, "n,path");
            lines
                .entry(file.parent().unwrap().to_owned())
                .or_default()
                .extend(rows.lines().map(str::to_owned));
        }
    }
    lines
}

fn model(visits: impl Iterator<Item = Visit>) -> BTreeMap<PathBuf, Vec<String>> {
    let mut model: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for visit in visits {
        let day = format!("2026-01-{:02}", visit.day - 20_453);
        let country = match visit.country.as_deref() {
            None => "__HIVE_DEFAULT_PARTITION__",
            Some("a/b") => "a%2Fb",
            Some(other) => other,
        };
        let dir = Path::new(&format!("day={day}")).join(format!("country={country}"));
        model.entry(dir).or_default().push(format!("{},{}", visit.n, visit.path));
    }
    model
}

#[test]
fn rows_lie_in_the_directories_of_their_values_in_the_order_of_the_input() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("out");
    let ctx = Context::builder().threads(2).build().unwrap();
    let written = ctx.range(0..20_000).map(visit).write_csv(&dir, csv()).unwrap();
    let expected = model((0..20_000).map(visit));
    assert_eq!(lines(&dir), expected);
    assert_eq!((written.rows, written.partitions, written.parts), (20_000, expected.len(), expected.len()));
    let found = verify::check(&dir).unwrap();
    assert_eq!((found.rows, found.partitions, found.faults.len()), (20_000, expected.len() as u64, 0));
    assert_eq!(found.manifest.partition_by, ["day", "country"]);
}

#[test]
fn parquet_files_have_the_other_columns() {
    #[derive(Record, Clone, Debug, PartialEq)]
    struct Rest {
        n: u64,
        path: Text,
    }
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("out");
    let ctx = Context::new().unwrap();
    let options = ParquetOptions::default().partition_by(["country", "day"]);
    ctx.range(0..9000).map(visit).write_parquet(&dir, options).unwrap();
    let file = dir.join("country=DE/day=2026-01-02/part-00000.parquet");
    let rows: Vec<Rest> = read_parquet(&file, None)
        .unwrap()
        .flat_map(|batch| {
            assert_eq!(batch.as_ref().unwrap().num_columns(), 2);
            from_batch::<Rest>(&batch.unwrap()).unwrap()
        })
        .collect();
    let expected = (0..9000).map(visit).filter(|visit| visit.day == 20_455);
    let expected = expected.filter(|visit| visit.country.as_deref() == Some("DE"));
    assert_eq!(rows, expected.map(|Visit { n, path, .. }| Rest { n, path }).collect::<Vec<_>>());
}

/// More partitions than files may be open, and parts that are full after some pieces.
#[test]
fn the_bytes_depend_on_nothing_but_the_rows() {
    let write = |threads: usize, memory_bytes: u64, chunk_rows: usize| {
        let temp = tempfile::tempdir().unwrap();
        let ctx = Context::builder()
            .threads(threads)
            .memory_bytes(memory_bytes)
            .chunk_rows(chunk_rows)
            .build()
            .unwrap();
        let rows: Vec<(u64, u64, u64)> =
            (0..60_000).map(|n| (n, scramble(n) % 150, scramble(n + 77) % 1000)).collect();
        let rows = ctx.from_vec(rows).repartition(23);
        let (parquet, csv) = (temp.path().join("parquet"), temp.path().join("csv"));
        let parquet_options = ParquetOptions::default().partition_by(["k"]).target_file_bytes(5000);
        let csv_options = CsvOptions::default().partition_by(["k"]).target_file_bytes(1000);
        let columns = rows.columns(["n", "k", "v"]);
        let outputs = (columns.to_parquet(&parquet, parquet_options), columns.to_csv(&csv, csv_options));
        let (first, second) = ctx.run(outputs).unwrap();
        assert_eq!((first.partitions, second.partitions), (150, 150));
        assert!(first.parts >= 300 && second.parts >= 300, "{} and {} parts", first.parts, second.parts);
        (files(temp.path()), ctx.spilled_bytes())
    };
    let (expected, _) = write(1, u64::MAX, 512);
    let mut spilled = 0;
    for (threads, memory_bytes, chunk_rows) in [(2, u64::MAX, 7), (8, 1 << 20, 512), (1, 200 << 10, 1000)] {
        let (found, bytes) = write(threads, memory_bytes, chunk_rows);
        assert!(found == expected, "{threads} threads, {memory_bytes} bytes, chunks of {chunk_rows}");
        spilled += bytes;
    }
    assert!(spilled > 0, "nothing had to wait on disk");
}

fn day(days: i32) -> impl Fn(&Visit) -> bool + Send + Sync + Clone + 'static {
    move |visit: &Visit| visit.day == 20_453 + days
}

#[test]
fn a_day_that_is_run_again_is_replaced_and_no_other_is_touched() {
    use std::os::unix::fs::MetadataExt;
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("out");
    let ctx = Context::new().unwrap();
    let visits = ctx.range(0..20_000).map(visit);
    visits.write_csv(&dir, csv()).unwrap();
    let inodes = |dir: &Path| -> Vec<_> {
        files(dir).into_keys().map(|file| (dir.join(&file).metadata().unwrap().ino(), file)).collect()
    };
    let others = |dir: &Path| -> Vec<_> {
        inodes(dir).into_iter().filter(|(_, file)| !file.starts_with("day=2026-01-03")).collect()
    };
    let before = others(&dir);
    let again = visits.filter(day(3)).filter(|visit| visit.n.is_multiple_of(2) && visit.country.is_some());
    let written = again.write_csv(&dir, csv().replace_partitions(["day=2026-01-03"])).unwrap();
    assert_eq!(written.partitions, 3);
    let mut expected = model((0..20_000).map(visit));
    expected.retain(|path, _| !path.starts_with("day=2026-01-03"));
    let is_again = |visit: &Visit| day(3)(visit) && visit.n.is_multiple_of(2) && visit.country.is_some();
    expected.extend(model((0..20_000).map(visit).filter(is_again)));
    assert_eq!(lines(&dir), expected); // the partition without a country is empty now
    assert_eq!(others(&dir), before);
    let empty = dir.join("day=2026-01-03/country=__HIVE_DEFAULT_PARTITION__");
    assert_eq!(names(&empty), [manifest::FILE_NAME]);

    visits.filter(day(1)).write_csv(&dir, csv().replace_occurring_partitions()).unwrap();
    assert_eq!(lines(&dir), expected);
    manifest::verify(&dir).unwrap();
    assert_eq!(names(temp.path()), ["out"]);
}

#[test]
fn a_day_of_thirty_that_is_run_again_leaves_every_file_of_the_others_as_it_is() {
    use std::os::unix::fs::MetadataExt;
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("out");
    let ctx = Context::builder().threads(2).build().unwrap();
    let month = ctx.range(0..30_000).map(|n| Visit { day: 20_454 + (n / 1000) as i32, ..visit(n) });
    month.write_csv(&dir, csv()).unwrap();
    let is_that_day = |file: &Path| file.starts_with("day=2026-01-17");
    let touched = |is_wanted: bool| -> BTreeMap<PathBuf, (u64, i64, i64)> {
        let found = files(&dir).into_keys().filter(|file| is_that_day(file) == is_wanted);
        found
            .map(|file| {
                let found = dir.join(&file).metadata().unwrap();
                (file, (found.ino(), found.mtime(), found.mtime_nsec()))
            })
            .collect()
    };
    let (others, that_day, bytes) = (touched(false), touched(true), files(&dir));
    assert_eq!((others.len(), that_day.len()), (29 * 4 * 2 + 1, 4 * 2));

    let again =
        month.filter(|visit| visit.day == 20_470).map(|visit| Visit { path: "/again".into(), ..visit });
    let written = again.write_csv(&dir, csv().replace_partitions(["day=2026-01-17"])).unwrap();
    assert_eq!((written.partitions, written.rows), (4, 1000));
    assert_eq!(touched(false), others);
    assert!(touched(true).iter().all(|(file, now)| that_day[file].0 != now.0));
    for (file, now) in files(&dir) {
        assert_eq!(now == bytes[&file], !is_that_day(&file), "{}", file.display());
    }
    // The same rows again are the same bytes.
    let once = files(&dir);
    again.write_csv(&dir, csv().replace_partitions(["day=2026-01-17"])).unwrap();
    assert!(files(&dir) == once);
    assert_eq!(touched(false), others);
}

/// The output of a process of this test.
const CHILD_DIR: &str = "GRISTMILL_TEST_PARTITIONED";

/// Not a test of its own: what the children of the next tests do.
#[test]
fn child_writes_partitions() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let first: u64 = std::env::var("GRISTMILL_TEST_FIRST").unwrap().parse().unwrap();
    let partitions: u64 = std::env::var("GRISTMILL_TEST_PARTITIONS").unwrap().parse().unwrap();
    let ctx = Context::builder().threads(2).build().unwrap();
    for round in 0..3 {
        let rows = ctx.range(first..first + partitions).map(move |k| (k, round));
        let own = (first..first + partitions).map(|k| format!("k={k}"));
        let options = CsvOptions::default().partition_by(["k"]).replace_partitions(own);
        rows.columns(["k", "round"]).write_csv(&dir, options).unwrap();
    }
}

fn child(shell: &str, dir: &Path, first: u64, partitions: u64) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    let line = format!("{shell} exec \"$0\" --exact child_writes_partitions");
    command.arg("-c").arg(line).arg(std::env::current_exe().unwrap()).env(CHILD_DIR, dir);
    command.env("GRISTMILL_TEST_FIRST", first.to_string());
    command.env("GRISTMILL_TEST_PARTITIONS", partitions.to_string());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    command
}

#[test]
fn processes_that_replace_different_partitions_of_one_table_all_succeed() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("out"); // which the first of them creates
    let children: Vec<_> = (0..4).map(|n| child("", &dir, n * 5, 5).spawn().unwrap()).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let found = verify::check(&dir).unwrap();
    assert_eq!((found.partitions, found.rows, found.faults.len()), (20, 20, 0));
    for k in 0..20 {
        let part = std::fs::read_to_string(dir.join(format!("k={k}/part-00000.csv"))).unwrap();
        assert_eq!(part, "round\n2\n");
    }
    assert_eq!(names(temp.path()), ["out"]);
}

#[test]
fn open_files_are_bounded_however_many_partitions_there_are() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("out");
    let output = child("ulimit -n 96;", &dir, 0, 1000).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(verify::check(&dir).unwrap().partitions, 1000);
    let few = child("ulimit -n 40;", &dir, 0, 1000).output().unwrap();
    assert!(!few.status.success(), "the limit limits nothing");
}

fn fault(result: Result<gristmill::Written>, kind: ErrorKind) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

#[test]
fn a_row_of_a_partition_that_is_not_declared_fails_the_run() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("out");
    let ctx = Context::new().unwrap();
    let visits = ctx.range(0..9000).map(visit);
    visits.write_csv(&dir, csv()).unwrap();
    let before = files(&dir);
    let message =
        fault(visits.write_csv(&dir, csv().replace_partitions(["day=2026-01-02"])), ErrorKind::Output);
    // Which of the other days is met first is up to the threads.
    let names_another_day =
        ["01", "03"].iter().any(|day| message.contains(&format!("day=2026-01-{day}/country=")));
    assert!(names_another_day && message.contains("replace_partitions"), "{message}");
    assert_eq!(files(&dir), before);
    assert_eq!(names(temp.path()), ["out"]);
}

#[test]
fn what_cannot_be_partitioned_is_refused_before_any_work() {
    let temp = tempfile::tempdir().unwrap();
    let ctx = Context::new().unwrap();
    let rows = ctx.range(0..9).map(|n| (n, n as f64));
    let columns = rows.columns(["n", "x"]);
    let refused = |path: &str, options: CsvOptions| {
        fault(columns.write_csv(temp.path().join(path), options), ErrorKind::Config)
    };
    let by = |columns: &[&str]| CsvOptions::default().partition_by(columns.iter().copied());
    assert!(refused("out", by(&["m"])).contains("the columns are `n`, `x`"));
    assert!(refused("out", by(&["x"])).contains("which is Float64"));
    assert!(refused("out", by(&["n", "n"])).contains("twice"));
    assert!(refused("out.csv", by(&["n"])).contains("single file"));
    assert!(refused("out", by(&["n"]).replace_partitions(["n"])).contains("column=value"));
    assert!(refused("out", by(&["n"]).replace_partitions(["x=1"])).contains("`n`"));
    assert!(refused("out", by(&[]).replace_occurring_partitions()).contains("partition_by"));
    let hidden = rows.write_csv(temp.path().join("out"), by(&["_1"]));
    assert!(fault(hidden, ErrorKind::Config).contains("hidden"));
    let all = ctx.range(0..9).write_csv(temp.path().join("out"), by(&["value"]));
    assert!(fault(all, ErrorKind::Config).contains("all of its columns"));
    assert_eq!(names(temp.path()), Vec::<String>::new());
}

#[test]
fn too_many_partitions_are_an_error() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("out");
    let ctx = Context::new().unwrap();
    let write = |partitions: u64, options: CsvOptions| {
        let rows = ctx.range(0..partitions).map(|n| (n, n)).repartition(5);
        rows.columns(["k", "n"]).write_csv(&dir, options.partition_by(["k"]))
    };
    for partitions in [10_001, 100_000] {
        let message = fault(write(partitions, CsvOptions::default()), ErrorKind::Output);
        assert!(message.contains("more than 10000 partitions"), "{message}");
        assert_eq!(names(temp.path()), Vec::<String>::new());
    }
    let message = fault(write(4, CsvOptions::default().max_partitions(3)), ErrorKind::Output);
    assert!(message.contains("max_partitions"), "{message}");
    assert_eq!(write(3, CsvOptions::default().max_partitions(3)).unwrap().partitions, 3);
}

#[test]
fn values_that_mean_something_to_paths_stay_in_the_table_and_read_back() {
    let values = [
        Some(""),
        None,
        Some(".."),
        Some("."),
        Some("a/../b"),
        Some("k=v"),
        Some("50%"),
        Some("%2F"),
        Some("\0"),
        Some("\n\u{7f}"),
        Some("a"),
        Some("A"),
        Some("é"),
        Some("__HIVE_DEFAULT_PARTITION__"),
        Some("\u{202e}x"),
    ];
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("out");
    let ctx = Context::new().unwrap();
    let rows: Vec<(Option<String>, u64)> =
        values.iter().enumerate().map(|(n, value)| (value.map(str::to_owned), n as u64)).collect();
    let options = CsvOptions::default().partition_by(["k"]);
    ctx.from_vec(rows).columns(["k", "n"]).write_csv(&dir, options.clone()).unwrap();
    assert_eq!(names(temp.path()), ["out"]);
    let mut found = BTreeMap::new();
    for name in names(&dir).into_iter().filter(|name| name != manifest::FILE_NAME) {
        let text = std::fs::read_to_string(dir.join(&name).join("part-00000.csv")).unwrap();
        let number: usize = text.strip_prefix("n\n").unwrap().trim_end().parse().unwrap();
        let [(column, value)] = PartitionPath::parse(&name).unwrap().levels().try_into().unwrap();
        assert_eq!(column, "k");
        found.insert(number, value);
    }
    let expected = values.iter().map(|value| value.map(str::to_owned)).enumerate().collect();
    assert_eq!(found, expected);

    let long = ctx.from_vec(vec![("x".repeat(300), 1u64)]);
    let message =
        fault(long.columns(["k", "n"]).write_csv(temp.path().join("long"), options), ErrorKind::Output);
    assert!(message.contains("302 bytes"), "{message}");
}

#[test]
fn what_is_appended_again_under_its_id_changes_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let ctx = Context::new().unwrap();
    for (name, options) in
        [("flat", CsvOptions::default()), ("table", CsvOptions::default().partition_by(["k"]))]
    {
        let dir = temp.path().join(name);
        let append = |id: &str, rows: std::ops::Range<u64>| {
            let rows = ctx.range(rows).map(|n| (n % 2, n));
            rows.columns(["k", "n"]).write_csv(&dir, options.clone().append_once(id)).unwrap()
        };
        assert_eq!(append("monday", 0..4).rows, 4);
        let first = files(&dir);
        let again = append("monday", 0..4);
        assert_eq!((again.rows, again.parts), (0, 0));
        assert_eq!(files(&dir), first);
        assert_eq!(append("tuesday", 4..6).rows, 2);
        let second = files(&dir);
        assert!(
            first.iter().all(|(file, bytes)| {
                file.ends_with(manifest::FILE_NAME) || second.get(file) == Some(bytes)
            })
        );
        let found = verify::check(&dir).unwrap();
        assert_eq!((found.rows, found.faults.len()), (6, 0));
        assert_eq!(found.manifest.append_ids, ["monday", "tuesday"]);
        let other = ctx.range(0..1).map(|n| (n, n)).columns(["k", "m"]);
        let message = fault(other.write_csv(&dir, options.clone().append_once("x")), ErrorKind::Config);
        assert!(message.contains("columns"), "{message}");
        assert_eq!(files(&dir), second);
    }
    assert_eq!(names(temp.path()), ["flat", "table"]);
}

#[test]
fn a_partitioned_output_without_rows_is_a_table_with_a_schema() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("out");
    let ctx = Context::new().unwrap();
    let written = ctx.range(0..0).map(visit).write_csv(&dir, csv()).unwrap();
    assert_eq!((written.rows, written.partitions), (0, 0));
    assert_eq!(names(&dir), [manifest::FILE_NAME]);
    assert_eq!(manifest::verify(&dir).unwrap().schema[3]["name"], "path");
}
