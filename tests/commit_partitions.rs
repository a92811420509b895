//! Partitions that are replaced, and parts that are added, under faults, crashes and competition.
#![allow(clippy::unwrap_used, reason = "clippy knows tests, but not the functions that they share")]

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::faults::{FailCalls, Trace};
use common::{files, names};
use gristmill::io::commit::{
    Attempt, Call, Commit, Existing, Fs, Mode, Owned, PartEntry, Recovered, Shape, Target, manifest, recover,
};
use gristmill::io::hive::PartitionPath;
use gristmill::{ErrorKind, Result};
use serde_json::json;

/// The partitions that a run writes: the path of each, and a line for its only part; no line for no part.
type Rows<'a> = &'a [(&'a str, &'a str)];

const OLD: Rows<'static> = &[("d=1/c=x", "old"), ("d=2/c=x", "old"), ("d=2/c=y", "old"), ("d=3/c=x", "old")];
const NEW: Rows<'static> = &[("d=2/c=x", "new"), ("d=2/c=z", "new"), ("d=4/c=x", "new")];

fn path(text: &str) -> PartitionPath {
    PartitionPath::parse(text).unwrap()
}

fn declared(paths: &[&str]) -> Mode {
    Mode::Partitions(Owned::Declared(paths.iter().map(|text| path(text)).collect()))
}

fn target(dir: &Path, mode: Mode, fs: &Fs) -> Target {
    let columns = vec!["d".to_owned(), "c".to_owned()];
    Target::new(dir, Shape::Directory, Existing::Overwrite).partitioned_by(columns).mode(mode).on(fs.clone())
}

fn begin(dir: &Path, mode: Mode, fs: &Fs) -> Result<Attempt> {
    target(dir, mode, fs).check(&[])?.begin()
}

fn part(attempt: &Attempt, partition: &PartitionPath, line: &str) -> Result<PartEntry> {
    let number = attempt.next_part_number(Some(partition))?;
    let mut part = attempt.parts().partition(partition)?.create(&format!("part-{number:05}.csv"))?;
    writeln!(part, "{line}").unwrap();
    part.finish(1)
}

fn commit(attempt: Attempt, rows: Rows<'_>) -> Result<Commit> {
    let mut partitions = Vec::new();
    for (at, line) in rows {
        partitions.push((path(at), vec![part(&attempt, &path(at), line)?]));
    }
    attempt.commit_partitions(json!(["v"]), json!(null), partitions)
}

fn write(dir: &Path, mode: Mode, rows: Rows<'_>) -> Commit {
    commit(begin(dir, mode, &Fs::real()).unwrap(), rows).unwrap()
}

/// The lines of each partition, in the order of its parts.
fn contents(dir: &Path) -> BTreeMap<String, String> {
    let mut contents = BTreeMap::new();
    for (file, bytes) in files(dir) {
        let partition = file.parent().unwrap().to_string_lossy().into_owned();
        if !partition.is_empty() {
            let lines: &mut String = contents.entry(partition).or_default();
            if !file.ends_with(manifest::FILE_NAME) {
                lines.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        }
    }
    contents
}

fn lines(rows: Rows<'_>) -> BTreeMap<String, String> {
    rows.iter()
        .map(|(at, line)| {
            ((*at).to_owned(), if line.is_empty() { String::new() } else { format!("{line}\n") })
        })
        .collect()
}

/// What tells whether a file was touched.
fn identities(dir: &Path) -> Vec<(PathBuf, u64, i64, i64)> {
    let identity = |file: PathBuf| {
        let found = dir.join(&file).metadata().unwrap();
        (file, found.ino(), found.mtime(), found.mtime_nsec())
    };
    files(dir).into_keys().map(identity).collect()
}

fn table() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("out");
    write(&dir, Mode::Whole, OLD);
    (temp, dir)
}

/// All old partitions, the old ones of `d=2` and `d=4` replaced by the new ones: `d=2/c=y` has no rows any more.
fn replaced() -> BTreeMap<String, String> {
    let mut expected = lines(OLD);
    expected.extend(lines(NEW));
    expected.insert("d=2/c=y".to_owned(), String::new());
    expected
}

