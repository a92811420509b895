//! Outputs on file systems that rename nothing: committed in place by a manifest, under faults and competition.
#![allow(clippy::unwrap_used, reason = "clippy knows tests, but not the functions that they share")]

mod common;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use common::faults::{FailCalls, Trace};
use common::names;
use gristmill::config::CommitBy;
use gristmill::io::commit::verify::{FaultKind, check};
use gristmill::io::commit::{
    Attempt, Call, Commit, Existing, Fs, Hook, Mode, Owned, PartEntry, Shape, Target, Transaction, manifest,
    recover,
};
use gristmill::io::hive::PartitionPath;
use gristmill::{Error, ErrorKind, Result};
use serde_json::json;

fn no_renames() -> Fs {
    Fs::real().without_renames()
}

fn target(path: &Path, fs: &Fs) -> Target {
    Target::new(path, Shape::Directory, Existing::Overwrite).on(fs.clone())
}

fn begin(path: &Path, fs: &Fs) -> Result<Attempt> {
    target(path, fs).check(&[])?.begin()
}

fn write_part(attempt: &Attempt, name: &str, generation: u64) -> Result<PartEntry> {
    part(attempt.create_part(name)?, generation)
}

fn part(mut writer: gristmill::io::commit::PartWriter, generation: u64) -> Result<PartEntry> {
    writeln!(writer, "{generation}")
        .map_err(|error| Error::new(ErrorKind::Output, "cannot write a line of the test").because(error))?;
    writer.finish(1)
}

/// Writes two parts, every line of which says the generation.
fn write_generation(path: &Path, generation: u64, fs: &Fs) -> Result<Commit> {
    let attempt = begin(path, fs)?;
    let parts = ["part-00000.csv", "part-00001.csv"].map(|name| write_part(&attempt, name, generation));
    let parts = parts.into_iter().collect::<Result<_>>()?;
    attempt.commit(json!(["n"]), json!({ "generation": generation }), parts)
}

/// The same for a table with two partitions, of which one is there in this generation only.
fn write_table(path: &Path, generation: u64, fs: &Fs) -> Result<Commit> {
    let attempt = target(path, fs).partitioned_by(vec!["k".to_owned()]).check(&[])?.begin()?;
    let mut partitions = Vec::new();
    for value in ["all".to_owned(), generation.to_string()] {
        let partition = PartitionPath::new([("k", Some(value.as_str()))])?;
        let writer = attempt.parts().partition(&partition)?.create("part-00000.csv")?;
        partitions.push((partition, vec![part(writer, generation)?]));
    }
    attempt.commit_partitions(json!(["n"]), json!({ "generation": generation }), partitions)
}

/// The generation that counts, all of whose files must be there and hold it; `None` if nothing counts.
fn counting(path: &Path) -> Option<u64> {
    let manifest = manifest::read(path).unwrap()?;
    let generation = manifest.parameters["generation"].as_u64().unwrap();
    for part in &manifest.parts {
        let text = std::fs::read_to_string(path.join(&part.name)).unwrap();
        assert_eq!(text, format!("{generation}\n"), "{}", part.name);
    }
    assert!(manifest.rows == 2 || manifest.parts.is_empty()); // one that is committed by renames names none of a table
    Some(generation)
}

/// Every file at or below a path.
fn all_files(path: &Path) -> BTreeSet<PathBuf> {
    common::files(path).into_keys().collect()
}

/// Whether there is nothing but what the manifest that counts names, and that.
fn assert_clean(path: &Path) {
    let faults = check(path).unwrap().faults;
    assert!(faults.is_empty(), "{faults:?}");
    let name = path.file_name().unwrap().to_str().unwrap();
    assert_eq!(names(path.parent().unwrap()), [name]);
}

