//! Programs that people use read every kind of output: DuckDB, Polars, pyarrow, Spark, and PostgreSQL with `COPY`.
//!
//! This part writes the outputs, and beside them the rows that they must have, as plain JSON; `consumers/check.py` reads them with
//! one of the programs and compares all values.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{consumers, scramble};
use gristmill::io::csv::{LineEnd, Quotes};
use gristmill::io::parquet::{Filter, SortedColumn, Statistics};
use gristmill::prelude::*;
use serde_json::{Value, json};

/// Whatever a file can hold, nested and not.
#[derive(Record, Clone)]
struct Full {
    id: u64,
    u8: u8,
    u16: u16,
    u32: Option<u32>,
    u64: Option<u64>,
    i8: i8,
    i16: Option<i16>,
    i32: i32,
    i64: Option<i64>,
    f32: f32,
    f64: Option<f64>,
    flag: Option<bool>,
    text: Text,
    #[record(rename = "a note, \"quoted\"")]
    note: Option<Text>,
    #[record(date)]
    day: Option<i32>,
    #[record(timestamp = "ms")]
    at_ms: i64,
    #[record(timestamp = "us")]
    at_us: Option<i64>,
    #[record(decimal(9, 2))]
    price: i128,
    #[record(decimal(38, 10))]
    wide: Option<i128>,
    tags: Vec<Option<Text>>,
    matrix: Option<Vec<Vec<i64>>>,
    place: Option<Place>,
    visits: Vec<Visit>,
}

#[derive(Record, Clone)]
struct Place {
    x: f64,
    name: Option<Text>,
}

#[derive(Record, Clone)]
struct Visit {
    #[record(timestamp = "us")]
    at: i64,
    pages: Option<Vec<u32>>,
}

/// What CSV and PostgreSQL have types for.
#[derive(Record, Clone)]
struct Flat {
    id: i64,
    small: u8,
    large: Option<u64>,
    ratio: Option<f64>,
    flag: Option<bool>,
    text: Text,
    note: Option<Text>,
    #[record(date)]
    day: Option<i32>,
    #[record(timestamp = "us")]
    at: Option<i64>,
    #[record(decimal(15, 2))]
    price: Option<i128>,
}

/// A row of a table with partitions.
#[derive(Record, Clone)]
struct Visitor {
    id: i64,
    #[record(date)]
    day: i32,
    country: Option<Text>,
    path: Text,
}

/// What programs of their own time, and not all, have a type for.
#[derive(Record, Clone)]
struct Clocks {
    id: i64,
    #[record(timestamp = "s")]
    at_s: Option<i64>,
    #[record(timestamp = "ns")]
    at_ns: i64,
}

const ROWS: u64 = 2_500;

/// Texts that formats stumble over.
const TEXTS: [&str; 14] = [
    "",
    " ",
    "plain",
    "a,b",
    "\"",
    "say \"hi\"",
    "two\nlines",
    "dos\r\nlines",
    "\r",
    "tab\tand \\ backslash\\",
    "Grüße, 世界 🌾",
    "NULL",
    "\\N",
    "a long text that lies beyond what fits inline, \"quoted\", and more",
];

fn text(n: u64) -> Text {
    TEXTS[(n % TEXTS.len() as u64) as usize].into()
}

/// A value in most rows.
fn some<T>(n: u64, value: T) -> Option<T> {
    (!n.is_multiple_of(5)).then_some(value)
}

/// The extremes, and between them numbers of any size.
fn number(n: u64) -> i64 {
    match n % 50 {
        1 => i64::MIN,
        2 => i64::MAX,
        3 => 0,
        _ => scramble(n).cast_signed() >> (n % 60),
    }
}

/// Microseconds since 1970, in the years 1677 to 2262, also before 1970 and with all digits of the second.
fn micros(n: u64) -> i64 {
    number(n) / 1000
}

fn full(n: u64) -> Full {
    let wide = i128::from(number(n)) * 7_000_000_000_000_000_003;
    let pages = |i: u64| some(n + i, vec![i as u32; (n % 3) as usize]);
    Full {
        id: n,
        u8: n as u8,
        u16: scramble(n) as u16,
        u32: some(n, scramble(n) as u32),
        u64: some(n + 1, number(n).cast_unsigned()),
        i8: n as i8,
        i16: some(n + 2, number(n) as i16),
        i32: number(n) as i32,
        i64: some(n + 3, number(n)),
        f32: n as f32 / 8.0,
        f64: some(n, number(n) as f64 / 1000.0),
        flag: some(n, n.is_multiple_of(2)),
        text: text(n),
        note: some(n, text(n / 2)),
        day: some(n, (n as i32 - 1000) * 31),
        at_ms: micros(n) / 1000,
        at_us: some(n, micros(n)),
        price: i128::from(number(n) % 1_000_000_000),
        wide: some(n, wide),
        tags: (0..n % 4).map(|i| some(n + i, text(n + i))).collect(),
        matrix: some(n, (0..n % 3).map(|i| vec![number(n); i as usize]).collect()),
        place: some(n, Place { x: n as f64 / 3.0, name: some(n + 1, text(n)) }),
        visits: (0..n % 3).map(|i| Visit { at: micros(n + i), pages: pages(i) }).collect(),
    }
}