#[test]
fn only_the_declared_partitions_are_replaced_and_no_other_file_is_touched() {
    let (_temp, dir) = table();
    let others = [dir.join("d=1"), dir.join("d=3")];
    let before = others.each_ref().map(|dir| identities(dir));
    let root = files(&dir).remove(Path::new(manifest::FILE_NAME));
    write(&dir, declared(&["d=2", "d=4", "d=5/c=x"]), NEW);
    let mut expected = replaced();
    expected.insert("d=5/c=x".to_owned(), String::new()); // declared, and without rows
    assert_eq!(contents(&dir), expected);
    assert_eq!(others.each_ref().map(|dir| identities(dir)), before);
    assert_eq!(files(&dir).remove(Path::new(manifest::FILE_NAME)), root);
    assert_eq!(names(dir.parent().unwrap()), ["out"]);
    assert_eq!(manifest::verify(&dir).unwrap().partition_by, ["d", "c"]);
}

#[test]
fn partitions_that_occur_are_replaced_and_the_rest_of_their_level_stays() {
    let (_temp, dir) = table();
    write(&dir, Mode::Partitions(Owned::Occurring), NEW);
    let mut expected = lines(OLD);
    expected.extend(lines(NEW));
    assert_eq!(contents(&dir), expected);
    manifest::verify(&dir).unwrap();
}

#[test]
fn a_table_that_is_not_there_is_created_in_one_step() {
    for mode in
        [declared(&["d=2", "d=4"]), Mode::Partitions(Owned::Occurring), Mode::AppendOnce("a".to_owned())]
    {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("out");
        write(&dir, mode, NEW);
        assert_eq!(contents(&dir), lines(NEW));
        manifest::verify(&dir).unwrap();
    }
}

#[test]
fn what_is_no_such_table_is_refused_before_any_work() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("out");
    let fault = |mode: Mode| begin(&dir, mode, &Fs::real()).unwrap_err();
    let attempt = Target::new(&dir, Shape::Directory, Existing::Refuse).check(&[]).unwrap().begin().unwrap();
    attempt.commit(json!(["v"]), json!(null), Vec::new()).unwrap();
    assert!(fault(declared(&["d=1"])).to_string().contains("is not partitioned"));
    std::fs::remove_file(dir.join(manifest::FILE_NAME)).unwrap();
    std::fs::write(dir.join("diary"), "dear").unwrap();
    assert!(fault(declared(&["d=1"])).to_string().contains("was not written by gristmill"));
    std::fs::remove_file(dir.join("diary")).unwrap();
    for wrong in ["c=1", "d=1/c=x/e=1", "d=1/e=1"] {
        let error = fault(declared(&[wrong]));
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("`d`, `c`"), "{error}");
    }
    write(&dir, declared(&["d=2", "d=4"]), NEW); // an empty directory is as good as none
    let attempt = begin(&dir, declared(&["d=2"]), &Fs::real()).unwrap();
    let error = attempt.check_schema(&json!(["w"])).unwrap_err();
    assert!(error.to_string().contains("has the columns"), "{error}");
}

