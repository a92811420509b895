//! Sample files from text to Parquet and back.

use gristmill::io::parquet::read_parquet;
use gristmill::parse::{
    ColumnsBuilder, Combined, CombinedFormat, Common, Fault, LineFormat, Logfmt, NginxAccess, Row, Syslog5424,
};
use gristmill::prelude::*;
use gristmill::record::from_batch;

use crate::samples::{self, NGINX_ERROR, SYSLOG};

/// The records of a sample: those that the engine parses, which are also those that it writes as Parquet.
fn through_parquet<T>(
    name: &str,
    parse: impl Fn(&Text) -> Result<T, Fault> + Copy + Send + Sync + 'static,
) -> Vec<T>
where
    T: Record + std::fmt::Debug + PartialEq,
{
    let ctx = Context::builder().threads(2).build().unwrap();
    let records = ctx.read_text(samples::path(name)).unwrap().try_map(move |line| parse(&line));
    let target = tempfile::tempdir().unwrap();
    let target = target.path().join("records");
    records.write_parquet(&target, ParquetOptions::default()).unwrap();
    let batches = read_parquet(&target.join("part-00000.parquet"), None).unwrap();
    let read: Vec<T> = batches.flat_map(|batch| from_batch::<T>(&batch.unwrap()).unwrap()).collect();
    let parsed: Vec<T> = samples::lines(name).iter().map(|line| parse(&Text::new(line)).unwrap()).collect();
    assert_eq!(read, parsed, "{name}");
    assert!(read.len() >= 30, "{name}");
    read
}

/// The first row of what a format makes of its sample, as text; the rest must be cut, too.
fn first_row(name: &str) -> Vec<Option<String>> {
    let (_, format) = samples::all().into_iter().find(|(sample, _)| *sample == name).unwrap();
    let mut columns = ColumnsBuilder::new(&*format).unwrap();
    let lines = samples::lines(name);
    let mut row = Row::new();
    for line in lines.iter().rev() {
        format.cut(line, &mut row).unwrap();
        columns.push(line, &row).unwrap();
    }
    assert_eq!(columns.finish().unwrap().num_rows(), lines.len());
    row.iter().map(|field| field.map(str::to_owned)).collect()
}

#[test]
fn apache() {
    let hits = through_parquet("common.log", Common::parse);
    assert_eq!(hits.iter().filter(|hit| hit.user.as_deref() == Some("jo doe")).count(), 7);
    let hits = through_parquet("combined.log", Combined::parse);
    assert_eq!((hits[0].host.as_str(), hits[0].user.as_deref()), ("crawler-7.search.example", Some("frank")));
    assert_eq!((hits[0].time, hits[0].status, hits[0].bytes), (1_773_014_415_000, 500, Some(317_458)));
    assert!(hits.iter().any(|hit| hit.agent.as_deref() == Some("")));
    assert!(hits.iter().any(|hit| hit.agent.as_deref() == Some("Links \"2.30\" (Linux; \\o/)")));
    assert!(hits.iter().any(|hit| hit.path.as_deref() == Some("/été")));
}

/// Every line of the sample as a regular expression sees it.
#[test]
fn combined_as_a_regular_expression_sees_it() {
    let quoted = r#""((?:[^"\\]|\\.)*)""#;
    let pattern = format!(r"^(\S+) (\S+) (.+) \[(.{{26}})\] {quoted} (\S+) (\S+) {quoted} {quoted}$");
    let pattern = regex::Regex::new(&pattern).unwrap();
    let lines = samples::lines("combined.log");
    let plain: Vec<&String> = lines.iter().filter(|line| !line.contains('\\')).collect();
    assert!(plain.len() > 30);
    for line in plain {
        let mut row = Row::new();
        CombinedFormat.cut(line, &mut row).unwrap();
        let request: Vec<&str> = (4..7).filter_map(|column| row.get(column)).collect();
        let request = if request.is_empty() { "-".to_owned() } else { request.join(" ") };
        let captures = pattern.captures(line).unwrap();
        assert_eq!(&captures[5], request);
        for (group, column) in [(1, 0), (2, 1), (3, 2), (4, 3), (6, 7), (7, 8), (8, 9), (9, 10)] {
            assert_eq!(&captures[group], row.get(column).unwrap_or("-"), "{line}");
        }
    }
}