fn flat(n: u64) -> Flat {
    Flat {
        id: n.cast_signed() - 1000,
        small: n as u8,
        large: some(n, number(n).cast_unsigned()),
        ratio: some(n + 1, number(n) as f64 / 1000.0),
        flag: some(n, n.is_multiple_of(2)),
        text: text(n),
        note: some(n, text(n / 2)),
        day: some(n, (n as i32 - 1000) * 31),
        at: some(n, micros(n)),
        price: some(n, i128::from(number(n) % 1_000_000_000_000_000)),
    }
}

fn visitor(n: u64) -> Visitor {
    const COUNTRIES: [Option<&str>; 7] = [
        None,
        Some("DE"),
        Some("a/b=c"),
        Some("50% & more"),
        Some("Côte d'Ivoire"),
        Some(".."),
        Some("x y\"z"),
    ];
    let country = COUNTRIES[(n % 7) as usize].map(Text::from);
    Visitor { id: n.cast_signed() - 1000, day: 20_454 + (n / 1000) as i32, country, path: text(n) }
}

fn clocks(n: u64) -> Clocks {
    Clocks { id: n.cast_signed() - 1000, at_s: some(n, micros(n) / 1_000_000), at_ns: micros(n) * 1000 }
}

// What JSON has no type for is an object of one member, which check.py turns into the type that Python has for it.

fn days(days: i32) -> Value {
    json!({ "$days": days })
}

fn at(micros: i64) -> Value {
    json!({ "$micros": micros })
}

fn decimal(unscaled: i128, scale: u8) -> Value {
    json!({ "$unscaled": unscaled.to_string(), "scale": scale })
}

fn model_of_full(row: &Full) -> Value {
    let place = row.place.as_ref().map(|place| json!({ "x": place.x, "name": place.name }));
    let visits = row.visits.iter().map(|visit| json!({ "at": at(visit.at), "pages": visit.pages }));
    let mut columns = json!({
        "id": row.id, "u8": row.u8, "u16": row.u16, "u32": row.u32, "u64": row.u64,
        "i8": row.i8, "i16": row.i16, "i32": row.i32, "i64": row.i64,
        "f32": row.f32, "f64": row.f64, "flag": row.flag, "text": row.text,
        "a note, \"quoted\"": row.note, "day": row.day.map(days), "at_ms": at(row.at_ms * 1000),
        "at_us": row.at_us.map(at), "price": decimal(row.price, 2), "wide": row.wide.map(|wide| decimal(wide, 10)),
    });
    columns["tags"] = json!(row.tags);
    columns["matrix"] = json!(row.matrix);
    columns["place"] = json!(place);
    columns["visits"] = visits.collect();
    columns
}

fn model_of_flat(row: &Flat) -> Value {
    json!({
        "id": row.id, "small": row.small, "large": row.large, "ratio": row.ratio, "flag": row.flag, "text": row.text,
        "note": row.note, "day": row.day.map(days), "at": row.at.map(at), "price": row.price.map(|price| decimal(price, 2)),
    })
}

fn model_of_visitor(row: &Visitor) -> Value {
    json!({ "id": row.id, "day": days(row.day), "country": row.country, "path": row.path })
}

fn model_of_clocks(row: &Clocks) -> Value {
    json!({ "id": row.id, "at_s": row.at_s.map(|s| at(s * 1_000_000)), "at_ns": at(row.at_ns / 1000) })
}

/// Writes outputs into a directory, and notes for each what it is.
struct Outputs {
    dir: PathBuf,
    ctx: Context,
    written: Vec<Value>,
}

impl Outputs {
    fn note(&mut self, path: &str, model: &str, more: &Value) -> PathBuf {
        let mut note = json!({ "path": path, "model": model });
        note.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.written.push(note);
        self.dir.join(path)
    }

    fn rows<T: Record>(&self, row: fn(u64) -> T) -> Dataset<T> {
        self.ctx.range(0..ROWS).map(row)
    }

    fn parquet<T: Record>(&mut self, path: &str, model: &str, rows: &Dataset<T>, options: ParquetOptions) {
        rows.write_parquet(self.note(path, model, &json!({ "format": "parquet" })), options).unwrap();
    }