#[test]
fn a_partition_that_is_not_owned_or_not_gristmills_is_never_replaced() {
    let (_temp, dir) = table();
    let error =
        commit(begin(&dir, declared(&["d=2"]), &Fs::real()).unwrap(), &[("d=1/c=x", "new")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    std::fs::create_dir_all(dir.join("d=7/c=x")).unwrap();
    std::fs::write(dir.join("d=7/c=x/diary"), "dear").unwrap();
    let before = files(&dir);
    let attempt = begin(&dir, declared(&["d=7", "d=2"]), &Fs::real()).unwrap();
    let error = commit(attempt, &[("d=2/c=x", "new"), ("d=7/c=x", "new")]).unwrap_err();
    assert!(error.to_string().contains("c=x was not written by gristmill"), "{error}");
    assert_eq!(files(&dir), before);
    assert_eq!(names(dir.parent().unwrap()), ["out"]);
}

#[test]
fn a_file_system_that_ignores_case_never_mixes_partitions() {
    // There, a directory that is another partition's is found in the place of one that is not there yet.
    let (temp, dir) = table();
    let attempt = begin(&dir, declared(&["d=a", "d=A"]), &Fs::real()).unwrap();
    let staging = names(temp.path()).into_iter().find(|name| name.contains("staging")).unwrap();
    attempt.parts().partition(&path("d=a/c=x")).unwrap();
    std::fs::create_dir(temp.path().join(staging).join("new/d=A")).unwrap();
    let error = attempt.parts().partition(&path("d=A/c=x")).unwrap_err().to_string();
    assert!(
        error.contains("d=A/c=x differs from another one only in what this file system ignores"),
        "{error}"
    );
    drop(attempt);
    assert_eq!(names(temp.path()), ["out"]);
}

/// One try of the run that replaces `d=2` and `d=4`.
fn replace(dir: &Path, fs: &Fs) -> Result<Commit> {
    commit(begin(dir, declared(&["d=2", "d=4"]), fs)?, NEW)
}

/// Fails every call from the n-th on, as the death of the process would, or only the n-th, for every n that a run makes: each partition
/// is old or new then, and all are after the recovery.
fn fail_every_call(for_ever: bool, recovery: fn(&Path)) {
    let (old, new) = (lines(OLD), replaced());
    let mut mixtures = 0;
    for n in 1.. {
        let (_temp, dir) = table();
        let others = identities(&dir.join("d=1"));
        let hook = FailCalls::new(move |call| call == n || (for_ever && call > n));
        let result = replace(&dir, &Fs::hooked(hook.clone()));
        let now = contents(&dir);
        for (partition, lines) in &now {
            let is_known = old.get(partition) == Some(lines) || new.get(partition) == Some(lines);
            assert!(is_known, "call {n}: {partition}: {lines}");
        }
        assert!(old.keys().all(|partition| now.contains_key(partition)), "call {n}: {now:?}");
        if result.is_ok() {
            assert_eq!(now, new, "call {n}");
        }
        mixtures += usize::from(now != old && now != new);
        recovery(&dir);
        let after = contents(&dir);
        assert!(after == old || after == new, "call {n}: {after:?}");
        assert!(now == old || after == new, "call {n}: what was new in part is old again");
        assert_eq!(identities(&dir.join("d=1")), others, "call {n}");
        assert_eq!(names(dir.parent().unwrap()), ["out"], "call {n}");
        manifest::verify(&dir).unwrap();
        if hook.calls() < n {
            assert!(
                n > 60 && mixtures > 2,
                "{n} calls and {mixtures} mixtures are fewer than a commit makes"
            );
            return;
        }
    }
}

fn recover_by_itself(dir: &Path) {
    recover(dir).unwrap();
    assert_eq!(recover(dir).unwrap(), Recovered::default());
}

#[test]
fn any_call_that_fails_once_leaves_partitions_that_recovery_makes_one_output() {
    fail_every_call(false, recover_by_itself);
}

#[test]
fn a_run_that_dies_before_any_call_is_undone_or_completed_by_recovery() {
    fail_every_call(true, recover_by_itself);
}

#[test]
fn a_run_that_dies_before_any_call_is_undone_or_completed_by_the_next_run_of_other_partitions() {
    fail_every_call(true, |dir| begin(dir, declared(&["d=9"]), &Fs::real()).unwrap().abort().unwrap());
}

#[test]
fn a_run_that_dies_before_any_call_is_undone_or_completed_by_the_next_run_of_the_whole_table() {
    fail_every_call(true, |dir| begin(dir, Mode::Whole, &Fs::real()).unwrap().abort().unwrap());
}

/// The journal of a commit that is decided and not carried out.
fn journal(parent: &Path) -> Option<PathBuf> {
    let staging = names(parent).into_iter().filter(|name| name.contains("staging"));
    staging.map(|name| parent.join(name).join("journal")).find(|journal| journal.exists())
}

/// A table whose run died after its commit was decided, before the exchange of its `after`-th partition.
fn undecided(after: usize) -> (tempfile::TempDir, PathBuf) {
    for n in 1..500 {
        let (temp, dir) = table();
        let _ = replace(&dir, &Fs::hooked(FailCalls::new(move |call| call >= n)));
        let now = contents(&dir);
        let new = now.values().filter(|lines| lines.starts_with("new")).count();
        if journal(temp.path()).is_some() && new == after {
            return (temp, dir);
        }
    }
    panic!("no run died after the exchange of {after} partitions");
}

#[test]
fn a_recovery_that_is_interrupted_goes_on_the_next_time() {
    let (_temp, dir) = undecided(1);
    let is_over = |n: usize| {
        let hook = FailCalls::new(move |call| call >= n);
        let began = begin(&dir, declared(&["d=9"]), &Fs::hooked(hook));
        began.is_ok_and(|attempt| attempt.abort().is_ok())
    };
    assert!((1..500).any(is_over), "a recovery makes fewer calls");
    assert_eq!(contents(&dir), replaced());
    manifest::verify(&dir).unwrap();
}

#[test]
fn recovery_says_what_it_did() {
    let (_temp, dir) = undecided(1);
    let found = recover(&dir).unwrap();
    let dir = dir.canonicalize().unwrap();
    let new = ["d=2/c=x", "d=2/c=y", "d=2/c=z", "d=4/c=x"].map(|partition| dir.join(partition));
    assert_eq!(found.rolled_forward, new);
    assert_eq!(found.deleted.len(), 1);
}

#[test]
fn an_invalid_journal_is_reported_and_nothing_is_changed() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 5] = [
        ("EOF", |journal| std::fs::write(journal, "{").unwrap()),
        ("altered", |journal| {
            let text = std::fs::read_to_string(journal).unwrap();
            std::fs::write(journal, text.replacen("d=4", "d=3", 1)).unwrap();
        }),
        ("neither in place nor in", |journal| {
            std::fs::remove_dir_all(journal.with_file_name("new").join("d=4")).unwrap();
        }),
        ("the output", |journal| {
            std::fs::remove_dir_all(journal.parent().unwrap().with_file_name("out")).unwrap();
        }),
        ("the .live beside it is gone", |journal| {
            std::fs::remove_file(journal.with_file_name(".live")).unwrap();
        }),
    ];
    for (fault, harm) in harms {
        let (temp, dir) = undecided(1);
        harm(&journal(temp.path()).unwrap());
        let before = files(temp.path());
        let error = recover(&dir).unwrap_err();
        assert!(error.to_string().contains(fault), "{fault}: {error}");
        assert!(begin(&dir, declared(&["d=9"]), &Fs::real()).is_err(), "{fault}");
        assert_eq!(files(temp.path()), before, "{fault}");
    }
}

