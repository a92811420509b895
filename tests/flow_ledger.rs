//! Ledgers that cannot be used: they are refused with what to do, and outputs stay as they are.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Output;

use common::place::{Place, assert_says, utf8};
use common::{files, scramble};

const FLOW: &str = "name = \"rows\"\n[tasks.convert]\nconvert = { input = [\"in.csv\"], output = \"out\" }\n";
const RUN: &str = "flow run rows.flow.toml";

/// A place in which the flow has run.
fn place() -> Place {
    let place = Place::new(&[("rows.flow.toml", FLOW), ("in.csv", "n\n1\n2\n")]);
    place.succeed(RUN);
    place
}

fn outputs(place: &Place) -> BTreeMap<PathBuf, Vec<u8>> {
    files(&place.at("out"))
}

/// Runs the flow as somebody whom permissions bind: root is not, and is nobody meanwhile.
fn run_bound(place: &Place) -> Output {
    let mut command = place.command(RUN);
    if rustix::process::geteuid().is_root() {
        // The program is copied, since the directory that it lies in may be closed to others; and by another process, since a child that another test
        // starts meanwhile would hold what this one opens for writing, and what is open for writing cannot be run.
        let copy = place.at("gristmill");
        let copied =
            std::process::Command::new("cp").arg(env!("CARGO_BIN_EXE_gristmill")).arg(&copy).status();
        assert!(copied.unwrap().success());
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = std::process::Command::new(copy);
        command.args(arguments).current_dir(place.at("")).uid(65534).gid(65534);
    }
    command.output().unwrap()
}

/// Gives all of a place to whom [`run_bound`] runs as.
fn give(place: &Place) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut pending = vec![place.at("")];
    while let Some(path) = pending.pop() {
        chown(&path, Some(65534), Some(65534)).unwrap();
        if path.is_dir() {
            pending.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

fn set_mode(place: &Place, name: &str, mode: u32) {
    fs::set_permissions(place.at(name), Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_ledger_that_cannot_be_written_is_refused() {
    for (name, closed, open) in [(".gristmill/ledger.sqlite", 0o444, 0o644), (".gristmill", 0o555, 0o755)] {
        let place = place();
        give(&place);
        let before = outputs(&place);
        set_mode(&place, name, closed);
        let Output { status, stdout, stderr } = run_bound(&place);
        let message = utf8(stderr);
        assert_eq!(status.code(), Some(2), "{name}: {message}");
        assert_says(&message, &["ledger.sqlite cannot be used", "make it and its directory writable"]);
        assert!(stdout.is_empty() && outputs(&place) == before, "{name}");
        set_mode(&place, name, open);
        let open = run_bound(&place);
        assert!(open.status.success(), "{name}: {}", utf8(open.stderr)); // so that it was this that it failed by
    }
}

#[test]
fn where_no_ledger_can_be_made_nothing_is_run() {
    let place = Place::new(&[("rows.flow.toml", FLOW), ("in.csv", "n\n1\n2\n"), ("closed/file", "")]);
    give(&place);
    set_mode(&place, "closed", 0o555);
    let mut flow = fs::read_to_string(place.at("rows.flow.toml")).unwrap();
    flow.insert_str(0, "# beside a closed directory\n");
    fs::write(place.at("closed.flow.toml"), flow).unwrap();
    fs::rename(place.at("closed"), place.at(".gristmill")).unwrap();
    let Output { status, stderr, .. } = run_bound(&place);
    assert_eq!(status.code(), Some(2));
    assert_says(&utf8(stderr), &["ledger.sqlite cannot be used", "make it and its directory writable"]);
    assert!(!place.at("out").exists());
}

#[test]
fn a_ledger_that_is_damaged_anywhere_is_refused_or_right() {
    let place = place();
    let (before, ledger) = (outputs(&place), place.at(".gristmill/ledger.sqlite"));
    let good = fs::read(&ledger).unwrap();
    let mut refused = 0;
    for round in 0..40 {
        let mut bad = good.clone();
        let number = scramble(round);
        if round % 4 == 0 {
            bad.truncate(number as usize % good.len());
        } else {
            let at = number as usize % (good.len() - 64);
            let pages = if round % 2 == 0 { 64 } else { 1 };
            bad[at..at + pages].iter_mut().for_each(|byte| *byte ^= 1 + (number >> 40) as u8 % 255);
        }
        for name in ["ledger.sqlite-wal", "ledger.sqlite-shm"] {
            let _ = fs::remove_file(place.at(".gristmill").join(name));
        }
        fs::write(&ledger, &bad).unwrap();
        for line in [RUN, "flow runs", "flow show 1", "flow logs 1"] {
            let Output { status, stderr, .. } = place.run(line);
            let message = utf8(stderr);
            assert!(matches!(status.code(), Some(0..=2)), "round {round}, {line}: {status}: {message}");
            assert!(!message.contains("panicked"), "round {round}, {line}: {message}");
            if status.code() == Some(2) {
                refused += 1;
                assert_says(&message, &["; "]); // what to do stands behind it
            }
        }
        assert!(outputs(&place) == before, "round {round}");
    }
    assert!(refused > 20, "{refused}");
}
