//! Atomic output under faults, crashes and competition.
#![allow(clippy::unwrap_used, reason = "clippy knows tests, but not the functions that they share")]

mod common;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::faults::{FailCalls, Trace};
use common::scramble;
use gristmill::io::commit::{
    Attempt, Call, CheckedTarget, Commit, Existing, Fs, Hook, Shape, Target, manifest,
};
use gristmill::{ErrorKind, Result};
use serde_json::json;

const PARTS: usize = 3;

/// The target that a child process replaces until it is killed.
const CHILD_TARGET: &str = "GRISTMILL_TEST_CHILD_TARGET";

/// The number of the file-system call before which the child kills itself.
const CHILD_LAST_CALL: &str = "GRISTMILL_TEST_CHILD_LAST_CALL";

fn target(path: &Path, shape: Shape, fs: &Fs) -> Target {
    Target::new(path, shape, Existing::Overwrite).on(fs.clone())
}

fn check(path: &Path) -> Result<CheckedTarget> {
    target(path, Shape::Directory, &Fs::real()).check(&[])
}

/// Writes the output of a generation: every byte of it, names included, says which.
fn write_generation(path: &Path, shape: Shape, generation: u64, fs: &Fs) -> Result<Commit> {
    let attempt = target(path, shape, fs).check(&[])?.begin()?;
    let parts = if shape == Shape::Directory { PARTS } else { 1 };
    let parts = (0..parts).map(|part| write_part(&attempt, generation, part)).collect::<Result<_>>()?;
    attempt.commit(json!(["generation"]), json!({ "generation": generation }), parts)
}

fn write_part(attempt: &Attempt, generation: u64, part: usize) -> Result<manifest::PartEntry> {
    let mut writer = attempt.create_part(&format!("part-{generation}-{part}.csv"))?;
    for _ in 0..3 {
        writeln!(writer, "{generation}").map_err(|error| {
            gristmill::Error::new(ErrorKind::Output, "cannot write a line of the test").because(error)
        })?;
    }
    writer.finish(3)
}

fn generation_of(path: &Path) -> Result<u64> {
    let manifest = manifest::verify(path)?;
    manifest.parameters["generation"]
        .as_u64()
        .ok_or_else(|| gristmill::Error::new(ErrorKind::Input, "no generation"))
}

/// Every file at or below a path, with its contents.
fn snapshot(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut pending = vec![path.to_owned()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(path.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()));
        } else if let Ok(bytes) = std::fs::read(&path) {
            files.insert(path, bytes);
        }
    }
    files
}

fn staging_beside(path: &Path) -> Vec<String> {
    let parent =
        path.parent().into_iter().flat_map(|parent| parent.read_dir().into_iter().flatten().flatten());
    let names = parent.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains("staging")).collect()
}

/// Fails every call from the n-th on, or only the n-th, for every n that a run makes.
fn fail_every_call(shape: Shape, is_old_there: bool, for_ever: bool) {
    for n in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        if is_old_there {
            write_generation(&path, shape, 1, &Fs::real()).unwrap();
        }
        let old = snapshot(&path);
        let hook = FailCalls::new(move |call| call == n || (for_ever && call > n));
        let result = write_generation(&path, shape, 2, &Fs::hooked(hook.clone()));
        let now = snapshot(&path);

        let reference = dir.path().join("reference");
        write_generation(&reference, shape, 2, &Fs::real()).unwrap();
        let new = renamed(snapshot(&reference), &reference, &path);
        assert!(now == old || now == new, "call {n}: neither old nor new: {now:?}");
        if result.is_ok() {
            assert_eq!(now, new, "call {n}: a success that is not the new output");
        }
        check_recovery(&path, shape, n);
        if hook.calls() < n {
            assert!(n > 20, "{n} calls are fewer than a commit makes");
            return;
        }
    }
}

fn renamed(files: BTreeMap<PathBuf, Vec<u8>>, from: &Path, to: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let rename = |path: PathBuf| match path.strip_prefix(from) {
        Ok(rest) if rest.as_os_str().is_empty() => to.to_owned(),
        Ok(rest) => to.join(rest),
        Err(_) => path,
    };
    files.into_iter().map(|(path, bytes)| (rename(path), bytes)).collect()
}

fn check_recovery(path: &Path, shape: Shape, n: usize) {
    let before = snapshot(path);
    target(path, shape, &Fs::real()).check(&[]).unwrap().begin().unwrap().abort().unwrap();
    assert_eq!(staging_beside(path), Vec::<String>::new(), "call {n}");
    assert_eq!(snapshot(path), before, "call {n}");
}

