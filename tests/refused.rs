//! Elements that closures refuse: left out, counted, and rejected to files with the lines that they stem from.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::gzip;
use gristmill::ErrorKind;
use gristmill::config::Rules;
use gristmill::prelude::*;

#[derive(Record, Clone, Debug, PartialEq)]
struct Reject {
    file: Option<String>,
    line: Option<u64>,
    offset: Option<u64>,
    reason: String,
    raw: Option<String>,
}

fn reject(file: Option<&Path>, line: u64, offset: u64, reason: &str, raw: &str) -> Reject {
    let file = file.map(|path| path.display().to_string());
    Reject { file, line: Some(line), offset: Some(offset), reason: reason.into(), raw: Some(raw.into()) }
}

fn rejected(path: &Path) -> Vec<Reject> {
    let ctx = Context::builder().threads(1).build().unwrap();
    ctx.read_csv::<Reject>(path, CsvFormat::default()).unwrap().collect().unwrap()
}

fn parse(word: &Text) -> Result<u64, String> {
    word.parse().map_err(|_| format!("`{word}` is no number"))
}

/// Lines of three words, some of which are no numbers.
fn line(n: u64) -> String {
    let word = |n: u64| if n.is_multiple_of(31) { format!("x{n}") } else { (n * 7919).to_string() };
    format!(
        "{} {}\t{}{}",
        word(3 * n),
        word(3 * n + 1),
        word(3 * n + 2),
        if n.is_multiple_of(3) { "\r\n" } else { "\n" }
    )
}

/// The words that are numbers, and what must be rejected of a file with so many lines.
fn model(path: &Path, lines: u64) -> (Vec<u64>, Vec<Reject>) {
    let (mut good, mut rejects, mut offset) = (Vec::new(), Vec::new(), 0);
    for n in 0..lines {
        let line = line(n);
        for word in line.split_whitespace().map(Text::from).filter(|_| n % 5 != 4) {
            match parse(&word) {
                Ok(number) => good.push(number),
                Err(reason) => {
                    rejects.push(reject(
                        Some(path),
                        n + 1,
                        offset,
                        &reason,
                        line.trim_end_matches(['\r', '\n']),
                    ));
                }
            }
        }
        offset += line.len() as u64;
    }
    (good, rejects)
}

#[test]
fn what_is_refused_is_rejected_with_the_line_it_stems_from() {
    let dir = tempfile::tempdir().unwrap();
    let paths = ["a", "b.gz", "c", "d"].map(|name| dir.path().join("in").join(name));
    let lines = [2000, 3000, 1, 700];
    fs::create_dir(dir.path().join("in")).unwrap();
    let (mut good, mut rejects) = (Vec::new(), Vec::new());
    for (path, lines) in paths.iter().zip(lines) {
        let text: String = (0..lines).map(line).collect();
        let is_compressed = path.extension().is_some();
        fs::write(path, if is_compressed { gzip(text.as_bytes()) } else { text.into_bytes() }).unwrap();
        let of_file = model(path, lines);
        good.extend(of_file.0);
        rejects.extend(of_file.1);
    }
    let to = dir.path().join("rejects.csv");
    let mut first: Option<Vec<u8>> = None;
    for (threads, split_bytes, chunk_rows, memory_bytes, rules) in [
        (1, 1 << 20, 512, u64::MAX, Rules::ALL),
        (2, 3000, 1, u64::MAX, Rules::ALL),
        (8, 10_000, 7, 32 << 10, Rules::ALL),
        (2, 500, 1024, u64::MAX, Rules::NONE),
        (8, 4000, 100, u64::MAX, Rules { share: false, ..Rules::ALL }),
    ] {
        let builder = Context::builder().threads(threads).split_bytes(split_bytes).chunk_rows(chunk_rows);
        let ctx = builder.memory_bytes(memory_bytes).rules(rules).build().unwrap();
        let lines = ctx.read_text_with_origin(dir.path().join("in"), TextOptions::default()).unwrap();
        let words = lines.filter(|line| line.line % 5 != 0).flat_map(|line| line.text.split_whitespace());
        let numbers = words.try_map(|word| parse(&word)).on_error(OnError::reject(&to)).unwrap();
        let outputs = (numbers.to_vec(), numbers.map(|n| n + 1).to_count());
        let (found, count) = ctx.run(outputs).unwrap();
        assert!(found == good && count == good.len() as u64, "{threads} {split_bytes} {chunk_rows}");
        assert_eq!(ctx.counter(OnError::BAD_RECORDS).value(), rejects.len() as u64, "each counts once");
        let bytes = fs::read(&to).unwrap();
        assert!(*first.get_or_insert_with(|| bytes.clone()) == bytes, "the same, to the byte");
        assert!(rejected(&to) == rejects, "{threads} {split_bytes} {chunk_rows}");
        drop(numbers);
        assert_eq!(ctx.budget().used_bytes(), 0);
    }
}

