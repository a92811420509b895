//! `gristmill verify` and `gristmill recover` as users run them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::faults::FailCalls;
use common::place::{Place, assert_says, utf8};
use gristmill::io::commit::{Existing, Fs, Mode, Owned, Shape, Target, manifest};
use gristmill::io::hive::PartitionPath;
use gristmill::prelude::*;
use serde_json::json;

fn table(place: &Place) {
    let ctx = Context::new().unwrap();
    let rows = ctx.range(0..6).map(|n| (n % 3, n));
    rows.columns(["k", "n"]).write_csv(place.at("out"), CsvOptions::default().partition_by(["k"])).unwrap();
}

/// What `verify` prints of an output with faults.
fn faults(place: &Place, output: &str) -> String {
    let found = place.run(&format!("verify {output}"));
    assert_eq!(found.status.code(), Some(1));
    assert_eq!(utf8(found.stderr), "");
    utf8(found.stdout)
}

#[test]
fn verify_says_what_is_missing_changed_and_foreign() {
    let place = Place::new(&[]);
    table(&place);
    let (printed, _) = place.succeed("verify out");
    assert_eq!(printed, "out: 3 partition(s), 3 file(s), 6 rows, 18 bytes: as written\n");
    std::fs::remove_file(place.at("out/k=0/part-00000.csv")).unwrap();
    std::fs::write(place.at("out/k=1/part-00000.csv"), "n\n1\n5\n").unwrap();
    std::fs::write(place.at("out/k=1/no\u{1b}te"), "mine").unwrap();
    std::fs::remove_file(place.at("out/k=2/_manifest.json")).unwrap();
    std::fs::create_dir(place.at("out/other")).unwrap();
    let printed = faults(&place, "out");
    let lines: Vec<_> = printed.lines().collect();
    let expected = [
        "missing: cannot open out/k=0/part-00000.csv: ",
        "changed: out/k=1/part-00000.csv has 6 bytes, xxh3:",
        "foreign: out/k=1/no\\u{1b}te is not in the manifest; ",
        "missing: the partition out/k=2 has no _manifest.json; ",
        "foreign: out/other is not in the manifest; ",
        "out: 2 partition(s), 2 file(s), 4 rows, 12 bytes: 5 fault(s)",
    ];
    assert_eq!(lines.len(), expected.len(), "{printed}");
    for part in expected {
        assert!(lines.iter().any(|line| line.starts_with(part)), "no {part:?} in: {printed}");
    }
}

#[test]
fn verify_of_what_has_no_manifest_is_an_error() {
    let place = Place::new(&[("data/a.txt", "a\n")]);
    assert_says(&place.fail("verify data", 1), &["data has no _manifest.json", "not written by gristmill"]);
    assert_says(&place.fail("verify missing", 1), &["missing has no _manifest.json"]);
}

/// A table after a run that replaces `k=1` and `k=2` died between the two.
fn died() -> Place {
    for n in 1..500 {
        let place = Place::new(&[]);
        table(&place);
        let result = empty_two(&place.at("out"), Fs::hooked(FailCalls::new(move |call| call >= n)));
        if !place.at("out/k=1/part-00000.csv").exists() {
            let message = result.unwrap_err().to_string();
            assert!(message.contains("gristmill recover"), "{message}");
            return place;
        }
    }
    panic!("no run died between two partitions")
}

fn empty_two(dir: &Path, fs: Fs) -> gristmill::Result<()> {
    let declared = ["k=1", "k=2"].map(|text| PartitionPath::parse(text).unwrap());
    let mode = Mode::Partitions(Owned::Declared(declared.to_vec()));
    let target = Target::new(dir, Shape::Directory, Existing::Refuse).on(fs);
    let attempt = target.partitioned_by(vec!["k".to_owned()]).mode(mode).check(&[])?.begin()?;
    let schema = manifest::read(dir)?.unwrap().schema;
    attempt.commit_partitions(schema, json!("new"), Vec::new()).map(drop)
}

#[test]
fn recover_completes_a_decided_commit_and_says_so() {
    let place = died();
    assert!(place.at("out/k=2/part-00000.csv").exists());
    assert!(faults(&place, "out").starts_with("unfinished: "));
    let (printed, _) = place.succeed("recover out");
    let lines: Vec<_> = printed.lines().collect();
    let out = place.at("out").canonicalize().unwrap();
    assert_eq!(lines[..2], ["k=1", "k=2"].map(|name| format!("completed {}", out.join(name).display())));
    assert!(lines[2].starts_with("deleted ") && lines[2].contains(".out.gristmill-staging-"), "{printed}");
    assert!(!place.at("out/k=2/part-00000.csv").exists());
    assert_eq!(place.names(), ["out"]);
    assert_eq!(place.succeed("recover out").0, "nothing to recover\n");
    assert_eq!(
        place.succeed("verify out").0,
        "out: 3 partition(s), 1 file(s), 2 rows, 6 bytes: as written\n"
    );
}

#[test]
fn recover_reports_a_journal_that_it_cannot_follow() {
    let place = died();
    let staging = place.names().into_iter().find(|name| name.contains("staging")).unwrap();
    std::fs::write(place.at(&staging).join("journal"), "{}").unwrap();
    assert_says(
        &place.fail("recover out", 1),
        &[&format!("{staging}/journal"), "is invalid", "nothing was changed"],
    );
}