#[test]
fn what_is_new_and_what_is_replaced_is_there_under_names_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let first = write_generation(&path, 1, &no_renames()).unwrap();
    assert!(!first.replaced && first.left_over.is_none());
    assert_eq!(counting(&path), Some(1));
    let old = names(&path);
    assert_eq!(old.len(), 3);
    assert_eq!(old[0], "_manifest-00000001.json");
    assert!(
        old[1].starts_with("part-00000-gristmill-") && old[1].split_once('.').unwrap().1 == "csv",
        "{old:?}"
    );

    let second = write_generation(&path, 2, &no_renames()).unwrap();
    assert!(second.replaced && second.left_over.is_none());
    assert_eq!(counting(&path), Some(2));
    assert!(names(&path).iter().all(|name| !old.contains(name)));
    assert_clean(&path);
    // The same output is the same attempt, whatever its files are called.
    let again = write_generation(&path, 2, &no_renames()).unwrap();
    assert_eq!(again.manifest.attempt, second.manifest.attempt);
    assert_ne!(again.manifest.parts, second.manifest.parts);
    // A rename replaces the directory with all generations in it.
    write_generation(&path, 4, &Fs::real()).unwrap();
    assert_eq!(names(&path), ["_manifest.json", "part-00000.csv", "part-00001.csv"]);
    assert_eq!(counting(&path), Some(4));
    write_generation(&path, 5, &no_renames()).unwrap();
    assert_eq!(names(&path)[0], "_manifest-00000001.json");
    assert_eq!(counting(&path), Some(5));
    assert_clean(&path);
}

#[test]
fn one_manifest_names_all_files_of_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    for (generation, fs) in [(1, Fs::real()), (2, no_renames()), (3, no_renames())] {
        write_table(&path, generation, &fs).unwrap();
        let verified = check(&path).unwrap();
        assert_eq!((verified.partitions, verified.parts, verified.rows), (2, 2, 2));
        assert_clean(&path);
        assert!(!path.join(format!("k={}", generation - 1)).exists());
    }
    assert_eq!(counting(&path), Some(3));
    let partition = manifest::read(&path.join("k=3")).unwrap().unwrap();
    assert_eq!(partition.rows, 1);
    assert!(path.join("k=3").join(&partition.parts[0].name).exists());
    std::fs::remove_file(path.join("k=3").join(&partition.parts[0].name)).unwrap();
    assert_eq!(check(&path).unwrap().faults[0].kind, FaultKind::Missing);
}

type WriteOutput = fn(&Path, u64, &Fs) -> Result<Commit>;

/// Lets the n-th call fail, or all from it on, for every n that a run makes.
fn fail_every_call(write: WriteOutput, old: Option<fn() -> Fs>, for_ever: bool) {
    for n in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        if let Some(fs) = old {
            write(&path, 1, &fs()).unwrap();
        }
        let before = old.map(|_| 1);
        let hook = FailCalls::new(move |call| call == n || (for_ever && call > n));
        let result = write(&path, 2, &Fs::hooked(hook.clone()).without_renames());
        let now = counting(&path);
        assert!(now == before || now == Some(2), "call {n}: {now:?}");
        assert!(now == Some(2) || result.is_err(), "call {n}: a success that does not count");
        if result.is_err() && !for_ever && now == before {
            // It has deleted what it could, but for what one failed deletion has left.
            let left = all_files(dir.path()).len();
            assert!(left < 8, "call {n}: {left} files");
        }
        write(&path, 3, &no_renames()).unwrap();
        assert_eq!(counting(&path), Some(3), "call {n}");
        assert_clean(&path);
        if hook.calls() < n {
            assert!(n > 25, "{n} calls are fewer than a commit makes");
            return;
        }
    }
}

#[test]
fn any_call_that_fails_leaves_old_or_new_and_the_next_run_nothing_over() {
    for for_ever in [false, true] {
        for old in [None, Some(no_renames as fn() -> Fs), Some(Fs::real)] {
            fail_every_call(write_generation, old, for_ever);
            fail_every_call(write_table, old, for_ever);
        }
    }
}

