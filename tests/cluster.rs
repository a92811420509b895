//! Jobs on a cluster give the rows that they give within one process: a cluster of processes, without Spark.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;

use common::cluster::Cluster;
use common::place::utf8;

const GRISTMILL: &str = env!("CARGO_BIN_EXE_gristmill");

#[test]
fn words_are_counted_as_in_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..200_000).map(|n| format!("word{} of {}\n", n % 5003, n % 17)).collect();
    fs::write(dir.path().join("text.txt"), text).unwrap();
    let arguments = |output| ["wordcount", "text.txt", "-o", output, "--format", "csv"];
    let status =
        std::process::Command::new(GRISTMILL).args(arguments("alone")).current_dir(dir.path()).status();
    assert!(status.unwrap().success());
    let mut cluster = Cluster::new(2);
    let output = cluster.run(Path::new(GRISTMILL), dir.path(), &arguments("cluster"));
    assert!(output.status.success(), "{}", utf8(output.stderr));
    let rows = |name: &str| {
        let mut parts: Vec<_> =
            fs::read_dir(dir.path().join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        parts.retain(|part| part.extension().is_some_and(|extension| extension == "csv"));
        parts.sort();
        let texts = parts.iter().map(|part| fs::read_to_string(part).unwrap());
        texts.flat_map(|text| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let alone = rows("alone");
    assert_eq!(alone.len(), 5003 + 17 + 1);
    assert!(alone == rows("cluster"));
    assert_eq!(cluster.tasks.len(), 2);
}
