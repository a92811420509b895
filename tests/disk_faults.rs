//! The command on disks that are full, fail, or may not be written: it says where and what to do, the output is what it was, and nothing is
//! left over.
//!
//! Faults are injected by strace into each write and each fsync of the command. A really full disk is a tmpfs of 1 MiB, which only the
//! superuser can mount, and not within every container; without it, the injected faults stand alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::place::{Place, assert_says, utf8};
use common::{files, names, text};

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A line that `strace` has written of a system call that ended, or that goes on.
struct Traced {
    /// The path of the file that the call is about.
    path: String,
    injected: bool,
}

/// Runs the command under strace, with a fault in calls of a name, as `when` says; also what was traced.
fn with_fault(place: &Place, line: &str, call: &str, fault: &str, when: &str) -> (Output, Vec<Traced>) {
    let command = place.command(line);
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-qq", "-o"]).arg(log.path());
    strace.args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:error={fault}:when={when}")]);
    strace.arg(command.get_program()).args(command.get_args()).current_dir(place.at(""));
    let output = strace.env("GRISTMILL_THREADS", "1").stdin(Stdio::null()).output().unwrap_or_else(|error| {
        panic!("strace cannot be started, which this test needs (apt-get install strace): {error}")
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("strace:"), "{said}");
    let traced = std::fs::read_to_string(log.path()).unwrap();
    let traced = traced.lines().filter_map(|line| {
        let (_, rest) = line.split_once('<')?;
        let path = rest.split_once('>')?.0.to_owned();
        Some(Traced { path, injected: line.contains("(INJECTED)") })
    });
    (output, traced.collect())
}

/// A place with an output that is to be replaced; also what its files are before and after that.
fn replaceable() -> (Place, [Files; 2]) {
    let place = Place::new(&[("one.txt", &text(20_000, 1)), ("two.txt", &text(20_000, 2))]);
    place.succeed("wordcount two.txt -o out");
    let new = files(&place.at("out"));
    place.succeed("wordcount one.txt -o out --overwrite");
    let old = files(&place.at("out"));
    (place, [old, new])
}

/// The run fails with a message about the path that the fault was injected at, and the output is the old one.
fn assert_failed(place: &Place, output: Output, old: &Files, says: &[&str]) {
    assert_eq!(output.status.code(), Some(1));
    if !says.is_empty() {
        assert_says(&utf8(output.stderr), says);
    }
    assert!(files(&place.at("out")) == *old, "the output has changed");
    assert_eq!(place.names(), ["one.txt", "out", "two.txt"]);
}

/// Fails the n-th write of a thread, or all from there on, for every n; how often that was a write of the run and not of a message.
fn fail_each_write(for_ever: bool) -> usize {
    let (place, [old, new]) = replaceable();
    let mut failed = 0;
    for n in 1.. {
        let when = format!("{n}{}", if for_ever { "+" } else { "" });
        let line = "wordcount two.txt -o out --overwrite --progress never";
        let (output, traced) = with_fault(&place, line, "write", "ENOSPC", &when);
        match traced.into_iter().find(|call| call.injected).map(|call| call.path) {
            Some(path) if path.contains("gristmill") => {
                // What is said is written, too.
                let says: &[&str] = if for_ever {
                    &[]
                } else {
                    &["cannot write", ".gristmill-", "No space left", "free some space"]
                };
                assert_failed(&place, output, &old, says);
                failed += 1;
            }
            Some(path) => {
                assert!(output.status.success(), "{path}: {}", output.status);
                assert!(files(&place.at("out")) == new);
                place.succeed("wordcount one.txt -o out --overwrite");
            }
            None => return failed,
        }
    }
    failed
}

#[test]
fn a_disk_that_is_full_at_any_write_leaves_the_old_output() {
    for for_ever in [false, true] {
        let failed = fail_each_write(for_ever);
        assert!(failed >= 3, "{failed} writes: those of two locks, a part and a manifest");
    }
}

/// What lies between stages has no name, so that `strace` shows it as deleted.
#[test]
fn a_disk_that_fails_between_the_stages_of_map_reduce_leaves_the_old_output() {
    for (call, fault, says) in
        [("pwrite64", "ENOSPC", "No space left"), ("pread64", "EIO", "Input/output error")]
    {
        let (place, [old, _]) = replaceable();
        let mut failed = 0;
        for n in 1.. {
            // With little memory there are several blocks, and more reads than those that load the program, which are counted, too.
            let line =
                "wordcount two.txt -o out --overwrite --progress never --execution mapreduce --memory 100kB";
            let (output, traced) = with_fault(&place, line, call, fault, &n.to_string());
            match traced.into_iter().find(|call| call.injected).map(|call| call.path) {
                Some(path) if path.contains("(deleted)") || path.contains("/#") => {
                    assert_failed(&place, output, &old, &[says, "--spill-dir"]);
                    failed += 1;
                }
                Some(_) => place.succeed("wordcount one.txt -o out --overwrite").1.clear(),
                None => break,
            }
        }
        assert!(failed >= 3, "{call}: {failed} of what lies between the stages");
    }
}

#[test]
fn an_fsync_that_fails_is_never_tried_again_and_leaves_the_old_output() {
    let (place, [old, new]) = replaceable();
    let (mut failed, mut in_place) = (0, 0);
    for n in 1.. {
        let line = "wordcount two.txt -o out --overwrite --progress never";
        let (output, traced) = with_fault(&place, line, "fsync", "EIO", &n.to_string());
        let Some(at) = traced.iter().position(|call| call.injected) else { break };
        let path = traced[at].path.clone();
        assert!(
            traced[at + 1..].iter().all(|call| call.path != path),
            "{path} is made durable a second time"
        );
        if files(&place.at("out")) == new {
            // The last fsync is that of the directory, after the exchange.
            assert_eq!(output.status.code(), Some(1));
            assert_says(
                &utf8(output.stderr),
                &["cannot make durable", "in place", "power failure", "run again"],
            );
            assert!(Path::new(&path) == place.at("").canonicalize().unwrap());
            place.succeed("wordcount one.txt -o out --overwrite"); // and the next run cleans up
            assert_eq!(place.names(), ["one.txt", "out", "two.txt"]);
            in_place += 1;
        } else {
            let name = Path::new(&path).file_name().unwrap().to_str().unwrap();
            assert_failed(&place, output, &old, &["cannot make durable", name, "Input/output error"]);
            failed += 1;
        }
    }
    // That of the manifest is masked by that of the part, which is the first one of another thread; tests/commit.rs fails every one.
    assert!(
        failed >= 2 && in_place == 1,
        "{failed} and {in_place}: the fsyncs of a part and of two directories"
    );
}

#[test]
fn a_spill_directory_that_is_full_fails_the_run_and_is_named() {
    let words: String = (0..40_000).map(|n| format!("{}-{n} ", "word".repeat(n % 9))).collect();
    let place = Place::new(&[("one.txt", &words), ("two.txt", ""), ("spill/mine", "")]);
    let line = "wordcount one.txt -o out --memory 500KB --spill-dir spill --threads 1 --progress never";
    for n in [1, 2, 5] {
        let (output, traced) = with_fault(&place, line, "pwrite64", "ENOSPC", &format!("{n}+"));
        assert!(traced.iter().any(|call| call.injected), "{n}: nothing was spilled");
        assert_eq!(output.status.code(), Some(1));
        assert_says(&utf8(output.stderr), &["spill", "No space left", "--spill-dir"]);
        assert_eq!(names(&place.at("spill")), ["mine"]);
        assert_eq!(place.names(), ["one.txt", "spill", "two.txt"]);
    }
}

/// A tmpfs, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts one of 1 MiB; nothing where that is not allowed.
    fn mount() -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(dir.path());
        mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success()).then_some(SmallDisk(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn a_disk_that_is_full_is_as_it_was_afterwards() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("a tmpfs cannot be mounted here: the injected faults of the other tests stand alone");
        return;
    };
    let large: String = (0..120_000).map(|n| format!("word-{n} ")).collect();
    let place = Place::new(&[("one.txt", &text(2_000, 1)), ("large.txt", &large)]);
    let at = |name: &str| disk.0.path().join(name).display().to_string();
    for name in ["out", "out.csv"] {
        place.succeed(&format!("wordcount one.txt -o {}", at(name)));
        let (before, names_before) = (files(disk.0.path()), names(disk.0.path()));
        let line = format!("wordcount large.txt -o {} --overwrite --format csv", at(name));
        let message = place.fail(&line, 1);
        assert_says(&message, &[&at(""), "No space left", "free some space"]);
        assert!(files(disk.0.path()) == before, "{name}");
        assert_eq!(names(disk.0.path()), names_before, "{name}");
    }
    let message = place.fail(&format!("wordcount large.txt -o new --memory 500KB --spill-dir {}", at("")), 1);
    assert_says(&message, &[&at(""), "No space left", "--spill-dir"]);
}

