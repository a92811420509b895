//! Bulk transfers of flows, and the notices that they fail with: what is wrong leaves what was there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use common::postgres::Postgres;
use gristmill::flow::{Flow, Notifier, Occasion, Plan, Runner, State};
use gristmill::prelude::*;
use tempfile::TempDir;

/// Runs a flow that a file in a directory could describe, and gives its state and the error of its first task.
fn run(dir: &Path, flow: &Flow) -> (State, Option<String>) {
    let context = Context::builder().threads(2).build().unwrap();
    let runner = Runner::open(dir.join("ledger.sqlite")).unwrap().context(context);
    let ran = runner.run(Plan::new(flow, [("", ""); 0]).unwrap()).unwrap();
    (ran.state, runner.ledger().tries(ran.id).unwrap().first().and_then(|one| one.error.clone()))
}

fn load(dir: &TempDir, keys: &str) -> Flow {
    let text = format!("name = \"load\"\n[tasks.t]\nload = {{ {keys} }}\n");
    Flow::from_toml(&text).unwrap().dir(dir.path())
}

fn place(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

/// Of `one` and a newline, and of `two` and a newline.
const ONE: &str = "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806";
const TWO: &str = "27dd8ed44a83ff94d557f9fd0412ed5a8cbca69ea04922d88c01184a07300a5a";

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn files_that_are_copied_in_replace_a_directory_as_a_whole() {
    let sums = format!("{ONE}  one\n{TWO} *two\n");
    let dir = place(&[("from/one", "one\n"), ("from/two", "two\n"), ("sums", &sums), ("raw/old", "old")]);
    let flow = load(&dir, "from = \"from/*\", to = \"raw\", checksums = \"sums\", bytes = 8");
    assert_eq!(run(dir.path(), &flow), (State::Succeeded, None));
    assert_eq!(names(&dir.path().join("raw")), ["one", "two"]);
    assert_eq!(fs::read_to_string(dir.path().join("raw/two")).unwrap(), "two\n");
}

#[test]
fn what_does_not_come_as_it_should_leaves_what_was_there() {
    let swapped = format!("{TWO}  one\n{ONE}  two\n");
    let more = format!("{ONE}  one\n{TWO}  two\n{TWO}  three\n");
    let fewer = format!("{ONE}  one\n");
    for (keys, expected) in [
        ("from = \"from/*\", to = \"raw\", bytes = 9", "8 bytes came, and not 9"),
        ("from = \"from/*\", to = \"raw\", checksums = \"swapped\"", "the SHA-256 of one is"),
        ("from = \"from/*\", to = \"raw\", checksums = \"more\"", "three has a checksum, and did not come"),
        ("from = \"from/*\", to = \"raw\", checksums = \"fewer\"", "two has no checksum"),
        ("from = \"from/*\", to = \"raw\", sha256 = \"00\"", "`sha256` is that of one file, and 2 came"),
        ("from = \"from/one\", to = \"raw\", sha256 = \"00\"", "the SHA-256 of one is"),
        ("from = \"nothing/*\", to = \"raw\"", "there is no file"),
        ("command = [\"sh\", \"-c\", \"echo half; exit 1\"], to = \"raw\"", "it ended with exit status: 1"),
        ("command = [\"no such program\"], to = \"raw\"", "cannot be run"),
    ] {
        let dir = place(&[
            ("from/one", "one\n"),
            ("from/two", "two\n"),
            ("swapped", &swapped),
            ("more", &more),
            ("fewer", &fewer),
            ("raw/old", "old"),
        ]);
        let (state, error) = run(dir.path(), &load(&dir, keys));
        assert_eq!(state, State::Failed, "{keys}");
        assert!(error.as_ref().is_some_and(|error| error.contains(expected)), "{keys}: {error:?}");
        assert_eq!(names(&dir.path().join("raw")), ["old"], "{keys}");
        assert!(!names(dir.path()).iter().any(|name| name.starts_with('.')), "{keys}");
    }
}

#[test]
fn what_a_command_prints_becomes_a_file() {
    let dir = place(&[]);
    let keys = format!("command = [\"echo\", \"one\"], to = \"raw/one\", sha256 = \"{ONE}\"");
    assert_eq!(run(dir.path(), &load(&dir, &keys)), (State::Succeeded, None));
    assert_eq!(fs::read_to_string(dir.path().join("raw/one")).unwrap(), "one\n");
}

#[test]
fn rows_replace_those_of_their_day_in_one_transaction() {
    let server = Postgres::start();
    let mut client = server.client();
    client.batch_execute("CREATE TABLE t (day date, name text, n bigint)").unwrap();
    client
        .batch_execute("INSERT INTO t VALUES ('2026-01-01', 'stays', 1), ('2026-01-02', 'goes', 2)")
        .unwrap();
    let rows = "name,n\n\"tab\there, back\\slash\",3\n\"two\nlines\",\n";
    let dir = place(&[("good.csv", rows), ("bad.csv", "name,m\nx,1\n")]);
    let flow = |file: &str| {
        let url = server.url();
        load(
            &dir,
            &format!(
                "from = \"{file}\", postgres = \"{url}\", table = \"t\", replace = {{ day = \"2026-01-02\" }}"
            ),
        )
    };
    let table = |client: &mut postgres::Client| -> Vec<(String, String, Option<i64>)> {
        let rows = client.query("SELECT day::text, name, n FROM t ORDER BY day, name", &[]).unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    };
    let before = table(&mut client);
    let (state, error) = run(dir.path(), &flow("bad.csv"));
    assert_eq!(state, State::Failed);
    assert!(error.unwrap().contains("column \"m\" of relation \"t\" does not exist"));
    assert_eq!(table(&mut client), before);

    let context = Context::builder().threads(2).build().unwrap();
    let runner = Runner::open(dir.path().join("other.sqlite")).unwrap().context(context);
    let ran = runner.run(Plan::new(&flow("good.csv"), [("", ""); 0]).unwrap()).unwrap();
    assert_eq!(ran.state, State::Succeeded, "{:?}", runner.ledger().tries(ran.id));
    let row = |day: &str, name: &str, n| (day.to_owned(), name.to_owned(), n);
    let expected = [
        row("2026-01-01", "stays", Some(1)),
        row("2026-01-02", "tab\there, back\\slash", Some(3)),
        row("2026-01-02", "two\nlines", None),
    ];
    assert_eq!(table(&mut client), expected);
}

#[derive(Record, Clone)]
struct Moment {
    #[record(timestamp = "ms")]
    at: i64,
}

#[test]
fn a_value_that_cannot_be_written_ends_the_load_while_many_rows_are_left() {
    let server = Postgres::start();
    server.client().batch_execute("CREATE TABLE t (at timestamp)").unwrap();
    let dir = place(&[]);
    let context = Context::builder().threads(2).build().unwrap();
    let rows = context.from_vec(vec![Moment { at: i64::MAX }; 500_000]);
    rows.write_parquet(dir.path().join("rows"), ParquetOptions::default()).unwrap();
    let url = server.url();
    let flow = load(&dir, &format!("from = \"rows\", postgres = \"{url}\", table = \"t\""));
    let (state, error) = run(dir.path(), &flow);
    assert_eq!(state, State::Failed);
    assert!(
        error.as_ref().is_some_and(|error| error.contains("cannot be written for PostgreSQL")),
        "{error:?}"
    );
}

#[test]
fn a_webhook_is_told_of_a_failure_without_secrets() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        while !text.contains("\"event\"") || !text.trim_end().ends_with('}') {
            let length = stream.read(&mut buffer).unwrap();
            text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
        text
    });
    let dir = place(&[]);
    let flow = Flow::new("hook").task("t", |_| Err("it is hunter2".into()));
    let flow = flow
        .param_with(
            gristmill::flow::Param::new("password", gristmill::flow::ParamType::Text)
                .default("hunter2")
                .secret(),
        )
        .notify(Notifier::webhook(url).on([Occasion::Failure]));
    // The try and the run are told; the listener hears the first of them.
    let (state, _) = run(dir.path(), &flow);
    assert_eq!(state, State::Failed);
    let heard = heard.join().unwrap();
    assert!(heard.starts_with("POST /hook HTTP/1.1") && heard.contains("\"flow\":\"hook\""), "{heard}");
    assert!(!heard.contains("hunter2"), "{heard}");
}
