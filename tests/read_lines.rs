//! Files of logs as typed rows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use gristmill::parse::{Combined, CombinedFormat, Delimited};
use gristmill::prelude::*;

fn line(n: u64) -> String {
    match n % 10 {
        3 => format!(
            "10.0.0.{} - - [31/Feb/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"",
            n % 256
        ),
        7 => format!("torn {n}"),
        _ => format!(
            "10.0.0.{} - u{n} [10/Oct/2026:13:{:02}:36 -0700] \"GET /a?q=\\\"{n}\\\" HTTP/1.1\" {} {n} \"-\" \"an agent, with \\\"quotes\\\"\"",
            n % 256,
            n % 60,
            200 + n % 5
        ),
    }
}

#[test]
fn logs_are_rows_of_the_format_and_what_is_torn_is_rejected() {
    const LINES: u64 = 3000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let text: String = (0..LINES).map(|n| line(n) + "\n").collect();
    std::fs::write(&path, &text).unwrap();
    let to = dir.path().join("rejects.csv");
    for (threads, split_bytes) in [(1, 1 << 20), (2, 1000), (8, 20_000)] {
        let ctx = Context::builder().threads(threads).split_bytes(split_bytes).build().unwrap();
        let rows = ctx.read_lines::<Combined>(&path, CombinedFormat).unwrap();
        let error = rows.count().unwrap_err().to_string();
        assert!(error.contains("access.log, line "), "{error}");
        let rows = rows.on_error(OnError::reject(&to)).unwrap().collect().unwrap();
        let parsed = (0..LINES).filter_map(|n| Combined::parse(&Text::from(line(n))).ok());
        assert!(rows == parsed.collect::<Vec<_>>());
        let rejects =
            ctx.read_csv::<(Text, u64, u64, Text, Text)>(&to, CsvFormat::default().header(false)).unwrap();
        let rejects =
            rejects.on_error(OnError::skip()).unwrap().map(|reject| (reject.1, reject.4)).collect().unwrap();
        let expected = (0..LINES).filter(|n| matches!(n % 10, 3 | 7)).map(|n| (n + 1, Text::from(line(n))));
        assert!(rejects == expected.collect::<Vec<_>>());
    }
}

#[test]
fn columns_are_found_by_name_and_may_have_other_types() {
    #[derive(Record, Clone, Debug, PartialEq)]
    struct Item {
        count: u32,
        name: Option<Text>,
    }

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items");
    std::fs::write(&path, "rye\t7\tx\noats\t8\ty\n").unwrap();
    let ctx = Context::new().unwrap();
    let format = || Delimited::new(b'\t', ["name", "count", "junk"]).unwrap();
    let items = ctx.read_lines::<Item>(&path, format()).unwrap().collect().unwrap();
    assert_eq!(
        items,
        [Item { count: 7, name: Some("rye".into()) }, Item { count: 8, name: Some("oats".into()) }]
    );
    let error = ctx.read_lines::<(u8,)>(&path, format()).err().unwrap().to_string();
    assert!(error.contains("the lines have no column `_1`"), "{error}");
}
