//! `gristmill convert` and `gristmill schema` as a user types them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use common::place::{Place, utf8};
use common::{files, gzip, scramble};
use gristmill::io::commit::manifest;
use gristmill::io::parquet::read_parquet;

/// All rows of a single Parquet file or of a directory of parts, as texts; a null is `∅`.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let parts: Vec<PathBuf> = if path.is_dir() {
        manifest::verify(path).unwrap().parts.iter().map(|part| path.join(&part.name)).collect()
    } else {
        vec![path.to_owned()]
    };
    let batches = parts.iter().flat_map(|part| read_parquet(part, None).unwrap());
    batches.flat_map(|batch| rows_of(&batch.unwrap())).collect()
}

fn rows_of(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::new().with_null("∅");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect())
        .collect()
}

/// The message has these parts.
fn assert_says(message: &str, expected: &[&str]) {
    for part in expected {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
}

/// A line of a log, what an independent parser makes of it, and whether it is a good one.
fn log_line(n: u64) -> (String, Option<[String; 11]>) {
    let dash = |is_null: bool, text: &str| if is_null { "∅".to_owned() } else { text.to_owned() };
    let seed = scramble(n);
    if seed.is_multiple_of(97) {
        let broken = [
            "",
            "192.0.2.1 - - [",
            "-",
            "192.0.2.1 - - [99/Jan/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"",
        ];
        return (broken[(seed % 4) as usize].to_owned(), None);
    }
    let ip = if seed.is_multiple_of(5) {
        format!("2001:db8::{:x}", seed % 65_536)
    } else {
        format!("192.0.2.{}", seed % 256)
    };
    let (day, second) = (1 + seed % 28, seed % 60);
    let path = format!("/a/{}?q=%20{}", seed % 1000, "x".repeat((seed % 50) as usize));
    let (no_user, no_bytes, no_referer) =
        (!seed.is_multiple_of(3), seed.is_multiple_of(7), seed.is_multiple_of(2));
    let status = 200 + seed % 300;
    let agent = format!("Mozilla \"{}\" \\ é", seed % 10);
    let escaped = agent.replace('\\', "\\\\").replace('"', "\\\"");
    let (user, bytes) =
        (if no_user { "-" } else { "ann" }, if no_bytes { "-".to_owned() } else { seed.to_string() });
    let referer = if no_referer { "-" } else { "https://example.net/" };
    let line = format!(
        "{ip} - {user} [{day:02}/Feb/2026:10:00:{second:02} +0130] \"GET {path} HTTP/1.1\" {status} {bytes} \"{referer}\" \"{escaped}\""
    );
    let fields = [
        ip,
        dash(true, ""),
        dash(no_user, user),
        format!("2026-02-{day:02}T08:30:{second:02}Z"),
        "GET".to_owned(),
        path,
        "HTTP/1.1".to_owned(),
        status.to_string(),
        dash(no_bytes, &bytes),
        dash(no_referer, referer),
        agent,
    ];
    (line, Some(fields))
}

/// A log, the rows of its good lines, and the numbers of the others.
fn log(lines: u64) -> (String, Vec<Vec<String>>, BTreeSet<u64>) {
    let (mut text, mut good, mut bad) = (String::new(), Vec::new(), BTreeSet::new());
    for n in 0..lines {
        let (line, fields) = log_line(n);
        writeln!(text, "{line}").unwrap();
        match fields {
            Some(fields) => good.push(fields.to_vec()),
            None => drop(bad.insert(n + 1)),
        }
    }
    (text, good, bad)
}

#[test]
fn logs_become_typed_parquet_and_broken_lines_are_rejected() {
    let (text, good, bad) = log(20_000);
    assert!(bad.len() > 100);
    let place = Place::new(&[("access.log", &text)]);
    std::fs::write(place.at("access.gz"), gzip(&text)).unwrap();
    for input in ["access.log", "access.gz"] {
        let line =
            format!("convert {input} --from combined -o hits --overwrite --threads 2 --on-error reject=bad");
        let (_, told) = place.succeed(&line);
        assert_says(
            &told,
            &[
                &format!("wrote {} rows to", good.len()),
                &format!("{} records could not be read: they are in bad", bad.len()),
            ],
        );
        assert_eq!(rows(&place.at("hits")), good);
        let parts = manifest::verify(&place.at("bad")).unwrap().parts;
        let mut reader = csv::Reader::from_path(place.at("bad").join(&parts[0].name)).unwrap();
        let rejects: Vec<(PathBuf, u64, u64, String, String)> =
            reader.deserialize().map(Result::unwrap).collect();
        assert_eq!(rejects.iter().map(|reject| reject.1).collect::<BTreeSet<_>>(), bad);
        let lines: Vec<&str> = text.lines().collect();
        assert!(rejects.iter().all(|reject| lines[reject.1 as usize - 1] == reject.4));
    }
}

#[test]
fn too_many_broken_lines_fail_the_run() {
    let (text, _, bad) = log(5000);
    let place = Place::new(&[("access.log", &text)]);
    let with = |flags: &str| format!("convert access.log --from combined -o hits {flags}");
    assert_says(&place.fail(&with("--threads 1"), 1), &["access.log, line"]);
    let fewer = format!("--on-error skip --max-errors {}", bad.len() - 1);
    place.fail(&with(&fewer), 1);
    place.fail(&with("--on-error reject=bad --max-errors 0.1%"), 1);
    assert_eq!(place.names(), ["access.log"]);
    place.succeed(&with(&format!("--on-error skip --max-errors {}", bad.len())));
    assert_says(&place.fail(&with("--on-error drop"), 2), &["reject=DIR"]);
    assert_says(&place.fail(&with("--max-errors 200%"), 2), &["0.5%"]);
}

/// CSV with values of every type that is told from a sample, as other programs write them.
fn orders(rows: u64) -> String {
    let mut text = "id,code,price,weight,paid,day,at,note\n".to_owned();
    for n in 0..rows {
        let seed = scramble(n);
        let note =
            ["plain", "\"with, comma\"", "\"two\nlines\"", "\"a \"\"quote\"\"\"", "é"][(seed % 5) as usize];
        let price = if seed.is_multiple_of(11) {
            String::new()
        } else {
            format!("{}.{:02}", seed % 10_000, seed % 100)
        };
        writeln!(
            text,
            "{n},{:05},{price},{}.5,{},2026-{:02}-01,2026-01-01T{:02}:00:00.250Z,{note}",
            seed % 100_000,
            seed % 77,
            seed.is_multiple_of(2),
            1 + seed % 12,
            seed % 24,
        )
        .unwrap();
    }
    text
}

#[test]
fn csv_comes_back_from_parquet_as_it_was() {
    let text = orders(30_000);
    let place = Place::new(&[("orders.csv", &text)]);
    place.succeed("convert orders.csv -o orders.parquet");
    let schema = read_parquet(&place.at("orders.parquet"), None).unwrap().next().unwrap().unwrap().schema();
    let types: Vec<_> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(types[..3], [DataType::Int64, DataType::Utf8, DataType::Decimal128(18, 2)]);
    assert_eq!(types[4..6], [DataType::Boolean, DataType::Date32]);
    place.succeed("convert orders.parquet -o again.csv");
    assert_eq!(std::fs::read_to_string(place.at("again.csv")).unwrap(), text);
    place.succeed("convert orders.parquet -o orders.jsonl.gz");
    let (schema, _) = place.succeed("schema orders.parquet");
    std::fs::write(place.at("schema.json"), schema).unwrap();
    place.succeed("convert orders.jsonl.gz --schema schema.json -o third.csv");
    assert_eq!(std::fs::read_to_string(place.at("third.csv")).unwrap(), text);
}

#[test]
fn a_schema_is_printed_changed_and_given_back() {
    let place = Place::new(&[
        ("in.tsv", "a\tb\n1\t2.5\n2\t-\n"),
        ("in.json", "{\"x\": [1], \"y\": {\"z\": null}}\n"),
    ]);
    let (told, _) = place.succeed("schema in.tsv --null -");
    assert_eq!(
        told,
        "{\"columns\": [\n  {\"name\":\"a\",\"nullable\":true,\"type\":\"Int64\"},\n  {\"name\":\"b\",\"nullable\":true,\"type\":\"Decimal128(18, 1)\"}\n]}\n"
    );
    std::fs::write(place.at("s.json"), told.replace("Int64", "Utf8").replace("Decimal128(18, 1)", "Float64"))
        .unwrap();
    place.succeed("convert in.tsv --schema s.json --null - -o out.parquet --select b,a");
    assert_eq!(rows(&place.at("out.parquet")), [["2.5", "1"], ["∅", "2"]]);
    let (told, _) = place.succeed("schema in.json");
    assert_says(&told, &["\"x\"", "List(Int64)", "Struct(\\\"z\\\": Utf8)"]);
    assert_says(&place.fail("convert in.tsv -o x --select c", 2), &["no column `c`", "`a`"]);
    std::fs::write(place.at("bad.json"), "{\"columns\": [{\"name\": \"a\", \"type\": \"int\"}]}").unwrap();
    assert_says(&place.fail("convert in.tsv --schema bad.json -o x", 2), &["`int`"]);
}

#[test]
fn a_value_that_the_sample_did_not_show_says_what_to_do() {
    let mut text = "n,m\n".to_owned();
    (0..100).for_each(|n| writeln!(text, "{n},{n}").unwrap());
    text.push_str("x,1\n");
    let place = Place::new(&[("in.csv", &text)]);
    let told = place.fail("convert in.csv -o out --infer-rows 50", 1);
    assert_says(&told, &["in.csv, line 102", "column `n`, value `x`", "--infer-rows", "--schema"]);
    place.succeed("convert in.csv -o out.csv");
    assert_eq!(std::fs::read_to_string(place.at("out.csv")).unwrap(), text);
}

#[test]
fn every_input_format_is_read() {
    let place = Place::new(&[
        ("a.txt", "to be\n\n\tor not"),
        ("common.log", "::1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 5\n"),
        ("nginx.log", "::1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 5 \"-\" \"curl\"\n"),
        ("syslog", "<13>Feb  5 17:32:18 host prog[1]: text\n"),
        ("5424", "<165>1 2003-10-11T22:14:15.003Z host app - ID47 - text\n"),
        ("logfmt", "level=info took=3 msg=\"a b\"\nlevel=warn code=007\n"),
        ("re", "ann 3.5\nbob 4\n"),
    ]);
    let convert = |input: &str, flags: &str| {
        place.succeed(&format!("convert {input} {flags} -o out.parquet --overwrite"));
        rows(&place.at("out.parquet"))
    };
    assert_eq!(convert("a.txt", "--from lines"), [["to be"], [""], ["\tor not"]]);
    assert_eq!(convert("common.log", "--from common")[0][3], "2000-10-10T20:55:36Z");
    assert_eq!(convert("nginx.log", "--from nginx")[0].last().unwrap(), "curl");
    assert!(convert("syslog", "--from syslog --year 2024")[0].contains(&"2024-02-05T17:32:18Z".to_owned()));
    assert!(convert("5424", "--from syslog5424")[0].contains(&"ID47".to_owned()));
    let pairs = convert("logfmt", "--from logfmt");
    assert_eq!(pairs, [["info", "3", "a b", "∅"], ["warn", "∅", "∅", "007"]]);
    assert_eq!(
        convert("re", "--from regex --pattern (?<user>\\w+)\\s(?<amount>[0-9.]+)"),
        [["ann", "3.5"], ["bob", "4.0"]]
    );
    for (line, expected) in [
        ("convert a.txt -o x", "say it with --from"),
        ("convert syslog --from syslog -o x", "--year"),
        ("convert re --from regex -o x", "--pattern"),
        ("convert re --from regex --pattern ( -o x", "pattern"),
        ("convert missing.csv -o x", "missing.csv"),
    ] {
        let told = place.fail(line, if line.contains("missing") { 1 } else { 2 });
        assert_says(&told, &[expected]);
    }
}

#[test]
fn partitions_are_replaced_and_appended_once() {
    let all = "day,n\n2026-01-01,1\n2026-01-02,2\n";
    let place = Place::new(&[("all.csv", all), ("one.csv", "day,n\n2026-01-02,3\n")]);
    place.succeed("convert all.csv -o days --partition-by day");
    let before = files(&place.at("days/day=2026-01-01"));
    place.succeed("convert one.csv -o days --partition-by day --mode partitions --partition day=2026-01-02");
    assert_eq!(rows(&place.at("days/day=2026-01-02")), [["3"]]);
    assert_eq!(files(&place.at("days/day=2026-01-01")), before);
    place.succeed("convert one.csv -o days --partition-by day --mode partitions");
    let told = place
        .fail("convert all.csv -o days --partition-by day --mode partitions --partition day=2026-01-02", 1);
    assert_says(&told, &["day=2026-01-01", "--partition"]);
    for _ in 0..2 {
        place.succeed("convert all.csv -o log --mode append-once --append-id monday");
        assert_eq!(rows(&place.at("log")).len(), 2);
    }
    place.succeed("convert all.csv -o log --mode append-once --append-id tuesday");
    assert_eq!(rows(&place.at("log")).len(), 4);
    place.fail("convert all.csv -o log --mode append-once", 2);
    place.fail("convert all.csv -o log --partition day=1", 2);
    let told = place.fail("convert all.csv -o more --partition-by day --max-partitions 1", 1);
    assert_says(&told, &["more than 1 partitions", "--max-partitions"]);
    assert_says(&place.fail("convert all.csv -o log", 2), &["--overwrite"]);
}

#[test]
fn a_directory_has_files_of_a_size_and_a_compression() {
    let place = Place::new(&[("orders.csv", &orders(60_000))]);
    place.succeed("convert orders.csv -o parts --to csv --compression zstd:1 --target-file-size 100KB");
    let parts = manifest::verify(&place.at("parts")).unwrap().parts;
    assert!(parts[0].name.ends_with(".csv.zst"));
    place.succeed("convert parts/*.zst --from csv -o again.csv");
    assert_eq!(std::fs::read_to_string(place.at("again.csv")).unwrap(), orders(60_000));
    place.succeed("convert orders.csv -o plain.parquet --compression none");
    place.succeed("convert orders.csv -o snappy.parquet --compression snappy");
    let bytes = |name: &str| place.at(name).metadata().unwrap().len();
    assert!(bytes("snappy.parquet") < bytes("plain.parquet"));
    assert_says(&place.fail("convert orders.csv -o x --compression lzma", 2), &["snappy"]);
}

#[test]
fn csv_files_can_be_read_in_one_piece() {
    let place = Place::new(&[("orders.csv", &orders(100))]);
    place.succeed("convert orders.csv -o again.csv --whole-files");
    assert_eq!(std::fs::read_to_string(place.at("again.csv")).unwrap(), orders(100));
    assert_says(&place.fail("convert orders.csv --from lines -o x --whole-files", 2), &["--whole-files"]);
}

/// Runs the command with bytes as its standard input.
fn piped(place: &Place, line: &str, input: &[u8]) -> Output {
    let mut command = place.command(line);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output
}

#[test]
fn standard_input_and_output_are_files_too() {
    let (text, good, _) = log(3000);
    let place = Place::new(&[("access.log", &text)]);
    let output = piped(&place, "convert - --from combined --on-error skip -o out.parquet", &gzip(&text));
    assert!(output.status.success(), "{}", utf8(output.stderr));
    assert_eq!(rows(&place.at("out.parquet")), good);
    let output =
        piped(&place, "convert - --from combined --on-error skip -o - --to parquet", text.as_bytes());
    std::fs::write(place.at("printed.parquet"), output.stdout).unwrap();
    assert_eq!(rows(&place.at("printed.parquet")), good);
    let (printed, _) =
        place.succeed("convert access.log --from combined --on-error skip -o - --select time,status");
    assert_eq!(printed.lines().count(), good.len() + 1);
    let output = piped(&place, "convert - --from csv -o -", b"a,b\n");
    assert_says(&utf8(output.stderr), &["standard input", "--schema"]);
    assert_says(
        &place.fail("convert access.log --from combined -o - --partition-by status", 2),
        &["standard output"],
    );
    assert_eq!(place.names(), ["access.log", "out.parquet", "printed.parquet"]);
}