    fn csv(&mut self, path: &str, format: &Value, options: CsvOptions) {
        let path = self.note(path, "flat", &json!({ "format": "csv", "csv": format }));
        self.rows(flat).write_csv(path, options).unwrap();
    }

    fn json_lines<T: Record>(&mut self, path: &str, model: &str, rows: &Dataset<T>, options: JsonOptions) {
        rows.write_json_lines(self.note(path, model, &json!({ "format": "json_lines" })), options).unwrap();
    }
}

fn write_parquet(outputs: &mut Outputs) {
    // Several parts of several row groups of several pages.
    let options =
        || ParquetOptions::default().row_group_rows(400).data_page_bytes(4096).target_file_bytes(100_000);
    let rows = outputs.rows(full);
    outputs.parquet("directory", "full", &rows, options());
    outputs.parquet("full.parquet", "full", &rows, options());
    let codecs =
        [("none", Compression::None), ("snappy", Compression::Snappy), ("zstd", Compression::Zstd(6))];
    for (name, codec) in codecs {
        outputs.parquet(&format!("{name}.parquet"), "full", &rows, options().compression(codec));
    }
    let by_id = SortedColumn { name: "id".into(), descending: false, nulls_first: false };
    let all = options()
        .bloom_filters(["id", "text", "price", "day"])
        .sorted_by([by_id])
        .metadata("made", "for a test");
    outputs.parquet("extras.parquet", "full", &rows, all);
    let bare = options().statistics(Statistics::None).offset_index(false).dictionary_bytes(0);
    outputs.parquet("bare.parquet", "full", &rows, bare);
    let flat = outputs.rows(flat);
    outputs.parquet("flat.parquet", "flat", &flat, options());
    let none = rows.filter(|_| false);
    outputs.parquet("empty", "nothing", &none, options());
    let rows = outputs.rows(clocks);
    outputs.parquet("clocks.parquet", "clocks", &rows, options());
    for (id, ids) in [("monday", 0..1000), ("monday", 0..1000), ("tuesday", 1000..ROWS)] {
        let rows = outputs.ctx.range(ids).map(full);
        rows.write_parquet(outputs.dir.join("appended"), options().append_once(id)).unwrap();
    }
    outputs.note("appended", "full", &json!({ "format": "parquet" }));
}

fn write_partitions(outputs: &mut Outputs) {
    let hive = json!({ "format": "parquet", "hive": true });
    let rows = outputs.rows(visitor);
    let options = ParquetOptions::default().partition_by(["day", "country"]);
    let path = outputs.note("partitions", "visitors", &hive);
    // One day is wrong, and replaced.
    let wrong = rows.map(|row| Visitor { id: if row.day == 20_455 { 0 } else { row.id }, ..row });
    wrong.write_parquet(&path, options.clone()).unwrap();
    let day = rows.filter(|row| row.day == 20_455);
    day.write_parquet(&path, options.replace_partitions(["day=2026-01-02"])).unwrap();
}

fn write_text(outputs: &mut Outputs) {
    let plain = json!({ "delimiter": ",", "null": "", "header": true });
    outputs.csv("file.csv", &plain, CsvOptions::default());
    outputs.csv("csv", &plain, CsvOptions::default().target_file_bytes(50_000));
    outputs.csv("quoted.csv", &plain, CsvOptions::default().quotes(Quotes::Always));
    outputs.csv("dos.csv", &plain, CsvOptions::default().line_end(LineEnd::CrLf));
    outputs.csv("gzip.csv.gz", &plain, CsvOptions::default().compression(TextCompression::Gzip(6)));
    let tabs = json!({ "delimiter": "\t", "null": "NULL", "header": false });
    outputs.csv("tabs.csv", &tabs, CsvOptions::default().delimiter(b'\t').null("NULL").header(false));
    let (rows, flat) = (outputs.rows(full), outputs.rows(flat));
    outputs.json_lines("file.jsonl", "full", &rows, JsonOptions::default());
    outputs.json_lines("nulls.jsonl", "full", &rows, JsonOptions::default().nulls(true));
    outputs.json_lines("jsonl", "flat", &flat, JsonOptions::default().target_file_bytes(50_000));
    let gzip = JsonOptions::default().compression(TextCompression::Gzip(6));
    outputs.json_lines("gzip.jsonl.gz", "flat", &flat, gzip);
}