#[derive(Record, Clone, Debug, PartialEq)]
struct Row {
    n: u64,
    text: Text,
}

#[test]
fn what_is_refused_of_records_is_rejected_as_the_record_stands() {
    let dir = tempfile::tempdir().unwrap();
    let (csv, json) = (dir.path().join("rows.csv"), dir.path().join("rows.jsonl"));
    let to = dir.path().join("rejects.csv");
    let of_csv = |n: u64| {
        if n % 3 == 1 { format!("{n},\"two\nlines \"\"{n}\"\"\"\r\n") } else { format!("{n},text\n") }
    };
    let of_json = |n: u64| format!("{{\"text\": \"no {n}\", \"n\": {n}}}\n");
    fs::write(&csv, (0..3000).map(of_csv).fold("n,text\n".to_string(), |all, row| all + &row)).unwrap();
    fs::write(&json, gzip((0..3000).map(of_json).collect::<String>().as_bytes())).unwrap();
    let expected = |path: &Path,
                    row: &dyn Fn(u64) -> String,
                    mut line: u64,
                    mut offset: u64|
     -> Vec<Reject> {
        let mut rejects = Vec::new();
        for n in 0..3000 {
            let text = row(n);
            if n % 100 == 1 {
                rejects.push(reject(Some(path), line, offset, "odd", text.trim_end_matches(['\r', '\n'])));
            }
            line += text.matches('\n').count() as u64;
            offset += text.len() as u64;
        }
        rejects
    };
    for (threads, split_bytes) in [(1, 1 << 20), (2, 4000), (8, 700)] {
        let ctx = Context::builder().threads(threads).split_bytes(split_bytes).build().unwrap();
        let check = |rows: Dataset<Row>, expected: Vec<Reject>| {
            let even = rows.try_map(|row| if row.n % 100 == 1 { Err("odd") } else { Ok(row.n) });
            let even = even.on_error(OnError::reject(&to)).unwrap();
            assert_eq!(even.count().unwrap(), 2970);
            assert_eq!(rejected(&to), expected, "{threads} {split_bytes}");
        };
        check(ctx.read_csv(&csv, CsvFormat::default()).unwrap(), expected(&csv, &of_csv, 2, 7));
        check(ctx.read_json_lines(&json, JsonFormat::default()).unwrap(), expected(&json, &of_json, 1, 0));
    }
}

fn context() -> Context {
    Context::builder().threads(2).chunk_rows(3).build().unwrap()
}

/// What is rejected of a dataset whose zeros are refused.
fn rejects_of(data: &Dataset<u64>, to: &Path) -> Vec<Reject> {
    let nonzero = data.try_map(|n| if n % 10 == 0 { Err("zero") } else { Ok(n) });
    let count = nonzero.on_error(OnError::reject(to)).unwrap().count().unwrap();
    assert!(count > 0);
    rejected(to)
}