#[test]
fn runs_of_different_partitions_write_one_table_at_the_same_time() {
    let (_temp, dir) = table();
    let first = begin(&dir, declared(&["d=1"]), &Fs::real()).unwrap();
    let second = begin(&dir, declared(&["d=2/c=x", "d=8/c=x"]), &Fs::real()).unwrap();
    for taken in ["d=1/c=x", "d=2"] {
        let error = begin(&dir, declared(&[taken]), &Fs::real()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    }
    for mode in [Mode::Whole, Mode::Partitions(Owned::Occurring), Mode::AppendOnce("a".to_owned())] {
        assert_eq!(begin(&dir, mode, &Fs::real()).unwrap_err().kind(), ErrorKind::Busy);
    }
    commit(second, &[("d=2/c=x", "second"), ("d=8/c=x", "second")]).unwrap();
    commit(first, &[("d=1/c=x", "first")]).unwrap();
    let mut expected = lines(OLD);
    expected.extend(lines(&[("d=1/c=x", "first"), ("d=2/c=x", "second"), ("d=8/c=x", "second")]));
    assert_eq!(contents(&dir), expected);
}

#[test]
fn two_runs_may_create_one_table_at_the_same_time() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("out");
    let [first, second] = ["d=1", "d=2"].map(|day| begin(&dir, declared(&[day]), &Fs::real()).unwrap());
    commit(first, &[("d=1/c=x", "first")]).unwrap();
    commit(second, &[("d=2/c=x", "second")]).unwrap();
    assert_eq!(contents(&dir), lines(&[("d=1/c=x", "first"), ("d=2/c=x", "second")]));
    manifest::verify(&dir).unwrap();
}

#[test]
fn what_is_appended_is_added_once() {
    let (_temp, dir) = table();
    let before = identities(&dir.join("d=1"));
    let append = |id: &str| write(&dir, Mode::AppendOnce(id.to_owned()), NEW);
    append("monday");
    let once = contents(&dir);
    assert_eq!(once["d=2/c=x"], "old\nnew\n");
    assert_eq!((once["d=2/c=y"].as_str(), once["d=2/c=z"].as_str()), ("old\n", "new\n"));
    assert_eq!(identities(&dir.join("d=1")), before);
    let bytes = identities(&dir);
    append("monday");
    assert_eq!(identities(&dir), bytes);
    append("tuesday");
    assert_eq!(contents(&dir)["d=2/c=x"], "old\nnew\nnew\n");
    assert_eq!(manifest::verify(&dir).unwrap().append_ids, ["monday", "tuesday"]);
    let parts = manifest::read(&dir.join("d=2/c=x")).unwrap().unwrap().parts;
    let ids: Vec<_> = parts.iter().map(|part| part.append_id.as_deref()).collect();
    assert_eq!(ids, [None, Some("monday"), Some("tuesday")]);
    let mut later = contents(&dir);
    write(&dir, declared(&["d=1"]), &[("d=1/c=x", "day")]);
    later.insert("d=1/c=x".to_owned(), "day\n".to_owned());
    assert_eq!(contents(&dir), later);
}