#[test]
fn everything_is_durable_before_the_manifest_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().join("out");
    let trace = Arc::new(Trace::default());
    write_table(&path, 1, &Fs::hooked(trace.clone()).without_renames()).unwrap();
    let calls = trace.0.lock().unwrap();
    let manifest = path.join("_manifest-00000001.json");
    let commit = calls.iter().position(|call| *call == (Call::CreateFile, manifest.clone())).unwrap();
    let last =
        |call: Call, path: &Path| calls[..commit].iter().rposition(|made| *made == (call, path.to_owned()));
    let parts: Vec<_> = calls[..commit]
        .iter()
        .filter(|(call, file)| *call == Call::CreateFile && file.starts_with(&path))
        .collect();
    assert_eq!(parts.len(), 2);
    for (_, file) in parts {
        let synced = last(Call::SyncFile, file);
        assert!(synced.is_some() && synced > last(Call::Write, file), "{file:?}");
        for above in file.ancestors().skip(1).take(3) {
            assert!(last(Call::SyncDirectory, above) > synced, "{above:?}");
        }
    }
    let after: Vec<_> =
        calls[commit..].iter().filter(|(_, file)| *file == manifest).map(|(call, _)| *call).collect();
    assert_eq!(after[..3], [Call::CreateFile, Call::Write, Call::SyncFile]);
    let removed = calls.iter().position(|(call, _)| *call == Call::Remove);
    assert!(
        removed
            .is_none_or(|removed| removed > commit || calls[removed].1.to_string_lossy().contains("staging"))
    );
}