#[test]
fn any_call_that_fails_once_leaves_old_or_new() {
    for shape in [Shape::Directory, Shape::File] {
        for is_old_there in [false, true] {
            fail_every_call(shape, is_old_there, false);
        }
    }
}

#[test]
fn any_call_that_fails_with_all_after_it_leaves_old_or_new() {
    for shape in [Shape::Directory, Shape::File] {
        for is_old_there in [false, true] {
            fail_every_call(shape, is_old_there, true);
        }
    }
}

#[test]
fn a_death_where_directories_cannot_be_exchanged_leaves_old_or_new_to_the_next_run() {
    let mut absent = 0;
    for n in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        write_generation(&path, Shape::Directory, 1, &Fs::real()).unwrap();
        let hook = FailCalls::new(move |call| call >= n);
        let result =
            write_generation(&path, Shape::Directory, 2, &Fs::hooked(hook.clone()).without_exchange());
        absent += usize::from(!path.exists());
        let next = target(&path, Shape::Directory, &Fs::real().without_exchange());
        next.check(&[]).unwrap().begin().unwrap().abort().unwrap();
        let now = generation_of(&path).unwrap();
        assert!(now == 2 || result.is_err(), "call {n}: a success that is not the new output");
        assert!(now == 1 || now == 2, "call {n}");
        assert_eq!(staging_beside(&path), Vec::<String>::new(), "call {n}");
        if hook.calls() < n {
            assert!(n > 30 && absent == 1, "{n} calls, {absent} times between the two renames");
            return;
        }
    }
}

#[test]
fn everything_is_durable_before_it_is_put_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().join("out");
    write_generation(&path, Shape::Directory, 1, &Fs::real()).unwrap();
    let trace = Arc::new(Trace::default());
    write_generation(&path, Shape::Directory, 2, &Fs::hooked(trace.clone())).unwrap();

    let calls = trace.0.lock().unwrap();
    let commit = calls.iter().rposition(|(call, _)| *call == Call::Exchange).unwrap();
    let (before, after) = calls.split_at(commit);
    let last = |call: Call, path: &Path| before.iter().rposition(|made| *made == (call, path.to_owned()));
    let created: Vec<_> = before.iter().filter(|(call, _)| *call == Call::CreateFile).collect();
    assert_eq!(created.len(), PARTS + 1);
    for (_, file) in created {
        let synced = last(Call::SyncFile, file);
        assert!(synced > last(Call::Write, file), "{file:?}");
        assert!(last(Call::SyncDirectory, file.parent().unwrap()) > synced, "{file:?}");
    }
    let after: Vec<_> = after.iter().map(|(call, _)| *call).collect();
    assert_eq!(after, [Call::Exchange, Call::SyncDirectory, Call::Remove]);
}

#[test]
fn a_failed_fsync_is_never_repeated() {
    struct NoSync(AtomicUsize);
    impl Hook for NoSync {
        fn before(&self, call: Call, _: &Path) -> io::Result<()> {
            if call != Call::SyncFile {
                return Ok(());
            }
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(io::Error::from_raw_os_error(5))
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let hook = Arc::new(NoSync(AtomicUsize::new(0)));
    let path = dir.path().join("out");
    let error = write_generation(&path, Shape::Directory, 1, &Fs::hooked(hook.clone())).unwrap_err();
    assert!(error.to_string().contains("cannot make durable"), "{error}");
    assert_eq!(hook.0.load(Ordering::Relaxed), 1);
    assert!(!path.exists());
    assert_eq!(staging_beside(&path), Vec::<String>::new());
}

#[test]
fn two_runs_write_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let first = write_generation(&path, Shape::Directory, 1, &Fs::real()).unwrap();
    let old = snapshot(&path);
    let second = write_generation(&path, Shape::Directory, 1, &Fs::real()).unwrap();
    assert_eq!(snapshot(&path), old);
    assert_eq!((first.replaced, second.replaced), (false, true));
    assert_eq!(first.manifest, second.manifest);
    assert_eq!(first.manifest.rows, 9);
}

#[test]
fn a_second_run_is_told_who_writes_the_output() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let first = check(&path).unwrap().begin().unwrap();
    let error = check(&path).unwrap().begin().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains(&format!("process {} on ", std::process::id())), "{error}");
    drop(first);
    check(&path).unwrap().begin().unwrap();
}