/// All outputs, with `outputs.json`, which lists them, and `models.json`, which has their rows.
fn write_all(dir: &Path) {
    // Splits of few rows, for outputs that several tasks write.
    let ctx = Context::builder().threads(2).build().unwrap();
    let mut outputs = Outputs { dir: dir.to_owned(), ctx, written: Vec::new() };
    write_parquet(&mut outputs);
    write_partitions(&mut outputs);
    write_text(&mut outputs);
    let models = json!({
        "full": (0..ROWS).map(|n| model_of_full(&full(n))).collect::<Value>(),
        "flat": (0..ROWS).map(|n| model_of_flat(&flat(n))).collect::<Value>(),
        "visitors": (0..ROWS).map(|n| model_of_visitor(&visitor(n))).collect::<Value>(),
        "clocks": (0..ROWS).map(|n| model_of_clocks(&clocks(n))).collect::<Value>(),
        "nothing": [],
    });
    std::fs::write(dir.join("models.json"), models.to_string()).unwrap();
    std::fs::write(dir.join("outputs.json"), Value::from(outputs.written).to_string()).unwrap();
}

/// Has a program read all outputs that are for it, so many.
fn reads(program: &str, outputs: usize) {
    let python = consumers::program("python");
    let temp = tempfile::tempdir().unwrap();
    write_all(temp.path());
    let output = Command::new(python)
        .arg(consumers::script("check.py"))
        .arg(program)
        .arg(temp.path())
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let expected = format!("{program} read {outputs} outputs, 0 of them wrong");
    assert!(
        output.status.success() && report.lines().last() == Some(&expected),
        "{}\n{report}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What the other programs write, as `consumers/write.py` has it.
#[derive(Record, Clone, Debug)]
struct Theirs {
    id: i64,
    text: Option<Text>,
    #[record(timestamp = "us")]
    at: Option<i64>,
    #[record(date)]
    day: i32,
    #[record(decimal(15, 2))]
    price: i128,
    ratio: f64,
    flag: bool,
    tags: Vec<Text>,
}

fn theirs(n: i64) -> Theirs {
    Theirs {
        id: n,
        text: (n % 5 != 0).then(|| format!("text {:05}", n / 3).into()),
        at: (n % 4 != 0).then_some(n * 1_000_003),
        day: (n / 100) as i32,
        price: n.into(),
        ratio: if n % 7 == 0 { f64::NAN } else { n as f64 / 8.0 },
        flag: n % 3 == 0,
        tags: (0..n % 3).map(|i| Text::from(format!("tag {i}"))).collect(),
    }
}

/// Whether a row is wanted.
type Wanted = fn(&Theirs) -> bool;

#[test]
fn files_of_other_programs_are_read_and_filtered() {
    let temp = tempfile::tempdir().unwrap();
    let output = Command::new(consumers::program("python"))
        .arg(consumers::script("write.py"))
        .arg(temp.path())
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let filters: [(Filter, Wanted); 6] = [
        (col("id").lt(10_000), |_| true),
        (col("id").between(2500, 2600), |row| (2500..=2600).contains(&row.id)),
        (col("text").gt_eq("text 03000"), |row| row.text.as_deref() >= Some("text 03000")),
        (col("at").lt("1970-01-01T00:10:00Z"), |row| row.at.is_some_and(|at| at < 600_000_000)),
        (col("price").gt("99.5").or(col("day").eq("1970-01-01")), |row| row.price > 9950 || row.day == 0),
        (!col("ratio").lt(1000.0), |row| row.ratio.is_nan() || row.ratio >= 1000.0),
    ];
    let ctx = Context::builder().threads(2).build().unwrap();
    for program in ["pyarrow", "polars", "duckdb", "pyspark"] {
        let path = temp.path().join(program).with_extension("parquet");
        for (filter, wanted) in &filters {
            let options = ParquetReadOptions::default().filter(filter.clone());
            let rows = ctx.read_parquet_with::<Theirs>(&path, options).unwrap();
            let found = rows.collect().unwrap();
            let expected: Vec<Theirs> = (0..10_000).map(theirs).filter(wanted).collect();
            // As texts, in which a NaN equals a NaN.
            assert!(format!("{found:?}") == format!("{expected:?}"), "{program}: {filter}");
        }
    }
    let options = ParquetReadOptions::default().filter(col("id").between(2500, 2600));
    let rows = ctx.read_parquet_with::<Theirs>(temp.path().join("pyarrow.parquet"), options).unwrap();
    assert!(rows.explain().contains("1 of 10 row groups"), "{}", rows.explain());
}

#[test]
fn duckdb_reads_every_output() {
    reads("duckdb", 22);
}

#[test]
fn polars_reads_every_output() {
    reads("polars", 21);
}

#[test]
fn pyarrow_reads_every_output() {
    reads("pyarrow", 22);
}

#[test]
fn pyspark_reads_every_output() {
    reads("pyspark", 19);
}

#[test]
fn postgres_loads_csv() {
    reads("postgres", 5);
}