/// A file system that says of some calls that it knows none such.
struct Lacks(&'static [(Call, i32)]);

impl Hook for Lacks {
    fn before(&self, call: Call, _: &Path) -> io::Result<()> {
        match self.0.iter().find(|(lacking, _)| *lacking == call) {
            Some((_, code)) => Err(io::Error::from_raw_os_error(*code)),
            None => Ok(()),
        }
    }
}

const ENOLCK: i32 = 37;
const ENOSYS: i32 = 38;
const EMFILE: i32 = 24;
const EOPNOTSUPP: i32 = 95;

fn lacks(calls: &'static [(Call, i32)]) -> Fs {
    Fs::hooked(Arc::new(Lacks(calls))).without_renames()
}

#[test]
fn without_locks_and_fsync_of_directories_the_manifest_keeps_two_runs_apart() {
    let fs = lacks(&[(Call::Lock, ENOLCK), (Call::SyncDirectory, ENOSYS)]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    write_generation(&path, 1, &fs).unwrap();
    let [first, second] = [2, 3].map(|generation| {
        let attempt = begin(&path, &fs).unwrap();
        let part = write_part(&attempt, "part-00000.csv", generation).unwrap();
        (attempt, part)
    });
    let third = begin(&path, &fs).unwrap();
    let kept = first.1.name.clone();
    first.0.commit(json!(["n"]), json!({ "generation": 2 }), vec![first.1]).unwrap();
    // What a run has written that cannot commit any more is deleted; what one writes that begins now is not.
    assert!(!path.join(&second.1.name).exists());
    let fourth = begin(&path, &fs).unwrap();
    let late = write_part(&fourth, "part-00000.csv", 4).unwrap();
    let error = second.0.commit(json!(["n"]), json!({ "generation": 3 }), vec![second.1]).unwrap_err();
    assert!(error.to_string().contains("was changed"), "{error}");
    let part = write_part(&third, "part-00000.csv", 5).unwrap();
    let error = third.commit(json!(["n"]), json!({ "generation": 5 }), vec![part]).unwrap_err();
    assert!(error.to_string().contains("changed by somebody else"), "{error}");
    assert!(path.join(&kept).exists());
    assert_eq!(std::fs::read_to_string(path.join(&kept)).unwrap(), "2\n");
    fourth.commit(json!(["n"]), json!({ "generation": 4 }), vec![late]).unwrap();
    assert_eq!(manifest::read(&path).unwrap().unwrap().parameters["generation"], 4);
    assert!(check(&path).unwrap().faults.is_empty());
    // Where there are renames, there must be locks.
    let renames = Fs::hooked(Arc::new(Lacks(&[(Call::Lock, ENOLCK)])));
    assert!(begin(&dir.path().join("other"), &renames).unwrap_err().to_string().contains("cannot lock"));
    assert!(!dir.path().join("other").exists());
}

#[test]
fn with_locks_a_second_run_is_told_who_writes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let first = begin(&path, &no_renames()).unwrap();
    write_part(&first, "part-00000.csv", 1).unwrap();
    let error = begin(&path, &no_renames()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(recover(&path).unwrap_err().kind(), ErrorKind::Busy);
    first.abort().unwrap();
    assert_eq!(names(dir.path()), Vec::<String>::new());
}

#[test]
fn a_manifest_that_is_torn_is_as_if_it_were_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    write_generation(&path, 1, &no_renames()).unwrap();
    let whole = std::fs::read(path.join("_manifest-00000001.json")).unwrap();
    std::fs::write(path.join("_manifest-00000002.json"), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(counting(&path), Some(1));
    let faults = check(&path).unwrap().faults;
    assert_eq!((faults.len(), faults[0].kind), (1, FaultKind::Unfinished));
    write_generation(&path, 2, &no_renames()).unwrap();
    assert_eq!(counting(&path), Some(2));
    assert_eq!(names(&path)[0], "_manifest-00000003.json");
    assert_clean(&path);
}

#[test]
fn what_the_dead_have_left_counts_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    for written in [false, true] {
        // The dead delete nothing, and nobody holds their lock.
        let dead = Fs::hooked(Arc::new(Lacks(&[(Call::Remove, EOPNOTSUPP)]))).without_renames();
        let attempt = begin(&path, &dead).unwrap();
        if written {
            write_part(&attempt, "part-00000.csv", 1).unwrap();
        }
        drop(attempt);
        assert!(path.is_dir());
        assert_eq!(counting(&path), None);
        // Not even where nothing may be replaced.
        let next = Target::new(&path, Shape::Directory, Existing::Refuse).on(no_renames());
        let attempt = next.check(&[]).unwrap().begin().unwrap();
        let part = write_part(&attempt, "part-00000.csv", 2).unwrap();
        let committed = attempt.commit(json!([]), json!({}), vec![part]).unwrap();
        assert!(!committed.replaced);
        assert_clean(&path);
        assert!(next.check(&[]).is_err());
        std::fs::remove_dir_all(&path).unwrap();
    }
    std::fs::create_dir(&path).unwrap();
    let next = Target::new(&path, Shape::Directory, Existing::Refuse).on(no_renames());
    assert!(next.check(&[]).is_err());
}

#[test]
fn recovery_deletes_what_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let dead = lacks(&[(Call::Remove, EOPNOTSUPP)]);
    for old in [None, Some(1)] {
        if let Some(generation) = old {
            write_table(&path, generation, &no_renames()).unwrap();
        }
        let attempt = target(&path, &dead).partitioned_by(vec!["k".to_owned()]).check(&[]).unwrap();
        let attempt = attempt.begin().unwrap();
        let partition = PartitionPath::parse("k=lost").unwrap();
        let writer = attempt.parts().partition(&partition).unwrap().create("part-00000.csv").unwrap();
        part(writer, 9).unwrap();
        drop(attempt);
        assert!(path.join("k=lost").exists());
        assert_eq!(recover(&path).unwrap().deleted.len(), 2);
        assert_eq!(counting(&path), old);
        match old {
            None => assert_eq!(names(dir.path()), Vec::<String>::new()),
            Some(_) => assert_clean(&path),
        }
    }
}