#[test]
fn a_target_that_somebody_else_changes_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let late = check(&path).unwrap();
    write_generation(&path, Shape::Directory, 1, &Fs::real()).unwrap();
    assert!(late.begin().unwrap_err().to_string().contains("changed by somebody else"));

    let attempt = check(&path).unwrap().begin().unwrap();
    let part = write_part(&attempt, 2, 0).unwrap();
    std::fs::write(path.join("note"), "mine").unwrap();
    let error = attempt.commit(json!(null), json!(null), vec![part]).unwrap_err();
    assert!(error.to_string().contains("changed by somebody else"), "{error}");
    assert_eq!(std::fs::read_to_string(path.join("note")).unwrap(), "mine");
    assert_eq!(staging_beside(&path), Vec::<String>::new());
}

#[test]
fn an_attempt_whose_lock_file_is_deleted_commits_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let fenced = check(&path).unwrap().begin().unwrap();
    let part = write_part(&fenced, 1, 0).unwrap();
    std::fs::remove_file(dir.path().join(".out.gristmill-lock")).unwrap();
    let other = check(&path).unwrap().begin().unwrap(); // leaves the staging of the first alone: its `.live` is locked
    let error = fenced.commit(json!(null), json!(null), vec![part]).unwrap_err();
    assert!(error.to_string().contains("lock file"), "{error}");
    assert!(!path.exists());
    other.abort().unwrap();
}

#[test]
fn parts_that_are_missing_or_unfinished_are_never_committed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let attempt = check(&path).unwrap().begin().unwrap();
    let _unfinished = attempt.create_part("open.csv").unwrap();
    let part = write_part(&attempt, 1, 0).unwrap();
    let error = attempt.commit(json!(null), json!(null), vec![part]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(!path.exists());
}

#[test]
fn parts_are_written_on_many_threads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let attempt = check(&path).unwrap().begin().unwrap();
    let entries = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let parts = attempt.parts();
                scope.spawn(move || {
                    let mut part = parts.create(&format!("part-{thread}")).unwrap();
                    part.write_all(&vec![b'x'; 100_000 * thread]).unwrap();
                    part.finish(1).unwrap()
                })
            })
            .collect();
        threads.into_iter().rev().map(|thread| thread.join().unwrap()).collect()
    });
    attempt.commit(json!(null), json!(null), entries).unwrap();
    assert_eq!(manifest::verify(&path).unwrap().rows, 8);
}

#[test]
fn an_output_that_is_changed_afterwards_does_not_verify() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    write_generation(&path, Shape::Directory, 1, &Fs::real()).unwrap();
    let part = path.join("part-1-0.csv");
    std::fs::write(path.join("part-9.csv"), "").unwrap();
    assert!(manifest::verify(&path).unwrap_err().to_string().contains("not in the manifest"));
    std::fs::remove_file(path.join("part-9.csv")).unwrap();
    std::fs::write(&part, "1\n1\n2\n").unwrap();
    assert!(manifest::verify(&path).unwrap_err().to_string().contains("part-1-0.csv"));
    std::fs::remove_file(&part).unwrap();
    assert!(manifest::verify(&path).is_err());
}

#[test]
fn a_link_stays_and_what_it_leads_to_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("disk")).unwrap();
    let (real, link) = (dir.path().join("disk/out"), dir.path().join("link"));
    write_generation(&real, Shape::Directory, 1, &Fs::real()).unwrap();
    symlink("disk/out", &link).unwrap();
    write_generation(&link, Shape::Directory, 2, &Fs::real()).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(generation_of(&real).unwrap(), 2);
}

#[test]
fn a_foreign_directory_is_replaced_only_by_force() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    std::fs::create_dir_all(path.join("deep/er")).unwrap();
    std::fs::write(path.join("deep/er/diary"), "dear").unwrap();
    let before = snapshot(&path);
    let error = write_generation(&path, Shape::Directory, 1, &Fs::real()).unwrap_err();
    assert!(error.to_string().contains("--force"), "{error}");
    assert_eq!(snapshot(&path), before);

    let forced = Target::new(&path, Shape::Directory, Existing::Force).check(&[]).unwrap();
    let attempt = forced.begin().unwrap();
    let part = write_part(&attempt, 1, 0).unwrap();
    attempt.commit(json!(null), json!(null), vec![part]).unwrap();
    manifest::verify(&path).unwrap();
}

#[test]
fn a_file_takes_the_place_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.csv");
    for generation in [1, 2] {
        write_generation(&path, Shape::File, generation, &Fs::real()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{generation}\n").repeat(3));
    }
    let attempt = target(&path, Shape::File, &Fs::real()).check(&[]).unwrap().begin().unwrap();
    let parts = vec![write_part(&attempt, 3, 0).unwrap(), write_part(&attempt, 3, 1).unwrap()];
    assert_eq!(attempt.commit(json!(null), json!(null), parts).unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(staging_beside(&path), Vec::<String>::new());
}

#[test]
fn a_parent_that_is_a_file_or_missing_is_found_before_any_work() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    assert!(check(&dir.path().join("file/out")).is_err());
    let missing = check(&dir.path().join("missing/out")).unwrap_err();
    assert!(missing.to_string().contains("create it"), "{missing}");
}