/// The command as a user who is not the superuser, in a place that all may read.
fn as_a_user(place: &Place, line: &str) -> Output {
    let mut command = place.command(line);
    if rustix::process::geteuid().is_root() {
        // The program may lie where only the superuser can go.
        let program = place.at("gristmill");
        if !program.exists() {
            std::fs::copy(command.get_program(), &program).unwrap();
        }
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = Command::new(program);
        command.args(arguments).current_dir(place.at("")).uid(65_534).gid(65_534);
    }
    command.output().unwrap()
}

#[test]
fn a_directory_that_may_not_be_written_is_refused_before_any_work() {
    // Any work would find that this is not UTF-8.
    let place = Place::new(&[("locked/mine", ""), ("open/mine", "")]);
    std::fs::write(place.at("in.txt"), b"\xff").unwrap();
    let mode = |name: &str, mode| {
        std::fs::set_permissions(place.at(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("", 0o755);
    mode("locked", 0o555);
    mode("open", 0o777);
    for line in ["locked/out", "locked/out.csv --format csv"] {
        let output = as_a_user(&place, &format!("wordcount in.txt -o {line}"));
        assert_eq!(output.status.code(), Some(1));
        assert_says(&utf8(output.stderr), &["locked", "ermission denied", "may create files"]);
    }
    assert_eq!(names(&place.at("locked")), ["mine"]);
    let output = as_a_user(&place, "wordcount in.txt -o open/out");
    assert_says(&utf8(output.stderr), &["in.txt", "UTF-8"]); // which shows that work begins where one may write
    assert_eq!(names(&place.at("open")), ["mine"]);
    mode("locked", 0o755);
}
