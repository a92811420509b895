//! Reads that fail or are interrupted in the middle of an input; `strace` makes them so.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what helps a test may fail as the test may")]
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::process::{Command, Output};

use common::gzip;
use common::place::{Place, assert_says, utf8};

const LINES: u64 = 120_000;

fn place() -> Place {
    let text: String = (0..LINES).map(|n| format!("w{}\n", n * 7919 % 100_003)).collect();
    let place = Place::new(&[("in.txt", &text)]);
    fs::write(place.at("in.gz"), gzip(&text)).unwrap();
    place
}

/// Counts the words of an input, some of whose reads end with an error; and how many did.
fn count(place: &Place, input: &str, reads: &str, error: &str) -> (Output, usize) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(log.path())
        .arg("-P")
        .arg(place.at(input))
        .args(["-e", "trace=read,pread64", "-e", &format!("inject={reads}:error={error}")])
        .args([env!("CARGO_BIN_EXE_gristmill"), "wordcount", input, "-o", "out", "--format", "csv"])
        .args(["--threads", "1"])
        .current_dir(place.at(""))
        .output()
        .expect("strace must be there: apt-get install strace");
    let log = fs::read_to_string(log.path()).unwrap();
    (output, log.lines().filter(|line| line.contains("INJECTED")).count())
}

#[test]
fn a_failing_disk_is_told_with_the_offset_and_nothing_is_left() {
    let place = place();
    for (input, reads, offset) in [
        ("in.txt", "read:when=1+", "byte offset 0"),
        ("in.txt", "read:when=3", "byte offset 524288"),
        ("in.gz", "read:when=2", "byte offset "),
    ] {
        let (reads, when) = reads.split_once(':').unwrap();
        let (output, injected) = count(&place, input, reads, &format!("EIO:{when}"));
        assert!(injected > 0, "{input}: no read failed");
        let message = utf8(output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        let input = place.at(input);
        let name = input.file_name().unwrap().to_str().unwrap();
        assert_says(
            &message,
            &["cannot read an input: Input/output error", name, offset, "; check the disk"],
        );
        assert_eq!(place.names(), ["in.gz", "in.txt"]);
    }
}

#[test]
fn interrupted_reads_are_invisible() {
    let place = place();
    for input in ["in.txt", "in.gz"] {
        let (output, injected) = count(&place, input, "read,pread64", "EINTR:when=2+2");
        assert!(injected > 1, "{input}: no read was interrupted");
        assert!(output.status.success(), "{}", utf8(output.stderr));
        let counts = fs::read_to_string(place.at("out/part-00000.csv")).unwrap();
        let sum: u64 =
            counts.lines().skip(1).map(|row| row.rsplit(',').next().unwrap().parse::<u64>().unwrap()).sum();
        assert_eq!(sum, LINES);
        fs::remove_dir_all(place.at("out")).unwrap();
    }
}