/// The parts that a reader finds by listing, which are always of one generation; `None` if the directory was replaced
/// meanwhile, when the old one may have been half deleted.
fn list_by_name(path: &Path) -> Option<Vec<String>> {
    let before = path.metadata().ok()?;
    let names = path.read_dir().ok()?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let names: Vec<_> = names.filter(|name| name.starts_with("part-")).collect();
    let generations: std::collections::BTreeSet<_> =
        names.iter().map(|name| name.split('-').nth(1)).collect();
    assert!(generations.len() <= 1, "a mixture: {names:?}");
    let identity = |found: &std::fs::Metadata| (found.ino(), found.ctime(), found.ctime_nsec());
    (identity(&before) == identity(&path.metadata().ok()?)).then_some(names)
}

#[test]
fn a_reader_never_sees_a_mixture_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    write_generation(&path, Shape::Directory, 0, &Fs::real()).unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut complete = 0;
            while !is_done.load(Ordering::Relaxed) {
                assert!(path.is_dir(), "there was an instant without an output");
                if let Some(names) = list_by_name(&path) {
                    assert_eq!(names.len(), PARTS, "{names:?}");
                    complete += 1;
                }
            }
            complete
        });
        let last = (1..=200).try_for_each(|generation| {
            write_generation(&path, Shape::Directory, generation, &Fs::real()).map(drop)
        });
        is_done.store(true, Ordering::Relaxed); // before anything can panic, or the reader would never end
        last.unwrap();
        assert!(reader.join().unwrap() > 200);
    });
    assert_eq!(generation_of(&path).unwrap(), 200);
}

/// Not a test of its own: what the killed children of the next tests do.
#[test]
fn child_replaces_its_output_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD_TARGET).map(PathBuf::from) else { return };
    let fs = match std::env::var(CHILD_LAST_CALL) {
        Ok(last) => fs_that_kills(last.parse().unwrap()),
        Err(_) => Fs::real(),
    };
    let first = generation_of(&path).unwrap() + 1;
    for generation in first.. {
        write_generation(&path, Shape::Directory, generation, &fs).unwrap();
    }
}

fn fs_that_kills(last: usize) -> Fs {
    Fs::hooked(FailCalls::new(move |call| {
        if call == last {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        }
        false
    }))
}

fn child(path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child_replaces_its_output_until_it_is_killed"]).env(CHILD_TARGET, path);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn a_run_that_is_killed_before_any_call_leaves_old_or_new() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    write_generation(&path, Shape::Directory, 0, &Fs::real()).unwrap();
    let (mut old, mut new) = (0, 0);
    for last in 1.. {
        let before = generation_of(&path).unwrap();
        assert!(!child(&path).env(CHILD_LAST_CALL, last.to_string()).status().unwrap().success());
        if generation_of(&path).unwrap() == before {
            old += 1;
        } else {
            new += 1;
        }
        check_recovery(&path, Shape::Directory, last);
        if new > 10 {
            break; // in the child's second replacement: every call of the first has had its turn
        }
    }
    assert!(old > 20 && new > 1, "{old} times old, {new} times new");
}

/// Waits until a child has replaced the output, which is being replaced all the while: manifests come and go.
fn wait_for_generation(path: &Path, generation: u64) {
    let is_there = || {
        let manifest = manifest::read(path).ok().flatten();
        manifest.is_some_and(|manifest| manifest.parameters["generation"].as_u64() >= Some(generation))
    };
    for _ in 0..10_000 {
        if is_there() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the child has replaced nothing in 10 s");
}

#[test]
fn a_run_that_is_killed_leaves_old_or_new_and_the_next_cleans_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    write_generation(&path, Shape::Directory, 0, &Fs::real()).unwrap();
    let mut orphans = 0;
    for round in 0..100 {
        let old = generation_of(&path).unwrap();
        let mut child = child(&path).spawn().unwrap();
        wait_for_generation(&path, old + 1);
        std::thread::sleep(Duration::from_micros(scramble(round) % 20_000));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(generation_of(&path).unwrap() > old, "round {round}");
        orphans += staging_beside(&path).len();
        check(&path).unwrap().begin().unwrap().abort().unwrap();
        assert_eq!(staging_beside(&path), Vec::<String>::new(), "round {round}");
    }
    assert!(orphans > 10, "{orphans} orphans: killed at no telling instants");
}