#[test]
fn any_call_that_fails_leaves_an_append_done_or_not_done() {
    for for_ever in [false, true] {
        for n in 1.. {
            let (_temp, dir) = table();
            let old = contents(&dir);
            let hook = FailCalls::new(move |call| call == n || (for_ever && call > n));
            let fs = Fs::hooked(hook.clone());
            let append = |fs: &Fs| commit(begin(&dir, Mode::AppendOnce("a".to_owned()), fs)?, NEW);
            let result = append(&fs);
            let now = contents(&dir);
            assert!(now == old || now["d=2/c=x"] == "old\nnew\n", "call {n}: {now:?}");
            assert!(result.is_err() || now != old, "call {n}");
            manifest::verify(&dir).unwrap();
            append(&Fs::real()).unwrap();
            assert_eq!(contents(&dir)["d=2/c=x"], "old\nnew\n", "call {n}");
            assert_eq!(names(dir.parent().unwrap()), ["out"], "call {n}");
            if hook.calls() < n {
                break;
            }
        }
    }
}

#[test]
fn an_append_that_would_lose_what_somebody_else_put_there_is_refused() {
    let (_temp, dir) = table();
    std::fs::write(dir.join("d=1/c=x/note"), "mine").unwrap();
    let attempt = begin(&dir, Mode::AppendOnce("a".to_owned()), &Fs::real()).unwrap();
    let error = commit(attempt, NEW).unwrap_err();
    assert!(error.to_string().contains("note is not in the manifest"), "{error}");
    assert_eq!(std::fs::read_to_string(dir.join("d=1/c=x/note")).unwrap(), "mine");
}

#[test]
fn everything_is_durable_before_the_commit_is_decided_and_before_the_journal_goes() {
    let (_temp, dir) = table();
    let dir = dir.canonicalize().unwrap();
    let trace = Arc::new(Trace::default());
    replace(&dir, &Fs::hooked(trace.clone())).unwrap();
    let calls = trace.0.lock().unwrap();
    let is_journal = |(_, path): &&(Call, PathBuf)| path.ends_with("journal");
    let journal = calls.iter().find(is_journal).map(|(_, path)| path.clone()).unwrap();
    let at = |call: Call, path: &Path| calls.iter().rposition(|made| *made == (call, path.to_owned()));
    let decided = at(Call::RenameNew, &journal).unwrap();
    let removed = at(Call::Remove, &journal).unwrap();
    let synced = |dir: &Path, within: std::ops::Range<usize>| {
        calls[within].contains(&(Call::SyncDirectory, dir.to_owned()))
    };
    let created: Vec<_> = calls[..decided]
        .iter()
        .filter(|(call, path)| *call == Call::CreateFile && !path.ends_with("claims"))
        .collect();
    assert_eq!(created.len(), NEW.len() + 4 + 1 + 1, "parts, manifests of partitions and table, journal");
    for (_, file) in created {
        let written = at(Call::SyncFile, file).unwrap();
        assert!(written > at(Call::Write, file).unwrap(), "{file:?}");
        assert!(synced(file.parent().unwrap(), written..decided), "{file:?}");
    }
    assert!(synced(dir.parent().unwrap(), 0..decided), "the name of the staging directory");
    assert!(synced(journal.parent().unwrap(), decided + 1..removed));
    let placed = calls[decided + 1..removed].iter().enumerate();
    let placed = placed.filter(|(_, (call, _))| matches!(call, Call::Exchange | Call::RenameNew));
    assert_eq!(placed.clone().count(), 4);
    for (at, (_, place)) in placed {
        for above in place.ancestors().skip(1).take_while(|above| above.starts_with(&dir)) {
            assert!(synced(above, decided + 1 + at..removed), "{above:?}");
        }
    }
    assert!(synced(journal.parent().unwrap(), removed..calls.len() - 1), "before the staging directory goes");
}