#[test]
fn what_needs_renames_is_refused_before_any_work() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    write_table(&path, 1, &Fs::real()).unwrap();
    let file = dir.path().join("out.csv");
    std::fs::write(&file, "old").unwrap();
    let table = |mode| target(&path, &Fs::real()).partitioned_by(vec!["k".to_owned()]).mode(mode);
    let declared = Mode::Partitions(Owned::Declared(vec![PartitionPath::parse("k=all").unwrap()]));
    let refused = [
        (table(declared), "single partitions cannot be replaced"),
        (table(Mode::Partitions(Owned::Occurring)), "single partitions cannot be replaced"),
        (table(Mode::AppendOnce("once".to_owned())), "nothing can be appended"),
        (Target::new(&file, Shape::File, Existing::Overwrite), "a single file cannot be replaced"),
        (target(&path, &Fs::real()).alone(false), "several outputs cannot be committed together"),
    ];
    let before = all_files(dir.path());
    for (target, why) in refused {
        let target = target.on(no_renames());
        // Where the file system says so, when it is asked; where the user does, at once.
        let asked = target.clone().check(&[]).unwrap().begin().unwrap_err();
        let told = target.commit_by(CommitBy::Manifest).check(&[]).unwrap_err();
        for error in [asked, told] {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
    assert_eq!(all_files(dir.path()), before);
    assert_eq!(names(dir.path()), ["out", "out.csv"]);
}

#[test]
fn several_outputs_of_a_transaction_are_refused_together() {
    let dir = tempfile::tempdir().unwrap();
    let mut transaction = Transaction::default();
    for (name, fs) in [("left", no_renames()), ("right", Fs::real())] {
        let attempt = begin(&dir.path().join(name), &fs).unwrap();
        let part = write_part(&attempt, "part-00000.csv", 1).unwrap();
        transaction.add(attempt.finish(json!([]), json!({}), vec![part]));
    }
    let error = transaction.commit().unwrap_err();
    assert!(error.to_string().contains("several outputs cannot be committed together"), "{error}");
    assert_eq!(names(dir.path()), Vec::<String>::new());
}

#[test]
fn what_is_committed_in_place_is_only_replaced_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    write_generation(&path, 1, &no_renames()).unwrap();
    let append = target(&path, &Fs::real()).mode(Mode::AppendOnce("once".to_owned()));
    let error = append.check(&[]).unwrap_err();
    assert!(error.to_string().contains("was committed in place"), "{error}");
}

#[test]
fn outputs_within_a_directory_are_no_remains_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("table");
    std::fs::create_dir(&table).unwrap();
    write_generation(&table.join("k=1"), 1, &no_renames()).unwrap();
    write_generation(&table.join("k=2"), 2, &Fs::real()).unwrap();
    let live = begin(&table.join("k=3"), &no_renames()).unwrap();
    let part = write_part(&live, "part-00000.csv", 3).unwrap();
    let before = all_files(&table);
    // A run that died above them is no reason to touch them either.
    std::fs::create_dir(dir.path().join(".table.gristmill-staging-1-2-3")).unwrap();
    recover(&table).unwrap();
    let error = begin(&table, &no_renames()).unwrap_err();
    assert!(error.to_string().contains("--force"), "{error}");
    assert_eq!(all_files(&table), before);
    live.commit(json!([]), json!({}), vec![part]).unwrap();
    for generation in [1, 2] {
        assert_eq!(counting(&table.join(format!("k={generation}"))), Some(generation));
    }
}

#[test]
fn a_foreign_directory_is_emptied_only_by_force() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    std::fs::create_dir_all(path.join("k=all/deep")).unwrap();
    let foreign = ["_SUCCESS", "part-00000.csv", "k=all/part-00000-7c2d-c000.csv", "k=all/deep/diary"];
    for name in foreign {
        std::fs::write(path.join(name), "dear").unwrap();
    }
    assert!(begin(&path, &no_renames()).unwrap_err().to_string().contains("--force"));
    let force = Target::new(&path, Shape::Directory, Existing::Force).on(no_renames());
    let attempt = force.check(&[]).unwrap().begin().unwrap();
    let part = write_part(&attempt, "part-00000.csv", 1).unwrap();
    // What comes later is nobody's to delete.
    std::fs::write(path.join("note"), "mine").unwrap();
    attempt.commit(json!([]), json!({}), vec![part]).unwrap();
    let left = names(&path);
    assert_eq!(left.len(), 3, "{left:?}");
    assert_eq!((left[0].as_str(), left[1].as_str()), ("_manifest-00000001.json", "note"));
}