fn call(reject: &Reject) -> (&str, bool) {
    (
        reject.reason.rsplit_once(':').map_or("", |(file, _)| file),
        reject.file.is_none() && reject.line.is_none(),
    )
}

#[test]
fn what_stems_from_no_line_is_rejected_with_the_call() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("rejects.csv");
    let ctx = context();
    let texts = ctx.from_vec(["1", "x", "3", "y"].map(Text::from).to_vec());
    let numbers = texts.try_map(|text| text.parse::<u8>()).on_error(OnError::reject(&to)).unwrap();
    assert_eq!(numbers.collect().unwrap(), [1, 3]);
    let found = rejected(&to);
    assert_eq!(found.iter().map(|reject| reject.raw.as_deref().unwrap()).collect::<Vec<_>>(), ["x", "y"]);
    assert!(found[0].reason.starts_with("invalid digit found in string (try_map at tests/refused.rs:"));
    assert!(found[1].reason.ends_with(", row 3)"), "{found:?}");

    let path = dir.path().join("numbers");
    fs::write(&path, (0..100).map(|n| format!("{n}\n")).collect::<String>()).unwrap();
    let numbers = ctx.read_text(&path).unwrap().map(|line| line.parse::<u64>().unwrap());
    let sums = numbers.map(|n| (n % 50 + 1, n)).reduce_by_key(|a, b| a + b).map(|(key, _)| key);
    for data in [sums, numbers.map_partitions(|all| all)] {
        let found = rejects_of(&data, &to);
        assert!(found.len() == 5 || found.len() == 10, "{found:?}");
        let expected = ("zero (try_map at tests/refused.rs", true);
        assert!(found.iter().all(|reject| call(reject) == expected && reject.raw.is_none()), "{found:?}");
    }
    let dir = dir.path().join("parquet");
    numbers.write_parquet(&dir, ParquetOptions::default()).unwrap();
    let found = rejects_of(&ctx.read_parquet::<(u64,)>(&dir).unwrap().map(|(n,)| n), &to);
    assert!(found[3].file.as_deref().is_some_and(|file| file.ends_with(".parquet")), "{found:?}");
    assert_eq!((found[3].reason.as_str(), found[3].line), ("zero (row 30)", None));
}

#[test]
fn each_way_to_a_closure_has_its_rejects_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (to, path) = (dir.path().join("rejects.csv"), dir.path().join("a"));
    fs::write(&path, (0..30).map(|n| format!("{n}\n")).collect::<String>()).unwrap();
    for rules in [Rules::ALL, Rules::NONE] {
        let ctx = Context::builder().threads(2).split_bytes(20).rules(rules).build().unwrap();
        let numbers = ctx.read_text(&path).unwrap().map(|line| line.parse::<u64>().unwrap());
        let both = numbers.filter(|n| *n < 15).union(&numbers).union(&numbers.filter(|n| *n > 15));
        let found = rejects_of(&both, &to);
        let lines: Vec<u64> = found.iter().map(|reject| reject.line.unwrap()).collect();
        assert_eq!(lines, [1, 11, 1, 11, 21, 21], "{rules:?}");
    }
}

#[test]
fn skipping_and_limits_hold_for_closures() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let ctx = Context::builder().threads(2).split_bytes(800).build().unwrap();
    let run = |policy: OnError| {
        let odd = ctx.range(0..1000).try_flat_map(|n| if n % 10 == 0 { Err("round") } else { Ok([n, n]) });
        let options = CsvOptions::default().existing(Existing::Overwrite);
        odd.on_error(policy).unwrap().map(|n| (n,)).write_csv(&out, options)
    };
    let error = run(OnError::fail()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closure);
    for (policy, says) in [
        (OnError::skip().max_records(99), "more than 99 records cannot be used"),
        (OnError::skip().max_share(0.09), "10.000 % of the records cannot be used, and 9 % may be"),
    ] {
        let error = run(policy).unwrap_err().to_string();
        assert!(error.contains(says) && error.starts_with("try_flat_map at tests/refused.rs:"), "{error}");
    }
    assert!(!out.exists());
    assert_eq!(ctx.counter(OnError::BAD_RECORDS).value(), 0, "runs that failed count nothing");
    for times in 1..3 {
        let written = run(OnError::skip().max_records(100).max_share(0.1)).unwrap();
        assert_eq!(written.rows, 1800);
        assert_eq!(ctx.counter(OnError::BAD_RECORDS).value(), times * 100);
    }
}