#[test]
fn broken_lines_are_faults() {
    for line in samples::lines("combined_broken.log") {
        let fault = Combined::parse(&Text::new(&line)).expect_err(&line);
        assert!(fault.at() <= line.len(), "{fault}");
    }
}

#[test]
fn a_fault_says_file_line_column_and_value() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let lines = samples::lines("combined.log");
    std::fs::write(&path, format!("{}\n{}\n", lines[0], lines[1].replacen(" 301 ", " 3O1 ", 1))).unwrap();
    let ctx = Context::new().unwrap();
    let error = ctx.read_text(&path).unwrap().try_map(|line| Combined::parse(&line)).count().unwrap_err();
    let message = error.to_string();
    for part in ["access.log, line 2", "column `status`, value `3O1`", "this is no whole number"] {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
}

#[test]
fn nginx() {
    let hits = through_parquet("nginx_access.log", NginxAccess::parse);
    assert!(hits.iter().any(|hit| hit.agent.as_deref() == Some("Links \"2.30\" (Linux; \\o/)")));
    let entries = through_parquet("nginx_error.log", |line| NGINX_ERROR.parse(line));
    assert_eq!(entries[1].message, "open() \"/srv/www/img/a, b.png\" failed (13: Permission denied)");
    assert_eq!(entries[1].request.as_deref(), Some("GET /img/a, b.png HTTP/2.0"));
    assert_eq!(entries.iter().filter(|entry| entry.client.is_none()).count(), 12);
}

#[test]
fn syslog() {
    let entries = through_parquet("syslog3164.log", |line| SYSLOG.parse(line));
    assert_eq!(entries.iter().filter(|entry| entry.app.is_none()).count(), 8);
    assert_eq!(entries[10].app.as_deref(), Some("mühle"));
    let entries = through_parquet("syslog5424.log", Syslog5424::parse);
    assert_eq!(entries.iter().filter(|entry| entry.structured_data.len() == 2).count(), 6);
    assert_eq!(entries[3].structured_data[0].params[0].value, "say \"hi\" \\ [x]");
    assert!(entries.iter().all(|entry| entry.message.as_ref().is_none_or(|text| !text.contains('\u{FEFF}'))));
}

#[test]
fn pairs() {
    let expected = [Some("info"), Some("request done"), None, Some("true"), Some(""), None];
    assert_eq!(first_row("logfmt.log"), expected.map(|field| field.map(str::to_owned)));
    let expected = [Some("0"), Some("rye flour"), Some("0.00"), Some("true")];
    assert_eq!(first_row("key_value.log"), expected.map(|field| field.map(str::to_owned)));
    let ctx = Context::new().unwrap();
    let lines = ctx.read_text(samples::path("logfmt.log")).unwrap();
    let pairs = lines.try_flat_map(|line| Logfmt::pairs(&line));
    let levels = pairs.filter(|(key, _)| key == "level").map(|(_, value)| value).count_by_value();
    let target = tempfile::tempdir().unwrap();
    levels.write_parquet(target.path().join("levels"), ParquetOptions::default()).unwrap();
    assert_eq!(levels.map(|(_, count)| count).collect().unwrap(), [10; 4]);
}

#[test]
fn positions_delimiters_and_patterns() {
    let expected = [Some("0"), Some("rye flour"), Some("kg"), Some("0.00"), Some("2026-03-01")];
    assert_eq!(first_row("fixed_width.txt"), expected.map(|field| field.map(str::to_owned)));
    let expected = [Some("0"), Some("rye flour"), None, Some("true"), Some("2026-03-01")];
    assert_eq!(first_row("delimited.tsv"), expected.map(|field| field.map(str::to_owned)));
    let row = first_row("application.log");
    assert_eq!((row[3].as_deref(), row[5].as_deref()), (None, Some("grinding at 120 rpm")));
}