fn write_file(path: &Path, fs: &Fs) -> Result<Commit> {
    let attempt = Target::new(path, Shape::File, Existing::Refuse).on(fs.clone()).check(&[])?.begin()?;
    let part = write_part(&attempt, "part-00000.csv", 1)?;
    attempt.commit(json!(["n"]), json!(null), vec![part])
}

#[test]
fn a_new_file_is_copied_to_its_place() {
    for for_ever in [false, true] {
        for n in 1.. {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("out.csv");
            let hook = FailCalls::new(move |call| call == n || (for_ever && call > n));
            let result = write_file(&path, &Fs::hooked(hook.clone()).without_renames());
            let text = std::fs::read_to_string(&path).ok();
            if result.is_ok() {
                assert_eq!(text.as_deref(), Some("1\n"), "call {n}");
            } else if !for_ever {
                assert!(text.as_deref().is_none_or(|text| text == "1\n"), "call {n}: {text:?}");
            }
            if hook.calls() < n {
                assert_eq!(names(dir.path()), ["out.csv"]);
                assert!(n > 20, "{n} calls are fewer than a commit makes");
                break;
            }
        }
    }
}

/// Renames files, and no directories: what has an extension here, or is called like a probe, is a file.
struct OnlyFiles;

impl Hook for OnlyFiles {
    fn before(&self, call: Call, path: &Path) -> io::Result<()> {
        let is_directory = path.extension().is_none() && !path.ends_with("probed");
        if matches!(call, Call::RenameNew | Call::Exchange) && is_directory {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        Ok(())
    }
}

#[test]
fn where_files_can_be_renamed_a_single_file_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.csv");
    let fs = Fs::hooked(Arc::new(OnlyFiles));
    for generation in [1, 2] {
        let target = Target::new(&path, Shape::File, Existing::Overwrite).on(fs.clone());
        let attempt = target.check(&[]).unwrap().begin().unwrap();
        let part = write_part(&attempt, "part-00000.csv", generation).unwrap();
        attempt.commit(json!(["n"]), json!(null), vec![part]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{generation}\n"));
    }
    std::fs::remove_file(&path).unwrap();
    let out = dir.path().join("out");
    write_generation(&out, 1, &fs).unwrap();
    assert_eq!(names(&out)[0], "_manifest-00000001.json");
    assert_clean(&out);
}

/// The target that a child process replaces until it is killed.
const CHILD_TARGET: &str = "GRISTMILL_TEST_CHILD_TARGET";

/// The number of the file-system call before which the child kills itself.
const CHILD_LAST_CALL: &str = "GRISTMILL_TEST_CHILD_LAST_CALL";

/// Not a test of its own: what the killed children of the next test do.
#[test]
fn child_replaces_its_output_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD_TARGET).map(PathBuf::from) else { return };
    let last: usize = std::env::var(CHILD_LAST_CALL).unwrap().parse().unwrap();
    let fs = Fs::hooked(FailCalls::new(move |call| {
        if call == last {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        }
        false
    }));
    let first = counting(&path).unwrap_or(0) + 1;
    for generation in first.. {
        write_table(&path, generation, &fs.clone().without_renames()).unwrap();
    }
}

#[test]
fn a_run_that_is_killed_before_any_call_leaves_old_or_new() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let (mut before, mut kept, mut replaced) = (None, 0, 0);
    for last in 1.. {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "child_replaces_its_output_until_it_is_killed"]);
        child.env(CHILD_TARGET, &path).env(CHILD_LAST_CALL, last.to_string());
        let status = child.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.signal(), Some(9), "call {last}");
        let now = counting(&path);
        assert!(now == before || now == Some(before.unwrap_or(0) + 1), "call {last}: {before:?}, {now:?}");
        if now == before {
            kept += 1;
        } else {
            replaced += 1;
        }
        recover(&path).unwrap();
        assert_eq!(counting(&path), now, "call {last}");
        assert_eq!(path.exists(), now.is_some(), "call {last}");
        if now.is_some() {
            assert_clean(&path);
        }
        before = now;
        if replaced > 10 {
            break; // in the child's second replacement: every call of the first has had its turn
        }
    }
    assert!(kept > 30, "{kept} times old");
}