#[test]
fn each_run_has_rejects_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("rejects.csv");
    let (ctx, runs) = (context(), Arc::new(AtomicU64::new(0)));
    let round = Arc::clone(&runs);
    let data = ctx.range(0..100).try_map(move |n| {
        let bad = if round.load(Ordering::Relaxed) == 0 { 50 } else { 10 };
        if n < bad { Err("small") } else { Ok(n) }
    });
    let data = data.on_error(OnError::reject(&to).max_records(50)).unwrap();
    for (expected, counted) in [(50, 50), (10, 60)] {
        assert_eq!(data.count().unwrap(), 100 - expected);
        assert_eq!(rejected(&to).len() as u64, expected);
        assert_eq!(ctx.counter(OnError::BAD_RECORDS).value(), counted);
        runs.fetch_add(1, Ordering::Relaxed);
    }
    assert_eq!(data.take(1).unwrap(), [10]);
    assert_eq!(ctx.budget().used_bytes(), 0);
}

#[test]
fn a_loop_refuses_policies_for_its_state_and_shares_what_does_not_need_it() {
    let ctx = context();
    let start = ctx.range(0..10);
    let mut refusal = None;
    let _never_run = start.iterate(2, |state| {
        let kept = state.try_map(|n| if n == 3 { Err("three") } else { Ok(n) });
        refusal = kept.on_error(OnError::skip()).err();
        kept.on_error(OnError::fail()).unwrap()
    });
    let message = refusal.unwrap().to_string();
    assert!(message.contains("in the rounds of a loop") && message.contains("counter"), "{message}");

    let shared = ctx.range(0..10).try_map(|n| if n == 3 { Err("three") } else { Ok(n) });
    let shared = shared.on_error(OnError::skip()).unwrap().map(|n| (n, n));
    let body = |state: &Dataset<u64>| state.map(|n| (n, n)).join(&shared).map(|(n, _)| n);
    assert_eq!(start.iterate(3, body).count().unwrap(), 9);
    assert_eq!(ctx.counter(OnError::BAD_RECORDS).value(), 1, "it is computed once for all rounds");
}

#[test]
fn lines_of_standard_input_are_rejected_with_their_numbers() {
    // It is one for a process: the test runs itself again, in a process of its own.
    const CHILD: &str = "GRISTMILL_TEST_OF_REFUSED_INPUT";
    let Some(to) = std::env::var_os(CHILD).map(PathBuf::from) else {
        let dir = tempfile::tempdir().unwrap();
        let (to, input) = (dir.path().join("rejects.csv"), dir.path().join("input"));
        fs::write(&input, "1\nx\n3\n4\ny\n").unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["lines_of_standard_input_are_rejected_with_their_numbers", "--exact"]).env(CHILD, &to);
        let output = command.stdin(File::open(input).unwrap()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let found = rejected(&to);
        let found: Vec<_> =
            found.iter().map(|at| (at.file.as_deref(), at.line, at.offset, at.raw.as_deref())).collect();
        assert_eq!(found, [(Some("-"), Some(2), None, Some("x")), (Some("-"), Some(5), None, Some("y"))]);
        return;
    };
    let numbers = context().read_text("-").unwrap().try_map(|line| line.parse::<u8>());
    assert_eq!(numbers.on_error(OnError::reject(to)).unwrap().collect().unwrap(), [1, 3, 4]);
}
